package hosttest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/fstab"
)

// Mounts runs the suite of mounts on a host that has a file "here" in what is mounted at a point, by a line of fstab. It
// goes to another directory, and comes back.
func Mounts(t *testing.T, h host.Host, point, other string) {
	ctx := context.Background()
	was := mountAt(t, h, point)
	if was == nil {
		t.Fatalf("nothing is mounted at %s", point)
	}
	text, err := fstab.Read(h)
	if err != nil {
		t.Fatal(err)
	}
	moved, err := fstab.Moved(text, point, other)
	if err != nil {
		t.Fatal(err)
	}
	carry := func(from, to, table string) {
		t.Helper()
		if err := h.Unmount(ctx, from); err != nil {
			t.Fatal(err)
		}
		if m := mountAt(t, h, from); m != nil {
			t.Errorf("%s is still mounted: %+v", from, m)
		}
		if entries, err := h.ReadDir(from); err != nil || len(entries) != 0 {
			t.Errorf("%s holds %v, %v", from, entries, err)
		}
		if err := h.Unmount(ctx, from); err == nil {
			t.Errorf("%s was unmounted twice", from)
		}
		if err := h.Mount(ctx, to); err == nil {
			t.Errorf("%s was mounted without a line", to)
		}
		replaceTable(t, h, table)
		if err := h.Mount(ctx, to); err != nil {
			t.Fatal(err)
		}
		m := mountAt(t, h, to)
		if m == nil || m.Source != was.Source || m.Type != was.Type {
			t.Errorf("at %s there is %+v; before it was %+v", to, m, was)
		}
		if entries, err := h.ReadDir(to); err != nil || !slices.ContainsFunc(entries, func(e host.DirEntry) bool { return e.Name == "here" }) {
			t.Errorf("%s holds %v, %v", to, entries, err)
		}
	}
	carry(point, other, moved)
	carry(other, point, text)
}

func replaceTable(t *testing.T, h host.FileWriter, text string) {
	t.Helper()
	f, err := h.Create(fstab.Path+".new", 0o644)
	if err == nil {
		_, err = f.Write([]byte(text))
		err = errors.Join(err, f.Close(), h.Rename(fstab.Path+".new", fstab.Path))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func mountAt(t *testing.T, h host.SystemReader, point string) *host.Mount {
	t.Helper()
	mounts, err := h.Mounts()
	if err != nil {
		t.Fatal(err)
	}
	for i := len(mounts) - 1; i >= 0; i-- {
		if strings.TrimSuffix(mounts[i].Point, "/") == point {
			return &mounts[i]
		}
	}
	return nil
}
