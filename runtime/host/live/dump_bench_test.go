package live_test

import (
	"fmt"

	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"zcp2kopano/cmd/e2e"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/live"
)

// benchDatabase starts a database server with large objects, half of them text, and many small rows. BENCH_MB is how
// many megabytes of objects there are.
func benchDatabase(b *testing.B) (*e2e.Root, *live.Host, host.DatabaseConn) {
	b.Helper()
	size := 192
	if s := os.Getenv("BENCH_MB"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			b.Fatalf("BENCH_MB: %v", err)
		}
		size = n
	}
	r := e2e.NewRoot(b)
	if err := unix.Mount("/proc", r.Path("/proc"), "", unix.MS_BIND, ""); err != nil {
		b.Fatal(err)
	}
	h, err := live.Open(r.Dir)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { h.Close() })
	if withParallel() {
		r.Lend("/usr/bin/mydumper", "/usr/bin/myloader")
	}
	r.StartMariaDB()
	r.SQL("SET GLOBAL max_allowed_packet = 64<<20; SET GLOBAL innodb_buffer_pool_size = 512<<20;")
	r.SQL(fmt.Sprintf(`USE zarafa; CREATE TABLE objects (id INT PRIMARY KEY, data LONGBLOB);
		INSERT INTO objects SELECT seq, CONCAT(RANDOM_BYTES(1024), REPEAT(CONCAT(RANDOM_BYTES(512), 'Dear reader, this is what a letter looks like\r\n'), 113)) FROM seq_1_to_%d WHERE seq %% 2 = 0;
		INSERT INTO objects SELECT seq, CONCAT(%s) FROM seq_1_to_%d WHERE seq %% 2 = 1;
		CREATE TABLE props (hierarchyid INT, tag INT, type INT, val_ulong INT, val_string LONGTEXT, PRIMARY KEY (hierarchyid, tag, type), KEY (tag, val_ulong));
		INSERT INTO props SELECT seq DIV 16, seq %% 16, 30, seq * 7919 %% 2147483647, CONCAT('subject ', seq * 104729 %% 65521, ' and more') FROM seq_1_to_%d;`,
		size*16, strings.TrimSuffix(strings.Repeat("RANDOM_BYTES(1024),", 64), ","), size*16, size*3000))
	return r, h, host.DatabaseConn{Socket: "/run/mysqld/mysqld.sock", User: "zarafa", Password: host.NewSecret(e2e.Password), Database: "zarafa"}
}

// withParallel reports whether mydumper can be measured, too.
func withParallel() bool {
	_, err := exec.LookPath("/usr/bin/mydumper")
	return err == nil
}

// eachForm measures dumps in a file, and in a directory.
func eachForm(b *testing.B, measure func(b *testing.B, form string)) {
	b.Run("zstd", func(b *testing.B) { measure(b, "zstd") })
	b.Run("mydumper", func(b *testing.B) {
		if !withParallel() {
			b.Skip("mydumper is not installed")
		}
		measure(b, host.ParallelDump)
	})
}

// pipe runs two programs, the first in the root or the second, as a shell would join them, and syncs.
func pipe(b *testing.B, from, to *exec.Cmd) {
	b.Helper()
	out, in, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	from.Stdout, to.Stdin = in, out
	for _, cmd := range []*exec.Cmd{from, to} {
		if cmd.SysProcAttr != nil { // of the root: it gets a session of its own, by which it is scheduled as ours is
			cmd.SysProcAttr.Setsid, cmd.SysProcAttr.Setpgid = true, false
		}
	}
	if err := from.Start(); err != nil {
		b.Fatal(err)
	}
	if err := to.Start(); err != nil {
		b.Fatal(err)
	}
	out.Close()
	in.Close()
	if err := from.Wait(); err != nil {
		b.Fatal(from.Path, err)
	}
	if err := to.Wait(); err != nil {
		b.Fatal(to.Path, err)
	}
	unix.Sync()
}

func median(took []time.Duration) time.Duration {
	took = slices.Sorted(slices.Values(took))
	return took[len(took)/2]
}

// pairs measures ours and theirs in turn, and reports the median of the ratios of their speeds.
func pairs(b *testing.B, peer string, ours, theirs func(i int)) {
	b.Helper()
	timed := func(do func(int), i int) time.Duration {
		unix.Sync()
		begun := time.Now()
		do(i)
		return time.Since(begun)
	}
	var mine, other, ratio []time.Duration
	for i := 0; b.Loop(); i++ {
		o, t := time.Duration(0), time.Duration(0)
		if i%2 == 0 {
			o, t = timed(ours, i), timed(theirs, i)
		} else {
			t, o = timed(theirs, i), timed(ours, i)
		}
		mine, other, ratio = append(mine, o), append(other, t), append(ratio, time.Duration(float64(t)/float64(o)*1e9))
	}
	b.ReportMetric(median(ratio).Seconds(), "x-"+peer)
	b.ReportMetric(median(mine).Seconds(), "s-ours")
	b.ReportMetric(median(other).Seconds(), "s-"+peer)
	b.ReportMetric(0, "ns/op")
}

// BenchmarkDump makes a dump, digest and checks included, against mysqldump | zstd -T0.
func BenchmarkDump(b *testing.B) {
	zstd, err := exec.LookPath("zstd")
	if err != nil {
		b.Skip("zstd is not installed")
	}
	r, h, conn := benchDatabase(b)
	ours := func(b *testing.B, form string) {
		made, err := h.DumpDatabase(b.Context(), host.DumpRequest{Conn: conn, Path: "/root/ours", Compression: form}, nil)
		if err != nil || !made.Closed {
			b.Fatal(made, err)
		}
		os.RemoveAll(r.Path("/root/ours"))
	}
	theirs := func(int) {
		path := r.Path("/root/theirs.zst")
		pipe(b, r.Command("mysqldump", "--no-defaults", "-uroot", "--single-transaction", "--quick", "--hex-blob", "--routines", "--triggers", "--max-allowed-packet=1G", "zarafa"),
			exec.Command(zstd, "-q", "-T0", "-o", path, "-f"))
		os.Remove(path)
	}
	eachForm(b, func(b *testing.B, form string) {
		pairs(b, "mysqldump+zstd-T0", func(int) { ours(b, form) }, theirs)
	})
}

// BenchmarkLoad loads a dump, checks included, against zstd -dc | mysql.
func BenchmarkLoad(b *testing.B) {
	zstd, err := exec.LookPath("zstd")
	if err != nil {
		b.Skip("zstd is not installed")
	}
	r, h, conn := benchDatabase(b)
	ours := func(b *testing.B, path, form string) {
		if err := h.LoadDatabase(b.Context(), host.LoadRequest{Conn: conn, Path: path, Compression: form}, nil); err != nil {
			b.Fatal(err)
		}
	}
	theirs := func(int) {
		r.SQL("DROP DATABASE zarafa; CREATE DATABASE zarafa;")
		pipe(b, exec.Command(zstd, "-dc", r.Path("/root/z.zst")), r.Command("mysql", "--no-defaults", "-uroot", "--max-allowed-packet=1G", "zarafa"))
	}
	dump := func(form string) string {
		path := "/root/z." + strings.Replace(form, "zstd", "zst", 1)
		if _, err := h.DumpDatabase(b.Context(), host.DumpRequest{Conn: conn, Path: path, Compression: form}, nil); err != nil {
			b.Fatal(err)
		}
		return path
	}
	dump("zstd")
	eachForm(b, func(b *testing.B, form string) {
		path := "/root/z.zst"
		if form != "zstd" {
			path = dump(form)
			defer os.RemoveAll(r.Path(path))
		}
		pairs(b, "zstd+mysql", func(int) { ours(b, path, form) }, theirs)
	})
}
