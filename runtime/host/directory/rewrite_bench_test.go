package directory

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
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

// spent is the processor's time that this process has used: what it waits for others does not count.
func spent(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkRewrite rewrites an export of 250 MB, and has the manual's sed do what it does of that, in the same run.
func BenchmarkRewrite(b *testing.B) {
	const size = 250 << 20
	name := largeExport(b, size)
	b.Run("ours", func(b *testing.B) {
		b.SetBytes(size)
		before := spent(b)
		for b.Loop() {
			in, err := os.Open(name)
			if err != nil {
				b.Fatal(err)
			}
			out, err := os.Create(name + ".ours")
			if err != nil {
				b.Fatal(err)
			}
			if _, err := oldToNew().Rewrite(io.Writer(out), in); err != nil {
				b.Fatal(err)
			}
			in.Close()
			out.Close()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		b.ReportMetric(float64(m.Sys>>20), "MB-of-memory")
		b.ReportMetric((spent(b)-before).Seconds()/float64(b.N), "processor-s/op")
	})
	b.Run("sed", func(b *testing.B) {
		b.SetBytes(size)
		var used time.Duration
		for b.Loop() {
			out, err := os.Create(name + ".sed")
			if err != nil {
				b.Fatal(err)
			}
			cmd := exec.Command("/usr/bin/sed", "s#^old#new#", name)
			cmd.Env, cmd.Stdout = []string{"LC_ALL=C"}, out
			if err := cmd.Run(); err != nil {
				b.Fatal(err)
			}
			used += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
			out.Close()
		}
		b.ReportMetric(used.Seconds()/float64(b.N), "processor-s/op")
	})
}
