package runbooks_test

import (
	"slices"
	"strings"
	"testing"

	"zcp2kopano/runtime/exit"
	"zcp2kopano/testdata/hosts"
)

// TestStockCopiesAhead has the attachments copied to another file system before ZCP is stopped, wherever the dump is
// made, and moved after that.
func TestStockCopiesAhead(t *testing.T) {
	for _, tc := range []struct {
		name   string
		mount  string
		dump   string
		copies bool
	}{
		{"a mount of their own", attachmentDisk, "running", true}, // with its lost+found
		{"ZCP stops before the dump", attachmentDisk, "stopped", true},
		{"Kopano has a disk of its own", "/var/lib/kopano /dev/sdb1 ext4 100G 90G", "running", true},
		{"one disk", "", "running", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := stockHost(t, hosts.Example, func(text string) string {
				if tc.mount == "" {
					return text
				}
				text = withMounts(t, strings.TrimSpace(rootMount), tc.mount)(text)
				return strings.Replace(text, "-- tree --\n", "-- tree --\nd0755 root:root - - "+strings.Fields(tc.mount)[0]+"\nd0700 root:root - - "+strings.Fields(tc.mount)[0]+"/lost+found\n", 1)
			})
			before, err := h.Lstat("/var/lib/zarafa/attachments/5")
			if err != nil {
				t.Fatal(err)
			}
			played := playStock(t, h, map[string]string{"attachments": "presync", "dump": tc.dump, "paranoid": "true"})
			if played.verdict.Code != exit.Done {
				t.Fatalf("%+v\n%s\n%s", played.verdict, strings.Join(played.serious, "\n"), strings.Join(played.reasons, "\n"))
			}
			at := func(text string) int {
				return slices.IndexFunc(played.changes, func(c string) bool { return strings.Contains(c, text) })
			}
			copied, stopped, moved := at("ahead of their move"), at("stop zarafa-server"), at("move the contents of /var/lib/zarafa/attachments")
			if (copied >= 0) != tc.copies || tc.copies && copied > stopped || moved < stopped || stopped < 0 {
				t.Errorf("copied %d, stopped %d, moved %d: %s", copied, stopped, moved, strings.Join(played.changes, "\n"))
			}
			dumped, settled, noted := at("dump database"), at("bring the copy"), at("note what")
			if tc.copies && (copied > dumped || settled < stopped || settled > noted || (stopped < dumped) != (tc.dump == "stopped")) {
				t.Errorf("copied %d, dumped %d, stopped %d, settled %d, noted %d: %s", copied, dumped, stopped, settled, noted, strings.Join(played.changes, "\n"))
			}
			after, err := h.Lstat("/var/lib/kopano/attachments/5")
			if err != nil || (after.Dev != before.Dev) != tc.copies {
				t.Errorf("%+v, before %+v: %v", after, before, err)
			}
			if _, err := h.Lstat("/var/lib/kopano/attachments/.zcp2kopano-presync"); err == nil {
				t.Error("the first copy is left")
			}
		})
	}
}

// TestStockTellsWhatIsNotCopiedAhead has the attachments stay though they were to be copied.
func TestStockTellsWhatIsNotCopiedAhead(t *testing.T) {
	h := stockHost(t, hosts.Example, func(text string) string {
		text = withMounts(t, strings.TrimSpace(rootMount), attachmentDisk)(text)
		return strings.Replace(text, "-- tree --\n", "-- tree --\nd0755 root:root - - /var/lib/zarafa/attachments\nd0755 root:root - - /var/lib/zarafa/attachments/index\n", 1)
	})
	played := playStock(t, h, map[string]string{"attachments": "presync"})
	if !slices.Contains(played.serious, "warning: the attachments stay in /var/lib/zarafa/attachments") {
		t.Errorf("%q", played.serious)
	}
}

// TestRollbackOfWhatWasCopiedAhead goes back once the move has taken the copy up: it is not missed, though it was there when
// the packages came.
func TestRollbackOfWhatWasCopiedAhead(t *testing.T) {
	routes := otherRoutes(t)
	g := newGoal(t, routes[slices.IndexFunc(routes, func(r route) bool { return r.params["attachments"] == "presync" })])
	w := g.kit.world(t)
	if v := w.run(g.kit, &trap{}); v.Code != exit.Done {
		t.Fatal(v.Text)
	}
	if err := g.rolledBack(w); err != nil {
		t.Error(err)
	}
}
