package hosttest

import (
	"testing"

	"zcp2kopano/runtime/host/live"
	"zcp2kopano/runtime/host/sim/simfs"
)

// TestKernel holds the suite itself against plain system calls.
func TestKernel(t *testing.T) {
	fresh := func(t *testing.T) (FS, string) { return kernel{}, t.TempDir() }
	Files(t, fresh)
	TrailingSlashes(t, fresh)
}

// TakesRelativePaths tells the suite that the kernel knows a working directory.
func (k kernel) TakesRelativePaths() {}

func TestSimulated(t *testing.T) {
	fresh := func(t *testing.T) (FS, string) { return simfs.New(simfs.Options{}), "/" }
	Files(t, fresh)
	ForeignLinks(t, fresh)
	TrailingSlashes(t, fresh)
}

// TestSimulatedOverKernel lets the simulated file system find its directory in a lower layer.
func TestSimulatedOverKernel(t *testing.T) {
	fresh := func(t *testing.T) (FS, string) {
		f := simfs.New(simfs.Options{Lower: kernel{}})
		t.Cleanup(func() { f.Close() })
		return f, t.TempDir()
	}
	Files(t, fresh)
	ForeignLinks(t, fresh)
	TrailingSlashes(t, fresh)
}

func TestLive(t *testing.T) {
	fresh := func(t *testing.T) (FS, string) {
		h, err := live.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { h.Close() })
		return h, "/"
	}
	Files(t, fresh)
	ForeignLinks(t, fresh)
	TrailingSlashes(t, fresh)
}
