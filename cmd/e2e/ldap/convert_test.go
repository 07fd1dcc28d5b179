package ldap

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	builtins "zcp2kopano/builtins/ldap"
	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/directory"
	"zcp2kopano/runtime/host/hosttest/chance"
	"zcp2kopano/runtime/host/sim"
)

// entry is an entry as ZCP knows it, and as it must be afterwards: written down beside each other, so that no code
// converts the one into the other.
type entry struct {
	dn       string
	old, new []string // "attribute: value"
}

func (e *entry) both(lines ...string) {
	e.old, e.new = append(e.old, lines...), append(e.new, lines...)
}

// named adds lines whose name begins with the schema's prefix.
func (e *entry) named(lines ...string) {
	for _, l := range lines {
		e.old, e.new = append(e.old, "zarafa"+l), append(e.new, "kopano"+l)
	}
}

func (e *entry) class(name string) {
	e.old, e.new = append(e.old, "objectClass: zarafa-"+name), append(e.new, "objectClass: kopano-"+name)
}

// site is a directory with n users, and some of all else.
func site(n int) []entry {
	const people = "ou=people,dc=example,dc=org"
	top := entry{dn: "dc=example,dc=org"}
	top.both("objectClass: domain", "dc: example")
	ou := entry{dn: people}
	ou.both("objectClass: organizationalUnit", "ou: people")
	company := entry{dn: "ou=zarafa,dc=example,dc=org"}
	company.both("objectClass: organizationalUnit")
	company.class("company")
	company.both("ou: zarafa")
	company.named("Account: 1", "QuotaWarn: 100", "ViewPrivilege: ou=a,dc=example,dc=org", "ViewPrivilege: ou=zarafa-company,dc=example,dc=org")
	all := []entry{top, ou, company}
	for i := range n {
		e := entry{dn: fmt.Sprintf("uid=u%d,%s", i, people)}
		e.both("objectClass: inetOrgPerson")
		e.class("user")
		e.both(fmt.Sprintf("uid: u%d", i), fmt.Sprintf("cn: User %d", i), "sn: Müller", "description: zarafaHidden: zarafa-user", "jpegPhoto: \x00\xff\xfe")
		e.named("Account: 1", "QuotaHard: 1000", "UserServer: node1")
		values := []int{0, 1, 2, 50}[i%4]
		for k := range values {
			e.named(fmt.Sprintf("Aliases: zarafa%d.%d@exämple.org", i, k))
		}
		for k := range values % 3 {
			e.named(fmt.Sprintf("SendAsPrivilege: cn=zarafa-user %d,%s", k, people))
		}
		all = append(all, e)
	}
	for i := range 5 + n/50 {
		g := entry{dn: fmt.Sprintf(`cn=group\, no  %d \+ \"x\",%s`, i, people)}
		g.both("objectClass: posixGroup")
		g.class("group")
		g.both(fmt.Sprintf(`cn: group, no  %d + "x"`, i), fmt.Sprintf("gidNumber: %d", i), "memberUid: u1")
		g.named("SecurityGroup: 0", fmt.Sprintf("Aliases: g%d@example.org", i))
		c := entry{dn: fmt.Sprintf("cn=contact %d,%s", i, people)}
		c.both("objectClass: inetOrgPerson")
		c.class("contact")
		c.both(fmt.Sprintf("cn: contact %d", i), "sn: x", fmt.Sprintf("uidNumber: %d", i))
		c.named("Hidden: 0")
		a := entry{dn: fmt.Sprintf("cn=list %d,dc=example,dc=org", i)}
		a.class("addresslist")
		a.both(fmt.Sprintf("cn: list %d", i))
		a.old = append(a.old, "zarafaFilter: (&(objectClass=zarafa-user)(!(zarafaHidden=1))(mail=*zarafa*))")
		a.new = append(a.new, "kopanoFilter: (&(objectClass=kopano-user)(!(kopanoHidden=1))(mail=*zarafa*))")
		a.named("Base: " + people)
		d := entry{dn: fmt.Sprintf("cn=dynamic %d,dc=example,dc=org", i)}
		d.class("dynamicgroup")
		d.both(fmt.Sprintf("cn: dynamic %d", i), "mail: d@example.org")
		d.old = append(d.old, "zarafaFilter: zarafaAccount=1")
		d.new = append(d.new, "kopanoFilter: kopanoAccount=1")
		all = append(all, g, c, a, d)
	}
	for i, socket := range []string{"/var/run/zarafad/server.sock", "file:///var/run/zarafa", "/srv/own.sock"} {
		s := entry{dn: fmt.Sprintf("cn=node%d,dc=example,dc=org", i)}
		s.both("objectClass: device")
		s.class("server")
		s.both(fmt.Sprintf("cn: node%d", i))
		s.named("HttpPort: 236")
		s.old = append(s.old, "zarafaFilePath: "+socket)
		s.new = append(s.new, "kopanoFilePath: "+map[bool]string{true: "/var/run/kopano/server.sock", false: socket}[i < 2])
		all = append(all, s)
	}
	return all
}

func ldifOf(entries []entry) string {
	var b strings.Builder
	for _, e := range entries {
		b.WriteString(directory.Line("dn", e.dn) + "\n")
		for _, l := range e.old {
			name, value, _ := strings.Cut(l, ": ")
			b.WriteString(directory.Line(name, value) + "\n")
		}
		b.WriteString("\n")
	}
	return b.String()
}

// contents is what a directory holds, by entryUUID.
func contents(t testing.TB, h host.View, conn host.DirectoryConn) map[string]string {
	t.Helper()
	all := map[string]string{}
	req := host.DirectorySearch{Base: "dc=example,dc=org", Scope: "sub", Filter: "(objectClass=*)", Attributes: []string{"*", "entryUUID"}}
	err := h.SearchPages(context.Background(), conn, req, func(page []host.Entry) error {
		for _, e := range page {
			var lines []string
			for name, values := range e.Attributes {
				for _, v := range values {
					if name != "entryUUID" {
						lines = append(lines, name+": "+v)
					}
				}
			}
			slices.Sort(lines)
			all[e.Attributes["entryUUID"][0]] = strings.Join(lines, "\n")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// check compares a directory with what it must be; IDs say which entry is which.
func check(t testing.TB, what string, got map[string]string, want []entry, pick func(entry) []string) {
	t.Helper()
	var texts, wanted []string
	for _, text := range got {
		texts = append(texts, text)
	}
	for _, e := range want {
		lines := slices.Clone(pick(e))
		slices.Sort(lines)
		wanted = append(wanted, strings.Join(lines, "\n"))
	}
	slices.Sort(texts)
	slices.Sort(wanted)
	if slices.Equal(texts, wanted) {
		return
	}
	for i := range min(len(texts), len(wanted)) {
		if texts[i] != wanted[i] {
			t.Fatalf("%s: %d entries, want %d; an entry is\n%s\nwant\n%s", what, len(texts), len(wanted), texts[i], wanted[i])
		}
	}
	t.Fatalf("%s: %d entries, want %d", what, len(texts), len(wanted))
}

func isOld(e entry) []string { return e.old }
func isNew(e entry) []string { return e.new }

// conversion is the action as the builtin decides it.
func conversion(t testing.TB, conn host.DirectoryConn) *action.Convert {
	t.Helper()
	return &action.Convert{Directory: action.DirectoryAt(conn), Bases: []string{"dc=example,dc=org"}, Renaming: builtins.ToKopano("/var/run/kopano/server.sock")}
}

type secrets map[string]host.Secret

func (s secrets) Put(secret host.Secret) (string, error) {
	s["1"] = secret
	return "1", nil
}
func (s secrets) Get(ref string) (host.Secret, error) { return s[ref], nil }

func environment(h host.Host) *action.Env {
	env := &action.Env{Ctx: context.Background(), Host: h, Store: &action.Store{Host: h, Dir: "/run1/backup"}, Secrets: secrets{}, Tag: "run1-1-0", Progress: func(action.Progress) {}}
	env.Mark = func(v any) error {
		data, err := json.Marshal(v)
		env.Marks = append(env.Marks, data)
		return err
	}
	return env
}

// prepared is a conversion as the journal has it.
func prepared(t testing.TB, env *action.Env, conn host.DirectoryConn) func() action.Action {
	t.Helper()
	a := conversion(t, conn)
	if err := a.Stage(env); err != nil {
		t.Fatal(err)
	}
	if needed, err := a.Prepare(env); err != nil || !needed {
		t.Fatal(needed, err)
	}
	data, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	return func() action.Action {
		a, err := action.Decode("ldap.convert", data)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
}

// killed is a host on which a run is killed when it has made so many changes of entries.
type killed struct {
	host.Host
	after int
}

var errKilled = errors.New("killed")

func (k *killed) OpenDirectory(ctx context.Context, conn host.DirectoryConn) (host.Directory, error) {
	session, err := k.Host.OpenDirectory(ctx, conn)
	return &killedSession{session, k}, err
}

type killedSession struct {
	host.Directory
	k *killed
}

func (s *killedSession) Change(ctx context.Context, changes []host.EntryChange) []error {
	n := min(len(changes), s.k.after)
	s.k.after -= n
	answers := s.Directory.Change(ctx, changes[:n])
	for range changes[n:] {
		answers = append(answers, errKilled)
	}
	return answers
}

// kills are after how many changes of n entries a conversion is killed: three by chance, or before and behind the first
// of every page, and fifty by chance.
func kills(dice *rand.Rand, n int) []int {
	const page = 500 // of the live host
	var list []int
	rounds := 3
	if chance.Nothing() {
		rounds = 50
		for at := 0; at < n; at += page {
			list = append(list, at, at+1)
		}
	}
	for range rounds {
		list = append(list, dice.IntN(n))
	}
	return list
}

// struck fails a test whose kill after so many changes never came, though there are more: at least one for most of n
// entries.
func struck(t *testing.T, err error, at, n int) {
	t.Helper()
	if err == nil && at < n/2 {
		t.Errorf("%d entries are converted: the kill after %d changes never came", n, at)
	}
}

// TestConvertOnSlapd converts a directory of a real server, kills that at random moments, resumes it and takes it back.
func TestConvertOnSlapd(t *testing.T) {
	want := site(1500)
	h, conn := slapd(t, ldifOf(want))
	start := contents(t, h, conn)
	check(t, "at first", start, want, isOld)
	simulated(t, h, conn, want)
	if now := contents(t, h, conn); !maps.Equal(now, start) {
		t.Fatal("a simulation changed the directory")
	}
	dice := chance.Rand(t, 0)
	begun, points := time.Now(), kills(dice, len(want))
	for round, at := range points {
		env := environment(h)
		make := prepared(t, env, conn)
		env.Host = &killed{h, at}
		if _, err := make().Apply(env); !errors.Is(err, errKilled) {
			t.Fatalf("round %d: %v", round, err)
		}
		env.Host = h
		if round > 0 { // else it is taken back half-way
			if _, err := make().Apply(env); err != nil {
				t.Fatal(err)
			}
			now := contents(t, h, conn)
			check(t, "converted", now, want, isNew)
			for id := range start {
				if now[id] == "" {
					t.Fatalf("the entry %s has another entryUUID", id)
				}
			}
		}
		env.Host = &killed{h, dice.IntN(len(want) / 2)}
		if err := make().Undo(env); !errors.Is(err, errKilled) && err != nil {
			t.Fatal(err)
		}
		env.Host = h
		if err := make().Undo(env); err != nil {
			t.Fatal(err)
		}
		if now := contents(t, h, conn); !maps.Equal(now, start) {
			check(t, "taken back", now, want, isOld)
			t.Fatal("entries were exchanged")
		}
		lines, err := make().(action.Comparer).Differences(env)
		if err != nil || len(lines) > 0 {
			t.Fatalf("differences %q, %v", lines, err)
		}
	}
	chance.Figures(t, begun, "a conversion of %d entries killed %d times, resumed, killed on its way back, taken back", len(want), len(points))
}

// simulated converts the directory in a simulation over the machine, which leaves the same there.
func simulated(t *testing.T, h host.Host, conn host.DirectoryConn, want []entry) {
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
	check(t, "simulated", contents(t, over, conn), want, isNew)
}

// withPackages is a host with a package manager, which the bare root of the server lacks.
type withPackages struct{ host.Host }

func (withPackages) Packages() ([]host.Package, error)      { return nil, nil }
func (withPackages) PackageLock() (*host.LockHolder, error) { return nil, nil }
func (withPackages) PackageAudit() ([]string, error)        { return nil, nil }

func (withPackages) PackageManager() (host.PackageManager, error) {
	return host.PackageManager{Name: "apt", Version: "2.6.1"}, nil
}
