package live

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/host"
)

// scratch is a private directory (mode 0700) inside the host, for files that a command must read. It
// lives in memory (/run) where it can, because passwords may be among them.
type scratch struct {
	space *space
	path  string
}

// scratchPrefix stands before the process that made a scratch, and a random text.
const scratchPrefix = "zcp2kopano-"

// scratchParents are where a scratch may be.
var scratchParents = []string{"/run", "/tmp", "/var/tmp"}

func (s *space) removeLeftovers(parent string) error {
	entries, err := s.ReadDir(parent)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		path := parent + "/" + e.Name
		if left, err := s.isLeftover(path); err != nil || !left {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, (&scratch{s, path}).remove())
	}
	return errors.Join(errs...)
}

// isLeftover looks at owner and mode too: anybody may give a directory below /tmp any name.
func (s *space) isLeftover(path string) (bool, error) {
	rest, ours := strings.CutPrefix(baseName(path), scratchPrefix)
	number, _, _ := strings.Cut(rest, "-")
	pid, err := strconv.Atoi(number)
	if !ours || err != nil || pid <= 0 {
		return false, nil
	}
	if pid != os.Getpid() && !errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
		return false, nil
	}
	st, err := s.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && st.IsDir() && st.UID == s.euid && st.Perm() == 0o700, err
}

func (s *space) newScratch(parents ...string) (*scratch, error) {
	var err error
	for _, parent := range parents {
		path := fmt.Sprintf("%s/%s%d-%s", parent, scratchPrefix, os.Getpid(), rand.Text())
		if err = s.mkdir(path, 0o700); err == nil {
			return &scratch{s, path}, nil
		}
	}
	return nil, fmt.Errorf("private directory for temporary files: %w", err)
}

// write makes a file of mode 0600, with the directories on the way to it.
func (s *scratch) write(name string, content []byte) error {
	if err := s.mkdirs(name); err != nil {
		return err
	}
	f, err := s.space.create(s.path+"/"+name, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

func (s *scratch) mkdirs(name string) error {
	for i, c := range name {
		if c != '/' || i == 0 {
			continue
		}
		err := s.space.mkdir(s.path+"/"+name[:i], 0o700)
		if err != nil && !isErrno(err, unix.EEXIST) {
			return err
		}
	}
	return nil
}

// removeTries is how often a scratch is tried to be removed. An agent that gpg leaves behind ends when
// its directory goes, and may add or remove a file of its own meanwhile.
const removeTries = 40

// remove takes the directory away with all that is in it.
func (s *scratch) remove() error {
	var err error
	for range removeTries {
		err = s.space.removeTree(s.path)
		if !isErrno(err, unix.ENOTEMPTY) && !isErrno(err, unix.ENOENT) {
			break
		}
		if _, gone := s.space.stat("lstat", s.path, lastItself); isErrno(gone, unix.ENOENT) {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err != nil {
		return fmt.Errorf("temporary files stay behind: %w", err)
	}
	return nil
}

// removeTree removes a directory and everything below, following nothing.
func (s *space) removeTree(path string) error {
	t, err := s.openTree(path)
	if err != nil {
		return err
	}
	err = emptyDir(&tree{t})
	t.Close()
	if err != nil {
		return err
	}
	return s.rmdir(path)
}

func emptyDir(d host.Dir) error {
	entries, err := d.ReadDir()
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.Type.IsDir() {
			if err := d.Unlink(e.Name); err != nil {
				return err
			}
			continue
		}
		sub, err := d.OpenDirWrite(e.Name)
		if err != nil {
			return err
		}
		err = emptyDir(sub)
		sub.Close()
		if err != nil {
			return err
		}
		if err := d.Rmdir(e.Name); err != nil {
			return err
		}
	}
	return nil
}

// baseName is the last component of a path.
func baseName(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }
