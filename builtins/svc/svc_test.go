package svc_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"zcp2kopano/builtins/internal/builtintest"
	"zcp2kopano/builtins/svc"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/sim"
)

const fixture = `
-- host --
hostname: example.org
init: systemd
manager: apt 1.0.9.8.4
-- /etc/os-release --
ID=debian
-- /lib/systemd/system/zarafa-server.service --
[Service]
ExecStart=/usr/sbin/zarafa-server
[Install]
WantedBy=multi-user.target
-- /lib/systemd/system/zarafa-ical.service --
[Service]
ExecStart=/usr/sbin/zarafa-ical
[Install]
WantedBy=multi-user.target
-- tree --
f0755 root:root 2M - /usr/sbin/zarafa-server
f0755 root:root 2M - /usr/sbin/zarafa-ical
d0755 root:root - - /usr/sbin
-- services --
zarafa-server active enabled pid=1201
zarafa-ical
-- processes --
1201 root /usr/sbin/zarafa-server
`

func TestStates(t *testing.T) {
	s := builtintest.New(t, fixture, svc.Builtins())
	got := s.Succeed(`
print([(x.name, x.active, x.enabled) for x in svc.list("zarafa-*")])
print(svc.state("nothing").exists, svc.state("zarafa-server").pid)
print([(p.pid, p.name) for p in svc.processes("zarafa-*")], svc.processes(user = "nobody"))
svc.stop("zarafa-server", patience = 5)
svc.stop("nothing")
svc.disable("zarafa-server")
svc.start("zarafa-ical")
svc.enable("zarafa-ical.service")
print([(x.name, x.active, x.enabled) for x in svc.list("zarafa-*")])
svc.mask("zarafa-server")
print(svc.state("zarafa-server").masked)
svc.unmask("zarafa-server")
svc.restart("zarafa-server")
print(svc.state("zarafa-server").active)
`)
	want := []string{
		`[("zarafa-ical", False, False), ("zarafa-server", True, True)]`,
		`False 1201`,
		`[(1201, "zarafa-server")] []`,
		`[("zarafa-ical", True, True), ("zarafa-server", False, False)]`,
		`True`, `True`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if again := s.Run(`svc.start("zarafa-ical")`); again.Verdict.Code != 0 || again.Verdict.Changes != 0 {
		t.Errorf("a second time: %+v", again.Verdict)
	}
}

// shut is a host on which this process may connect to no service.
type shut struct{ *sim.Host }

func (shut) Ask(_ context.Context, q host.Question) (string, error) {
	return "", fmt.Errorf("%v: %w: permission denied", q, host.ErrUnasked)
}

// TestAskedForSure: that a question could not be put is no problem of the service, where only those are asked for.
func TestAskedForSure(t *testing.T) {
	s := builtintest.New(t, fixture, svc.Builtins())
	s.Around = func(h *sim.Host) host.Host { return shut{h} }
	got := s.Succeed(`
print(svc.ask("zarafa-server", ["http+unix:/run/priority"]))
print(svc.ask("zarafa-server", ["http+unix:/run/priority"], sure = True))
print(svc.ask("zarafa-ical", [], sure = True))
`)
	want := []string{`["http on /run/priority: the question could not be put: permission denied"]`, "[]", `["it does not run"]`}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestNoReturn(t *testing.T) {
	s := builtintest.New(t, fixture, svc.Builtins())
	r := s.Run(`svc.start("zarafa-ical", no_return = "it upgrades the database")`)
	if r.Verdict.Code != 0 || !strings.Contains(r.Verdict.NoReturn, "it upgrades the database") {
		t.Errorf("%+v", r.Verdict)
	}
}

func TestErrors(t *testing.T) {
	s := builtintest.New(t, fixture, svc.Builtins())
	s.Fail(`svc.start("nothing")`, "no service nothing")
	s.Fail(`svc.stop("zarafa-*")`, "not the name of a service", "svc.list")
	s.Fail(`svc.stop("-H")`, "not the name of a service")
	s.Fail(`svc.stop("zarafa-server", patience = 0)`, "out of range")
	s.Fail(`svc.list("[")`, "pattern")
	s.Fail(`svc.processes("[")`, "pattern")
}

func TestHoldStarts(t *testing.T) {
	const policy = "/usr/sbin/policy-rc.d"
	s := builtintest.New(t, fixture, svc.Builtins())
	if r := s.Run("svc.hold_starts()"); r.Verdict.Code != 0 || r.Verdict.Changes != 1 {
		t.Fatalf("%+v", r.Verdict)
	}
	if st, err := s.Host.Lstat(policy); err != nil || st.Perm() != 0o755 || !strings.HasSuffix(s.Text(policy), "\nexit 101\n") {
		t.Errorf("mode %v, content %q (%v)", st.Perm(), s.Text(policy), err)
	}
	if r := s.Run("svc.hold_starts()"); r.Verdict.Code != 0 || r.Verdict.Changes != 0 {
		t.Errorf("a second time: %+v", r.Verdict)
	}
	s.Succeed("svc.release_starts()\nsvc.release_starts()")
	if _, err := s.Host.Lstat(policy); err == nil {
		t.Error("policy-rc.d is still there")
	}
}

func TestHoldStartsKeepsTheHostsOwn(t *testing.T) {
	const own = "#!/bin/sh\nexit 104\n"
	s := builtintest.New(t, fixture+"-- /usr/sbin/policy-rc.d 0755 --\n"+own, svc.Builtins())
	s.Succeed("svc.hold_starts()\nsvc.hold_starts()")
	if got := s.Text("/usr/sbin/policy-rc.d.zcp2kopano"); got != own {
		t.Errorf("kept %q", got)
	}
	s.Succeed("svc.release_starts()")
	if got := s.Text("/usr/sbin/policy-rc.d"); got != own {
		t.Errorf("restored %q", got)
	}
}

func TestHoldStartsRefusesToGuess(t *testing.T) {
	s := builtintest.New(t, fixture+"-- /usr/sbin/policy-rc.d 0755 --\nexit 0\n-- /usr/sbin/policy-rc.d.zcp2kopano --\nexit 1\n", svc.Builtins())
	s.Fail("svc.hold_starts()", "an earlier run", "remove the one")
	if r := s.Run("svc.release_starts()"); r.Verdict.Changes != 0 {
		t.Errorf("%+v", r.Verdict)
	}
}

func TestHoldStartsElsewhere(t *testing.T) {
	s := builtintest.New(t, strings.Replace(fixture, "apt 1.0.9.8.4", "yum 3.4.3", 1), svc.Builtins())
	if r := s.Run("svc.hold_starts()\nsvc.release_starts()"); r.Verdict.Code != 0 || r.Verdict.Changes != 0 {
		t.Errorf("%+v", r.Verdict)
	}
}
