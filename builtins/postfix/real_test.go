package postfix

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime/host/hosttest/chance"
	"zcp2kopano/runtime/host/hosttest/parts"
)

// postconf is Debian's Postfix, as far as it reads main.cf.
type postconf struct{ dir, config string }

func newPostconf(t *testing.T) postconf {
	p := postconf{parts.Unpacked(t, "postfix"), t.TempDir()}
	if err := os.WriteFile(filepath.Join(p.config, "master.cf"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return p
}

// reads is what it reads in a main.cf, each value with single blanks, as it shows them.
func (p postconf) reads(t *testing.T, text string) map[string]string {
	t.Helper()
	file, old := filepath.Join(p.config, "main.cf"), time.Now().Add(-time.Hour)
	// Of a file that was just written Postfix takes it that somebody writes it still, and reads it again and again.
	if err := errors.Join(os.WriteFile(file, []byte(text), 0o644), os.Chtimes(file, old, old)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(p.dir+"/usr/sbin/postconf", "-c", p.config, "-n")
	cmd.Env = []string{"LC_ALL=C", "LD_LIBRARY_PATH=" + p.dir + "/usr/lib/postfix"}
	var said bytes.Buffer
	cmd.Stderr = &said // warnings
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("postconf: %v: %s\n%s", err, &said, text)
	}
	found := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " =")
		found[name] = strings.TrimSpace(value)
	}
	delete(found, "config_directory") // the one that was given
	return found
}

// ours is what this package reads, shown as postconf does.
func ours(text string) map[string]string {
	found := map[string]string{}
	for _, e := range entries(text) {
		if e.name != "" {
			found[e.name] = strings.Join(strings.Fields(e.value), " ")
		}
	}
	return found
}

func agree(t *testing.T, what, text string, theirs map[string]string) {
	t.Helper()
	if got := ours(text); fmt.Sprint(got) != fmt.Sprint(theirs) {
		t.Errorf("%s:\n%s\nread as %q\nPostfix: %q", what, text, got, theirs)
	}
}

// TestAgreesWithPostfix holds what is read in main.cf, and what becomes of it by a change, to what Debian's Postfix
// reads: as it is written by hand, and made up of all that its syntax has.
func TestAgreesWithPostfix(t *testing.T) {
	p := newPostconf(t)
	agree(t, "by hand", byHand, p.reads(t, byHand))
	rand := chance.Rand(t, 1)
	for range 40 {
		text := madeUp(rand)
		before := p.reads(t, text)
		agree(t, "made up", text, before)
		name, value := names[rand.IntN(len(names))], values[rand.IntN(len(values))]
		changed := with(text, name, value)
		before[name] = strings.Join(strings.Fields(value), " ")
		if after := p.reads(t, changed); fmt.Sprint(after) != fmt.Sprint(before) {
			t.Errorf("with %s = %q:\n%s\nPostfix reads %q, want %q", name, value, changed, after, before)
		}
		gone := without(changed, name)
		delete(before, name)
		if after := p.reads(t, gone); fmt.Sprint(after) != fmt.Sprint(before) {
			t.Errorf("without %s:\n%s\nPostfix reads %q, want %q", name, gone, after, before)
		}
	}
}

const byHand = `# a comment
   # a comment that continues nothing
myhostname = mail.example.org

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
header_checks = regexp:{{/a = b/ IGNORE}}
myorigin = $mydomain`

var (
	names  = []string{"myhostname", "mydestination", "relayhost", "virtual_transport", "mailbox_command", "soft_bounce", "mynetworks"}
	values = []string{"", "x", "lmtp:[::1]:2003", "a,  b\tc", "$mydomain # no comment", "\"quoted = text\"", "${a?b}", "a \\"}
)

// madeUp is a main.cf of settings in every form, continued or not, with comments and empty lines anywhere.
func madeUp(rand *rand.Rand) string {
	var b strings.Builder
	pick := func(list ...string) string { return list[rand.IntN(len(list))] }
	for range 1 + rand.IntN(12) {
		fmt.Fprintf(&b, "%s%s%s", pick(names...), pick("=", " = ", "\t=", " =  "), pick(values...))
		for range rand.IntN(3) {
			b.WriteString(pick("\n", " \n", "\n# comment\n", "\n   # comment\n", "\n\n", "\n \t\n"))
			fmt.Fprintf(&b, "%s%s", pick(" ", "\t", "   "), pick("more", "more = 1", "more # more", "more,\t more"))
		}
		b.WriteString(pick("\n", "\n\n", " \n", "\n#x\n", "\n # x\n"))
	}
	return b.String()
}
