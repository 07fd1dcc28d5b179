package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
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

// BenchmarkStart and its peer tell what starting the program costs beside starting any program. The
// program is meant to start in under 20 ms.
func BenchmarkStart(b *testing.B) {
	program := buildProgram(b)
	b.Run("version", func(b *testing.B) { loop(b, program, "version") })
	b.Run("true", func(b *testing.B) { loop(b, "/bin/true") })
}

// BenchmarkSimulate is a whole migration of the example host, meant to take under 200 ms.
func BenchmarkSimulate(b *testing.B) {
	program := buildProgram(b)
	b.Run("simulate", func(b *testing.B) { loop(b, program, "simulate") })
	b.Run("true", func(b *testing.B) { loop(b, "/bin/true") })
}

// BenchmarkSimulateHosts is a whole migration of a shipped host of each family; those of rpm packages are meant to take no
// longer than Debian's, and tell how many times as long they take.
func BenchmarkSimulateHosts(b *testing.B) {
	program := buildProgram(b)
	debian := 0.0
	for _, name := range []string{"debian8-zcp72", "rhel7-zcp72", "sles12-zcp72"} {
		b.Run(name, func(b *testing.B) {
			loop(b, program, "simulate", "--host", name)
			took := b.Elapsed().Seconds() / float64(b.N)
			if debian == 0 {
				debian = took
			}
			b.ReportMetric(took/debian, "times-Debian")
		})
	}
}

func loop(b *testing.B, name string, args ...string) {
	for b.Loop() {
		if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
			b.Fatalf("%s: %v: %s", name, err, out)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/run")
}
