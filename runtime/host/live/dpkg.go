package live

import (
	"fmt"
	"sort"
	"strconv"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/deb"
)

// debs are a system of dpkg's packages, with apt over it.
type (
	debs       struct{ m *machine }
	debsWriter struct {
		m     *machine
		debs  debs
		write filesWriter
		turn  turn
	}
)

// Packages reads dpkg's database. A package of a foreign architecture is named NAME:ARCH.
func (v debs) Packages() ([]host.Package, error) {
	native, err := v.m.ask("dpkg", "--print-architecture")
	if err != nil {
		return nil, err
	}
	out, err := v.m.ask("dpkg-query", "-W", "-f="+deb.QueryFormat)
	if err != nil {
		return nil, err
	}
	packages, err := deb.ParsePackages(out, strings.TrimSpace(native))
	if err != nil {
		return nil, err
	}
	auto, err := v.autoMarks()
	if err != nil {
		return nil, err
	}
	for i, p := range packages {
		arch := p.Arch
		if arch == "all" {
			arch = strings.TrimSpace(native)
		}
		packages[i].Auto = p.Installed() && auto[deb.BareName(p.Name)+":"+arch]
	}
	return packages, nil
}

// PackageFiles asks dpkg-query(1) for the paths of a package. Lines about diversions are no paths.
func (v debs) PackageFiles(name string) ([]string, error) {
	if err := host.CheckPackageNames([]string{name}); err != nil {
		return nil, err
	}
	out, err := v.m.ask("dpkg-query", "-L", name)
	if err != nil {
		return nil, fmt.Errorf("files of package %s: %w", name, err)
	}
	var paths []string
	for line := range strings.Lines(out) {
		if line = strings.TrimRight(line, "\n"); strings.HasPrefix(line, "/") && line != "/." {
			paths = append(paths, line)
		}
	}
	sort.Strings(paths)
	return paths, nil
}

// PackageAudit tells each package that is neither fully installed nor fully gone, an interrupted run of
// dpkg, and dependencies that apt finds unmet.
func (v debs) PackageAudit() ([]string, error) {
	packages, err := v.Packages()
	if err != nil {
		return nil, err
	}
	var broken []string
	for _, p := range packages {
		if p.Status != "installed" && p.Status != "config-files" {
			broken = append(broken, fmt.Sprintf("package %s is %s", p.Name, p.Status))
		}
	}
	if v.dpkgInterrupted() {
		broken = append(broken, "dpkg was interrupted: /var/lib/dpkg/updates is not empty")
	}
	unmet, err := v.unmetDependencies()
	return append(broken, unmet...), err
}

// dpkgInterrupted looks for dpkg's own journal: files whose names are numbers, merged into the
// database when dpkg ends.
func (v debs) dpkgInterrupted() bool {
	entries, _ := v.m.files.ReadDir(deb.UpdatesDir)
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name); err == nil {
			return true
		}
	}
	return false
}
