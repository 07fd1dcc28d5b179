package action

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"syscall"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/tree"
)

// giver gives a tree back.
type giver struct {
	env   *Env
	tree  keptTree
	due   due
	list  *treeList
	rooms []string            // where second names are
	dirs  map[string]treeLine // that the tree had

	aside, back int64
	lost        []string
	seen        map[uint64]bool // of the unlisted numbers, those whose file is there, or is named as lost
	unkept      []uint64
	unlisted    []string // directories that the tree did not have, children first
}

// given is what came of giving a tree back.
type given struct{ lost, told []string }

// Differences implements Comparer: it names what could not be given back.
func (g given) Differences(*Env) ([]string, error) { return g.lost, nil }

// Told implements Teller.
func (g given) Told() []string { return g.told }

// giveBack makes a tree hold what the restored database knows of, unless that was done before.
func (t keptTree) giveBack(env *Env) (given, error) {
	books, err := t.books(env)
	if err != nil || books.Due == nil {
		return given{}, err
	}
	if books.Settled == "" {
		g := &giver{env: env, tree: t, due: *books.Due}
		if err := g.give(); err != nil {
			return given{}, fmt.Errorf("give back what %s held: %w", t.path, err)
		}
		books.Settled, books.Lost, books.Told = env.Tag, g.differences(), g.tell()
		if err := t.write(env, books); err != nil {
			return given{}, err
		}
	}
	if err := t.drop(env); err != nil {
		return given{}, err
	}
	if books.Settled != env.Tag {
		return given{}, nil // another action has told
	}
	return given{books.Lost, books.Told}, nil
}

func (g *giver) give() error {
	var err error
	g.seen = map[uint64]bool{}
	if g.rooms, err = g.tree.rooms(g.env); err != nil {
		return err
	}
	g.rooms = append(g.rooms, path.Join(g.tree.room(g.env), deletedDir))
	if err := g.readDirs(); err != nil {
		return err
	}
	if g.list, err = openList(g.env, &g.due.List); err != nil {
		return err
	}
	defer g.list.close()
	if err := g.tree.eachWrite(g.env, g.judge); err != nil {
		return err
	}
	if _, err := g.list.upTo("", g.missing); err != nil {
		return err
	}
	g.fleeting()
	for _, rel := range g.unlisted {
		err := g.env.Host.Rmdir(path.Join(g.tree.path, rel))
		if err != nil && !host.Absent(err) && !errors.Is(err, syscall.ENOTEMPTY) && !errors.Is(err, syscall.EEXIST) && !errors.Is(err, syscall.EBUSY) {
			return err
		}
	}
	return syncFileSystems(g.env.Host, g.tree.path, g.env.Store.Dir)
}

func (g *giver) readDirs() error {
	text, err := g.env.Store.Bytes(g.due.Dirs)
	if err != nil {
		return err
	}
	g.dirs = map[string]treeLine{}
	for in := bytes.NewReader(text); in.Len() > 0; {
		line, err := readLine(in)
		if err != nil {
			return err
		}
		g.dirs[line.Rel] = line
	}
	return nil
}

// judge decides what becomes of an entry of the tree.
func (g *giver) judge(e tree.Entry[host.Dir]) error {
	if e.Stat.IsDir() {
		if _, listed := g.dirs[e.Rel]; !listed {
			g.unlisted = append(g.unlisted, e.Rel)
		}
		return nil
	}
	line, err := g.list.upTo(e.Rel, g.missing)
	if err != nil {
		return err
	}
	belongs := line != nil && g.belongs(*line)
	if belongs && line.is(e.Stat) {
		g.seen[number(e.Rel)] = true
		return nil
	}
	if err := g.setAside(e); err != nil {
		return err
	}
	if !belongs {
		return nil
	}
	return g.missing(*line)
}

// belongs reports whether the restored database knows of a file that was listed.
func (g *giver) belongs(l treeLine) bool {
	highest, known := g.env.Restored.Highest[g.due.Numbers]
	return l.State != added || !known || number(l.Rel) <= highest
}

// setAside moves a file to the store's directory of what came since the run.
func (g *giver) setAside(e tree.Entry[host.Dir]) error {
	if g.aside++; g.aside%100 == 0 {
		g.env.Progress(Progress{What: "move aside what came to " + g.tree.path, Done: g.aside, Unit: "files"})
	}
	where := path.Join(g.env.Store.Since(), g.tree.path, path.Dir(e.Rel))
	if err := mkdirAll(g.env.Host, where); err != nil {
		return err
	}
	to, err := g.env.Host.OpenTreeWrite(where)
	if err != nil {
		return err
	}
	defer to.Close()
	name := e.Name
	for n := 2; ; n++ {
		_, err := to.Lstat(name)
		if host.Absent(err) {
			break
		}
		if err != nil {
			return err
		}
		if _, kept, err := alikeAt(e.Dir, e.Name, to, name); err != nil {
			return err
		} else if kept { // a copy that an interruption left both of
			return e.Dir.Unlink(e.Name)
		}
		name = fmt.Sprintf("%s.%d", e.Name, n)
	}
	if e.Stat.Nlink < 2 { // the second name of one that has it is a file of the tree yet
		err = e.Dir.Rename(e.Name, to, name)
		if !errors.Is(err, syscall.EXDEV) {
			return err
		}
	}
	if err := copySince(g.env, path.Join(g.tree.path, e.Rel), path.Join(where, name)); err != nil {
		return err
	}
	return e.Dir.Unlink(e.Name)
}

// missing brings back a file that is not in the tree as it was listed.
func (g *giver) missing(l treeLine) error {
	if !g.belongs(l) {
		return nil
	}
	g.seen[number(l.Rel)] = true
	for _, room := range g.rooms {
		back, err := g.bring(room, l)
		if err != nil {
			return fmt.Errorf("bring back %s: %w", l.Rel, err)
		}
		if back {
			g.back++
			return nil
		}
	}
	g.lost = append(g.lost, l.Rel)
	return nil
}

// fleeting names as lost what came after the tree was first listed, was there when the dump was made, and was gone when the
// tree's old owner had stopped: no second name of it was ever made, and no list has it.
func (g *giver) fleeting() {
	for _, n := range g.env.Restored.Unlisted[g.due.Numbers] {
		if !g.seen[n] {
			g.unkept = append(g.unkept, n)
		}
	}
}

// bring brings a file back from a directory of second names, if its second name is there and it is as it
// was listed.
func (g *giver) bring(room string, l treeLine) (bool, error) {
	from, err := g.env.Host.OpenTreeWrite(path.Join(room, path.Dir(l.Rel)))
	if host.Absent(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer from.Close()
	name := path.Base(l.Rel)
	st, err := from.Lstat(name)
	if host.Absent(err) || err == nil && !l.is(st) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	to, err := g.home(path.Dir(l.Rel))
	if err != nil {
		return false, err
	}
	defer to.Close()
	err = from.Rename(name, to, name)
	if errors.Is(err, syscall.EXDEV) {
		err = g.copyBack(path.Join(room, l.Rel), path.Join(g.tree.path, l.Rel))
	}
	if err != nil {
		return false, err
	}
	return true, g.own(to, name, l)
}

func (g *giver) copyBack(from, to string) error {
	if err := clearTemps(g.env, to); err != nil {
		return err
	}
	if err := newCopier(g.env, "copy "+from, size{}).place(from, to); err != nil {
		return err
	}
	return removePath(g.env.Host, from)
}

// own gives a file that was brought back the owner and mode that were listed; not one that has other
// names, which may be somebody's way to become the owner of what is not his.
func (g *giver) own(dir host.Dir, name string, l treeLine) error {
	return held(dir, name, func(e host.HeldWrite, st host.Stat) error {
		if st.Nlink > 1 || !st.IsRegular() {
			return nil
		}
		return setAttrs(e, st, attrs{l.UID, l.GID, l.Perm})
	})
}

// top opens the tree's own directory. A package that somebody has purged may have taken it along with all that it held, as
// Debian's kopano-server does: it is made again.
func (g *giver) top() (host.Dir, error) {
	dir, err := g.env.Host.OpenTreeWrite(g.tree.path)
	if !host.Absent(err) {
		return dir, err
	}
	if err := makeDirs(g.env.Host, path.Dir(g.tree.path), 0o755); err != nil {
		return nil, err
	}
	above, err := g.env.Host.OpenTreeWrite(path.Dir(g.tree.path))
	if err != nil {
		return nil, err
	}
	defer above.Close()
	return g.homeIn(above, path.Base(g.tree.path), topName)
}

// home opens a directory of the tree, and makes it and those above it as they were listed.
func (g *giver) home(rel string) (host.Dir, error) {
	dir, err := g.top()
	if err != nil || rel == topName {
		return dir, err
	}
	at := ""
	for _, name := range strings.Split(rel, "/") {
		at = path.Join(at, name)
		next, err := g.homeIn(dir, name, at)
		dir.Close()
		if err != nil {
			return nil, err
		}
		dir = next
	}
	return dir, nil
}

// homeIn opens a directory in one of the tree. One that is missing gets its name when it has its owner and mode: half made,
// it would be taken for the tree's own.
func (g *giver) homeIn(dir host.Dir, name, rel string) (host.Dir, error) {
	sub, err := dir.OpenDirWrite(name)
	if !host.Absent(err) {
		return sub, err
	}
	above, err := dir.Self()
	if err != nil {
		return nil, err
	}
	want := attrsOf(above)
	if was, listed := g.dirs[rel]; listed {
		want = attrs{was.UID, was.GID, was.Perm}
	}
	draft := g.env.treeTemp()
	if err := dir.Mkdir(draft, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if sub, err = dir.OpenDirWrite(draft); err != nil {
		return nil, err
	}
	if err = sub.ChownSelf(int(want.UID), int(want.GID)); err == nil {
		err = sub.ChmodSelf(want.Mode)
	}
	if err = errors.Join(err, sub.Close()); err == nil {
		err = dir.Rename(draft, dir, name)
	}
	if err != nil {
		return nil, err
	}
	return dir.OpenDirWrite(name)
}

// shownFiles is how many files a message names.
const shownFiles = 10

// differences names what is lost.
func (g *giver) differences() []string {
	var lines []string
	for _, rel := range g.lost[:min(len(g.lost), shownFiles)] {
		lines = append(lines, path.Join(g.tree.path, rel)+": is lost: it was deleted or overwritten since the dump, and no second name of it was kept")
	}
	if more := len(g.lost) - len(lines); more > 0 {
		lines = append(lines, fmt.Sprintf("%s: %d more files are lost in the same way", g.tree.path, more))
	}
	if n := len(g.unkept); n > 0 {
		var names []string
		for _, one := range g.unkept[:min(n, shownFiles)] {
			names = append(names, strconv.FormatUint(one, 10))
		}
		lines = append(lines, fmt.Sprintf("%s: %s lost: they came when the tree was listed already, and were deleted between the dump, which knows them, and the stop; numbers %s",
			g.tree.path, counted(int64(n), "file is", "files are"), strings.Join(names, ", ")))
	}
	return lines
}

// tell says what was done.
func (g *giver) tell() []string {
	var lines []string
	if g.aside > 0 {
		lines = append(lines, fmt.Sprintf("%s to %s since, unknown to the restored database: kept in %s",
			counted(g.aside, "file came", "files came"), g.tree.path, path.Join(g.env.Store.Since(), g.tree.path)))
	}
	if g.back > 0 {
		lines = append(lines, fmt.Sprintf("%s from %s since, and brought back", counted(g.back, "file was deleted", "files were deleted"), g.tree.path))
	}
	return lines
}
