// Package manifest writes down the whole state of a host, and compares two such states entry by entry.
//
// The same code reads a real host and a simulated one, so that what a simulation predicts can be held
// against what happened, and a host after a rollback against itself before the run.
package manifest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"path"
	"sort"
	"strconv"
	"strings"
	"time"

	"zcp2kopano/runtime/host"
)

// Manifest is the state of a host.
type Manifest struct {
	Files    map[string]Entry  `json:"files"`    // by path
	Packages map[string]string `json:"packages"` // name to "VERSION STATUS"
	Services map[string]string `json:"services"` // name to "active enabled", "inactive disabled", ...
}

// Entry is one file, directory or other inode.
type Entry struct {
	Type   string            `json:"type"`             // "file", "dir", "symlink", "fifo", "socket", "device"
	Mode   string            `json:"mode"`             // octal permission bits with setuid, setgid, sticky
	Owner  string            `json:"owner"`            // account name, or the number if there is none
	Group  string            `json:"group"`            //
	Target string            `json:"target,omitempty"` // of a symlink
	Size   int64             `json:"size,omitempty"`   // of a file
	Digest string            `json:"digest,omitempty"` // of a file's content, SHA-256 unless Options say another; Unknown if the host does not hold it
	Links  uint64            `json:"links,omitempty"`  // of a file with more than one name
	Device uint64            `json:"device,omitempty"` // of a device
	Xattrs map[string]string `json:"xattrs,omitempty"` // values in hex
	Mtime  string            `json:"mtime,omitempty"`  // with Options.Times
}

// Unknown is the digest of content that a simulated host only knows the size of.
const Unknown = "unknown"

// Options say how much is written down.
type Options struct {
	// Ignore are path.Match patterns; what matches is left out with everything below it. "/run/*"
	// leaves out the content of a directory and keeps the directory.
	Ignore []string
	// Times adds modification times.
	Times bool
	// Censor changes the content of files below /etc before its size and digest are taken, so that a
	// fixture whose secrets were replaced compares with the host that it was captured from.
	Censor func(name, text string) string `json:"-"`
	// Sum makes the digests; SHA-256 if it is nil.
	Sum func() hash.Hash `json:"-"`
	// Roots are where to begin; "/" if empty.
	Roots []string
}

// Volatile is what differs between any two states and says nothing about a migration: kernel and run
// time file systems, the package manager's own files (its packages are compared as such), caches,
// logs of the package manager, what accounts tools keep as the former version, and this program's state.
var Volatile = []string{
	"/proc", "/sys", "/dev", "/run/*", "/tmp/*", "/var/tmp/*",
	"/var/lib/dpkg", "/var/lib/apt", "/var/cache", "/var/log/dpkg.log", "/var/log/apt", "/var/log/alternatives.log",
	"/etc/ld.so.cache", "/etc/passwd-", "/etc/shadow-", "/etc/group-", "/etc/gshadow-", "/etc/subuid-", "/etc/subgid-",
	"/var/lib/systemd/deb-systemd-helper-*", "/var/lib/zcp2kopano",
}

// Take writes a host's state down. It reads every file that is not ignored.
func Take(view host.View, opts Options) (*Manifest, error) {
	if opts.Sum == nil {
		opts.Sum = sha256.New
	}
	t := &taker{view: view, opts: opts, files: map[string]Entry{}, users: map[uint32]string{}, groups: map[uint32]string{}, buffer: make([]byte, 64<<10)}
	roots := opts.Roots
	if len(roots) == 0 {
		roots = []string{"/"}
	}
	for _, root := range roots {
		if err := t.root(root); err != nil {
			return nil, err
		}
	}
	packages, err := packageStates(view)
	if err != nil {
		return nil, err
	}
	services, err := serviceStates(view)
	if err != nil {
		return nil, err
	}
	return &Manifest{Files: t.files, Packages: packages, Services: services}, nil
}

func packageStates(view host.View) (map[string]string, error) {
	packages, err := view.Packages()
	if err != nil {
		return nil, fmt.Errorf("packages: %w", err)
	}
	states := map[string]string{}
	for _, p := range packages {
		states[p.Name] = p.Version + " " + p.Status
	}
	return states, nil
}

func serviceStates(view host.View) (map[string]string, error) {
	services, err := view.Services("*")
	if err != nil {
		return nil, fmt.Errorf("services: %w", err)
	}
	states := map[string]string{}
	for _, s := range services {
		states[s.Name] = word(s.Active, "active", "inactive") + " " + word(s.Enabled, "enabled", "disabled") + word(s.Masked, " masked", "")
	}
	return states, nil
}

func word(is bool, yes, no string) string {
	if is {
		return yes
	}
	return no
}

type taker struct {
	view   host.View
	opts   Options
	files  map[string]Entry
	users  map[uint32]string
	groups map[uint32]string
	buffer []byte // for all files, one after the other
}

func (t *taker) ignored(name string) bool {
	for _, pattern := range t.opts.Ignore {
		if ok, _ := path.Match(pattern, name); ok {
			return true
		}
	}
	return false
}

func (t *taker) root(name string) error {
	dir, err := t.view.OpenTree(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	st, err := dir.Self()
	if err != nil {
		return err
	}
	t.files[name] = t.entry(st)
	return t.dir(name, dir)
}

func (t *taker) dir(name string, dir host.DirReader) error {
	entries, err := dir.ReadDir()
	if err != nil {
		return err
	}
	for _, e := range entries {
		full := path.Join(name, e.Name)
		if t.ignored(full) {
			continue
		}
		if err := t.one(full, dir, e.Name); err != nil {
			return fmt.Errorf("%s: %w", full, err)
		}
	}
	return nil
}

func (t *taker) one(full string, dir host.DirReader, name string) error {
	st, err := dir.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) { // gone since it was listed
		return nil
	}
	if err != nil {
		return err
	}
	entry := t.entry(st)
	if entry.Xattrs, err = xattrs(dir, name); err != nil {
		return err
	}
	switch {
	case st.IsSymlink():
		entry.Target, err = dir.Readlink(name)
	case st.IsRegular():
		if t.opts.Censor != nil && strings.HasPrefix(full, "/etc/") {
			entry.Size, entry.Digest, err = t.censored(dir, full, entry.Size)
			break
		}
		entry.Digest, err = t.digest(dir, name)
	}
	if err != nil {
		return err
	}
	t.files[full] = entry
	if !st.IsDir() {
		return nil
	}
	below, err := dir.OpenDir(name)
	if err != nil {
		return err
	}
	defer below.Close()
	return t.dir(full, below)
}

func (t *taker) entry(st host.Stat) Entry {
	e := Entry{
		Type: TypeName(st.Mode), Mode: "0" + strconv.FormatUint(uint64(host.PermBits(st.Mode)), 8),
		Owner: t.user(st.UID), Group: t.group(st.GID),
	}
	if st.IsRegular() {
		e.Size = st.Size
		if st.Nlink > 1 {
			e.Links = st.Nlink
		}
	}
	if e.Type == "device" {
		e.Device = st.Rdev
	}
	if t.opts.Times {
		e.Mtime = st.Mtime.UTC().Format(time.RFC3339Nano)
	}
	return e
}

// TypeName says what kind of file it is.
func TypeName(mode fs.FileMode) string {
	switch {
	case mode.IsRegular():
		return "file"
	case mode.IsDir():
		return "dir"
	case mode&fs.ModeSymlink != 0:
		return "symlink"
	case mode&fs.ModeNamedPipe != 0:
		return "fifo"
	case mode&fs.ModeSocket != 0:
		return "socket"
	}
	return "device"
}

func (t *taker) user(uid uint32) string {
	if name, ok := t.users[uid]; ok {
		return name
	}
	t.users[uid] = strconv.FormatUint(uint64(uid), 10)
	if u, err := t.view.UserID(uid); err == nil {
		t.users[uid] = u.Name
	}
	return t.users[uid]
}

func (t *taker) group(gid uint32) string {
	if name, ok := t.groups[gid]; ok {
		return name
	}
	t.groups[gid] = strconv.FormatUint(uint64(gid), 10)
	if g, err := t.view.GroupID(gid); err == nil {
		t.groups[gid] = g.Name
	}
	return t.groups[gid]
}

func xattrs(dir host.DirReader, name string) (map[string]string, error) {
	names, err := dir.Listxattr(name)
	if errors.Is(err, errors.ErrUnsupported) || len(names) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	sort.Strings(names)
	values := map[string]string{}
	for _, attr := range names {
		value, err := dir.Getxattr(name, attr)
		if err != nil {
			return nil, err
		}
		values[attr] = hex.EncodeToString(value)
	}
	return values, nil
}

// censored is the size and the digest of a file's content without its secrets.
func (t *taker) censored(dir host.DirReader, full string, size int64) (int64, string, error) {
	f, err := dir.Open(path.Base(full))
	if errors.Is(err, host.ErrUnknown) {
		return size, Unknown, nil
	}
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if errors.Is(err, host.ErrUnknown) {
		return size, Unknown, nil
	}
	if err != nil {
		return 0, "", err
	}
	text := t.opts.Censor(full, string(data))
	sum := t.opts.Sum()
	io.WriteString(sum, text)
	return int64(len(text)), hex.EncodeToString(sum.Sum(nil)), nil
}

func (t *taker) digest(dir host.DirReader, name string) (string, error) {
	f, err := dir.Open(name)
	if errors.Is(err, host.ErrUnknown) {
		return Unknown, nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := t.opts.Sum()
	if _, err := io.CopyBuffer(sum, f, t.buffer); errors.Is(err, host.ErrUnknown) {
		return Unknown, nil
	} else if err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
