package runbooks_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"zcp2kopano/builtins"
	"zcp2kopano/runbooks"
	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/journal"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
	"zcp2kopano/runtime/state"
	"zcp2kopano/runtime/story"
	"zcp2kopano/testdata/hosts"
)

// rootMount is where the example host has everything: 38G are free.
const rootMount = "/      /dev/sda1  ext4  60G  38G  inodes=3932160 free-inodes=3500000\n"

// withMounts gives the example host other mounts, the first for "/".
func withMounts(t *testing.T, lines ...string) func(string) string {
	return func(text string) string {
		if !strings.Contains(text, rootMount) {
			t.Fatal("the example host has another root mount")
		}
		return strings.Replace(text, rootMount, strings.Join(lines, "\n")+"\n", 1)
	}
}

// TestStockSpace: the dump takes up to 2.4 GB, packages half a GB. Each fits alone into what is free; whether
// they do together depends on which file systems they share.
func TestStockSpace(t *testing.T) {
	for _, tc := range []struct {
		name   string
		mounts []string
		want   string // the mount that is too small
	}{
		{"all on one, too small for the sum", []string{"/ /dev/sda1 ext4 60G 2.5G"}, "/"},
		{"all on one, large enough", []string{"/ /dev/sda1 ext4 60G 2.9G"}, ""},
		{"the dump on its own", []string{"/ /dev/sda1 ext4 60G 0.6G", "/var/backups /dev/sdb1 ext4 4G 2.4G"}, ""},
		{"two mounts of one device", []string{"/ /dev/sda1 ext4 60G 2.5G dev=77", "/var/backups /dev/sda1 ext4 60G 2.5G dev=77"}, "/ and /var/backups"},
		{"the dump's own is too small", []string{"/ /dev/sda1 ext4 60G 38G", "/var/backups /dev/sdb1 ext4 4G 1G"}, "/var/backups"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			played := playStock(t, stockHost(t, hosts.Example, withMounts(t, tc.mounts...)), nil)
			full := slices.DeleteFunc(played.serious, func(s string) bool { return !strings.Contains(s, "not enough space") })
			var want []string
			code := exit.Done
			if tc.want != "" {
				want, code = []string{"inhibitor: not enough space on " + tc.want}, exit.Inhibited
			}
			if !slices.Equal(full, want) || played.verdict.Code != code {
				t.Errorf("code %d, findings %q, want code %d, %q: %s", played.verdict.Code, full, code, want, played.verdict.Text)
			}
		})
	}
}

// spender dumps, makes a backup and a copy of 6 GB each, without asking for space before.
const spender = `"""Spend space."""

def dump():
    """Dump the database."""
    conn = mysql.connection({"mysql_user": "zarafa", "mysql_password": "s3cret#of-alice", "mysql_database": "zarafa"})
    mysql_dump(conn, "/srv/dump/zarafa.sql", "none")

def backup():
    """Keep the attachments."""
    fs.copy("/var/lib/zarafa/attachments", "/srv/backup/attachments")

def copy():
    """Copy the attachments."""
    fs.copy("/var/lib/zarafa/attachments", "/srv/copy/attachments")

runbook = define(steps = [%s], allow = policy(write = ["/srv/dump", "/srv/backup", "/srv/copy"], databases = ["zarafa"]))
`

// TestDiskFullIsPredicted lets a dump (up to 4.3 GB, uncompressed), a backup and a copy (6 GB each) share a file system. Each
// fits alone and not all do together: the simulation fails where the run would, and nowhere else.
func TestDiskFullIsPredicted(t *testing.T) {
	for _, tc := range []struct {
		steps string
		free  string
		own   bool // the copy has a file system of its own
		fails string
	}{
		{"dump", "7G", false, ""},
		{"backup", "7G", false, ""},
		{"copy", "7G", false, ""},
		{"dump, backup", "7G", false, "backup"},
		{"dump, backup, copy", "13G", false, "copy"},
		{"dump, backup, copy", "13G", true, ""},
		{"dump, backup, copy", "17G", false, ""},
	} {
		t.Run(fmt.Sprint(tc.steps, " in ", tc.free, tc.own), func(t *testing.T) {
			mounts := []string{strings.TrimSpace(rootMount), "/srv /dev/sdb1 ext4 20G " + tc.free}
			if tc.own {
				mounts = append(mounts, "/srv/copy /dev/sdc1 ext4 10G 7G")
			}
			withDirs := func(text string) string {
				return withMounts(t, mounts...)(strings.Replace(text, "-- tree --\n",
					"-- tree --\nd0755 root:root - - /srv/dump\nd0755 root:root - - /srv/backup\nd0755 root:root - - /srv/copy\n", 1))
			}
			v, failed := spend(t, withDirs, tc.steps)
			if tc.fails == "" && v.Code != exit.Done {
				t.Errorf("it does not fit: %s", v.Text)
			}
			if tc.fails != "" && (v.Code == exit.Done || failed != tc.fails || !strings.Contains(v.Text, "no space left on device")) {
				t.Errorf("%s failed with code %d: %s; want %s to fail for lack of space", failed, v.Code, v.Text, tc.fails)
			}
		})
	}
}

func spend(t *testing.T, edit func(string) string, steps string) (v story.Verdict, failed string) {
	t.Helper()
	v = playSource(t, fmt.Sprintf(spender, steps), edit, func(story.Event) {})
	_, rest, _ := strings.Cut(v.Text, "failed in step ")
	failed, _, _ = strings.Cut(rest, ":")
	return v, failed
}

// playSource plays a runbook that is no stock one, on the example host.
func playSource(t *testing.T, source string, edit func(string) string, watch func(story.Event)) story.Verdict {
	t.Helper()
	name := filepath.Join(t.TempDir(), "site.star")
	if err := os.WriteFile(name, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	book, err := runbook.Load(context.Background(), script.LoadOptions{Name: name, Stock: runbooks.FS, Builtins: builtins.All()})
	if err != nil {
		t.Fatal(err)
	}
	return engine.Execute(context.Background(), engine.Config{
		Mode: "simulate", ID: "simulate", Runbook: book, Host: stockHost(t, hosts.Example, edit), HostLabel: "an example",
		Dir: "/var/lib/zcp2kopano/runs/simulate", Journal: journal.Memory("test", time.Now), Keeper: state.Memory(),
		Version: "test", Now: time.Now, Emit: watch,
	})
}
