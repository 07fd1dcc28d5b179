package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"zcp2kopano/runtime/host/hosttest/golden"
	"zcp2kopano/runtime/host/manifest"
)

//go:generate go test -count=1 -run TestMigration -update

// TestMigration carries the stock runbook out for real and holds the whole final state to a golden
// list of changes.
func TestMigration(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		params []string
		data   string // where the attachments are in the end
		odd    bool   // from an odd shell, on a machine where what apt calls in the end fails
	}{
		{name: "merge", data: "/var/lib/kopano/attachments"},
		{name: "copy", params: []string{"config=copy"}, data: "/var/lib/kopano/attachments", odd: true},
		{name: "keep", params: []string{"attachments=keep", "components=all"}, data: "/var/lib/zarafa/attachments"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := NewSite(t)
			r.ServeDownloads("kopano84")
			if c.odd {
				r.WriteFile("/etc/apt/apt.conf.d/99backup", `DPkg::Post-Invoke { "exit 7"; };`+"\n", 0o644)
			}
			before := r.State()
			watch := r.WatchProcesses(RepoPassword, Password)
			cmd := r.MigrateCommand(Migration{Params: c.params})
			if c.odd {
				cmd = r.oddly(cmd)
			}
			res := r.Finish(cmd)
			watch()
			if res.Code != 0 {
				t.Fatalf("exit status %d\n%s", res.Code, res.Output)
			}
			if told := strings.Contains(squeezed(res.Output), "has failed: DPkg::Post-Invoke 'exit 7'"); told != c.odd {
				t.Errorf("of the hook is told: %v\n%s", told, res.Output)
			}
			after := r.State()
			golden.File(t, "testdata/"+c.name+".golden", changes(before, after))
			sameData(t, before, after, "/var/lib/zarafa/attachments", c.data, 500)
			serverSettings(t, r, c.data)
			everythingRuns(t, r)
			noSecrets(t, r, res.Output)
			secondRunChangesNothing(t, r, after)
		})
	}
}

// oddly has a command started from a shell in which nothing is as it should be: what it hands on may reach neither the
// files that are made, nor the commands that are called.
func (r *Root) oddly(cmd *exec.Cmd) *exec.Cmd {
	odd := r.Command("/bin/sh", append([]string{"-ec", `
		mkdir /tmp/gone; cd /tmp/gone; rmdir /tmp/gone
		export LANG=tr_TR.UTF-8 LC_ALL=tr_TR.UTF-8 TMPDIR=/nowhere HOME=/nowhere LD_PRELOAD=/nowhere.so LD_LIBRARY_PATH=/nowhere PATH=/nowhere
		export http_proxy=http://127.0.0.1:9 APT_CONFIG=/nowhere DPKG_ROOT=/nowhere DPKG_ADMINDIR=/nowhere
		export MYSQL_HOME=/nowhere MYSQL_UNIX_PORT=/nowhere MYSQL_TCP_PORT=9 IFS=x ENV=/nowhere BASH_ENV=/nowhere COLUMNS=3 TERM=nonsense
		umask 0777; ulimit -S -f 8; ulimit -S -n 24
		exec "$0" "$@" <&-`}, cmd.Args...)...)
	odd.Env = cmd.Env
	return odd
}

// changes lists what is different, a line each. Attachments are left to sameData.
func changes(before, after *manifest.Manifest) string {
	var lines strings.Builder
	for _, d := range manifest.Compare(before, after, nil) {
		if strings.Contains(d.Path, "/attachments/") {
			continue
		}
		switch {
		case d.Aspect == "existence" && d.Right == "":
			fmt.Fprintf(&lines, "gone     %s\n", d.Path)
		case d.Aspect == "existence":
			fmt.Fprintf(&lines, "new      %s  %s\n", d.Path, describe(d.Path, after.Files[d.Path]))
		case d.Aspect == "content":
			fmt.Fprintf(&lines, "content  %s  %s\n", d.Path, content(d.Path, after.Files[d.Path]))
		default:
			fmt.Fprintf(&lines, "%-8s %s  %s -> %s\n", d.Aspect, d.Path, d.Left, d.Right)
		}
	}
	return lines.String()
}

func describe(path string, e manifest.Entry) string {
	text := fmt.Sprintf("%s %s %s:%s", e.Type, e.Mode, e.Owner, e.Group)
	if e.Target != "" {
		text += " -> " + e.Target
	}
	if e.Type == "file" {
		text += " " + content(path, e)
	}
	return text
}

// content is a digest, but of what holds dates, keys or other things of the base tree, or is built by
// the compiler.
func content(path string, e manifest.Entry) string {
	for _, varies := range []string{
		"/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow", "/etc/init.d/.depend.", "/etc/apt/keyrings/",
		"/var/backups/", "/usr/sbin/kopano-", "/usr/sbin/zarafa-",
	} {
		if strings.HasPrefix(path, varies) {
			return "..."
		}
	}
	return e.Digest
}

// sameData checks that every attachment is where it should be, as it was, and kopano's.
func sameData(t *testing.T, before, after *manifest.Manifest, source, target string, want int) {
	t.Helper()
	found := 0
	for path, was := range before.Files {
		rest, ok := strings.CutPrefix(path, source+"/")
		if !ok || was.Type != "file" {
			continue
		}
		now := after.Files[target+"/"+rest]
		if now.Digest != was.Digest || now.Owner != "kopano" || now.Group != "kopano" || now.Mode != was.Mode {
			t.Errorf("attachment %s was %+v, is %+v", rest, was, now)
		}
		found++
	}
	if found != want {
		t.Errorf("%d attachments, want %d", found, want)
	}
}

func serverSettings(t *testing.T, r *Root, data string) {
	t.Helper()
	want := map[string]string{
		"mysql_user": "zarafa", "mysql_password": Password, "mysql_database": "zarafa", "log_level": "4",
		"attachment_path": data, "attachment_storage": "files", "user_safe_mode": "no",
		"server_pipe_name": "/var/run/kopano/server.sock", "log_file": "/var/log/kopano/server.log",
	}
	got := map[string]string{"server_pipe_name": "/var/run/kopano/server.sock"} // by default, where packages bring no file that sets it
	for _, line := range strings.Split(r.ReadFile("/etc/kopano/server.cfg"), "\n") {
		name, value, ok := strings.Cut(line, "=")
		if name = strings.TrimSpace(name); ok && !strings.HasPrefix(line, "#") && want[name] != "" {
			got[name] = strings.TrimSpace(value)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("server.cfg (-want +got):\n%s", diff)
	}
}

func everythingRuns(t *testing.T, r *Root) {
	t.Helper()
	everythingRunsAt(t, r, "66")
}

// everythingRunsAt wants all of Kopano, with the database at a schema.
func everythingRunsAt(t *testing.T, r *Root, schema string) {
	t.Helper()
	running := r.Processes()
	for _, daemon := range []string{"server", "dagent", "spooler", "gateway", "ical", "monitor", "search"} {
		if !slices.Contains(running, "kopano-"+daemon) {
			t.Errorf("kopano-%s does not run", daemon)
		}
	}
	for _, name := range running {
		if strings.HasPrefix(name, "zarafa-") {
			t.Errorf("%s still runs", name)
		}
	}
	if got := strings.TrimSpace(r.SQL("SELECT MAX(databaserevision) FROM zarafa.versions")); got != schema {
		t.Errorf("schema %s, want %s", got, schema)
	}
	if got := r.SQL("SHOW DATABASES"); strings.Contains(got, "kopano") {
		t.Errorf("an empty database was made:\n%s", got)
	}
	if log := r.ReadFile("/var/log/kopano/server.log"); !strings.Contains(log, "user_safe_mode yes") {
		t.Errorf("the first start was not in safe mode:\n%s", log)
	}
}

func secondRunChangesNothing(t *testing.T, r *Root, after *manifest.Manifest) {
	t.Helper()
	again := r.Migrate(Migration{})
	if again.Code != 0 || !strings.Contains(again.Output, "nothing to migrate") {
		t.Errorf("second run: exit status %d\n%s", again.Code, again.Output)
	}
	if diffs := manifest.Compare(after, r.State(), nil); len(diffs) != 0 {
		t.Errorf("the second run changed something:\n%s", manifest.Table(diffs, "first", "second"))
	}
}

// noSecrets looks for the passwords in what was said, and in every file that others can read.
func noSecrets(t *testing.T, r *Root, output string, more ...string) {
	t.Helper()
	secrets := append([]string{RepoPassword, Password, strconv.Quote(Password)}, more...)
	for _, secret := range secrets {
		if strings.Contains(output, secret) {
			t.Errorf("the output shows the secret %q", secret)
		}
	}
	for _, top := range []string{"/etc", "/var", "/run", "/tmp", "/root", "/usr/local"} {
		filepath.WalkDir(r.Path(top), func(path string, entry os.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() || path == r.Path(Program) {
				return nil
			}
			info, err := entry.Info()
			if err != nil {
				return nil
			}
			journal := strings.Contains(path, "/journal") || strings.HasSuffix(path, ".log")
			if !journal && info.Mode().Perm()&0o004 == 0 {
				return nil
			}
			data, err := os.ReadFile(path)
			for _, secret := range secrets {
				if err == nil && strings.Contains(string(data), secret) && (journal || reachable(r, path)) {
					t.Errorf("%s (%v) holds the secret %q", strings.TrimPrefix(path, r.Dir), info.Mode(), secret)
				}
			}
			return nil
		})
	}
}

// reachable reports whether others can come to a file: every directory above must let them.
func reachable(r *Root, path string) bool {
	for dir := filepath.Dir(path); len(dir) > len(r.Dir); dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm()&0o001 == 0 {
			return false
		}
	}
	return true
}
