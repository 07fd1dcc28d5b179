package sim

import (
	"errors"
	"io/fs"
	"os"
	"testing"
	"time"
)

func readHost(t testing.TB, name string, o Options) *Host {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name + ".txtar")
	if errors.Is(err, fs.ErrNotExist) {
		data, err = os.ReadFile("../../../testdata/hosts/" + name + ".txtar")
	}
	if err != nil {
		t.Fatal(err)
	}
	f, err := ReadFixture(data)
	if err != nil {
		t.Fatal(err)
	}
	h, err := f.Host(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestShippedHosts(t *testing.T) {
	free := map[string]uint64{"debian8-zcp72": 38 << 30, "debian8-zcp71-ldap": 30 << 30, "rhel7-zcp72": 41 << 30, "sles12-zcp72": 70 << 30, "inhibited": 300 << 20}
	for name, want := range free {
		start := time.Now()
		h := readHost(t, name, Options{Catalog: catalogues(t)})
		t.Logf("%s: %v", name, time.Since(start))
		st, err := h.Statfs("/")
		if err != nil || st.Free != want {
			t.Errorf("%s: free on / is %d (%v), want what the fixture says", name, st.Free, err)
		}
		if u := h.Unpredicted(); len(u) != 0 {
			t.Errorf("%s: unpredicted at the start: %v", name, u)
		}
	}
}

func BenchmarkShippedHost(b *testing.B) {
	for b.Loop() {
		readHost(b, "debian8-zcp72", Options{})
	}
}
