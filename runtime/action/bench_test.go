package action

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// benchFiles is how large the trees are; BENCH_FILES says otherwise.
func benchFiles(b *testing.B, usual int) int {
	b.Helper()
	s := os.Getenv("BENCH_FILES")
	if s == "" {
		return usual
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		b.Fatalf("BENCH_FILES: %v", err)
	}
	return n
}

// plantStore makes files in 10 by 20 directories, as the server lays attachments out. All belong to user and group 110.
func plantStore(b *testing.B, root string, files int, size func(i int) int) {
	b.Helper()
	content := make([]byte, 64<<10)
	for i := range content {
		content[i] = byte(i * i >> 7)
	}
	must(b, os.MkdirAll(root, 0o750))
	must(b, os.Chown(root, 110, 110))
	for i := range files {
		dir := filepath.Join(root, strconv.Itoa(i%10), strconv.Itoa(i/10%20))
		if i < 200 {
			must(b, os.MkdirAll(dir, 0o750))
			must(b, os.Chown(filepath.Dir(dir), 110, 110))
			must(b, os.Chown(dir, 110, 110))
		}
		f, err := os.OpenFile(filepath.Join(dir, strconv.Itoa(i)+".gz"), os.O_CREATE|os.O_WRONLY, 0o640)
		must(b, err)
		for left := size(i); left > 0; left -= len(content) {
			_, err := f.Write(content[:min(left, len(content))])
			must(b, err)
		}
		must(b, f.Chown(110, 110))
		must(b, f.Close())
	}
}

// timed runs something, and makes sure first that it does not wait for what was written before.
func timed(b *testing.B, cold bool, do func()) time.Duration {
	b.Helper()
	unix.Sync()
	if cold {
		must(b, os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0))
	}
	begun := time.Now()
	do()
	return time.Since(begun)
}

func peer(b *testing.B, name string, args ...string) {
	b.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		b.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// syncDisk syncs the file system of a directory alone, as ours does: others may be writing to theirs.
func syncDisk(b *testing.B, dir string) {
	b.Helper()
	f, err := os.Open(dir)
	must(b, err)
	must(b, unix.Syncfs(int(f.Fd())))
	must(b, f.Close())
}

// against reports the speed of ours in that of a peer. They take turns, so that what else the machine does meanwhile is
// in the way of both, and the median of the ratios counts.
type against struct{ ours, theirs []time.Duration }

func (a against) report(b *testing.B, peer string) {
	b.Helper()
	ratios := make([]float64, len(a.ours))
	for i := range ratios {
		ratios[i] = a.theirs[i].Seconds() / a.ours[i].Seconds()
	}
	b.ReportMetric(median(ratios), "x-"+peer)
	b.ReportMetric(median(a.ours).Seconds(), "s-ours")
	b.ReportMetric(median(a.theirs).Seconds(), "s-"+peer)
	b.ReportMetric(0, "ns/op")
}

func median[T time.Duration | float64](of []T) T {
	of = slices.Sorted(slices.Values(of))
	return (of[(len(of)-1)/2] + of[len(of)/2]) / 2
}

// BenchmarkChown changes the owner of an attachment store, with all that it takes to undo that, against chown -R --from
// and a sync.
func BenchmarkChown(b *testing.B) {
	for _, kind := range []string{"ext4", "xfs"} {
		for _, cold := range []bool{false, true} {
			b.Run(kind+map[bool]string{false: "/warm", true: "/cold"}[cold], func(b *testing.B) {
				env, root := liveEnv(b)
				loopMount(b, kind, b.TempDir(), filepath.Join(root, "tree"), 3000)
				plantStore(b, filepath.Join(root, "tree"), benchFiles(b, 100_000), func(int) int { return 0 })
				var took against
				for i := 0; b.Loop(); i++ {
					env.Tag = fmt.Sprintf("b-%d", i)
					took.ours = append(took.ours, timed(b, cold, func() {
						a := &Chown{Path: "/tree", Recursive: true, Users: map[string]string{"110": "998"}, Groups: map[string]string{"110": "998"}}
						needed, err := a.Prepare(env)
						must(b, err)
						if !needed {
							b.Fatal("nothing to do")
						}
						_, err = a.Apply(env)
						must(b, err)
					}))
					took.theirs = append(took.theirs, timed(b, cold, func() {
						peer(b, "chown", "-R", "--from", "998:998", "110:110", filepath.Join(root, "tree"))
						syncDisk(b, filepath.Join(root, "tree"))
					}))
				}
				took.report(b, "chown")
			})
		}
	}
}

// loopMount mounts a new file system of this kind at a directory, from a file in dir.
func loopMount(b *testing.B, kind, dir, at string, megabytes int) {
	b.Helper()
	if _, err := exec.LookPath("mkfs." + kind); err != nil {
		b.Skipf("mkfs.%s is not installed", kind)
	}
	image := filepath.Join(dir, "disk."+kind)
	f, err := os.Create(image)
	must(b, err)
	must(b, f.Truncate(int64(megabytes)<<20))
	must(b, f.Close())
	peer(b, "mkfs."+kind, "-q", image)
	must(b, os.MkdirAll(at, 0o755))
	peer(b, "mount", "-o", "loop", image, at)
	b.Cleanup(func() {
		peer(b, "umount", at)
		must(b, os.Remove(image))
	})
}

// BenchmarkCopy copies a tree to another file system, verified, against rsync -a and a sync.
func BenchmarkCopy(b *testing.B) {
	files := benchFiles(b, 50_000)
	sizes := map[string]struct {
		files int
		size  func(i int) int
	}{
		"small": {files, func(i int) int { return 4096 + i%32*1024 }},
		"large": {files / 1000, func(int) int { return 20 << 20 }},
	}
	for _, kind := range []string{"ext4", "xfs"} {
		for _, what := range []string{"small", "large"} {
			for _, cold := range []bool{false, true} {
				name := kind + "/" + what + map[bool]string{false: "/warm", true: "/cold"}[cold]
				b.Run(name, func(b *testing.B) {
					env, root := liveEnv(b)
					trees := sizes[what]
					loopMount(b, kind, b.TempDir(), filepath.Join(root, "new"), 3000)
					plantStore(b, filepath.Join(root, "tree"), trees.files, trees.size)
					var took against
					for i := 0; b.Loop(); i++ {
						env.Tag = fmt.Sprintf("b-%d", i)
						took.ours = append(took.ours, timed(b, cold, func() {
							a := &Copy{From: "/tree", To: "/new/tree"}
							needed, err := a.Prepare(env)
							must(b, err)
							if !needed {
								b.Fatal("nothing to do")
							}
							_, err = a.Apply(env)
							must(b, err)
						}))
						must(b, os.RemoveAll(filepath.Join(root, "new/tree")))
						took.theirs = append(took.theirs, timed(b, cold, func() {
							peer(b, "rsync", "-a", filepath.Join(root, "tree"), filepath.Join(root, "new"))
							syncDisk(b, filepath.Join(root, "new"))
						}))
						must(b, os.RemoveAll(filepath.Join(root, "new/tree")))
					}
					took.report(b, "rsync")
				})
			}
		}
	}
}

// BenchmarkMemory tells how much memory the program had resident, at most, while it worked through a tree of a million
// files, or of half as many with two names each; BENCH_FILES says how many else.
func BenchmarkMemory(b *testing.B) {
	files := benchFiles(b, 1_000_000)
	b.Run("names", func(b *testing.B) {
		env, root := liveEnv(b)
		plantStore(b, filepath.Join(root, "tree"), files, func(int) int { return 0 })
		memory(b, env)
	})
	b.Run("linked", func(b *testing.B) {
		env, root := liveEnv(b)
		first, second := filepath.Join(root, "tree/first"), filepath.Join(root, "tree/second")
		must(b, os.Mkdir(filepath.Join(root, "tree"), 0o755))
		plantStore(b, first, files/2, func(int) int { return 0 })
		must(b, filepath.WalkDir(first, func(name string, d fs.DirEntry, err error) error {
			at := second + strings.TrimPrefix(name, first)
			switch {
			case err != nil:
				return err
			case d.IsDir():
				return os.Mkdir(at, 0o755)
			}
			return os.Link(name, at)
		}))
		memory(b, env)
	})
}

func memory(b *testing.B, env *Env) {
	do := func(a Action, undo bool) {
		needed, err := a.Prepare(env)
		must(b, err)
		if !needed {
			b.Fatal("nothing to do")
		}
		_, err = a.Apply(env)
		must(b, err)
		if undo {
			must(b, a.Undo(env))
		}
	}
	works := []struct {
		name string
		do   func()
	}{
		{"chown", func() {
			a := &Chown{Path: "/tree", Recursive: true, Users: map[string]string{"110": "998"}, Group: "998"}
			do(a, true)
			lines, err := a.Differences(env)
			must(b, err)
			if len(lines) > 0 {
				b.Fatal(lines)
			}
		}},
		{"copy", func() { do(&Copy{From: "/tree", To: "/copy"}, false) }},
		{"compare", func() { must(b, needPart(env, "/copy", "/tree")) }},
		{"remove", func() { do(&Remove{Path: "/copy"}, true) }},
	}
	for b.Loop() {
		for _, w := range works {
			b.ReportMetric(resident(b, w.do), "MB-"+w.name)
		}
	}
	b.ReportMetric(0, "ns/op")
}

// resident is how many megabytes were resident at most while something ran.
func resident(b *testing.B, do func()) float64 {
	b.Helper()
	debug.FreeOSMemory()
	must(b, os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)) // forgets the most until now
	do()
	status, err := os.ReadFile("/proc/self/status")
	must(b, err)
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kilobytes float64
	_, err = fmt.Sscan(rest, &kilobytes)
	must(b, err)
	return kilobytes / 1024
}
