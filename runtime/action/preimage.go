package action

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"time"

	"zcp2kopano/runtime/host"
)

// Preimage is what a path was before a change: enough to make it again.
type Preimage struct {
	Path   string            `json:"path"`
	Exists bool              `json:"exists"`
	Mode   fs.FileMode       `json:"mode,omitempty"` // type and permission bits
	UID    uint32            `json:"uid,omitempty"`
	GID    uint32            `json:"gid,omitempty"`
	Rdev   uint64            `json:"rdev,omitempty"`
	Mtime  time.Time         `json:"mtime,omitzero"`
	Atime  time.Time         `json:"atime,omitzero"`
	Target string            `json:"target,omitempty"` // of a symlink
	Blob   *Blob             `json:"blob,omitempty"`   // content of a regular file
	Xattrs map[string][]byte `json:"xattrs,omitempty"` // ACLs and security labels included
	Names  uint64            `json:"names,omitempty"`  // hard links of a regular file, if there are several
	Twin   string            `json:"twin,omitempty"`   // one of them in the same directory, if there is one
}

func (p Preimage) meta() meta {
	return meta{mode: p.Mode, uid: p.UID, gid: p.GID, atime: p.Atime, mtime: p.Mtime, xattrs: p.Xattrs}
}

// known is what a path held before, for keepSince.
func (p Preimage) known() string {
	if p.Blob != nil {
		return p.Blob.SHA256
	}
	return p.Target
}

// Save records what is at a path of the host: metadata, target, and content of a regular file. A
// directory is recorded without what it holds.
func (s *Store) Save(name string) (Preimage, error) {
	p := Preimage{Path: name}
	dir, err := s.Host.OpenTree(path.Dir(name))
	if host.Absent(err) {
		return p, nil
	}
	if err != nil {
		return p, err
	}
	defer dir.Close()
	base := path.Base(name)
	e, err := dir.Hold(base)
	if host.Absent(err) {
		return p, nil
	}
	if err != nil {
		return p, err
	}
	defer e.Close()
	m, st, err := metaOf(e)
	if err != nil {
		return p, err
	}
	p.Exists, p.Mode, p.UID, p.GID, p.Rdev = true, m.mode, m.uid, m.gid, st.Rdev
	p.Atime, p.Mtime, p.Xattrs = m.atime, m.mtime, m.xattrs
	switch {
	case st.IsSymlink():
		p.Target, err = e.Readlink()
	case st.IsRegular():
		if p.Blob, err = s.putContent(e); err != nil {
			return p, err
		}
		if st.Nlink > 1 {
			p.Names = st.Nlink
			p.Twin, err = twinOf(dir, base, st)
		}
	}
	return p, err
}

// putContent keeps what a file that is held holds.
func (s *Store) putContent(e host.Held) (*Blob, error) {
	f, err := e.Open()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := s.Put(f)
	return &b, err
}

// saveMeta is Store.Save without the content, for what is kept whole.
func saveMeta(env *Env, name string) (Preimage, error) {
	p := Preimage{Path: name, Exists: true}
	dir, err := env.Host.OpenTree(path.Dir(name))
	if err != nil {
		return p, err
	}
	defer dir.Close()
	m, err := readMeta(dir, path.Base(name))
	p.Mode, p.UID, p.GID, p.Atime, p.Mtime, p.Xattrs = m.mode, m.uid, m.gid, m.atime, m.mtime, m.xattrs
	return p, err
}

// twinOf finds another name of a file in its directory; empty if the others are elsewhere.
func twinOf(dir host.DirReader, base string, st host.Stat) (string, error) {
	list, err := dir.ReadDir()
	if err != nil {
		return "", err
	}
	for _, e := range list {
		if e.Name == base || !e.Type.IsRegular() {
			continue
		}
		other, err := dir.Lstat(e.Name)
		if err != nil && !host.Absent(err) {
			return "", err
		}
		if err == nil && other.Dev == st.Dev && other.Ino == st.Ino {
			return e.Name, nil
		}
	}
	return "", nil
}

// Restore makes a path what it was: metadata, target and content. It replaces files and symlinks
// atomically, and does nothing where nothing differs. It never removes what a directory holds.
func (s *Store) Restore(p Preimage) error {
	sum := sha256.Sum256([]byte(p.Path))
	return s.restore(p, tempPrefix+"restore-"+hex.EncodeToString(sum[:6]))
}

// restoreAll puts paths back, in this order.
func restoreAll(env *Env, before []Preimage) error {
	for _, p := range before {
		if err := env.Store.Restore(p); err != nil {
			return err
		}
	}
	return nil
}

// restore is Restore with the name for the unfinished file.
func (s *Store) restore(p Preimage, tmp string) error {
	dir, err := s.Host.OpenTreeWrite(path.Dir(p.Path))
	if host.Absent(err) && !p.Exists {
		return nil
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := unlinkIfThere(dir, tmp); err != nil {
		return err
	}
	differences, err := s.Compare(p)
	if err != nil || len(differences) == 0 {
		return err
	}
	if err := s.put(dir, path.Base(p.Path), tmp, p); err != nil {
		return fmt.Errorf("restore %s: %w", p.Path, err)
	}
	if p.Mode.IsDir() {
		return syncOwn(dir, path.Base(p.Path))
	}
	return dir.SyncSelf()
}

func (s *Store) put(dir host.Dir, base, tmp string, p Preimage) error {
	st, err := dir.Lstat(base)
	if err != nil && !host.Absent(err) {
		return err
	}
	there := err == nil
	switch {
	case !p.Exists && st.IsDir():
		return dir.Rmdir(base)
	case !p.Exists:
		return dir.Unlink(base)
	case p.Mode.IsDir():
		if there && !st.IsDir() {
			return errors.New("something that is not a directory is there now; move it away and try again")
		}
		if !there {
			if err := dir.Mkdir(base, 0o700); err != nil {
				return err
			}
		}
		return setMeta(dir, base, p.meta())
	case there && st.IsDir():
		return errors.New("a directory is there now; move it away and try again")
	}
	if twin, err := s.twin(dir, p); err != nil {
		return err
	} else if twin != nil {
		return putTwin(dir, base, tmp, p, *twin)
	}
	if err := s.make(dir, tmp, p); err != nil {
		return err
	}
	if err := setNewMeta(dir, tmp, p.meta()); err != nil {
		return err
	}
	return dir.Rename(tmp, dir, base)
}

// twin looks at the file that the path was another name of, if it is still there, unchanged.
func (s *Store) twin(dir host.DirReader, p Preimage) (*host.Stat, error) {
	if p.Twin == "" {
		return nil, nil
	}
	e, err := dir.Hold(p.Twin)
	if host.Absent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer e.Close()
	st, err := e.Stat()
	if err != nil || !st.IsRegular() || st.Size != p.Blob.Size {
		return nil, err
	}
	sum, err := digestOf(e)
	if errors.Is(err, host.ErrUnknown) || err == nil && sum != p.Blob.SHA256 {
		return nil, nil
	}
	return &st, err
}

// putTwin makes a path a name of its twin's file again.
func putTwin(dir host.Dir, base, tmp string, p Preimage, twin host.Stat) error {
	if err := dir.Link(p.Twin, dir, tmp); err != nil {
		return err
	}
	err := held(dir, tmp, func(e host.HeldWrite, st host.Stat) error {
		if st.Dev != twin.Dev || st.Ino != twin.Ino {
			return host.ErrExchanged
		}
		return setMetaOf(e, st, p.meta())
	})
	if err != nil {
		return err
	}
	if err := dir.Rename(tmp, dir, base); err != nil {
		return err
	}
	return unlinkIfThere(dir, tmp) // rename(2) leaves both names where they are one file already
}

// make creates a file, symlink or special file without its metadata.
func (s *Store) make(dir host.Dir, name string, p Preimage) error {
	switch {
	case p.Mode.IsRegular():
		from, err := s.Open(*p.Blob)
		if err != nil {
			return err
		}
		defer from.Close()
		return writeFile(dir, name, from)
	case p.Mode&fs.ModeSymlink != 0:
		return dir.Symlink(p.Target, name)
	default:
		return dir.Mknod(name, p.Mode, p.Rdev)
	}
}

// Compare lists how a path differs from its pre-image, a line each; nil if it does not. Times are
// compared for regular files only: those of a directory change with its entries.
func (s *Store) Compare(p Preimage) ([]string, error) {
	dir, err := s.Host.OpenTree(path.Dir(p.Path))
	if host.Absent(err) {
		if p.Exists {
			return []string{p.Path + ": is missing"}, nil
		}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	base := path.Base(p.Path)
	st, err := dir.Lstat(base)
	switch {
	case host.Absent(err) && p.Exists:
		return []string{p.Path + ": is missing"}, nil
	case host.Absent(err):
		return nil, nil
	case err != nil:
		return nil, err
	case !p.Exists:
		return []string{p.Path + ": was not there before"}, nil
	case st.Mode.Type() != p.Mode.Type():
		return []string{fmt.Sprintf("%s: is %s, was %s", p.Path, typeName(st.Mode), typeName(p.Mode))}, nil
	}
	return s.compareEntry(dir, base, st, p)
}

func (s *Store) compareEntry(dir host.DirReader, base string, st host.Stat, p Preimage) ([]string, error) {
	var lines []string
	differs := func(what string, is, was any) {
		lines = append(lines, fmt.Sprintf("%s: %s is %v, was %v", p.Path, what, is, was))
	}
	if st.UID != p.UID || st.GID != p.GID {
		differs("owner", fmt.Sprintf("%d:%d", st.UID, st.GID), fmt.Sprintf("%d:%d", p.UID, p.GID))
	}
	if !st.IsSymlink() && st.Perm() != perm(p.Mode) {
		differs("mode", st.Perm(), perm(p.Mode))
	}
	xattrs, err := readXattrs(dir, base)
	if err != nil {
		return nil, err
	}
	attrs := map[string]bool{}
	for attr := range xattrs {
		attrs[attr] = true
	}
	for attr := range p.Xattrs {
		attrs[attr] = true
	}
	for _, attr := range slices.Sorted(maps.Keys(attrs)) {
		if !bytes.Equal(xattrs[attr], p.Xattrs[attr]) {
			lines = append(lines, fmt.Sprintf("%s: extended attribute %s differs", p.Path, attr))
		}
	}
	if st.IsSymlink() {
		target, err := dir.Readlink(base)
		if err != nil {
			return nil, err
		}
		if target != p.Target {
			differs("target", target, p.Target)
		}
	}
	if !st.IsRegular() {
		return lines, nil
	}
	if st.Nlink < p.Names {
		differs("number of names (hard links)", st.Nlink, p.Names)
	}
	if !sameTime(st.Mtime, p.Mtime) {
		differs("modification time", st.Mtime.UTC().Format(time.RFC3339), p.Mtime.UTC().Format(time.RFC3339))
	}
	same := st.Size == p.Blob.Size
	if same {
		sum, err := digest(dir, base)
		if err != nil && !errors.Is(err, host.ErrUnknown) {
			return nil, err
		}
		same = sum == p.Blob.SHA256 // what a simulated host does not know is not what was kept
	}
	if !same {
		lines = append(lines, p.Path+": content differs")
	}
	return lines, nil
}

// compareMeta is Store.Compare for a pre-image that was taken without content.
func compareMeta(env *Env, p Preimage) ([]string, error) {
	now, err := saveMeta(env, p.Path)
	if host.Absent(err) {
		return []string{p.Path + ": is missing"}, nil
	}
	if err != nil {
		return nil, err
	}
	var lines []string
	if now.Mode != p.Mode {
		lines = append(lines, fmt.Sprintf("%s: mode is %v, was %v", p.Path, now.Mode, p.Mode))
	}
	if now.UID != p.UID || now.GID != p.GID {
		lines = append(lines, fmt.Sprintf("%s: owner is %d:%d, was %d:%d", p.Path, now.UID, now.GID, p.UID, p.GID))
	}
	return lines, nil
}

func compareAll(env *Env, before []Preimage) ([]string, error) {
	var lines []string
	for _, p := range before {
		more, err := env.Store.Compare(p)
		if err != nil {
			return nil, err
		}
		lines = append(lines, more...)
	}
	return lines, nil
}

func typeName(mode fs.FileMode) string {
	switch mode.Type() {
	case 0:
		return "a regular file"
	case fs.ModeDir:
		return "a directory"
	case fs.ModeSymlink:
		return "a symlink"
	case fs.ModeNamedPipe:
		return "a FIFO"
	case fs.ModeSocket:
		return "a socket"
	default:
		return "a device"
	}
}

// MarshalJSON and UnmarshalJSON keep names that are not UTF-8.
func (p Preimage) MarshalJSON() ([]byte, error) {
	type plain Preimage
	p.Path, p.Target, p.Twin = encodeName(p.Path), encodeName(p.Target), encodeName(p.Twin)
	return json.Marshal(plain(p))
}

func (p *Preimage) UnmarshalJSON(data []byte) error {
	type plain Preimage
	err := json.Unmarshal(data, (*plain)(p))
	if err == nil {
		p.Path, err = decodeName(p.Path)
	}
	if err == nil {
		p.Target, err = decodeName(p.Target)
	}
	if err == nil {
		p.Twin, err = decodeName(p.Twin)
	}
	return err
}
