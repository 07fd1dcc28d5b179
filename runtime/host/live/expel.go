package live

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/deb"
)

// ExpelPackages has dpkg purge packages: apt refuses while anything is half-way.
//
// What was being unpacked is unpacked again first, if its file is at hand: only then does dpkg know all that
// it has to take away. Scripts that set a package up are out of reach: dpkg runs them too when a removal
// fails. A removal that fails again and again is tried without the script that fails.
func (h debsWriter) ExpelPackages(ctx context.Context, list []host.Change, keep string, w *host.PackageWatch) error {
	if err := host.CheckPackageNames(namesOf(list)); err != nil {
		return err
	}
	e := &expulsion{deb: h, ctx: ctx, watch: w, list: list, keep: keep, notes: &scriptNotes{h.write, keep}}
	if err := e.deb.turn.take(ctx, w, func() error { return nil }); err != nil || len(list) == 0 {
		return err
	}
	if err := e.heedNotes(); err != nil {
		return err
	}
	if err := e.unpackAgain(); err != nil {
		return err
	}
	for {
		left, err := e.left()
		if err != nil || len(left) == 0 {
			return err
		}
		for _, p := range left {
			if err := e.forget(p.Name, "postinst"); err != nil {
				return err
			}
		}
		failed := e.dpkg(append([]string{"--purge", "--force-depends", "--force-remove-reinstreq"}, packageNames(left)...)...)
		if e.giveUp(failed) {
			return failed
		}
		if left, err = e.left(); err != nil || len(left) == 0 {
			return err
		}
		fewer, err := e.withoutScripts(left)
		if err != nil {
			return err
		}
		if !fewer {
			return errors.Join(fmt.Errorf("dpkg does not purge %s", strings.Join(packageNames(left), ", ")), failed)
		}
	}
}

// expulsion is one ExpelPackages.
type expulsion struct {
	deb   debsWriter
	ctx   context.Context
	watch *host.PackageWatch
	list  []host.Change
	keep  string
	notes *scriptNotes
}

func namesOf(list []host.Change) []string {
	var names []string
	for _, c := range list {
		names = append(names, c.Name)
	}
	return names
}

func packageNames(list []host.Package) []string {
	var names []string
	for _, p := range list {
		names = append(names, p.Name)
	}
	return names
}

// left are the packages of the list that dpkg still knows.
func (e *expulsion) left() ([]host.Package, error) {
	packages, err := e.deb.debs.packagesByName()
	if err != nil {
		return nil, err
	}
	var left []host.Package
	for _, c := range e.list {
		if p, known := packages[c.Name]; known {
			left = append(left, p)
		}
	}
	return left, nil
}

func (e *expulsion) dpkg(args ...string) error {
	return e.deb.turn.take(e.ctx, e.watch, func() error {
		_, err := e.deb.m.managePackages(e.ctx, e.watch, e.notes, command{Args: args, Env: aptEnv}, "dpkg")
		return err
	})
}

// giveUp reports whether a failure is none of a package's.
func (e *expulsion) giveUp(err error) bool {
	var command *host.CommandError
	return err != nil && (e.ctx.Err() != nil || !errors.As(err, &command))
}

// heedNotes puts scripts out of the way that hung when packages were expelled before.
func (e *expulsion) heedNotes() error {
	for _, c := range e.list {
		for _, script := range []string{"prerm", "postrm"} {
			if !e.notes.has(c.Name + "." + script) {
				continue
			}
			if _, err := e.setAside(c.Name, script); err != nil {
				return err
			}
		}
	}
	return nil
}

// withoutScripts puts the script of each package out of the way that its state blames. It is false if there
// was none: then dpkg refuses for another reason.
func (e *expulsion) withoutScripts(left []host.Package) (fewer bool, err error) {
	for _, p := range left {
		for _, script := range blamed(p.Status) {
			was, err := e.setAside(p.Name, script)
			if err != nil {
				return false, err
			}
			fewer = fewer || was
		}
	}
	return fewer, nil
}

// blamed are the scripts that keep a package in a state: before its files go, and behind.
func blamed(status string) []string {
	switch status {
	case "installed", "half-configured", "triggers-awaited", "triggers-pending":
		return []string{"prerm"}
	case "half-installed", "config-files":
		return []string{"postrm"}
	}
	return []string{"prerm", "postrm"} // whether it needs to be reinstalled hides the state
}

// scriptFile is where dpkg has an installed script; empty if it has none.
func (e *expulsion) scriptFile(name, script string) string {
	base := deb.InfoDir + "/" + name
	for _, file := range []string{base + "." + script, base + ":" + e.arch(name) + "." + script} {
		if e.deb.m.files.exists(file) {
			return file
		}
	}
	return ""
}

// arch is the architecture that dpkg has in the file names of a package which may be there for several.
func (e *expulsion) arch(name string) string {
	packages, err := e.deb.debs.packagesByName()
	if err != nil {
		return ""
	}
	return packages[name].Arch
}

// setAside keeps a script and takes it from dpkg. It is false if there is none.
func (e *expulsion) setAside(name, script string) (bool, error) {
	file := e.scriptFile(name, script)
	if file == "" {
		return false, nil
	}
	kept := e.keep + "/" + name + "." + script
	if err := e.deb.write.Unlink(kept); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if err := e.deb.write.copyFile(file, kept); err != nil {
		return false, fmt.Errorf("keep %s: %w", file, err)
	}
	if err := e.deb.write.SyncDir(e.keep); err != nil {
		return false, err
	}
	e.watch.Line(fmt.Sprintf("%s goes without its %s script, which failed or hung; it is kept as %s", name, script, kept))
	return true, e.deb.write.Unlink(file)
}

// forget takes a script from dpkg.
func (e *expulsion) forget(name, script string) error {
	if file := e.scriptFile(name, script); file != "" {
		return e.deb.write.Unlink(file)
	}
	return nil
}

// unpackAgain unpacks what was being unpacked. It is no failure that this fails.
func (e *expulsion) unpackAgain() error {
	packages, err := e.deb.debs.packagesByName()
	if err != nil {
		return err
	}
	var files []string
	for _, c := range e.list {
		p, known := packages[c.Name]
		if !known || p.Status != "reinstreq" || e.notes.has(c.Name+".preinst") {
			continue
		}
		if file := e.fileOf(c); file != "" {
			files = append(files, file)
		}
	}
	if len(files) == 0 {
		return nil
	}
	failed := e.dpkg(slices.Concat(keepConffiles, []string{"--force-depends", "--unpack"}, files)...)
	if e.giveUp(failed) {
		return failed
	}
	return nil
}

// fileOf is the package file of what came: as it was given, or as apt has fetched it.
func (e *expulsion) fileOf(c host.Change) string {
	if strings.HasPrefix(c.Origin, "/") && e.deb.m.files.exists(c.Origin) {
		return c.Origin
	}
	entries, _ := e.deb.m.files.ReadDir(deb.ArchivesDir)
	for _, entry := range entries {
		prefix := fmt.Sprintf("%s_%s_", c.Name, deb.FileVersion(c.Version))
		if strings.HasPrefix(entry.Name, prefix) && (deb.System{}).IsFile(entry.Name) {
			return deb.ArchivesDir + "/" + entry.Name
		}
	}
	return ""
}
