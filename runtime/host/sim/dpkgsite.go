package sim

import (
	"errors"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/pattern"

	"zcp2kopano/runtime/host"
)

// dpkgSite is what the admin of a host has told dpkg, apt and debconf.
type dpkgSite struct {
	files *files
	gaps  *gaps
}

// What a site can tell dpkg and apt about files that are not a package's own.
const (
	statOverrides = "/var/lib/dpkg/statoverride"
	diversions    = "/var/lib/dpkg/diversions"
)

// siteFiles are part of a snapshot wherever they are.
var siteFiles = []string{statOverrides, diversions, "/etc/dpkg/dpkg.cfg", "/etc/dpkg/dpkg.cfg.d"}

// override is the owner and mode that dpkg-statoverride(1) has for a path.
type override struct {
	user, group string
	mode        fs.FileMode
}

// readOverrides reads lines "USER GROUP MODE PATH".
func (site *dpkgSite) readOverrides() map[string]override {
	text, err := site.files.readFile(statOverrides)
	if err != nil {
		return nil
	}
	all := map[string]override{}
	for line := range strings.Lines(string(text)) {
		words := strings.SplitN(strings.TrimSpace(line), " ", 4)
		if len(words) != 4 {
			continue
		}
		if mode, err := strconv.ParseUint(words[2], 8, 32); err == nil {
			all[words[3]] = override{strings.TrimPrefix(words[0], "#"), strings.TrimPrefix(words[1], "#"), host.ModeOf(uint32(mode) & 0o7777)}
		}
	}
	return all
}

func (o override) of(f host.PackedFile) host.PackedFile {
	f.User, f.Group, f.Mode = o.user, o.group, f.Mode.Type()|o.mode
	return f
}

// pathFilter is a line "path-exclude" or "path-include" of dpkg's settings: what it leaves out of packages.
type pathFilter struct {
	pattern *regexp.Regexp
	prefix  string // of the pattern, up to its first wildcard
	include bool
}

var filterLine = regexp.MustCompile(`^path-(exclude|include)(?:\s*=\s*|\s+)(.*)$`)

// readFilters reads the settings in the order that dpkg does.
func (site *dpkgSite) readFilters() []pathFilter {
	var filters []pathFilter
	for _, file := range slices.Concat(site.aptFiles(dpkgDirs[1:]), site.aptFiles(dpkgDirs[:1])) {
		text, err := site.files.readFile(file)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			m := filterLine.FindStringSubmatch(strings.TrimSpace(line))
			if m == nil {
				continue
			}
			glob := strings.Trim(m[2], `"'`)
			expr, err := pattern.Regexp(glob, pattern.EntireString)
			if err != nil {
				expr = "^" + regexp.QuoteMeta(glob) + "$"
			}
			re, err := regexp.Compile(expr)
			if err != nil {
				site.gaps.add(host.Unpredicted{What: "files that dpkg is told to leave out (" + file + ")", Why: "the pattern " + glob + " is not known to a simulation"})
				continue
			}
			filters = append(filters, pathFilter{pattern: re, prefix: prefixOf(glob), include: m[1] == "include"})
		}
	}
	return filters
}

// prefixOf is the directory of a pattern that has no wildcard.
func prefixOf(glob string) string {
	if i := strings.IndexAny(glob, `*?[\`); i >= 0 {
		glob = glob[:i]
	}
	return glob[:max(strings.LastIndexByte(glob, '/'), 0)]
}

// leavesOut reports whether dpkg does not unpack a path. The last filter that fits counts; a directory stays if something
// below it may be wanted.
func leavesOut(filters []pathFilter, f host.PackedFile) bool {
	skip := false
	for _, filter := range filters {
		if filter.pattern.MatchString(f.Path) {
			skip = !filter.include
		}
	}
	if !skip || !f.Mode.IsDir() && f.Mode&fs.ModeSymlink == 0 {
		return skip
	}
	return !slices.ContainsFunc(filters, func(filter pathFilter) bool { return filter.include && strings.HasPrefix(f.Path, filter.prefix) })
}

// unpredictSite tells what of a transaction's packages and of apt's settings a simulation leaves out.
func (ds *debs) unpredictSite(sol *solution) {
	var touched []*Package
	for _, name := range slices.Concat(sol.remove, sol.purge) {
		touched = append(touched, ds.db.byName[name])
	}
	ds.site.unpredictDiversions(slices.Concat(touched, sol.install))
	for _, s := range aptSettings {
		for _, file := range ds.site.aptFiles(s.dirs) {
			if text, err := ds.files.readFile(file); err == nil && s.pattern.Match(withoutComments(text)) {
				ds.gaps.add(host.Unpredicted{What: s.what + " (" + file + ")", Why: s.why})
			}
		}
	}
}

// unpredictDiversions looks for paths of packages that dpkg-divert(1) has under another name.
func (site *dpkgSite) unpredictDiversions(packages []*Package) {
	text, err := site.files.readFile(diversions)
	if err != nil {
		return
	}
	lines := strings.Split(string(text), "\n") // from, to, package
	for i := 0; i+2 < len(lines); i += 3 {
		for _, p := range packages {
			if _, has := p.file(lines[i]); has && p.Name != lines[i+2] {
				site.gaps.add(host.Unpredicted{What: "the diversion of " + lines[i] + " of " + p.Name, Why: "dpkg has it at " + lines[i+1] + "; the simulation does not", Path: lines[i]})
				site.gaps.add(host.Unpredicted{What: "the diverted file " + lines[i+1], Why: "dpkg has " + lines[i] + " of " + p.Name + " there", Path: lines[i+1]})
			}
		}
	}
}

var (
	aptDirs  = []string{"/etc/apt/apt.conf", "/etc/apt/apt.conf.d"}
	dpkgDirs = []string{"/etc/dpkg/dpkg.cfg", "/etc/dpkg/dpkg.cfg.d"}

	recommends = regexp.MustCompile(`(?i)\bInstall-Recommends\s+"?(\w+)"?`)
	comment    = regexp.MustCompile(`(?m)^\s*(?://|#).*$`)
)

// aptSettings change what apt and dpkg do in a way that is not simulated.
var aptSettings = []struct {
	pattern   *regexp.Regexp
	dirs      []string
	what, why string
}{
	{regexp.MustCompile(`(?i)\b(?:Pre-Invoke|Post-Invoke|Post-Invoke-Success|Pre-Install-Pkgs)\b`), aptDirs, "what the hooks of apt do", "a simulation runs no programs"},
}

// aptFiles are files, and those in directories, in order of name, that have no ending but .conf or .cfg.
func (site *dpkgSite) aptFiles(places []string) []string {
	var files []string
	for _, place := range places {
		st, err := site.files.Stat(place)
		switch {
		case err != nil:
		case st.IsDir():
			for _, e := range site.files.entries(place) {
				if slices.Contains([]string{"", ".conf", ".cfg"}, path.Ext(e.Name)) {
					files = append(files, path.Join(place, e.Name))
				}
			}
		default:
			files = append(files, place)
		}
	}
	return files
}

// withRecommends reports whether apt's settings have it install recommended packages. The last one wins;
// apt.conf itself is read after the files of its directory.
func (site *dpkgSite) withRecommends() bool {
	on := true
	for _, file := range slices.Concat(site.aptFiles(aptDirs[1:]), site.aptFiles(aptDirs[:1])) {
		text, err := site.files.readFile(file)
		if err != nil {
			continue
		}
		for _, m := range recommends.FindAllSubmatch(withoutComments(text), -1) {
			on = !slices.Contains([]string{"0", "no", "false", "without", "off", "disable"}, strings.ToLower(string(m[1])))
		}
	}
	return on
}

func withoutComments(text []byte) []byte { return comment.ReplaceAll(text, nil) }

// editOverrides takes the line of a path away, and adds another.
func (site *dpkgSite) editOverrides(name, line string) error {
	text, err := site.files.readFile(statOverrides)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var out strings.Builder
	for l := range strings.Lines(string(text)) {
		if !strings.HasSuffix(strings.TrimSpace(l), " "+name) {
			out.WriteString(l)
		}
	}
	out.WriteString(line)
	if err := site.files.mkdirAll(path.Dir(statOverrides)); err != nil {
		return err
	}
	if err := site.files.Unlink(statOverrides); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return site.files.writeFile(statOverrides, []byte(out.String()), 0o644)
}

// debconfAnswer is what debconf's database has for a question.
func (site *dpkgSite) debconfAnswer(question string) (value string, known bool) {
	text, err := site.files.readFile("/var/cache/debconf/config.dat")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, host.ErrUnknown) || err != nil {
		return "", false
	}
	for stanza := range strings.SplitSeq(string(text), "\n\n") {
		fields := map[string]string{}
		for line := range strings.Lines(stanza) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
			fields[name] = strings.TrimSpace(value)
		}
		if fields["Name"] == question {
			return fields["Value"], true
		}
	}
	return "", true
}
