package e2e

import (
	"strings"
	"testing"

	"zcp2kopano/runtime/exit"
)

// TestPlannedRun simulates the stock runbook over a machine, keeps the plan, and holds the run to it, to
// its end.
func TestPlannedRun(t *testing.T) {
	t.Parallel()
	t.Run("sysv", func(t *testing.T) {
		t.Parallel()
		r := NewSite(t)
		r.WriteFile("/etc/machine-id", "00112233445566778899aabbccddeeff\n", 0o444)
		plannedRun(t, r, "kopano84", "66")
	})
	t.Run("systemd", func(t *testing.T) {
		t.Parallel()
		r := NewSite(t, Systemd())
		r.BindRepositories()
		plannedRun(t, r, "kopano87", "118")
	})
}

func plannedRun(t *testing.T, r *Root, repository, schema string) {
	const plan = "/root/evening.plan"
	m := Migration{Repository: repository}
	if res := r.Finish(r.program("simulate", append([]string{"--live", "--plan", plan}, m.args()...)...)); res.Code != 0 {
		t.Fatalf("simulate: exit status %d\n%s", res.Code, res.Output)
	}
	run := func() Result {
		return r.Finish(r.program("run", append([]string{"--yes", "--plan", plan}, m.args()...)...))
	}
	// the machine gives the accounts of the packages other numbers than the simulation did
	r.with("/etc/login.defs", func(text string) string { return text + "\nSYS_UID_MAX 555\nSYS_GID_MAX 555\n" })
	repair := r.with("/etc/zarafa/gateway.cfg", func(text string) string { return text + "imap_enable = yes\n" })
	if res := run(); res.Code != exit.Differs || !strings.Contains(res.Output, "differs from its plan") || !strings.Contains(res.Output, " was ") {
		t.Errorf("an edited file: exit status %d\n%s", res.Code, res.Output)
	}
	repair()
	r.mailComes()
	if res := run(); res.Code != 0 {
		t.Fatalf("run: exit status %d\n%s", res.Code, res.Output)
	}
	everythingRunsAt(t, r, schema)
	if uid := strings.TrimSpace(r.Must("id", "-u", "kopano")); len(uid) != 3 || uid > "555" {
		t.Errorf("the user kopano has the number %s", uid)
	}
	if res := r.Finish(r.program("rollback", "--yes")); res.Code != exit.RollbackIncomplete {
		t.Errorf("rollback: exit status %d\n%s", res.Code, res.Output)
	}
	if res := run(); res.Code != exit.Failed || !strings.Contains(res.Output, "unfinished") {
		t.Errorf("the plan again: exit status %d\n%s", res.Code, res.Output)
	}
}

// mailComes is what goes on while a plan waits for its evening: mail with attachments, files in /tmp.
func (r *Root) mailComes() {
	r.t.Helper()
	r.WriteFile("/tmp/session/x", "x", 0o600)
	r.WriteFile("/var/lib/zarafa/attachments/7/7/999007", "an attachment", 0o640)
	r.Chown("/var/lib/zarafa/attachments/7/7/999007", "zarafa", "zarafa")
	r.SQL("INSERT INTO zarafa.singleinstances VALUES (999007, 999007, 14081); INSERT INTO zarafa.names (nameid, guid) VALUES (9907, 'sixteen bytes at')")
}
