package live

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/deb"
)

// aptEnv keeps apt, dpkg and the maintainer scripts they run from asking anybody anything.
var aptEnv = []string{
	"HOME=/root",
	"DEBIAN_FRONTEND=noninteractive",
	"DEBCONF_NONINTERACTIVE_SEEN=true",
	"APT_LISTCHANGES_FRONTEND=none",
	"APT_LISTBUGS_FRONTEND=none",
	"NEEDRESTART_SUSPEND=1", // it would restart services that are none of ours
	"UCF_FORCE_CONFFOLD=1",  // the answer of --force-confold for files that ucf manages
}

// aptReads keeps apt from rebuilding its binary caches on disk: questions leave no trace.
var aptReads = []string{"-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache="}

// keepConffiles is the answer to every conffile question: the package's choice where it has one,
// the installed file otherwise (dpkg(1), --force-things).
var keepConffiles = []string{"--force-confdef", "--force-confold"}

// PackageManager tells apt's version.
func (v debs) PackageManager() (host.PackageManager, error) {
	out, err := v.m.ask("apt-get", "--version")
	if err != nil {
		return host.PackageManager{}, err
	}
	first, _, _ := strings.Cut(out, "\n")
	words := strings.Fields(first) // "apt 2.6.1 (amd64)"
	if len(words) < 2 {
		return host.PackageManager{}, fmt.Errorf("apt-get --version: unexpected answer %q", first)
	}
	return host.PackageManager{Name: "apt", Version: words[1]}, nil
}

// aptKnows reports whether apt is at least of that version.
func (v debs) aptKnows(major, minor int) (bool, error) {
	manager, err := v.PackageManager()
	if err != nil {
		return false, err
	}
	return versionAtLeast(manager.Version, major, minor), nil
}

func versionAtLeast(version string, major, minor int) bool {
	numbers := strings.FieldsFunc(version, func(r rune) bool { return r < '0' || r > '9' })
	var have [2]int
	for i := 0; i < len(have) && i < len(numbers); i++ {
		have[i], _ = strconv.Atoi(numbers[i])
	}
	return have[0] > major || have[0] == major && have[1] >= minor
}

// Candidates asks apt-cache madison, which lists every version of every repository, newest first.
func (v debs) Candidates(names []string) (map[string][]host.Candidate, error) {
	if err := host.CheckPackageNames(names); err != nil || len(names) == 0 {
		return map[string][]host.Candidate{}, err
	}
	out, err := v.m.ask("apt-cache", append(append(aptReads[:4:4], "madison"), names...)...)
	if err != nil {
		return nil, err
	}
	found := parseMadison(out)
	var specs []string
	for name, candidates := range found {
		for _, c := range candidates {
			specs = append(specs, name+"="+c.Version)
		}
	}
	records, err := v.aptShow(specs)
	if err != nil {
		return nil, err
	}
	for name, candidates := range found {
		for i, c := range candidates {
			candidates[i].Depends = records[name+"="+c.Version].Depends()
		}
	}
	return found, nil
}

// parseMadison reads lines of name, version and index. A version that several repositories offer is
// listed once, with the first; source packages are left out.
func parseMadison(out string) map[string][]host.Candidate {
	found := map[string][]host.Candidate{}
	seen := map[string]bool{}
	for line := range strings.Lines(out) {
		parts := strings.SplitN(line, "|", 3)
		if len(parts) != 3 {
			continue
		}
		name, version, index := strings.TrimSpace(parts[0]), strings.TrimSpace(parts[1]), strings.TrimSpace(parts[2])
		origin, binary := strings.CutSuffix(index, " Packages")
		if !binary || seen[name+"="+version] {
			continue
		}
		seen[name+"="+version] = true
		found[name] = append(found[name], host.Candidate{Version: version, Origin: strings.TrimSpace(origin)})
	}
	return found
}

// aptShow reads the index records of NAME=VERSION specs, by spec.
func (v debs) aptShow(specs []string, first ...string) (map[string]deb.Paragraph, error) {
	records := map[string]deb.Paragraph{}
	if len(specs) == 0 {
		return records, nil
	}
	out, err := v.m.ask("apt-cache", slices.Concat(first, aptReads, []string{"show"}, specs)...)
	if err != nil {
		return nil, err
	}
	for _, r := range deb.ParseControl(out) {
		spec := r.Get("Package") + "=" + r.Get("Version")
		if records[spec] == nil {
			records[spec] = r
		}
	}
	return records, nil
}

// noSources keeps apt from reading what its sources offer: a question on what is installed is answered in a fortieth
// of the time.
var noSources = []string{"-o", "Dir::Etc::sourcelist=/dev/null", "-o", "Dir::Etc::sourceparts=/dev/null"}

// unmetDependencies are those that apt-get check complains of.
func (v debs) unmetDependencies() ([]string, error) {
	got, err := v.apt(context.Background(), nil, slices.Concat(aptReads, noSources, []string{"-o", "Debug::NoLocking=true", "check"})...)
	if err == nil {
		return nil, nil
	}
	var failed *host.CommandError
	if !errors.As(err, &failed) {
		return nil, err
	}
	return complaints(got), nil
}

// apt runs apt-get without a deadline of its own.
func (v debs) apt(ctx context.Context, w *host.PackageWatch, args ...string) (answer, error) {
	return v.m.managePackages(ctx, w, nil, command{Args: args, Env: aptEnv}, "apt-get")
}

// managePackages runs a package manager, and reports what it does.
func (m *machine) managePackages(ctx context.Context, w *host.PackageWatch, notes *scriptNotes, c command, names ...string) (got answer, err error) {
	if c.Path == "" {
		if c.Path, err = m.program(names...); err != nil {
			return answer{}, err
		}
	}
	if w == nil {
		w = &host.PackageWatch{}
	}
	// dpkg complains of a script by standard error, behind what the script said by standard output.
	c.Joined = true
	c.Scripts = &scriptWatch{m: m, watch: w, notes: notes, doing: path.Base(c.Path)}
	c.Line = c.Scripts.line
	got, err = m.run(ctx, c)
	return got, c.Scripts.explain(err)
}

// complaints are apt's own words on why it will not: the lines on unmet dependencies, and those marked E.
func complaints(got answer) []string {
	var lines []string
	depends := false
	for line := range strings.Lines(got.Stdout) {
		text := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(text, "The following packages have unmet dependencies"):
			depends = true
		case depends && strings.HasPrefix(line, " "):
			lines = append(lines, strings.Join(strings.Fields(text), " "))
		default:
			depends = false
		}
	}
	for line := range strings.Lines(got.Stderr) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "E: "); ok {
			lines = append(lines, text)
		}
	}
	return lines
}
