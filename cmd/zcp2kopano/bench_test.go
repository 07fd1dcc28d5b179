package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// The built program may take this long; see the README.
const (
	startLimit    = 20 * time.Millisecond
	simulateLimit = 200 * time.Millisecond
)

// buildProgram builds the program as it is shipped.
func buildProgram(tb testing.TB) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "zcp2kopano")
	cmd := exec.Command("go", "build", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("%v: %s", err, out)
	}
	return path
}

// best is the shortest of several runs: what the program needs, without what else the machine does.
func best(tb testing.TB, runs int, name string, args ...string) time.Duration {
	tb.Helper()
	shortest := time.Duration(1<<63 - 1)
	for range runs {
		start := time.Now()
		if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
			tb.Fatalf("%s: %v: %s", name, err, out)
		}
		shortest = min(shortest, time.Since(start))
	}
	return shortest
}

// TestIsQuick holds the program to its limits.
func TestIsQuick(t *testing.T) {
	if testing.Short() {
		t.Skip("left out with -short: builds the program and measures it")
	}
	program := buildProgram(t)
	if d := best(t, 10, program, "version"); d > startLimit {
		t.Errorf("version takes %s, the limit is %s", d, startLimit)
	}
	if d := best(t, 5, program, "simulate"); d > simulateLimit {
		t.Errorf("simulate takes %s, the limit is %s", d, simulateLimit)
	}
}

// BenchmarkStart and its peer tell what starting the program costs beside starting any program.
func BenchmarkStart(b *testing.B) {
	program := buildProgram(b)
	b.Run("version", func(b *testing.B) { loop(b, program, "version") })
	b.Run("true", func(b *testing.B) { loop(b, "/bin/true") })
}

// BenchmarkSimulate is a whole migration of the example host.
func BenchmarkSimulate(b *testing.B) {
	program := buildProgram(b)
	b.Run("simulate", func(b *testing.B) { loop(b, program, "simulate") })
	b.Run("true", func(b *testing.B) { loop(b, "/bin/true") })
}

func loop(b *testing.B, name string, args ...string) {
	for b.Loop() {
		if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
			b.Fatalf("%s: %v: %s", name, err, out)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/run")
}
