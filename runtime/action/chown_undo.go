package action

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/tree"
)

// exception is an entry and the attributes it had.
type exception struct {
	Rel string `json:"rel"`
	Was attrs  `json:"was"`
	Ino uint64 `json:"ino,omitempty"` // 0 in records of versions that kept none
}

// recordExceptions keeps a line for each entry that the inverse map does not take back: its old user,
// group and mode as numbers, and its quoted path.
func (a *Chown) recordExceptions(env *Env) error {
	blob, err := env.Store.write(func(w io.Writer) error {
		lines := bufio.NewWriterSize(w, 1<<16)
		note := func(e tree.Entry[host.DirReader]) error {
			if !a.meant(e.Name, e.Stat) || a.takenBack(e.Stat) {
				return nil
			}
			_, err := fmt.Fprintf(lines, "%d %d %d %q\n", e.Stat.UID, e.Stat.GID, uint32(e.Stat.Perm()), e.Rel)
			return err
		}
		if err := a.read(env, note, func(string) error { return nil }); err != nil {
			return err
		}
		return lines.Flush()
	})
	a.Exceptions = &blob
	return err
}

// takenBack reports whether the inverse map returns an entry to what it is now.
func (a *Chown) takenBack(st host.Stat) bool {
	after := st
	want := a.Rule.apply(st)
	after.UID, after.GID, after.Mode = want.UID, want.GID, st.Mode.Type()|want.Mode
	back := a.Back.apply(after)
	if st.IsSymlink() {
		back.Mode = st.Perm()
	}
	return back == attrsOf(st)
}

// eachException reads the record.
func (a *Chown) eachException(env *Env, visit func(exception) error) error {
	if a.Exceptions == nil {
		return nil
	}
	f, err := env.Store.Open(*a.Exceptions)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewReaderSize(f, 1<<16)
	for {
		var x exception
		var mode uint32
		_, err := fmt.Fscanf(lines, "%d %d %d %q\n", &x.Was.UID, &x.Was.GID, &mode, &x.Rel)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("record of owners: %w", err)
		}
		x.Was.Mode = fs.FileMode(mode)
		if err := visit(x); err != nil {
			return err
		}
	}
}

// Undo takes back by rule, then what the rule does not take back exactly. Both can be done again,
// and change nothing where nothing was applied.
func (a *Chown) Undo(env *Env) error {
	inside, err := a.inside(env)
	if err != nil {
		return err
	}
	// A file with several names that has not the owner which the rule gives, and may have names outside, is left:
	// one of them may be somebody's way to a file that is not his.
	back := func(e changeable, st host.Stat, was attrs) error {
		if hasMore(st) && !inside.has(st) && !a.Rule.gave(st) {
			return nil
		}
		return setAttrs(e, st, was)
	}
	err = a.each(env, func(e changeable, st host.Stat) error { return back(e, st, a.Back.apply(st)) })
	if err != nil {
		return fmt.Errorf("chown %s: %w", a.Path, err)
	}
	err = a.eachException(env, func(x exception) error {
		return a.at(env, x.Rel, func(e changeable, st host.Stat) error { return back(e, st, x.Was) })
	})
	if err != nil {
		return fmt.Errorf("chown %s: %w", a.Path, err)
	}
	if err := a.setModes(env, a.Setid, func(old attrs) fs.FileMode { return old.Mode }); err != nil {
		return err
	}
	if err := a.setCaps(env); err != nil {
		return err
	}
	return a.sync(env)
}

// setModes gives these files the modes that follow from what they were.
func (a *Chown) setModes(env *Env, files []exception, mode func(old attrs) fs.FileMode) error {
	for _, x := range files {
		err := a.at(env, x.Rel, func(e changeable, st host.Stat) error {
			if x.Ino != 0 && x.Ino != st.Ino { // another file has the name by now
				return nil
			}
			want := attrsOf(st)
			want.Mode = mode(x.Was)
			return setAttrs(e, st, want)
		})
		if err != nil {
			return fmt.Errorf("chown %s: %w", a.Path, err)
		}
	}
	return nil
}

// at visits one entry of the tree, by descriptors from the root. One that is gone is not visited.
func (a *Chown) at(env *Env, rel string, do change) error {
	st, err := a.root(env.Host)
	if err != nil {
		return err
	}
	if !st.IsDir() {
		return a.each(env, do)
	}
	root, err := env.Host.OpenTreeWrite(a.Path)
	if err != nil {
		return err
	}
	err = visitBelow(root, rel, do)
	if host.Absent(err) {
		return nil
	}
	return err
}

// visitBelow closes root.
func visitBelow(root host.Dir, rel string, do change) error {
	dir, err := descend(root, path.Dir(rel))
	if err != nil {
		return err
	}
	defer dir.Close()
	if rel == "." {
		return visitDir(dir, do)
	}
	name := path.Base(rel)
	st, err := dir.Lstat(name)
	if err != nil {
		return err
	}
	if !st.IsDir() {
		return held(dir, name, func(e host.HeldWrite, st host.Stat) error { return do(e, st) })
	}
	self, err := dir.OpenDirWrite(name)
	if err != nil {
		return err
	}
	defer self.Close()
	return visitDir(self, do)
}

func visitDir(dir host.Dir, do change) error {
	st, err := dir.Self()
	if err != nil {
		return err
	}
	return do(itself{dir}, st)
}

// descend opens the directory at rel below dir, and closes dir.
func descend(dir host.Dir, rel string) (host.Dir, error) {
	if rel == "." {
		return dir, nil
	}
	above, err := descend(dir, path.Dir(rel))
	if err != nil {
		return nil, err
	}
	defer above.Close()
	return above.OpenDirWrite(path.Base(rel))
}

// compareEntries reports entries that are gone, or have another owner or mode than before. Those that came
// later are no difference. A run of a version that kept no roster is compared by count.
func (a *Chown) compareEntries(env *Env) (lines []string, err error) {
	if a.Names == nil {
		s, err := a.tally(env, nil)
		if err == nil && s.changes != a.Changes {
			lines = append(lines, fmt.Sprintf("%s: %d entries have the old owner or mode, %d had", a.Path, s.changes, a.Changes))
		}
		return lines, err
	}
	gone, wrong, came, err := a.compareRoster(env)
	if gone.n > 0 && !env.Upgraded { // while the new server's database stands, what it has deleted is its own
		lines = append(lines, fmt.Sprintf("%s: %d of %d entries are gone: %v", a.Path, gone.n, a.Changes, &gone))
	}
	if wrong.n > 0 {
		lines = append(lines, fmt.Sprintf("%s: %d of %d entries have not the old owner or mode: %v", a.Path, wrong.n, a.Changes, &wrong))
	}
	a.came = came
	return lines, err
}

// Since implements Newcomer.
func (a *Chown) Since() string {
	if a.came.n == 0 {
		return ""
	}
	return fmt.Sprintf("%d below %s: %v", a.came.n, a.Path, &a.came)
}

// Differences lists what is not as before, as far as the record says; entries that the inverse map
// took back are compared by whether the rule would change them.
func (a *Chown) Differences(env *Env) ([]string, error) {
	lines, err := a.compareEntries(env)
	if err != nil {
		return nil, err
	}
	err = a.eachException(env, func(x exception) error {
		return a.at(env, x.Rel, func(_ changeable, st host.Stat) error {
			if is := attrsOf(st); is.UID != x.Was.UID || is.GID != x.Was.GID || !st.IsSymlink() && is.Mode != x.Was.Mode {
				lines = append(lines, fmt.Sprintf("%s: is %d:%d %v, was %d:%d %v", path.Join(a.Path, x.Rel),
					is.UID, is.GID, is.Mode, x.Was.UID, x.Was.GID, x.Was.Mode))
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return a.lostCaps(env, lines)
}

// A roster lists the entries of a tree that a chown changes, by name, in the order of the walk: so an entry
// that came later is told from one that is gone, without any of it in memory. Each line is the number of
// bytes that a name shares with the one before it, and the rest, quoted.
type roster struct {
	w    io.Writer
	last string
	line []byte
}

func (r *roster) add(rel string) error {
	shared := 0
	for shared < min(len(rel), len(r.last)) && rel[shared] == r.last[shared] {
		shared++
	}
	r.last = rel
	r.line = append(strconv.AppendInt(r.line[:0], int64(shared), 10), ' ')
	r.line = append(strconv.AppendQuote(r.line, rel[shared:]), '\n')
	_, err := r.w.Write(r.line)
	return err
}

// rosterReader reads a roster, a name ahead.
type rosterReader struct {
	in   *bufio.Reader
	name string
	done bool
}

func (r *rosterReader) next() error {
	var shared int
	var rest string
	_, err := fmt.Fscanf(r.in, "%d %q\n", &shared, &rest)
	switch {
	case errors.Is(err, io.EOF):
		r.done = true
		return nil
	case err != nil:
		return fmt.Errorf("record of names: %w", err)
	case shared > len(r.name):
		return fmt.Errorf("record of names: %d bytes of %q", shared, r.name)
	}
	r.name = r.name[:shared] + rest
	return nil
}

// walkOrder compares names as a walk meets them: by name, what is in a directory before the directory.
func walkOrder(a, b string) int {
	switch {
	case a == b:
		return 0
	case a == ".":
		return 1
	case b == ".":
		return -1
	}
	as, bs := strings.Split(a, "/"), strings.Split(b, "/")
	shared := min(len(as), len(bs))
	if c := slices.Compare(as[:shared], bs[:shared]); c != 0 {
		return c
	}
	return len(bs) - len(as)
}

// few names the first of many.
type few struct {
	n     int
	names []string
}

func (f *few) add(name string) {
	if f.n++; len(f.names) < 5 {
		f.names = append(f.names, name)
	}
}

func (f *few) String() string {
	text := strings.Join(f.names, ", ")
	if more := f.n - len(f.names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// compareRoster finds which entries that the chown was to change are gone, which have another owner or mode
// than before, and which came later. What the rollback itself has moved aside, because the dump that it loaded does not
// know of it, is not gone: it is told of there. Nor is what went with a package that somebody has purged since: it came with
// the run.
func (a *Chown) compareRoster(env *Env) (gone, wrong, came few, err error) {
	f, err := env.Store.Open(*a.Names)
	if err != nil {
		return gone, wrong, came, err
	}
	defer f.Close()
	r := &rosterReader{in: bufio.NewReaderSize(f, 1<<16)}
	if err := r.next(); err != nil {
		return gone, wrong, came, err
	}
	withdrawn, err := env.withdrawnFiles()
	if err != nil {
		return gone, wrong, came, err
	}
	miss := func() error {
		if withdrawn[path.Join(a.Path, r.name)] {
			return r.next()
		}
		aside, err := exists(env.Host, path.Join(env.Store.Since(), a.Path, r.name))
		if err != nil {
			return err
		}
		if !aside {
			gone.add(r.name)
		}
		return r.next()
	}
	err = a.read(env, func(e tree.Entry[host.DirReader]) error {
		for !r.done && walkOrder(r.name, e.Rel) < 0 {
			if err := miss(); err != nil {
				return err
			}
		}
		changes := a.meant(e.Name, e.Stat) && a.Rule.apply(e.Stat) != attrsOf(e.Stat)
		if r.done || r.name != e.Rel {
			if changes {
				came.add(e.Rel)
			}
			return nil
		}
		if !changes {
			wrong.add(e.Rel)
		}
		return r.next()
	}, func(string) error { return nil })
	for err == nil && !r.done {
		err = miss()
	}
	return gone, wrong, came, err
}

// MarshalJSON and UnmarshalJSON keep names that are not UTF-8.
func (x exception) MarshalJSON() ([]byte, error) {
	type plain exception
	x.Rel = encodeName(x.Rel)
	return json.Marshal(plain(x))
}

func (x *exception) UnmarshalJSON(data []byte) error {
	type plain exception
	err := json.Unmarshal(data, (*plain)(x))
	if err == nil {
		x.Rel, err = decodeName(x.Rel)
	}
	return err
}
