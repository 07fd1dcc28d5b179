package live

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/deb"
)

// debTransaction is a transaction in the terms of the two programs that carry it out.
type debTransaction struct {
	remove  []string // packages for apt-get to remove
	left    []string // removed before, only conffiles are there: for dpkg --purge
	install []string // for apt-get: names, versions, and package files where apt takes them
	files   []string // package files for dpkg --install, where apt is too old to take them
	options []string
}

func (p debTransaction) empty() bool {
	return len(p.remove)+len(p.left)+len(p.install)+len(p.files) == 0
}

// pending leaves out of a transaction what is done already: apt-get fails on names that it no longer
// knows, and does not purge what is removed but for its conffiles.
func (v debs) pending(tx host.Transaction) (debTransaction, error) {
	var p debTransaction
	if err := host.CheckPackageNames(tx.Remove); err != nil {
		return p, err
	}
	if err := host.CheckPackageNames(tx.Install); err != nil {
		return p, err
	}
	packages, err := v.packagesByName()
	if err != nil {
		return p, err
	}
	for _, name := range tx.Remove {
		switch pkg, known := packages[name]; {
		case !known:
		case pkg.Status != "config-files":
			p.remove = append(p.remove, name)
		case tx.Purge:
			p.left = append(p.left, name)
		}
	}
	modern, err := v.aptKnows(1, 1)
	if err != nil {
		return p, err
	}
	files := modern && !halfUnpacked(packages)
	for _, spec := range tx.Install {
		if strings.HasPrefix(spec, "/") && !files {
			p.files = append(p.files, spec)
			continue
		}
		p.install = append(p.install, spec)
	}
	p.options, err = aptOptions(tx, p, modern)
	return p, err
}

// halfUnpacked reports whether dpkg was killed while it unpacked a package, or could not end its removal.
// Where no repository offers that version, apt does nothing any more, or would remove it, even if it is
// given the file; dpkg takes it.
func halfUnpacked(packages map[string]host.Package) bool {
	for _, p := range packages {
		if p.Status == "reinstreq" || p.Status == "half-installed" {
			return true
		}
	}
	return false
}

func (v debs) packagesByName() (map[string]host.Package, error) { return packagesByName(v.Packages()) }

func aptOptions(tx host.Transaction, p debTransaction, modern bool) ([]string, error) {
	// What apt believes to be no longer needed is not ours to remove.
	options := []string{"-y", "-q", "-o", "APT::Get::AutomaticRemove=false", "-o", "APT::Get::HideAutoRemove=true"}
	if tx.NoRecommends {
		options = append(options, "--no-install-recommends")
	}
	if len(tx.Remove) == 0 {
		options = append(options, "--no-remove")
	}
	if tx.Purge {
		options = append(options, "--purge")
	}
	if tx.Downgrade && modern {
		options = append(options, "--allow-downgrades")
	}
	if tx.Downgrade && !modern && len(p.install) > 0 {
		return nil, fmt.Errorf("this apt (before 1.1) installs an older version only without checking signatures; give package files instead: %w", host.ErrUnsupported)
	}
	return options, nil
}

// aptCommand is the one call of apt-get that removes and installs. A minus sign behind a name asks
// for its removal (apt-get(8), install).
func (p debTransaction) aptCommand() []string {
	if len(p.install) == 0 {
		return append([]string{"remove"}, p.remove...)
	}
	args := append([]string{"install"}, p.install...)
	for _, name := range p.remove {
		args = append(args, name+"-")
	}
	return args
}

// Solve has apt simulate the transaction.
func (v debs) Solve(tx host.Transaction) (host.Solution, error) {
	p, err := v.pending(tx)
	if err != nil {
		return host.Solution{}, err
	}
	return v.solve(context.Background(), p)
}

// solve takes options for apt that stand before all others.
func (v debs) solve(ctx context.Context, p debTransaction, first ...string) (host.Solution, error) {
	var solution host.Solution
	if len(p.remove)+len(p.install) > 0 {
		var got answer
		err := v.withAptNames(p, func(command []string) (err error) {
			got, err = v.apt(ctx, nil, slices.Concat(first, aptReads, p.options, []string{"-s"}, command)...)
			return err
		})
		if err != nil {
			return solution, solveError(got, err)
		}
		if solution, err = parseSolution(got.Stdout); err != nil {
			return solution, err
		}
	}
	packages, err := v.packagesByName()
	if err != nil {
		return solution, err
	}
	for _, name := range p.left {
		solution.Remove = append(solution.Remove, host.Change{Name: name, Version: packages[name].Version, Purge: true})
	}
	files := p.files
	for _, spec := range p.install {
		if strings.HasPrefix(spec, "/") {
			files = append(files, spec)
		}
	}
	local, err := v.readPackageFiles(files)
	if err != nil {
		return solution, err
	}
	if err := v.sizeUp(&solution, packages, local, p.files, first); err != nil {
		return solution, err
	}
	return solution, refusePassedOver(solution, packages, local)
}

// withAptNames gives apt's command with names of package files that apt takes. It passes over one with a
// colon in its path, as vendors write an epoch, without a word: such a file gets a symlink without one.
func (v debs) withAptNames(p debTransaction, use func(command []string) error) (err error) {
	odd := func(item string) bool { return strings.HasPrefix(item, "/") && strings.Contains(item, ":") }
	if !slices.ContainsFunc(p.install, odd) {
		return use(p.aptCommand())
	}
	s, err := v.m.files.newScratch("/run", "/tmp")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.remove()) }()
	p.install = slices.Clone(p.install)
	for i, item := range p.install {
		if !odd(item) {
			continue
		}
		p.install[i] = fmt.Sprintf("%s/%d-%s", s.path, i, strings.ReplaceAll(baseName(item), ":", "%3a"))
		if err := s.space.symlink(item, p.install[i]); err != nil {
			return err
		}
	}
	return use(p.aptCommand())
}

// refusePassedOver refuses a solution that leaves out a package file that is not installed: apt passes
// over what it does not take for a file, and calls that success.
func refusePassedOver(s host.Solution, packages map[string]host.Package, files map[string]deb.Paragraph) error {
	for _, file := range slices.Sorted(maps.Keys(files)) {
		name, version := files[file].Get("Package"), files[file].Get("Version")
		names := []string{name, name + ":" + files[file].Get("Architecture")}
		comes := func(c host.Change) bool { return slices.Contains(names, c.Name) && c.Version == version }
		there := func(name string) bool { return packages[name].Installed() && packages[name].Version == version }
		if !slices.ContainsFunc(slices.Concat(s.Install, s.Upgrade), comes) && !slices.ContainsFunc(names, there) {
			return &host.SolveError{
				Summary: "apt passes over a package file", Lines: []string{fmt.Sprintf("%s, which holds %s %s; install it with another name, without special characters", file, name, version)},
			}
		}
	}
	return nil
}

func solveError(got answer, err error) error {
	var failed *host.CommandError
	if !errors.As(err, &failed) || got.Code <= 0 {
		return err
	}
	lines := complaints(got)
	if len(lines) == 0 {
		return err
	}
	return &host.SolveError{Summary: "apt finds the transaction impossible", Lines: lines}
}

var (
	// Inst kopano-server [1.0] (8.7.0 Kopano:8.7/stable [amd64]) [kopano-client:amd64 ]
	instLine = regexp.MustCompile(`^Inst (\S+) (?:\[([^\]]*)\] )?\((\S+) (.*?) ?\[([^\]]*)\]\)`)
	// Purg zarafa-server [7.2.6-10]
	remvLine = regexp.MustCompile(`^(Remv|Purg) (\S+) \[([^\]]*)\]`)
)

// parseSolution reads what apt-get -s says it would do.
func parseSolution(out string) (host.Solution, error) {
	var s host.Solution
	for line := range strings.Lines(out) {
		line = strings.TrimRight(line, "\n")
		if m := instLine.FindStringSubmatch(line); m != nil {
			change := host.Change{Name: m[1], Old: m[2], Version: m[3], Origin: m[4]}
			if change.Old == "" {
				s.Install = append(s.Install, change)
			} else {
				s.Upgrade = append(s.Upgrade, change)
			}
			continue
		}
		if m := remvLine.FindStringSubmatch(line); m != nil {
			s.Remove = append(s.Remove, host.Change{Name: m[2], Version: m[3], Purge: m[1] == "Purg"})
			continue
		}
		if strings.HasPrefix(line, "Inst ") || strings.HasPrefix(line, "Remv ") || strings.HasPrefix(line, "Purg ") {
			return s, fmt.Errorf("apt-get -s: a line that is not understood: %q", line)
		}
	}
	return s, nil
}

// sizeUp adds bytes to a solution: from the index records of what comes, or its package file, and from
// the database for what goes. Files that dpkg installs itself are added as changes, too.
func (v debs) sizeUp(s *host.Solution, packages map[string]host.Package, files map[string]deb.Paragraph, byDpkg, first []string) error {
	for _, path := range byDpkg {
		name, version := files[path].Get("Package"), files[path].Get("Version")
		if old := packages[name]; old.Installed() {
			s.Upgrade = append(s.Upgrade, host.Change{Name: name, Version: version, Old: old.Version, Origin: path})
		} else {
			s.Install = append(s.Install, host.Change{Name: name, Version: version, Origin: path})
		}
	}
	local := map[string]deb.Paragraph{}
	for _, control := range files {
		local[control.Get("Package")+"="+control.Get("Version")] = control
		// apt names what is of another architecture by it.
		local[control.Get("Package")+":"+control.Get("Architecture")+"="+control.Get("Version")] = control
	}
	var specs []string
	coming := append(s.Install[:len(s.Install):len(s.Install)], s.Upgrade...)
	for _, c := range coming {
		if local[c.Name+"="+c.Version] == nil {
			specs = append(specs, c.Name+"="+c.Version)
		}
	}
	records, err := v.aptShow(specs, first...)
	if err != nil {
		return err
	}
	for _, c := range coming {
		r := records[c.Name+"="+c.Version]
		if r == nil {
			r = local[c.Name+"="+c.Version]
		}
		s.Download += number(r.Get("Size"))
		s.DiskDelta += number(r.Get("Installed-Size")) << 10
	}
	for _, c := range append(s.Upgrade[:len(s.Upgrade):len(s.Upgrade)], s.Remove...) {
		if old := packages[c.Name]; old.Status != "config-files" {
			s.DiskDelta -= old.SizeKiB << 10
		}
	}
	return nil
}

func number(text string) int64 {
	n, _ := strconv.ParseInt(text, 10, 64)
	return n
}

func contains(list []string, item string) bool {
	for _, x := range list {
		if x == item {
			return true
		}
	}
	return false
}

// readPackageFiles reads the control fields of .debs, by path.
func (v debs) readPackageFiles(paths []string) (map[string]deb.Paragraph, error) {
	files := make(map[string]deb.Paragraph, len(paths))
	for _, path := range paths {
		control, err := v.packageFile(path)
		if err != nil {
			return nil, err
		}
		files[path] = control
	}
	return files, nil
}

// packageFile reads the control fields of a .deb.
func (v debs) packageFile(path string) (deb.Paragraph, error) {
	out, err := v.m.ask("dpkg-deb", "-f", path)
	if err != nil {
		return nil, fmt.Errorf("package file %s: %w", path, err)
	}
	paragraphs := deb.ParseControl(out)
	if len(paragraphs) != 1 || paragraphs[0].Get("Package") == "" {
		return nil, fmt.Errorf("package file %s: no control fields", path)
	}
	return paragraphs[0], nil
}
