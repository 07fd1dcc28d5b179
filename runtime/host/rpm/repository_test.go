package rpm

import (
	"context"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path"
	"strings"
	"testing"

	"zcp2kopano/runtime/host"
)

// keyHost has a key at one address.
type keyHost struct {
	host.FileReader
	address, user, password string
	key                     []byte
}

func (h keyHost) Download(_ context.Context, address, user string, password host.Secret) ([]byte, error) {
	if address != h.address {
		return nil, fs.ErrNotExist
	}
	if user != h.user || password.Reveal() != h.password {
		return nil, errors.New("the server answers 401")
	}
	return h.key, nil
}

const base = "https://download.example.org/core:/final/RHEL_7/"

func setUp(t *testing.T, front string, r host.Repository) host.RepositorySetup {
	t.Helper()
	key, err := os.ReadFile("../signkey/testdata/key.asc")
	if err != nil {
		t.Fatal(err)
	}
	h := keyHost{address: base + "repodata/repomd.xml.key", user: r.User, password: r.Password.Reveal(), key: key}
	s, err := With(front).Setup(t.Context(), h, "", r)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSetup(t *testing.T) {
	r := host.Repository{Name: "kopano", URL: base, Suite: "./", User: "serial", Password: host.NewSecret("a b!"), Key: base + "repodata/repomd.xml.key", Priority: 600}
	const head = "[kopano]\nname=kopano\nenabled=1\nbaseurl=https://serial:a%20b%21@download.example.org/core:/final/RHEL_7/\n"
	const tail, end = "gpgcheck=1\ngpgkey=file://", "\npriority=90\n"
	const redhats, suses = "/etc/pki/rpm-gpg/RPM-GPG-KEY-kopano", "/etc/zypp/keys/RPM-GPG-KEY-kopano"
	for front, want := range map[string]struct{ file, key, content string }{
		"yum":    {"/etc/yum.repos.d/kopano.repo", redhats, head + "skip_if_unavailable=0\n" + tail + redhats + end},
		"dnf":    {"/etc/yum.repos.d/kopano.repo", redhats, head + "skip_if_unavailable=0\n" + tail + redhats + end},
		"zypper": {"/etc/zypp/repos.d/kopano.repo", suses, head + "type=rpm-md\nautorefresh=0\n" + tail + suses + end},
	} {
		s := setUp(t, front, r)
		if len(s.Files) != 2 || s.Source != want.file || len(s.Dirs) != 1 || s.Dirs[0] != path.Dir(want.key) {
			t.Fatalf("%s: %+v", front, s)
		}
		key, source := s.Files[0], s.Files[1]
		if key.Path != want.key || key.Mode != 0o644 || !strings.HasPrefix(key.Content.Reveal(), "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n") {
			t.Errorf("%s: key in %s, mode %o", front, key.Path, key.Mode)
		}
		if source.Path != want.file || source.Mode != 0o600 || source.Content.Reveal() != want.content {
			t.Errorf("%s: %s, mode %o:\n%s", front, source.Path, source.Mode, source.Content.Reveal())
		}
		if len(s.Keys) != 1 || s.Keys[0] != "3253832C1D16A414CAD04F36D9823A9A001564D2" {
			t.Errorf("%s: fingerprints %v", front, s.Keys)
		}
	}
}

// TestSetupWithout has no password: the file may be read by all, and the host's own packages stay as they are.
func TestSetupWithout(t *testing.T) {
	for front, address := range map[string]string{"yum": "file:///srv/kopano", "zypper": "dir:///srv/kopano"} {
		s := setUp(t, front, host.Repository{Name: "local", URL: "file:/srv/kopano/", Suite: "./", Trusted: true})
		want := "baseurl=" + address + "\n"
		if text := s.Files[0].Content.Reveal(); len(s.Files) != 1 || s.Files[0].Mode != 0o644 || !strings.Contains(text, want) ||
			!strings.Contains(text, "\ngpgcheck=0\nrepo_gpgcheck=0\n") || strings.Contains(text, "gpgkey") || strings.Contains(text, "priority") {
			t.Errorf("%s: mode %o\n%s", front, s.Files[0].Mode, text)
		}
	}
}

// TestCredentials looks at every character, quotes and blanks at both ends: none may mean anything to a front, and
// all come back where the address is read.
func TestCredentials(t *testing.T) {
	var all strings.Builder
	for c := byte(' '); c < 0x7f; c++ {
		all.WriteByte(c)
	}
	for _, password := range []string{all.String(), ` "quoted" `, " 'blanks' ", "$releasever", "%s%20", "ä€", "a\nb"} {
		s := setUp(t, "yum", host.Repository{Name: "kopano", URL: base, Suite: "./", User: `o'b "@:/`, Password: host.NewSecret(password)})
		_, line, _ := strings.Cut(s.Files[0].Content.Reveal(), "baseurl=")
		line, _, _ = strings.Cut(line, "\n")
		u, err := url.Parse(line)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := u.User.Password(); got != password || u.User.Username() != `o'b "@:/` {
			t.Errorf("%q came back as %q of %q", password, got, u.User.Username())
		}
		if strings.ContainsAny(line, " $\"'\\#;{}") {
			t.Errorf("%q stands as it is in %s", password, line)
		}
	}
}

func TestSetupRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		r    host.Repository
		want string
	}{
		"a suite":            {host.Repository{URL: base, Suite: "stable", Components: []string{"main"}}, "neither suites nor components"},
		"no password":        {host.Repository{URL: base, Suite: "./", User: "serial"}, "the password is empty"},
		"user of file":       {host.Repository{URL: "file:/srv", Suite: "./", User: "serial"}, "takes no user and password"},
		"a key that is none": {host.Repository{URL: base, Suite: "./", Key: "https://x/none"}, "the key: "},
		"a key by http":      {host.Repository{URL: base, Suite: "./", Key: "http://example.org/key"}, "anybody can change"},
	} {
		_, err := With("dnf").Setup(t.Context(), keyHost{}, "", c.r)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	h := keyHost{address: "https://x/key", key: []byte("# not a key")}
	if _, err := (System{}).Setup(t.Context(), h, "", host.Repository{URL: base, Suite: "./", Key: h.address}); err == nil || !strings.Contains(err.Error(), "not a public key") {
		t.Errorf("text was taken for a key: %v", err)
	}
}
