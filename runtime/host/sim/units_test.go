package sim

import (
	"testing"

	"zcp2kopano/runtime/host"
)

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

// TestPresetsAndHeldStarts: where a package of rpm has the presets decide whether its service is enabled, those of the host
// do, the first line that fits; and no script starts a service that a file of ours holds off. The same is seen of systemd
// itself in cmd/e2e.
func TestPresetsAndHeldStarts(t *testing.T) {
	const offered = "-- available --\nPackage: a\nVersion: 1-1\nArchitecture: noarch\nScripts: post\nEffects:\n post preset a\n post start a\n post nothing-else\n" +
		"Files:\n /usr/sbin/a 0755 10\n /usr/lib/systemd/system/a.service 0644 200\n\n"
	preset := func(name, text string) string {
		return "-- /usr/lib/systemd/system-preset/" + name + ".preset --\n" + text + "\n"
	}
	for name, c := range map[string]struct {
		files           string
		enabled, active bool
	}{
		"no presets are known":           {"", false, true},
		"the last disables all":          {preset("99-default", "disable *"), false, true},
		"one before it enables":          {preset("99-default", "disable *") + preset("50-site", "enable a*"), true, true},
		"the first decides":              {preset("50-site", "enable a.service") + preset("10-other", "disable a.service"), false, true},
		"none fits":                      {preset("50-site", "disable b.service"), true, true},
		"it is held off":                 {"-- /run/systemd/system/a.service.d/hold.conf --\n# by hand: remove it; ConditionPathExists=\n[Unit]\nConditionPathExists=!/\n", false, false},
		"a condition that is met":        {"-- /run/systemd/system/a.service.d/x.conf --\n[Unit]\nConditionPathExists=/usr/sbin\n", false, true},
		"one that only systemd can tell": {"-- /run/systemd/system/a.service.d/x.conf --\n[Unit]\nConditionPathExists=/etc/%p.conf\n", false, true},
		"one that is taken back": {"-- /etc/systemd/system/a.service.d/x.conf --\n[Unit]\nConditionPathExists=/none\n" +
			"-- /run/systemd/system/a.service.d/y.conf --\n[Unit]\nConditionPathExists=\n", false, true},
	} {
		h := hostOf(t, "-- host --\ninit: systemd\nmanager: yum 3.4.3\n"+offered+c.files)
		mustDo(t, h.CommitPackages(t.Context(), host.Transaction{Install: []string{"a"}}, nil))
		list, err := h.Services("a")
		mustDo(t, err)
		if len(list) != 1 || list[0].Enabled != c.enabled || list[0].Active != c.active {
			t.Errorf("%s: %+v, want enabled %v, active %v", name, list, c.enabled, c.active)
		}
	}
}
