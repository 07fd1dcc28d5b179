package runtime_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/journal"
)

const plannedScript = `
def one(key):
    """Write what is there, and a secret."""
    text = t.read("/etc/motd")
    t.write("/srv/a/one", text)
    t.write("/srv/a/key", key)

runbook = define(steps = [one], params = [param("key", secret = True)], allow = policy(write = ["/srv/a"]))
`

func TestPlanHoldsRun(t *testing.T) {
	secrets := map[string]host.Secret{"key": host.NewSecret("first-secret")}
	rehearsal := newScene(t)
	rehearsal.mkdir("/srv/a")
	var plan *runtime.SavedPlan
	rehearsal.run(plannedScript, func(c *runtime.Config) { c.Secrets = secrets })
	var err error
	rehearsal.run(plannedScript, func(c *runtime.Config) {
		c.Secrets = secrets
		plan, err = runtime.NewPlan(*c, rehearsal.records(), "salt")
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		prepare func(*scene)
		change  func(*runtime.Config)
		script  string
		code    int
		want    string
	}{
		"same":         {code: 0, want: "done"},
		"other answer": {prepare: func(s *scene) { s.edit("/etc/motd", "changed") }, code: 3, want: "t.read answers otherwise"},
		"other secret": {change: func(c *runtime.Config) {
			c.Secrets = map[string]host.Secret{"key": host.NewSecret("second-secret")}
		}, code: 3, want: "secret key is another one"},
		"other version": {change: func(c *runtime.Config) { c.Version = "next" }, code: 3, want: "made by version test"},
		"other runbook": {script: strings.Replace(plannedScript, "/srv/a/one", "/srv/a/eins", 1), code: 3, want: "the runbook has changed"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.mkdir("/srv/a")
			if tc.prepare != nil {
				tc.prepare(s)
			}
			script := plannedScript
			if tc.script != "" {
				script = tc.script
			}
			s.log = journal.Memory("test", time.Now)
			v := s.run(script, func(c *runtime.Config) {
				c.Secrets, c.Plan = secrets, plan
				if tc.change != nil {
					tc.change(c)
				}
			})
			if v.Code != tc.code || !strings.Contains(v.Text, tc.want) {
				t.Errorf("verdict %+v, want code %d and %q", v, tc.code, tc.want)
			}
			if tc.code != 0 && !strings.Contains(s.text("/srv/a/one"), "no such file") {
				t.Error("something was changed before the difference was told")
			}
		})
	}
	if strings.Contains(fmt.Sprintf("%+v", plan), "first-secret") {
		t.Error("the plan tells the secret")
	}
}

func (s *scene) edit(path, text string) {
	s.t.Helper()
	f, err := s.host.OpenWrite(path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(0); err != nil {
		s.t.Fatal(err)
	}
	if _, err := f.Write([]byte(text)); err != nil {
		s.t.Fatal(err)
	}
}
