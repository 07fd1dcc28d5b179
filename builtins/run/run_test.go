package run_test

import (
	"strings"
	"testing"

	"zcp2kopano/builtins/internal/builtintest"
	"zcp2kopano/builtins/run"
	"zcp2kopano/runtime/exit"
)

const fixture = `
-- host --
hostname: example.org
-- /etc/os-release --
ID=debian
-- /etc/postfix/virtual --
alice@example.org alice
-- tree --
f0755 root:root 1M - /usr/sbin/postmap
f0755 root:root 1M - /usr/sbin/postfix
f0755 root:root 1M - /usr/sbin/halt
`

func scene(t *testing.T) *builtintest.Scene { return builtintest.New(t, fixture, run.Builtins()) }

func TestRun(t *testing.T) {
	s := scene(t)
	r := s.Run(`
said = run(["/usr/sbin/postmap", "/etc/postfix/virtual"], changes = ["/etc/postfix/virtual.db"])
print("%r" % said.output)
run(["/usr/sbin/postfix", "set gid"], undo = ["/usr/sbin/postfix", "reload"])
`)
	if r.Verdict.Code != exit.Done || strings.Join(r.Changed, "; ") != `ran /usr/sbin/postmap /etc/postfix/virtual; ran /usr/sbin/postfix "set gid"` {
		t.Errorf("%q, %+v", r.Changed, r.Verdict)
	}
	if r.Verdict.NoReturn != "" {
		t.Errorf("what can be undone counts as a point of no return: %s", r.Verdict.NoReturn)
	}
	var whats []string
	for _, u := range s.Host.Unpredicted() {
		whats = append(whats, u.What+"|"+u.Path+"|"+u.Check)
	}
	const check = "|the run checks its exit status, and keeps what it says"
	want := []string{
		"what /usr/sbin/postmap /etc/postfix/virtual does|" + check,
		"/etc/postfix/virtual.db, which /usr/sbin/postmap is said to change|/etc/postfix/virtual.db" + check,
		"what /usr/sbin/postfix set gid does|" + check,
	}
	if strings.Join(whats, "\n") != strings.Join(want, "\n") {
		t.Errorf("not simulated:\n%s", strings.Join(whats, "\n"))
	}
}

func TestRunWithoutReturn(t *testing.T) {
	r := scene(t).Run(`run(["/usr/sbin/postfix", "flush"], no_undo = "mail that has gone out is gone")`)
	if r.Verdict.Code != exit.Done || !strings.Contains(r.Verdict.NoReturn, "mail that has gone out is gone") {
		t.Errorf("%+v", r.Verdict)
	}
}

func TestRunRefuses(t *testing.T) {
	s := scene(t)
	s.Fail(`run(["/usr/sbin/halt"], no_undo = "x")`, "does not allow it to run program /usr/sbin/halt", "/usr/sbin/postmap")
	s.Fail(`run(["/usr/sbin/postfix"], undo = ["/usr/sbin/halt"])`, "does not allow it to run program /usr/sbin/halt")
	s.Fail(`run(["/usr/sbin/../sbin/postfix"], no_undo = "x")`, "does not allow it to run program")
	s.Fail(`run(["/usr/sbin/postfix"], changes = ["/root/x"])`, "does not allow it to change path /root/x")
	s.Fail(`run(["/usr/sbin/postfix"])`, "say how a rollback undoes it")
	s.Fail(`run(["/usr/sbin/postfix"], undo = ["/usr/sbin/postfix"], no_undo = "x")`, "give one of them")
	s.Fail(`run([], no_undo = "x")`, "cannot be empty")
	s.Fail(`run("/usr/sbin/postfix reload", no_undo = "x")`, "list of strings")
	s.Fail(`run(["/usr/sbin/postfix"], no_undo = "x", timeout = 0)`, "timeout")
	s.Fail(`run(["/usr/sbin/postfix", "a\x00b"], no_undo = "x")`, "NUL")
}
