package live

import (
	"fmt"
	"sort"
	"strconv"
	"strings"

	"zcp2kopano/runtime/host"
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

// The fields asked of dpkg-query(1), in the order in which parsePackages reads them. All are known
// to dpkg 1.16.2 (Debian 7) and later.
var packageFields = []string{
	"Package", "Architecture", "Version", "Status", "Maintainer", "source:Package", "binary:Summary",
	"Installed-Size", "Pre-Depends", "Depends", "Provides", "Conflicts", "Conffiles",
}

// Conffiles and dependencies may hold any printable text, so records and fields are set apart by
// ASCII's own separators.
const (
	fieldSeparator  = "\x1f"
	recordSeparator = "\x1e"
)

// Packages reads dpkg's database. A package of a foreign architecture is named NAME:ARCH.
func (v debs) Packages() ([]host.Package, error) {
	native, err := v.m.ask("dpkg", "--print-architecture")
	if err != nil {
		return nil, err
	}
	format := "${" + strings.Join(packageFields, "}"+fieldSeparator+"${") + "}" + recordSeparator
	out, err := v.m.ask("dpkg-query", "-W", "-f="+format)
	if err != nil {
		return nil, err
	}
	packages, err := parsePackages(out, strings.TrimSpace(native))
	if err != nil {
		return nil, err
	}
	auto, err := v.autoMarks()
	if err != nil {
		return nil, err
	}
	for i, p := range packages {
		name, _, _ := strings.Cut(p.Name, ":")
		arch := p.Arch
		if arch == "all" {
			arch = strings.TrimSpace(native)
		}
		packages[i].Auto = p.Installed() && auto[name+":"+arch]
	}
	return packages, nil
}

func parsePackages(out, native string) ([]host.Package, error) {
	var packages []host.Package
	for record := range strings.SplitSeq(out, recordSeparator) {
		if strings.TrimSpace(record) == "" {
			continue
		}
		f := strings.Split(record, fieldSeparator)
		if len(f) != len(packageFields) {
			return nil, fmt.Errorf("dpkg-query: record of %d fields instead of %d: %.80q", len(f), len(packageFields), record)
		}
		// "install ok half-configured": what is wanted, whether it needs a new installation, what is
		words := strings.Fields(f[3])
		if len(words) != 3 {
			return nil, fmt.Errorf("dpkg-query: package %s has the status %q", f[0], f[3])
		}
		if words[2] == "not-installed" {
			continue
		}
		size, _ := strconv.ParseInt(f[7], 10, 64)
		p := host.Package{
			Name: f[0], Arch: f[1], Version: f[2],
			Status: words[2], Held: words[0] == "hold",
			Origin: f[4], Source: f[5], Summary: f[6], SizeKiB: size,
			Depends: joinDepends(f[8], f[9]), Provides: f[10], Conflicts: f[11],
			Conffiles: parseConffiles(f[12]),
		}
		if words[1] != "ok" {
			p.Status = words[1] // "reinstreq": nothing else can be done with it
		}
		if p.Arch != native && p.Arch != "all" && p.Arch != "" {
			p.Name += ":" + p.Arch
		}
		packages = append(packages, p)
	}
	sort.Slice(packages, func(i, j int) bool { return packages[i].Name < packages[j].Name })
	return packages, nil
}

func joinDepends(pre, depends string) string {
	if pre == "" || depends == "" {
		return pre + depends
	}
	return pre + ", " + depends
}

// parseConffiles reads lines of path, digest, and flags. A path may hold blanks.
func parseConffiles(text string) []host.Conffile {
	var files []host.Conffile
	for line := range strings.Lines(text) {
		var c host.Conffile
		line = strings.TrimSpace(line)
		for {
			cut := strings.LastIndexByte(line, ' ')
			if cut < 0 {
				break
			}
			word := line[cut+1:]
			line = strings.TrimSpace(line[:cut])
			if word != "obsolete" && word != "remove-on-upgrade" {
				c.Path, c.MD5 = line, word
				break
			}
			c.Obsolete = c.Obsolete || word == "obsolete"
		}
		if c.Path != "" {
			files = append(files, c)
		}
	}
	return files
}

// PackageFiles asks dpkg-query(1) for the paths of a package. Lines about diversions are no paths.
func (v debs) PackageFiles(name string) ([]string, error) {
	if err := checkPackageNames([]string{name}); err != nil {
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

// checkPackageNames refuses what dpkg and apt would read as an option or a pattern: NAME, NAME:ARCH,
// NAME=VERSION and absolute paths remain.
func checkPackageNames(names []string) error {
	for _, name := range names {
		if strings.HasPrefix(name, "/") {
			continue
		}
		base, version, hasVersion := strings.Cut(name, "=")
		if !isPackageName(base) || hasVersion && !isPackageName(version) {
			return fmt.Errorf("%q is not the name of a package", name)
		}
	}
	return nil
}

func isPackageName(name string) bool {
	for i, c := range name {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case i > 0 && strings.ContainsRune("+-.:~_", c):
		default:
			return false
		}
	}
	return name != ""
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
	entries, _ := v.m.files.ReadDir("/var/lib/dpkg/updates")
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name); err == nil {
			return true
		}
	}
	return false
}
