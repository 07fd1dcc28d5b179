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
		plannedRun(t, r, Migration{Repository: "kopano84"}, "66", func(t *testing.T, run func() Result) Result { return run() })
	})
	t.Run("systemd", func(t *testing.T) {
		t.Parallel()
		r := NewSite(t, Systemd())
		r.BindRepositories()
		r.SQL("INSERT INTO zarafa.names (nameid, namestring, guid) SELECT nameid, namestring, guid FROM zarafa.names")
		plannedRun(t, r, Migration{Repository: "kopano87", Params: []string{"names=repair"}}, "118", func(t *testing.T, run func() Result) Result {
			return mishapsOfRepair(t, r, run)
		})
	})
}

// mishapsOfRepair has kopano-dbadm, which joins duplicate names (K-1216), fail, and the run killed while it works. Kopano's
// server, which would stop at them, does not start before it is done.
func mishapsOfRepair(t *testing.T, r *Root, run func() Result) Result {
	const mishap = "/run/kopano-dbadm"
	untouched := func(when string) {
		t.Helper()
		if server, schema := r.processOf("kopano-server"), r.revision(); server != "" || schema != "64" {
			t.Errorf("%s: the server's process is %q, and the schema %s", when, server, schema)
		}
	}
	r.WriteFile(mishap, "fail\n", 0o644)
	if res := run(); res.Code != exit.Failed || !strings.Contains(squeezed(res.Output), "kopano-dbadm k-1216") || !strings.Contains(squeezed(res.Output), "cannot connect to the database") {
		t.Errorf("the tool failed: exit status %d\n%s", res.Code, res.Output)
	}
	untouched("the tool failed")

	r.WriteFile(mishap, "hang\n", 0o644)
	resume := r.program("resume", "--yes")
	ended := make(chan Result, 1)
	go func() {
		res, _ := r.finish(resume)
		ended <- res
	}()
	r.await(t, "the tool", func() bool {
		if len(ended) > 0 {
			t.Fatalf("the run ended before the tool hung: %+v", <-ended)
		}
		return r.ReadFile(mishap) == "half-way\n"
	})
	r.Must("pkill", "-KILL", "-f", "^"+Program+" worker")
	<-ended
	r.Run("pkill", "-KILL", "-x", "kopano-dbadm")
	untouched("the run was killed")

	r.Must("rm", mishap)
	res := r.Finish(r.program("resume", "--yes"))
	if twice := r.SQL("SELECT nameid, namestring FROM zarafa.names GROUP BY guid, nameid, namestring HAVING COUNT(*) > 1"); twice != "" {
		t.Errorf("names stand twice:\n%s", twice)
	}
	return res
}

// plannedRun has carryOut begin the run that keeps to the plan, and end it whatever comes between.
func plannedRun(t *testing.T, r *Root, m Migration, schema string, carryOut func(*testing.T, func() Result) Result) {
	const plan = "/root/evening.plan"
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
	if res := carryOut(t, run); res.Code != 0 {
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
