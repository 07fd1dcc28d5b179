package deb

import (
	"fmt"
	"sort"
	"strconv"
	"strings"

	"zcp2kopano/runtime/host"
)

// databaseFields are asked of dpkg-query(1), in the order in which ParsePackages reads them. All are known
// to dpkg 1.16.2 (Debian 7) and later.
var databaseFields = []string{
	"Package", "Architecture", "Version", "Status", "Maintainer", "source:Package", "binary:Summary",
	"Installed-Size", "Pre-Depends", "Depends", "Provides", "Conflicts", "Conffiles",
}

// Configuration files and dependencies may hold any printable text, so records and fields are set apart by
// ASCII's own separators.
const (
	fieldSeparator  = "\x1f"
	recordSeparator = "\x1e"
)

// QueryFormat makes dpkg-query -W say what ParsePackages reads.
var QueryFormat = "${" + strings.Join(databaseFields, "}"+fieldSeparator+"${") + "}" + recordSeparator

// ParsePackages reads what dpkg-query(1) says in QueryFormat, in order of name.
func ParsePackages(out, native string) ([]host.Package, error) {
	var packages []host.Package
	for record := range strings.SplitSeq(out, recordSeparator) {
		if strings.TrimSpace(record) == "" {
			continue
		}
		p, err := parsePackage(record, native)
		if err != nil {
			return nil, err
		}
		if p.Status != "not-installed" {
			packages = append(packages, p)
		}
	}
	sort.Slice(packages, func(i, j int) bool { return packages[i].Name < packages[j].Name })
	return packages, nil
}

func parsePackage(record, native string) (host.Package, error) {
	f := strings.Split(record, fieldSeparator)
	if len(f) != len(databaseFields) {
		return host.Package{}, fmt.Errorf("dpkg-query: record of %d fields instead of %d: %.80q", len(f), len(databaseFields), record)
	}
	// "install ok half-configured": what is wanted, whether it needs a new installation, what is
	words := strings.Fields(f[3])
	if len(words) != 3 {
		return host.Package{}, fmt.Errorf("dpkg-query: package %s has the status %q", f[0], f[3])
	}
	size, _ := strconv.ParseInt(f[7], 10, 64)
	p := host.Package{
		Name: Name(f[0], f[1], native), Arch: f[1], Version: f[2],
		Status: words[2], Held: words[0] == "hold",
		Origin: f[4], Source: f[5], Summary: f[6], SizeKiB: size,
		Depends: JoinDepends(f[8], f[9]), Provides: f[10], Conflicts: f[11],
		Conffiles: ParseConffiles(f[12]),
	}
	if words[1] != "ok" && words[2] != "not-installed" {
		p.Status = words[1] // "reinstreq": nothing else can be done with it
	}
	return p, nil
}

// ParseAuto reads apt's extended_states: the packages that came as a dependency, by NAME:ARCH.
func ParseAuto(text string) map[string]bool {
	auto := map[string]bool{}
	for _, p := range ParseControl(text) {
		if p.Get("Auto-Installed") == "1" {
			auto[p.Get("Package")+":"+p.Get("Architecture")] = true
		}
	}
	return auto
}

// WithoutPackages is the text of a status file but for some packages.
func WithoutPackages(status string, gone func(name string) bool) string {
	var kept []string
	for paragraph := range strings.SplitSeq(status, "\n\n") {
		name, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimLeft(paragraph, "\n"), "Package: "), "\n")
		if !gone(name) {
			kept = append(kept, paragraph)
		}
	}
	return strings.Join(kept, "\n\n")
}

// statusFields are those that dpkg adds to a package's own control fields in its database.
var statusFields = []string{"Status", "Conffiles", "Config-Version", "Triggers-Pending", "Triggers-Awaited"}

// OwnFields is a paragraph of the database without what dpkg added to it: a package's control file.
func OwnFields(paragraph string) string {
	var b strings.Builder
	drop := false
	for line := range strings.Lines(paragraph) {
		if line[0] != ' ' && line[0] != '\t' {
			name, _, _ := strings.Cut(line, ":")
			drop = false
			for _, field := range statusFields {
				drop = drop || field == name
			}
		}
		if !drop {
			b.WriteString(line)
		}
	}
	return b.String()
}

// IsInfoOf reports whether a file of InfoDir is of a package: NAME.KIND, or NAME:ARCH.KIND where several
// architectures can be installed together. NAME.MORE.KIND is of another package.
func IsInfoOf(p host.Package, file string) bool {
	for _, prefix := range []string{BareName(p.Name) + ".", BareName(p.Name) + ":" + p.Arch + "."} {
		if kind, ok := strings.CutPrefix(file, prefix); ok && !strings.Contains(kind, ".") {
			return true
		}
	}
	return false
}
