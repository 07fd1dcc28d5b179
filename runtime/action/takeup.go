package action

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"path"
	"syscall"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/tree"
)

// presyncedBook is what is known of a copy that Presync has completed.
type presyncedBook struct {
	From   string `json:"from"`
	Seen   Blob   `json:"seen"`
	AtRest bool   `json:"at_rest,omitempty"` // nobody worked in it when that was seen
}

func (b presyncedBook) write(env *Env, at string) error {
	text, err := json.Marshal(b)
	if err != nil {
		return err
	}
	dir, err := env.Host.OpenTreeWrite(at)
	if err != nil {
		return err
	}
	defer dir.Close()
	tmp := env.temp()
	if err := unlinkIfThere(dir, tmp); err != nil {
		return err
	}
	if err := writeFile(dir, tmp, bytes.NewReader(text)); err != nil {
		return err
	}
	if err := dir.Rename(tmp, dir, presyncBook); err != nil {
		return err
	}
	return dir.SyncSelf()
}

// presynced is a copy that a move takes up.
type presynced struct {
	from, tree string
	book       presyncedBook
	every      bool // trust no time: read all
}

// presyncedFor finds the complete copy of a directory's contents below another; nil if there is none of this run's.
func presyncedFor(env *Env, from, to string) (*presynced, error) {
	dir, err := env.Host.OpenTree(presyncAt(to))
	if host.Absent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	f, err := dir.Open(presyncBook)
	if host.Absent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p := &presynced{from: from, tree: path.Join(presyncAt(to), presyncTree)}
	if err := json.NewDecoder(f).Decode(&p.book); err != nil {
		return nil, err
	}
	if p.book.From != from || !env.Store.has(p.book.Seen) {
		return nil, nil
	}
	return p, nil
}

// prune removes from the copy what is not, or may not be, as it is now where it was copied from. The rest need not be
// read again: an entry that is the same inode with the same ctime as before it was copied is what was copied. At rest the
// ctime does not count.
func (p *presynced) prune(env *Env) error {
	root, err := env.Host.OpenTreeWrite(p.tree)
	if host.Absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	st, err := root.Self()
	if err != nil {
		return err
	}
	seen, err := openInventory(env.Store, &p.book.Seen)
	if err != nil {
		return err
	}
	defer seen.close()
	from := &lastDir{v: env.Host}
	defer from.close()
	done := int64(0)
	w := tree.Walker[host.Dir]{Ctx: env.Ctx, Open: host.Dir.OpenDirWrite, Visit: func(e tree.Entry[host.Dir]) error {
		if done++; done%10_000 == 0 {
			env.Progress(Progress{What: "compare what was copied ahead", Done: done, Unit: "files"})
		}
		then, err := seen.upTo(e.Rel, func(item) error { return nil })
		if err != nil {
			return err
		}
		stays, err := p.stays(e, then, from)
		if err != nil || stays {
			return err
		}
		return tree.Remove(env.Ctx, e.Dir, e.Name, nil)
	}}
	// What is read ahead are other names than the one that is removed.
	w.Ahead = true
	return w.Walk(root, "", st.Dev)
}

func (p *presynced) stays(e tree.Entry[host.Dir], then *item, from *lastDir) (bool, error) {
	src, err := from.open(path.Join(p.from, path.Dir(e.Rel)))
	if host.Absent(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	now, err := src.Lstat(e.Name)
	if host.Absent(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if now.IsDir() || e.Stat.IsDir() {
		return now.IsDir() && e.Stat.IsDir(), nil
	}
	if then == nil || then.Ino != now.Ino || then.Size != now.Size || !then.Mtime.Equal(now.Mtime) {
		return false, nil
	}
	if !p.book.AtRest && !then.Ctime.Equal(now.Ctime) {
		return false, nil
	}
	if !p.every || !now.IsRegular() {
		return true, nil
	}
	same, err := sameContent(src, e.Dir, e.Name)
	if errors.Is(err, host.ErrUnknown) { // a simulated host knows no more than the size
		return true, nil
	}
	return same, err
}

// sameContent compares two files of one name byte by byte.
func sameContent(a, b host.DirReader, name string) (bool, error) {
	x, err := a.Open(name)
	if err != nil {
		return false, err
	}
	defer x.Close()
	y, err := b.Open(name)
	if err != nil {
		return false, err
	}
	defer y.Close()
	bufs := [2]*[]byte{buffers.Get().(*[]byte), buffers.Get().(*[]byte)}
	defer buffers.Put(bufs[0])
	defer buffers.Put(bufs[1])
	for {
		n, err := io.ReadFull(x, *bufs[0])
		m, merr := io.ReadFull(y, *bufs[1])
		ended, mended := atEnd(err), atEnd(merr)
		if err != nil && !ended || merr != nil && !mended {
			return false, errors.Join(err, merr)
		}
		if !bytes.Equal((*bufs[0])[:n], (*bufs[1])[:m]) || ended != mended {
			return false, nil
		}
		if ended {
			return true, nil
		}
	}
}

func atEnd(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

// takeUp brings an entry of the copy up to date and gives it its name. It reports whether that could be done: a copy that
// has no directory for it, or is on another file system by now, is of no use.
func (p *presynced) takeUp(c *copier, rel, to string) (bool, error) {
	at := path.Join(p.tree, rel)
	if above, err := isDir(c.env.Host, path.Dir(at)); err != nil || !above {
		return false, err
	}
	root, err := c.copyTo(path.Join(p.from, rel), at)
	if err != nil {
		return false, err
	}
	err = renamePath(c.env.Host, at, to)
	if errors.Is(err, syscall.EXDEV) {
		return false, nil
	}
	root.path = to
	return err == nil, err
}
