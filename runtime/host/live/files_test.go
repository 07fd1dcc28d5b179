package live

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/host"
)

// open gives a host in an empty directory.
func open(t *testing.T) (*Host, string) {
	t.Helper()
	dir := t.TempDir()
	h, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h, dir
}

func write(t *testing.T, dir, path, content string) {
	t.Helper()
	full := filepath.Join(dir, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErrno(t *testing.T, what string, err error, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got error %v, want %v", what, err, want)
	}
	var pe *fs.PathError
	var le *os.LinkError
	if err != nil && !errors.As(err, &pe) && !errors.As(err, &le) {
		t.Errorf("%s: error %T names no path", what, err)
	}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal("needs root")
	}
	t.Skip("needs root")
}

func TestResolveStaysInRoot(t *testing.T) {
	h, dir := open(t)
	write(t, dir, "etc/a", "inside")
	must(t, os.MkdirAll(filepath.Join(dir, "srv/deep"), 0o755))
	for link, target := range map[string]string{
		"abs":      "/etc/a",
		"climb":    "../../../../../../../../etc/a",
		"dir":      "/etc",
		"up":       "srv/deep",
		"chain":    "abs",
		"loop":     "loop",
		"dangling": "/nowhere",
	} {
		must(t, os.Symlink(target, filepath.Join(dir, link)))
	}
	for _, path := range []string{"/etc/a", "/abs", "/climb", "/dir/a", "/up/../../etc/a", "//etc//./a", "/../../etc/a", "/chain"} {
		f, err := h.Open(path)
		if err != nil {
			t.Errorf("open %s: %v", path, err)
			continue
		}
		data, _ := io.ReadAll(f)
		f.Close()
		if string(data) != "inside" {
			t.Errorf("open %s: read %q", path, data)
		}
	}
	for path, want := range map[string]error{
		"/loop":         unix.ELOOP,
		"/loop/x":       unix.ELOOP,
		"/dangling":     unix.ENOENT,
		"/etc/a/b":      unix.ENOTDIR,
		"/etc/a/../a":   unix.ENOTDIR,
		"/none/x":       unix.ENOENT,
		"":              unix.ENOENT,
		"etc/a":         unix.EINVAL,
		"/etc/a\x00b":   unix.EINVAL,
		"/" + long(300): unix.ENAMETOOLONG,
		long2():         unix.ENAMETOOLONG,
	} {
		_, err := h.Stat(path)
		wantErrno(t, "stat "+path, err, want)
	}
	if st, err := h.Lstat("/loop"); err != nil || !st.IsSymlink() {
		t.Errorf("lstat of a looping symlink: %v %v", st.Mode, err)
	}
	if st, err := h.Lstat("/"); err != nil || !st.IsDir() {
		t.Errorf("lstat /: %v %v", st.Mode, err)
	}
}

func long(n int) string { return strings.Repeat("x", n) }
func long2() string     { return strings.Repeat("/x", 2100) }

func TestForeignSymlinkIsNotFollowed(t *testing.T) {
	needRoot(t)
	h, dir := open(t)
	write(t, dir, "secret/file", "x")
	must(t, os.Symlink("/secret", filepath.Join(dir, "mine")))
	must(t, os.Symlink("/secret", filepath.Join(dir, "theirs")))
	must(t, os.Lchown(filepath.Join(dir, "theirs"), 1234, 1234))
	if _, err := h.Stat("/mine/file"); err != nil {
		t.Errorf("root's symlink: %v", err)
	}
	_, err := h.Stat("/theirs/file")
	wantErrno(t, "stat through a user's symlink", err, unix.ELOOP)
	if err == nil || !strings.Contains(err.Error(), "1234") {
		t.Errorf("the message does not name the owner: %v", err)
	}
	_, err = h.Open("/theirs")
	wantErrno(t, "open a user's symlink", err, unix.ELOOP)
	if _, err := h.Lstat("/theirs"); err != nil {
		t.Errorf("lstat of a user's symlink: %v", err)
	}
	must(t, h.Unlink("/theirs"))
}

func TestOpenRefusesOtherTypes(t *testing.T) {
	h, dir := open(t)
	must(t, h.Mkdir("/d", 0o755))
	must(t, h.Mknod("/fifo", fs.ModeNamedPipe|0o600, 0))
	must(t, os.Symlink("fifo", filepath.Join(dir, "to-fifo")))
	_, err := h.Open("/fifo") // if that waits for a writer, the test never ends
	wantErrno(t, "open fifo", err, host.ErrNotRegular)
	_, err = h.Open("/to-fifo")
	wantErrno(t, "open symlink to fifo", err, host.ErrNotRegular)
	_, err = h.OpenWrite("/fifo")
	wantErrno(t, "open fifo for writing", err, host.ErrNotRegular)
	_, err = h.Open("/d")
	wantErrno(t, "open directory", err, unix.EISDIR)
	_, err = h.OpenWrite("/to-fifo")
	wantErrno(t, "open symlink for writing", err, unix.ELOOP)
}

func TestCreateHasExactMode(t *testing.T) {
	old := unix.Umask(0o077)
	defer unix.Umask(old)
	h, _ := open(t)
	for _, mode := range []fs.FileMode{0o644, 0o666, 0o400, 0o755 | fs.ModeSetuid, 0o2750&0o777 | fs.ModeSetgid} {
		name := "/f" + strconv.FormatUint(uint64(mode), 8)
		f, err := h.Create(name, mode)
		must(t, err)
		f.Close()
		if st, _ := h.Lstat(name); st.Perm() != mode {
			t.Errorf("create with %v: got %v", mode, st.Perm())
		}
		must(t, h.Mkdir(name+".d", mode))
		if st, _ := h.Lstat(name + ".d"); st.Perm() != mode {
			t.Errorf("mkdir with %v: got %v", mode, st.Perm())
		}
	}
	_, err := h.Create("/f644", 0o600)
	wantErrno(t, "create again", err, unix.EEXIST)
}

func TestChangesDoNotFollowLinks(t *testing.T) {
	h, dir := open(t)
	write(t, dir, "target", "x")
	must(t, os.Chmod(filepath.Join(dir, "target"), 0o600))
	must(t, h.Symlink("/target", "/link"))
	wantErrno(t, "chmod of a symlink", h.Chmod("/link", 0o777), unix.EOPNOTSUPP)
	if st, _ := h.Lstat("/target"); st.Perm() != 0o600 {
		t.Errorf("chmod went through the symlink: %v", st.Perm())
	}
	when := time.Unix(1400000000, 5)
	must(t, h.Chtimes("/link", when, when))
	if st, _ := h.Lstat("/link"); !st.Mtime.Equal(when) {
		t.Errorf("mtime of the link: %v", st.Mtime)
	}
	if st, _ := h.Lstat("/target"); st.Mtime.Equal(when) {
		t.Error("chtimes went through the symlink")
	}
	must(t, h.Link("/link", "/hard"))
	if st, _ := h.Lstat("/hard"); !st.IsSymlink() || st.Nlink != 2 {
		t.Errorf("link of a symlink: %v, %d names", st.Mode, st.Nlink)
	}
	must(t, h.Chmod("/target", 0o751|fs.ModeSetgid))
	if st, _ := h.Lstat("/target"); st.Perm() != 0o751|fs.ModeSetgid {
		t.Errorf("chmod: %v", st.Perm())
	}
	must(t, h.SyncDir("/"))
}

func TestErrnos(t *testing.T) {
	h, dir := open(t)
	write(t, dir, "full/x", "x")
	write(t, dir, "file", "x")
	must(t, h.Mkdir("/empty", 0o755))
	cases := []struct {
		what string
		err  error
		want error
	}{
		{"rmdir full", h.Rmdir("/full"), unix.ENOTEMPTY},
		{"rmdir file", h.Rmdir("/file"), unix.ENOTDIR},
		{"unlink dir", h.Unlink("/empty"), unix.EISDIR},
		{"unlink none", h.Unlink("/none"), unix.ENOENT},
		{"mkdir again", h.Mkdir("/empty", 0o755), unix.EEXIST},
		{"mkdir in file", h.Mkdir("/file/x", 0o755), unix.ENOTDIR},
		{"rename none", h.Rename("/none", "/x"), unix.ENOENT},
		{"rename dir over full", h.Rename("/empty", "/full"), unix.ENOTEMPTY},
		{"rename dir over file", h.Rename("/empty", "/file"), unix.ENOTDIR},
		{"rename file over dir", h.Rename("/file", "/empty"), unix.EISDIR},
		{"rename into itself", h.Rename("/full", "/full/sub"), unix.EINVAL},
		{"link again", h.Link("/file", "/full/x"), unix.EEXIST},
		{"link dir", h.Link("/full", "/y"), unix.EPERM},
		{"symlink again", h.Symlink("a", "/file"), unix.EEXIST},
		{"chmod none", h.Chmod("/none", 0), unix.ENOENT},
		{"lchown none", h.Lchown("/none", -1, -1), unix.ENOENT},
		{"setxattr none", h.Setxattr("/none", "user.a", nil), unix.ENOENT},
	}
	for _, c := range cases {
		wantErrno(t, c.what, c.err, c.want)
	}
	_, err := h.Readlink("/file")
	wantErrno(t, "readlink file", err, unix.EINVAL)
	_, err = h.ReadDir("/file")
	wantErrno(t, "readdir file", err, unix.ENOTDIR)
}

func TestXattrs(t *testing.T) {
	h, dir := open(t)
	write(t, dir, "f", "x")
	if err := h.Setxattr("/f", "user.b", []byte("two")); errors.Is(err, unix.EOPNOTSUPP) {
		t.Skip("the file system of the temporary directory keeps no extended attributes")
	} else if err != nil {
		t.Fatal(err)
	}
	must(t, h.Setxattr("/f", "user.a", []byte("")))
	names, err := h.Listxattr("/f")
	must(t, err)
	if want := []string{"user.a", "user.b"}; !reflect.DeepEqual(user(names), want) {
		t.Errorf("names %q, want %q", names, want)
	}
	value, err := h.Getxattr("/f", "user.b")
	must(t, err)
	if string(value) != "two" {
		t.Errorf("value %q", value)
	}
	must(t, h.Removexattr("/f", "user.b"))
	_, err = h.Getxattr("/f", "user.b")
	wantErrno(t, "removed", err, unix.ENODATA)
	must(t, h.Symlink("f", "/link"))
	if names, err := h.Listxattr("/link"); err != nil || len(user(names)) != 0 {
		t.Errorf("listxattr followed a symlink: %q %v", names, err)
	}
}

func user(names []string) (kept []string) {
	for _, name := range names {
		if strings.HasPrefix(name, "user.") {
			kept = append(kept, name)
		}
	}
	return kept
}

func TestTree(t *testing.T) {
	h, dir := open(t)
	write(t, dir, "srv/store/1/a", "alpha")
	must(t, os.Symlink("srv/store", filepath.Join(dir, "store")))
	must(t, os.Symlink("1", filepath.Join(dir, "srv/store/one")))
	tree, err := h.OpenTreeWrite("/store")
	must(t, err)
	defer tree.Close()

	_, err = tree.OpenDir("one")
	wantErrno(t, "opendir of a symlink", err, unix.ELOOP)
	sub, err := tree.OpenDirWrite("1")
	must(t, err)
	defer sub.Close()
	_, err = sub.OpenDir("a")
	wantErrno(t, "opendir of a file", err, unix.ENOTDIR)
	for _, name := range []string{"..", ".", "a/b", "/etc"} {
		_, err := sub.Lstat(name)
		wantErrno(t, "lstat "+name, err, unix.EINVAL)
	}
	must(t, sub.Rename("a", tree, "moved"))
	held, err := tree.HoldWrite("moved")
	must(t, err)
	must(t, held.Chmod(0o640))
	must(t, held.Chown(-1, -1))
	must(t, held.Close())
	must(t, tree.Mkdir("new", 0o700))
	must(t, tree.Symlink("x", "s"))
	must(t, tree.Link("moved", tree, "again"))
	must(t, tree.ChmodSelf(0o711))
	must(t, tree.SyncSelf())
	entries, err := tree.ReadDir()
	must(t, err)
	want := []host.DirEntry{
		{Name: "1", Type: fs.ModeDir},
		{Name: "again"},
		{Name: "moved"},
		{Name: "new", Type: fs.ModeDir},
		{Name: "one", Type: fs.ModeSymlink},
		{Name: "s", Type: fs.ModeSymlink},
	}
	if !reflect.DeepEqual(entries, want) {
		t.Errorf("entries %v, want %v", entries, want)
	}
	again, err := tree.ReadDir()
	must(t, err)
	if !reflect.DeepEqual(again, want) {
		t.Errorf("second listing differs: %v", again)
	}
	if st, _ := tree.Self(); st.Perm() != 0o711 {
		t.Errorf("self %v", st.Perm())
	}

	// The directory is the one that was opened, whatever now bears its name.
	must(t, os.Rename(filepath.Join(dir, "srv/store"), filepath.Join(dir, "srv/old")))
	must(t, os.Symlink("/etc", filepath.Join(dir, "srv/store")))
	must(t, tree.Unlink("moved"))
	if h.parts.m.files.exists("/srv/old/moved") || !h.parts.m.files.exists("/srv/old/again") {
		t.Error("unlink did not work on the opened directory")
	}
}

func TestFile(t *testing.T) {
	h, _ := open(t)
	f, err := h.Create("/f", 0o600)
	must(t, err)
	_, err = f.Write([]byte("hello"))
	must(t, err)
	must(t, f.Truncate(4))
	must(t, f.Sync())
	must(t, f.Close())
	r, err := h.Open("/f")
	must(t, err)
	defer r.Close()
	if data, _ := io.ReadAll(r); string(data) != "hell" {
		t.Errorf("read %q", data)
	}
	_, err = r.Write([]byte("x"))
	wantErrno(t, "write to a file open for reading", err, unix.EBADF)
	if st, _ := r.Stat(); st.Size != 4 {
		t.Errorf("size %d", st.Size)
	}
}

// Whether a sync of a whole file system tells of losses is a matter of the kernel's age; who does not say it is old.
func TestSince(t *testing.T) {
	for release, want := range map[string]bool{
		"3.2.0-4-amd64": false, "4.18.0-553.el8_10.x86_64": false, "5.4.0-150-generic": false, "5.8.0": true,
		"5.10.0-28-amd64": true, "6.1.0": true, "10.0.1": true, "": false, "unknown": false,
	} {
		if got := since(release, 5, 8); got != want {
			t.Errorf("%q: %v, want %v", release, got, want)
		}
	}
}

// A large file is given to the disk at once; a small one is left to the sync where that tells of losses.
func TestSmallFilesAreLeftToTheSync(t *testing.T) {
	h, _ := open(t)
	must(t, h.Mkdir("/d", 0o755))
	dir, err := h.OpenTreeWrite("/d")
	must(t, err)
	defer dir.Close()
	for name, size := range map[string]int{"small": leftToSync, "large": leftToSync + 1} {
		f, err := dir.Create(name, 0o600)
		must(t, err)
		_, err = f.Write(make([]byte, size))
		must(t, err)
		if got, want := f.(*newFile).isLeft(), name == "small" && syncTells(); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
		must(t, f.Close())
	}
}

func TestReadingLeavesNoTrace(t *testing.T) {
	h, dir := open(t)
	write(t, dir, "d/f", "x")
	past := time.Unix(1000000000, 0)
	for _, path := range []string{"/d/f", "/d"} {
		must(t, h.Chtimes(path, past, time.Time{}))
	}
	data, err := h.parts.m.files.readFile("/d/f")
	must(t, err)
	if string(data) != "x" {
		t.Errorf("read %q", data)
	}
	_, err = h.ReadDir("/d")
	must(t, err)
	for _, path := range []string{"/d/f", "/d"} {
		if st, _ := h.Lstat(path); !st.Atime.Equal(past) {
			t.Errorf("%s: access time changed to %v", path, st.Atime)
		}
	}
}

func TestViewCannotWrite(t *testing.T) {
	view := reflect.TypeOf(&View{})
	writer := reflect.TypeOf((*host.FileWriter)(nil)).Elem()
	for i := range writer.NumMethod() {
		if _, found := view.MethodByName(writer.Method(i).Name); found {
			t.Errorf("View has the writing method %s", writer.Method(i).Name)
		}
	}
	h, dir := open(t)
	write(t, dir, "d/f", "x")
	d, err := h.View.OpenTree("/d")
	must(t, err)
	defer d.Close()
	if _, ok := d.(host.Dir); ok {
		t.Error("OpenTree of a view gives a writable directory")
	}
}

func TestStatfs(t *testing.T) {
	h, dir := open(t)
	got, err := h.Statfs("/")
	must(t, err)
	var want syscall.Statfs_t
	must(t, syscall.Statfs(dir, &want))
	if got.Total != want.Blocks*uint64(want.Frsize) || got.Type == "" {
		t.Errorf("statfs %+v, kernel says %+v", got, want)
	}
}

func TestParseMountinfo(t *testing.T) {
	data := `22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
30 22 0:25 / /mnt/a\040b ro,nosuid shared:2 master:1 - nfs4 filer:/vol\134x rw
31 22 8:17 /sub /srv/chroot/var/lib rw - xfs /dev/sdb1 ro
`
	mounts, err := parseMountinfo([]byte(data))
	must(t, err)
	want := []host.Mount{
		{Point: "/", Source: "/dev/sda1", Type: "ext4", Device: unix.Mkdev(8, 1)},
		{Point: "/mnt/a b", Source: `filer:/vol\x`, Type: "nfs4", Device: unix.Mkdev(0, 25), ReadOnly: true},
		{Point: "/srv/chroot/var/lib", Source: "/dev/sdb1", Type: "xfs", Device: unix.Mkdev(8, 17), ReadOnly: true},
	}
	if !reflect.DeepEqual(mounts, want) {
		t.Errorf("got %+v", mounts)
	}
	below := mountsBelow(mounts, "/srv/chroot")
	if len(below) != 2 || below[0].Point != "/" || below[0].Source != "/dev/sda1" || below[1].Point != "/var/lib" {
		t.Errorf("below: %+v", below)
	}
	if _, err := parseMountinfo([]byte("22 1 8:1 / / rw\n")); err == nil {
		t.Error("a cut line is accepted")
	}
}
