package action

import "path"

// tempPrefix begins every temporary name that an action leaves beside what it changes, until it is
// done.
const tempPrefix = ".zcp2kopano-"

// temp is the name of this action's unfinished entry in any directory.
func (e *Env) temp() string { return tempPrefix + e.Tag }

// treeTemp is the name of a copied directory that is not complete yet.
func (e *Env) treeTemp() string { return e.temp() + ".tree" }

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
