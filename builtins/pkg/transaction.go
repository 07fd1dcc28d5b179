package pkg

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/script"
)

var remove = &script.Builtin{
	Name: "pkg.remove",
	Doc: "Removes packages: exactly these.\n\n" +
		"The package manager is asked first what it would do. If anything else would go, or come, nothing is done and the " +
		"error lists it. Packages that are not there are no error. A package file of each is kept for a way back; where that " +
		"cannot be, nothing is done. With purge = True their configuration files go too, edited " +
		"ones included: back them up before. What a package owns and has not brought (rpm's %ghost: a log, say) stays, though rpm " +
		"would erase it.",
	Params: []script.Param{
		{Name: "names", Type: script.Any, Doc: namesDoc},
		{Name: "purge", Type: script.Bool, Doc: "remove configuration files too (dpkg), also those of packages removed before", Optional: true, Default: "False", Keyword: true},
		{Name: "expect", Type: script.Any, Doc: "packages that may go along", Optional: true, Default: "[]", Keyword: true},
		{Name: "solution", Type: script.Any, Doc: "what pkg.solve found for this removal: while the packages are as they were then, the package manager is not asked again before it begins", Optional: true, Keyword: true},
		loseParam,
		originalsParam,
		scriptPatienceParam,
	},
	Result: "None",
	Effect: script.Change,
	Example: `
pkg.remove(pkg.installed(vendor = "zarafa"), purge = True)
`,
	Decide: func(c *script.Call) (script.Decision, error) {
		none := script.Decision{Result: starlark.None}
		asked, err := names(c, "names")
		if err != nil {
			return none, err
		}
		expected, err := names(c, "expect")
		if err != nil {
			return none, err
		}
		purge := c.Bool("purge", false)
		present, err := removable(c.View, asked, purge)
		if err != nil {
			return none, c.Errorf("%w", err)
		}
		if len(present) == 0 {
			return none, nil
		}
		tx := host.Transaction{Remove: present, Purge: purge}
		s, err := removal(c, tx)
		if err != nil {
			return none, c.Errorf("%w", err)
		}
		if err := tx.RefuseExtra(s.Remove, expected...); err != nil {
			return none, c.Errorf("removing %s: %w%s", shorten(present), err, expectHint)
		}
		if extra := namesOf(append(s.Install, s.Upgrade...)); len(extra) > 0 {
			return none, c.Errorf("removing %s would install or upgrade %s; nothing was changed. Repair or upgrade these first",
				shorten(present), strings.Join(extra, ", "))
		}
		return commit(c, tx, s, expected)
	},
}

// removal is what the package manager finds, or has found for pkg.solve if that still holds. Under its lock it finds it
// once more, and begins nothing else.
func removal(c *script.Call, tx host.Transaction) (host.Solution, error) {
	if !c.Has("solution") {
		return c.View.Solve(tx)
	}
	known, err := byName(c.View)
	if err != nil {
		return host.Solution{}, err
	}
	if found, ok := foundBefore(c.Value("solution"), tx, known); ok {
		return found, nil
	}
	return c.View.Solve(tx)
}

// foundBefore reads what pkg.solve returned: false unless it removes these packages and does nothing else, and they are
// as they were.
func foundBefore(v starlark.Value, tx host.Transaction, known map[string]host.Package) (s host.Solution, ok bool) {
	for part, to := range map[string]*[]host.Change{"install": &s.Install, "upgrade": &s.Upgrade, "remove": &s.Remove} {
		if *to, ok = changesIn(v, part); !ok {
			return s, false
		}
	}
	if len(s.Install)+len(s.Upgrade) > 0 {
		return s, false
	}
	for _, c := range s.Remove {
		if known[c.Name].Version != c.Version || c.Purge && !tx.Purge {
			return s, false
		}
	}
	asked := slices.Sorted(slices.Values(tx.Remove))
	return s, slices.Equal(namesOf(s.Remove), asked)
}

// changesIn is one part of what pkg.solve returned.
func changesIn(v starlark.Value, part string) (list []host.Change, ok bool) {
	record, ok := v.(*starlarkstruct.Struct)
	if !ok {
		return nil, false
	}
	records, err := record.Attr(part)
	if err != nil {
		return nil, false
	}
	sequence, ok := records.(starlark.Sequence)
	if !ok {
		return nil, false
	}
	for each := range starlark.Elements(sequence) {
		one, ok := each.(*starlarkstruct.Struct)
		if !ok {
			return nil, false
		}
		text := func(name string) string {
			value, _ := one.Attr(name)
			s, _ := starlark.AsString(value)
			return s
		}
		purge, _ := one.Attr("purge")
		list = append(list, host.Change{Name: text("name"), Version: text("version"), Old: text("old"), Origin: text("origin"), Purge: purge == starlark.True})
	}
	return list, true
}

// expectHint is how a runbook names them.
const expectHint = "; nothing was changed. If they may go, name them in expect = [...]; else find out what needs them"

// removable keeps the names that the package database knows: fully installed, half-way, or, for a
// purge, with only their configuration files left.
func removable(view host.View, asked []string, purge bool) ([]string, error) {
	known, err := byName(view)
	if err != nil {
		return nil, err
	}
	var present []string
	for _, name := range asked {
		p, ok := known[name]
		if ok && (purge || p.Status != "config-files") {
			present = append(present, name)
		}
	}
	return present, nil
}

func byName(view host.View) (map[string]host.Package, error) {
	all, err := view.Packages()
	if err != nil {
		return nil, err
	}
	known := map[string]host.Package{}
	for _, p := range all {
		known[p.Name] = p
	}
	return known, nil
}

// shorten lists a few names.
func shorten(list []string) string {
	const few = 3
	if len(list) <= few {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:few], ", "), len(list)-few)
}

var install = &script.Builtin{
	Name: "pkg.install",
	Doc: "Installs packages and what they depend on.\n\n" +
		"The package manager is asked first what it would do. If anything would be removed, nothing is done and the error " +
		"lists it. Packages that are installed, in the version asked for, are left alone. Existing configuration files stay; " +
		"services of the packages may start by themselves: see svc.hold_starts.",
	Params: []script.Param{
		{Name: "names", Type: script.Any, Doc: namesDoc + "; NAME=VERSION takes that version, an absolute path a package file"},
		{Name: "recommends", Type: script.Bool, Doc: "take recommended packages along", Optional: true, Default: "False", Keyword: true},
		{Name: "source", Type: script.Any, Doc: "what pkg.local_repository returned: take the package files from there", Optional: true, Keyword: true},
		{Name: "expect", Type: script.Any, Doc: "packages that may be removed in exchange", Optional: true, Default: "[]", Keyword: true},
		loseParam,
		originalsParam,
		scriptPatienceParam,
	},
	Result: "None",
	Effect: script.Change,
	Example: `
svc.hold_starts()
pkg.install(["kopano-server-packages"])
svc.release_starts()
`,
	Decide: func(c *script.Call) (script.Decision, error) {
		none := script.Decision{Result: starlark.None}
		asked, err := names(c, "names")
		if err != nil {
			return none, err
		}
		expected, err := names(c, "expect")
		if err != nil {
			return none, err
		}
		wanted, err := lacking(c.View, asked)
		if err != nil {
			return none, c.Errorf("%w", err)
		}
		if wanted, err = fromSource(c, wanted); err != nil {
			return none, err
		}
		if len(wanted) == 0 {
			return none, nil
		}
		tx := host.Transaction{Install: wanted, NoRecommends: !c.Bool("recommends", false)}
		s, err := c.View.Solve(tx)
		if err != nil {
			return none, c.Errorf("%w", err)
		}
		if err := tx.RefuseExtra(s.Remove, expected...); err != nil {
			return none, c.Errorf("installing %s: %w%s", shorten(wanted), err, expectHint)
		}
		if len(s.Install)+len(s.Upgrade)+len(s.Remove) == 0 {
			return none, nil
		}
		return commit(c, tx, s, expected)
	},
}

var putBack = &script.Builtin{
	Name: "pkg.put_back",
	Doc: "Installs packages again that this run has removed, in the version that they had, from the package files that it keeps.\n\n" +
		"So a package can go out of the way of others that take the place of what it needs. Their configuration files are still there, " +
		"unless they were purged. What is installed is left alone.",
	Params: []script.Param{{Name: "names", Type: script.Any, Doc: namesDoc}, scriptPatienceParam},
	Result: "None",
	Effect: script.Change,
	Example: `
pkg.remove("apt-transport-https")
pkg.put_back("apt-transport-https")
`,
	Decide: func(c *script.Call) (script.Decision, error) {
		none := script.Decision{Result: starlark.None}
		asked, err := names(c, "names")
		if err != nil {
			return none, err
		}
		wanted, err := lacking(c.View, asked)
		if err != nil {
			return none, c.Errorf("%w", err)
		}
		patience, err := scriptPatience(c)
		if err != nil || len(wanted) == 0 {
			return none, err
		}
		tx := host.Transaction{Install: wanted, NoRecommends: true}
		return script.Decision{Actions: []action.Action{&action.Commit{Tx: tx, Kept: true, Patience: patience}}, Result: starlark.None}, nil
	},
}

// lacking leaves out what is installed: a name in any version, NAME=VERSION in that version.
func lacking(view host.View, asked []string) ([]string, error) {
	known, err := byName(view)
	if err != nil {
		return nil, err
	}
	var wanted []string
	for _, item := range asked {
		name, version, exact := strings.Cut(item, "=")
		p := known[name]
		if p.Installed() && (!exact || p.Version == version) {
			continue
		}
		wanted = append(wanted, item)
	}
	return wanted, nil
}

// fromSource replaces names by the package files of a source that is a plain directory.
func fromSource(c *script.Call, wanted []string) ([]string, error) {
	if !c.Has("source") || len(wanted) == 0 {
		return wanted, nil
	}
	r, err := repoOf(c, "source")
	if err != nil || r.kind != kindFiles {
		return wanted, err
	}
	files, err := readFiles(c, r)
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	return files.closure(wanted), nil
}

var refresh = &script.Builtin{
	Name: "pkg.refresh",
	Doc: "Reads again what the configured repositories offer.\n\n" +
		"A repository that does not answer, or is not signed as it should be, is an error.",
	Params: []script.Param{
		{Name: "name", Type: script.String, Doc: "only the source that pkg.add_repository configured under this name; all if left out", Optional: true, Default: `""`},
	},
	Result: "None",
	Effect: script.Change,
	Example: `
pkg.add_repository(pkg.repository("kopano", "file:/srv/kopano/", trusted = True))
pkg.refresh("kopano")
`,
	Decide: func(c *script.Call) (script.Decision, error) {
		name := c.String("name")
		if name == "" {
			return script.Decision{Actions: []action.Action{&action.Refresh{}}, Result: starlark.None}, nil
		}
		if !validName.MatchString(name) {
			return script.Decision{}, c.Errorf("name %q: use lower-case letters, digits and -", name)
		}
		system, err := systemOf(c)
		if err != nil {
			return script.Decision{}, err
		}
		return script.Decision{Actions: []action.Action{refreshSource(system.SourceFile(name))}, Result: starlark.None}, nil
	},
}

// commit decides on a transaction. The packages that may go along are asked for by name, because the
// action refuses to remove any that is not.
func commit(c *script.Call, tx host.Transaction, s host.Solution, expected []string) (script.Decision, error) {
	patience, err := scriptPatience(c)
	if err != nil {
		return script.Decision{}, err
	}
	for _, ch := range s.Remove {
		if slices.Contains(expected, ch.Name) && !slices.Contains(tx.Remove, ch.Name) {
			tx.Remove = append(tx.Remove, ch.Name)
		}
	}
	given, err := originals(c, namesOf(slices.Concat(s.Remove, s.Upgrade)))
	if err != nil {
		return script.Decision{}, err
	}
	done := &action.Commit{Tx: tx, Patience: patience, Lose: c.Bool("lose", false), Originals: given, Solved: &s}
	return script.Decision{Actions: []action.Action{done}, Result: starlark.None}, nil
}

var loseParam = script.Param{
	Name: "lose", Type: script.Bool, Optional: true, Default: "False", Keyword: true,
	Doc: "go on even if nothing can be kept of a package that goes (it is in no cache, no repository has it, and it cannot be built " +
		"anew from what is installed): no rollback would bring it back",
}

var scriptPatienceParam = script.Param{
	Name: "script_patience", Type: script.Int, Optional: true, Default: "1800", Keyword: true,
	Doc: "seconds that one maintainer script may take, also when the transaction is undone; then it is ended, and fails; 0 waits for ever",
}

func scriptPatience(c *script.Call) (time.Duration, error) {
	seconds := c.Int("script_patience", 1800)
	if seconds < 0 || seconds > 7*24*3600 {
		return 0, c.Errorf("argument script_patience: %d is out of range; give 1 to 604800 seconds, or 0 to wait for ever", seconds)
	}
	return time.Duration(seconds) * time.Second, nil
}

func refreshSource(file string) action.Action {
	return &action.Refresh{Only: []string{file}}
}

// writeConfig writes a file of the package manager's configuration; what others may not read is not
// shown either.
func writeConfig(f host.ConfigFile) action.Action {
	mode := fs.FileMode(f.Mode)
	return &action.Write{
		Path: f.Path, Content: []byte(f.Content.Reveal()), Mode: &mode, Private: f.Mode&0o044 == 0,
	}
}

// mkdirIfAbsent makes a directory that the package manager's packages may have left out; nil if it
// is there, so that the policy need not allow it.
func mkdirIfAbsent(c *script.Call, dir string) (action.Action, error) {
	_, err := c.View.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		mode := fs.FileMode(0o755)
		return &action.Mkdir{Path: dir, Mode: &mode}, nil
	}
	return nil, err
}

var losses = &script.Builtin{
	Name: "pkg.losses",
	Doc: "Tells of which packages nothing can be kept for a way back, so that pkg.remove would refuse to remove them.\n\n" +
		"A package file is taken from originals, from the package manager's cache, from a configured repository that still offers this " +
		"very version, or built anew from what is installed. Nothing is built here: what goes wrong only then is found by pkg.remove.",
	Params: []script.Param{
		{Name: "names", Type: script.Any, Doc: namesDoc},
		originalsParam,
	},
	Result:   "dict of strings: by name, why nothing can be kept",
	Effect:   script.Read,
	Volatile: true,
	Example: `
for name, why in pkg.losses(pkg.installed(vendor = "zarafa")).items():
    warn("%s cannot come back" % name, reason = why, remedy = "look for its package file")
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		asked, err := names(c, "names")
		if err != nil {
			return nil, err
		}
		given, err := originals(c, asked)
		if err != nil {
			return nil, err
		}
		var rest []string
		for _, name := range asked {
			if given[name] == "" {
				rest = append(rest, name)
			}
		}
		lost, err := c.View.Losses(rest)
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		dict := map[string]any{}
		for name, why := range lost {
			dict[name] = why
		}
		return script.ToStarlark(dict), nil
	},
}

var originalsParam = script.Param{
	Name: "originals", Type: script.Path, Optional: true, Default: "None", Keyword: true,
	Doc: "directory with package files of what is installed, as they were installed from: what it has in just that version is kept for a way back",
}

// originals are the package files in a directory that are what is installed, by the name of the package.
func originals(c *script.Call, names []string) (map[string]string, error) {
	dir := c.String("originals")
	if dir == "" {
		return nil, nil
	}
	found, err := originalsIn(c, dir, names)
	if err != nil {
		return nil, c.Errorf("originals: %w", err)
	}
	return found, nil
}

func originalsIn(c *script.Call, dir string, names []string) (map[string]string, error) {
	system, err := systemOf(c)
	if err != nil {
		return nil, err
	}
	d, err := directoryOf(c.View, system, dir)
	if err != nil {
		return nil, err
	}
	if err := trusted(c, dir, d.Files); err != nil {
		return nil, err
	}
	known, err := byName(c.View)
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for _, name := range d.Files {
		p, err := readFile(c.View, system, path.Join(dir, name))
		if err != nil {
			return nil, fmt.Errorf("%s: %w; copy it again, or move it away", path.Join(dir, name), err)
		}
		for _, name := range names {
			if !host.IsFileOf(p, known[name]) {
				continue
			}
			if err := checkFile(c.View, system, p.Path); err != nil {
				return nil, fmt.Errorf("%s: %w; copy it again, or move it away", p.Path, err)
			}
			found[name] = p.Path
		}
	}
	return found, nil
}
