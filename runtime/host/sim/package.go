package sim

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"pault.ag/go/debian/dependency"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/deb"
)

// Package is a package as the simulation knows it: its control data, what it brings, and what its
// maintainer scripts are known to do.
type Package struct {
	host.Package
	Format     Format
	Recommends string
	Obsoletes  string // rpm
	Breaks     string
	Replaces   string
	Files      []host.PackedFile // what the package owns, parents before children
	Effects    []Effect          // what its maintainer scripts are known to do
	Scripts    []string          // maintainer scripts that it has; nil if none, or not known
	RunAs      string            // user that its services become by themselves; empty for root
	Repository string            // glob of the repository URL that offers it; empty for any
	From       string            // where the knowledge comes from: "package file X", "fixture", "catalogue"
	FileSize   int64             // of the package file; 0 if not known

	rel        *relations
	pending    []pendingConffile
	declared   []declaration     // by the package file itself, for postinst
	texts      map[string]string // of its maintainer scripts, from its file; nil if they are not at hand
	onHost     bool              // it was installed when the simulation began: dpkg has its scripts
	configured string            // the version that was configured last

	effectsFrom string // where the knowledge of Effects comes from, if not From

	complete       bool                 // rpm: Files are all that it has
	unknownScripts bool                 // rpm: whether it has scriptlets is not known
	pristine       map[string]host.Stat // rpm: configuration files as they were shipped, where only their state is known
}

// relations are a package's parsed dependency fields.
type relations struct {
	depends, recommends, conflicts, breaks, replaces, provides, obsoletes []dependency.Relation
}

// relations parses the dependency fields once. A field that does not parse binds nothing.
func (p *Package) relations() *relations {
	if p.rel == nil {
		p.rel = &relations{
			depends: p.Format.ParseRelations(p.Depends), recommends: p.Format.ParseRelations(p.Recommends),
			conflicts: p.Format.ParseRelations(p.Conflicts), breaks: p.Format.ParseRelations(p.Breaks),
			replaces: p.Format.ParseRelations(p.Replaces), provides: p.Format.ParseRelations(p.Provides),
			obsoletes: p.Format.ParseRelations(p.Obsoletes),
		}
	}
	return p.rel
}

// matches reports whether the package is what a dependency names: itself, or by Provides.
func (p *Package) matches(want dependency.Possibility) bool { return p.Format.matches(p, want) }

// parsePackages reads packages from deb822 text, as testdata/hosts/README.md describes it: the usual
// control fields of the format, and Files, Conffiles, Effects, Scripts, Repository. The text begins on
// that line.
func parsePackages(text, from string, line int, format Format) ([]*Package, error) {
	stanzas, err := deb.ParseStanzas(text, line)
	if err != nil {
		return nil, err
	}
	var packages []*Package
	for i := range stanzas {
		p, err := packageOf(&stanzas[i], format)
		if err == nil && (from == "fixture" || from == "catalogue") {
			err = checkStanza(&stanzas[i], p)
		}
		if err != nil {
			return nil, err
		}
		p.From = from
		packages = append(packages, p)
	}
	return packages, nil
}

func packageOf(s *deb.Stanza, format Format) (*Package, error) {
	p := packageFields(s, format)
	if p.Name == "" {
		return nil, fmt.Errorf("line %d: a package without a Package field", s.Line)
	}
	if p.Version == "" {
		return nil, fmt.Errorf("line %d: package %s has no Version field", s.Line, p.Name)
	}
	if err := format.CheckVersion(p.Version); err != nil {
		return nil, fmt.Errorf("line %d: package %s: version %q: %w", s.Line, p.Name, p.Version, err)
	}
	p.Arch = cmp.Or(p.Arch, format.Arch())
	p.Source = cmp.Or(p.Source, p.Name)
	if d := s.List("Description"); len(d) > 0 {
		p.Summary = d[0]
	}
	p.Repository, p.RunAs = s.Get("Repository"), s.Get("Run-As")
	for _, read := range []func(*Package, *deb.Stanza) error{packageNumbers, packageStatus, packageFiles, packageConffiles, packageEffects} {
		if err := read(p, s); err != nil {
			return nil, err
		}
	}
	p.Files = p.Format.Owned(p.Files)
	return p, nil
}

// stanzaFields are the fields of a package that a fixture or catalogue can have, whatever its format is.
var stanzaFields = strings.Fields("Package Version Architecture Status Source Installed-Size Size Provides Conflicts Recommends Description Auto-Installed Conffiles Files Scripts Effects Run-As Repository")

// packageStates are those that a package can be in.
var packageStates = strings.Fields("installed config-files half-installed unpacked half-configured triggers-awaited triggers-pending not-installed")

// checkStanza refuses what would be passed over without a word.
func checkStanza(s *deb.Stanza, p *Package) error {
	known := slices.Concat(stanzaFields, p.Format.fields(), p.Format.idleFields())
	seen := map[string]bool{}
	for _, f := range s.Fields {
		name := strings.ToLower(f.Name)
		if !slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, name) }) {
			return fmt.Errorf("line %d: package %s: unknown field %s", f.Line, p.Name, f.Name)
		}
		if seen[name] {
			return fmt.Errorf("line %d: package %s: %s is given twice", f.Line, p.Name, f.Name)
		}
		seen[name] = true
	}
	if auto := s.Get("Auto-Installed"); auto != "" && auto != "0" && auto != "1" {
		return fmt.Errorf("line %d: package %s: Auto-Installed: %q is neither 1 nor 0", s.Line, p.Name, auto)
	}
	if p.Status != "" && !slices.Contains(packageStates, p.Status) {
		return fmt.Errorf("line %d: package %s: Status: %q is none of %s", s.Line, p.Name, p.Status, strings.Join(packageStates, ", "))
	}
	return nil
}

func packageFields(s *deb.Stanza, format Format) *Package {
	p := format.read(s)
	p.Name, p.Version, p.Arch = s.Get("Package"), s.Get("Version"), s.Get("Architecture")
	p.Provides, p.Source, p.Recommends = s.Get("Provides"), sourceName(s.Get("Source")), s.Get("Recommends")
	return p
}

func packageFiles(p *Package, s *deb.Stanza) error {
	for _, l := range s.List("Files") {
		f, err := parsePackageFile(l, p.Format)
		if err != nil {
			return fmt.Errorf("line %d: package %s: Files: %w", s.Line, p.Name, err)
		}
		p.Files = append(p.Files, f)
	}
	return nil
}

func packageConffiles(p *Package, s *deb.Stanza) error {
	for _, l := range s.List("Conffiles") {
		c, noReplace, err := parseConffile(l, p.Format)
		if err != nil {
			return fmt.Errorf("line %d: package %s: Conffiles: %w", s.Line, p.Name, err)
		}
		p.Conffiles = append(p.Conffiles, c)
		p.own(host.PackedFile{Path: c.Path, Mode: 0o644, Bare: true}).NoReplace = noReplace
	}
	return nil
}

func packageEffects(p *Package, s *deb.Stanza) error {
	for _, l := range s.List("Effects") {
		e, err := parseEffect(l, p.Format)
		if err != nil {
			return fmt.Errorf("line %d: package %s: Effects: %w", s.Line, p.Name, err)
		}
		p.Effects = append(p.Effects, e)
	}
	return nil
}

func packageNumbers(p *Package, s *deb.Stanza) error {
	for field, to := range map[string]*int64{"Installed-Size": &p.SizeKiB, "Size": &p.FileSize} {
		text := s.Get(field)
		if text == "" {
			continue
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 {
			return fmt.Errorf("line %d: package %s: %s: %q is not a number", s.Line, p.Name, field, text)
		}
		*to = n
	}
	return nil
}

// packageStatus reads dpkg's "want flag status" or the status alone.
func packageStatus(p *Package, s *deb.Stanza) error {
	p.Auto = s.Get("Auto-Installed") == "1"
	words := strings.Fields(s.Get("Status"))
	switch len(words) {
	case 0:
	case 1:
		p.Status = words[0]
	case 3:
		p.Held, p.Status = words[0] == "hold", words[2]
	default:
		return fmt.Errorf("line %d: package %s: Status: %q is neither a state nor \"want flag state\"", s.Line, p.Name, s.Get("Status"))
	}
	return nil
}

func sourceName(text string) string {
	name, _, _ := strings.Cut(text, " ")
	return name
}

func joinRelations(fields ...string) string {
	return strings.Join(slices.DeleteFunc(fields, func(s string) bool { return s == "" }), ", ")
}

// editedMD5 stands for a shipped digest that nobody knows, except that it is not the present one.
const editedMD5 = "00000000000000000000000000000000"

// parseConffile reads "PATH [DIGEST|edited] [obsolete] [noreplace]". Without a digest the file is as it
// was shipped. Dpkg's digests are MD5; rpm has several kinds.
func parseConffile(line string, format Format) (c host.Conffile, noReplace bool, err error) {
	words, err := splitWords(line)
	if err != nil {
		return c, false, err
	}
	c.Path = words[0]
	if !path.IsAbs(c.Path) {
		return c, false, fmt.Errorf("%q is not an absolute path", c.Path)
	}
	for _, w := range words[1:] {
		switch {
		case w == "obsolete":
			c.Obsolete = true
		case w == "edited":
			c.MD5 = editedMD5
		case w == "newconffile": // dpkg's own word for one whose digest it has not recorded yet
			c.MD5 = w
		case format.isNoReplace(w):
			noReplace = true
		case format.isDigest(w):
			c.MD5 = w
		default:
			return c, false, fmt.Errorf("%q is neither a digest, nor \"edited\", \"newconffile\" or \"obsolete\", nor, for rpm, \"noreplace\"", w)
		}
	}
	return c, noReplace, nil
}

// parsePackageFile reads "PATH[/] [MODE] [USER:GROUP] [SIZE] [ghost] [missingok] [-> TARGET]".
func parsePackageFile(line string, format Format) (host.PackedFile, error) {
	words, err := splitWords(line)
	if err != nil {
		return host.PackedFile{}, err
	}
	f := host.PackedFile{Path: path.Clean(words[0]), Bare: len(words) == 1}
	if !path.IsAbs(f.Path) {
		return f, fmt.Errorf("%q is not an absolute path", words[0])
	}
	f.Mode = guessMode(words[0])
	for i := 1; i < len(words); i++ {
		switch w := words[i]; {
		case w == "->" && i == len(words)-2:
			f.Target, f.Mode = words[i+1], fs.ModeSymlink|0o777
			return f, nil
		case strings.Contains(w, ":"):
			f.User, f.Group, _ = strings.Cut(w, ":")
		case format.setFlag(&f, w):
		case w[0] == '0' && len(w) >= 4 && len(w) <= 5:
			perm, err := parsePerm(w)
			if err != nil {
				return f, err
			}
			f.Mode = f.Mode.Type() | perm
		default:
			if f.Size, err = parseSize(w); err != nil {
				return f, err
			}
		}
	}
	return f, nil
}

// guessMode is the mode that such a path has in nearly every package: programs and directories
// 0755, all else 0644. A directory is written with a slash at its end.
func guessMode(p string) fs.FileMode {
	if strings.HasSuffix(p, "/") {
		return fs.ModeDir | 0o755
	}
	dir := path.Dir(p)
	if base := path.Base(dir); base == "bin" || base == "sbin" || dir == "/etc/init.d" || strings.HasPrefix(dir, "/etc/cron.") && base != "cron.d" {
		return 0o755
	}
	return 0o644
}

// own adds a path to the package's files if it is not there, and returns it.
func (p *Package) own(f host.PackedFile) *host.PackedFile {
	for i := range p.Files {
		if p.Files[i].Path == f.Path {
			return &p.Files[i]
		}
	}
	p.Files = append(p.Files, f)
	return &p.Files[len(p.Files)-1]
}

// file finds a path among the package's files, which are sorted.
func (p *Package) file(name string) (host.PackedFile, bool) {
	i := host.FindPacked(p.Files, name)
	if i < 0 {
		return host.PackedFile{}, false
	}
	return p.Files[i], true
}

func (p *Package) hasScript(names ...string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return slices.Contains(p.Scripts, n) })
}

// clone copies what the simulation changes.
func (p *Package) clone() *Package {
	c := *p
	c.Conffiles = slices.Clone(p.Conffiles)
	c.Files = slices.Clone(p.Files)
	c.pending, c.pristine = slices.Clone(p.pending), maps.Clone(p.pristine)
	return &c
}
