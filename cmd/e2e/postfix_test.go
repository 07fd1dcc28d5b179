package e2e

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"zcp2kopano/runtime/host/hosttest/parts"
)

// What a main.cf may look like: continued lines, comments among them, a name that is set twice, nothing after the sign.
const mainCF = `# a comment
myhostname = mail.example.org
   # a comment that continues nothing

virtual_transport =
  lmtp:127.0.0.1:2003
smtpd_client_restrictions = permit_mynetworks,
# why
	reject_unauth_pipelining,

   # and why

	reject
relayhost =
mynetworks=127.0.0.0/8   [::1]/128
mailbox_command = /usr/bin/zarafa-dagent "$USER"
relayhost = [relay.example.org]:25
mydestination = $myhostname, ${mydomain}, # localhost
myorigin = $mydomain`

const postfixBook = `"""Postfix in order."""

CF = "/etc/postfix/main.cf"

def tell():
    """Tell the settings."""
    for name, value in sorted(postfix.settings(CF).items()):
        print("setting %s = %s" % (name, value))

def change():
    """Change some."""
    postfix.set(CF, {
        "virtual_transport": "lmtp:[::1]:2003",
        "smtpd_client_restrictions": "reject",
        "relayhost": "",
        "mailbox_command": None,
        "soft_bounce": "yes",
        "myorigin": "$mydomain",
    })
    run(["/usr/sbin/postmap", "/etc/postfix/virtual"], changes = ["/etc/postfix/virtual.db"])

runbook = define(steps = [tell, change], allow = policy(write = ["/etc/postfix"], programs = ["/usr/sbin/postmap"]))
`

// TestRealPostfix holds what this program makes of main.cf to what Debian's Postfix makes of it, and has the program
// postmap build a map that a rollback takes away.
func TestRealPostfix(t *testing.T) {
	t.Parallel()
	r := NewRoot(t, func(o *options) { o.base = rpmBase }) // which has the libraries
	if out, err := exec.Command("cp", "-a", parts.Unpacked(t, "postfix")+"/usr", r.Dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	r.Must("useradd", "-r", "postfix")
	r.Must("groupadd", "-r", "postdrop")
	r.WriteFile("/etc/postfix/main.cf", mainCF, 0o644)
	r.WriteFile("/etc/postfix/master.cf", "", 0o644)
	r.WriteFile("/etc/postfix/virtual", "alice@example.org alice\n", 0o644)
	r.WriteFile("/root/postfix.star", postfixBook, 0o644)

	before := postconf(r)
	res := r.Migrate(Migration{Runbook: "/root/postfix.star"})
	if res.Code != 0 {
		t.Fatalf("exit status %d\n%s", res.Code, res.Output)
	}
	if n := strings.Count(res.Output, "setting "); n != len(before) {
		t.Errorf("%d settings, and Postfix reads %d: %v\n%s", n, len(before), before, res.Output)
	}
	for name, value := range before {
		if want := "setting " + strings.TrimSpace(name+" = "+value); !strings.Contains(squeezed(res.Output), squeezed(want)) {
			t.Errorf("no %q in what the runbook read:\n%s", want, res.Output)
		}
	}
	after := postconf(r)
	for name, value := range map[string]string{"virtual_transport": "lmtp:[::1]:2003", "smtpd_client_restrictions": "reject", "relayhost": "", "soft_bounce": "yes"} {
		if got, set := after[name]; !set || got != value {
			t.Errorf("%s = %q (%v), want %q", name, got, set, value)
		}
		before[name], after[name] = "", ""
	}
	if _, set := after["mailbox_command"]; set {
		t.Error("mailbox_command is still set")
	}
	delete(before, "mailbox_command")
	if fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("others have changed:\n%v\n%v", before, after)
	}
	if got := r.Must("/usr/sbin/postmap", "-q", "alice@example.org", "/etc/postfix/virtual"); strings.TrimSpace(got) != "alice" {
		t.Errorf("the map says %q", got)
	}
	if res := r.Zcp2kopano("rollback", "--yes"); res.Code != 0 {
		t.Fatalf("rollback: exit status %d\n%s", res.Code, res.Output)
	}
	if text := r.ReadFile("/etc/postfix/main.cf"); text != mainCF || r.exists("/etc/postfix/virtual.db") {
		t.Errorf("after the rollback (map: %v):\n%s", r.exists("/etc/postfix/virtual.db"), text)
	}
}

// postconf is what Postfix reads in main.cf. It shows each value with single blanks.
func postconf(r *Root) map[string]string {
	found := map[string]string{}
	for line := range strings.Lines(r.Must("/usr/sbin/postconf", "-n")) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " =")
		if ok && !strings.Contains(line, "warning: ") {
			found[name] = strings.TrimSpace(value)
		}
	}
	return found
}
