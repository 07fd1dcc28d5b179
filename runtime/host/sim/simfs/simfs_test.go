package simfs

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"syscall"
	"testing"
	"time"

	"zcp2kopano/runtime/host"
)

var epoch = time.Date(2016, 2, 1, 12, 0, 0, 0, time.UTC)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

func readAll(t *testing.T, r host.FileReader, path string) string {
	t.Helper()
	f, err := r.Open(path)
	must(t, err)
	defer f.Close()
	data, err := io.ReadAll(f)
	must(t, err)
	return string(data)
}

func TestFixtureIsReadBack(t *testing.T) {
	f := New(Options{})
	must(t, f.PutFile("/etc/zarafa/server.cfg", []byte("a = b\n"), 0o640, 0, 8, epoch))
	must(t, f.PutSymlink("/var/lib/zarafa", "/srv/z", 0, 0))
	must(t, f.PutDir("/srv/z", 0o2750, 10, 11))
	must(t, f.PutSized("/var/lib/zarafa/big", 2<<40, 0o600, 10, 11, epoch))
	if got := readAll(t, f, "/etc/zarafa/server.cfg"); got != "a = b\n" {
		t.Errorf("content %q", got)
	}
	st, err := f.Lstat("/srv/z/big")
	must(t, err)
	if st.Size != 2<<40 || !st.Mtime.Equal(epoch) {
		t.Errorf("got %+v", st)
	}
	big, err := f.Open("/srv/z/big")
	must(t, err)
	_, err = big.Read(make([]byte, 1))
	wantErr(t, err, host.ErrUnknown)
	must(t, big.Close())
}

func TestLowerDirectoryMovesWithoutCopy(t *testing.T) {
	low := New(Options{})
	must(t, low.PutFile("/var/lib/zarafa/attachments/0/1", []byte("one"), 0o600, 1, 1, epoch))
	f := New(Options{Lower: low})
	must(t, f.Mkdir("/var/lib/kopano", 0o755))
	must(t, f.Rename("/var/lib/zarafa/attachments", "/var/lib/kopano/attachments"))
	if got := readAll(t, f, "/var/lib/kopano/attachments/0/1"); got != "one" {
		t.Errorf("content %q", got)
	}
	_, err := f.Lstat("/var/lib/zarafa/attachments")
	wantErr(t, err, syscall.ENOENT)
	must(t, f.Rmdir("/var/lib/zarafa"))
	_, err = low.Lstat("/var/lib/zarafa/attachments/0/1")
	must(t, err)
}

func TestMountsAndBudgets(t *testing.T) {
	f := New(Options{Mounts: []Mount{
		{Mount: host.Mount{Point: "/", Type: "ext4"}},
		{Mount: host.Mount{Point: "/srv", Type: "ext4"}, Budget: host.Statfs{Total: 1 << 20, Free: 3 * 4096, Inodes: 100, FreeInodes: 2}},
	}})
	must(t, f.PutFile("/a", []byte("x"), 0o600, 0, 0, epoch))
	wantErr(t, f.Rename("/a", "/srv/a"), syscall.EXDEV)
	wantErr(t, f.Link("/a", "/srv/a"), syscall.EXDEV)
	wantErr(t, f.Rmdir("/srv"), syscall.EBUSY)
	wantErr(t, f.Rename("/srv", "/x"), syscall.EBUSY)
	must(t, f.CreateSized("/srv/dump", 2*4096, 0o600))
	wantErr(t, f.CreateSized("/srv/dump2", 2*4096, 0o600), syscall.ENOSPC)
	must(t, f.CreateSized("/srv/dump3", 4096, 0o600))
	wantErr(t, f.CreateSized("/srv/dump4", 0, 0o600), syscall.ENOSPC)
	must(t, f.Unlink("/srv/dump"))
	st, err := f.Statfs("/srv/dump3")
	must(t, err)
	if st.Free != 2*4096 || st.FreeInodes != 1 {
		t.Errorf("got %+v", st)
	}
}

func TestFullDisk(t *testing.T) {
	f := New(Options{Mounts: []Mount{{
		Mount:  host.Mount{Point: "/", Type: "ext4"},
		Budget: host.Statfs{Total: 1 << 20, Free: 3 * 4096, Available: 2 * 4096},
	}}})
	h, err := f.Create("/a", 0o600)
	must(t, err)
	n, err := h.Write(make([]byte, 5*4096))
	wantErr(t, err, syscall.ENOSPC)
	if n != 3*4096 {
		t.Errorf("wrote %d bytes before the disk was full", n)
	}
	must(t, h.Truncate(100))
	must(t, f.Unlink("/a"))
	if st, _ := f.Statfs("/"); st.Free != 2*4096 {
		t.Errorf("an open file gave its space back: %d free", st.Free)
	}
	must(t, h.Close())
	if st, _ := f.Statfs("/"); st.Free != 3*4096 {
		t.Errorf("%d free at the end", st.Free)
	}
	f.SetUser(&Credentials{UID: 5, GIDs: []uint32{5}})
	must(t, f.PutDir("/home", 0o777, 0, 0)) // takes one
	must(t, f.CreateSized("/home/a", 4096, 0o600))
	wantErr(t, f.CreateSized("/home/b", 4096, 0o600), syscall.ENOSPC) // the reserve is root's
}

func TestReadOnlyMount(t *testing.T) {
	f := New(Options{Mounts: []Mount{
		{Mount: host.Mount{Point: "/"}},
		{Mount: host.Mount{Point: "/mnt", ReadOnly: true}},
	}})
	must(t, f.PutFile("/mnt/a", nil, 0o600, 0, 0, epoch))
	_, err := f.Create("/mnt/b", 0o600)
	wantErr(t, err, syscall.EROFS)
	_, err = f.OpenWrite("/mnt/a")
	wantErr(t, err, syscall.EROFS)
	for _, err := range []error{
		f.Unlink("/mnt/a"), f.Mkdir("/mnt/d", 0o700), f.Rename("/mnt/a", "/mnt/b"), f.Link("/mnt/a", "/mnt/b"),
		f.Symlink("x", "/mnt/l"), f.Chmod("/mnt/a", 0), f.Lchown("/mnt/a", 1, 1), f.Chtimes("/mnt/a", epoch, epoch),
		f.Setxattr("/mnt/a", "user.a", nil), f.Rmdir("/mnt/none"),
	} {
		wantErr(t, err, syscall.EROFS)
	}
	wantErr(t, f.Mkdir("/mnt/a", 0o700), syscall.EEXIST)
}

func TestHardLinksOfTheLowerLayerStayOneFile(t *testing.T) {
	low := New(Options{})
	must(t, low.PutFile("/x/a", []byte("one"), 0o600, 1, 1, epoch))
	must(t, low.PutLink("/x/a", "/y/b"))
	f := New(Options{Lower: low})
	must(t, f.Lchown("/x/a", 7, 7))
	h, err := f.OpenWrite("/x/a")
	must(t, err)
	_, err = h.Write([]byte("two"))
	must(t, err)
	must(t, h.Close())
	st, err := f.Lstat("/y/b")
	must(t, err)
	if st.UID != 7 || st.Nlink != 2 || readAll(t, f, "/y/b") != "two" || readAll(t, low, "/y/b") != "one" {
		t.Errorf("the other name is %+v", st)
	}
	before, _ := f.Statfs("/")
	must(t, f.Unlink("/x/a"))
	after, _ := f.Statfs("/")
	if before.Free != after.Free {
		t.Error("space was freed with a name left")
	}
}

func TestCopyOfAnySizeReadsNothing(t *testing.T) {
	f := New(Options{Mounts: []Mount{
		{Mount: host.Mount{Point: "/"}},
		{Mount: host.Mount{Point: "/srv"}, Budget: host.Statfs{Total: 4 << 40, Free: 3 << 40}},
	}})
	must(t, f.PutSized("/store", 2<<40, 0o600, 0, 0, epoch))
	copyTo := func(path string) error {
		src, err := f.Open("/store")
		must(t, err)
		defer src.Close()
		dst, err := f.Create(path, 0o600)
		must(t, err)
		defer dst.Close()
		_, err = io.Copy(dst, src)
		return err
	}
	must(t, copyTo("/srv/a"))
	wantErr(t, copyTo("/srv/b"), syscall.ENOSPC)
	if known, err := f.IsContentKnown("/srv/a"); known || err != nil {
		t.Errorf("content known: %v, %v", known, err)
	}
}

func TestPartsOfUnknownContent(t *testing.T) {
	f := New(Options{})
	must(t, f.PutSized("/a", 10000, 0o600, 0, 0, epoch))
	h, err := f.OpenWrite("/a")
	must(t, err)
	defer h.Close()
	_, err = h.Write(make([]byte, 4096))
	must(t, err)
	buf := make([]byte, 4096)
	_, err = h.ReadAt(buf, 0)
	must(t, err) // it was written whole
	_, err = h.ReadAt(buf, 1)
	wantErr(t, err, host.ErrUnknown)
	must(t, h.Truncate(0))
	_, err = h.ReadAt(buf, 0)
	wantErr(t, err, io.EOF)
}

// TestOfOtherUsers holds what long random sequences found of users that may do little.
func TestOfOtherUsers(t *testing.T) {
	f := New(Options{})
	must(t, f.Mkdir("/d", 0o600))
	must(t, f.Mkdir("/w", 0o777))
	must(t, f.Lchown("/d", 1000, 1000))
	f.SetUser(&Credentials{UID: 1000, GIDs: []uint32{1000}})
	d, err := f.OpenTreeWrite("/d")
	must(t, err)
	wantErr(t, d.Link("", d, "a"), syscall.ENOENT)
	wantErr(t, d.Link("a", d, ".."), syscall.EINVAL)
	wantErr(t, d.Rename("a", d, ""), syscall.ENOENT)
	wantErr(t, d.Link("a", d, "b"), syscall.EACCES)
	must(t, f.Mknod("/w/whiteout", fs.ModeDevice|fs.ModeCharDevice, 0))
	wantErr(t, f.Mknod("/w/block", fs.ModeDevice, 0), syscall.EPERM)
	wantErr(t, f.Mknod("/w/null", fs.ModeDevice|fs.ModeCharDevice, 1<<8|3), syscall.EPERM)
}

func TestHooks(t *testing.T) {
	var seen []string
	fail := ""
	f := New(Options{
		Fault: func(op, path string) error {
			if op == fail {
				return syscall.EIO
			}
			return nil
		},
		After: func(op, path string) { seen = append(seen, op+" "+path) },
	})
	must(t, f.Mkdir("/a", 0o700))
	must(t, f.SyncDir("/a"))
	fail = "rename"
	wantErr(t, f.Rename("/a", "/b"), syscall.EIO)
	wantErr(t, f.Rmdir("/none"), syscall.ENOENT)
	if _, err := f.Lstat("/a"); err != nil {
		t.Error("a fault left a change behind")
	}
	if want := []string{"mkdir /a", "syncdir /a"}; !slices.Equal(seen, want) {
		t.Errorf("saw %q, want %q", seen, want)
	}
}
