package e2e

import (
	"strings"
	"testing"
)

// TestMigrationUbuntu simulates the stock runbook and carries it out for real on Ubuntu's releases: System
// V and PHP 5 on the oldest, systemd and PHP 7 on the newest that ZCP came to. Kopano's bindings take
// the place of ZCP's.
func TestMigrationUbuntu(t *testing.T) {
	for _, c := range []struct {
		version, zcpPHP, kopanoPHP string
		opts                       []Option
	}{
		{"14.04", "php5-mapi", "php5-mapi", nil},
		{"18.04", "php7-mapi", "php7-mapi", []Option{Systemd()}},
	} {
		t.Run(c.version, func(t *testing.T) {
			t.Parallel()
			r := BuildSite(t, append(c.opts, Ubuntu(c.version))...)
			r.AddRepository("zcp-ubuntu" + c.version)
			r.Install(c.zcpPHP)
			m := Migration{Repository: "ubuntu" + c.version}
			simulated := r.Rehearse(Simulation{Migration: m})
			if simulated.Verdict.Code != 0 {
				t.Fatalf("simulation: %+v\n%s", simulated.Verdict, strings.Join(simulated.Errors, "\n"))
			}
			if res := r.Migrate(m); res.Code != 0 {
				t.Fatalf("exit status %d\n%s", res.Code, res.Output)
			}
			if got := r.Must("dpkg-query", "-W", "-f", "${Maintainer}", c.kopanoPHP); !strings.Contains(got, "kopano") {
				t.Errorf("%s is of %s", c.kopanoPHP, got)
			}
		})
	}
}
