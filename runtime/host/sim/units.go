package sim

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"zcp2kopano/runtime/host"
)

// The files and links by which systemd knows services.

// unitDirs are searched in this order, as systemd does.
var unitDirs = []string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/lib/systemd/system", "/usr/lib/systemd/system"}

// unitFile is the path of a service's unit file, or of its template's; empty if it has none.
func (sv *services) unitFile(name string) string {
	if sv.system.facts.Init != "systemd" {
		return ""
	}
	names := []string{name}
	if template, _, found := strings.Cut(name, "@"); found {
		names = append(names, template+"@")
	}
	for _, name := range names {
		for _, dir := range sv.unitDirs() {
			file := path.Join(dir, name+".service")
			if _, err := sv.files.Lstat(file); err == nil {
				return file
			}
		}
	}
	return ""
}

// unitDirs are those that the systemd of the distribution searches: Debian's is built for a /usr of its own, and says
// /lib also where that leads into /usr; Red Hat's and SUSE's say /usr/lib.
func (sv *services) unitDirs() []string {
	if sv.system.packager.splitUsr() {
		return unitDirs
	}
	return slices.DeleteFunc(slices.Clone(unitDirs), func(dir string) bool { return dir == "/lib/systemd/system" })
}

// isAlias reports whether a unit is only another name of one. Of one that is masked systemd does not
// know that any more: the alias then counts as a masked service of its own.
func (sv *services) isAlias(name string) bool {
	unit := sv.unitFile(name)
	if unit == "" {
		return false
	}
	target, err := sv.files.Readlink(unit)
	if err != nil || !strings.HasSuffix(target, ".service") {
		return false
	}
	other := strings.TrimSuffix(path.Base(target), ".service")
	return other != name && !strings.HasSuffix(other, "@") && !sv.isMasked(other)
}

// isMasked follows aliases.
func (sv *services) isMasked(name string) bool {
	for range 8 {
		unit := sv.unitFile(name)
		if unit == "" {
			return false
		}
		target, err := sv.files.Readlink(unit)
		switch {
		case err != nil:
			return false
		case target == maskUnit:
			return true
		}
		name = strings.TrimSuffix(path.Base(target), ".service")
	}
	return false
}

// enabledInstances are the instances of templates (name@instance) that are started at boot.
func (sv *services) enabledInstances() []string {
	var names []string
	for _, e := range sv.files.entries("/etc/systemd/system") {
		if !isWantsDir(e.Name) {
			continue
		}
		for _, link := range sv.files.entries(path.Join("/etc/systemd/system", e.Name)) {
			name, ok := strings.CutSuffix(link.Name, ".service")
			if ok && strings.Contains(name, "@") && !strings.HasSuffix(name, "@") && sv.unitFile(name) != "" {
				names = append(names, name)
			}
		}
	}
	return names
}

// wantLinks are the symlinks that make systemd start a service, or know it by another name.
func (sv *services) wantLinks(name string) []string {
	const etc = "/etc/systemd/system"
	unit := name + ".service"
	var links []string
	for _, e := range sv.files.entries(etc) {
		link := path.Join(etc, e.Name)
		if isWantsDir(e.Name) {
			if link = path.Join(link, unit); sv.files.exists(link) {
				links = append(links, link)
			}
			continue
		}
		if target, err := sv.files.Readlink(link); err == nil && e.Name != unit && path.Base(target) == unit {
			links = append(links, link)
		}
	}
	return links
}

// enableUnit makes the links that a unit's section [Install] asks for, and those of the units that it
// names there.
func (sv *services) enableUnit(name, unit string) error {
	for _, also := range sv.alsoEnabled(name, unit) {
		if sv.unitFile(also) == "" {
			sv.gaps.add(host.Unpredicted{What: "whether " + name + " can be enabled", Why: "it is enabled together with " + also + ", which has no unit; versions of systemd differ in what they make of that"})
		}
	}
	for _, name := range append(sv.alsoEnabled(name, unit), name) {
		unit := sv.unitFile(name)
		for _, link := range sv.installSection(name, unit).links {
			if err := sv.files.mkdirAll(path.Dir(link)); err != nil {
				return err
			}
			err := sv.files.Symlink(unit, link)
			if target, _ := sv.files.Readlink(link); errors.Is(err, fs.ErrExist) && path.Base(target) == path.Base(unit) {
				continue
			}
			if err != nil {
				return fmt.Errorf("enable %s: %w", name, err)
			}
		}
	}
	return nil
}

// alsoEnabled are the units that are enabled and disabled together with one.
func (sv *services) alsoEnabled(name, unit string) []string {
	var names []string
	var visit func(name, unit string)
	visit = func(name, unit string) {
		for _, other := range sv.installSection(name, unit).also {
			if !slices.Contains(names, other) {
				names = append(names, other)
				visit(other, sv.unitFile(other))
			}
		}
	}
	visit(name, unit)
	return slices.DeleteFunc(names, func(other string) bool { return other == name })
}

// installation is what a unit's section [Install] asks for.
type installation struct {
	links []string // symlinks to the unit
	also  []string // other services
}

func (sv *services) installSection(name, unit string) installation {
	const etc = "/etc/systemd/system"
	var in installation
	text, err := sv.files.readFile(unit)
	if errors.Is(err, fs.ErrNotExist) {
		return in
	}
	if err != nil {
		sv.gaps.add(host.Unpredicted{What: "where " + path.Base(unit) + " is enabled", Why: "the content of " + unit + " is not known; multi-user.target is taken", Path: wantsGlob})
		in.links = []string{path.Join(etc, "multi-user.target.wants", name+".service")}
		return in
	}
	section := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			section = line
		}
		key, value, _ := strings.Cut(line, "=")
		if section != "[Install]" {
			continue
		}
		for _, word := range strings.Fields(value) {
			switch strings.TrimSpace(key) {
			case "WantedBy":
				in.links = append(in.links, path.Join(etc, word+".wants", name+".service"))
			case "RequiredBy":
				in.links = append(in.links, path.Join(etc, word+".requires", name+".service"))
			case "Alias":
				in.links = append(in.links, path.Join(etc, word))
			case "Also":
				if other, ok := strings.CutSuffix(word, ".service"); ok {
					in.also = append(in.also, other)
				}
			}
		}
	}
	return in
}

// unlinkWants takes the links away that make systemd start a service, and directories that are empty
// then, as systemctl and deb-systemd-helper do.
func (sv *services) unlinkWants(name string) error {
	for _, link := range sv.wantLinks(name) {
		if err := sv.files.Unlink(link); err != nil {
			return err
		}
		if !isWantsDir(path.Dir(link)) {
			continue
		}
		if _, err := sv.files.removePath(path.Dir(link)); err != nil {
			return err
		}
	}
	return nil
}

// MaskService and UnmaskService link the unit to /dev/null in /etc, and take the link away.
func (sv *services) MaskService(name string) error {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	if sv.system.facts.Init != "systemd" {
		return fmt.Errorf("mask %s: %w", name, host.ErrUnsupported)
	}
	file := "/etc/systemd/system/" + name + ".service"
	if target, err := sv.files.Readlink(file); err == nil && target == maskUnit {
		return nil
	}
	if _, err := sv.files.Lstat(file); err == nil {
		return fmt.Errorf("mask %s: %s exists", name, file)
	}
	return sv.files.Symlink(maskUnit, file)
}

func (sv *services) UnmaskService(name string) error {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	if sv.system.facts.Init != "systemd" {
		return fmt.Errorf("unmask %s: %w", name, host.ErrUnsupported)
	}
	file := "/etc/systemd/system/" + name + ".service"
	if target, err := sv.files.Readlink(file); err != nil || target != maskUnit {
		return nil
	}
	return sv.files.Unlink(file)
}

// presetEnables asks the presets for a unit: the first line that fits counts.
func (sv *services) presetEnables(unit string) bool {
	files := map[string]string{}
	for _, dir := range presetDirs {
		for _, e := range sv.files.entries(dir) {
			if _, has := files[e.Name]; !has && strings.HasSuffix(e.Name, ".preset") {
				files[e.Name] = path.Join(dir, e.Name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		text, err := sv.files.readFile(files[name])
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			words := strings.Fields(line)
			if len(words) < 2 || words[0] != "enable" && words[0] != "disable" {
				continue
			}
			if ok, _ := path.Match(words[1], unit); ok {
				return words[0] == "enable"
			}
		}
	}
	return true
}

func (sv *services) hasPresets() bool {
	return slices.ContainsFunc(presetDirs, func(dir string) bool {
		return slices.ContainsFunc(sv.files.entries(dir), func(e host.DirEntry) bool { return strings.HasSuffix(e.Name, ".preset") })
	})
}

func isWantsDir(name string) bool {
	return strings.HasSuffix(name, ".wants") || strings.HasSuffix(name, ".requires")
}

// presetDirs have the files that say which new units systemd enables; of two with one name the first
// counts.
var presetDirs = []string{"/etc/systemd/system-preset", "/run/systemd/system-preset", "/usr/local/lib/systemd/system-preset", "/usr/lib/systemd/system-preset", "/lib/systemd/system-preset"}

// errUnmet is why a service does not start that a condition of its unit keeps from it. Whoever asks systemd for its start is
// told that it is done.
var errUnmet = errors.New("a condition of its unit is not met")

// unmet is a path that a service's unit, or a file that adds to it, wants to be there (with !, not to be there) and that is
// not so; empty if there is none. Of other conditions a simulation knows nothing.
func (sv *services) unmet(name string) string {
	unit := sv.unitFile(name)
	if unit == "" {
		return ""
	}
	files, dropIns := []string{unit}, map[string]string{} // of two with one name the first counts
	for _, dir := range sv.unitDirs() {
		dir = path.Join(dir, name+".service.d")
		for _, e := range sv.files.entries(dir) {
			if dropIns[e.Name] == "" && strings.HasSuffix(e.Name, ".conf") {
				dropIns[e.Name] = path.Join(dir, e.Name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(dropIns)) {
		files = append(files, dropIns[name])
	}
	var conditions []string
	for _, file := range files {
		text, err := sv.files.readFile(file)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			value, is := strings.CutPrefix(strings.TrimSpace(line), "ConditionPathExists=")
			switch {
			case is && value == "":
				conditions = nil
			case is:
				conditions = append(conditions, value)
			}
		}
	}
	for _, c := range conditions {
		wanted, not := strings.CutPrefix(c, "!")
		if !strings.HasPrefix(wanted, "/") || strings.Contains(wanted, "%") { // a trigger, or a path that only systemd can tell
			continue
		}
		if sv.files.exists(wanted) == not {
			return c
		}
	}
	return ""
}
