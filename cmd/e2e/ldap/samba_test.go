package ldap

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/hosttest/chance"
	"zcp2kopano/runtime/host/live"
	"zcp2kopano/runtime/host/sim"
)

// samba starts an Active Directory domain controller of its own, LDAP alone, on a socket: it has a network of its own,
// so that its ports are nobody else's.
func samba(t *testing.T) (host.Host, host.DirectoryConn) {
	t.Helper()
	if _, err := os.Stat("/usr/sbin/samba"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("samba is not installed")
		}
		t.Skip("samba is not installed")
	}
	dir, err := os.MkdirTemp("/tmp", "samba-") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	environment := []string{"HOME=" + dir, "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	provision := exec.Command("/usr/bin/samba-tool", "domain", "provision", "--realm=EXAMPLE.ORG", "--domain=EXAMPLE", "--server-role=dc", "--dns-backend=NONE",
		"--adminpass=Passw0rd!x", "--targetdir="+dir, "--host-name=dc1", "--host-ip=127.0.0.1")
	provision.Env = environment
	if out, err := provision.CombinedOutput(); err != nil {
		t.Fatalf("provision: %v: %s", err, out)
	}
	config := filepath.Join(dir, "etc/smb.conf")
	text := fmt.Sprintf(`[global]
realm = EXAMPLE.ORG
workgroup = EXAMPLE
netbios name = DC1
server role = active directory domain controller
server services = ldap
dcerpc endpoint servers = none
interfaces = lo
bind interfaces only = Yes
private dir = %[1]s/private
state directory = %[1]s/state
cache directory = %[1]s/cache
lock directory = %[1]s
pid directory = %[1]s
ncalrpc dir = %[1]s/ncalrpc
binddns dir = %[1]s/bind-dns
ldap server require strong auth = no
dsdb:schema update allowed = true
tls enabled = no
log file = %[1]s/log
`, dir)
	for _, name := range []string{"cache", "ncalrpc"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command("/usr/sbin/samba", "-s", config, "-F", "-M", "single", "--no-process-group")
	cmd.Env, cmd.Stdout, cmd.Stderr = environment, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	t.Cleanup(func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); <-ended })
	h, err := live.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	socket := strings.ReplaceAll(filepath.Join(dir, "private/ldapi"), "/", "%2F")
	conn := host.DirectoryConn{URLs: []string{"ldapi://" + socket}, BindDN: "Administrator@EXAMPLE.ORG", Password: host.NewSecret("Passw0rd!x")}
	for { // as long as it lives, it may take its time
		session, err := h.OpenDirectory(t.Context(), conn)
		if err == nil {
			session.Close()
			return h, conn
		}
		select {
		case <-ended:
			said, _ := os.ReadFile(log.Name())
			t.Fatalf("samba ended: %s", said)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// editor changes a server's entries, and fails with what it refuses.
type editor struct {
	t *testing.T
	host.Directory
}

func edit(t *testing.T, h host.Host, conn host.DirectoryConn) editor {
	t.Helper()
	session, err := h.OpenDirectory(context.Background(), conn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { session.Close() })
	return editor{t, session}
}

func (e editor) change(changes ...host.EntryChange) {
	e.t.Helper()
	for i, err := range e.Change(context.Background(), changes) {
		if err != nil {
			e.t.Fatalf("%s: %v", changes[i].DN, err)
		}
	}
}

func addition(dn string, lines ...string) host.EntryChange {
	c := host.EntryChange{DN: dn, Add: map[string][]string{}}
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ": ")
		c.Add[name] = append(c.Add[name], value)
	}
	return c
}

const adSchema = "CN=Schema,CN=Configuration,DC=example,DC=org"

// adSchemas gives a domain both schemas. The class of users is attached to theirs, that of contacts is not.
func adSchemas(e editor) {
	e.t.Helper()
	for n, prefix := range []string{"zarafa", "kopano"} {
		oid := fmt.Sprintf("1.3.6.1.4.1.4203.666.%d", 90+n)
		number := 0
		define := func(name string, lines ...string) {
			e.t.Helper()
			number++
			e.change(addition("CN="+prefix+name+","+adSchema, append([]string{"cn: " + prefix + name, "lDAPDisplayName: " + prefix + name}, lines...)...))
		}
		attribute := func(names, single string, syntax ...string) {
			e.t.Helper()
			for name := range strings.FieldsSeq(names) {
				define(name, append([]string{"objectClass: attributeSchema", fmt.Sprintf("attributeID: %s.1.%d", oid, number), "isSingleValued: " + single}, syntax...)...)
			}
		}
		attribute("Account Hidden QuotaHard", "TRUE", "attributeSyntax: 2.5.5.9", "oMSyntax: 2")
		attribute("Filter Base FilePath", "TRUE", "attributeSyntax: 2.5.5.12", "oMSyntax: 64")
		attribute("Aliases", "FALSE", "attributeSyntax: 2.5.5.12", "oMSyntax: 64")
		refresh := host.EntryChange{Values: []host.ValueChange{{Attribute: "schemaUpdateNow", Values: []string{"1"}}}}
		e.change(refresh)
		class := func(name, category string, may string, more ...string) {
			e.t.Helper()
			lines := []string{"objectClass: classSchema", fmt.Sprintf("governsID: %s.2.%d", oid, number), "objectClassCategory: " + category, "subClassOf: top"}
			for attribute := range strings.FieldsSeq(may) {
				lines = append(lines, "mayContain: "+prefix+attribute)
			}
			define(name, append(lines, more...)...)
		}
		const all = "Account Hidden QuotaHard Aliases"
		for _, name := range []string{"User", "Contact", "Group", "Company"} {
			class(name, "3", all)
		}
		class("Server", "3", "Account FilePath")
		possible := []string{"possSuperiors: container", "possSuperiors: organizationalUnit", "mustContain: cn"}
		class("Addresslist", "1", "Account Hidden Filter Base", possible...)
		class("DynamicGroup", "1", "Account Hidden Filter Base Aliases", append(possible, "mayContain: mail")...)
		e.change(refresh)
		e.change(host.EntryChange{DN: "CN=User," + adSchema, Values: []host.ValueChange{{Attribute: "auxiliaryClass", Values: []string{prefix + "User"}}}})
		e.change(refresh)
	}
}

// domain is what a domain has, before and afterwards: the lines are written beside each other.
func domain(n int) []entry {
	const ou = "OU=People,DC=example,DC=org"
	class := func(e *entry, name string) {
		e.old, e.new = append(e.old, "objectClass: zarafa"+name), append(e.new, "objectClass: kopano"+name)
	}
	top := entry{dn: ou}
	top.both("objectClass: organizationalUnit", "ou: People")
	class(&top, "Company")
	top.named("Account: 1", "Aliases: zarafaCompany")
	all := []entry{top}
	for i := range n {
		u := entry{dn: fmt.Sprintf(`CN=Müller\, zarafa %d,%s`, i, ou)}
		u.both("objectClass: user", fmt.Sprintf("cn: Müller, zarafa %d", i), fmt.Sprintf("sAMAccountName: u%d", i), "description: zarafaHidden")
		u.named("Account: 1", "QuotaHard: 100")
		for k := range []int{0, 1, 30}[i%3] {
			u.named(fmt.Sprintf("Aliases: zarafa%d.%d@exämple.org", i, k))
		}
		all = append(all, u)
	}
	for i := range 1 + n/10 {
		c := entry{dn: fmt.Sprintf("CN=Contact %d,%s", i, ou)}
		c.both("objectClass: contact", fmt.Sprintf("cn: Contact %d", i))
		class(&c, "Contact")
		c.named("Account: 1", fmt.Sprintf("Aliases: c%d@example.com", i))
		g := entry{dn: fmt.Sprintf("CN=Group %d,%s", i, ou)}
		g.both("objectClass: group", fmt.Sprintf("cn: Group %d", i), fmt.Sprintf("sAMAccountName: g%d", i))
		class(&g, "Group")
		g.named("Account: 1", "Hidden: 1")
		a := entry{dn: fmt.Sprintf("CN=List %d,%s", i, ou)}
		class(&a, "Addresslist")
		a.both(fmt.Sprintf("cn: List %d", i))
		a.old = append(a.old, "zarafaFilter: (&(objectCategory=person)(zarafaAccount=1)(description=zarafaHidden)(objectClass=zarafaContact))")
		a.new = append(a.new, "kopanoFilter: (&(objectCategory=person)(kopanoAccount=1)(description=zarafaHidden)(objectClass=kopanoContact))")
		a.named("Base: " + ou)
		d := entry{dn: fmt.Sprintf("CN=Dynamic %d,%s", i, ou)}
		class(&d, "DynamicGroup")
		d.both(fmt.Sprintf("cn: Dynamic %d", i), "mail: d@example.org", "description: kept")
		d.named("Aliases: dd@example.org")
		d.old, d.new = append(d.old, "zarafaFilter: (zarafaAccount=1)"), append(d.new, "kopanoFilter: (kopanoAccount=1)")
		all = append(all, c, g, a, d)
	}
	s := entry{dn: "CN=Node," + ou}
	s.both("objectClass: computer", "cn: Node", "sAMAccountName: node$")
	class(&s, "Server")
	s.old, s.new = append(s.old, "zarafaFilePath: /var/run/zarafad/server.sock"), append(s.new, "kopanoFilePath: /var/run/kopano/server.sock")
	return append(all, s)
}

// domainNow is what the entries have of what was given them, by DN, with their objectGUIDs.
func domainNow(t *testing.T, h host.View, conn host.DirectoryConn, of []entry) (lines, ids map[string]string) {
	t.Helper()
	given := map[string]bool{"objectclass": true}
	for _, e := range of {
		for _, l := range slices.Concat(e.old, e.new) {
			name, _, _ := strings.Cut(l, ": ")
			given[strings.ToLower(name)] = true
		}
	}
	above := []string{"top", "person", "organizationalPerson", "user"} // the server adds them
	lines, ids = map[string]string{}, map[string]string{}
	req := host.DirectorySearch{Base: "OU=People,DC=example,DC=org", Scope: "sub", Filter: "(objectClass=*)"}
	err := h.SearchPages(context.Background(), conn, req, func(page []host.Entry) error {
		for _, e := range page {
			var list []string
			for name, values := range e.Attributes {
				for _, v := range values {
					switch {
					case strings.EqualFold(name, "objectGUID"):
						ids[strings.ToLower(e.DN)] = v
					case given[strings.ToLower(name)] && !(name == "objectClass" && slices.Contains(above, v)):
						list = append(list, name+": "+v)
					}
				}
			}
			slices.Sort(list)
			lines[strings.ToLower(e.DN)] = strings.Join(list, "\n")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines, ids
}

func wantDomain(t *testing.T, what string, got map[string]string, want []entry, pick func(entry) []string) {
	t.Helper()
	for _, e := range want {
		list := slices.Clone(pick(e))
		list = slices.DeleteFunc(list, func(l string) bool { return l == "objectClass: user" })
		slices.Sort(list)
		if now := got[strings.ToLower(e.dn)]; now != strings.Join(list, "\n") {
			t.Fatalf("%s: %s is\n%s\nwant\n%s", what, e.dn, now, strings.Join(list, "\n"))
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%s: %d entries, want %d", what, len(got), len(want))
	}
}

// TestConvertOnSamba converts the entries of a domain: those whose class is attached, those whose class is not, by two
// changes, and those of structural classes, which are made again under their names. It is killed, resumed, and taken back.
func TestConvertOnSamba(t *testing.T) {
	h, conn := samba(t)
	e := edit(t, h, conn)
	adSchemas(e)
	users := 20
	if chance.Nothing() {
		users = 60
	}
	want := domain(users)
	for _, x := range want {
		e.change(addition(x.dn, x.old...))
	}
	start, ids := domainNow(t, h, conn, want)
	wantDomain(t, "at first", start, want, isOld)
	simulatedDomain(t, h, conn, want)
	dice := chance.Rand(t, 0)
	begun, points := time.Now(), kills(dice, 2*len(want))
	for _, at := range points {
		env := environment(h)
		a := prepared(t, env, conn)
		env.Host = &killed{h, at}
		_, err := a().Apply(env)
		if err != nil && !errors.Is(err, errKilled) {
			t.Fatal(err)
		}
		struck(t, err, at, len(want))
		env.Host = h
		if _, err := a().Apply(env); err != nil {
			t.Fatal(err)
		}
		now, converted := domainNow(t, h, conn, want)
		wantDomain(t, "converted", now, want, isNew)
		for dn, id := range converted {
			made := strings.HasPrefix(dn, "cn=list ") || strings.HasPrefix(dn, "cn=dynamic ")
			if (id == ids[dn]) == made {
				t.Fatalf("%s has its objectGUID: %v", dn, !made)
			}
		}
		env.Host = &killed{h, dice.IntN(2 * len(want))}
		if err := a().Undo(env); err != nil && !errors.Is(err, errKilled) {
			t.Fatal(err)
		}
		env.Host = h
		back := a()
		if err := back.Undo(env); err != nil {
			t.Fatal(err)
		}
		lines, err := back.(action.Comparer).Differences(env)
		if err != nil || len(lines) != 1 || !strings.Contains(lines[0], "another objectGUID") {
			t.Fatalf("told of what was made again: %q, %v", lines, err)
		}
		now, ids = domainNow(t, h, conn, want)
		if !maps.Equal(now, start) {
			wantDomain(t, "taken back", now, want, isOld)
		}
	}
	chance.Figures(t, begun, "a conversion of %d entries of a domain killed %d times, resumed, killed on its way back, taken back", len(want), len(points))
	// What would be lost to its groups is refused before anything is changed.
	e.change(host.EntryChange{DN: "CN=Group 0,OU=People,DC=example,DC=org", Values: []host.ValueChange{{Attribute: "member", Values: []string{"CN=Dynamic 0,OU=People,DC=example,DC=org"}}}})
	refused, env := conversion(t, conn), environment(h)
	if err := refused.Stage(env); err != nil {
		t.Fatal(err)
	}
	if _, err := refused.Prepare(env); err == nil || !strings.Contains(err.Error(), "take it out of CN=Group 0") {
		t.Fatalf("a member of a group: %v", err)
	}
}

// simulatedDomain converts the domain in a simulation over it, which changes nothing there.
func simulatedDomain(t *testing.T, h host.Host, conn host.DirectoryConn, want []entry) {
	t.Helper()
	over, err := sim.FromView(withPackages{h}, sim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer over.Close()
	env := environment(over)
	if _, err := prepared(t, env, conn)().Apply(env); err != nil {
		t.Fatal(err)
	}
	now, _ := domainNow(t, over, conn, want)
	wantDomain(t, "simulated", now, want, isNew)
	now, _ = domainNow(t, h, conn, want)
	wantDomain(t, "after a simulation", now, want, isOld)
}
