package journal

import (
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"zcp2kopano/runtime/host/hosttest/synced"
)

// TestCreateIsDurable: a run that was begun is there after a power cut, with the name of its journal.
func TestCreateIsDurable(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "journal")
	got := synced.By(t, func() error {
		l, err := Create(path, "1", clock())
		if err == nil {
			t.Cleanup(func() { l.Close() })
		}
		return err
	})
	want := []string{"fsync " + path + ".end", "fsync " + path, "fsync " + dir}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestTakenUpIsDurable: what a killed process has written, and a power cut could yet take back, is relied on by whoever
// goes on with it.
func TestTakenUpIsDurable(t *testing.T) {
	f := &faulty{}
	l, err := begin(f, "journal", "1", clock())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.AppendLazy("a", nil); err != nil {
		t.Fatal(err)
	}
	f.sync = syscall.EIO
	if _, _, _, err := resume(f, f.data, "journal", clock()); err == nil {
		t.Error("a journal was taken up that could not be synced")
	}
	f.sync = nil
	f.data = append(f.data, "0123"...)
	l, _, damage, err := resume(f, f.data, "journal", clock())
	if err != nil || damage == nil || !damage.Torn {
		t.Fatalf("%v, %v", damage, err)
	}
	f.sync = syscall.EIO
	if err := l.Repair(); err == nil {
		t.Error("a torn tail was cut off, and that not synced")
	}
}

// TestEndIsNeverAhead: a record that could not be synced is not named as one that the journal has held: it would refuse
// the journal for being cut off.
func TestEndIsNeverAhead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	l, err := Create(path, "1", clock())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := l.Append("a", nil); err != nil {
		t.Fatal(err)
	}
	known := Durable(path)
	l.medium = unsynced{l.medium}
	if _, err := l.Append("b", nil); err == nil {
		t.Fatal("no error")
	}
	if now := Durable(path); known != 1 || now != known {
		t.Errorf("%d records are known to be durable, and then %d", known, now)
	}
}

// unsynced is a medium whose disk fails.
type unsynced struct{ medium }

func (unsynced) Sync() error { return syscall.EIO }
