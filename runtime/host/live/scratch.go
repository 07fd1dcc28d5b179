package live

import (
	"crypto/rand"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/host"
)

// scratch is a private directory (mode 0700) inside the host, for files that a command must read. It
// lives in memory (/run) where it can, because passwords may be among them.
type scratch struct {
	space *space
	path  string
}

func (v *View) newScratch(parents ...string) (*scratch, error) {
	var err error
	for _, parent := range parents {
		path := parent + "/zcp2kopano-" + rand.Text()
		if err = v.space.mkdir(path, 0o700); err == nil {
			return &scratch{v.space, path}, nil
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

// remove takes the directory away with all that is in it.
func (s *scratch) remove() error {
	if err := s.space.removeTree(s.path); err != nil {
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
