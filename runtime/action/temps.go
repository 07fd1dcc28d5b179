package action

import (
	"path"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/tree"
)

// tempPrefix begins every temporary name that an action leaves beside what it changes, until it is
// done.
const tempPrefix = ".zcp2kopano-"

// temp is the name of this action's unfinished entry in any directory.
func (e *Env) temp() string { return tempPrefix + e.Tag }

// treeTemp is the name of a copied directory that is not complete yet.
func (e *Env) treeTemp() string { return e.temp() + ".tree" }

// isDraft reports whether a name is that of an unfinished entry of an action, by the action's temp.
func isDraft(name, temp string) bool {
	number, ok := strings.CutPrefix(name, temp+".")
	return name == temp || ok && number != "" && strings.Trim(number, "0123456789") == ""
}

// clearDrafts removes what an interrupted copy left unfinished in a directory.
func (e *Env) clearDrafts(dir host.Dir) error {
	list, err := dir.ReadDir()
	if err != nil {
		return err
	}
	for _, de := range list {
		if !isDraft(de.Name, e.temp()) {
			continue
		}
		if err := tree.Remove(e.Ctx, dir, de.Name, nil); err != nil {
			return err
		}
	}
	return nil
}

// clearTemp removes an unfinished file, and leaves an unfinished tree to be finished.
func clearTemp(env *Env, name string) error {
	return removePath(env.Host, path.Join(path.Dir(name), env.temp()))
}

// clearTemps removes what an interrupted action left unfinished beside a path.
func clearTemps(env *Env, name string) error {
	for _, tmp := range []string{env.temp(), env.treeTemp()} {
		if err := removePath(env.Host, path.Join(path.Dir(name), tmp)); err != nil {
			return err
		}
	}
	return nil
}
