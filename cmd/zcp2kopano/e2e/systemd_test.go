package e2e

import (
	"os"
	"slices"
	"strings"
	"testing"

	"zcp2kopano/runtime/host/manifest"
)

func TestSystemdBootsAndGoes(t *testing.T) {
	var group string
	t.Run("root", func(t *testing.T) {
		r := NewRoot(t, Systemd())
		group = r.cgroup.dir
		if got := strings.TrimSpace(r.Must("cat", "/proc/1/comm")); got != "systemd" {
			t.Errorf("the first process is %q", got)
		}
		for _, unit := range []string{"dbus.service", "systemd-logind.service"} {
			r.Must("systemctl", "is-active", unit)
		}
		if res := r.Run("sh", "-c", "echo 1 >/proc/sys/vm/overcommit_memory"); res.Code == 0 {
			t.Error("the root can change the settings of this machine's kernel")
		}
		before := r.State()
		if diffs := manifest.Compare(before, r.State(), nil); len(diffs) != 0 {
			t.Errorf("the state changes by itself:\n%s", manifest.Table(diffs, "first", "second"))
		}
	})
	if _, err := os.Lstat(group); group == "" || !os.IsNotExist(err) {
		t.Errorf("the control group %s outlives the root: %v", group, err)
	}
}

// TestMigrationSystemd carries the stock runbook out to Kopano 8.7, whose packages bring units only,
// on a host with systemd. The final state is held to the golden list, and to what the simulation said.
func TestMigrationSystemd(t *testing.T) {
	r := NewSite(t, Systemd())
	m := Migration{Repository: "kopano87"}
	r.BindRepositories()
	before := r.State()
	simulated := r.Rehearse(Simulation{Migration: m})
	if simulated.Verdict.Code != 0 {
		t.Fatalf("simulation: %+v\n%s", simulated.Verdict, strings.Join(simulated.Errors, "\n"))
	}
	if diffs := manifest.Unexcused(manifest.Compare(simulated.Start, before, nil)); len(diffs) != 0 {
		t.Errorf("the simulation does not start from this host:\n%s", manifest.Table(diffs, "simulated", "real"))
	}
	res := r.Migrate(m)
	if res.Code != 0 {
		t.Fatalf("exit status %d\n%s", res.Code, res.Output)
	}
	after := r.State()
	golden(t, "systemd", changes(before, after))
	compareEnds(t, simulated, after)
	sameData(t, before, after, "/var/lib/zarafa/attachments", "/var/lib/kopano/attachments", 500)
	for _, daemon := range []string{"server", "dagent", "spooler", "gateway", "ical", "monitor", "search"} {
		if got := after.Services["kopano-"+daemon]; got != "active enabled" {
			t.Errorf("kopano-%s is %q", daemon, got)
		}
		if !slices.Contains(r.Processes(), "kopano-"+daemon) {
			t.Errorf("kopano-%s has no process", daemon)
		}
	}
	secondRunChangesNothing(t, r, after)
}
