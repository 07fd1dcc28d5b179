package sim

import (
	"os"
	"testing"
	"time"
)

func readHost(t testing.TB, name string, o Options) *Host {
	t.Helper()
	data, err := os.ReadFile("../../../testdata/hosts/" + name + ".txtar")
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

func TestShippedHostsAreFast(t *testing.T) {
	start := time.Now()
	h := readHost(t, "debian8-zcp72", Options{})
	t.Logf("%v", time.Since(start))
	st, err := h.Statfs("/")
	if err != nil || st.Free != 38<<30 {
		t.Errorf("free on / is %d (%v), want what the fixture says", st.Free, err)
	}
}

func BenchmarkShippedHost(b *testing.B) {
	for b.Loop() {
		readHost(b, "debian8-zcp72", Options{})
	}
}
