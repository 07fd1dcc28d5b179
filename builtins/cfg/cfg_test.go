package cfg_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"zcp2kopano/builtins/cfg"
	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/host/sim"
	"zcp2kopano/runtime/journal"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
	"zcp2kopano/runtime/state"
	"zcp2kopano/runtime/story"
)

const fixture = `
-- host --
hostname: mail.example.org
-- /etc/os-release --
ID=debian
VERSION_ID="8"
-- group --
zarafa:x:115:
kopano:x:116:
-- /etc/zarafa/server.cfg 0640 root:zarafa --
# the server
mysql_password = s3cret#of-alice
enable_hosted_zarafa = true
server_bind = 192.0.2.1
license_socket = /var/run/zarafad/licensed.sock
threads = 4
threads = 6
!include local.cfg
-- /etc/zarafa/local.cfg --
user_plugin = unix
-- /etc/zarafa/latin1.cfg --
a = 1
  # b = 2
`

// play runs the body of a step on the fixture and returns the host, what the runbook printed, and
// the verdict.
func play(t *testing.T, body string) (h *sim.Host, printed string, v story.Verdict) {
	t.Helper()
	f, err := sim.ReadFixture([]byte(fixture))
	if err != nil {
		t.Fatal(err)
	}
	if h, err = f.Host(sim.Options{}); err != nil {
		t.Fatal(err)
	}
	source := "def step():\n    \"\"\"Play.\"\"\"\n"
	for line := range strings.Lines(strings.TrimSpace(body) + "\n") {
		source += "    " + line
	}
	source += "\nrunbook = define(steps = [step], allow = policy(write = [\"/etc/zarafa\", \"/etc/kopano\"]))\n"
	file := filepath.Join(t.TempDir(), "site.star")
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	rb, err := runbook.Load(context.Background(), script.LoadOptions{Name: file, Stock: fstest.MapFS{}, Builtins: cfg.Builtins()})
	if err != nil {
		t.Fatalf("%v\n%s", err, source)
	}
	var out strings.Builder
	log := journal.Memory("test", time.Now)
	v = engine.Execute(context.Background(), engine.Config{
		Mode: "run", ID: "r1", Runbook: rb, Host: h, HostLabel: "test", Dir: "/var/lib/zcp2kopano/runs/r1",
		Journal: log, Keeper: state.Memory(), Version: "test", Stop: make(chan struct{}),
		Emit: func(e story.Event) {
			if e.Text != "" {
				out.WriteString(e.Text + "\n")
			}
			if b, _ := json.Marshal(e); bytes.Contains(b, []byte("s3cret")) {
				t.Errorf("a secret is told: %s", b)
			}
		},
	})
	if bytes.Contains(log.Bytes(), []byte("s3cret")) {
		t.Error("a secret stands in the journal")
	}
	return h, out.String(), v
}

func text(t *testing.T, h *sim.Host, name string) string {
	t.Helper()
	f, err := h.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b bytes.Buffer
	_, _ = b.ReadFrom(f)
	return b.String()
}

func TestExamples(t *testing.T) {
	for _, b := range cfg.Builtins() {
		t.Run(b.Name, func(t *testing.T) {
			if b.Doc == "" || b.Result == "" || b.Example == "" {
				t.Error("doc, result or example is missing")
			}
			for _, p := range b.Params {
				if p.Doc == "" {
					t.Errorf("%s has no doc", p.Name)
				}
			}
			if _, printed, v := play(t, b.Example); v.Code != 0 {
				t.Errorf("%+v\n%s", v, printed)
			}
		})
	}
}

func TestRead(t *testing.T) {
	_, printed, v := play(t, `
s = cfg.read("/etc/zarafa/server.cfg")
print(s)
print(cfg.read("/etc/zarafa/server.cfg", follow_includes = False).get("user_plugin", "none"))
print(cfg.get("/etc/zarafa/server.cfg", "threads"), cfg.get("/etc/zarafa/server.cfg", "x", default = 7), cfg.get("/etc/zarafa/server.cfg", "x"))
print([i.path for i in cfg.includes("/etc/zarafa/server.cfg")])
print([p.message for p in cfg.problems("/etc/zarafa/server.cfg")])
print([p.message for p in cfg.problems("/etc/zarafa/latin1.cfg")], [p.text for p in cfg.problems("/etc/zarafa")])
print(cfg.default("server.cfg", "softdelete_lifetime", "7.2.6"), cfg.default("server.cfg", "softdelete_lifetime", "8.7.20-0+1"), cfg.default("server.cfg", "nope", "8.7.20"))
`)
	if v.Code != 0 {
		t.Fatalf("%+v\n%s", v, printed)
	}
	for _, want := range []string{
		`{"mysql_password": ***, "enable_hosted_zarafa": "true", "server_bind": "192.0.2.1", "license_socket": "/var/run/zarafad/licensed.sock", "threads": "6", "user_plugin": "unix"}`,
		"none", "6 7 None", `["/etc/zarafa/local.cfg"]`,
		`["/etc/zarafa/server.cfg:7: threads is set twice, first in line 6; the last one counts: take the other out"]`,
		`not a comment`, "is a directory", "0 30 None",
	} {
		if !strings.Contains(printed, want) {
			t.Errorf("no %s in\n%s", want, printed)
		}
	}
}

func TestChanges(t *testing.T) {
	h, printed, v := play(t, `
cfg.set("/etc/zarafa/server.cfg", {"threads": 9, "user_plugin": "db", "user_safe_mode": True, "license_socket": None}, reason = "gone")
cfg.rename("/etc/zarafa/server.cfg", "enable_hosted_zarafa", "enable_hosted_kopano")
cfg.drop("/etc/zarafa/server.cfg", ["server_bind", "none"], "by hand")
cfg.set("/etc/zarafa/local.cfg", {"mysql_password": cfg.get("/etc/zarafa/server.cfg", "mysql_password")})
`)
	if v.Code != 0 || v.Changes != 4 {
		t.Fatalf("%+v\n%s", v, printed)
	}
	want := "# the server\nmysql_password = s3cret#of-alice\nenable_hosted_kopano = true\n# taken out: by hand\n#server_bind = 192.0.2.1\n" +
		"# taken out: gone\n#license_socket = /var/run/zarafad/licensed.sock\nthreads = 4\nthreads = 9\n!include local.cfg\nuser_plugin = db\nuser_safe_mode = yes\n"
	// user_plugin is set in the include, so it is set again below it
	got := text(t, h, "/etc/zarafa/server.cfg")
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if got := text(t, h, "/etc/zarafa/local.cfg"); got != "user_plugin = unix\nmysql_password = s3cret#of-alice\n" {
		t.Errorf("%s", got)
	}
	if st, _ := h.Lstat("/etc/zarafa/server.cfg"); st.Perm() != 0o640 || st.GID != 115 {
		t.Errorf("mode %v, group %d", st.Perm(), st.GID)
	}
}

func TestTakeoverBuiltin(t *testing.T) {
	const source = `
taken = cfg.takeover(approach = "copy", from_version = "7.2.6", to_version = "8.7.20", overrides = {"server.cfg": {"user_safe_mode": True}})
print([f.path for f in taken.files], [o.target for o in taken.others])
for n in taken.notes:
    print(n.message)
cfg.takeover(approach = "copy", from_version = "7.2.6", to_version = "8.7.20", overrides = {"server.cfg": {"user_safe_mode": True}})
`
	h, printed, v := play(t, source)
	if v.Code != 0 || v.Changes != 3 { // the directory and two files; the second call changes nothing
		t.Fatalf("%+v\n%s", v, printed)
	}
	for _, want := range []string{
		`["/etc/kopano/local.cfg", "/etc/kopano/server.cfg"] ["/etc/kopano/latin1.cfg"]`,
		"server_listen = 192.0.2.1:236", "mysql_host = localhost", "user_safe_mode = yes (asked for by the runbook)",
	} {
		if !strings.Contains(printed, want) {
			t.Errorf("no %s in\n%s", want, printed)
		}
	}
	st, err := h.Lstat("/etc/kopano/server.cfg")
	if err != nil || st.Perm() != 0o640 || st.UID != 0 || st.GID != 116 {
		t.Errorf("%v %v %d:%d", err, st.Perm(), st.UID, st.GID)
	}
	if st, _ := h.Lstat("/etc/kopano"); st.Perm() != 0o750 {
		t.Errorf("/etc/kopano has mode %v", st.Perm())
	}
}

func TestBuiltinErrors(t *testing.T) {
	for source, want := range map[string]string{
		`cfg.read("/etc/zarafa")`:                                                                        "is a directory",
		`cfg.read("/etc/none.cfg")`:                                                                      "does not exist",
		`cfg.set("/etc/zarafa/server.cfg", {"threads": [1]})`:                                            "got list, want a string",
		`cfg.set("/etc/zarafa/server.cfg", {"threads": "a\nb"})`:                                         "one line",
		`cfg.set("/etc/zarafa/server.cfg", {"user_plugin": None})`:                                       "is set in /etc/zarafa/local.cfg as well",
		`cfg.set("/etc/zarafa/server.cfg", ["threads"])`:                                                 "want a dict",
		`cfg.default("sever.cfg", "x", "8.7.0")`:                                                         "not the name of a configuration file",
		`cfg.takeover(from_version = "8.0.0", to_version = "8.7.0")`:                                     "want a release of ZCP 7",
		`cfg.takeover(from_version = "7.2.6", to_version = "new")`:                                       "want a release like 8.7.20",
		`cfg.takeover(from_version = "7.2.6", to_version = "8.7.0", approach = "c")`:                     "want one of merge, copy",
		`cfg.takeover(from_version = "7.2.6", to_version = "8.7.0", overrides = {"x.cfg": {}})`:          "x.cfg is not a configuration file",
		`cfg.takeover(from_version = "7.2.6", to_version = "8.7.0", overrides = {"server.cfg": "x"})`:    "want a dict of directive to value",
		`cfg.takeover("/none", from_version = "7.2.6", to_version = "8.7.0")`:                            "/none does not exist",
		`cfg.takeover(from_version = "7.2.6", to_version = "8.7.0", overrides = {"server.cfg":{"x":1}})`: "does not know x",
	} {
		_, printed, v := play(t, source)
		if v.Code != 1 || !strings.Contains(v.Text+printed, want) {
			t.Errorf("%s: %+v\n%s", source, v, printed)
		}
		if v.Changes != 0 {
			t.Errorf("%s changed something", source)
		}
	}
}
