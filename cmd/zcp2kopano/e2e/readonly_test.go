package e2e

import (
	"strings"
	"testing"

	"zcp2kopano/runtime/host/manifest"
)

// hostile tries to write by every kind of change that a runbook has, as far as a policy can be made
// to allow it.
const hostile = `"""Change all that can be named."""

def everything():
    """Change the machine by every builtin."""
    fs.write("/etc/zarafa/server.cfg", "gone")
    fs.write("/etc/hostile", "* * * * * root true")
    fs.mkdir("/etc/zarafa/new", mode = "0777")
    fs.symlink("/etc/shadow", "/etc/zarafa/link", replace = True)
    fs.copy("/etc/zarafa", "/srv/copy")
    fs.move("/var/lib/zarafa/attachments", "/srv/attachments")
    fs.remove("/etc/zarafa")
    chown("/var/lib/zarafa", owner = "nobody", dir_mode = "0777")
    for s in svc.list("zarafa-*"):
        svc.stop(s.name)
        svc.disable(s.name)
    pkg.remove([p.name for p in pkg.installed(pattern = "zarafa*")], purge = True)

runbook = define(
    steps = [everything],
    allow = policy(
        write = ["/etc/zarafa", "/etc/hostile", "/srv/copy", "/srv/attachments", "/var/lib/zarafa"],
        packages = ["*"],
        services = ["*"],
    ),
)
`

// TestSimulationWritesNothing takes the whole machine down before and after simulations of it, times
// included: also after one of a runbook that means harm.
func TestSimulationWritesNothing(t *testing.T) {
	r := NewSite(t)
	r.BindRepositories()
	r.InstallProgram()
	r.WriteFile("/root/hostile.star", hostile, 0o600)
	// The bed lays the program anew for each call; nothing else may differ.
	whole := manifest.Options{Times: true, Ignore: []string{"/proc", "/sys", "/dev", Program}}
	before := r.Manifest(whole)
	stock := Migration{Repository: "kopano84"}
	for name, args := range map[string][]string{
		"stock":   append([]string{"simulate", "--live"}, stock.args()...),
		"hostile": {"simulate", "/root/hostile.star", "--live"},
	} {
		res := r.Zcp2kopano(args...)
		if res.Code != 0 || !strings.Contains(res.Output, "the simulation succeeded") {
			t.Errorf("%s: exit status %d\n%s", name, res.Code, res.Output)
		}
		if !strings.Contains(res.Output, "seccomp") {
			t.Errorf("%s: the report does not say what kept the process from writing", name)
		}
		if diff := manifest.Compare(before, r.Manifest(whole), nil); len(diff) > 0 {
			t.Errorf("%s: the machine is another one:\n%s", name, manifest.Table(diff, "before", "after"))
		}
	}
}
