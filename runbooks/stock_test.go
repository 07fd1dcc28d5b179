package runbooks_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/bazelbuild/buildtools/build"

	"zcp2kopano/builtins"
	"zcp2kopano/runbooks"
	"zcp2kopano/runtime/booktest"
	"zcp2kopano/runtime/engine"

	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/sim"
	"zcp2kopano/runtime/journal"
	"zcp2kopano/runtime/lint"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
	"zcp2kopano/runtime/state"
	"zcp2kopano/runtime/story"
	"zcp2kopano/testdata/hosts"
)

// TestStockLoads loads every stock runbook, and with it every module that it uses.
func TestStockLoads(t *testing.T) {
	names := script.StockRunbooks(runbooks.FS)
	if len(names) == 0 {
		t.Fatal("there is no stock runbook")
	}
	for _, name := range names {
		book := loadStock(t, name)
		if len(book.Systems) == 0 && name != "directory" { // which no host is chosen for
			t.Errorf("%s says of no system that it fits", name)
		}
	}
}

func TestStockIsFormattedAndClean(t *testing.T) {
	files, names := 0, []string(nil)
	err := fs.WalkDir(runbooks.FS, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, ".star") {
			return err
		}
		files++
		data, err := fs.ReadFile(runbooks.FS, name)
		if err != nil {
			return err
		}
		parsed, err := build.ParseDefault(name, data)
		if err != nil {
			t.Error(err)
			return nil
		}
		names = append(names, name)
		if !bytes.Equal(build.Format(parsed), data) {
			t.Errorf("%s is not formatted: zcp2kopano fmt runbooks", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 5 {
		t.Errorf("only %d runbook files are embedded", files)
	}
	found, err := lint.Files(t.Context(), script.LoadOptions{Dir: ".", Stock: runbooks.FS, Builtins: builtins.All()}, booktest.Builtins(), names)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Errorf("%s: %s (%s)", f.Pos(), f.Message, f.Rule)
	}
}

// stockHosts are the shipped example hosts, and what a simulation of each has to say.
var stockHosts = []struct {
	fixture  string
	code     int
	findings []string // severity: title; inhibitors and warnings, in order of the run
	infos    []string // titles of infos that must be among the others
}{
	{
		fixture: "debian8-zcp72.txtar",
		findings: []string{
			"warning: nothing takes the place of zarafa-webapp",
			"warning: /etc/zarafa/webapp/config.php names /var/run/zarafa",
			"warning: configuration to look at",
		},
		infos: []string{"target: Kopano Core 8.7.20", "database schema", "attachments", "search index", "four-byte characters"},
	},
	{
		fixture: "debian8-zcp71-ldap.txtar",
		findings: []string{
			"warning: thread_stack is below 256K",
			"warning: the search index is rebuilt",
		},
		infos: []string{"the attachments stay in /var/lib/zarafa/attachments", "LDAP schema", "running as root"},
	},
	{
		fixture: "rhel7-zcp72.txtar",
		findings: []string{
			"warning: /etc/crontab names zarafa",
			"warning: /etc/yum.repos.d/zarafa.repo names zarafa",
			"warning: configuration to look at",
		},
		infos: []string{"target: Kopano Core 8.7.20", "database schema", "attachments", "four-byte characters"},
	},
	{
		fixture: "sles12-zcp72.txtar",
		findings: []string{
			"warning: /etc/crontab names zarafa",
			"warning: /etc/zypp/repos.d/zarafa.repo names zarafa",
			"warning: configuration to look at",
		},
		infos: []string{"target: Kopano Core 8.7.20", "database schema", "attachments", "four-byte characters"},
	},
	{
		fixture: "inhibited.txtar",
		code:    exit.Inhibited,
		findings: []string{
			"inhibitor: ZCP 7.0.13 is too old",
			"inhibitor: the package manager is locked",
			"inhibitor: the package database is not in order",
			"warning: how large the dump gets is not known",
			"warning: max_allowed_packet is below 16M",
			"warning: thread_stack is below 256K",
			"inhibitor: tables that are not InnoDB",
			"inhibitor: the repository cannot be used",
			"warning: duplicate rows in table names (K-1216)",
			"warning: table names is full (K-1219)",
			"inhibitor: not enough space on /",
		},
	},
}

func TestStockFindings(t *testing.T) {
	shipped, err := fs.Glob(hosts.FS, "*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	if len(shipped) != len(stockHosts) {
		t.Errorf("%d example hosts are shipped, %d are tested: %v", len(shipped), len(stockHosts), shipped)
	}
	for _, tc := range stockHosts {
		t.Run(tc.fixture, func(t *testing.T) {
			played := playStock(t, stockHost(t, tc.fixture, nil), nil)
			if played.verdict.Code != tc.code {
				t.Errorf("exit code %d, want %d: %s", played.verdict.Code, tc.code, played.verdict.Text)
			}
			if tc.code == exit.Inhibited && played.verdict.Changes != 0 {
				t.Errorf("%d changes in spite of inhibitors", played.verdict.Changes)
			}
			if !slices.Equal(played.serious, tc.findings) {
				t.Errorf("findings:\n  %s\nwant:\n  %s", strings.Join(played.serious, "\n  "), strings.Join(tc.findings, "\n  "))
			}
			for _, title := range tc.infos {
				if !slices.Contains(played.infos, title) {
					t.Errorf("no info %q; there are %q", title, played.infos)
				}
			}
		})
	}
}

// TestStockTwice migrates a host that is migrated already.
func TestStockTwice(t *testing.T) {
	for _, tc := range stockHosts {
		if tc.code != exit.Done {
			continue
		}
		t.Run(tc.fixture, func(t *testing.T) {
			h := stockHost(t, tc.fixture, nil)
			if first := playStock(t, h, nil); first.verdict.Code != exit.Done || first.verdict.Changes == 0 {
				t.Fatalf("the first run: %+v", first.verdict)
			}
			second := playStock(t, h, nil)
			if second.verdict.Code != exit.Done || second.verdict.Changes != 0 {
				t.Errorf("the second run: code %d, %d changes", second.verdict.Code, second.verdict.Changes)
			}
			if !strings.Contains(second.verdict.Text, "nothing to do") {
				t.Errorf("the second run does not say that there is nothing to do: %s", second.verdict.Text)
			}
		})
	}
}

func TestStockParameters(t *testing.T) {
	for _, params := range []map[string]string{
		{"config": "copy"},
		{"attachments": "keep"},
		{"components": "all"},
		{"purge": "no"},
		{"config": "copy", "attachments": "keep", "components": "all", "purge": "no"},
	} {
		for _, tc := range stockHosts {
			if tc.code != exit.Done {
				continue
			}
			played := playStock(t, stockHost(t, tc.fixture, nil), params)
			if played.verdict.Code != exit.Done {
				t.Errorf("%s with %v: code %d: %s", tc.fixture, params, played.verdict.Code, played.verdict.Text)
			}
		}
	}
}

// TestStockMounts gives the example host other mounts: what cannot work with them is found before anything is
// changed, and the rest works.
func TestStockMounts(t *testing.T) {
	const tree = "-- tree --\n"
	for _, tc := range []struct {
		name   string
		mounts []string
		tree   string
		params map[string]string
		want   string // an inhibitor, or a warning
		code   int
		info   string
		left   string // a path that must be there in the end
		kopano bool   // it belongs to kopano
	}{
		{name: "/etc/kopano", mounts: []string{"/etc/kopano /dev/sdb1 ext4 10G 9G"}, left: "/etc/kopano/server.cfg"},
		{name: "/etc/kopano, emptied", mounts: []string{"/etc/kopano /dev/sdb1 ext4 10G 9G"}, params: map[string]string{"config": "copy"}, left: "/etc/kopano/server.cfg"},
		{name: "below /etc/kopano, emptied", mounts: []string{"/etc/kopano/ssl /dev/sdb1 ext4 10G 9G"}, params: map[string]string{"config": "copy"}, code: exit.Inhibited, want: "inhibitor: /etc/kopano holds a mount"},
		{name: "below /etc/kopano", mounts: []string{"/etc/kopano/ssl /dev/sdb1 ext4 10G 9G"}, left: "/etc/kopano/server.cfg"},
		{name: "/etc/zarafa", mounts: []string{"/etc/zarafa /dev/sdb1 ext4 10G 9G"}, left: "/etc/zarafa.bak/server.cfg"},
		{name: "below /etc/zarafa", mounts: []string{"/etc/zarafa/gateway /dev/sdb1 ext4 10G 9G"}, left: "/etc/kopano/gateway/privkey.pem"},
		{name: "/var/lib/kopano", mounts: []string{"/var/lib/kopano /dev/sdb1 ext4 10G 9G"}, info: "the attachments are copied to /var/lib/kopano/attachments", left: "/var/lib/kopano/attachments/5/0", kopano: true},
		{name: "/var/lib/kopano, too small", mounts: []string{"/var/lib/kopano /dev/sdb1 ext4 10G 5G"}, code: exit.Inhibited, want: "inhibitor: not enough space on /var/lib/kopano"},
		{name: "/var/lib/kopano, too small for what stays", mounts: []string{"/var/lib/kopano /dev/sdb1 ext4 10G 5G"}, params: map[string]string{"attachments": "keep"}, left: "/var/lib/zarafa/attachments/5/0", kopano: true},
		{name: "one directory of attachments", mounts: []string{"/var/lib/zarafa/attachments/5 /dev/sdb1 ext4 10G 9G"}, info: "the attachments stay in /var/lib/zarafa/attachments", left: "/var/lib/zarafa/attachments/5/0", kopano: true},
		{name: "below the index", mounts: []string{"/var/lib/zarafa/search/4B6C9A2D7F3E41E0-server /dev/sdb1 ext4 10G 9G"}, left: "/var/lib/zarafa/search/4B6C9A2D7F3E41E0-server/postlist.glass", kopano: true},
		{name: "attachments on NFS", mounts: []string{"/var/lib/zarafa/attachments nas:/mail nfs4 100G 90G"}, want: "warning: attachments on NFS"},
		{name: "a read-only directory of attachments", mounts: []string{"/var/lib/zarafa/attachments/5 /dev/sdb1 ext4 10G 9G ro"}, code: exit.Inhibited, want: "inhibitor: /var/lib/zarafa/attachments/5 is mounted read-only"},
		{name: "/usr read-only", mounts: []string{"/usr /dev/sdb1 ext4 10G 9G ro"}, code: exit.Inhibited, want: "inhibitor: /usr is mounted read-only"},
		{name: "/usr/local read-only", mounts: []string{"/usr/local /dev/sdb1 ext4 10G 9G ro"}, code: exit.Inhibited, want: "inhibitor: /usr/local is mounted read-only"},
		{name: "/var/lib read-only", mounts: []string{"/var/lib /dev/sdb1 ext4 10G 9G ro"}, code: exit.Inhibited, want: "inhibitor: /var/lib is mounted read-only"},
		{name: "the packages' cache read-only", mounts: []string{"/var/cache/apt /dev/sdb1 ext4 10G 9G ro"}, code: exit.Inhibited, want: "inhibitor: /var/cache/apt is mounted read-only"},
		{name: "something else read-only", mounts: []string{"/srv /dev/sdb1 ext4 10G 9G ro"}, left: "/etc/kopano/server.cfg"},
		{name: "the dump read-only", mounts: []string{"/srv /dev/sdb1 ext4 10G 9G ro"}, params: map[string]string{"dump_dir": "/srv/dump"}, code: exit.Inhibited, want: "inhibitor: /srv is mounted read-only"},
		{name: "the dump without inodes", mounts: []string{"/srv /dev/sdb1 ext4 10G 9G inodes=100 free-inodes=1"}, params: map[string]string{"dump_dir": "/srv/dump"}, code: exit.Inhibited, want: "inhibitor: not enough inodes on /srv"},
		{name: "the dump in memory", mounts: []string{"/srv tmpfs tmpfs 10G 9G"}, params: map[string]string{"dump_dir": "/srv/dump"}, want: "warning: the dump would be lost at a restart"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			edit := func(text string) string {
				dirs := ""
				for _, m := range tc.mounts {
					dirs += "d0755 root:root - - " + strings.Fields(m)[0] + "\n"
				}
				return strings.Replace(withMounts(t, append([]string{strings.TrimSpace(rootMount)}, tc.mounts...)...)(text), tree, tree+tc.tree+dirs, 1)
			}
			h := stockHost(t, hosts.Example, edit)
			played := playStock(t, h, tc.params)
			if played.verdict.Code != tc.code {
				t.Fatalf("code %d, want %d: %s; %q", played.verdict.Code, tc.code, played.verdict.Text, played.serious)
			}
			if tc.want != "" && !slices.Contains(played.serious, tc.want) {
				t.Errorf("no finding %q; there are %q", tc.want, played.serious)
			}
			if tc.info != "" && !slices.Contains(played.infos, tc.info) {
				t.Errorf("no info %q; there are %q", tc.info, played.infos)
			}
			if tc.left == "" {
				return
			}
			st, err := h.Lstat(tc.left)
			if err != nil {
				t.Fatal(err)
			}
			if kopano, err := h.User("kopano"); tc.kopano && (err != nil || st.UID != kopano.UID) {
				t.Errorf("%s belongs to %d, not to kopano (%v)", tc.left, st.UID, err)
			}
		})
	}
}

// TestStockConfigElsewhere backs a configuration up that a symlink of root leads to: the link would be no backup.
func TestStockConfigElsewhere(t *testing.T) {
	edit := func(text string) string {
		head, tree, _ := strings.Cut(strings.ReplaceAll(text, "-- /etc/zarafa/", "-- /srv/zarafa/"), "-- tree --\n")
		return head + "-- tree --\nl root:root - - /etc/zarafa -> /srv/zarafa\n" + strings.ReplaceAll(tree, " /etc/zarafa", " /srv/zarafa")
	}
	h := stockHost(t, hosts.Example, edit)
	if played := playStock(t, h, nil); played.verdict.Code != exit.Done {
		t.Fatalf("%+v %q", played.verdict, played.serious)
	}
	for _, path := range []string{"/etc/zarafa.bak/server.cfg", "/etc/kopano/server.cfg", "/etc/kopano/gateway/privkey.pem"} {
		if st, err := h.Lstat(path); err != nil || !st.IsRegular() {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestStockConfigLinked has configuration files that are symlinks to where a site keeps them: a purge deletes
// what they lead to.
func TestStockConfigLinked(t *testing.T) {
	edit := func(text string) string {
		text = strings.Replace(text, "-- /etc/zarafa/server.cfg", "-- /srv/site/server.cfg", 1)
		return strings.Replace(text, "-- tree --\n", "-- tree --\nl root:root - - /etc/zarafa/server.cfg -> ../../srv/site/server.cfg\n", 1)
	}
	plain, linked := stockHost(t, hosts.Example, nil), stockHost(t, hosts.Example, edit)
	for _, h := range []*sim.Host{plain, linked} {
		if played := playStock(t, h, nil); played.verdict.Code != exit.Done {
			t.Fatalf("%+v %q", played.verdict, played.serious)
		}
	}
	for _, path := range []string{"/etc/zarafa.bak/server.cfg", "/etc/kopano/server.cfg"} {
		if want, got := textOf(t, plain, path), textOf(t, linked, path); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", path, got, want)
		}
	}
}

func textOf(t *testing.T, h *sim.Host, path string) string {
	t.Helper()
	f, err := h.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestStockSurveyGoesOn wants all that is wrong with a host in one go: what cannot be looked at hides nothing.
func TestStockSurveyGoesOn(t *testing.T) {
	const tree = "-- tree --\n"
	edit := func(text string) string {
		text = strings.Replace(text, "login zarafa ", "login zarafa another-", 1)
		return strings.Replace(text, tree, "-- /etc/zarafa/ical.cfg base64 --\nbG9nX2ZpbGUgPSBjYWbpCg==\n-- /etc/crontab --\n0 0 * * * root zarafa-stats\n"+
			"-- dead --\nhttps://download.kopano.io/supported/core:/final/Debian_8.0/ 401 Unauthorized\n"+
			tree+"d0755 root:root - - /tmp\nf0644 root:root 10 - /var/lib/kopano/attachments/1\n", 1)
	}
	played := playStock(t, stockHost(t, hosts.Example, edit), nil)
	want := []string{
		"warning: mode of /tmp",
		"inhibitor: a configuration file cannot be read",
		"inhibitor: the database does not answer",
		"inhibitor: the repository cannot be used",
		"inhibitor: /var/lib/kopano/attachments is not empty",
		"warning: /etc/crontab names zarafa",
		"warning: /etc/zarafa/webapp/config.php names /var/run/zarafa",
	}
	if played.verdict.Code != exit.Inhibited || !slices.Equal(played.serious, want) {
		t.Errorf("%+v\n  %s\nwant\n  %s", played.verdict, strings.Join(played.serious, "\n  "), strings.Join(want, "\n  "))
	}
}

// TestStockPackageFiles takes Kopano from a directory: what is not for this host is found before anything is removed.
func TestStockPackageFiles(t *testing.T) {
	for _, tc := range []struct{ arch, depends, want, reason string }{
		{arch: "amd64", depends: "libc6"},
		{arch: "arm64", depends: "libc6", want: "inhibitor: packages_dir cannot be used", reason: "the packages in /srv/kopano are for arm64, and this host is amd64"},
		{arch: "amd64", depends: "libc6 (>= 2.28)", want: "inhibitor: Kopano's packages cannot be installed", reason: "libc6 (>= 2.28)"},
		{arch: "amd64", depends: "libicu63", want: "inhibitor: Kopano's packages cannot be installed", reason: "libicu63"},
	} {
		h := stockHost(t, hosts.Example, func(text string) string {
			return strings.Replace(text, "-- tree --\n", "-- tree --\nd0755 root:root - - /srv/kopano\n", 1)
		})
		putPackage(t, h, "/srv/kopano", "kopano-server", tc.arch, tc.depends)
		for _, name := range []string{"kopano-dagent", "kopano-gateway", "kopano-spooler"} {
			putPackage(t, h, "/srv/kopano", name, tc.arch, tc.depends)
		}
		played := playStock(t, h, map[string]string{"packages_dir": "/srv/kopano"})
		found := tc.want == "" || played.verdict.Code == exit.Inhibited && slices.Contains(played.serious, tc.want) &&
			strings.Contains(strings.Join(played.reasons, "\n"), tc.reason)
		if !found || tc.want == "" && slices.ContainsFunc(played.serious, func(s string) bool { return strings.HasPrefix(s, "inhibitor") }) {
			t.Errorf("%+v: %+v\n%q\n%q", tc, played.verdict, played.serious, played.reasons)
		}
	}
}

// putPackage builds a package file of version 8.7.20 on a simulated host.
func putPackage(t *testing.T, h *sim.Host, dir, name, arch, depends string) {
	t.Helper()
	putVersion(t, h, dir, name, "8.7.20-1", arch, depends)
}

func putVersion(t *testing.T, h *sim.Host, dir, name, version, arch, depends string) {
	t.Helper()
	tree, file := t.TempDir(), filepath.Join(t.TempDir(), "p.deb")
	control := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: Kopano\nDepends: %s\nDescription: a package\n", name, version, arch, depends)
	if err := os.MkdirAll(filepath.Join(tree, "DEBIAN"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(tree, "DEBIAN/control"), []byte(control), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("dpkg-deb", "--root-owner-group", "-Zgzip", "-b", tree, file).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	f, err := h.Create(dir+"/"+name+".deb", 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		t.Fatal(err)
	}
}

// TestStockDirectoryGone wants an inhibitor with its remedy for a directory that does not answer.
func TestStockDirectoryGone(t *testing.T) {
	edit := func(text string) string {
		return strings.Replace(text, "-- directory --\n", "-- /root/directory --\n", 1)
	}
	played := playStock(t, stockHost(t, "debian8-zcp71-ldap.txtar", edit), nil)
	if played.verdict.Code != exit.Inhibited || !slices.Contains(played.serious, "inhibitor: the users of plugin ldap could not be looked at") {
		t.Errorf("%+v, %q, %q", played.verdict, played.serious, played.reasons)
	}
}

// TestStockDump says what is not in the dump; with dump = stopped nothing that came to ZCP is missing.
func TestStockDump(t *testing.T) {
	const told = "the dump holds the database of 2018-03-17T20:30:00Z"
	played := playStock(t, stockHost(t, hosts.Example, nil), nil)
	if !slices.Contains(played.infos, told) || !strings.Contains(played.verdict.NoReturn, "only the dump leads back to ZCP, without mail and changes that came after it was begun") {
		t.Errorf("%q, %+v", played.infos, played.verdict)
	}
	if first, second := slices.Index(played.changes, "stop zarafa-server"), slices.IndexFunc(played.changes, isDump); first < second {
		t.Errorf("ZCP is stopped before the dump: %q", played.changes)
	}
	played = playStock(t, stockHost(t, hosts.Example, nil), map[string]string{"dump": "stopped"})
	if played.verdict.Code != exit.Done || slices.Contains(played.infos, told) {
		t.Errorf("%q, %+v", played.infos, played.verdict)
	}
	if first, second := slices.Index(played.changes, "stop zarafa-server"), slices.IndexFunc(played.changes, isDump); first < 0 || first > second {
		t.Errorf("ZCP is not stopped before the dump: %q", played.changes)
	}
}

func isDump(change string) bool { return strings.HasPrefix(change, "dump database") }

// TestStockIndexAmongOthers leaves an index alone that lies among other things, and has the new one
// built in a place of its own.
func TestStockIndexAmongOthers(t *testing.T) {
	edit := func(text string) string {
		return strings.Replace(text, "index_path = /var/lib/zarafa/search/", "index_path = /var/lib/zarafa/", 1)
	}
	h := stockHost(t, hosts.Example, edit)
	if played := playStock(t, h, map[string]string{"attachments": "keep"}); played.verdict.Code != exit.Done {
		t.Fatalf("%+v", played.verdict)
	}
	f, err := h.Open("/etc/kopano/search.cfg")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	config, err := io.ReadAll(f)
	if err != nil || !strings.Contains(string(config), "\nindex_path = /var/lib/kopano/search\n") {
		t.Errorf("%v, search.cfg:\n%s", err, config)
	}
	for _, path := range []string{"/var/lib/zarafa/attachments/1", "/var/lib/zarafa/search/4B6C9A2D7F3E41E0-server/postlist.glass"} {
		if _, err := h.Lstat(path); err != nil {
			t.Error(err)
		}
	}
}

// TestStockDirectoryUsers names the files of others that use the Zarafa attributes.
func TestStockDirectoryUsers(t *testing.T) {
	const tree = "-- tree --\n"
	edit := func(text string) string {
		return strings.Replace(text, tree, "-- /etc/postfix/ldap-aliases.cf --\nresult_attribute = zarafaAliases\n"+tree, 1)
	}
	const want = "others use the Zarafa attributes of the directory"
	played := playStock(t, stockHost(t, "debian8-zcp71-ldap.txtar", edit), nil)
	if played.verdict.Code != exit.Done || !slices.Contains(played.infos, want) {
		t.Errorf("code %d, and no info %q; there are %q", played.verdict.Code, want, played.infos)
	}
}

// played is what a simulation came to.
type played struct {
	verdict story.Verdict
	serious []string // severity: title
	reasons []string // of these
	infos   []string // titles
	changes []string // announced, in order

	afterwards []string // what is to be told when the dump is loaded
}

func playStock(t *testing.T, h *sim.Host, params map[string]string) played {
	t.Helper()
	return playStockWatched(t, h, params, func(story.Event) {})
}

// playStockWatched plays it, and tells of each event.
func playStockWatched(t *testing.T, h *sim.Host, params map[string]string, watch func(story.Event)) played {
	t.Helper()
	var p played
	log := journal.Memory("test", time.Now)
	p.verdict = engine.Execute(context.Background(), engine.Config{
		Mode: "simulate", ID: "simulate", Runbook: stockFor(t, h), Params: params,
		Host: h, HostLabel: "an example", Dir: "/var/lib/zcp2kopano/runs/simulate",
		Journal: log, Keeper: state.Memory(), Version: "test", Now: time.Now,
		Emit: func(e story.Event) {
			watch(e)
			switch {
			case e.Kind == story.ChangeBegin:
				p.changes = append(p.changes, e.Text)
			case e.Finding == nil:
			case e.Finding.Severity == runbook.Info:
				p.infos = append(p.infos, e.Finding.Title)
			default:
				p.serious = append(p.serious, string(e.Finding.Severity)+": "+e.Finding.Title)
				p.reasons = append(p.reasons, e.Finding.Reason)
			}
		},
	})
	p.afterwards = afterwards(t, log)
	return p
}

// afterwards is what the dump in a journal says of its loading.
func afterwards(t *testing.T, log *journal.Log) []string {
	t.Helper()
	_, records, damage, err := journal.Read(bytes.NewReader(log.Bytes()))
	if err != nil || damage != nil {
		t.Fatal(err, damage)
	}
	for _, r := range records {
		var intent struct {
			Kind string
			Data struct{ Afterwards []string }
		}
		if r.Type == "intent" && json.Unmarshal(r.Data, &intent) == nil && intent.Kind == "db.dump" {
			return intent.Data.Afterwards
		}
	}
	return nil
}

func loadStock(t *testing.T, name string) *runbook.Runbook {
	t.Helper()
	book, err := runbook.Load(context.Background(), script.LoadOptions{Name: name, Stock: runbooks.FS, Builtins: builtins.All()})
	if err != nil {
		t.Fatal(err)
	}
	return book
}

// stockFor is the runbook for a host.
func stockFor(t *testing.T, h host.View) *runbook.Runbook {
	t.Helper()
	facts, err := h.Facts()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range script.StockRunbooks(runbooks.FS) {
		book := loadStock(t, name)
		for _, spec := range book.Systems {
			if fits, err := facts.Matches(spec); err != nil {
				t.Fatal(err)
			} else if fits {
				return book
			}
		}
	}
	t.Fatalf("no stock runbook is for %v", facts.OSRelease)
	return nil
}

// stockHost makes a shipped example host, its fixture changed by edit unless that is nil.
func stockHost(t *testing.T, name string, edit func(string) string) *sim.Host {
	t.Helper()
	data, err := fs.ReadFile(hosts.FS, name)
	if err != nil {
		t.Fatal(err)
	}
	if edit != nil {
		data = []byte(edit(string(data)))
	}
	fixture, err := sim.ReadFixture(data)
	if err != nil {
		t.Fatal(err)
	}
	h, err := fixture.Host(sim.Options{Catalog: stockCatalog(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

func stockCatalog(t *testing.T) []*sim.Package {
	t.Helper()
	files, err := fs.Glob(runbooks.FS, "catalog/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var catalog []*sim.Package
	for _, name := range files {
		data, err := fs.ReadFile(runbooks.FS, name)
		if err != nil {
			t.Fatal(err)
		}
		list, err := sim.ParseCatalog(data)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		catalog = append(catalog, list...)
	}
	return catalog
}

// Limits that keep a library of runbooks readable: a file looks at one thing.
const (
	maxLines   = 150
	maxColumns = 110
)

// familyWords are what only one family of systems has, or calls so. A file of lib with the name of a runbook is the one
// that knows the runbook's family; rpm.star has what two of them share.
var familyWords = regexp.MustCompile(`(?i)dpkg|\bapt\b|apt-|\.deb\b|debian|ubuntu|dist-packages|sources\.list|policy-rc|apache2|/etc/default|crontabs/` +
	`|\brpm|\byum|\bdnf\b|zypp|red ?hat|\bsuse|\bsles|centos|site-packages|sysconfig`)

// TestStockIsReadable holds the limits, and the words of a family of systems in its own file.
func TestStockIsReadable(t *testing.T) {
	families := map[string]bool{"lib/rpm.star": true}
	for _, name := range script.StockRunbooks(runbooks.FS) {
		families["lib/"+name+".star"] = true
	}
	files, err := fs.Glob(runbooks.FS, "lib/*.star")
	if err != nil {
		t.Fatal(err)
	}
	words := 0
	for _, name := range append(files, "debian.star", "rhel.star", "sles.star") {
		data, err := fs.ReadFile(runbooks.FS, name)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
		if len(lines) > maxLines {
			t.Errorf("%s has %d lines, more than %d: a file for each thing that it looks at", name, len(lines), maxLines)
		}
		for i, line := range lines {
			if n := utf8.RuneCountInString(line); n > maxColumns {
				t.Errorf("%s:%d has %d columns, more than %d", name, i+1, n, maxColumns)
			}
			found := familyWords.FindString(line)
			if found != "" && families[name] {
				words++
			}
			if found != "" && strings.HasPrefix(name, "lib/") && !families[name] {
				t.Errorf("%s:%d says %s, which is a word of one family of systems: it belongs into the file of that family", name, i+1, found)
			}
		}
	}
	if words < 20 {
		t.Errorf("only %d lines of a family's words were found where they belong", words)
	}
}
