package action

import (
	"bufio"
	"fmt"
	"io"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/policy"
	"zcp2kopano/runtime/tree"
)

func init() { register(func() Action { return &Keep{} }) }

// Keep ("tree.keep") gives each file of a tree a second name (a hard link) where only root comes: so its
// deletion can be taken back. Before GiveBack, which says what belongs to the tree on the way back, each Keep also lists
// what the tree holds: the last such list is of the time of the dump.
//
// Of is where the tree lay when the run began; its list and its second names go by that. A file whose
// content is written again in its place is not kept so, and where a file system has no hard links nothing is.
//
// Apply gives names to what has none. Undo takes them away; while a database is changed for good, those of
// what was deleted stay, for the dump that may still be loaded, and once that is loaded it gives back first.
type Keep struct {
	Path string `json:"path"`
	Of   string `json:"of"`
	Only string `json:"only,omitempty"` // glob of the names in the tree itself that count, with all below them

	Size size  `json:"size"`
	List *Blob `json:"list,omitempty"` // of a Keep before GiveBack

	given
}

func (a *Keep) Kind() string             { return "tree.keep" }
func (a *Keep) Touches() []policy.Target { return pathTargets(a.Path) }
func (a *Keep) Stage(*Env) error         { return nil }
func (a *Keep) Irreversible() string     { return "" }
func (a *Keep) Summary() string          { return "keep what is deleted from " + a.Path }

func (a *Keep) Prepare(env *Env) (bool, error) {
	books, err := a.tree().books(env)
	if err != nil {
		return false, err
	}
	if (books.List == nil || books.Due == nil && a.Path == a.Of) && !env.Upgraded {
		err := a.list(env)
		if err != nil || books.List == nil || *a.List != *books.List {
			return true, err
		}
		a.List, a.Size = nil, size{} // it holds what it held
	}
	needed := a.Path != a.Of || books.Settled != "" // elsewhere it is to be known, for what comes to it
	err = a.tree().each(env, func(e tree.Entry[host.DirReader]) error {
		a.Size.add(e.Stat)
		needed = needed || !e.Stat.IsDir() && e.Stat.Nlink < 2
		return nil
	})
	return needed, err
}

func (a *Keep) tree() keptTree { return keptTree{path: a.Path, of: a.Of, only: a.Only} }

// list keeps a line for each file.
func (a *Keep) list(env *Env) error {
	blob, err := env.Store.write(func(w io.Writer) error {
		lines := bufio.NewWriterSize(w, 1<<16)
		err := a.tree().each(env, func(e tree.Entry[host.DirReader]) error {
			if e.Stat.IsDir() {
				return nil
			}
			a.Size.add(e.Stat)
			return lineOf(e, same).write(lines)
		})
		if err != nil {
			return err
		}
		return lines.Flush()
	})
	a.List = &blob
	return err
}

// Detail says how much gets a second name, and what that costs.
func (a *Keep) Detail(*Env) (Detail, error) {
	return Detail{Files: a.Size.Files, Bytes: a.Size.Bytes, Existing: true, Lines: []string{
		"by hard links in the run's backup: no content is copied, and what is deleted keeps its space until the backup goes",
	}}, nil
}

func (a *Keep) Apply(env *Env) (Result, error) {
	tree := a.tree()
	if a.List != nil {
		if err := tree.note(env, func(b *books) { b.List = a.List }); err != nil {
			return Result{}, err
		}
	}
	if err := tree.note(env, func(b *books) { b.Settled, b.Lost, b.Told = "", nil, nil }); err != nil {
		return Result{}, err
	}
	n, without, err := tree.name(env, a.Size.Files)
	if err != nil {
		return Result{}, fmt.Errorf("%s: %w", a.Summary(), err)
	}
	result := Result{Summary: counted(n-without, "file has", "files have") + " a second name"}
	if without > 0 {
		result.Summary += fmt.Sprintf("; %d cannot have one on their file system: if they are deleted, they are lost", without)
	}
	return result, nil
}

func (a *Keep) Undo(env *Env) (err error) {
	switch {
	case env.Upgraded:
		return a.tree().thin(env)
	case env.Restored != nil:
		a.given, err = a.tree().giveBack(env)
		return err
	}
	if a.List != nil {
		if err := a.tree().note(env, func(b *books) { b.List = nil }); err != nil {
			return err
		}
	}
	return a.tree().drop(env)
}

// KeptData implements DataKeeper.
func (a *Keep) KeptData() string {
	if a.Path != a.Of {
		return ""
	}
	return a.Path
}

// MovedData implements DataKeeper.
func (a *Keep) MovedData() string {
	if a.Path == a.Of {
		return ""
	}
	return a.Path
}
