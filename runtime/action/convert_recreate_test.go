package action

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/directory"
	"zcp2kopano/runtime/host/hosttest"
	"zcp2kopano/runtime/host/sim"
)

// asActiveDirectory refuses what such a server does (seen with Samba 4.17): controls that it does not know, and a class
// that comes with its attributes. The simulated server itself lets no structural class be changed.
func asActiveDirectory(c host.EntryChange) error {
	switch {
	case c.Relax:
		return &directory.Error{Code: 12}
	case len(c.Values) > 1 && !c.Values[0].Delete && c.Values[0].Attribute == "objectClass":
		return &directory.Error{Code: 65}
	}
	return nil
}

const anActiveDirectory = "dn:\nobjectClass: top\nsupportedCapabilities: " + directory.ActiveDirectory + "\n\n"

// TestConvertActiveDirectory converts entries of such a server in two steps, and makes those of structural classes
// again. Cut off before every change that it makes, there and back, it is brought to its end.
func TestConvertActiveDirectory(t *testing.T) {
	for cut := 1; ; cut++ {
		tr := startConvert(t, anActiveDirectory+hosttest.DirectoryLDIF, oldToNew())
		start := tr.entries(t)
		back := startConvert(t, anActiveDirectory+hosttest.DirectoryLDIF, oldToNew())
		brokenAt(t, back, cut, func(a Action) error { _, err := a.Apply(back.env); return err })
		must(t, back.action(t).Undo(back.env))
		sameState(t, fmt.Sprintf("cut off before change %d, then rolled back", cut), back.entries(t), start)
		ends := cutAt(t, tr, cut, func(a Action) error { _, err := a.Apply(tr.env); return err })
		for dn, text := range tr.entries(t) {
			if strings.Contains(text, "old-list") || strings.Contains(text, "oldQuota=") {
				t.Fatalf("cut off before change %d, then resumed: %s is %s", cut, dn, text)
			}
		}
		if got := len(tr.entries(t)); got != len(start) {
			t.Fatalf("cut off before change %d: %d entries, were %d", cut, got, len(start))
		}
		ends = cutAt(t, tr, cut, func(a Action) error { return a.Undo(tr.env) }) && ends
		sameState(t, fmt.Sprintf("cut off before change %d, then taken back", cut), tr.entries(t), start)
		if lines, err := tr.action(t).(*Convert).Differences(tr.env); err != nil || strings.Contains(strings.Join(lines, "\n"), "not as before") {
			t.Fatalf("cut off before change %d, then taken back, it tells %q, %v", cut, lines, err)
		}
		if ends {
			return
		}
	}
}

// cutAt has the connection break before a change, and does it again without; it tells whether that was never come to.
func cutAt(t *testing.T, tr *trial, cut int, do func(Action) error) (ends bool) {
	t.Helper()
	ends = brokenAt(t, tr, cut, do)
	if err := do(tr.action(t)); err != nil {
		t.Fatalf("cut off before change %d, then again: %v", cut, err)
	}
	return ends
}

// brokenAt has the connection break before a change; afterwards it lasts.
func brokenAt(t *testing.T, tr *trial, cut int, do func(Action) error) (ends bool) {
	t.Helper()
	broken := false
	tr.env.Host = refusingHost{tr.fakeHost, func(n int, c host.EntryChange) error {
		if broken = broken || n >= cut; broken {
			return &directory.Error{Code: 200}
		}
		return asActiveDirectory(c)
	}}
	if err := do(tr.action(t)); (err != nil) != broken {
		t.Fatalf("cut off before change %d: %v", cut, err)
	}
	tr.env.Host = refusingHost{tr.fakeHost, func(_ int, c host.EntryChange) error { return asActiveDirectory(c) }}
	return !broken
}

// adSchema says what only the server gives, as Samba does: of back links, and of objectClass, which has to be given.
var adSchema = strings.Replace(standardSchema, "objectIdentifierMatch )", "objectIdentifierMatch NO-USER-MODIFICATION )", 1) +
	"attributeTypes: ( 1.2.840.113556.1.2.130 NAME 'authOrigBL' NO-USER-MODIFICATION USAGE directoryOperation )\n"

// TestConvertLosesNoEntry leaves an entry alone that the server would not let be added again, as it was or as it is to
// be, whatever the reason; and nothing is left of the copy by which that was seen.
func TestConvertLosesNoEntry(t *testing.T) {
	const list = "cn: all\n"
	of := func(class string) func(host.EntryChange) bool {
		return func(c host.EntryChange) bool { return slices.Contains(c.Add["objectClass"], class) }
	}
	for name, c := range map[string]struct {
		more   string // of the entry
		refuse func(host.EntryChange) bool
		want   string
	}{
		"no right to add":               {"", func(c host.EntryChange) bool { return c.Add != nil }, "the user lacks the right"},
		"no right to add the old class": {"", of("old-list"), "the user lacks the right"},
		"no right to add the new class": {"", of("new-list"), "the user lacks the right"},
		"what only the server gives":    {"authOrigBL: cn=Bob\\, no 2,ou=people,dc=example,dc=org\n", nil, "authOrigBL"},
		"no right to delete":            {"", func(c host.EntryChange) bool { return c.Delete && strings.HasPrefix(c.DN, "cn=all,") }, "the user lacks the right"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newFake()
			must(t, h.PutDir("/var/lib/zcp2kopano", 0o700, 0, 0))
			h.directory = directoryHost(t, anActiveDirectory+strings.Replace(hosttest.DirectoryLDIF, list, list+c.more, 1),
				standardSchema, adSchema)
			tr := &trial{fakeHost: h, env: newEnv(h)}
			must(t, tr.prepare(t, oldToNew()))
			start := tr.entries(t)
			tr.env.Host = refusingHost{h, func(_ int, change host.EntryChange) error {
				if c.refuse != nil && c.refuse(change) {
					return &directory.Error{Code: 50}
				}
				return asActiveDirectory(change)
			}}
			a := tr.action(t)
			if _, err := a.Apply(tr.env); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "cn=all") {
				t.Errorf("%v, want %q", err, c.want)
			}
			sameState(t, "refused", tr.entries(t), start)
			must(t, a.Undo(tr.env))
			sameState(t, "taken back", tr.entries(t), start)
		})
	}
}

// TestConvertKeepsGroups refuses an entry that would be lost to a group when it is made again.
func TestConvertKeepsGroups(t *testing.T) {
	h := newFake()
	must(t, h.PutDir("/var/lib/zcp2kopano", 0o700, 0, 0))
	h.directory = directoryHost(t, anActiveDirectory+strings.Replace(hosttest.DirectoryLDIF, "cn: all\n", "cn: all\nmemberOf: cn=group\n", 1))
	if _, err := oldToNew().Prepare(newEnv(h)); err == nil || !strings.Contains(err.Error(), "take it out of cn=group first") {
		t.Error(err)
	}
}

// TestConvertTellsWhatIsMadeAgain does not say that all is as before where a list has another objectGUID than it had.
func TestConvertTellsWhatIsMadeAgain(t *testing.T) {
	for name, c := range map[string]struct {
		cut  int // the change before which the connection breaks; 0 for none
		told bool
	}{"taken back": {0, true}, "cut off before anything was made again": {1, false}} {
		t.Run(name, func(t *testing.T) {
			ldif := anActiveDirectory + strings.Replace(hosttest.DirectoryLDIF, "cn: all\n", "cn: all\nobjectGUID: 0123456789abcdef\n", 1)
			h := newFake()
			must(t, h.PutDir("/var/lib/zcp2kopano", 0o700, 0, 0))
			h.directory = directoryHost(t, ldif, standardSchema, standardSchema+"attributeTypes: ( 1.2.840.113556.1.4.2 NAME 'objectGUID' NO-USER-MODIFICATION USAGE directoryOperation )\n")
			tr := &trial{fakeHost: h, env: newEnv(h)}
			must(t, tr.prepare(t, oldToNew()))
			if c.cut > 0 {
				brokenAt(t, tr, c.cut, func(a Action) error { _, err := a.Apply(tr.env); return err })
			} else {
				must(t, tr.apply(t))
			}
			a := tr.action(t).(*Convert)
			must(t, a.Undo(tr.env))
			lines, err := a.Differences(tr.env)
			must(t, err)
			if got := strings.Join(lines, "\n"); strings.Contains(got, "another objectGUID") != c.told || strings.Contains(got, "cn=all") != c.told || len(lines) > 1 {
				t.Errorf("told: %q", got)
			}
		})
	}
}

// severalServers is a host whose directory's name stands for several servers: a new connection reaches one that has not
// been told yet what the session has changed.
type severalServers struct {
	*fakeHost
	late *sim.Host
}

func (severalServers) Sleep(context.Context, time.Duration) error { return nil }

func (h severalServers) SearchPages(ctx context.Context, conn host.DirectoryConn, req host.DirectorySearch, page func([]host.Entry) error) error {
	return h.late.SearchPages(ctx, conn, req, page)
}

// TestConvertBySeveralServers reads from the server that it writes to.
func TestConvertBySeveralServers(t *testing.T) {
	for name, ldif := range map[string]string{"a domain": anActiveDirectory + hosttest.DirectoryLDIF, "another": hosttest.DirectoryLDIF} {
		t.Run(name, func(t *testing.T) {
			tr := startConvert(t, ldif, oldToNew())
			start := tr.entries(t)
			a := tr.action(t)
			tr.env.Host = severalServers{tr.fakeHost, directoryHost(t, ldif)}
			_, err := a.Apply(tr.env)
			must(t, err)
			must(t, a.Undo(tr.env))
			sameState(t, "taken back", tr.entries(t), start)
		})
	}
}

// TestConvertTakesNoCopyForAnEntry: the next page is read while one is converted, and can have what the conversion adds
// beside an entry and takes away again.
func TestConvertTakesNoCopyForAnEntry(t *testing.T) {
	const list = "cn=All\\, of us,ou=lists,dc=example,dc=org"
	name, err := copyOf(list)
	must(t, err)
	a := oldToNew()
	a.ad = true
	var seen []string
	must(t, a.each(func(_ host.DirectorySearch, page func([]host.Entry) error) error {
		return page([]host.Entry{{DN: list}, {DN: name.String()}})
	}, func(page []host.Entry) error {
		for _, e := range page {
			seen = append(seen, e.DN)
		}
		return nil
	}))
	if !slices.Equal(seen, []string{list}) {
		t.Errorf("%q", seen)
	}
}
