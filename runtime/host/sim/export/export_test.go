package export_test

import (
	"archive/tar"
	"bytes"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/secrets"
	"zcp2kopano/runtime/host/sim/export"
	"zcp2kopano/runtime/host/sim/simfs"
)

// site is a simulated host's files.
func site(t *testing.T) afero.Fs {
	t.Helper()
	files := simfs.Afero(simfs.New(simfs.Options{}))
	for name, text := range map[string]string{
		"/etc/kopano/server.cfg":    "mysql_password = hunter2\nport = 236\n",
		"/etc/kopano/plain.cfg":     "port = 236\n",
		"/etc/kopano/hook.sh":       "echo topsecret\n",
		"/etc/kopano/keys.db":       "a\x00hunter2",
		"/etc/kopano/a b.cfg":       "x = y\n",
		"/etc/postfix/main.cf":      "smtp_sasl_password_maps = hash:/etc/postfix/others\n",
		"/etc/postfix/others":       "[mx.example.org] mail:opensesame\n",
		"/etc/shadowed/privkey.pem": "no key at all\n",
	} {
		if err := files.MkdirAll(name[:strings.LastIndex(name, "/")], 0o750); err != nil {
			t.Fatal(err)
		}
		if err := afero.WriteFile(files, name, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{"/etc/kopano/out": "/etc/shadowed", "/etc/kopano/up": "../shadowed/privkey.pem"} {
		if err := files.SymlinkIfPossible(target, name); err != nil {
			t.Fatal(err)
		}
	}
	if err := files.Chown("/etc/kopano/plain.cfg", 0, 116); err != nil {
		t.Fatal(err)
	}
	if err := files.Chmod("/etc/kopano/hook.sh", fs.ModeSetuid|0o755); err != nil {
		t.Fatal(err)
	}
	return files
}

func source(files afero.Fs) export.Source {
	return export.Source{
		Files: files,
		User:  func(id uint32) string { return map[uint32]string{0: "root"}[id] },
		Group: func(id uint32) string { return map[uint32]string{0: "root", 116: "kopano"}[id] },
	}
}

// copied exports paths into memory.
func copied(t *testing.T, files afero.Fs, o export.Options) (afero.Fs, export.Summary) {
	t.Helper()
	var stream bytes.Buffer
	sum, err := export.Send(&stream, source(files), o)
	if err != nil {
		t.Fatal(err)
	}
	below := afero.NewBasePathFs(afero.NewMemMapFs(), "/out")
	if came, err := export.Receive(&stream, below); err != nil || !came {
		t.Fatal(came, err)
	}
	return below, sum
}

func text(t *testing.T, files afero.Fs, name string) string {
	t.Helper()
	data, err := afero.ReadFile(files, name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestSecretsAreMasked(t *testing.T) {
	known := secrets.NewKnown(func() map[string]bool { return nil })
	known.Add("topsecret")
	known.Add("23")
	below, sum := copied(t, site(t), export.Options{
		Paths: []string{"/etc/kopano", "/etc/postfix"}, Known: known, Title: "two\nlines",
	})
	for name, want := range map[string]string{
		"/etc/kopano/server.cfg": "mysql_password = ***\nport = 236\n",
		"/etc/kopano/hook.sh":    "echo ***\n",
		"/etc/kopano/plain.cfg":  "port = 236\n",
		"/etc/postfix/others":    "[mx.example.org] mail:***\n",
	} {
		if got := text(t, below, name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for name, want := range map[string]fs.FileMode{"/etc/kopano/server.cfg": 0o600, "/etc/kopano/hook.sh": 0o600, "/etc/kopano/plain.cfg": 0o640} {
		if info, err := below.Stat(name); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v; want %v", name, info.Mode(), err, want)
		}
	}
	if sum.Files != 6 || sum.Masked != 3 || len(sum.Left) != 1 || !strings.HasPrefix(sum.Left[0], "/etc/kopano/keys.db: ") {
		t.Errorf("%+v", sum)
	}
	if ok, _ := afero.Exists(below, "/etc/kopano/keys.db"); ok {
		t.Error("a file that may hold secrets was written")
	}
}

func TestSecretsAreLeftIn(t *testing.T) {
	below, sum := copied(t, site(t), export.Options{Paths: []string{"/etc/kopano"}, WithSecrets: true})
	for name, want := range map[string]string{"/etc/kopano/server.cfg": "mysql_password = hunter2\nport = 236\n", "/etc/kopano/keys.db": "a\x00hunter2"} {
		info, err := below.Stat(name)
		if got := text(t, below, name); got != want || err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %q, %v; %v", name, got, info.Mode(), err)
		}
	}
	if sum.Masked != 0 || len(sum.Left) != 0 {
		t.Errorf("%+v", sum)
	}
}

// TestManifest has owners, modes and links, and no symlink leads out of the copy.
func TestManifest(t *testing.T) {
	below, sum := copied(t, site(t), export.Options{Paths: []string{"/etc/kopano", "/etc/none"}, Title: "two\nlines"})
	want := `#mtree
# two lines
./etc/kopano type=dir mode=0750 uid=0 gid=0 uname=root gname=root
./etc/kopano/a\040b.cfg type=file mode=0640 uid=0 gid=0 uname=root gname=root size=6
./etc/kopano/hook.sh type=file mode=4755 uid=0 gid=0 uname=root gname=root size=15
# left out: /etc/kopano/keys.db: it is not text, and may hold secrets
./etc/kopano/keys.db type=file mode=0640 uid=0 gid=0 uname=root gname=root size=9
./etc/kopano/out type=link mode=0777 uid=0 gid=0 uname=root gname=root link=/etc/shadowed
./etc/kopano/plain.cfg type=file mode=0640 uid=0 gid=116 uname=root gname=kopano size=11
# secrets are masked in this one:
./etc/kopano/server.cfg type=file mode=0640 uid=0 gid=0 uname=root gname=root
./etc/kopano/up type=link mode=0777 uid=0 gid=0 uname=root gname=root link=../shadowed/privkey.pem
`
	if got := text(t, below, export.Manifest); got != want {
		t.Errorf("%s", got)
	}
	if len(sum.Missing) != 1 || sum.Missing[0] != "/etc/none" || sum.Listed != 3 {
		t.Errorf("%+v", sum)
	}
	for _, name := range []string{"/etc/kopano/out", "/etc/kopano/up", "/etc/shadowed/privkey.pem"} {
		if ok, _ := afero.Exists(below, name); ok {
			t.Errorf("%s was written", name)
		}
	}
	if info, err := below.Stat("/etc/kopano/hook.sh"); err != nil || info.Mode() != 0o755 {
		t.Errorf("hook.sh: %v, %v", info.Mode(), err)
	}
}

// TestLargeFiles sends what is too large to be searched for secrets only if these are wanted.
func TestLargeFiles(t *testing.T) {
	files := afero.NewMemMapFs()
	large := strings.Repeat("x", 17<<20)
	if err := afero.WriteFile(files, "/data/large", []byte(large), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, sum := copied(t, files, export.Options{Paths: []string{"/data"}}); sum.Files != 0 || len(sum.Left) != 1 {
		t.Errorf("%+v", sum)
	}
	if below, sum := copied(t, files, export.Options{Paths: []string{"/data"}, WithSecrets: true}); sum.Files != 1 || text(t, below, "/data/large") != large {
		t.Errorf("%+v", sum)
	}
}

// TestReceiveRefuses what would leave the directory, or replace what is there.
func TestReceiveRefuses(t *testing.T) {
	for name, h := range map[string]*tar.Header{
		"above":   {Typeflag: tar.TypeReg, Name: "../x"},
		"rooted":  {Typeflag: tar.TypeReg, Name: "/x"},
		"symlink": {Typeflag: tar.TypeSymlink, Name: "x", Linkname: "/etc"},
		"twice":   {Typeflag: tar.TypeReg, Name: "there"},
	} {
		var stream bytes.Buffer
		w := tar.NewWriter(&stream)
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := os.WriteFile(dir+"/there", []byte("kept"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := export.Receive(&stream, afero.NewBasePathFs(afero.NewOsFs(), dir))
		entries, lerr := os.ReadDir(dir)
		if err == nil || lerr != nil || len(entries) != 1 {
			t.Errorf("%s: %v; %v, %v", name, err, entries, lerr)
		}
	}
}

// TestReceiveCutOff tells a stream that ends early from one with nothing in it.
func TestReceiveCutOff(t *testing.T) {
	var stream bytes.Buffer
	if _, err := export.Send(&stream, source(site(t)), export.Options{Paths: []string{"/etc"}}); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 700, stream.Len() / 2} {
		_, err := export.Receive(io.LimitReader(bytes.NewReader(stream.Bytes()), int64(n)), afero.NewMemMapFs())
		if err == nil {
			t.Errorf("a stream cut off after %d bytes is taken for a whole one", n)
		}
	}
	if came, err := export.Receive(&bytes.Buffer{}, afero.NewMemMapFs()); came || err != nil {
		t.Error(came, err)
	}
}

// Changed entries of a directory go into a file of their own, without their passwords.
func TestSendEntries(t *testing.T) {
	entry := host.Entry{DN: "uid=müller,dc=example", Attributes: map[string][]string{"objectClass": {"kopano-user"}, "uid": {"müller"}, "userPassword": {"{SSHA}hunter2"}, "kopanoQuotaHard": {"7"}}}
	for name, c := range map[string]struct {
		o    export.Options
		want string
	}{
		"masked": {export.Options{}, "dn:: dWlkPW3DvGxsZXIsZGM9ZXhhbXBsZQ==\nobjectClass: kopano-user\nkopanoQuotaHard: 7\nuid:: bcO8bGxlcg==\n"},
		"whole":  {export.Options{WithSecrets: true}, "dn:: dWlkPW3DvGxsZXIsZGM9ZXhhbXBsZQ==\nobjectClass: kopano-user\nkopanoQuotaHard: 7\nuid:: bcO8bGxlcg==\nuserPassword: {SSHA}hunter2\n"},
	} {
		c.o.Entries = []host.Entry{entry}
		var stream bytes.Buffer
		sum, err := export.Send(&stream, source(site(t)), c.o)
		if err != nil || sum.Files != 1 {
			t.Fatal(name, sum, err)
		}
		to := afero.NewMemMapFs()
		if came, err := export.Receive(&stream, to); err != nil || !came {
			t.Fatal(name, came, err)
		}
		if got, err := afero.ReadFile(to, export.Entries); err != nil || string(got) != c.want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if entry.Attributes["userPassword"] == nil {
		t.Error("the simulation lost a password")
	}
}
