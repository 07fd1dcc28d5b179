package hosttest

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/live"
	"zcp2kopano/runtime/host/sim/simfs"
)

// BenchmarkTree simulates a change of owner and a move of an attachment store that lies in the live
// lower layer, and compares with find(1) over the same files. BENCH_FILES says how many there are.
//
// It reports how many times as long as find it took, and the memory that it took per file.
func BenchmarkTree(b *testing.B) {
	files := 20_000
	if s := os.Getenv("BENCH_FILES"); s != "" {
		var err error
		if files, err = strconv.Atoi(s); err != nil {
			b.Fatalf("BENCH_FILES: %v", err)
		}
	}
	root := b.TempDir()
	plant(b, root, files)
	find(b, root) // so that both find the directories in the cache
	var found, simulated time.Duration
	var bytes uint64
	for b.Loop() {
		found += find(b, root)
		took, size := simulate(b, root, files)
		simulated += took
		bytes += size
	}
	b.ReportMetric(float64(simulated)/float64(found), "times-find")
	b.ReportMetric(float64(bytes)/float64(b.N*files), "B/file")
}

// plant makes files in 20 by 20 directories, as the server lays attachments out.
func plant(b *testing.B, root string, files int) {
	b.Helper()
	for i := range files {
		dir := filepath.Join(root, "zarafa", strconv.Itoa(i%20), strconv.Itoa(i/20%20))
		if i < 400 {
			if err := os.MkdirAll(dir, 0o700); err != nil {
				b.Fatal(err)
			}
		}
		f, err := os.OpenFile(filepath.Join(dir, strconv.Itoa(10_000_000+i)+".gz"), os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			b.Fatal(err)
		}
		f.Close()
	}
}

func find(b *testing.B, root string) time.Duration {
	b.Helper()
	cmd := exec.Command("find", filepath.Join(root, "zarafa"), "-printf", `%p %M %U %G %s %n %T@\n`)
	cmd.Stdout = io.Discard
	start := time.Now()
	if err := cmd.Run(); err != nil {
		missingTool(b, err)
	}
	return time.Since(start)
}

func missingTool(b *testing.B, err error) {
	b.Helper()
	missing(b, "find -printf does not run: "+err.Error())
}

func simulate(b *testing.B, root string, files int) (time.Duration, uint64) {
	b.Helper()
	view, err := live.OpenView(root)
	if err != nil {
		b.Fatal(err)
	}
	defer view.Close()
	before := heap()
	start := time.Now()
	f := simfs.New(simfs.Options{Lower: view})
	defer f.Close()
	d, err := f.OpenTreeWrite("/zarafa")
	if err != nil {
		b.Fatal(err)
	}
	changed, err := chownTree(d)
	if err == nil {
		err = f.Rename("/zarafa", "/kopano")
	}
	took := time.Since(start)
	if err != nil || changed < files {
		b.Fatal(fmt.Errorf("changed %d of %d files: %w", changed, files, err))
	}
	after := heap()
	runtime.KeepAlive(f)
	return took, after - min(before, after)
}

func chownTree(d host.Dir) (changed int, err error) {
	defer d.Close()
	entries, err := d.ReadDir()
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		if e.Type.IsDir() {
			sub, err := d.OpenDirWrite(e.Name)
			if err != nil {
				return changed, err
			}
			n, err := chownTree(sub)
			if changed += n; err != nil {
				return changed, err
			}
			continue
		}
		if _, err := d.Lstat(e.Name); err != nil {
			return changed, err
		}
		if err := held(d, e.Name, func(e host.HeldWrite) error { return e.Chown(1001, 1002) }); err != nil {
			return changed, err
		}
		changed++
	}
	return changed, d.ChownSelf(1001, 1002)
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}
