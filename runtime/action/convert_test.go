package action

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/directory"
	"zcp2kopano/runtime/host/hosttest"
	"zcp2kopano/runtime/host/sim"
)

// standardSchema are the definitions of RFC 4519 and 4512 that the entries of the tests have.
const standardSchema = `objectClasses: ( 2.5.6.0 NAME 'top' ABSTRACT MUST objectClass )
objectClasses: ( 0.9.2342.19200300.100.4.13 NAME 'domain' SUP top STRUCTURAL MUST dc )
objectClasses: ( 2.5.6.5 NAME 'organizationalUnit' SUP top STRUCTURAL MUST ou MAY description )
objectClasses: ( 2.5.6.6 NAME 'person' SUP top STRUCTURAL MUST ( sn $ cn ) MAY description )
attributeTypes: ( 2.5.4.0 NAME 'objectClass' EQUALITY objectIdentifierMatch )
attributeTypes: ( 0.9.2342.19200300.100.1.25 NAME 'dc' EQUALITY caseIgnoreMatch SINGLE-VALUE )
attributeTypes: ( 2.5.4.11 NAME 'ou' EQUALITY caseIgnoreMatch )
attributeTypes: ( 2.5.4.3 NAME 'cn' EQUALITY caseIgnoreMatch )
attributeTypes: ( 2.5.4.4 NAME 'sn' EQUALITY caseIgnoreMatch )
attributeTypes: ( 2.5.4.13 NAME 'description' EQUALITY caseIgnoreMatch )
attributeTypes: ( 1.3.6.1.1.16.4 NAME 'entryUUID' EQUALITY UUIDMatch SINGLE-VALUE USAGE directoryOperation )
`

// directoryHost is a simulated host with the directory of the suite's schemas.
func directoryHost(t tester, ldif string, replace ...string) *sim.Host {
	t.Helper()
	text := "-- host --\nhostname: h\n-- directory --\n" + strings.TrimRight(ldif, "\n") + "\n\ndn: cn=Subschema\nobjectClass: subschema\n" + standardSchema
	for _, a := range hosttest.Attributes {
		text += "attributeTypes: " + a + "\n"
	}
	for _, c := range hosttest.Classes {
		text += "objectClasses: " + c + "\n"
	}
	fixture, err := sim.ReadFixture([]byte(strings.NewReplacer(replace...).Replace(text)))
	must(t, err)
	h, err := fixture.Host(sim.Options{})
	must(t, err)
	return h
}

// oldToNew converts the suite's old schema into its new one.
func oldToNew() *Convert {
	return &Convert{
		Directory: Directory{URLs: []string{"ldap://localhost"}, BindDN: "cn=admin,dc=example,dc=org", Password: host.NewSecret("s3cr3t")},
		Bases:     []string{"dc=example,dc=org"},
		Renaming: directory.Renaming{
			Attributes: map[string]string{"oldquota": "newQuota", "oldaliases": "newAliases", "oldid": "newId", "oldfilter": "newFilter"},
			Classes:    map[string]string{"old-user": "new-user", "old-list": "new-list"},
			Spelled:    []string{"oldQuota", "oldAliases", "oldId", "oldFilter"},
			Structural: []string{"old-list"}, Single: []string{"oldquota", "oldid", "oldfilter"}, Filters: []string{"oldfilter"},
		},
	}
}

func (h *fakeHost) SearchPages(ctx context.Context, conn host.DirectoryConn, req host.DirectorySearch, page func([]host.Entry) error) error {
	return h.directory.SearchPages(ctx, conn, req, page)
}

func (h *fakeHost) OpenDirectory(ctx context.Context, conn host.DirectoryConn) (host.Directory, error) {
	session, err := h.directory.OpenDirectory(ctx, conn)
	return &fakeDirectory{session, h}, err
}

// fakeDirectory is a session in which every change can be the last, or fail.
type fakeDirectory struct {
	host.Directory
	h *fakeHost
}

func (d *fakeDirectory) Change(ctx context.Context, changes []host.EntryChange) []error {
	answers := make([]error, len(changes))
	for i, c := range changes {
		answers[i] = d.h.change(func() error { return d.Directory.Change(ctx, []host.EntryChange{c})[0] })
	}
	return answers
}

// describeDirectory adds the entries to a host's state.
func describeDirectory(t tester, h *fakeHost, s map[string]string) {
	t.Helper()
	for _, base := range []string{"dc=example,dc=org", "cn=config"} {
		err := h.directory.SearchPages(context.Background(), host.DirectoryConn{}, host.DirectorySearch{Base: base, Scope: "sub", Filter: "(objectClass=*)"}, func(page []host.Entry) error {
			for _, e := range page {
				var lines []string
				for name, values := range e.Attributes {
					for _, v := range values {
						lines = append(lines, fmt.Sprintf("%s=%q", name, v))
					}
				}
				slices.Sort(lines)
				s["entry "+e.DN] = strings.Join(lines, " ")
			}
			return nil
		})
		if !directory.Is(err, ldap.LDAPResultNoSuchObject) {
			must(t, err)
		}
	}
}

// entries is what a directory holds.
func (tr *trial) entries(t tester) map[string]string {
	t.Helper()
	s := map[string]string{}
	describeDirectory(t, tr.fakeHost, s)
	return s
}

// lists are n more entries than one page holds.
func lists(n int) string {
	var b strings.Builder
	b.WriteString(hosttest.DirectoryLDIF)
	for i := range n {
		fmt.Fprintf(&b, "dn: cn=l%d,dc=example,dc=org\nobjectClass: old-list\ncn: l%d\noldFilter: (oldQuota=%d)\n\n", i, i, i)
	}
	return b.String()
}

func startConvert(t *testing.T, ldif string, a *Convert) *trial {
	h := newFake()
	must(t, h.PutDir("/var/lib/zcp2kopano", 0o700, 0, 0))
	h.directory = directoryHost(t, ldif)
	tr := &trial{fakeHost: h, env: newEnv(h)}
	must(t, tr.prepare(t, a))
	return tr
}

// TestConvert converts every entry, and no more of it than names.
func TestConvert(t *testing.T) {
	tr := startConvert(t, lists(1010), oldToNew())
	start := tr.entries(t)
	must(t, tr.apply(t))
	if len(tr.env.Marks) < 3 {
		t.Errorf("%d pages", len(tr.env.Marks))
	}
	got := tr.entries(t)
	for dn, text := range map[string]string{
		"entry cn=Alice,ou=people,dc=example,dc=org":      `cn="Alice" newAliases;lang-de="alize@example.org" newAliases="alice@example.org" newAliases="jörg@example.org" newId="\x00\x01\xff\xfe" newQuota="100" objectClass="new-user" objectClass="person" sn="Example"`,
		`entry cn=Bob\, no 2,ou=people,dc=example,dc=org`: `cn="Bob, no 2" description="old-user zarafa" objectClass="new-user" objectClass="person" sn="Example"`,
		"entry cn=all,dc=example,dc=org":                  `cn="all" newFilter="(&(objectClass=new-user)(newQuota>=10))" objectClass="new-list"`,
		"entry cn=l1009,dc=example,dc=org":                `cn="l1009" newFilter="(newQuota=1009)" objectClass="new-list"`,
	} {
		if got[dn] != text {
			t.Errorf("%s is\n%s, want\n%s", dn, got[dn], text)
		}
	}
	must(t, tr.undo(t))
	sameState(t, "undone", tr.entries(t), start)
	lines, err := tr.action(t).(*Convert).Differences(tr.env)
	if err != nil || len(lines) > 0 {
		t.Errorf("%q, %v", lines, err)
	}
}

// changeEntry is what somebody else does to an entry.
func (tr *trial) changeEntry(t *testing.T, dn string, values ...host.ValueChange) {
	t.Helper()
	session, err := tr.directory.OpenDirectory(t.Context(), host.DirectoryConn{})
	must(t, err)
	must(t, session.Change(t.Context(), []host.EntryChange{{DN: dn, Values: values}})[0])
}

const alice = "cn=Alice,ou=people,dc=example,dc=org"

// TestConvertWithOthers keeps what somebody changes before the conversion comes to an entry, and after it.
func TestConvertWithOthers(t *testing.T) {
	tr := startConvert(t, hosttest.DirectoryLDIF, oldToNew())
	add := func(attribute, value string) host.ValueChange {
		return host.ValueChange{Attribute: attribute, Values: []string{value}}
	}
	drop := func(attribute, value string) host.ValueChange {
		return host.ValueChange{Attribute: attribute, Values: []string{value}, Delete: true}
	}
	var once bool
	tr.env.Mark = func(mark func(any) error) func(any) error {
		return func(v any) error {
			if !once { // the page is read, and nothing of it is changed yet
				once = true
				tr.changeEntry(t, alice, drop("oldQuota", "100"), add("oldQuota", "150"), add("oldAliases", "late@example.org"))
			}
			return mark(v)
		}
	}(tr.env.Mark)
	must(t, tr.apply(t))
	got := tr.entries(t)["entry "+alice]
	for _, want := range []string{`newQuota="150"`, `newAliases="late@example.org"`} {
		if !strings.Contains(got, want) || strings.Contains(got, "old") {
			t.Errorf("%s: %s", want, got)
		}
	}
	tr.changeEntry(t, alice, drop("newQuota", "150"), add("newQuota", "300"), drop("newAliases", "jörg@example.org"))
	a := tr.action(t).(*Convert)
	must(t, a.Undo(tr.env))
	for range 2 { // once more changes nothing
		got = tr.entries(t)["entry "+alice]
		if !strings.Contains(got, `oldQuota="300"`) || strings.Contains(got, "jörg") || !strings.Contains(got, `oldAliases="late@example.org"`) || strings.Contains(got, "new") {
			t.Errorf("taken back: %s", got)
		}
		must(t, a.Undo(tr.env))
	}
	if !strings.Contains(a.Since(), "cn=Alice") {
		t.Errorf("told: %q", a.Since())
	}
	if lines, err := a.Differences(tr.env); err != nil || len(lines) > 0 {
		t.Errorf("%q, %v", lines, err)
	}
}

// TestConvertBesideOthers keeps what somebody adds to an entry after it was read, and that its conversion does not stumble
// over: under an old name, or with a class of its own. It is found when the directory is gone through again, and kept then, as
// the way back has to do that comes to the entry twice.
func TestConvertBesideOthers(t *testing.T) {
	const contacts = "objectClasses: ( 1.3.6.1.4.1.4203.666.70.2.9 NAME 'old-contact' SUP top AUXILIARY MAY ( oldAliases $ oldId ) )\n" +
		"objectClasses: ( 1.3.6.1.4.1.4203.666.71.2.9 NAME 'new-contact' SUP top AUXILIARY MAY ( newAliases $ newId ) )\n"
	for _, identified := range []bool{true, false} {
		a := oldToNew()
		a.Renaming.Classes["old-contact"] = "new-contact"
		h := newFake()
		must(t, h.PutDir("/var/lib/zcp2kopano", 0o700, 0, 0))
		ldif := hosttest.DirectoryLDIF
		if identified {
			for i, name := range []string{"\ncn: Alice\n", "\ncn: Bob, no 2\n"} {
				if !strings.Contains(ldif, name) {
					t.Fatalf("no entry has%q", name)
				}
				ldif = strings.Replace(ldif, name, fmt.Sprintf("%sentryUUID: 00000000-0000-0000-0000-00000000000%d\n", name, i), 1)
			}
		}
		h.directory = directoryHost(t, ldif, "attributeTypes: ( 2.5.4.0 ", contacts+"attributeTypes: ( 2.5.4.0 ")
		tr := &trial{fakeHost: h, env: newEnv(h)}
		must(t, tr.prepare(t, a))
		start := tr.entries(t)
		bob := `cn=Bob\, no 2,ou=people,dc=example,dc=org`
		tr.env.Mark = func(mark func(any) error) func(any) error {
			return func(v any) error {
				if strings.Contains(tr.entries(t)["entry "+alice], "old-contact") || len(tr.env.Marks) < len(tr.action(t).(*Convert).Trials) {
					return mark(v) // the trial
				}
				for _, dn := range []string{alice, bob} {
					tr.changeEntry(t, dn, host.ValueChange{Attribute: "objectClass", Values: []string{"old-contact"}}, host.ValueChange{Attribute: "oldAliases", Values: []string{"late@example.org"}})
				}
				return mark(v)
			}
		}(tr.env.Mark)
		must(t, tr.apply(t))
		for _, dn := range []string{alice, bob} {
			if got := tr.entries(t)["entry "+dn]; !strings.Contains(got, "new-contact") || !strings.Contains(got, `newAliases="late@example.org"`) || strings.Contains(got, "old") && dn == alice {
				t.Errorf("converted: %s", got)
			}
		}
		back := tr.action(t).(*Convert)
		must(t, back.Undo(tr.env))
		for _, dn := range []string{alice, bob} {
			got := tr.entries(t)["entry "+dn]
			for _, want := range strings.Fields(start["entry "+dn]) {
				if !strings.Contains(got, want) {
					t.Errorf("taken back, it lacks %s: %s", want, got)
				}
			}
			if !strings.Contains(got, `objectClass="old-contact"`) || !strings.Contains(got, `oldAliases="late@example.org"`) || strings.Contains(got, "new") {
				t.Errorf("taken back: %s", got)
			}
		}
		lines, err := back.Differences(tr.env)
		must(t, err)
		if told := back.Since(); identified && (len(lines) > 0 || !strings.Contains(told, alice+": objectclass old-contact") || !strings.Contains(told, bob+": oldaliases late@example.org")) {
			t.Errorf("told: %q, differences %q", told, lines)
		}
		if told := strings.Join(lines, "\n"); !identified && (!strings.Contains(told, alice) || !strings.Contains(told, bob)) {
			t.Errorf("differences %q", lines)
		}
	}
}

// TestConvertHalfWay ends well where another tool has left both classes and a part of the attributes in both schemas,
// and is refused where an attribute would have two values.
func TestConvertHalfWay(t *testing.T) {
	ldif := strings.Replace(hosttest.DirectoryLDIF, "oldQuota: 100\n", "objectClass: new-user\noldQuota: 100\nnewQuota: 100\nnewAliases: ALICE@example.org\n", 1)
	tr := startConvert(t, ldif, oldToNew())
	start := tr.entries(t)
	must(t, tr.apply(t))
	if got := tr.entries(t)["entry "+alice]; strings.Contains(got, "old") || strings.Count(strings.ToLower(got), `"alice@example.org"`) != 1 {
		t.Errorf("converted: %s", got)
	}
	must(t, tr.undo(t))
	sameState(t, "undone", tr.entries(t), start)

	h := newFake()
	must(t, h.PutDir("/var/lib/zcp2kopano", 0o700, 0, 0))
	h.directory = directoryHost(t, strings.Replace(ldif, "newQuota: 100", "newQuota: 200", 1))
	_, err := oldToNew().Prepare(newEnv(h))
	if err == nil || !strings.Contains(err.Error(), "1 entry cannot be converted") || !strings.Contains(err.Error(), alice) {
		t.Errorf("two values where there may be one: %v", err)
	}
}

// refusingDirectory is a session in which a server refuses some changes.
type refusingDirectory struct {
	host.Directory
	refuse func(n int, c host.EntryChange) error
	n      int
}

func (d *refusingDirectory) Change(ctx context.Context, changes []host.EntryChange) []error {
	answers := make([]error, len(changes))
	for i, c := range changes {
		if d.n++; d.refuse(d.n, c) != nil {
			answers[i] = d.refuse(d.n, c)
			continue
		}
		answers[i] = d.Directory.Change(ctx, []host.EntryChange{c})[0]
	}
	return answers
}

type refusingHost struct {
	*fakeHost
	refuse func(n int, c host.EntryChange) error
}

func (refusingHost) Sleep(context.Context, time.Duration) error { return nil }

func (h refusingHost) OpenDirectory(ctx context.Context, conn host.DirectoryConn) (host.Directory, error) {
	session, err := h.directory.OpenDirectory(ctx, conn)
	return &refusingDirectory{Directory: session, refuse: h.refuse}, err
}

// TestConvertRefused says what the server refused, loses nothing, and is brought to its end by a resume.
func TestConvertRefused(t *testing.T) {
	for name, c := range map[string]struct {
		refuse func(n int, c host.EntryChange) error
		want   string // in the error; empty for none
	}{
		"rights that end half-way": {func(n int, _ host.EntryChange) error {
			if n > 300 {
				return &directory.Error{Code: 50}
			}
			return nil
		}, "the user lacks the right"},
		"the connection is cut": {func(n int, _ host.EntryChange) error {
			if n > 550 {
				return &directory.Error{Code: 200}
			}
			return nil
		}, "the connection broke"},
		"no such control": {func(_ int, c host.EntryChange) error { // as 389-ds has it
			if c.Relax {
				return &directory.Error{Code: 12}
			}
			return nil
		}, "structural"}, // which the simulated server minds
		"the server is stopped": {func(n int, _ host.EntryChange) error {
			if n > 250 {
				return &directory.Error{Code: 52}
			}
			return nil
		}, "try again when it runs"},
		"a time limit": {func(n int, _ host.EntryChange) error {
			if n > 260 {
				return &directory.Error{Code: 3}
			}
			return nil
		}, "raise the server's time limit"},
		"an administrative limit": {func(n int, _ host.EntryChange) error {
			if n > 270 {
				return &directory.Error{Code: 11}
			}
			return nil
		}, "raise it for this user"},
		"a replica that refers to its provider": {func(int, host.EntryChange) error { return &directory.Error{Code: 10} }, "connect to the server that may be written to"},
		"busy for good": {func(n int, _ host.EntryChange) error {
			if n > 280 {
				return &directory.Error{Code: 51}
			}
			return nil
		}, "the server is busy"},
		"busy for once": {func(n int, _ host.EntryChange) error {
			if n == 5 {
				return &directory.Error{Code: 51}
			}
			return nil
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			tr := startConvert(t, lists(600), oldToNew())
			start := tr.entries(t)
			a := tr.action(t)
			tr.env.Host = refusingHost{tr.fakeHost, c.refuse}
			_, err := a.Apply(tr.env)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			tr.env.Host = tr.fakeHost
			must(t, tr.apply(t))
			for dn, text := range tr.entries(t) {
				if strings.Contains(text, "old-list") || strings.Contains(text, "oldQuota") {
					t.Fatalf("after a resume %s is %s", dn, text)
				}
			}
			must(t, tr.undo(t))
			sameState(t, "undone", tr.entries(t), start)
		})
	}
}

// TestConvertOfBadEntries says what an entry lacks that its server would not take today, or takes it as the server does;
// nothing is converted beside it before that is known.
func TestConvertOfBadEntries(t *testing.T) {
	for name, c := range map[string]struct {
		replace []string
		want    string
	}{
		"an attribute is missing in the schema": {[]string{"NAME 'newQuota'", "NAME 'newOther'"}, "the server's schema does not know an attribute"},
		"an entry violates its schema already":  {[]string{"cn: Alice\nsn: Example\n", "cn: Alice\n"}, "an attribute that no class of it allows, or a missing one"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newFake()
			must(t, h.PutDir("/var/lib/zcp2kopano", 0o700, 0, 0))
			h.directory = directoryHost(t, hosttest.DirectoryLDIF, c.replace...)
			tr := &trial{fakeHost: h, env: newEnv(h)}
			must(t, tr.prepare(t, oldToNew()))
			start := tr.entries(t)
			if err := tr.apply(t); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), alice) {
				t.Errorf("%v, want %q of %s", err, c.want, alice)
			}
			sameState(t, "refused", tr.entries(t), start)
		})
	}
}

// TestConvertIsTriedFirst: what the server refuses for one class is found before the entries of another are converted.
func TestConvertIsTriedFirst(t *testing.T) {
	h := newFake()
	must(t, h.PutDir("/var/lib/zcp2kopano", 0o700, 0, 0))
	h.directory = directoryHost(t, lists(10), "'new-list'", "'new-other'") // the server does not know the class
	tr := &trial{fakeHost: h, env: newEnv(h)}
	must(t, tr.prepare(t, oldToNew()))
	start := tr.entries(t)
	if err := tr.apply(t); err == nil || !strings.Contains(err.Error(), "the first entry of class old-list") {
		t.Errorf("%v", err)
	}
	equalStates(t, start, tr.entries(t))
}
