package sim

import "testing"

// TestUnitsWithMergedUsr: what a unit is linked to when it is enabled is a matter of whose systemd it is.
func TestUnitsWithMergedUsr(t *testing.T) {
	for manager, want := range map[string]string{"apt 1.8": "/lib/systemd/system/a.service", "yum 3.4.3": "/usr/lib/systemd/system/a.service"} {
		h := hostOf(t, "-- host --\nbase: none\ninit: systemd\nmanager: "+manager+"\n"+
			"-- tree --\nd0755 root:root - - /etc\nl0777 root:root - - /lib -> usr/lib\n-- /usr/lib/systemd/system/a.service --\n[Install]\nWantedBy=multi-user.target\n")
		mustDo(t, h.EnableService("a"))
		if got, err := h.Readlink("/etc/systemd/system/multi-user.target.wants/a.service"); err != nil || got != want {
			t.Errorf("%s: a is linked to %q, %v; want %q", manager, got, err, want)
		}
	}
}
