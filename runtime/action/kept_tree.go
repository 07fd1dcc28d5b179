package action

import (
	"bytes"
	"encoding/json"
	"path"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/tree"
)

// keptTree is a tree whose files are kept: where it lies now, and where it lay when the run began.
type keptTree struct {
	path, of, only string
}

// skips reports whether an entry is not part of the tree.
func (t keptTree) skips(rel string) bool {
	top, _, _ := strings.Cut(rel, "/")
	if strings.HasPrefix(path.Base(rel), tempPrefix) {
		return true
	}
	if t.only == "" {
		return false
	}
	ok, _ := path.Match(t.only, top)
	return !ok
}

// each visits the regular files and the directories of the tree, other mounts included: nothing where there
// is no tree.
func (t keptTree) each(env *Env, visit func(tree.Entry[host.DirReader]) error) error {
	root, err := env.Host.OpenTree(t.path)
	if host.Absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	w := tree.Walker[host.DirReader]{Ctx: env.Ctx, Open: host.DirReader.OpenDir, Visit: regular(visit), Leave: t.skips}
	return w.Walk(root, "", 0)
}

// eachWrite is each, for changes.
func (t keptTree) eachWrite(env *Env, visit func(tree.Entry[host.Dir]) error) error {
	root, err := env.Host.OpenTreeWrite(t.path)
	if host.Absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	w := tree.Walker[host.Dir]{Ctx: env.Ctx, Open: host.Dir.OpenDirWrite, Visit: regular(visit), Leave: t.skips}
	return w.Walk(root, "", 0)
}

func regular[D host.DirReader](visit func(tree.Entry[D]) error) func(tree.Entry[D]) error {
	return func(e tree.Entry[D]) error {
		if !e.Stat.IsDir() && !e.Stat.IsRegular() {
			return nil
		}
		return visit(e)
	}
}

// books is what the store knows of a kept tree.
type books struct {
	List    *Blob  `json:"list,omitempty"`    // what it held when it was kept for the dump
	Due     *due   `json:"due,omitempty"`     // what it is to hold on the way back
	Settled string `json:"settled,omitempty"` // by which action it was given back since it was last kept

	Lost []string `json:"lost,omitempty"` // in that
	Told []string `json:"told,omitempty"`
}

// due is what a tree is to hold again once the database is restored.
type due struct {
	List    Blob   `json:"list"`
	Dirs    Blob   `json:"dirs"`
	Numbers string `json:"numbers,omitempty"` // the table whose numbers the files' names begin with
}

// room is the directory of the store for a tree.
func (t keptTree) room(env *Env) string {
	return path.Join(env.Store.Dir, "trees", t.key())
}

func (t keptTree) key() string { return blobOf([]byte(t.of)).SHA256[:16] }

const booksName = "books"

func (t keptTree) books(env *Env) (b books, err error) {
	dir, err := env.Host.OpenTree(t.room(env))
	if host.Absent(err) {
		return b, nil
	}
	if err != nil {
		return b, err
	}
	defer dir.Close()
	f, err := dir.Open(booksName)
	if host.Absent(err) {
		return b, nil
	}
	if err != nil {
		return b, err
	}
	defer f.Close()
	return b, json.NewDecoder(f).Decode(&b)
}

// note changes the books, durably.
func (t keptTree) note(env *Env, change func(*books)) error {
	b, err := t.books(env)
	if err != nil {
		return err
	}
	before, err := json.Marshal(b)
	if err != nil {
		return err
	}
	change(&b)
	if now, err := json.Marshal(b); err != nil || bytes.Equal(now, before) {
		return err
	}
	return t.write(env, b)
}

func (t keptTree) write(env *Env, b books) error {
	text, err := json.Marshal(b)
	if err != nil {
		return err
	}
	if err := mkdirAll(env.Host, t.room(env)); err != nil {
		return err
	}
	dir, err := env.Host.OpenTreeWrite(t.room(env))
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := unlinkIfThere(dir, incoming); err != nil {
		return err
	}
	if err := writeFile(dir, incoming, bytes.NewReader(text)); err != nil {
		return err
	}
	if err := dir.Rename(incoming, dir, booksName); err != nil {
		return err
	}
	return dir.SyncSelf()
}
