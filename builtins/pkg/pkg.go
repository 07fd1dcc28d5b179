// Package pkg is the runbooks' module pkg: installed packages, transactions, repositories.
package pkg

import (
	"errors"
	"fmt"
	"path"
	"sort"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"zcp2kopano/runtime"
	"zcp2kopano/runtime/host"
)

// Builtins lists the module's functions.
func Builtins() []*runtime.Builtin {
	return []*runtime.Builtin{
		manager, installed, files, owner, solve, candidates, lock, audit,
		remove, install, refresh,
		repository, localRepository, probe, addRepository,
	}
}

var manager = &runtime.Builtin{
	Name:   "pkg.manager",
	Doc:    "Names the package manager.",
	Result: "record(name, version): name is \"apt\", \"yum\", \"dnf\" or \"zypper\"",
	Effect: runtime.Read,
	Example: `
print("packages are managed by", pkg.manager().name)
`,
	Value: func(c *runtime.Call) (starlark.Value, error) {
		m, err := c.View.PackageManager()
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		return runtime.NewRecord(map[string]any{"name": m.Name, "version": m.Version}), nil
	},
}

var installed = &runtime.Builtin{
	Name: "pkg.installed",
	Doc: "Lists packages of the package database.\n\n" +
		"Without status, only fully installed ones. status = \"any\" adds those that left only their " +
		"configuration files, and those that are half-way.",
	Params: []runtime.Param{
		{Name: "pattern", Type: runtime.String, Doc: "glob for the name: *, ?, [a-z]", Optional: true, Default: `"*"`},
		{Name: "vendor", Type: runtime.String, Doc: "text that the maintainer (dpkg) or vendor (rpm) contains, whatever its case", Optional: true, Default: `""`},
		{Name: "status", Type: runtime.String, Doc: "which ones", Optional: true, Default: `"installed"`, Choices: []string{"installed", "any"}, Keyword: true},
	},
	Result: "list of record(name, version, arch, status, held, origin, source, conffiles), in order of name: status is " +
		"\"installed\", \"config-files\" or the package manager's word; origin is the maintainer or vendor; source is the source " +
		"package; conffiles is a list of paths",
	Effect: runtime.Read,
	Example: `
for package in pkg.installed(vendor = "zarafa"):
    print(package.name, package.version)
`,
	Value: func(c *runtime.Call) (starlark.Value, error) {
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
		return runtime.ToStarlark(list), nil
	},
}

func record(p host.Package) *starlarkstruct.Struct {
	conffiles := make([]string, len(p.Conffiles))
	for i, f := range p.Conffiles {
		conffiles[i] = f.Path
	}
	return runtime.NewRecord(map[string]any{
		"name": p.Name, "version": p.Version, "arch": p.Arch, "status": p.Status, "held": p.Held,
		"origin": p.Origin, "source": p.Source, "conffiles": conffiles,
	})
}

var files = &runtime.Builtin{
	Name:   "pkg.files",
	Doc:    "Lists the paths that an installed package owns, directories included.",
	Params: []runtime.Param{{Name: "name", Type: runtime.String, Doc: "package"}},
	Result: "list of absolute paths",
	Effect: runtime.Read,
	Example: `
for package in pkg.installed("zarafa-server"):
    print(len(pkg.files(package.name)), "paths")
`,
	Value: func(c *runtime.Call) (starlark.Value, error) {
		paths, err := c.View.PackageFiles(c.String("name"))
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		return runtime.ToStarlark(paths), nil
	},
}

var owner = &runtime.Builtin{
	Name:   "pkg.owner",
	Doc:    "Lists the installed packages that own a path. A directory often has several owners.",
	Params: []runtime.Param{{Name: "path", Type: runtime.Path, Doc: "absolute path"}},
	Result: "list of names, in order; empty if no package owns it",
	Effect: runtime.Read,
	Example: `
if not pkg.owner("/usr/local/lib/python2.7/dist-packages/zarafa"):
    print("no package owns it")
`,
	Value: func(c *runtime.Call) (starlark.Value, error) {
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
		return runtime.ToStarlark(owners), nil
	},
}

var candidates = &runtime.Builtin{
	Name:     "pkg.candidates",
	Doc:      "Tells which versions the configured repositories offer.",
	Params:   []runtime.Param{{Name: "names", Type: runtime.Strings, Doc: "packages"}},
	Result:   "dict of lists of record(version, origin), newest first; a name that nothing offers is absent",
	Effect:   runtime.Read,
	Volatile: true,
	Example: `
offers = pkg.candidates(["kopano-server"])
if "kopano-server" not in offers:
    print("no configured repository offers Kopano yet")
`,
	Value: func(c *runtime.Call) (starlark.Value, error) {
		found, err := c.View.Candidates(c.Strings("names"))
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		dict := map[string]any{}
		for name, versions := range found {
			list := make([]any, len(versions))
			for i, v := range versions {
				list[i] = runtime.NewRecord(map[string]any{"version": v.Version, "origin": v.Origin})
			}
			dict[name] = list
		}
		return runtime.ToStarlark(dict), nil
	},
}

var lock = &runtime.Builtin{
	Name:     "pkg.lock",
	Doc:      "Tells who holds the package manager's lock.",
	Result:   "record(pid, command, path), or None if it is free",
	Effect:   runtime.Read,
	Volatile: true,
	Example: `
holder = pkg.lock()
if holder:
    inhibit("the package manager is busy", reason = "%s (pid %d) holds %s" % (holder.command, holder.pid, holder.path), remedy = "wait until it ends")
`,
	Value: func(c *runtime.Call) (starlark.Value, error) {
		holder, err := c.View.PackageLock()
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		if holder == nil {
			return starlark.None, nil
		}
		return runtime.NewRecord(map[string]any{"pid": holder.PID, "command": holder.Command, "path": holder.Path}), nil
	},
}

var audit = &runtime.Builtin{
	Name:   "pkg.audit",
	Doc:    "Lists what is broken or half-way in the package database.",
	Result: "list of strings, a problem each; empty if all is well",
	Effect: runtime.Read,
	Example: `
for problem in pkg.audit():
    inhibit("the package database is broken", reason = problem, remedy = "run dpkg --configure -a and apt-get -f install")
`,
	Value: func(c *runtime.Call) (starlark.Value, error) {
		problems, err := c.View.PackageAudit()
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		return runtime.ToStarlark(problems), nil
	},
}

// names reads a parameter that takes a name, or a list of names or of records with a name.
func names(c *runtime.Call, param string) ([]string, error) {
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
		return "", fmt.Errorf("%q is no name of a package; pkg.installed lists the names that match a pattern", string(s))
	}
	return string(s), nil
}

const namesDoc = "a name, or a list of names or of what pkg.installed returns"

var solve = &runtime.Builtin{
	Name: "pkg.solve",
	Doc: "Asks the package manager what a transaction would do, without doing it.\n\n" +
		"With source it tells what the installation would do once what is to be removed is gone; that removal is another question.",
	Params: []runtime.Param{
		{Name: "remove", Type: runtime.Any, Doc: namesDoc, Optional: true, Default: "[]"},
		{Name: "install", Type: runtime.Any, Doc: namesDoc + "; NAME=VERSION is allowed", Optional: true, Default: "[]"},
		{Name: "purge", Type: runtime.Bool, Doc: "remove configuration files too", Optional: true, Default: "False", Keyword: true},
		{Name: "recommends", Type: runtime.Bool, Doc: "take recommended packages along", Optional: true, Default: "False", Keyword: true},
		{Name: "source", Type: runtime.Any, Doc: repoDoc + ", as if it were configured: its packages come from there", Optional: true, Keyword: true},
	},
	Result: "record(possible, problem, install, upgrade, remove, download, disk): problem is \"\" or the package manager's words; " +
		"install, upgrade and remove are lists of record(name, version, old, origin); download and disk are bytes, disk negative if space is freed",
	Effect:   runtime.Read,
	Volatile: true,
	Example: `
plan = pkg.solve(remove = pkg.installed(vendor = "zarafa"))
for package in plan.remove:
    print(package.name, "would go")
`,
	Value: func(c *runtime.Call) (starlark.Value, error) {
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
		s, err := solveFrom(c, host.Transaction{
			Remove: gone, Install: wanted, Purge: c.Bool("purge", false), NoRecommends: !c.Bool("recommends", false),
		})
		var impossible *host.SolveError
		if errors.As(err, &impossible) {
			return solution(host.Solution{}, impossible.Error()), nil
		}
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		return solution(s, ""), nil
	},
}

// solveFrom solves with the repositories that are configured, and the one that is given as source.
func solveFrom(c *runtime.Call, tx host.Transaction) (host.Solution, error) {
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
		probe.Files = s.files
	}
	answer, err := c.View.ProbeRepository(c.Context(), probe)
	return answer.Solution, err
}

func solution(s host.Solution, problem string) starlark.Value {
	return runtime.NewRecord(map[string]any{
		"possible": problem == "", "problem": problem,
		"install": changes(s.Install), "upgrade": changes(s.Upgrade), "remove": changes(s.Remove),
		"download": s.Download, "disk": s.DiskDelta,
	})
}

func changes(list []host.Change) []any {
	records := make([]any, len(list))
	for i, ch := range list {
		records[i] = runtime.NewRecord(map[string]any{"name": ch.Name, "version": ch.Version, "old": ch.Old, "origin": ch.Origin})
	}
	return records
}

// others lists the names in a solution's part that nobody asked for, in order.
func others(list []host.Change, allowed ...[]string) []string {
	ok := map[string]bool{}
	for _, part := range allowed {
		for _, name := range part {
			ok[name] = true
		}
	}
	var extra []string
	for _, ch := range list {
		if !ok[ch.Name] {
			extra = append(extra, ch.Name)
		}
	}
	sort.Strings(extra)
	return extra
}
