package directory

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"
)

// largeExport writes an export of about so many bytes, as slapcat does.
func largeExport(b *testing.B, size int64) string {
	b.Helper()
	name := filepath.Join(b.TempDir(), "export.ldif")
	f, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	w := bufio.NewWriter(f)
	for n, written := 0, int64(0); written < size; n++ {
		k, _ := fmt.Fprintf(w, "dn: uid=u%[1]d,ou=people,dc=example,dc=org\nobjectClass: inetOrgPerson\nobjectClass: posixAccount\nobjectClass: old-user\nuid: u%[1]d\n"+
			"cn: User %[1]d\nsn: Example\nuidNumber: %[1]d\ngidNumber: 1000\nhomeDirectory: /home/u%[1]d\nmail: u%[1]d@example.org\nuserPassword:: e1NTSEF9c29tZXRoaW5nIHRoYXQgaXMgbG9uZw==\n"+
			"oldQuota: 1000\noldAliases: a%[1]d@example.org\noldAliases: b%[1]d@example.org\nstructuralObjectClass: inetOrgPerson\nentryUUID: 11d6f0f2-80b8-1041-84d9-d5d2ddfb5d1a\n"+
			"creatorsName: cn=admin,dc=example,dc=org\ncreateTimestamp: 20261130031542Z\nentryCSN: 20261130031542.282896Z#000000#000#000000\nmodifiersName: cn=admin,dc=example,dc=org\n"+
			"modifyTimestamp: 20261130031542Z\n\n", n)
		written += int64(k)
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	return name
}

// spent is the processor's time that this process, or its children, have used: what waits for others does not count.
func spent(b *testing.B, who int) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkRewrite rewrites an export of 250 MB, and has the manual's sed do what it does of that, in turn: the processor's
// time of each, and the median of their proportions.
func BenchmarkRewrite(b *testing.B) {
	const size = 250 << 20
	name := largeExport(b, size)
	var ours, sed, proportions []float64
	for b.Loop() {
		before := spent(b, syscall.RUSAGE_SELF)
		rewriteFile(b, name)
		ours = append(ours, (spent(b, syscall.RUSAGE_SELF) - before).Seconds())
		before = spent(b, syscall.RUSAGE_CHILDREN)
		sedFile(b, name)
		sed = append(sed, (spent(b, syscall.RUSAGE_CHILDREN) - before).Seconds())
		proportions = append(proportions, ours[len(ours)-1]/sed[len(sed)-1])
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.Sys>>20), "MB-of-memory")
	b.ReportMetric(median(ours), "ours-s")
	b.ReportMetric(median(sed), "sed-s")
	b.ReportMetric(median(proportions), "ours/sed")
	b.ReportMetric(0, "ns/op") // of both together says nothing
}

func rewriteFile(b *testing.B, name string) {
	b.Helper()
	in, err := os.Open(name)
	if err != nil {
		b.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(name + ".ours")
	if err != nil {
		b.Fatal(err)
	}
	if _, err := oldToNew().Rewrite(io.Writer(out), in); err != nil {
		b.Fatal(err)
	}
	if err := out.Close(); err != nil {
		b.Fatal(err)
	}
}

func sedFile(b *testing.B, name string) {
	b.Helper()
	out, err := os.Create(name + ".sed")
	if err != nil {
		b.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command("/usr/bin/sed", "s#^old#new#", name)
	cmd.Env, cmd.Stdout = []string{"LC_ALL=C"}, out
	if err := cmd.Run(); err != nil {
		b.Fatal(err)
	}
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}
