package cfg

import (
	"bytes"
	"io/fs"
	"path"
	"sort"
	"strings"
	"syscall"

	"zcp2kopano/runtime/host"
)

// fakeFiles is a host's files: content by path; "-> target" is a symlink. Directories follow from
// the paths.
type fakeFiles struct {
	host.View
	files map[string]string
}

type fakeFile struct {
	*bytes.Reader
	size int64
}

func (f fakeFile) Write([]byte) (int, error) { return 0, syscall.EBADF }
func (f fakeFile) Close() error              { return nil }
func (f fakeFile) Truncate(int64) error      { return syscall.EBADF }
func (f fakeFile) Sync() error               { return nil }
func (f fakeFile) Stat() (host.Stat, error)  { return host.Stat{Mode: 0o644, Size: f.size}, nil }

func (v fakeFiles) Open(name string) (host.File, error) {
	st, err := v.Stat(name)
	if err != nil {
		return nil, err
	}
	if st.IsDir() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EISDIR}
	}
	content := v.files[name]
	if content == "unreadable" {
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EACCES}
	}
	return fakeFile{bytes.NewReader([]byte(content)), int64(len(content))}, nil
}

func (v fakeFiles) Lstat(name string) (host.Stat, error) {
	if content, ok := v.files[name]; ok {
		mode := fs.FileMode(0o644)
		if strings.HasPrefix(content, "-> ") {
			mode = fs.ModeSymlink | 0o777
		}
		return host.Stat{Mode: mode, Size: int64(len(content)), Nlink: 1}, nil
	}
	for p := range v.files {
		if strings.HasPrefix(p, name+"/") {
			return host.Stat{Mode: fs.ModeDir | 0o755}, nil
		}
	}
	return host.Stat{}, &fs.PathError{Op: "lstat", Path: name, Err: syscall.ENOENT}
}

func (v fakeFiles) Stat(name string) (host.Stat, error) { return v.Lstat(name) }

func (v fakeFiles) Readlink(name string) (string, error) {
	return strings.TrimPrefix(v.files[name], "-> "), nil
}

func (v fakeFiles) ReadDir(name string) ([]host.DirEntry, error) {
	seen := map[string]bool{}
	for p := range v.files {
		if rest, ok := strings.CutPrefix(p, name+"/"); ok {
			first, _, _ := strings.Cut(rest, "/")
			seen[first] = true
		}
	}
	if len(seen) == 0 {
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.ENOENT}
	}
	var list []host.DirEntry
	for n := range seen {
		st, _ := v.Lstat(path.Join(name, n))
		list = append(list, host.DirEntry{Name: n, Type: st.Mode.Type()})
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	return list, nil
}
