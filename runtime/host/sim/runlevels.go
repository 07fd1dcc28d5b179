package sim

import (
	"cmp"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/packagesystem"
)

// The init scripts, and the links that start and stop them.

// runlevels are those in which update-rc.d defaults starts a service, then those in which it stops it.
var runlevels = []string{"2", "3", "4", "5", "0", "1", "6"}

func (sv *services) isInitScript(name string) bool {
	switch name {
	case "README", "skeleton", "rc", "rcS", "halt", "reboot", "single":
		return false
	}
	if packagesystem.IsLeftover(name) {
		return false
	}
	st, err := sv.files.Stat("/etc/init.d/" + name)
	return err == nil && st.IsRegular() && st.Mode&0o111 != 0
}

// scriptService is the service that an init script is; empty for what is no init script. systemd's
// generator drops the ending .sh.
func (sv *services) scriptService(script string) string {
	if !sv.isInitScript(script) {
		return ""
	}
	if sv.system.facts.Init == "systemd" {
		return strings.TrimSuffix(script, ".sh")
	}
	return script
}

// initScript is the path of a service's init script; empty if it has none.
func (sv *services) initScript(name string) string {
	for _, script := range []string{name, name + ".sh"} {
		if sv.scriptService(script) == name {
			return "/etc/init.d/" + script
		}
	}
	return ""
}

// sysvEnabled reports whether one of the runlevels 2 to 5 starts an init script.
func (sv *services) sysvEnabled(name string) bool {
	return slices.ContainsFunc(sv.rcLinks(name), func(l string) bool {
		return path.Base(l)[0] == 'S' && strings.Contains("2345", l[len("/etc/rc"):len("/etc/rcN")])
	})
}

// rcLinks are the links of an init script in the directories of the runlevels.
func (sv *services) rcLinks(name string) []string {
	var links []string
	for _, level := range append([]string{"S"}, runlevels...) {
		dir := "/etc/rc" + level + ".d"
		for _, e := range sv.files.entries(dir) {
			if len(e.Name) > 3 && e.Name[3:] == name && (e.Name[0] == 'S' || e.Name[0] == 'K') {
				links = append(links, path.Join(dir, e.Name))
			}
		}
	}
	return links
}

// sysvLinks makes the links of update-rc.d, or turns the start links into stop links and back. The
// numbers that insserv works out from the dependencies of all scripts are not known.
func (sv *services) sysvLinks(name string, on bool) error {
	links := sv.rcLinks(name)
	if len(links) == 0 {
		if !on {
			return nil
		}
		return sv.makeRCLinks(name)
	}
	for _, link := range links {
		dir, base := path.Split(link)
		level := strings.TrimSuffix(strings.TrimPrefix(path.Base(dir), "rc"), ".d")
		if !strings.Contains("2345", level) {
			continue
		}
		want := "S" + base[1:]
		if !on {
			want = "K" + base[1:]
		}
		if base != want {
			if sv.hasInsserv() {
				sv.unpredictOrder()
			}
			if err := sv.files.Rename(link, path.Join(dir, want)); err != nil {
				return err
			}
		}
	}
	return nil
}

// toggleScript enables or disables an init script as a live host does, which makes all links of one that has only
// those that stop it. So what makes them leaves it when it is cut short.
func (sv *services) toggleScript(name string, on bool) error {
	if links := sv.rcLinks(name); len(links) > 0 && !slices.ContainsFunc(links, couldStart) {
		if err := sv.removeRCLinks(name); err != nil {
			return err
		}
		if err := sv.makeRCLinks(name); err != nil {
			return err
		}
	}
	return sv.sysvLinks(name, on)
}

// couldStart reports whether a link is in a runlevel that update-rc.d turns links of.
func couldStart(link string) bool {
	return strings.Contains("S2345", link[len("/etc/rc"):len("/etc/rcN")])
}

// makeRCLinks makes links for the runlevels that an init script names: insserv(8) goes from runlevel to
// runlevel, update-rc.d without it makes those that start it first. What is cut short leaves the first of them.
func (sv *services) makeRCLinks(name string) error {
	start, stop := "S01", "K01"
	insserv := sv.hasInsserv()
	if insserv {
		start, stop = "S20", "K20"
		sv.unpredictOrder()
	}
	var links []string
	starts, stops := sv.runlevelsOf(name)
	for _, level := range starts {
		links = append(links, "/etc/rc"+level+".d/"+start+name)
	}
	for _, level := range stops {
		links = append(links, "/etc/rc"+level+".d/"+stop+name)
	}
	if insserv {
		slices.SortStableFunc(links, func(a, b string) int { return cmp.Compare(path.Dir(a), path.Dir(b)) })
	}
	for _, link := range links {
		if err := sv.files.mkdirAll(path.Dir(link)); err != nil {
			return err
		}
		if err := sv.files.Symlink("../init.d/"+name, link); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// removeRCLinks is update-rc.d remove. Insserv(8) leaves the links of a script that is there, if there is one.
func (sv *services) removeRCLinks(name string) error {
	links := sv.rcLinks(name)
	if len(links) > 0 && sv.hasInsserv() {
		sv.unpredictOrder()
	}
	return sv.files.unlinkAll(links)
}

// unpredictOrder reports what insserv(8) writes when the links of an init script change.
func (sv *services) unpredictOrder() {
	const why = "insserv works them out from all init scripts"
	sv.gaps.add(host.Unpredicted{What: "sequence numbers of runlevel links", Why: why, Path: "/etc/rc?.d/[SK][0-9][0-9]*"})
	if _, err := sv.files.Lstat("/etc/init.d/.depend.start"); err == nil {
		sv.gaps.add(host.Unpredicted{What: "dependencies of the init scripts", Why: why, Path: "/etc/init.d/.depend.*", Aspect: "content"})
	}
}

// hasInsserv reports whether insserv(8) orders the init scripts of this host. A fixture of System V init has it.
func (sv *services) hasInsserv() bool {
	if sv.below == nil && !sv.files.exists("/etc/insserv.conf") {
		return sv.system.facts.Init != "systemd"
	}
	if !sv.files.exists("/etc/insserv.conf") {
		return false
	}
	return sv.files.exists("/usr/lib/insserv/insserv") || sv.files.exists("/sbin/insserv")
}

// runlevelsOf are those in which an init script says that it is started and stopped.
func (sv *services) runlevelsOf(name string) (start, stop []string) {
	text, err := sv.files.readFile("/etc/init.d/" + name)
	if errors.Is(err, host.ErrUnknown) {
		return runlevels[:4], runlevels[4:]
	}
	inside := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "### BEGIN INIT INFO":
			inside = true
		case line == "### END INIT INFO":
			return start, stop
		case inside && strings.HasPrefix(line, "# Default-Start:"):
			start = strings.Fields(line[len("# Default-Start:"):])
		case inside && strings.HasPrefix(line, "# Default-Stop:"):
			stop = strings.Fields(line[len("# Default-Stop:"):])
		}
	}
	return start, stop
}

// enableScript gives an init script its links when its package is set up, and disableScript takes them away when the script is
// gone with the package.
func (sv *services) enableScript(name string) error {
	if !sv.isInitScript(name) || len(sv.rcLinks(name)) > 0 {
		return nil
	}
	return sv.sysvLinks(name, true)
}

func (sv *services) disableScript(name string) error {
	if sv.files.exists("/etc/init.d/" + name) {
		return nil
	}
	return sv.removeRCLinks(name)
}
