// Package hosttest is the conformance suite that every kind of host must pass.
package hosttest

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"zcp2kopano/runtime/host"
)

// FS is the file half of a host.
type FS interface {
	host.FileReader
	host.FileWriter
}

// Files runs the suite. For each test, fresh gives a file system and the path of an empty directory
// in it. Tests that need root are left out for others.
func Files(t *testing.T, fresh func(t *testing.T) (f FS, base string)) {
	run(t, fresh, fileTests)
}

// ForeignLinks tests that symlinks which an ordinary user could have planted are not followed, the
// one thing in which a host differs from the kernel.
func ForeignLinks(t *testing.T, fresh func(t *testing.T) (f FS, base string)) {
	run(t, fresh, []fileTest{{"foreign links", true, testForeignLinks}})
}

// TrailingSlashes tests what the kernel makes of a path that ends in a slash.
func TrailingSlashes(t *testing.T, fresh func(t *testing.T) (f FS, base string)) {
	run(t, fresh, []fileTest{{"trailing slashes", false, testTrailingSlashes}})
}

type fileTest struct {
	name string
	root bool // needs root
	test func(h *helper)
}

func run(t *testing.T, fresh func(t *testing.T) (FS, string), tests []fileTest) {
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.root && os.Geteuid() != 0 {
				missing(t, "needs root")
			}
			f, base := fresh(t)
			tt.test(&helper{t, f, strings.TrimSuffix(base, "/")})
		})
	}
}

// missing skips, except where everything should be there.
func missing(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

var fileTests = []fileTest{
	{"create", false, testCreate},
	{"open", false, testOpen},
	{"open for writing", false, testOpenWrite},
	{"file", false, testFile},
	{"unlinked file stays open", false, testUnlinkedFile},
	{"mkdir", false, testMkdir},
	{"rmdir", false, testRmdir},
	{"unlink", false, testUnlink},
	{"rename", false, testRename},
	{"rename over", false, testRenameOver},
	{"rename directories", false, testRenameDirs},
	{"link", false, testLink},
	{"symlink", false, testSymlink},
	{"symlink chains", false, testSymlinkChains},
	{"paths", false, testPaths},
	{"mknod", false, testMknod},
	{"device nodes", true, testDevices},
	{"chmod", false, testChmod},
	{"lchown", true, testLchown},
	{"entries that lost their names", false, testHold},
	{"setgid directory", true, testSetgidDir},
	{"chtimes", false, testChtimes},
	{"times of changes", false, testChangeTimes},
	{"xattrs", false, testXattrs},
	{"readdir", false, testReadDir},
	{"statfs", false, testStatfs},
	{"sync", false, testSync},
	{"tree reads", false, testTreeReads},
	{"tree changes", false, testTreeChanges},
	{"tree names", false, testTreeNames},
	{"tree of a removed directory", false, testRemovedTree},
	{"errors name operation and path", false, testErrors},
}

// helper writes tests shortly: paths are below the base, and what must work is not checked by hand.
type helper struct {
	*testing.T
	f    FS
	base string
}

func (h *helper) p(path string) string {
	if h.base+path == "" {
		return "/"
	}
	return h.base + path
}

func (h *helper) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

// fails expects an errno or one of the host's errors.
func (h *helper) fails(err, want error) {
	h.Helper()
	if !errors.Is(err, want) {
		h.Errorf("got error %v, want %v", err, want)
	}
}

func (h *helper) write(path, text string) {
	h.Helper()
	f, err := h.f.Create(h.p(path), 0o644)
	h.must(err)
	_, err = io.WriteString(f, text)
	h.must(err)
	h.must(f.Close())
}

func (h *helper) mkdir(paths ...string) {
	h.Helper()
	for _, p := range paths {
		h.must(h.f.Mkdir(h.p(p), 0o755))
	}
}

func (h *helper) lstat(path string) host.Stat {
	h.Helper()
	st, err := h.f.Lstat(h.p(path))
	h.must(err)
	return st
}

func (h *helper) gone(path string) {
	h.Helper()
	_, err := h.f.Lstat(h.p(path))
	h.fails(err, syscall.ENOENT)
}

func (h *helper) holds(path, want string) {
	h.Helper()
	f, err := h.f.Open(h.p(path))
	h.must(err)
	defer f.Close()
	got, err := io.ReadAll(f)
	h.must(err)
	if string(got) != want {
		h.Errorf("%s holds %q, want %q", path, got, want)
	}
}

func (h *helper) tree(path string) host.Dir {
	h.Helper()
	d, err := h.f.OpenTreeWrite(h.p(path))
	h.must(err)
	h.Cleanup(func() { d.Close() })
	return d
}

// close is for the files that creating functions return.
func (h *helper) close(f host.File, err error) {
	h.Helper()
	h.must(err)
	h.must(f.Close())
}

func testCreate(h *helper) {
	for i, mode := range []fs.FileMode{0o600, 0o640, 0o666, 0o777, 0, 0o755 | fs.ModeSetuid, 0o644 | fs.ModeSticky} {
		p := "/" + strconv.Itoa(i)
		h.close(h.f.Create(h.p(p), mode))
		if st := h.lstat(p); st.Mode != mode || st.Nlink != 1 || st.Size != 0 || !st.IsRegular() {
			h.Errorf("create with mode %v gave %+v", mode, st)
		}
	}
	h.mkdir("/dir")
	h.must(h.f.Symlink("nowhere", h.p("/dangling")))
	for path, want := range map[string]error{
		"/0": syscall.EEXIST, "/dir": syscall.EEXIST, "/dangling": syscall.EEXIST, "/.": syscall.EEXIST,
		"/none/x": syscall.ENOENT, "/0/x": syscall.ENOTDIR, "/dangling/x": syscall.ENOENT,
		"/" + strings.Repeat("n", 256): syscall.ENAMETOOLONG,
	} {
		_, err := h.f.Create(h.p(path), 0o600)
		h.fails(err, want)
	}
	h.gone("/nowhere")
	h.close(h.f.Create(h.p("/"+strings.Repeat("n", 255)), 0o600))
}

func testOpen(h *helper) {
	h.write("/a", "text")
	h.mkdir("/dir")
	h.must(h.f.Mknod(h.p("/fifo"), fs.ModeNamedPipe|0o600, 0))
	h.must(h.f.Symlink("a", h.p("/link")))
	h.must(h.f.Symlink("fifo", h.p("/tofifo")))
	h.holds("/a", "text")
	h.holds("/link", "text")
	h.holds("/dir/../link", "text")
	for path, want := range map[string]error{
		"/dir": syscall.EISDIR, "/none": syscall.ENOENT, "/a/x": syscall.ENOTDIR,
		"/fifo": host.ErrNotRegular, "/tofifo": host.ErrNotRegular,
	} {
		_, err := h.f.Open(h.p(path))
		h.fails(err, want)
	}
	f, err := h.f.Open(h.p("/a"))
	h.must(err)
	defer f.Close()
	_, err = f.Write([]byte("x"))
	h.fails(err, syscall.EBADF)
	h.fails(f.Truncate(0), syscall.EINVAL)
}

func testOpenWrite(h *helper) {
	h.write("/a", "0123456789")
	h.mkdir("/dir")
	h.must(h.f.Symlink("a", h.p("/link")))
	h.must(h.f.Mknod(h.p("/fifo"), fs.ModeNamedPipe|0o600, 0))
	f, err := h.f.OpenWrite(h.p("/a"))
	h.must(err)
	_, err = io.WriteString(f, "abc")
	h.must(err)
	buf := make([]byte, 3)
	_, err = io.ReadFull(f, buf)
	h.must(err)
	if string(buf) != "345" {
		h.Errorf("read %q behind what was written", buf)
	}
	h.must(f.Close())
	h.holds("/a", "abc3456789")
	for path, want := range map[string]error{
		"/dir": syscall.EISDIR, "/none": syscall.ENOENT, "/link": syscall.ELOOP, "/fifo": host.ErrNotRegular,
	} {
		_, err := h.f.OpenWrite(h.p(path))
		h.fails(err, want)
	}
}

func testFile(h *helper) {
	f, err := h.f.Create(h.p("/a"), 0o600)
	h.must(err)
	_, err = io.WriteString(f, strings.Repeat("x", 5000))
	h.must(err)
	h.must(f.Sync())
	_, err = f.Seek(10000, io.SeekStart)
	h.must(err)
	_, err = io.WriteString(f, "end")
	h.must(err)
	h.must(f.Truncate(10002))
	h.must(f.Truncate(10004))
	st, err := f.Stat()
	h.must(err)
	if st.Size != 10004 || !st.IsRegular() || st.Nlink != 1 {
		h.Errorf("stat of the open file: %+v", st)
	}
	if pos, err := f.Seek(-4, io.SeekEnd); pos != 10000 || err != nil {
		h.Errorf("seek: %d, %v", pos, err)
	}
	_, err = f.Seek(-1, io.SeekStart)
	h.fails(err, syscall.EINVAL)
	buf := make([]byte, 10)
	n, err := f.ReadAt(buf, 9998)
	if string(buf[:n]) != "\x00\x00en\x00\x00" || err != io.EOF {
		h.Errorf("read %q, %v", buf[:n], err)
	}
	if n, err := f.ReadAt(buf, 20000); n != 0 || err != io.EOF {
		h.Errorf("read %d, %v behind the end", n, err)
	}
	h.fails(f.Truncate(-1), syscall.EINVAL)
	h.must(f.Close())
	_, err = f.Read(buf)
	h.fails(err, os.ErrClosed)
	h.holds("/a", strings.Repeat("x", 5000)+strings.Repeat("\x00", 5000)+"en\x00\x00")
}

func testUnlinkedFile(h *helper) {
	h.write("/a", "text")
	f, err := h.f.OpenWrite(h.p("/a"))
	h.must(err)
	defer f.Close()
	h.must(h.f.Unlink(h.p("/a")))
	h.write("/a", "other")
	got, err := io.ReadAll(f)
	h.must(err)
	st, err := f.Stat()
	h.must(err)
	if string(got) != "text" || st.Nlink != 0 {
		h.Errorf("got %q and %d links", got, st.Nlink)
	}
}

func testMkdir(h *helper) {
	for i, mode := range []fs.FileMode{0o700, 0o755, 0o777, 0o777 | fs.ModeSticky, 0o750 | fs.ModeSetgid} {
		p := "/" + strconv.Itoa(i)
		h.must(h.f.Mkdir(h.p(p), mode))
		if st := h.lstat(p); st.Mode != fs.ModeDir|mode {
			h.Errorf("mkdir with mode %v gave %v", mode, st.Mode)
		}
	}
	h.write("/file", "")
	h.must(h.f.Symlink("nowhere", h.p("/dangling")))
	for path, want := range map[string]error{
		"/0": syscall.EEXIST, "/file": syscall.EEXIST, "/dangling": syscall.EEXIST,
		"/none/x": syscall.ENOENT, "/file/x": syscall.ENOTDIR,
		"/" + strings.Repeat("n", 256): syscall.ENAMETOOLONG,
	} {
		h.fails(h.f.Mkdir(h.p(path), 0o755), want)
	}
	h.gone("/nowhere")
}

func testRmdir(h *helper) {
	h.mkdir("/dir", "/dir/sub")
	h.write("/file", "")
	h.must(h.f.Symlink("dir", h.p("/link")))
	for path, want := range map[string]error{
		"/dir": syscall.ENOTEMPTY, "/file": syscall.ENOTDIR, "/link": syscall.ENOTDIR, "/none": syscall.ENOENT,
		"/dir/sub/.": syscall.EINVAL,
	} {
		h.fails(h.f.Rmdir(h.p(path)), want)
	}
	h.must(h.f.Rmdir(h.p("/dir/sub")))
	h.must(h.f.Rmdir(h.p("/dir")))
	h.gone("/dir")
}

func testUnlink(h *helper) {
	h.mkdir("/dir")
	h.write("/file", "text")
	h.must(h.f.Symlink("file", h.p("/link")))
	h.fails(h.f.Unlink(h.p("/dir")), syscall.EISDIR)
	h.fails(h.f.Unlink(h.p("/none")), syscall.ENOENT)
	h.fails(h.f.Unlink(h.p("/file/x")), syscall.ENOTDIR)
	h.must(h.f.Unlink(h.p("/link")))
	h.gone("/link")
	h.holds("/file", "text")
	h.must(h.f.Unlink(h.p("/file")))
	h.gone("/file")
}

func testRename(h *helper) {
	h.mkdir("/dir")
	h.write("/a", "text")
	ino := h.lstat("/a").Ino
	h.must(h.f.Rename(h.p("/a"), h.p("/dir/b")))
	h.gone("/a")
	h.holds("/dir/b", "text")
	if st := h.lstat("/dir/b"); st.Ino != ino {
		h.Error("rename made another file")
	}
	h.must(h.f.Symlink("dir", h.p("/link")))
	h.must(h.f.Rename(h.p("/link"), h.p("/moved")))
	if !h.lstat("/moved").IsSymlink() {
		h.Error("rename followed the symlink")
	}
	h.fails(h.f.Rename(h.p("/none"), h.p("/x")), syscall.ENOENT)
	h.fails(h.f.Rename(h.p("/dir/b"), h.p("/none/x")), syscall.ENOENT)
	h.fails(h.f.Rename(h.p("/dir/b/x"), h.p("/x")), syscall.ENOTDIR)
	h.fails(h.f.Rename(h.p("/dir/b"), h.p("/"+strings.Repeat("n", 256))), syscall.ENAMETOOLONG)
	h.must(h.f.Rename(h.p("/dir/b"), h.p("/dir/b")))
}

func testRenameOver(h *helper) {
	h.write("/a", "a")
	h.write("/b", "b")
	h.must(h.f.Rename(h.p("/a"), h.p("/b")))
	h.gone("/a")
	h.holds("/b", "a")
	h.must(h.f.Link(h.p("/b"), h.p("/c")))
	h.must(h.f.Rename(h.p("/b"), h.p("/c"))) // the same file: nothing happens
	h.holds("/b", "a")
	h.must(h.f.Symlink("b", h.p("/link")))
	h.write("/d", "d")
	h.must(h.f.Rename(h.p("/d"), h.p("/link")))
	h.holds("/b", "a")
	h.holds("/link", "d")
	h.mkdir("/dir")
	h.fails(h.f.Rename(h.p("/b"), h.p("/dir")), syscall.EISDIR)
	h.fails(h.f.Rename(h.p("/dir"), h.p("/b")), syscall.ENOTDIR)
}

func testRenameDirs(h *helper) {
	h.mkdir("/a", "/a/sub", "/b", "/full", "/full/x")
	h.write("/a/sub/file", "text")
	h.fails(h.f.Rename(h.p("/a"), h.p("/a/sub/x")), syscall.EINVAL)
	h.fails(h.f.Rename(h.p("/a/sub"), h.p("/a")), syscall.ENOTEMPTY)
	h.fails(h.f.Rename(h.p("/a"), h.p("/full")), syscall.ENOTEMPTY)
	h.fails(h.f.Rename(h.p("/a/."), h.p("/x")), syscall.EBUSY)
	h.must(h.f.Rename(h.p("/a"), h.p("/b")))
	h.gone("/a")
	h.holds("/b/sub/file", "text")
	h.must(h.f.Rename(h.p("/b/sub"), h.p("/full/x")))
	h.holds("/full/x/file", "text")
	h.holds("/full/x/../x/file", "text")
}

func testLink(h *helper) {
	h.write("/a", "text")
	h.mkdir("/dir")
	h.must(h.f.Symlink("a", h.p("/sym")))
	h.must(h.f.Link(h.p("/a"), h.p("/dir/b")))
	a, b := h.lstat("/a"), h.lstat("/dir/b")
	if a.Ino != b.Ino || a.Dev != b.Dev || a.Nlink != 2 || b.Nlink != 2 {
		h.Errorf("linked files are %+v and %+v", a, b)
	}
	h.must(h.f.Chmod(h.p("/a"), 0o600))
	if h.lstat("/dir/b").Perm() != 0o600 {
		h.Error("the other name has another mode")
	}
	h.must(h.f.Link(h.p("/sym"), h.p("/sym2")))
	if !h.lstat("/sym2").IsSymlink() {
		h.Error("link followed the symlink")
	}
	h.fails(h.f.Link(h.p("/dir"), h.p("/x")), syscall.EPERM)
	h.fails(h.f.Link(h.p("/a"), h.p("/dir")), syscall.EEXIST)
	h.fails(h.f.Link(h.p("/a"), h.p("/sym")), syscall.EEXIST)
	h.fails(h.f.Link(h.p("/none"), h.p("/x")), syscall.ENOENT)
	h.fails(h.f.Link(h.p("/a"), h.p("/none/x")), syscall.ENOENT)
	h.must(h.f.Unlink(h.p("/a")))
	if st := h.lstat("/dir/b"); st.Nlink != 1 {
		h.Errorf("%d links are left", st.Nlink)
	}
	h.holds("/dir/b", "text")
}

func testSymlink(h *helper) {
	h.mkdir("/dir", "/dir/sub")
	h.write("/dir/file", "text")
	h.must(h.f.Symlink(h.p("/dir/sub"), h.p("/abs")))
	h.must(h.f.Symlink("dir/sub", h.p("/rel")))
	for _, link := range []string{"/abs", "/rel"} {
		h.holds(link+"/../file", "text") // ".." is of the target
	}
	st := h.lstat("/rel")
	if !st.IsSymlink() || st.Size != int64(len("dir/sub")) {
		h.Errorf("symlink is %+v", st)
	}
	to, err := h.f.Readlink(h.p("/rel"))
	h.must(err)
	if to != "dir/sub" {
		h.Errorf("symlink points to %q", to)
	}
	if st, err := h.f.Stat(h.p("/rel")); err != nil || !st.IsDir() {
		h.Errorf("stat through the symlink: %+v, %v", st, err)
	}
	_, err = h.f.Readlink(h.p("/dir"))
	h.fails(err, syscall.EINVAL)
	_, err = h.f.Readlink(h.p("/none"))
	h.fails(err, syscall.ENOENT)
	h.fails(h.f.Symlink("x", h.p("/dir")), syscall.EEXIST)
	h.fails(h.f.Symlink("x", h.p("/rel")), syscall.EEXIST)
	h.fails(h.f.Symlink("x", h.p("/none/x")), syscall.ENOENT)
	h.fails(h.f.Symlink("", h.p("/empty")), syscall.ENOENT)
	h.fails(h.f.Symlink(strings.Repeat("x", 4096), h.p("/long")), syscall.ENAMETOOLONG)
}

func testSymlinkChains(h *helper) {
	h.write("/l0", "text")
	for i := range 41 {
		h.must(h.f.Symlink("l"+strconv.Itoa(i), h.p("/l"+strconv.Itoa(i+1))))
	}
	h.holds("/l40", "text")
	_, err := h.f.Stat(h.p("/l41"))
	h.fails(err, syscall.ELOOP)
	h.must(h.f.Symlink("loop", h.p("/loop")))
	_, err = h.f.Stat(h.p("/loop"))
	h.fails(err, syscall.ELOOP)
	_, err = h.f.Lstat(h.p("/loop/x"))
	h.fails(err, syscall.ELOOP)
	if !h.lstat("/loop").IsSymlink() {
		h.Error("lstat followed the symlink")
	}
}

func testPaths(h *helper) {
	h.mkdir("/dir")
	h.write("/dir/file", "text")
	h.holds("//dir///file", "text")
	h.holds("/./dir/./file", "text")
	h.holds("/dir/../dir/file", "text")
	h.holds("/../../../../../../../../../../../../.."+h.base+"/dir/file", "text")
	for path, want := range map[string]error{
		"": syscall.ENOENT, "dir": syscall.EINVAL, h.p("/dir/fi\x00le"): syscall.EINVAL,
		h.p("/dir/file/.."): syscall.ENOTDIR, h.p("/none/.."): syscall.ENOENT,
		h.p("/" + strings.Repeat("n", 256)):        syscall.ENAMETOOLONG,
		h.p("/" + strings.Repeat("n", 256) + "/x"): syscall.ENAMETOOLONG,
		h.p(strings.Repeat("/dir/..", 600)):        syscall.ENAMETOOLONG,
	} {
		if path == "dir" && !strictPaths(h.f) {
			continue
		}
		_, err := h.f.Lstat(path)
		h.fails(err, want)
	}
}

// strictPaths is false for a file system to which a relative path is as good as any.
func strictPaths(f FS) bool {
	loose, ok := f.(interface{ TakesRelativePaths() })
	return !ok || loose == nil
}

func testTrailingSlashes(h *helper) {
	h.mkdir("/dir")
	h.write("/file", "")
	h.must(h.f.Symlink("dir", h.p("/todir")))
	h.must(h.f.Symlink("file", h.p("/tofile")))
	if st := h.lstat("/todir/"); !st.IsDir() {
		h.Errorf("lstat of a symlink with a slash is %v", st.Mode)
	}
	_, err := h.f.Lstat(h.p("/file/"))
	h.fails(err, syscall.ENOTDIR)
	_, err = h.f.Lstat(h.p("/tofile/"))
	h.fails(err, syscall.ENOTDIR)
	_, err = h.f.Create(h.p("/new/"), 0o600)
	h.fails(err, syscall.EISDIR)
	h.fails(h.f.Unlink(h.p("/file/")), syscall.ENOTDIR)
	h.fails(h.f.Symlink("x", h.p("/new/")), syscall.ENOENT)
	h.fails(h.f.Rename(h.p("/file"), h.p("/new/")), syscall.ENOTDIR)
	h.must(h.f.Mkdir(h.p("/made/"), 0o700))
	h.must(h.f.Rename(h.p("/made/"), h.p("/moved/")))
	h.must(h.f.Rmdir(h.p("/moved/")))
	h.gone("/moved")

	// What is asked or changed is the directory behind the name.
	_, err = h.f.Lstat(h.p("/none/"))
	h.fails(err, syscall.ENOENT)
	_, err = h.f.Stat(h.p("/tofile/"))
	h.fails(err, syscall.ENOTDIR)
	_, err = h.f.Readlink(h.p("/todir/"))
	h.fails(err, syscall.EINVAL)
	_, err = h.f.Readlink(h.p("/tofile/"))
	h.fails(err, syscall.ENOTDIR)
	_, err = h.f.Open(h.p("/file/"))
	h.fails(err, syscall.ENOTDIR)
	_, err = h.f.OpenWrite(h.p("/file/"))
	h.fails(err, syscall.ENOTDIR)
	_, err = h.f.ReadDir(h.p("/tofile/"))
	h.fails(err, syscall.ENOTDIR)
	_, err = h.f.Statfs(h.p("/file/"))
	h.fails(err, syscall.ENOTDIR)
	if _, err := h.f.ReadDir(h.p("/todir//")); err != nil {
		h.Error(err)
	}
	h.must(h.f.Chmod(h.p("/todir/"), 0o711))
	if st := h.lstat("/dir"); st.Mode.Perm() != 0o711 {
		h.Errorf("chmod through a slash gave %v", st.Mode)
	}
	h.fails(h.f.Chmod(h.p("/file/"), 0o600), syscall.ENOTDIR)
	h.fails(h.f.Lchown(h.p("/tofile/"), os.Getuid(), os.Getgid()), syscall.ENOTDIR)
	h.must(h.f.Lchown(h.p("/todir/"), os.Getuid(), os.Getgid()))
	h.fails(h.f.Chtimes(h.p("/file/"), time.Unix(1, 0), time.Unix(1, 0)), syscall.ENOTDIR)
	h.must(h.f.Chtimes(h.p("/todir/"), time.Unix(1, 0), time.Unix(1, 0)))
	if st := h.lstat("/dir"); !st.Mtime.Equal(time.Unix(1, 0)) {
		h.Errorf("chtimes through a slash gave %v", st.Mtime)
	}
	h.must(h.f.Symlink("file/", h.p("/tofileslash")))
	_, err = h.f.Stat(h.p("/tofileslash"))
	h.fails(err, syscall.ENOTDIR)
	h.must(h.f.Symlink("dir/", h.p("/todirslash")))
	if st, err := h.f.Stat(h.p("/todirslash")); err != nil || !st.IsDir() {
		h.Errorf("a symlink with a slash at its end: %v, %v", st.Mode, err)
	}

	// Where the name itself is changed, no symlink is followed.
	h.fails(h.f.Unlink(h.p("/dir/")), syscall.EISDIR)
	h.fails(h.f.Unlink(h.p("/todir/")), syscall.ENOTDIR)
	h.fails(h.f.Rmdir(h.p("/todir/")), syscall.ENOTDIR)
	h.fails(h.f.Rmdir(h.p("/file/")), syscall.ENOTDIR)
	h.fails(h.f.Mkdir(h.p("/todir/"), 0o700), syscall.EEXIST)
	h.fails(h.f.Mkdir(h.p("/none/made/"), 0o700), syscall.ENOENT)
	h.fails(h.f.Mknod(h.p("/new/"), fs.ModeNamedPipe|0o600, 0), syscall.ENOENT)
	h.fails(h.f.Mknod(h.p("/file/"), fs.ModeNamedPipe|0o600, 0), syscall.EEXIST)
	h.fails(h.f.Symlink("x", h.p("/todir/")), syscall.EEXIST)
	h.fails(h.f.Link(h.p("/file/"), h.p("/new")), syscall.ENOTDIR)
	h.fails(h.f.Link(h.p("/dir/"), h.p("/new")), syscall.EPERM)
	h.fails(h.f.Link(h.p("/file"), h.p("/new/")), syscall.ENOENT)
	h.fails(h.f.Rename(h.p("/todir/"), h.p("/new")), syscall.ENOTDIR)
	h.fails(h.f.Rename(h.p("/file/"), h.p("/new")), syscall.ENOTDIR)
	h.must(h.f.Rename(h.p("/todir"), h.p("/stillalink")))
	h.gone("/new")
}

func testMknod(h *helper) {
	h.must(h.f.Mknod(h.p("/fifo"), fs.ModeNamedPipe|0o620, 0))
	h.must(h.f.Mknod(h.p("/socket"), fs.ModeSocket|0o666, 0))
	if st := h.lstat("/fifo"); st.Mode != fs.ModeNamedPipe|0o620 {
		h.Errorf("fifo is %v", st.Mode)
	}
	if st := h.lstat("/socket"); st.Mode != fs.ModeSocket|0o666 {
		h.Errorf("socket is %v", st.Mode)
	}
	h.fails(h.f.Mknod(h.p("/fifo"), fs.ModeNamedPipe|0o600, 0), syscall.EEXIST)
	h.fails(h.f.Mknod(h.p("/none/x"), fs.ModeNamedPipe|0o600, 0), syscall.ENOENT)
	h.fails(h.f.Mknod(h.p("/x"), fs.ModeDir|0o600, 0), syscall.EPERM)
}

func testDevices(h *helper) {
	h.must(h.f.Mknod(h.p("/null"), fs.ModeDevice|fs.ModeCharDevice|0o666, 1<<8|3))
	h.must(h.f.Mknod(h.p("/loop"), fs.ModeDevice|0o660, 7<<8))
	if st := h.lstat("/null"); st.Mode != fs.ModeDevice|fs.ModeCharDevice|0o666 || st.Rdev != 1<<8|3 {
		h.Errorf("character device is %+v", st)
	}
	if st := h.lstat("/loop"); st.Mode != fs.ModeDevice|0o660 || st.Rdev != 7<<8 {
		h.Errorf("block device is %+v", st)
	}
	_, err := h.f.Open(h.p("/null"))
	h.fails(err, host.ErrNotRegular)
	_, err = h.f.OpenWrite(h.p("/null"))
	h.fails(err, host.ErrNotRegular)
}

func testChmod(h *helper) {
	h.write("/a", "")
	h.mkdir("/dir")
	for _, mode := range []fs.FileMode{0, 0o777, 0o4755&0o777 | fs.ModeSetuid, 0o755 | fs.ModeSetgid, 0o755 | fs.ModeSticky} {
		h.must(h.f.Chmod(h.p("/a"), mode))
		if st := h.lstat("/a"); st.Mode != mode {
			h.Errorf("chmod %v gave %v", mode, st.Mode)
		}
		h.must(h.f.Chmod(h.p("/dir"), mode))
		if st := h.lstat("/dir"); st.Mode != mode|fs.ModeDir {
			h.Errorf("chmod %v gave %v", mode, st.Mode)
		}
	}
	h.must(h.f.Symlink("a", h.p("/link")))
	h.fails(h.f.Chmod(h.p("/link"), 0o600), syscall.EOPNOTSUPP)
	h.fails(h.f.Chmod(h.p("/none"), 0o600), syscall.ENOENT)
}

// held does something to an entry that is held for it.
func held(d host.Dir, name string, do func(host.HeldWrite) error) error {
	e, err := d.HoldWrite(name)
	if err != nil {
		return err
	}
	return errors.Join(do(e), e.Close())
}

// testHold changes an entry that lost its name while it was held: what has the name now stays as it is.
func testHold(h *helper) {
	h.write("/a", "content")
	h.write("/b", "other")
	h.mkdir("/dir")
	h.must(h.f.Symlink("a", h.p("/link")))
	h.must(h.f.Mknod(h.p("/fifo"), fs.ModeNamedPipe|0o600, 0))
	d := h.tree("")
	_, err := d.HoldWrite("none")
	h.fails(err, syscall.ENOENT)
	_, err = d.Hold("..")
	h.fails(err, syscall.EINVAL)
	a, err := d.HoldWrite("a")
	h.must(err)
	link, err := d.HoldWrite("link")
	h.must(err)
	dir, err := d.HoldWrite("dir")
	h.must(err)
	fifo, err := d.HoldWrite("fifo")
	h.must(err)
	for _, name := range []string{"a", "link", "fifo", "dir"} {
		h.must(h.f.Rename(h.p("/"+name), h.p("/old-"+name)))
		h.must(h.f.Link(h.p("/b"), h.p("/"+name)))
	}
	before := h.lstat("/b")
	old := time.Unix(1_000_000_000, 0)
	for _, e := range []host.HeldWrite{a, link, dir, fifo} {
		if os.Geteuid() == 0 {
			h.must(e.Chown(7, 8))
		}
		h.must(e.Chtimes(old, old))
	}
	h.must(a.Chmod(0o640))
	h.must(dir.Chmod(0o711))
	h.must(fifo.Chmod(0o604))
	h.fails(link.Chmod(0o640), syscall.EOPNOTSUPP)
	if to, err := link.Readlink(); to != "a" || err != nil {
		h.Errorf("the symlink leads to %q, %v", to, err)
	}
	_, err = a.Readlink()
	h.fails(err, syscall.EINVAL)
	f, err := a.Open()
	h.must(err)
	text, err := io.ReadAll(f)
	h.must(errors.Join(err, f.Close()))
	if string(text) != "content" {
		h.Errorf("it holds %q", text)
	}
	_, err = fifo.Open()
	h.fails(err, host.ErrNotRegular)
	_, err = link.Open()
	h.fails(err, syscall.ELOOP)
	_, err = dir.Open()
	h.fails(err, syscall.EISDIR)
	if err := a.Setxattr("user.one", []byte("1")); !errors.Is(err, syscall.EOPNOTSUPP) {
		h.must(err)
		h.must(dir.Setxattr("user.one", []byte("2")))
		h.fails(link.Setxattr("user.one", nil), syscall.EPERM)
		value, err := a.Getxattr("user.one")
		h.must(err)
		names, err := dir.Listxattr()
		h.must(err)
		if string(value) != "1" || !slices.Contains(names, "user.one") {
			h.Errorf("value is %q, names are %q", value, names)
		}
		h.must(a.Removexattr("user.one"))
		_, err = a.Getxattr("user.one")
		h.fails(err, syscall.ENODATA)
	}
	for name, mode := range map[string]fs.FileMode{"/old-a": 0o640, "/old-dir": fs.ModeDir | 0o711, "/old-fifo": fs.ModeNamedPipe | 0o604} {
		st := h.lstat(name)
		if st.Mode != mode || !st.Mtime.Equal(old) || os.Geteuid() == 0 && (st.UID != 7 || st.GID != 8) {
			h.Errorf("%s is %+v", name, st)
		}
	}
	if st := h.lstat("/old-link"); !st.Mtime.Equal(old) {
		h.Errorf("the symlink is %+v", st)
	}
	after := h.lstat("/b")
	if after.UID != before.UID || after.Mode != before.Mode || !after.Mtime.Equal(before.Mtime) {
		h.Errorf("what got the names became %+v, was %+v", after, before)
	}
	h.must(h.f.Unlink(h.p("/old-a")))
	st, err := a.Stat()
	h.must(err)
	if st.Nlink != 0 || st.Size != int64(len("content")) {
		h.Errorf("what has no name any more is %+v", st)
	}
	h.must(errors.Join(a.Close(), link.Close(), dir.Close(), fifo.Close()))
}

func testLchown(h *helper) {
	h.write("/a", "")
	h.must(h.f.Symlink("a", h.p("/link")))
	h.must(h.f.Lchown(h.p("/link"), 7, 8))
	if st := h.lstat("/link"); st.UID != 7 || st.GID != 8 {
		h.Errorf("symlink belongs to %d:%d", st.UID, st.GID)
	}
	if st := h.lstat("/a"); st.UID != 0 {
		h.Error("lchown followed the symlink")
	}
	h.must(h.f.Chmod(h.p("/a"), 0o755|fs.ModeSetuid|fs.ModeSetgid))
	h.must(h.f.Lchown(h.p("/a"), 7, -1))
	if st := h.lstat("/a"); st.UID != 7 || st.GID != 0 || st.Mode != 0o755 {
		h.Errorf("after chown it is %+v", st)
	}
	h.must(h.f.Lchown(h.p("/a"), -1, 9))
	h.must(h.f.Lchown(h.p("/a"), -1, -1))
	if st := h.lstat("/a"); st.UID != 7 || st.GID != 9 {
		h.Errorf("after chown of the group it is %+v", st)
	}
	h.must(h.f.Mkdir(h.p("/dir"), 0o755|fs.ModeSetgid))
	h.must(h.f.Lchown(h.p("/dir"), 1, 2))
	if st := h.lstat("/dir"); st.Mode != fs.ModeDir|0o755|fs.ModeSetgid {
		h.Errorf("chown of a directory changed its mode to %v", st.Mode)
	}
	h.fails(h.f.Lchown(h.p("/none"), 1, 1), syscall.ENOENT)
}

func testSetgidDir(h *helper) {
	h.mkdir("/dir")
	h.must(h.f.Lchown(h.p("/dir"), 5, 6))
	h.must(h.f.Chmod(h.p("/dir"), 0o775|fs.ModeSetgid))
	h.write("/dir/file", "")
	h.must(h.f.Mkdir(h.p("/dir/sub"), 0o750))
	if st := h.lstat("/dir/file"); st.GID != 6 || st.UID != 0 {
		h.Errorf("file belongs to %d:%d", st.UID, st.GID)
	}
	if st := h.lstat("/dir/sub"); st.GID != 6 || st.Mode != fs.ModeDir|0o750 {
		h.Errorf("directory is %v of group %d; its mode should be exactly what was asked for", st.Mode, st.GID)
	}
}

func testChtimes(h *helper) {
	one, two := time.Unix(1_000_000_000, 123456000), time.Unix(1_200_000_000, 0)
	h.write("/a", "")
	h.must(h.f.Symlink("a", h.p("/link")))
	h.must(h.f.Chtimes(h.p("/a"), one, two))
	if st := h.lstat("/a"); !st.Atime.Equal(one) || !st.Mtime.Equal(two) {
		h.Errorf("times are %v and %v", st.Atime, st.Mtime)
	}
	h.must(h.f.Chtimes(h.p("/a"), time.Time{}, one))
	if st := h.lstat("/a"); !st.Atime.Equal(one) || !st.Mtime.Equal(one) {
		h.Errorf("times are %v and %v; the zero time leaves one as it is", st.Atime, st.Mtime)
	}
	h.must(h.f.Chtimes(h.p("/link"), two, two))
	if st := h.lstat("/link"); !st.Mtime.Equal(two) {
		h.Errorf("time of the symlink is %v", st.Mtime)
	}
	if st := h.lstat("/a"); !st.Mtime.Equal(one) {
		h.Error("chtimes followed the symlink")
	}
	h.fails(h.f.Chtimes(h.p("/none"), one, one), syscall.ENOENT)
}

// testChangeTimes sets old times and sees which operations renew them.
func testChangeTimes(h *helper) {
	old := time.Unix(1_000_000_000, 0)
	h.mkdir("/dir")
	h.write("/dir/a", "text")
	renewed := func(what, path string, want bool, do func() error) {
		h.Helper()
		h.must(h.f.Chtimes(h.p(path), old, old))
		h.must(do())
		if got := !h.lstat(path).Mtime.Equal(old); got != want {
			h.Errorf("%s: time of %s renewed: %v, want %v", what, path, got, want)
		}
	}
	renewed("create", "/dir", true, func() error { h.write("/dir/b", ""); return nil })
	renewed("rename", "/dir", true, func() error { return h.f.Rename(h.p("/dir/b"), h.p("/dir/c")) })
	renewed("link", "/dir/c", false, func() error { return h.f.Link(h.p("/dir/c"), h.p("/dir/d")) })
	renewed("unlink", "/dir", true, func() error { return h.f.Unlink(h.p("/dir/d")) })
	renewed("chmod", "/dir/a", false, func() error { return h.f.Chmod(h.p("/dir/a"), 0o600) })
	renewed("mkdir", "/dir", true, func() error { return h.f.Mkdir(h.p("/dir/sub"), 0o700) })
	renewed("rmdir", "/dir", true, func() error { return h.f.Rmdir(h.p("/dir/sub")) })
	renewed("write", "/dir/a", true, func() error { return h.rewrite("/dir/a", "new") })
	renewed("write", "/dir", false, func() error { return h.rewrite("/dir/a", "again") })
}

func (h *helper) rewrite(path, text string) error {
	f, err := h.f.OpenWrite(h.p(path))
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, text)
	return errors.Join(err, f.Close())
}

func testXattrs(h *helper) {
	h.write("/a", "")
	h.must(h.f.Symlink("a", h.p("/link")))
	err := h.f.Setxattr(h.p("/a"), "user.one", []byte("1"))
	if errors.Is(err, syscall.EOPNOTSUPP) {
		h.Skip("this file system has no extended attributes")
	}
	h.must(err)
	h.must(h.f.Setxattr(h.p("/a"), "user.two", nil))
	h.must(h.f.Setxattr(h.p("/a"), "user.one", []byte("new")))
	names, err := h.f.Listxattr(h.p("/a"))
	h.must(err)
	slices.Sort(names)
	if !slices.Contains(names, "user.one") || !slices.Contains(names, "user.two") {
		h.Errorf("names are %q", names)
	}
	value, err := h.f.Getxattr(h.p("/a"), "user.one")
	h.must(err)
	if string(value) != "new" {
		h.Errorf("value is %q", value)
	}
	if value, err := h.f.Getxattr(h.p("/a"), "user.two"); len(value) != 0 || err != nil {
		h.Errorf("empty value is %q, %v", value, err)
	}
	h.must(h.f.Removexattr(h.p("/a"), "user.one"))
	_, err = h.f.Getxattr(h.p("/a"), "user.one")
	h.fails(err, syscall.ENODATA)
	h.fails(h.f.Removexattr(h.p("/a"), "user.one"), syscall.ENODATA)
	h.fails(h.f.Setxattr(h.p("/link"), "user.one", nil), syscall.EPERM)
	_, err = h.f.Getxattr(h.p("/link"), "user.one")
	h.fails(err, syscall.ENODATA)
	_, err = h.f.Getxattr(h.p("/none"), "user.one")
	h.fails(err, syscall.ENOENT)
	d := h.tree("")
	h.must(held(d, "a", func(e host.HeldWrite) error { return e.Setxattr("user.three", []byte("3")) }))
	value, err = d.Getxattr("a", "user.three")
	h.must(err)
	names, err = d.Listxattr("a")
	h.must(err)
	if string(value) != "3" || !slices.Contains(names, "user.three") {
		h.Errorf("value is %q, names are %q", value, names)
	}
	h.must(held(d, "a", func(e host.HeldWrite) error { return e.Removexattr("user.three") }))
}

func testReadDir(h *helper) {
	h.mkdir("/dir", "/dir/sub")
	h.write("/dir/b", "")
	h.write("/dir/a", "")
	h.must(h.f.Symlink("a", h.p("/dir/Z")))
	h.must(h.f.Mknod(h.p("/dir/pipe"), fs.ModeNamedPipe|0o600, 0))
	h.must(h.f.Symlink("dir", h.p("/link")))
	want := []host.DirEntry{
		{Name: "Z", Type: fs.ModeSymlink}, {Name: "a"}, {Name: "b"},
		{Name: "pipe", Type: fs.ModeNamedPipe}, {Name: "sub", Type: fs.ModeDir},
	}
	for _, path := range []string{"/dir", "/link"} {
		got, err := h.f.ReadDir(h.p(path))
		h.must(err)
		if !slices.Equal(got, want) {
			h.Errorf("%s lists %v", path, got)
		}
	}
	if got, err := h.f.ReadDir(h.p("/dir/sub")); len(got) != 0 || err != nil {
		h.Errorf("empty directory lists %v, %v", got, err)
	}
	_, err := h.f.ReadDir(h.p("/dir/a"))
	h.fails(err, syscall.ENOTDIR)
	_, err = h.f.ReadDir(h.p("/none"))
	h.fails(err, syscall.ENOENT)
}

func testStatfs(h *helper) {
	h.write("/a", "")
	st, err := h.f.Statfs(h.p("/a"))
	h.must(err)
	if st.BlockSize <= 0 || st.Free > st.Total || st.Available > st.Free || st.FreeInodes > st.Inodes || st.ReadOnly {
		h.Errorf("got %+v", st)
	}
	_, err = h.f.Statfs(h.p("/none"))
	h.fails(err, syscall.ENOENT)
}

func testSync(h *helper) {
	h.write("/a", "")
	h.must(h.f.SyncDir(h.p("/")))
	h.must(h.f.Symlink(".", h.p("/linked")))
	h.must(h.f.SyncDir(h.p("/linked")))
	h.fails(h.f.SyncDir(h.p("/a")), syscall.ENOTDIR)
	h.fails(h.f.SyncDir(h.p("/none")), syscall.ENOENT)
	h.must(h.tree("").SyncSelf())
	h.must(h.tree("").SyncFileSystem())
}

func testTreeReads(h *helper) {
	h.mkdir("/dir", "/dir/sub")
	h.write("/dir/a", "text")
	h.must(h.f.Symlink("a", h.p("/dir/link")))
	h.must(h.f.Symlink("sub", h.p("/dir/tosub")))
	h.must(h.f.Symlink("dir", h.p("/todir")))
	r, err := h.f.OpenTree(h.p("/todir"))
	h.must(err)
	defer r.Close()
	self, err := r.Self()
	h.must(err)
	if self.Ino != h.lstat("/dir").Ino {
		h.Error("the open directory is another")
	}
	for range 2 {
		entries, err := r.ReadDir()
		h.must(err)
		if len(entries) != 4 || entries[0].Name != "a" || entries[3].Name != "tosub" {
			h.Errorf("lists %v", entries)
		}
	}
	if st, err := r.Lstat("link"); err != nil || !st.IsSymlink() {
		h.Errorf("lstat: %+v, %v", st, err)
	}
	if to, err := r.Readlink("link"); to != "a" || err != nil {
		h.Errorf("readlink: %q, %v", to, err)
	}
	f, err := r.Open("a")
	h.must(err)
	got, err := io.ReadAll(f)
	h.must(err)
	h.must(f.Close())
	if string(got) != "text" {
		h.Errorf("read %q", got)
	}
	_, err = r.Open("link")
	h.fails(err, syscall.ELOOP)
	_, err = r.Open("sub")
	h.fails(err, syscall.EISDIR)
	_, err = r.Open("none")
	h.fails(err, syscall.ENOENT)
	_, err = r.OpenDir("tosub")
	h.fails(err, syscall.ELOOP)
	_, err = r.OpenDir("a")
	h.fails(err, syscall.ENOTDIR)
	_, err = r.OpenDir("none")
	h.fails(err, syscall.ENOENT)
	sub, err := r.OpenDir("sub")
	h.must(err)
	h.must(sub.Close())
	_, err = h.f.OpenTree(h.p("/dir/a"))
	h.fails(err, syscall.ENOTDIR)
}

func testTreeChanges(h *helper) {
	h.mkdir("/dir", "/other")
	d, o := h.tree("/dir"), h.tree("/other")
	h.close(d.Create("a", 0o640))
	_, err := d.Create("a", 0o640)
	h.fails(err, syscall.EEXIST)
	h.must(d.Mkdir("sub", 0o701))
	h.must(d.Symlink("a", "link"))
	h.must(d.Link("a", d, "b"))
	h.must(d.Link("a", o, "b"))
	h.fails(d.Link("a", o, "b"), syscall.EEXIST)
	h.must(o.Unlink("b"))
	h.must(d.Mknod("fifo", fs.ModeNamedPipe|0o600, 0))
	if st := h.lstat("/dir/a"); st.Mode != 0o640 || st.Nlink != 2 {
		h.Errorf("file is %+v", st)
	}
	h.must(held(d, "a", func(e host.HeldWrite) error {
		return errors.Join(e.Chmod(0o600), e.Chtimes(time.Unix(1, 0), time.Unix(2, 0)))
	}))
	if st := h.lstat("/dir/b"); st.Mode != 0o600 || st.Mtime.Unix() != 2 {
		h.Errorf("file is %+v", st)
	}
	h.must(d.Rename("b", o, "c"))
	h.must(d.Rename("a", d, "z"))
	h.gone("/dir/b")
	h.gone("/dir/a")
	if h.lstat("/other/c").Ino != h.lstat("/dir/z").Ino {
		h.Error("rename made another file")
	}
	h.fails(d.Unlink("sub"), syscall.EISDIR)
	h.fails(d.Rmdir("z"), syscall.ENOTDIR)
	h.fails(d.Rename("none", o, "x"), syscall.ENOENT)
	h.must(h.f.Rename(h.p("/dir"), h.p("/moved"))) // the open directory goes along
	h.must(d.Unlink("z"))
	h.gone("/moved/z")
	sub, err := d.OpenDirWrite("sub")
	h.must(err)
	h.must(sub.Mkdir("deep", 0o755))
	h.must(sub.ChmodSelf(0o711))
	h.must(sub.ChtimesSelf(time.Unix(3, 0), time.Unix(4, 0)))
	h.must(sub.ChownSelf(-1, -1))
	h.must(sub.SyncSelf())
	h.must(sub.Close())
	if st := h.lstat("/moved/sub"); st.Mode != fs.ModeDir|0o711 || st.Mtime.Unix() != 4 {
		h.Errorf("directory is %+v", st)
	}
	h.fails(d.Rmdir("sub"), syscall.ENOTEMPTY)
	if os.Geteuid() == 0 {
		h.must(held(d, "link", func(e host.HeldWrite) error { return e.Chown(3, 4) }))
		if st := h.lstat("/moved/link"); st.UID != 3 || st.GID != 4 {
			h.Errorf("symlink is %+v", st)
		}
	}
}

func testTreeNames(h *helper) {
	h.mkdir("/dir")
	d := h.tree("/dir")
	for _, name := range []string{".", "..", "a/b", "/", "/etc", "x\x00"} {
		_, err := d.Lstat(name)
		h.fails(err, syscall.EINVAL)
		_, err = d.OpenDir(name)
		h.fails(err, syscall.EINVAL)
		h.fails(d.Mkdir(name, 0o755), syscall.EINVAL)
		h.fails(d.Rename(name, d, "x"), syscall.EINVAL)
		h.fails(d.Unlink(name), syscall.EINVAL)
	}
	_, err := d.Lstat("")
	h.fails(err, syscall.ENOENT)
	_, err = d.Lstat(strings.Repeat("n", 256))
	h.fails(err, syscall.ENAMETOOLONG)
}

func testRemovedTree(h *helper) {
	h.mkdir("/dir")
	d := h.tree("/dir")
	h.must(h.f.Rmdir(h.p("/dir")))
	_, err := d.Create("a", 0o600)
	h.fails(err, syscall.ENOENT)
	h.fails(d.Mkdir("a", 0o700), syscall.ENOENT)
	_, err = d.ReadDir()
	h.fails(err, syscall.ENOENT)
	if st, err := d.Self(); err != nil || !st.IsDir() {
		h.Errorf("got %+v, %v", st, err)
	}
}

func testErrors(h *helper) {
	p := h.p("/none/x")
	_, err := h.f.Lstat(p)
	var named *fs.PathError
	if !errors.As(err, &named) || named.Path != p || named.Op == "" {
		h.Errorf("got %#v", err)
	}
	var both *os.LinkError
	if err := h.f.Rename(p, h.p("/y")); !errors.As(err, &both) || both.Old != p || both.New != h.p("/y") {
		h.Errorf("got %#v", err)
	}
	if err := h.f.Link(p, h.p("/y")); !errors.As(err, &both) {
		h.Errorf("got %#v", err)
	}
	if err := h.f.Symlink("to", p); !errors.As(err, &both) || both.New != p {
		h.Errorf("got %#v", err)
	}
}

// foreign wants an error that names the symlink which is not followed, and whose it is.
func (h *helper) foreign(err error, link string) {
	h.Helper()
	var foreign *host.ForeignLinkError
	if !errors.As(err, &foreign) || foreign.Link != h.p(link) || foreign.UID != 1000 {
		h.Errorf("got %#v (%v), want that %s of user 1000 is not followed", err, err, h.p(link))
	}
}

func testForeignLinks(h *helper) {
	h.mkdir("/dir", "/spool")
	h.write("/dir/a", "text")
	h.must(h.f.Symlink(h.p("/dir"), h.p("/spool/planted")))
	h.holds("/spool/planted/a", "text")
	h.must(h.f.Lchown(h.p("/spool/planted"), 1000, 1000))
	_, err := h.f.Open(h.p("/spool/planted/a"))
	h.fails(err, syscall.ELOOP)
	h.foreign(err, "/spool/planted")
	h.must(h.f.Symlink(h.p("/spool/../spool/planted/"), h.p("/dir/detour")))
	_, err = h.f.Lstat(h.p("/dir/detour/a"))
	h.foreign(err, "/spool/planted")
	h.must(h.f.Unlink(h.p("/dir/detour")))
	_, err = h.f.Stat(h.p("/spool/planted"))
	h.fails(err, syscall.ELOOP)
	_, err = h.f.OpenTree(h.p("/spool/planted"))
	h.fails(err, syscall.ELOOP)
	_, err = h.f.Create(h.p("/spool/planted/b"), 0o600)
	h.fails(err, syscall.ELOOP)
	h.fails(h.f.Rename(h.p("/dir/a"), h.p("/spool/planted/a")), syscall.ELOOP)
	if !h.lstat("/spool/planted").IsSymlink() {
		h.Error("the symlink itself is as before")
	}
	h.must(h.f.Unlink(h.p("/spool/planted")))
}
