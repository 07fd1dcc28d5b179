package action

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/policy"
	"zcp2kopano/runtime/tree"
)

func init() { register(func() Action { return &GiveBack{} }) }

// GiveBack ("tree.give-back") notes what a kept tree holds at a moment from which on nothing of it may be
// lost on the way back: its old owner has stopped, its new one has not begun. Once a rollback has loaded
// the dump of the database that the tree belongs to, the tree is made to hold what the dump knows of,
// before anything works on it: what came since is moved aside and kept, what was deleted is brought back
// by its second name.
//
// Numbers is the table whose numbers the files' names begin with. By them is told what came between the
// dump and this moment: a number above the highest that the restored table has is not known to the dump,
// and would be given to another file.
//
// Prepare lists the tree, and by the list of the last Keep what was added and deleted since. Apply lets
// go of the second names of what is still in the tree, so that others may look at it as at any tree, and
// keeps what was deleted. Undo takes that back, and gives the tree back if the dump was loaded and nobody has
// done so before.
type GiveBack struct {
	Path    string `json:"path"`
	Only    string `json:"only,omitempty"`
	Numbers string `json:"numbers,omitempty"`

	List    Blob  `json:"list"`
	Dirs    Blob  `json:"dirs"`
	Size    size  `json:"size"`
	Added   int64 `json:"added"`   // since the last Keep
	Deleted int64 `json:"deleted"` // since then

	came, went []string // the first of these
	given
}

func (a *GiveBack) Kind() string             { return "tree.give-back" }
func (a *GiveBack) Touches() []policy.Target { return pathTargets(a.Path) }
func (a *GiveBack) Stage(*Env) error         { return nil }
func (a *GiveBack) Irreversible() string     { return "" }
func (a *GiveBack) Summary() string          { return "note what " + a.Path + " holds" }

func (a *GiveBack) due() due { return due{List: a.List, Dirs: a.Dirs, Numbers: a.Numbers} }

func (a *GiveBack) tree() keptTree { return keptTree{path: a.Path, of: a.Path, only: a.Only} }

func (a *GiveBack) Prepare(env *Env) (bool, error) {
	if env.Upgraded {
		return false, nil
	}
	books, err := a.tree().books(env)
	if err != nil {
		return false, err
	}
	first, err := openList(env, books.List)
	if err != nil {
		return false, err
	}
	defer first.close()
	var dirs bytes.Buffer
	a.List, err = env.Store.write(func(w io.Writer) error {
		lines := bufio.NewWriterSize(w, 1<<16)
		if err := a.list(env, first, lines, &dirs); err != nil {
			return err
		}
		return lines.Flush()
	})
	if err != nil {
		return false, err
	}
	if a.Dirs, err = env.Store.PutBytes(dirs.Bytes()); err != nil {
		return false, err
	}
	named, err := a.tree().named(env)
	noted := books.Due != nil && *books.Due == a.due() && books.Settled == ""
	return named || !noted, err
}

// list writes what is in the tree, and what was when it was last kept.
func (a *GiveBack) list(env *Env, first *treeList, files, dirs io.Writer) error {
	gone := func(l treeLine) error {
		a.Deleted++
		a.went = firstNames(a.went, l.Rel)
		l.State = deleted
		return l.write(files)
	}
	if err := a.listTop(env, dirs); err != nil {
		return err
	}
	err := a.tree().each(env, func(e tree.Entry[host.DirReader]) error {
		if e.Stat.IsDir() {
			return lineOf(e, same).write(dirs)
		}
		a.Size.add(e.Stat)
		was, err := first.upTo(e.Rel, gone)
		if err != nil {
			return err
		}
		state := same
		if first.file != nil && was == nil {
			a.Added++
			a.came = firstNames(a.came, e.Rel)
			state = added
		}
		return lineOf(e, state).write(files)
	})
	if err != nil {
		return err
	}
	_, err = first.upTo("", gone)
	return err
}

// topName stands for the tree's own directory in a list of directories.
const topName = "."

func (a *GiveBack) listTop(env *Env, dirs io.Writer) error {
	st, err := env.Host.Stat(a.Path)
	if host.Absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return lineOf(tree.Entry[host.DirReader]{Rel: topName, Stat: st}, same).write(dirs)
}

// Detail says what is noted.
func (a *GiveBack) Detail(*Env) (Detail, error) {
	d := Detail{Files: a.Size.Files, Bytes: a.Size.Bytes, Existing: true}
	for _, group := range []struct {
		n     int64
		what  string
		names []string
	}{{a.Added, "added", a.came}, {a.Deleted, "deleted", a.went}} {
		if group.n == 0 {
			continue
		}
		line := fmt.Sprintf("since it was last kept %s: %s", counted(group.n, "file was "+group.what, "files were "+group.what), strings.Join(group.names, ", "))
		if more := group.n - int64(len(group.names)); more > 0 {
			line += fmt.Sprintf(", and %d more", more)
		}
		d.Lines = append(d.Lines, line)
	}
	return d, nil
}

func firstNames(names []string, name string) []string {
	if len(names) == shownFiles {
		return names
	}
	return append(names, name)
}

func (a *GiveBack) Apply(env *Env) (Result, error) {
	tree := a.tree()
	if err := tree.note(env, func(b *books) { b.Due, b.Settled = new(a.due()), "" }); err != nil {
		return Result{}, err
	}
	if err := tree.thin(env); err != nil {
		return Result{}, fmt.Errorf("%s: %w", a.Summary(), err)
	}
	return Result{Summary: "noted " + counted(a.Size.Files, "file", "files")}, nil
}

func (a *GiveBack) Undo(env *Env) (err error) {
	switch {
	case env.Upgraded:
		return nil
	case env.Restored != nil:
		a.given, err = a.tree().giveBack(env)
		return err
	}
	if err := a.tree().note(env, func(b *books) { b.Due = nil }); err != nil {
		return err
	}
	books, err := a.tree().books(env)
	if err != nil || books.List == nil {
		return err
	}
	return a.tree().unthin(env, a.Size.Files)
}

// RestsOnDatabase implements DatabaseRester.
func (a *GiveBack) RestsOnDatabase() bool { return true }

// NumberedTrees lists where files named by numbers of a database are, or were, by the actions of a run.
func NumberedTrees(actions []Action) []Numbered {
	var list []Numbered
	for _, a := range actions {
		g, ok := a.(*GiveBack)
		if !ok || g.Numbers == "" {
			continue
		}
		for _, a := range actions {
			k, ok := a.(*Keep)
			if !ok || k.Of != g.Path {
				continue
			}
			if t := (Numbered{Path: k.Path, Of: k.Of, Only: k.Only, Table: g.Numbers}); !slices.Contains(list, t) {
				list = append(list, t)
			}
		}
	}
	return list
}
