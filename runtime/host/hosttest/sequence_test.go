package hosttest

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/sim/simfs"
)

func setgroups(groups []uint32) {
	var first unsafe.Pointer
	if len(groups) > 0 {
		first = unsafe.Pointer(&groups[0])
	}
	unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(first), 0)
}

// op is one operation of a random sequence, as data: so it can be played on several file systems,
// and rapid can shrink it.
type op struct {
	name string
	path string
	to   string
	mode fs.FileMode
	uid  int
	gid  int
	num  int64
	slot int
	asID int // who does it: 0 or other
}

func (o op) String() string {
	return fmt.Sprintf("%-12s %q %q mode=%v uid=%d gid=%d num=%d slot=%d as=%d",
		o.name, o.path, o.to, o.mode, o.uid, o.gid, o.num, o.slot, o.asID)
}

// player plays operations on one file system and keeps what they opened.
type player struct {
	fs    FS
	files [2]host.File
	dirs  [2]host.Dir
}

const other = 1000

var otherGroups = []uint32{other, 50}

// play returns what the operation told, errors included.
func (p *player) play(o op) (answer string, err error) {
	switch o.name {
	case "create":
		return "", p.keepFile(o, func() (host.File, error) { return p.fs.Create(o.path, o.mode) })
	case "open":
		return "", p.keepFile(o, func() (host.File, error) { return p.fs.Open(o.path) })
	case "openwrite":
		return "", p.keepFile(o, func() (host.File, error) { return p.fs.OpenWrite(o.path) })
	case "mkdir":
		return "", p.fs.Mkdir(o.path, o.mode)
	case "unlink":
		return "", p.fs.Unlink(o.path)
	case "rmdir":
		return "", p.fs.Rmdir(o.path)
	case "rename":
		return "", p.fs.Rename(o.path, o.to)
	case "link":
		return "", p.fs.Link(o.path, o.to)
	case "symlink":
		return "", p.fs.Symlink(o.to, o.path)
	case "mknod":
		return "", p.fs.Mknod(o.path, o.mode, uint64(o.num))
	case "chmod":
		return "", p.fs.Chmod(o.path, o.mode)
	case "lchown":
		return "", p.fs.Lchown(o.path, o.uid, o.gid)
	case "chtimes":
		return "", p.fs.Chtimes(o.path, oldTime(o.num), oldTime(o.num+1))
	case "setxattr":
		return "", p.fs.Setxattr(o.path, o.to, attrValue(o))
	case "removexattr":
		return "", p.fs.Removexattr(o.path, o.to)
	case "getxattr":
		value, err := p.fs.Getxattr(o.path, o.to)
		return string(value), err
	case "stat":
		st, err := p.fs.Stat(o.path)
		return tellStat(st), err
	case "lstat":
		st, err := p.fs.Lstat(o.path)
		return tellStat(st), err
	case "readlink":
		return p.fs.Readlink(o.path)
	case "readdir":
		entries, err := p.fs.ReadDir(o.path)
		return fmt.Sprint(entries), err
	case "syncdir":
		return "", p.fs.SyncDir(o.path)
	case "statfs":
		_, err := p.fs.Statfs(o.path)
		return "", err
	case "listxattr":
		attrs, err := p.fs.Listxattr(o.path)
		return fmt.Sprint(attrs), err
	case "opentreeread":
		d, err := p.fs.OpenTree(o.path)
		if err == nil {
			d.Close()
		}
		return "", err
	case "opentree":
		return "", p.keepDir(o, func() (host.Dir, error) { return p.fs.OpenTreeWrite(o.path) })
	}
	if strings.HasPrefix(o.name, "f.") {
		return p.playFile(o)
	}
	return p.playDir(o)
}

// attrValue is any text, or file capabilities of the kernel's format.
func attrValue(o op) []byte {
	if o.to == "security.capability" && o.num > 0 {
		return append([]byte{1, 0, 0, 2}, make([]byte, 16)...)
	}
	return []byte(o.mode.String())
}

// oldTime is a time that no clock gives, so that it is seen whether it stays; 0 leaves as it is.
func oldTime(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(1_000_000_000+n, 123)
}

func tellStat(st host.Stat) string {
	if st.IsDir() || st.IsSymlink() {
		st.Size = 0
	}
	return fmt.Sprint(st.Mode, st.UID, st.GID, st.Size, st.Nlink, st.Rdev)
}

func (p *player) keepFile(o op, open func() (host.File, error)) error {
	f, err := open()
	if err != nil {
		return err
	}
	if old := p.files[o.slot]; old != nil {
		old.Close()
	}
	p.files[o.slot] = f
	return nil
}

func (p *player) keepDir(o op, open func() (host.Dir, error)) error {
	d, err := open()
	if err != nil {
		return err
	}
	if old := p.dirs[o.slot]; old != nil {
		old.Close()
	}
	p.dirs[o.slot] = d
	return nil
}

func (p *player) close() {
	for i := range p.files {
		if p.files[i] != nil {
			p.files[i].Close()
		}
		if p.dirs[i] != nil {
			p.dirs[i].Close()
		}
	}
}

func (p *player) playFile(o op) (string, error) {
	f := p.files[o.slot]
	if f == nil {
		return "", nil
	}
	switch o.name {
	case "f.write":
		data := strings.Repeat(o.path, int(o.num))
		n, err := io.WriteString(f, data)
		return fmt.Sprint(n), err
	case "f.read":
		buf := make([]byte, o.num)
		n, err := f.Read(buf)
		return string(buf[:n]), err
	case "f.readat":
		buf := make([]byte, 100)
		n, err := f.ReadAt(buf, o.num)
		return string(buf[:n]), err
	case "f.seek":
		pos, err := f.Seek(o.num, o.slot)
		return fmt.Sprint(pos), err
	case "f.truncate":
		return "", f.Truncate(o.num)
	case "f.stat":
		st, err := f.Stat()
		return tellStat(st), err
	case "f.sync":
		return "", f.Sync()
	case "f.close":
		p.files[o.slot] = nil
		return "", f.Close()
	}
	panic(o.name)
}

// target is the open directory that an entry of d gets another name in.
func (p *player) target(d host.Dir, o op) host.Dir {
	if to := p.dirs[o.num%2]; to != nil {
		return to
	}
	return d
}

func (p *player) playDir(o op) (string, error) {
	d := p.dirs[o.slot]
	if d == nil {
		return "", nil
	}
	name := o.path
	switch o.name {
	case "d.self":
		st, err := d.Self()
		return tellStat(st), err
	case "d.readdir":
		entries, err := d.ReadDir()
		return fmt.Sprint(entries), err
	case "d.lstat":
		st, err := d.Lstat(name)
		return tellStat(st), err
	case "d.readlink":
		return d.Readlink(name)
	case "d.open":
		return "", p.keepFile(o, func() (host.File, error) { return d.Open(name) })
	case "d.opendir":
		return "", p.keepDir(o, func() (host.Dir, error) { return d.OpenDirWrite(name) })
	case "d.create":
		return "", p.keepFile(o, func() (host.File, error) { return d.Create(name, o.mode) })
	case "d.mkdir":
		return "", d.Mkdir(name, o.mode)
	case "d.symlink":
		return "", d.Symlink(o.to, name)
	case "d.link":
		return "", d.Link(name, p.target(d, o), o.to)
	case "d.unlink":
		return "", d.Unlink(name)
	case "d.rmdir":
		return "", d.Rmdir(name)
	case "d.rename":
		return "", d.Rename(name, p.target(d, o), o.to)
	case "d.chmod":
		return "", held(d, name, func(e host.HeldWrite) error { return e.Chmod(o.mode) })
	case "d.lchown":
		return "", held(d, name, func(e host.HeldWrite) error { return e.Chown(o.uid, o.gid) })
	case "d.chtimes":
		return "", held(d, name, func(e host.HeldWrite) error { return e.Chtimes(oldTime(o.num), oldTime(o.num+1)) })
	case "d.chmodself":
		return "", d.ChmodSelf(o.mode)
	case "d.chownself":
		return "", d.ChownSelf(o.uid, o.gid)
	case "d.chtimesself":
		return "", d.ChtimesSelf(oldTime(o.num), oldTime(o.num+1))
	case "d.sync":
		return "", d.SyncSelf()
	}
	panic(o.name)
}

// Names are few, so that operations meet.
var (
	opNames = []string{
		"create", "create", "open", "openwrite", "openwrite", "mkdir", "mkdir", "mkdir", "unlink", "unlink", "rmdir", "rename", "rename", "rename", "rename",
		"link", "link", "symlink", "symlink", "mknod", "chmod", "lchown", "lchown", "chtimes", "setxattr", "removexattr", "getxattr", "stat",
		"lstat", "readlink", "readdir", "syncdir", "opentree", "opentreeread", "statfs", "listxattr",
		"f.write", "f.write", "f.write", "f.read", "f.readat", "f.seek", "f.truncate", "f.truncate", "f.stat", "f.sync", "f.close",
		"d.self", "d.readdir", "d.lstat", "d.readlink", "d.open", "d.opendir", "d.create", "d.mkdir", "d.symlink", "d.link", "d.unlink",
		"d.rmdir", "d.rename", "d.rename", "d.chmod", "d.lchown", "d.chtimes", "d.chmodself", "d.chownself", "d.chtimesself", "d.sync",
	}
	names    = []string{"a", "b", "c", "a", "b", "c", "a", "b", "l", "..", "."}
	single   = []string{"a", "b", "c", "l"}
	odd      = []string{"", "/", "//a", "/a/", "/b//", "/l/", "/a/b/", strings.Repeat("/a", 2048), "/" + strings.Repeat("n", 256), "/a/" + strings.Repeat("n", 255), "/a\x00b", "/./a", "/../b"}
	modes    = []fs.FileMode{0o755, 0o644, 0o777, 0o700, 0o600, 0o555, 0, 0o775 | fs.ModeSetgid, 0o755 | fs.ModeSetuid, 0o777 | fs.ModeSticky, 0o664 | fs.ModeSetgid, 0o6777&0o777 | fs.ModeSetuid | fs.ModeSetgid}
	nodes    = []fs.FileMode{0, fs.ModeNamedPipe, fs.ModeSocket, fs.ModeDevice, fs.ModeDevice | fs.ModeCharDevice, fs.ModeDir, fs.ModeSymlink}
	ids      = []int{-1, 0, other, 50, 7}
	attrs    = []string{"user.a", "user.b", "trusted.a", "security.capability", "security.x", "", "bad", "user.", "other.a"}
	sizes    = []int64{0, 1, 10, 100, 4095, 4096, 4097, 9000, 20000}
	dirNames = []string{"a", "b", "c", "l", "a", "b", "", ".", "..", "a/b", strings.Repeat("n", 256)}
)

// machine is what machines differ in: then operations that would show it are left out.
type machine struct {
	fineTimes      bool // every seen change has a new time (since Linux 6.13)
	userXattrs     bool // tmpfs has them (since Linux 6.6)
	guardsSymlinks bool // fs.protected_symlinks, which a host that resolves paths itself never meets
	guardsLinks    bool // fs.protected_hardlinks, which simfs has like all distributions
	whiteouts      bool // anybody may make the character device 0:0 (since Linux 5.8)
}

func thisMachine(box *sandbox) (m machine) {
	m.guardsSymlinks = sysctl("protected_symlinks")
	m.guardsLinks = sysctl("protected_hardlinks")
	box.do(func() {
		m.fineTimes = hasFineTimes(kernel{""})
		m.userXattrs = kernel{""}.Setxattr("/", "user.probe", nil) == nil
		m.whiteouts = makesWhiteouts()
	})
	return m
}

func makesWhiteouts() (can bool) {
	k := kernel{""}
	defer clearTree(k)
	if err := errors.Join(k.Mkdir("/probe", 0o777), k.Chmod("/", 0o755)); err != nil {
		return false
	}
	become(other, other, nil, func() { can = k.Mknod("/probe/w", fs.ModeDevice|fs.ModeCharDevice, 0) == nil })
	return can
}

func sysctl(name string) bool {
	data, err := os.ReadFile("/proc/sys/fs/" + name)
	return err == nil && strings.TrimSpace(string(data)) == "1"
}

// allow changes an operation to one that has the same outcome everywhere.
func (m machine) allow(o op) op {
	if m.guardsSymlinks && o.mode&fs.ModeSticky != 0 {
		o.mode &^= 0o002
	}
	if !m.guardsLinks && (o.name == "link" || o.name == "d.link") {
		o.asID = 0
	}
	if !m.userXattrs && strings.HasPrefix(o.to, "user.") {
		o.to = "trusted.a"
	}
	if !m.whiteouts && o.name == "mknod" && o.num == 0 {
		o.asID = 0
	}
	return o
}

func drawPath(t *rapid.T, label string) string {
	if rapid.IntRange(0, 19).Draw(t, label+" odd") == 0 {
		return rapid.SampledFrom(odd).Draw(t, label)
	}
	parts := rapid.SliceOfN(rapid.SampledFrom(names), 1, 4).Draw(t, label)
	p := "/" + strings.Join(parts, "/")
	if rapid.IntRange(0, 29).Draw(t, label+" slash") == 0 {
		p += "/"
	}
	return p
}

func drawTarget(t *rapid.T) string {
	p := drawPath(t, "target")
	if len(p) > 1 && rapid.Bool().Draw(t, "relative") {
		return p[1:]
	}
	return p
}

func drawOp(t *rapid.T) op {
	o := op{
		name: rapid.SampledFrom(opNames).Draw(t, "op"),
		mode: rapid.SampledFrom(modes).Draw(t, "mode"),
		uid:  rapid.SampledFrom(ids).Draw(t, "uid"),
		gid:  rapid.SampledFrom(ids).Draw(t, "gid"),
		num:  rapid.SampledFrom(sizes).Draw(t, "num"),
		slot: rapid.IntRange(0, 1).Draw(t, "slot"),
	}
	if rapid.IntRange(0, 3).Draw(t, "as") == 0 {
		o.asID = other
	}
	switch {
	case strings.HasPrefix(o.name, "f."):
		o.path = rapid.SampledFrom([]string{"x", "yz"}).Draw(t, "data")
	case strings.HasPrefix(o.name, "d."):
		o.path = rapid.SampledFrom(dirNames).Draw(t, "name")
		o.to = rapid.SampledFrom(single).Draw(t, "to")
	default:
		o.path = drawPath(t, "path")
	}
	switch o.name {
	case "rename", "link":
		o.to = drawPath(t, "to")
	case "symlink", "d.symlink":
		o.to = drawTarget(t)
	case "setxattr", "getxattr", "removexattr":
		o.to = rapid.SampledFrom(attrs).Draw(t, "attr")
	case "mknod":
		o.mode |= rapid.SampledFrom(nodes).Draw(t, "node")
	}
	return o
}

// entry is what a walk finds at a path.
type entry struct {
	what         string
	id           lowerKey
	mtime, ctime time.Time
}

type lowerKey struct{ dev, ino uint64 }

// snapshot reads a whole tree.
func snapshot(f FS) (map[string]entry, error) {
	out := map[string]entry{}
	seen := map[lowerKey]string{}
	return out, walk(f, "/", out, seen)
}

func walk(f FS, p string, out map[string]entry, seen map[lowerKey]string) error {
	st, err := f.Lstat(p)
	if err != nil {
		return err
	}
	id := lowerKey{st.Dev, st.Ino}
	if seen[id] == "" {
		seen[id] = p
	}
	what := fmt.Sprint(tellStat(st), " is ", seen[id])
	if st.Mtime.Year() < 2020 {
		what += " mtime " + st.Mtime.UTC().String()
	}
	switch {
	case st.IsSymlink():
		to, err := f.Readlink(p)
		if err != nil {
			return err
		}
		what += " -> " + to
	case st.IsRegular():
		data, err := content(f, p)
		if err != nil {
			return err
		}
		what += " = " + data
	}
	attrs, err := f.Listxattr(p)
	if err != nil && !errors.Is(err, syscall.EOPNOTSUPP) {
		return err
	}
	for _, a := range attrs {
		value, err := f.Getxattr(p, a)
		if err != nil {
			return err
		}
		what += fmt.Sprintf(" %s=%q", a, value)
	}
	out[p] = entry{what, id, st.Mtime, st.Ctime}
	if !st.IsDir() {
		return nil
	}
	children, err := f.ReadDir(p)
	if err != nil {
		return err
	}
	for _, e := range children {
		if err := walk(f, strings.TrimSuffix(p, "/")+"/"+e.Name, out, seen); err != nil {
			return err
		}
	}
	return nil
}

func content(f FS, p string) (string, error) {
	h, err := f.Open(p)
	if err != nil {
		return "", err
	}
	defer h.Close()
	data, err := io.ReadAll(h)
	return string(data), err
}

// changed marks, by path, which entries that were there before have a new time.
func changed(before, after map[string]entry) map[string]string {
	old := map[lowerKey]entry{}
	for _, e := range before {
		old[e.id] = e
	}
	out := map[string]string{}
	for p, e := range after {
		was, ok := old[e.id]
		if !ok {
			continue
		}
		if !was.mtime.Equal(e.mtime) {
			out[p] += "mtime "
		}
		if !was.ctime.Equal(e.ctime) {
			out[p] += "ctime "
		}
	}
	return out
}

func diff(sim, real map[string]string) string {
	paths := map[string]bool{}
	for p := range sim {
		paths[p] = true
	}
	for p := range real {
		paths[p] = true
	}
	var out []string
	for p := range paths {
		if sim[p] != real[p] {
			out = append(out, fmt.Sprintf("%s\n  simulated: %.300s\n  kernel:    %.300s", p, sim[p], real[p]))
		}
	}
	sort.Strings(out)
	return strings.Join(out, "\n")
}

func whats(entries map[string]entry) map[string]string {
	out := map[string]string{}
	for p, e := range entries {
		out[p] = e.what
	}
	return out
}

// sameError compares what matters of an error: the errno, or the host's own error.
func sameError(a, b error) bool {
	var x, y syscall.Errno
	if errors.As(a, &x) && errors.As(b, &y) {
		return x == y
	}
	if (a == nil) != (b == nil) {
		return false
	}
	if a == nil || errors.Is(a, io.EOF) && errors.Is(b, io.EOF) {
		return true
	}
	for _, known := range []error{host.ErrNotRegular, os.ErrClosed} {
		if errors.Is(a, known) && errors.Is(b, known) {
			return true
		}
	}
	return false
}

// clear empties a tree.
func clearTree(k kernel) error {
	entries, err := k.ReadDir("/")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := removeAll(k, "/"+e.Name, e.Type.IsDir()); err != nil {
			return err
		}
	}
	names, _ := k.Listxattr("/")
	for _, name := range names {
		k.Removexattr("/", name)
	}
	return errors.Join(k.Lchown("/", 0, 0), k.Chmod("/", 0o755), k.Chtimes("/", oldTime(1), oldTime(2)))
}

func removeAll(k kernel, p string, isDir bool) error {
	if !isDir {
		return k.Unlink(p)
	}
	entries, err := k.ReadDir(p)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := removeAll(k, p+"/"+e.Name, e.Type.IsDir()); err != nil {
			return err
		}
	}
	return k.Rmdir(p)
}

// playAs plays as root or as the other user, on either side.
func playSim(sim *simfs.FS, p *player, o op) (string, error) {
	if o.asID != 0 {
		sim.SetUser(&simfs.Credentials{UID: other, GIDs: otherGroups})
		defer sim.SetUser(nil)
	}
	return p.play(o)
}

func playReal(p *player, o op) (answer string, err error) {
	become(o.asID, o.asID, otherGroups, func() { answer, err = p.play(o) })
	return answer, err
}

// compare plays start on the lower layer and on the kernel's tree, then ops on the simulated file
// system and on the kernel's tree, and tells the first difference.
func (s *sandbox) compare(start, ops []op, times bool) string {
	found, onlyTimes := s.compareWithPause(start, ops, times, 0)
	if onlyTimes {
		found, _ = s.compareWithPause(start, ops, times, 10*time.Millisecond)
	}
	return found
}

// compareWithPause pauses before each operation: even fine file times sometimes stay the same for
// two changes in one tick of the clock.
func (s *sandbox) compareWithPause(start, ops []op, times bool, pause time.Duration) (found string, onlyTimes bool) {
	lower, real := kernel{"."}, kernel{""}
	if err := errors.Join(clearTree(lower), clearTree(real)); err != nil {
		return "cannot clear: " + err.Error(), false
	}
	begin := func() {
		p := &player{fs: real}
		defer p.close()
		for _, o := range start {
			playReal(p, o)
		}
	}
	begin()
	move(s.other, s.other)
	begin()
	move(s.first, s.other)
	clock := time.Now()
	sim := simfs.New(simfs.Options{Lower: lower, TrustLinks: true, Now: func() time.Time {
		clock = clock.Add(time.Millisecond)
		return clock
	}})
	defer sim.Close()
	below, err := snapshot(lower)
	if err != nil {
		return "lower layer: " + err.Error(), false
	}
	found, onlyTimes = comparePlayed(sim, real, ops, times, pause)
	if found != "" {
		return found, onlyTimes
	}
	after, err := snapshot(lower)
	if d := diff(whats(after), whats(below)); d != "" || err != nil {
		return fmt.Sprint("lower layer changed: ", d, err), false
	}
	return "", false
}

func comparePlayed(sim *simfs.FS, real kernel, ops []op, times bool, pause time.Duration) (found string, onlyTimes bool) {
	s, r := &player{fs: sim}, &player{fs: real}
	defer s.close()
	defer r.close()
	var simBefore, realBefore map[string]entry
	for i, o := range ops {
		time.Sleep(pause)
		simAnswer, simErr := playSim(sim, s, o)
		realAnswer, realErr := playReal(r, o)
		if !sameError(simErr, realErr) || simAnswer != realAnswer {
			return fmt.Sprintf("op %d: %v\n  simulated: %.300q %v\n  kernel:    %.300q %v", i, o, simAnswer, simErr, realAnswer, realErr), false
		}
		simAfter, err1 := snapshot(sim)
		realAfter, err2 := snapshot(real)
		if err1 != nil || err2 != nil {
			return fmt.Sprintf("op %d: %v: cannot read the tree: %v; %v", i, o, err1, err2), false
		}
		if d := diff(whats(simAfter), whats(realAfter)); d != "" {
			return fmt.Sprintf("op %d: %v (%v): trees differ\n%s", i, o, simErr, d), false
		}
		if times && simBefore != nil {
			if d := diff(changed(simBefore, simAfter), changed(realBefore, realAfter)); d != "" {
				return fmt.Sprintf("op %d: %v (%v): other times changed\n%s", i, o, simErr, d), true
			}
		}
		simBefore, realBefore = simAfter, realAfter
	}
	return "", false
}

func hasFineTimes(k kernel) bool {
	for i := range 50 {
		before, _ := k.Lstat("/")
		k.Chmod("/", fs.FileMode(0o700+i%2))
		after, _ := k.Lstat("/")
		if before.Ctime.Equal(after.Ctime) {
			return false
		}
	}
	return true
}

var operations = flag.Int("operations", 1, "least `number` of operations in a random sequence, at most 50")

// TestSequences plays random sequences of up to 50 operations on simfs and on the kernel's tmpfs.
// "-rapid.checks=10000 -operations=50" plays many long ones.
func TestSequences(t *testing.T) {
	box := newSandbox(t)
	here := thisMachine(box)
	if !here.fineTimes {
		t.Log("this kernel's file times are coarse: changes of times are not compared")
	}
	for _, lower := range []bool{false, true} {
		name := map[bool]string{false: "empty", true: "lower"}[lower]
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				var start []op
				if lower {
					start = rapid.SliceOfN(rapid.Custom(drawOp), 20, 50).Draw(t, "start")
				}
				ops := rapid.SliceOfN(rapid.Custom(drawOp), *operations, 50).Draw(t, "ops")
				for i := range start {
					start[i] = here.allow(start[i])
				}
				for i := range ops {
					ops[i] = here.allow(ops[i])
				}
				found := ""
				box.do(func() { found = box.compare(start, ops, here.fineTimes) })
				if found != "" {
					t.Fatal(found)
				}
			})
		})
	}
}
