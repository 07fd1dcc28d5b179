package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host/manifest"
)

// TestRefusals gives the stock runbook every reason not to begin. It must say why and what to do, and
// leave the host as it is.
func TestRefusals(t *testing.T) {
	t.Parallel()
	r := BuildSite(t, Size("700m"))
	r.BindRepositories()
	const serverCfg = "/etc/zarafa/server.cfg"
	local := Migration{Repository: "kopano84"}
	cases := []struct {
		name string
		// prepare spoils the host and returns how to repair it.
		prepare func(t *testing.T) (repair func())
		run     Migration
		code    int
		want    []string
	}{
		{"wrong database password", func(*testing.T) func() {
			return r.with(serverCfg, func(text string) string { return strings.ReplaceAll(text, Password, "wrong") })
		}, local, exit.Inhibited, []string{"the database does not answer", "mysql_password"}},
		{"locked package manager", func(t *testing.T) func() { return r.holdLock("/var/lib/dpkg/lock-frontend") },
			local, exit.Inhibited, []string{"the package manager is locked", "/var/lib/dpkg/lock-frontend"}},
		{"broken package database", func(t *testing.T) func() {
			return r.with("/var/lib/dpkg/status", func(text string) string {
				return strings.Replace(text, "Package: libical3\nStatus: install ok installed", "Package: libical3\nStatus: install ok unpacked", 1)
			})
		}, local, exit.Inhibited, []string{"not in order", "libical3"}},
		{"unsigned repository", nothing, Migration{Repository: "unsigned"}, exit.Inhibited, []string{"signed"}},
		{"no repository", nothing, Migration{Repository: "none"}, exit.Inhibited, []string{"/srv/repos/none"}},
		{"another package needs a library", func(*testing.T) func() {
			r.Install("orage")
			return func() { r.Must("apt-get", "purge", "-y", "orage", "libical0") }
		}, local, exit.Inhibited, []string{"would take other packages along", "orage"}},
		{"a package that the site does not want", func(t *testing.T) func() {
			const pref = "/etc/apt/preferences.d/site.pref"
			r.WriteFile(pref, "Package: kopano-common\nPin: release *\nPin-Priority: -1\n", 0o644)
			return func() { r.Must("rm", pref) }
		}, local, exit.Inhibited, []string{"Kopano's packages cannot be installed", "kopano-common"}},
		{"full disk", func(t *testing.T) func() { return r.fill(t, "/var/cache/ballast", 4<<20) },
			local, exit.Inhibited, []string{"not enough space"}},
		{"no room for the dump", func(t *testing.T) func() { return r.bigDatabase() },
			Migration{Repository: "kopano84", Params: []string{"dump_dir=/mnt/small"}}, exit.Inhibited, []string{"not enough space on /mnt/small"}},
		{"configuration is a directory", func(t *testing.T) func() {
			r.Must("mv", serverCfg, serverCfg+".away")
			r.Must("mkdir", serverCfg)
			return func() { r.Must("rmdir", serverCfg); r.Must("mv", serverCfg+".away", serverCfg) }
		}, local, exit.Inhibited, []string{serverCfg, "directory"}},
		{"configuration is not UTF-8", func(*testing.T) func() {
			return r.with(serverCfg, func(text string) string { return text + "server_name = K\xf6ln\n" })
		}, local, exit.Inhibited, []string{"a configuration file cannot be read", "not UTF-8", "iconv"}},
		{"configuration cannot be followed", func(t *testing.T) func() {
			r.Must("mv", serverCfg, serverCfg+".away")
			r.Must("ln", "-s", "server.cfg", serverCfg)
			return func() { r.Must("mv", serverCfg+".away", serverCfg) }
		}, local, exit.Inhibited, []string{"no configuration", serverCfg}},
		{"an include is missing", func(*testing.T) func() {
			return r.with(serverCfg, func(text string) string { return text + "!include site.cfg\n" })
		}, local, exit.Inhibited, []string{"a configuration file cannot be read", "/etc/zarafa/site.cfg does not exist"}},
		{"a symlink in Kopano's place", func(t *testing.T) func() {
			r.Must("ln", "-s", "/srv", "/var/lib/kopano")
			return func() { r.Must("rm", "/var/lib/kopano") }
		}, local, exit.Inhibited, []string{"/var/lib/kopano is not a directory", "symlink"}},
		{"configuration is missing", func(t *testing.T) func() {
			r.Must("mv", serverCfg, serverCfg+".away")
			return func() { r.Must("mv", serverCfg+".away", serverCfg) }
		}, local, exit.Inhibited, []string{serverCfg + " is missing"}},
		{"attachments of an earlier attempt", func(t *testing.T) func() {
			r.WriteFile("/var/lib/kopano/attachments/5/0/5", "stray\n", 0o644)
			return func() { r.Must("rm", "-r", "/var/lib/kopano") }
		}, local, exit.Inhibited, []string{"/var/lib/kopano/attachments is not empty"}},
		{"unknown parameter", nothing, Migration{Repository: "kopano84", Params: []string{"confg=copy"}}, exit.Failed, []string{"confg", "config"}},
		{"wrong choice", nothing, Migration{Repository: "kopano84", Params: []string{"config=mrge"}}, exit.Failed, []string{"mrge", "merge"}},
		{"attachments in the database too", func(t *testing.T) func() {
			r.SQL("INSERT INTO zarafa.lob VALUES (1, 0, 14081, 'x')")
			return func() { r.SQL("DELETE FROM zarafa.lob") }
		}, local, exit.Inhibited, []string{"attachments both in the database and in files"}},
		{"old schema", func(t *testing.T) func() {
			r.SQL("UPDATE zarafa.versions SET databaserevision = databaserevision - 2")
			return func() { r.SQL("UPDATE zarafa.versions SET databaserevision = databaserevision + 2") }
		}, Migration{Repository: "kopano87"}, exit.Inhibited, []string{"the database schema is too old"}},
		{"duplicate names", func(t *testing.T) func() {
			r.SQL("INSERT INTO zarafa.names (nameid, namestring, guid) SELECT nameid, namestring, guid FROM zarafa.names")
			return func() { r.SQL("DELETE FROM zarafa.names WHERE id > 12") }
		}, Migration{Repository: "kopano87"}, exit.Inhibited, []string{"K-1216"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			repair := c.prepare(t)
			defer repair()
			before := r.State()
			res := r.Migrate(c.run)
			if res.Code != c.code {
				t.Errorf("exit status %d, want %d\n%s", res.Code, c.code, res.Output)
			}
			for _, want := range c.want {
				if !strings.Contains(unwrap(res.Output), want) {
					t.Errorf("does not say %q:\n%s", want, res.Output)
				}
			}
			if diffs := manifest.Compare(before, r.State(), nil); len(diffs) != 0 {
				t.Errorf("the host was changed:\n%s", manifest.Table(diffs, "before", "after"))
			}
			noSecrets(t, r, res.Output)
		})
	}
	t.Run("not root", func(t *testing.T) {
		r.InstallProgram()
		res := r.Run("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", Program, "run", "--yes")
		if res.Code != exit.Failed || !strings.Contains(res.Output, "sudo zcp2kopano run") {
			t.Errorf("exit status %d\n%s", res.Code, res.Output)
		}
	})
}

// TestDumpCutOff kills the database server under the dump. The run must end there, before ZCP is
// touched, and a rollback must leave nothing of it.
func TestDumpCutOff(t *testing.T) {
	t.Parallel()
	r := NewSite(t)
	r.BindRepositories()
	// A lock on the last table keeps the dump from its end.
	r.SQL("USE zarafa; CREATE TABLE zzz (id INT) ENGINE=InnoDB")
	holder := r.sqlCommand("USE zarafa; LOCK TABLES zzz WRITE; SELECT 'locked'; SELECT SLEEP(7200)")
	holder.Args = append(holder.Args, "--unbuffered")
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Start(holder); err != nil {
		t.Fatal(err)
	}
	defer kill(holder)
	if n, err := out.Read(make([]byte, 1)); n == 0 {
		t.Fatalf("no lock: %v", err)
	}
	before := r.State()
	cmd := r.MigrateCommand(Migration{Repository: "kopano84"})
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := r.Start(cmd); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(hung); !r.dumping(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			kill(cmd)
			t.Fatalf("no dump begins:\n%s", said.String())
		}
	}
	r.Must("pkill", "-KILL", "-x", "mariadbd")
	cmd.Wait()
	res := Result{cmd.ProcessState.ExitCode(), said.String()}
	if res.Code != exit.Failed || !strings.Contains(unwrap(res.Output), "failed in step dump_database") {
		t.Errorf("exit status %d\n%s", res.Code, res.Output)
	}
	for _, want := range []string{"Lost connection", "zcp2kopano resume", "zcp2kopano rollback"} {
		if !strings.Contains(unwrap(res.Output), want) {
			t.Errorf("does not say %q:\n%s", want, res.Output)
		}
	}
	for _, d := range manifest.Compare(before, r.State(), nil) {
		named := d.Aspect == "links" && strings.HasPrefix(d.Path, "/var/lib/zarafa/attachments/") // a second name each
		if !named && !strings.HasPrefix(d.Path, "/var/backups/zcp2kopano") {
			t.Errorf("changed before the dump was good: %+v", d)
		}
	}
	r.serveMariaDB()
	if back := r.Zcp2kopano("rollback", "--yes"); back.Code != exit.Done {
		t.Errorf("rollback: exit status %d\n%s", back.Code, back.Output)
	}
	if diffs := manifest.Compare(before, r.State(), nil); len(diffs) != 0 {
		t.Errorf("the host is not as it was:\n%s", manifest.Table(diffs, "before", "after"))
	}
}

// dumping reports whether the dump waits for the locked table.
func (r *Root) dumping() bool {
	const waiting = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'zarafa' AND STATE LIKE 'Waiting for table%'"
	return strings.TrimSpace(r.SQL(waiting)) != "0"
}

func nothing(*testing.T) func() { return func() {} }

// unwrap joins the lines that the console broke.
func unwrap(text string) string { return strings.Join(strings.Fields(text), " ") }

// with changes a file, and gives it back.
func (r *Root) with(path string, change func(string) string) (repair func()) {
	r.t.Helper()
	was := r.ReadFile(path)
	now := change(was)
	if now == was {
		r.t.Fatalf("%s stays the same", path)
	}
	rewrite := func(text string) { // in place: owner and mode stay
		if err := os.WriteFile(r.Path(path), []byte(text), 0); err != nil {
			r.t.Fatal(err)
		}
	}
	rewrite(now)
	return func() { rewrite(was) }
}

// holdLock takes a lock as dpkg does, in a process of the root.
func (r *Root) holdLock(path string) (release func()) {
	r.t.Helper()
	cmd := r.insideCommand(question{Lock: path})
	out, err := cmd.StdoutPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.Start(cmd); err != nil {
		r.t.Fatal(err)
	}
	if n, _ := out.Read(make([]byte, 1)); n == 0 {
		r.t.Fatal("no lock")
	}
	return func() { kill(cmd) }
}

func kill(cmd *exec.Cmd) {
	cmd.Process.Signal(syscall.SIGKILL)
	cmd.Wait()
}

// fill leaves that many bytes on the root's file system.
func (r *Root) fill(t *testing.T, path string, leave int64) (repair func()) {
	t.Helper()
	var fs unix.Statfs_t
	if err := unix.Statfs(r.Dir, &fs); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(r.Path(path))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Fallocate(int(f.Fd()), 0, 0, int64(fs.Bavail)*fs.Bsize-leave); err != nil {
		t.Fatal(err)
	}
	return func() { os.Remove(r.Path(path)) }
}

// bigDatabase makes a database that does not compress, and a small file system for its dump.
func (r *Root) bigDatabase() (repair func()) {
	r.t.Helper()
	r.Mount("/mnt/small", "256k")
	r.SQL("USE zarafa; CREATE TABLE noise (b LONGBLOB) ENGINE=InnoDB; INSERT INTO noise SELECT RANDOM_BYTES(1024) FROM seq_1_to_2048;" +
		"ANALYZE TABLE noise")
	return func() {
		r.SQL("DROP TABLE zarafa.noise")
		unix.Unmount(r.Path("/mnt/small"), 0)
	}
}
