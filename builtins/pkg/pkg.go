// Package pkg is the runbooks' module pkg: installed packages, transactions, repositories.
package pkg

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/script"
)

// Builtins lists the module's functions.
func Builtins() []*script.Builtin {
	return []*script.Builtin{
		manager, installed, files, owner, solve, candidates, lock, audit, losses,
		remove, install, putBack, refresh,
		repository, localRepository, probe, addRepository,
	}
}

var manager = &script.Builtin{
	Name:   "pkg.manager",
	Doc:    "Names the package manager.",
	Result: "record(name, version): name is \"apt\", \"yum\", \"dnf\" or \"zypper\"",
	Effect: script.Read,
	Example: `
print("packages are managed by", pkg.manager().name)
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		m, err := c.View.PackageManager()
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		return script.NewRecord(map[string]any{"name": m.Name, "version": m.Version}), nil
	},
}

var installed = &script.Builtin{
	Name: "pkg.installed",
	Doc: "Lists packages of the package database.\n\n" +
		"Without status, only fully installed ones. status = \"any\" adds those that left only their " +
		"configuration files, and those that are half-way.",
	Params: []script.Param{
		{Name: "pattern", Type: script.String, Doc: "glob for the name: *, ?, [a-z]", Optional: true, Default: `"*"`},
		{Name: "vendor", Type: script.String, Doc: "text that the maintainer (dpkg) or vendor (rpm) contains, whatever its case", Optional: true, Default: `""`},
		{Name: "status", Type: script.String, Doc: "which ones", Optional: true, Default: `"installed"`, Choices: []string{"installed", "any"}, Keyword: true},
	},
	Result: "list of record(name, version, arch, status, held, origin, source, conffiles), in order of name: status is " +
		"\"installed\", \"config-files\" or the package manager's word; origin is the maintainer or vendor; source is the source " +
		"package; conffiles is a list of paths",
	Effect: script.Read,
	Example: `
for package in pkg.installed(vendor = "zarafa"):
    print(package.name, package.version)
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		pattern, vendor := c.StringOr("pattern", "*"), strings.ToLower(c.String("vendor"))
		if _, err := path.Match(pattern, ""); err != nil {
			return nil, c.Errorf("pattern %q: %w", pattern, err)
		}
		all, err := c.View.Packages()
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		var list []any
		for _, p := range all {
			matches, _ := path.Match(pattern, p.Name)
			if matches && strings.Contains(strings.ToLower(p.Origin), vendor) && (p.Installed() || c.String("status") == "any") {
				list = append(list, record(p))
			}
		}
		return script.ToStarlark(list), nil
	},
}

func record(p host.Package) *starlarkstruct.Struct {
	conffiles := make([]string, len(p.Conffiles))
	for i, f := range p.Conffiles {
		conffiles[i] = f.Path
	}
	return script.NewRecord(map[string]any{
		"name": p.Name, "version": p.Version, "arch": p.Arch, "status": p.Status, "held": p.Held,
		"origin": p.Origin, "source": p.Source, "conffiles": conffiles,
	})
}

var files = &script.Builtin{
	Name:   "pkg.files",
	Doc:    "Lists the paths that an installed package owns, directories included.",
	Params: []script.Param{{Name: "name", Type: script.String, Doc: "package"}},
	Result: "list of absolute paths",
	Effect: script.Read,
	Example: `
for package in pkg.installed("zarafa-server"):
    print(len(pkg.files(package.name)), "paths")
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		paths, err := c.View.PackageFiles(c.String("name"))
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		return script.ToStarlark(paths), nil
	},
}

var owner = &script.Builtin{
	Name:   "pkg.owner",
	Doc:    "Lists the installed packages that own a path. A directory often has several owners.",
	Params: []script.Param{{Name: "path", Type: script.Path, Doc: "absolute path"}},
	Result: "list of names, in order; empty if no package owns it",
	Effect: script.Read,
	Example: `
if not pkg.owner("/usr/local/lib/python2.7/dist-packages/zarafa"):
    print("no package owns it")
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		all, err := c.View.Packages()
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		var owners []string
		for _, p := range all {
			if !p.Installed() {
				continue
			}
			paths, err := c.View.PackageFiles(p.Name)
			if err != nil {
				return nil, c.Errorf("files of %s: %w", p.Name, err)
			}
			for _, owned := range paths {
				if owned == c.String("path") {
					owners = append(owners, p.Name)
					break
				}
			}
		}
		return script.ToStarlark(owners), nil
	},
}

var candidates = &script.Builtin{
	Name:     "pkg.candidates",
	Doc:      "Tells which versions the configured repositories offer.",
	Params:   []script.Param{{Name: "names", Type: script.Strings, Doc: "packages"}},
	Result:   "dict of lists of record(version, origin), newest first; a name that nothing offers is absent",
	Effect:   script.Read,
	Volatile: true,
	Example: `
offers = pkg.candidates(["kopano-server"])
if "kopano-server" not in offers:
    print("no configured repository offers Kopano yet")
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		found, err := c.View.Candidates(c.Strings("names"))
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		dict := map[string]any{}
		for name, versions := range found {
			list := make([]any, len(versions))
			for i, v := range versions {
				list[i] = script.NewRecord(map[string]any{"version": v.Version, "origin": v.Origin})
			}
			dict[name] = list
		}
		return script.ToStarlark(dict), nil
	},
}

var lock = &script.Builtin{
	Name:     "pkg.lock",
	Doc:      "Tells who holds the package manager's lock.",
	Result:   "record(pid, command, path), or None if it is free",
	Effect:   script.Read,
	Volatile: true,
	Example: `
holder = pkg.lock()
if holder:
    inhibit("the package manager is busy", reason = "%s (pid %d) holds %s" % (holder.command, holder.pid, holder.path), remedy = "wait until it ends")
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		holder, err := c.View.PackageLock()
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		if holder == nil {
			return starlark.None, nil
		}
		return script.NewRecord(map[string]any{"pid": holder.PID, "command": holder.Command, "path": holder.Path}), nil
	},
}

var audit = &script.Builtin{
	Name:   "pkg.audit",
	Doc:    "Lists what is broken or half-way in the package database.",
	Result: "list of strings, a problem each; empty if all is well",
	Effect: script.Read,
	Example: `
for problem in pkg.audit():
    inhibit("the package database is broken", reason = problem, remedy = "run dpkg --configure -a and apt-get -f install")
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		problems, err := c.View.PackageAudit()
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		return script.ToStarlark(problems), nil
	},
}

// names reads a parameter that takes a name, or a list of names or of records with a name.
func names(c *script.Call, param string) ([]string, error) {
	switch v := c.Value(param).(type) {
	case nil, starlark.NoneType:
		return nil, nil
	case starlark.String:
		name, err := nameOf(v)
		if err != nil {
			return nil, c.Errorf("argument %s: %w", param, err)
		}
		return []string{name}, nil
	case starlark.Sequence:
		var list []string
		iter := v.Iterate()
		defer iter.Done()
		for e := starlark.Value(nil); iter.Next(&e); {
			name, err := nameOf(e)
			if err != nil {
				return nil, c.Errorf("argument %s: %w", param, err)
			}
			list = append(list, name)
		}
		return list, nil
	}
	return nil, c.Errorf("argument %s: got %s, want names of packages", param, c.Value(param).Type())
}

func nameOf(v starlark.Value) (string, error) {
	if rec, ok := v.(*starlarkstruct.Struct); ok {
		if attr, err := rec.Attr("name"); err == nil {
			v = attr
		}
	}
	s, ok := v.(starlark.String)
	if !ok {
		return "", fmt.Errorf("got a %s in it, want names or what pkg.installed returns", v.Type())
	}
	if s == "" || strings.HasPrefix(string(s), "-") || strings.ContainsAny(string(s), "*?[ \t\n") {
		return "", fmt.Errorf("%q is not the name of a package; pkg.installed lists the names that match a pattern", string(s))
	}
	return string(s), nil
}

const namesDoc = "a name, or a list of names or of what pkg.installed returns"

var solve = &script.Builtin{
	Name: "pkg.solve",
	Doc: "Asks the package manager what a transaction would do, without doing it.\n\n" +
		"With source it tells what the installation would do once what is to be removed is gone; that removal is another question.",
	Params: []script.Param{
		{Name: "remove", Type: script.Any, Doc: namesDoc, Optional: true, Default: "[]"},
		{Name: "install", Type: script.Any, Doc: namesDoc + "; NAME=VERSION is allowed", Optional: true, Default: "[]"},
		{Name: "purge", Type: script.Bool, Doc: "remove configuration files too", Optional: true, Default: "False", Keyword: true},
		{Name: "recommends", Type: script.Bool, Doc: "take recommended packages along", Optional: true, Default: "False", Keyword: true},
		{Name: "source", Type: script.Any, Doc: repoDoc + ", as if it were configured: its packages come from there", Optional: true, Keyword: true},
	},
	Result: "record(possible, problem, refusal, install, upgrade, remove, download, disk): problem is \"\" or the package manager's words; " +
		"refusal is \"\", or says what would be removed that remove does not list, which pkg.remove and pkg.install refuse; " +
		"install, upgrade and remove are lists of record(name, version, old, origin, purge); download and disk are bytes, disk negative if space is freed",
	Effect:   script.Read,
	Volatile: true,
	Example: `
solution = pkg.solve(remove = pkg.installed(vendor = "zarafa"))
for package in solution.remove:
    print(package.name, "would go")
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		gone, err := names(c, "remove")
		if err != nil {
			return nil, err
		}
		wanted, err := names(c, "install")
		if err != nil {
			return nil, err
		}
		if wanted, err = fromSource(c, wanted); err != nil {
			return nil, err
		}
		tx := host.Transaction{
			Remove: gone, Install: wanted, Purge: c.Bool("purge", false), NoRecommends: !c.Bool("recommends", false),
		}
		s, err := solveFrom(c, tx)
		var impossible *host.SolveError
		if errors.As(err, &impossible) {
			return solution(host.Solution{}, impossible, nil), nil
		}
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		return solution(s, nil, tx.RefuseExtra(s.Remove)), nil
	},
}

// solveFrom solves with the repositories that are configured, and the one that is given as source.
func solveFrom(c *script.Call, tx host.Transaction) (host.Solution, error) {
	if !c.Has("source") {
		return c.View.Solve(tx)
	}
	r, err := repoOf(c, "source")
	if err != nil {
		return host.Solution{}, err
	}
	probe := host.RepositoryProbe{Tx: &tx}
	if r.kind == kindRepository {
		s, err := prepare(c, r)
		if err != nil {
			return host.Solution{}, err
		}
		probe.Files = s.Files
	}
	answer, err := c.View.ProbeRepository(c.Context(), probe)
	return answer.Solution, err
}

func solution(s host.Solution, problem, refusal error) starlark.Value {
	return script.NewRecord(map[string]any{
		"possible": problem == nil, "problem": textOf(problem), "refusal": textOf(refusal),
		"install": changes(s.Install), "upgrade": changes(s.Upgrade), "remove": changes(s.Remove),
		"download": s.Download, "disk": s.DiskDelta,
	})
}

// textOf is an error's text; "" for none.
func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// changes are a part of a solution by name: package managers have orders of their own, and a run is held to its plan by
// what its calls are given.
func changes(list []host.Change) []any {
	list = slices.SortedFunc(slices.Values(list), func(a, b host.Change) int { return cmp.Compare(a.Name, b.Name) })
	records := make([]any, len(list))
	for i, ch := range list {
		records[i] = script.NewRecord(map[string]any{"name": ch.Name, "version": ch.Version, "old": ch.Old, "origin": ch.Origin, "purge": ch.Purge})
	}
	return records
}

// namesOf lists the names in a solution's part, in order.
func namesOf(list []host.Change) []string {
	var found []string
	for _, ch := range list {
		found = append(found, ch.Name)
	}
	slices.Sort(found)
	return found
}
