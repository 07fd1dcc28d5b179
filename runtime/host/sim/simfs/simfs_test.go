package simfs

import (
	"errors"
	"io"
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
