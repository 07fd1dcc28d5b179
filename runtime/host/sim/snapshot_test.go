package sim

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/secrets"
)

var snapshotOptions = SnapshotOptions{
	Packages: []string{"*zarafa*", "*mapi*", "libical*", "libvmime*"},
	Config:   []string{"/etc/zarafa", "/etc/postfix", "/etc/apt", "/etc/default", "/etc/mapi", "/etc/php5"},
	Trees:    []string{"/var/lib/zarafa", "/var/log/zarafa", "/usr/local", "/run/zarafad"},
	Conn:     host.DatabaseConn{User: "zarafa", Password: host.NewSecret("s3cret#of-alice"), Database: "zarafa"},
	Queries:  []string{"SELECT VERSION() AS version", "SHOW GLOBAL VARIABLES", "SHOW TABLES"},
}

// withRecorded asks for what a fixture has recorded, too.
func withRecorded(h *Host) SnapshotOptions {
	o := snapshotOptions
	o.Queries = append(slices.Clone(o.Queries), h.database.data.order...)
	return o
}

func takeSnapshot(t testing.TB, view host.View, o SnapshotOptions) (*Host, string) {
	t.Helper()
	var text bytes.Buffer
	if err := Snapshot(context.Background(), &text, view, o); err != nil {
		t.Fatal(err)
	}
	f, err := ReadFixture(text.Bytes())
	if err != nil {
		t.Fatalf("%v\n%s", err, text.String()[:min(text.Len(), 3000)])
	}
	h, err := f.Host(Options{Catalog: catalogues(t)})
	if err != nil {
		t.Fatal(err)
	}
	return h, text.String()
}

// migrate removes ZCP and installs Kopano, as a runbook does.
func migrate(t *testing.T, h *Host) {
	t.Helper()
	ctx := context.Background()
	mustDo(t, h.CommitPackages(ctx, host.Transaction{Remove: zcpPackages(t, h), Purge: true}, nil))
	mustDo(t, h.files.writeFile("/etc/apt/sources.list.d/kopano.list", []byte("deb https://download.kopano.io/supported/core:/final/Debian_8.0 ./\n"), 0o644))
	mustDo(t, h.RefreshPackages(ctx, nil, nil))
	mustDo(t, h.CommitPackages(ctx, host.Transaction{Install: []string{"kopano-server-packages"}}, nil))
}

func TestSnapshotSimulatesLikeItsOrigin(t *testing.T) {
	origin := readHost(t, "debian8-zcp72", Options{Catalog: catalogues(t)})
	copied, text := takeSnapshot(t, origin, withRecorded(origin))
	if strings.Contains(text, "s3cret") {
		t.Error("the snapshot holds the database password")
	}
	before := simManifest(t, origin)
	for name, is := range simManifest(t, copied) {
		if strings.HasPrefix(name, "/etc/zarafa/server.cfg") {
			continue // its password is replaced
		}
		if before[name] != is {
			t.Errorf("%s: the host has %q, the snapshot %q", name, before[name], is)
		}
	}
	migrate(t, origin)
	migrate(t, copied)
	want, got := simManifest(t, origin), simManifest(t, copied)
	for name := range want {
		if want[name] != got[name] && want[name] != before[name] {
			t.Errorf("%s: after the migration the host has %q, the snapshot %q", name, want[name], got[name])
		}
	}
	for name := range got {
		if want[name] == "" {
			t.Errorf("%s: after the migration only the snapshot has it: %q", name, got[name])
		}
	}
	for _, query := range withRecorded(origin).Queries {
		a, err1 := origin.Query(context.Background(), snapshotOptions.Conn, query)
		b, err2 := copied.Query(context.Background(), snapshotOptions.Conn, query)
		mustDo(t, err1)
		mustDo(t, err2)
		if !slices.EqualFunc(a.Rows, b.Rows, slices.Equal) {
			t.Errorf("%s: %v, in the snapshot %v", query, a, b)
		}
	}
}

// TestSnapshotOfNames: that a run asked for the name of a file does not take away its content.
func TestSnapshotOfNames(t *testing.T) {
	o := snapshotOptions
	o.Seen, o.Listed = []string{"/etc/logrotate.d/zarafa"}, []string{"/lib/systemd/system", "/etc/logrotate.d"}
	copied, _ := takeSnapshot(t, readHost(t, "debian8-zcp72", Options{Catalog: catalogues(t)}), o)
	for _, name := range []string{"/etc/logrotate.d/zarafa", "/lib/systemd/system/zarafa-server.service"} {
		if _, err := copied.files.readFile(name); err != nil {
			t.Error(err)
		}
	}
}

func TestSnapshotOfASnapshotIsTheSame(t *testing.T) {
	origin := readHost(t, "debian8-zcp72", Options{})
	once, first := takeSnapshot(t, origin, withRecorded(origin))
	_, second := takeSnapshot(t, once, withRecorded(origin))
	strip := func(s string) string {
		var lines []string
		for line := range strings.Lines(s) {
			if !strings.HasPrefix(line, "time: ") && !strings.HasPrefix(line, "Scripts: ") {
				lines = append(lines, line)
			}
		}
		return strings.Join(lines, "")
	}
	a, b := strings.Split(strip(first), "\n"), strings.Split(strip(second), "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			t.Fatalf("line %d: %q, then %q", i+1, a[i], b[i])
		}
	}
	if len(a) != len(b) {
		t.Errorf("%d lines, then %d", len(a), len(b))
	}
}

func TestFromViewIsAsItsBase(t *testing.T) {
	below := readHost(t, "debian8-zcp72", Options{Catalog: catalogues(t)})
	before := simManifest(t, below)
	h, err := FromView(below, Options{Catalog: catalogues(t)})
	mustDo(t, err)
	defer h.Close()
	plain := readHost(t, "debian8-zcp72", Options{Catalog: catalogues(t)})
	migrate(t, h)
	migrate(t, plain)
	want, got := simManifest(t, plain), simManifest(t, h)
	for name := range want {
		if got[name] != want[name] {
			t.Errorf("%s: over a live machine %q, over a fixture %q", name, got[name], want[name])
		}
	}
	for name := range got {
		if want[name] == "" {
			t.Errorf("%s: only over a live machine: %q", name, got[name])
		}
	}
	after := simManifest(t, below)
	for name := range before {
		if before[name] != after[name] {
			t.Errorf("the machine below has changed: %s was %q, is %q", name, before[name], after[name])
		}
	}
	if len(before) != len(after) {
		t.Errorf("the machine below had %d files and has %d", len(before), len(after))
	}
	if _, err := h.Query(context.Background(), snapshotOptions.Conn, "SHOW TABLES"); err != nil {
		t.Error(err)
	}
}

// TestSnapshotHoldsNoSecret has every secret of a site begin with "geheim".
func TestSnapshotHoldsNoSecret(t *testing.T) {
	origin := readHost(t, "debian8-zcp72", Options{})
	key := "-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\ngeheim7=\n-----END PRIVATE KEY-----\n"
	plain := map[string]string{
		"/etc/zarafa/gateway.cfg":        "ssl_key_file = /etc/zarafa/x.pem\npassword_min_length = 8\nssl_key_pass = geheim1\n",
		"/etc/zarafa/webapp/config.php":  "<?php\ndefine('DB_PASSWORD', 'geheim2');\n$config['x_password'] = 'geheim3';\n",
		"/etc/zarafa/userscripts/own.sh": "#!/bin/sh\ncurl -u alice:geheim4 https://bob:geheim5@example.org/\nmysql -pgeheim6 --password=geheim6\n",
		"/etc/zarafa/ssl/server.pem":     key,
		"/etc/postfix/main.cf":           "smtp_sasl_password_maps = hash:/etc/postfix/smarthost,\n  hash:/etc/postfix/sasl_passwd\n",
		"/etc/postfix/smarthost":         "mail.example.org me:geheim8\n",
		"/etc/postfix/sasl_passwd":       "[mail.example.org]:587 me@example.org:geheim9\n",
		"/etc/postfix/sasl_passwd.db":    "\x00mail.example.org\x00me@example.org:geheim9",
		"/etc/postfix/mysql-aliases.cf":  "user = mail\npassword = geheim10\n",
		"/etc/apt/auth.conf":             "machine example.org\nlogin x\npassword geheim11\n",
		"/etc/apt/sources.list.d/x.list": "deb https://serial:geheim12@example.org/ ./\n",
		"/etc/zarafa/users.ldif":         "dn: uid=x\nuserPassword: geheim13\n",
		"/etc/shadow":                    "root:geheim14$:17000::::::\nzarafa:!:17000::::::\n",
	}
	mustDo(t, origin.files.PutDir("/etc/zarafa/ssl", fs.ModeDir|0o755, 0, 0))
	for name, text := range plain {
		mustDo(t, origin.files.PutFile(name, []byte(text), 0o640, 0, 0, origin.Now()))
	}
	o := withRecorded(origin)
	o.Read = []string{"/etc/shadow"}
	copied, text := takeSnapshot(t, origin, o)
	if at := strings.Index(text, "geheim"); at >= 0 {
		t.Errorf("the snapshot holds a secret: %q", text[max(0, at-60):at+10])
	}
	kept := map[string]string{
		"/etc/zarafa/gateway.cfg":        "ssl_key_file = /etc/zarafa/x.pem\npassword_min_length = 8\nssl_key_pass = xxxx\n",
		"/etc/zarafa/userscripts/own.sh": "#!/bin/sh\ncurl -u alice:xxxx https://bob:xxxx@example.org/\nmysql -pxxxx --password=xxxx\n",
		"/etc/zarafa/ssl/server.pem":     strings.Replace(key, "geheim7=", "xxxxxxxx", 1),
		"/etc/postfix/main.cf":           plain["/etc/postfix/main.cf"],
	}
	for name, want := range kept {
		if got, err := copied.files.readFile(name); err != nil || string(got) != want {
			t.Errorf("%s: %v, %q", name, err, got)
		}
	}
	if st, err := copied.Lstat("/etc/postfix/sasl_passwd.db"); err != nil || st.Size != int64(len(plain["/etc/postfix/sasl_passwd.db"])) {
		t.Errorf("sasl_passwd.db: %v, %d bytes", err, st.Size)
	}
}

// TestSparseSnapshot holds contents only of what was read, named, or shipped so; of all else a simulation is told that
// its content is not there, and not that it is absent.
func TestSparseSnapshot(t *testing.T) {
	origin := readHost(t, "debian8-zcp72", Options{})
	own := map[string]string{
		"/etc/zarafa/read.cfg": "log_level = 3\nsite_pin = geheim\n", "/etc/zarafa/unread.cfg": "geheim\n", "/etc/postfix/named": "text\n", "/etc/systemd/system/own.service": "geheim\n",
		"/usr/local/own.sh": "geheim\n",
	}
	for name, text := range own {
		mustDo(t, origin.files.PutFile(name, []byte(text), 0o640, 0, 0, origin.Now()))
	}
	var held []string
	o := snapshotOptions
	o.Config, o.Trees = []string{"/etc/postfix"}, append([]string{"/etc/zarafa"}, o.Trees...)
	o.Sparse, o.Read = true, []string{"/etc/zarafa/read.cfg"}
	o.Directive = func(_, name string) bool { return name != "site_pin" }
	o.Holds = func(name string) { held = append(held, name) }
	copied, text := takeSnapshot(t, origin, o)
	if at := strings.Index(text, "geheim"); at >= 0 {
		t.Errorf("the snapshot holds a secret: %q", text[max(0, at-60):at+10])
	}
	for name, want := range map[string]string{"/etc/zarafa/read.cfg": "log_level = 3\nsite_pin = xxxx\n", "/etc/postfix/named": "text\n"} {
		if got, err := copied.files.readFile(name); err != nil || string(got) != want || !slices.Contains(held, name) {
			t.Errorf("%s: %v, %q; told: %v", name, err, got, held)
		}
	}
	for _, name := range []string{"/etc/zarafa/unread.cfg", "/etc/systemd/system/own.service", "/usr/local/own.sh"} {
		st, err := copied.Lstat(name)
		if err != nil || st.Size != 7 || st.Mode.Perm() != 0o640 || slices.Contains(held, name) {
			t.Errorf("%s: %v, %+v", name, err, st)
		}
		if _, err := copied.files.readFile(name); !errors.Is(err, host.ErrUnknown) || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "not in the snapshot") {
			t.Errorf("reading %s: %v", name, err)
		}
	}
}

// busyView is a host that changes while it is looked at.
type busyView struct {
	*Host
	onRead, onList func(name string)
}

func (v busyView) Open(name string) (host.File, error) {
	v.onRead(name)
	return v.Host.Open(name)
}

func (v busyView) ReadDir(name string) ([]host.DirEntry, error) {
	v.onList(name)
	return v.Host.ReadDir(name)
}

// TestSnapshotOfABusyHost changes files before they are read, and after, while trees are walked.
func TestSnapshotOfABusyHost(t *testing.T) {
	const config, sender = "/etc/zarafa/server.cfg", "/etc/zarafa/dagent.cfg"
	origin := readHost(t, "debian8-zcp72", Options{})
	mustDo(t, origin.files.PutXattr(config, "user.note", []byte("mine")))
	later := origin.Now().Add(time.Hour)
	reads := 0
	view := busyView{origin, func(name string) {
		if name == sender {
			if reads++; reads == 1 {
				mustDo(t, origin.files.PutFile(sender, []byte("log_level = 6\n"), 0o600, 0, 0, later))
			}
		}
	}, func(name string) {
		switch name {
		case "/var/lib/zarafa":
			mustDo(t, origin.files.PutFile(config, []byte("log_level = 6\n"), 0o600, 0, 0, later))
		case "/var/lib/zarafa/attachments":
			mustDo(t, origin.files.removeAll(name))
		}
	}}
	before, err := origin.Lstat(config)
	mustDo(t, err)
	text, err := origin.files.readFile(config)
	mustDo(t, err)
	copied, _ := takeSnapshot(t, view, snapshotOptions)
	st, err := copied.Lstat(config)
	mustDo(t, err)
	got, err := copied.files.readFile(config)
	mustDo(t, err)
	if string(got) != secrets.Hide(config, string(text)) || st.Mode != before.Mode || !st.Mtime.Equal(before.Mtime) {
		t.Errorf("%s: %v %v %q", config, st.Mode, st.Mtime, got)
	}
	if note, err := copied.Getxattr(config, "user.note"); err != nil || string(note) != "mine" {
		t.Errorf("user.note of %s: %v, %q", config, err, note)
	}
	st, err = copied.Lstat(sender)
	mustDo(t, err)
	if got, err := copied.files.readFile(sender); err != nil || string(got) != "log_level = 6\n" || st.Perm() != 0o600 || !st.Mtime.Equal(later) {
		t.Errorf("%s: %v, %v %v %q", sender, err, st.Mode, st.Mtime, got)
	}
}

// TestSnapshotOfOneFileByTwoNames: a file with several names is captured once by each, and not again where a symlink leads
// to its directory.
func TestSnapshotOfOneFileByTwoNames(t *testing.T) {
	h := hostOf(t, "-- host --\nbase: none\n-- tree --\nl0777 root:root - - /bin -> usr/bin\nd0755 root:root - - /usr/bin\nf0755 root:root 10 - /usr/bin/systemctl\n"+
		"hardlink /usr/bin/halt -> /usr/bin/systemctl\n")
	var text strings.Builder
	mustDo(t, Snapshot(t.Context(), &text, h, SnapshotOptions{Seen: []string{"/bin/systemctl", "/usr/bin/systemctl", "/usr/bin/halt", "/bin/halt"}}))
	again := hostOf(t, text.String())
	one, err := again.Lstat("/usr/bin/systemctl")
	mustDo(t, err)
	if other, err := again.Lstat("/bin/halt"); err != nil || other.Ino != one.Ino || one.Nlink != 2 {
		t.Errorf("%+v, %v; want the file %+v with two names", other, err, one)
	}
}
