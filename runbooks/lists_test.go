package runbooks_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zcp2kopano/builtins"
	"zcp2kopano/runbooks"
	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/sim"
	"zcp2kopano/runtime/journal"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
	"zcp2kopano/runtime/state"
	"zcp2kopano/runtime/story"
)

// countingLists is a runbook that counts the members of lists twice, as before and after a migration.
const countingLists = `
load("@stock//lib/directoryvalues.star", "directory_values")
load("@stock//lib/ldapcfg.star", "directory_of")

def look_twice():
    """Count."""
    directory = directory_of("/etc/zarafa/ldap.openldap.cfg", cfg.read("/etc/zarafa/ldap.openldap.cfg"), "7.1.15", False)
    before = directory_values(directory)
    counted = len([name for name in before if name.startswith("members of ")])
    info("counted", "%d lists, then %s" % (counted, "the same" if directory_values(directory, before) == before else "others"), "")

runbook = define(steps = [look_twice])
`

// countedSearches counts the searches for members of lists, by filter.
type countedSearches struct {
	*sim.Host
	by map[string]int
}

func (h countedSearches) SearchPages(ctx context.Context, conn host.DirectoryConn, req host.DirectorySearch, page func([]host.Entry) error) error {
	if strings.Contains(req.Filter, "(mail=l") {
		h.by[req.Filter]++
	}
	return h.Host.SearchPages(ctx, conn, req, page)
}

// TestListsAreCountedOnce searches once for lists that have the same filter, and for no more than 200 of different
// ones, the same both times; and says so.
func TestListsAreCountedOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lists.star")
	if err := os.WriteFile(file, []byte(countingLists), 0o644); err != nil {
		t.Fatal(err)
	}
	book, err := runbook.Load(t.Context(), script.LoadOptions{Name: file, Stock: runbooks.FS, Builtins: builtins.All()})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		lists, filters, searches int
		counted                  string
		sampled                  bool
	}{
		{lists: 300, filters: 2, searches: 2, counted: "300 lists, then the same"},
		{lists: 250, filters: 250, searches: 200, counted: "200 lists, then the same", sampled: true},
	} {
		var entries strings.Builder
		for i := range c.lists {
			fmt.Fprintf(&entries, "dn: cn=l%d,ou=people,dc=example,dc=net\nobjectClass: zarafa-addresslist\ncn: l%d\nzarafaFilter: (mail=l%d@example.net)\n\n", i, i, i%c.filters)
		}
		h := countedSearches{stockHost(t, "debian8-zcp71-ldap.txtar", func(text string) string {
			return edited(t, text, []string{
				"ldap_addresslist_type_attribute_value = zarafa-addresslist\n",
				"ldap_addresslist_type_attribute_value = zarafa-addresslist\nldap_addresslist_filter_attribute = zarafaFilter\n",
				"objectClass: zarafa-addresslist\n", "objectClass: applicationProcess\n",
				"dn: uid=backup,", entries.String() + "dn: uid=backup,",
			})
		}), map[string]int{}}
		found := map[string]string{}
		v := engine.Execute(t.Context(), engine.Config{
			Mode: "simulate", ID: "simulate", Runbook: book, Host: h, HostLabel: "an example",
			Dir: "/var/lib/zcp2kopano/runs/simulate", Journal: journal.Memory("test", time.Now), Keeper: state.Memory(), Version: "test", Now: time.Now,
			Emit: func(e story.Event) {
				if e.Finding != nil {
					found[e.Finding.Title] = e.Finding.Reason
				}
			},
		})
		sample, sampled := found["the members of a sample of the lists are compared"]
		if v.Code != exit.Done || found["counted"] != c.counted || sampled != c.sampled || len(h.by) != c.searches {
			t.Errorf("%+v: %+v, %q, sampled: %q, %d searches", c, v, found, sample, len(h.by))
		}
		for filter, n := range h.by {
			if n != 2 {
				t.Errorf("%+v: %d searches for %s", c, n, filter)
			}
		}
	}
}
