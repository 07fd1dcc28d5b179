package action

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/deb"
	"zcp2kopano/runtime/host/packagesystem"
)

// What the actions on packages share: names, what of a transaction is still to be done, and the repair of what was
// broken off.

// targetName is the package that NAME, NAME=VERSION or a package file is about.
func targetName(item string) string {
	if path.IsAbs(item) {
		return packagesystem.NameOfFile(item)
	}
	name, _, _ := strings.Cut(item, "=")
	return bareName(name)
}

// bareName leaves out dpkg's architecture: one architecture of a package is in a transaction for all of them.
func bareName(name string) string { return deb.BareName(name) }

// packages is the package database by name.
func packages(v host.View) (map[string]host.Package, error) {
	list, err := v.Packages()
	if err != nil {
		return nil, err
	}
	have := make(map[string]host.Package, len(list))
	for _, p := range list {
		if known, twice := have[bareName(p.Name)]; !twice || !known.Installed() {
			have[bareName(p.Name)] = p
		}
	}
	return have, nil
}

// remaining is what of a transaction is still to be done. Whether a package file is installed cannot
// be told from its name; the manager knows.
func remaining(tx host.Transaction, have map[string]host.Package) host.Transaction {
	need := tx
	need.Remove, need.Install = nil, nil
	for _, name := range tx.Remove {
		if p, ok := have[bareName(name)]; ok && !gone(p, tx.Purge) {
			need.Remove = append(need.Remove, name)
		}
	}
	for _, item := range tx.Install {
		name, version, exact := strings.Cut(item, "=")
		p, ok := have[bareName(name)]
		if path.IsAbs(item) || !ok || !p.Installed() || exact && p.Version != version {
			need.Install = append(need.Install, item)
		}
	}
	return need
}

func gone(p host.Package, purge bool) bool {
	return p.Status == "" || p.Status == "config-files" && !purge
}

// refuseMore refuses a solution that removes a package that nobody asked to remove.
func refuseMore(s host.Solution, asked []string) error {
	if err := (host.Transaction{Remove: asked}).RefuseExtra(s.Remove); err != nil {
		return fmt.Errorf("%w; nothing was changed. Add them to the list if they may go, or find out what needs them", err)
	}
	return nil
}

// watchPackages tells what the package manager says, and what keeps it: a script by its name.
func watchPackages(env *Env, patience time.Duration) *host.PackageWatch {
	n := int64(0)
	return &host.PackageWatch{Patience: patience, Tell: func(work host.PackageWork) {
		switch {
		case work.Said:
			n++
			env.Progress(Progress{What: "packages", Done: n, Unit: "lines", Text: work.Line})
		case work.Script && patience > 0:
			env.Progress(Progress{What: "script " + work.Doing, Done: seconds(work.For), Total: seconds(patience), Unit: "s", Text: work.Line})
		case work.Script:
			env.Progress(Progress{What: "script " + work.Doing, Done: seconds(work.For), Unit: "s", Text: work.Line})
		default:
			env.Progress(Progress{What: work.Doing, Done: seconds(work.For), Unit: "s", Text: work.Line})
		}
	}}
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

// repair finishes what an interrupted transaction left. If only this program was killed, the package
// manager that it had started may be at work still: nothing can be said of the packages before it
// has ended, and RepairPackages waits for that.
func repair(env *Env, stay []string, w *host.PackageWatch) error {
	holder, err := env.Host.PackageLock()
	if err != nil {
		return err
	}
	audit, err := env.Host.PackageAudit()
	if err != nil || holder == nil && len(audit) == 0 {
		return err
	}
	if err := env.Host.RepairPackages(env.Ctx, stay, w); err != nil {
		return fmt.Errorf("repair the package database: %w", err)
	}
	return nil
}

// repairWith repairs, and where that fails installs package files first: a package that was being
// unpacked can only be unpacked again, and no repository may offer it.
func repairWith(env *Env, stay []string, w *host.PackageWatch, install func(*Env) error) error {
	failed := repair(env, stay, w)
	if failed == nil || env.Ctx.Err() != nil {
		return failed
	}
	if err := install(env); err != nil {
		return errors.Join(failed, err)
	}
	return repair(env, stay, w)
}

// packagesBroken is what it means when the work on packages is broken off.
const packagesBroken = "packages may be half installed, and the package manager refuses other work until that is repaired; a resume and a rollback begin with it, and by hand `dpkg --configure -a` and `apt-get -f install` do it"

// packagePlaces are where packages and their scripts change something; each can be a file system of its
// own. Package managers make durable what they unpack; what the scripts do is not.
var packagePlaces = []string{"/", "/etc", "/opt", "/srv", "/usr", "/usr/local", "/var", "/var/cache", "/var/lib", "/var/log", "/var/spool"}
