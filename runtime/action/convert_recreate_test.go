package action

import (
	"fmt"
	"strings"
	"testing"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/directory"
	"zcp2kopano/runtime/host/hosttest"
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
		if ends {
			return
		}
	}
}

// cutAt has the connection break before a change, and does it again without; it tells whether that was never come to.
func cutAt(t *testing.T, tr *trial, cut int, do func(Action) error) (ends bool) {
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
	if err := do(tr.action(t)); err != nil {
		t.Fatalf("cut off before change %d, then again: %v", cut, err)
	}
	return !broken
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
