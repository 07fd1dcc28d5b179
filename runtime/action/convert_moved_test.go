package action

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/directory"
	"zcp2kopano/runtime/host/hosttest"
)

// moveEntry is what somebody else does to an entry: another DN, and whatever the server knows it by.
func (tr *trial) moveEntry(t *testing.T, from, to string, values map[string][]string) {
	t.Helper()
	session, err := tr.directory.OpenDirectory(t.Context(), host.DirectoryConn{})
	must(t, err)
	found, err := tr.directory.SearchDirectory(t.Context(), host.DirectoryConn{}, host.DirectorySearch{Base: from, Scope: "base", Filter: "(objectClass=*)"})
	must(t, err)
	moved := maps.Clone(found[0].Attributes)
	maps.Copy(moved, values)
	for _, c := range []host.EntryChange{{DN: from, Delete: true}, {DN: to, Add: moved}} {
		must(t, session.Change(t.Context(), []host.EntryChange{c})[0])
	}
}

// TestConvertFindsWhatWasRenamed takes an entry back under the name that somebody has given it, and not another one that
// has its old name, and looks just like it, by now.
func TestConvertFindsWhatWasRenamed(t *testing.T) {
	const alicia = "cn=Alicia,ou=people,dc=example,dc=org"
	ldif := strings.Replace(hosttest.DirectoryLDIF, "cn: Alice\n", "cn: Alice\nentryUUID: 1-alice\n", 1)
	tr := startConvert(t, ldif, oldToNew())
	start := tr.entries(t)
	must(t, tr.apply(t))
	converted := tr.entries(t)["entry "+alice]
	tr.moveEntry(t, alice, alicia, map[string][]string{"cn": {"Alicia"}})
	copied := maps.Clone(entryAt(t, tr, alicia).Attributes)
	copied["cn"], copied["entryUUID"] = []string{"Alice"}, []string{"2-other"}
	session, err := tr.directory.OpenDirectory(t.Context(), host.DirectoryConn{})
	must(t, err)
	must(t, session.Change(t.Context(), []host.EntryChange{{DN: alice, Add: copied}})[0])
	other := strings.Replace(converted, "1-alice", "2-other", 1)
	for range 2 {
		must(t, tr.undo(t))
		now := tr.entries(t)
		if want := strings.Replace(start["entry "+alice], `cn="Alice"`, `cn="Alicia"`, 1); now["entry "+alicia] != want {
			t.Errorf("the renamed entry is\n%s\nwant\n%s", now["entry "+alicia], want)
		}
		if now["entry "+alice] != other {
			t.Errorf("the other one is\n%s\nwas\n%s", now["entry "+alice], other)
		}
		if len(now) != len(start)+1 {
			t.Errorf("%d entries, want %d", len(now), len(start)+1)
		}
	}
	if lines, err := tr.action(t).(*Convert).Differences(tr.env); err != nil || len(lines) > 0 {
		t.Errorf("%q, %v", lines, err)
	}
}

func entryAt(t *testing.T, tr *trial, dn string) host.Entry {
	t.Helper()
	found, err := tr.directory.SearchDirectory(t.Context(), host.DirectoryConn{}, host.DirectorySearch{Base: dn, Scope: "base", Filter: "(objectClass=*)"})
	must(t, err)
	return found[0]
}

// domainHost is a host whose directory gives each new entry an objectGUID, and lets so many changes through.
type domainHost struct {
	*fakeHost
	given *int
	left  int // before the connection breaks; negative for ever
}

func (domainHost) Sleep(context.Context, time.Duration) error { return nil }

func (h *domainHost) OpenDirectory(ctx context.Context, conn host.DirectoryConn) (host.Directory, error) {
	session, err := h.directory.OpenDirectory(ctx, conn)
	return &domainSession{session, h}, err
}

type domainSession struct {
	host.Directory
	h *domainHost
}

func (s *domainSession) Change(ctx context.Context, changes []host.EntryChange) []error {
	answers := make([]error, len(changes))
	for i, c := range changes {
		if s.h.left == 0 {
			answers[i] = &directory.Error{Code: 200}
			continue
		}
		s.h.left--
		if answers[i] = asActiveDirectory(c); answers[i] != nil {
			continue
		}
		if c.Add != nil {
			*s.h.given++
			c.Add = maps.Clone(c.Add)
			c.Add["objectGUID"] = []string{fmt.Sprintf("\xff\x00guid-%08d", *s.h.given)}
		}
		answers[i] = s.Directory.Change(ctx, []host.EntryChange{c})[0]
	}
	return answers
}

// guids is a schema in which entries have an objectGUID.
const guids = standardSchema + "attributeTypes: ( 1.2.840.113556.1.4.2 NAME 'objectGUID' EQUALITY octetStringMatch USAGE directoryOperation )\n"

// startDomain is a conversion below a base of a domain with these entries.
func startDomain(t *testing.T, ldif, base string, given *int) *trial {
	t.Helper()
	h := newFake()
	must(t, h.PutDir("/var/lib/zcp2kopano", 0o700, 0, 0))
	root := strings.TrimRight(anActiveDirectory, "\n") + "\nnamingContexts: cn=nothing\nnamingContexts: dc=example,dc=org\n\n"
	h.directory = directoryHost(t, root+ldif, standardSchema, guids)
	tr := &trial{fakeHost: h, env: newEnv(h)}
	tr.env.Host = &domainHost{h, given, -1}
	a := oldToNew()
	a.Bases = []string{base}
	must(t, tr.prepare(t, a))
	return tr
}

// TestConvertFindsWhatWasMoved takes a list back once, which was made again by the conversion and which somebody has moved
// since, within what was converted or out of it: cut off before each change, it is where it was in the end.
func TestConvertFindsWhatWasMoved(t *testing.T) {
	inner := strings.Replace(hosttest.DirectoryLDIF, "cn=all,dc", "cn=all,ou=people,dc", 1)
	for name, c := range map[string]struct{ base, ldif, list, moved string }{
		"within": {"dc=example,dc=org", hosttest.DirectoryLDIF, "cn=all,dc=example,dc=org", "cn=everybody,ou=people,dc=example,dc=org"},
		"out":    {"ou=people,dc=example,dc=org", inner, "cn=all,ou=people,dc=example,dc=org", "cn=everybody,dc=example,dc=org"},
	} {
		t.Run(name, func(t *testing.T) {
			for cut := 0; ; cut++ {
				given := 0
				tr := startDomain(t, strings.Replace(c.ldif, "cn: all\n", "cn: all\nobjectGUID: at-first\n", 1), c.base, &given)
				start := anonymous(tr.entries(t))
				must(t, tr.apply(t))
				tr.moveEntry(t, c.list, c.moved, map[string][]string{"cn": {"everybody"}})
				must(t, tr.apply(t)) // a resume does not make it a second time
				if got := len(tr.entries(t)); got != len(start) {
					t.Fatalf("resumed, there are %d entries, were %d", got, len(start))
				}
				tr.env.Host = &domainHost{tr.fakeHost, &given, cut}
				ends := tr.undo(t) == nil
				tr.env.Host = &domainHost{tr.fakeHost, &given, -1}
				a := tr.action(t).(*Convert)
				must(t, a.Undo(tr.env))
				if now := anonymous(tr.entries(t)); !maps.Equal(now, start) {
					t.Fatalf("cut off after %d changes, it is\n%q\nwas\n%q", cut, now, start)
				}
				if ends {
					if cut == 0 {
						t.Fatal("nothing was changed")
					}
					break
				}
				if cut == 0 && !strings.Contains(a.Since(), c.list+", which was "+c.moved) {
					t.Errorf("told: %q", a.Since())
				}
			}
		})
	}
}

// TestConvertFindsWhatLeft takes an entry back where somebody has moved it, out of what was converted, and tells it.
func TestConvertFindsWhatLeft(t *testing.T) {
	const moved = "cn=Alice,dc=example,dc=org"
	given := 0
	tr := startDomain(t, strings.Replace(hosttest.DirectoryLDIF, "cn: Alice\n", "cn: Alice\nobjectGUID: alice\n", 1), "ou=people,dc=example,dc=org", &given)
	start := tr.entries(t)
	must(t, tr.apply(t))
	session, err := tr.directory.OpenDirectory(t.Context(), host.DirectoryConn{})
	must(t, err)
	converted := entryAt(t, tr, alice)
	for _, c := range []host.EntryChange{{DN: alice, Delete: true}, {DN: moved, Add: converted.Attributes}} {
		must(t, session.Change(t.Context(), []host.EntryChange{c})[0])
	}
	a := tr.action(t).(*Convert)
	must(t, a.Undo(tr.env))
	now := tr.entries(t)
	if got, want := now["entry "+moved], start["entry "+alice]; got != want || len(now) != len(start) {
		t.Errorf("%d entries, were %d; it is\n%s\nwant\n%s", len(now), len(start), got, want)
	}
	if lines, err := a.Differences(tr.env); err != nil || len(lines) > 0 || !strings.Contains(a.Since(), moved) {
		t.Errorf("%q, %v; told: %q", lines, err, a.Since())
	}
}

// TestConvertGoesBackWithoutAHome: a list whose place somebody has taken away, with it or after it was moved, holds up no
// rollback, and is told.
func TestConvertGoesBackWithoutAHome(t *testing.T) {
	const unit, list, moved = "ou=lists,dc=example,dc=org", "cn=all,ou=lists,dc=example,dc=org", "cn=all,ou=people,dc=example,dc=org"
	ldif := strings.Replace(hosttest.DirectoryLDIF, "dn: cn=all,dc", "dn: "+unit+"\nobjectClass: organizationalUnit\nou: lists\n\ndn: cn=all,ou=lists,dc", 1)
	for _, kind := range []string{"moved", "deleted"} {
		t.Run(kind, func(t *testing.T) {
			given := 0
			tr := startDomain(t, ldif, "dc=example,dc=org", &given)
			start := tr.entries(t)
			must(t, tr.apply(t))
			session, err := tr.directory.OpenDirectory(t.Context(), host.DirectoryConn{})
			must(t, err)
			if kind == "moved" {
				tr.moveEntry(t, list, moved, nil)
			} else {
				must(t, session.Change(t.Context(), []host.EntryChange{{DN: list, Delete: true}})[0])
			}
			must(t, session.Change(t.Context(), []host.EntryChange{{DN: unit, Delete: true}})[0])
			stays := tr.entries(t)["entry "+moved]
			a := tr.action(t).(*Convert)
			must(t, a.Undo(tr.env))
			now := tr.entries(t)
			if now["entry "+moved] != stays || now["entry "+alice] != start["entry "+alice] {
				t.Errorf("the list is %q, was %q; another entry is %q", now["entry "+moved], stays, now["entry "+alice])
			}
			lines, err := a.Differences(tr.env)
			if told := strings.Join(lines, "\n") + a.Since(); err != nil || !strings.Contains(told, list) {
				t.Errorf("told: %q, %v", told, err)
			}
		})
	}
}

// TestConvertDropsNothingUnsaid: a list that a run which was cut off has deleted, and whose place somebody has taken away
// before it was added again, stops a resume until that is there, and is told by a rollback.
func TestConvertDropsNothingUnsaid(t *testing.T) {
	const unit, list = "ou=lists,dc=example,dc=org", "cn=all,ou=lists,dc=example,dc=org"
	ldif := strings.Replace(hosttest.DirectoryLDIF, "dn: cn=all,dc", "dn: "+unit+"\nobjectClass: organizationalUnit\nou: lists\n\ndn: cn=all,ou=lists,dc", 1)
	given := 0
	var tr *trial
	var start map[string]string
	for cut := 0; ; cut++ {
		tr = startDomain(t, ldif, "dc=example,dc=org", &given)
		start = anonymous(tr.entries(t))
		tr.env.Host = &domainHost{tr.fakeHost, &given, cut}
		if tr.apply(t) == nil {
			t.Fatal("the list is never deleted")
		}
		if tr.entries(t)["entry "+list] == "" {
			break
		}
	}
	tr.env.Host = &domainHost{tr.fakeHost, &given, -1}
	session, err := tr.directory.OpenDirectory(t.Context(), host.DirectoryConn{})
	must(t, err)
	held := entryAt(t, tr, unit)
	must(t, session.Change(t.Context(), []host.EntryChange{{DN: unit, Delete: true}})[0])
	if err := tr.apply(t); err == nil || !strings.Contains(err.Error(), list) || !strings.Contains(err.Error(), "see that "+unit+" is there again, then resume") {
		t.Errorf("a resume says %v", err)
	}
	a := tr.action(t).(*Convert)
	must(t, a.Undo(tr.env))
	if !strings.Contains(a.Since(), list+", which is not there") {
		t.Errorf("a rollback tells %q", a.Since())
	}
	must(t, session.Change(t.Context(), []host.EntryChange{{DN: unit, Add: held.Attributes}})[0])
	must(t, tr.apply(t))
	if got := tr.entries(t)["entry "+list]; !strings.Contains(got, "new-list") {
		t.Errorf("resumed when that is there again, the list is %q", got)
	}
	must(t, tr.undo(t))
	sameState(t, "taken back", anonymous(tr.entries(t)), start)
}

// limitedHost is a host whose directory answers searches below one base with this code.
type limitedHost struct {
	*fakeHost
	base string
	code uint16
}

func (h limitedHost) OpenDirectory(ctx context.Context, conn host.DirectoryConn) (host.Directory, error) {
	session, err := h.directory.OpenDirectory(ctx, conn)
	return limitedSession{session, h}, err
}

type limitedSession struct {
	host.Directory
	h limitedHost
}

func (s limitedSession) Search(ctx context.Context, req host.DirectorySearch, page func([]host.Entry) error) error {
	if req.Base == s.h.base && req.Scope == "sub" {
		return &directory.Error{Code: s.h.code}
	}
	return s.Directory.Search(ctx, req, page)
}

// TestConvertPassesOthersOver: an entry that somebody has deleted is gone, whatever another's database says to a search for
// it; one of the converted bases has to be searched, and the connection has to last.
func TestConvertPassesOthersOver(t *testing.T) {
	for _, c := range []struct {
		base string
		code uint16
		fine bool
	}{
		{"cn=accesslog", 1, true}, {"cn=accesslog", 3, true}, {"cn=accesslog", 4, true}, {"cn=accesslog", 11, true},
		{"cn=accesslog", 51, true}, {"cn=accesslog", 52, true}, {"cn=accesslog", 200, false}, {"dc=example,dc=org", 11, false},
	} {
		ldif := "dn:\nobjectClass: top\nnamingContexts: cn=accesslog\nnamingContexts: dc=example,dc=org\n\n" +
			strings.Replace(hosttest.DirectoryLDIF, "cn: Alice\n", "cn: Alice\nentryUUID: 1-alice\n", 1)
		tr := startConvert(t, ldif, oldToNew())
		must(t, tr.apply(t))
		session, err := tr.directory.OpenDirectory(t.Context(), host.DirectoryConn{})
		must(t, err)
		must(t, session.Change(t.Context(), []host.EntryChange{{DN: alice, Delete: true}})[0])
		tr.env.Host = limitedHost{tr.fakeHost, c.base, c.code}
		a := tr.action(t).(*Convert)
		if err := a.Undo(tr.env); (err == nil) != c.fine {
			t.Errorf("%s answers %d: %v", c.base, c.code, err)
			continue
		}
		if !c.fine {
			continue
		}
		lines, err := a.Differences(tr.env)
		if told := strings.Join(lines, "\n"); err != nil || !strings.Contains(told, alice+": it is gone") || strings.Count(told, `"cn=accesslog", which could not be searched`) != 1 {
			t.Errorf("%s answers %d: told %q, %v", c.base, c.code, told, err)
		}
	}
}

// TestConvertLeavesWhatLostItsName: a list that was moved, and whose name somebody has given to another one, stays.
func TestConvertLeavesWhatLostItsName(t *testing.T) {
	const list, moved = "cn=all,dc=example,dc=org", "cn=all,ou=people,dc=example,dc=org"
	given := 0
	tr := startDomain(t, hosttest.DirectoryLDIF, "dc=example,dc=org", &given)
	must(t, tr.apply(t))
	tr.moveEntry(t, list, moved, nil)
	session, err := tr.directory.OpenDirectory(t.Context(), host.DirectoryConn{})
	must(t, err)
	must(t, session.Change(t.Context(), []host.EntryChange{{DN: list, Add: map[string][]string{"objectClass": {"old-list"}, "cn": {"all"}, "objectGUID": {"of another"}}}})[0])
	stays := tr.entries(t)
	a := tr.action(t).(*Convert)
	must(t, a.Undo(tr.env))
	now := tr.entries(t)
	for _, dn := range []string{list, moved} {
		if now["entry "+dn] != stays["entry "+dn] {
			t.Errorf("%s is\n%s\nwas\n%s", dn, now["entry "+dn], stays["entry "+dn])
		}
	}
	if told := a.Since(); strings.Count(told, moved+", which stays converted") != 1 {
		t.Errorf("told: %q", told)
	}
}

// anonymous are entries without their objectGUIDs.
func anonymous(entries map[string]string) map[string]string {
	to := map[string]string{}
	for dn, text := range entries {
		words := slices.DeleteFunc(strings.Split(text, " "), func(w string) bool { return strings.HasPrefix(w, "objectGUID=") })
		to[dn] = strings.Join(words, " ")
	}
	return to
}
