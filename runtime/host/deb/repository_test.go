package deb

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"zcp2kopano/runtime/host"
)

func TestAptOf(t *testing.T) {
	for _, c := range []struct {
		version string
		want    apt
	}{
		{"0.9.7.9+deb7u7", apt{authLengths: true}},                                                   // Debian 7
		{"1.0.9.8.4", apt{authLengths: true}},                                                        // Debian 8
		{"1.2.35", apt{signedBy: true, authLengths: true}},                                           // Ubuntu 16.04
		{"1.4.11", apt{signedBy: true, authLengths: true}},                                           // Debian 9
		{"1.6.17", apt{signedBy: true, httpsBuilt: true}},                                            // Ubuntu 18.04
		{"1.8.2.3", apt{signedBy: true, httpsBuilt: true, authParts: true}},                          // Debian 10
		{"2.0.2ubuntu0.2", apt{signedBy: true, httpsBuilt: true, authParts: true, authScheme: true}}, // Ubuntu 20.04
	} {
		got, err := aptOf(c.version)
		if err != nil || got != c.want {
			t.Errorf("%s: %+v, %v; want %+v", c.version, got, err, c.want)
		}
	}
}

func TestRenderApt(t *testing.T) {
	const secret = "p!ss#w0rd"
	r := host.Repository{
		Name: "kopano", URL: "https://download.kopano.io/supported/core:/final/Debian_8.0/", Suite: "./",
		User: "serial", Password: host.NewSecret(secret), Priority: 600,
	}
	jessie := apt{authLengths: true}
	buster := apt{signedBy: true, authParts: true, httpsBuilt: true}
	for _, c := range []struct {
		name string
		apt  apt
		repo host.Repository
		key  string
		old  string
		want []string // "PATH MODE CONTENT"
		dirs int
	}{
		{"Debian 8", jessie, r, "KEY", "machine other.example.org login a password b\n", []string{
			"/etc/apt/trusted.gpg.d/kopano.gpg 644 KEY",
			"/etc/apt/auth.conf 600 machine other.example.org login a password b\nmachine download.kopano.io login serial password " + secret + "\n",
			"/etc/apt/preferences.d/kopano.pref 644 Package: *\nPin: origin \"download.kopano.io\"\nPin-Priority: 600\n",
			"/etc/apt/sources.list.d/kopano.list 644 deb https://download.kopano.io/supported/core:/final/Debian_8.0/ ./\n",
		}, 0},
		{"Debian 10", buster, r, "KEY", "", []string{
			"/etc/apt/keyrings/kopano.gpg 644 KEY",
			"/etc/apt/auth.conf.d/kopano.conf 600 machine download.kopano.io login serial password " + secret + "\n",
			"/etc/apt/preferences.d/kopano.pref 644 Package: *\nPin: origin \"download.kopano.io\"\nPin-Priority: 600\n",
			"/etc/apt/sources.list.d/kopano.list 644 deb [signed-by=/etc/apt/keyrings/kopano.gpg] https://download.kopano.io/supported/core:/final/Debian_8.0/ ./\n",
		}, 1},
		{"local", buster, host.Repository{Name: "local", URL: "file:/srv/debs/", Suite: "./", Trusted: true}, "", "", []string{
			"/etc/apt/sources.list.d/local.list 644 deb [trusted=yes] file:/srv/debs/ ./\n",
		}, 0},
		{"components", jessie, host.Repository{Name: "site", URL: "http://deb.example.org/debian", Suite: "jessie", Components: []string{"main", "contrib"}}, "", "", []string{
			"/etc/apt/sources.list.d/site.list 644 deb http://deb.example.org/debian jessie main contrib\n",
		}, 0},
	} {
		var key []byte
		if c.key != "" {
			key = []byte(c.key)
		}
		s, err := renderApt(c.apt, c.repo, key, c.old)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var got []string
		for _, f := range s.Files {
			got = append(got, fmt.Sprintf("%s %o %s", f.Path, f.Mode, f.Content.Reveal()))
			if strings.Contains(f.Content.Reveal(), secret) && f.Mode&0o077 != 0 {
				t.Errorf("%s: the password stands in %s, which others can read", c.name, f.Path)
			}
		}
		if strings.Join(got, "\n") != strings.Join(c.want, "\n") || len(s.Dirs) != c.dirs {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
		if s.Source != s.Files[len(s.Files)-1].Path {
			t.Errorf("%s: the source is not written last", c.name)
		}
	}
}

func TestAuthLine(t *testing.T) {
	long := strings.Repeat("x", 64)
	for _, c := range []struct {
		apt            apt
		url, user, pwd string
		want           string // the line, or what the error holds
	}{
		{apt{authScheme: true}, "http://a.example.org:8080/x/", "u", "p", "machine http://a.example.org:8080 login u password p"},
		{apt{}, "http://a.example.org:8080/x/", "u", "p", "machine a.example.org:8080 login u password p"},
		{apt{authLengths: true}, "https://a.example.org:8443/x/", "u", "p", "machine a.example.org login u password p"},
		{apt{authScheme: true}, "https://a.example.org/x/", "u", "p%!#\"", "machine a.example.org login u password p%!#\""},
		{apt{}, "https://a.example.org/", "u", "two words", "blank"},
		{apt{}, "https://a.example.org/", "u\n", "p", "line break"},
		{apt{}, "https://a.example.org/", "u", "", "password is empty"},
		{apt{authLengths: true}, "https://a.example.org/", "u", long, "63 bytes"},
		{apt{}, "file:/srv/", "u", "p", "takes no user"},
	} {
		line, err := authLine(c.apt, host.Repository{URL: c.url, User: c.user, Password: host.NewSecret(c.pwd)})
		if err != nil {
			line = err.Error()
			if c.pwd != "" && c.pwd != "p" && strings.Contains(line, c.pwd) {
				t.Errorf("%s: the error shows the password: %s", c.url, line)
			}
		}
		if err == nil && line != c.want || err != nil && !strings.Contains(line, c.want) {
			t.Errorf("%s: %s; want %s", c.url, line, c.want)
		}
	}
}

func TestReplaceAuth(t *testing.T) {
	const line = "machine a login u password new"
	for _, c := range []struct{ old, want string }{
		{"", line + "\n"},
		{"machine a login u password old\n", line + "\n"},
		{"machine ab login u password x\n\n# note\nmachine a  login u password old", "machine ab login u password x\n\n# note\n" + line + "\n"},
		{"machine b\nlogin u\npassword p\n", "machine b\nlogin u\npassword p\n" + line + "\n"},
		{line + "\n", line + "\n"},
	} {
		if got := replaceAuth(c.old, line); got != c.want {
			t.Errorf("%q: got %q, want %q", c.old, got, c.want)
		}
	}
}

// TestAuthWithApt has the apt of this machine fetch from a server with a password, and looks at what
// apt sends.
func TestAuthWithApt(t *testing.T) {
	const aptGet = "/usr/bin/apt-get"
	if _, err := os.Stat(aptGet); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("needs apt-get: ", err)
		}
		t.Skip("needs apt-get")
	}
	output, err := exec.Command(aptGet, "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	a, err := aptOf(strings.Fields(string(output))[1])
	if err != nil || !a.authParts {
		t.Skip("needs apt 1.8 or later")
	}
	for _, password := range []string{"simple", "p!ss", "#first", "in#side", "%41%zz", `"quoted"`, `back\slash`, "user:pass@host/", "machine", "login", "ümläut"} {
		t.Run(password, func(t *testing.T) {
			var user, sent string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if u, p, ok := r.BasicAuth(); ok {
					user, sent = u, p
				}
				http.NotFound(w, r)
			}))
			defer server.Close()
			s, err := renderApt(a, host.Repository{Name: "test", URL: server.URL + "/core:/final/", Suite: "./", User: "serial", Password: host.NewSecret(password), Trusted: true}, nil, "")
			if err != nil {
				t.Fatal(err)
			}
			update(t, aptGet, s)
			if user != "serial" || sent != password {
				t.Errorf("apt sent user %q and password %q", user, sent)
			}
		})
	}
}

// update runs apt-get update on a configuration of its own. It fails, because the server has nothing.
func update(t *testing.T, aptGet string, s host.RepositorySetup) {
	t.Helper()
	root := t.TempDir()
	for _, f := range s.Files {
		name := filepath.Join(root, f.Path)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(f.Content.Reveal()), os.FileMode(f.Mode)); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"lists/partial", "cache/archives/partial", "etc/apt/apt.conf.d", "etc/apt/preferences.d"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	status := filepath.Join(root, "status")
	if err := os.WriteFile(status, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(aptGet, "update",
		"-o", "Dir::Etc="+root+"/etc/apt", "-o", "Dir::State="+root, "-o", "Dir::State::lists="+root+"/lists",
		"-o", "Dir::State::status="+status, "-o", "Dir::Cache="+root+"/cache", "-o", "APT::Sandbox::User=root",
		"-o", "Acquire::Retries=0", "-o", "Acquire::http::Proxy=DIRECT")
	cmd.Env = []string{"LC_ALL=C", "PATH=/usr/bin:/bin", "APT_CONFIG=/dev/null"}
	output, err := cmd.CombinedOutput()
	t.Logf("%s (%v)", output, err)
}
