package action

import (
	"fmt"
	"io/fs"
	"path"

	"zcp2kopano/runtime/host"
)

// tally is what Prepare finds out about a tree. It holds a number per owner, group and mode, and
// something per file only for the rare ones.
type tally struct {
	rule    rule
	entries int64
	changes int64
	uids    map[uint32]int64
	gids    map[uint32]int64
	files   map[fs.FileMode]int64
	dirs    map[fs.FileMode]int64
	links   map[inode]*linkCount
	setid   []exception
	caps    []capable
	skipped []string
}

// linkCount is a file with several names.
type linkCount struct {
	seen, nlink uint64
	rel         string
	changes     bool
}

// tally looks at the whole tree; with a roster, it notes in it what is to be changed.
func (a *Chown) tally(env *Env, names *roster) (*tally, error) {
	s := &tally{
		rule: a.Rule, uids: map[uint32]int64{}, gids: map[uint32]int64{},
		files: map[fs.FileMode]int64{}, dirs: map[fs.FileMode]int64{}, links: map[inode]*linkCount{},
	}
	skip := func(rel string) error {
		s.skipped = append(s.skipped, path.Join(a.Path, rel))
		return nil
	}
	look := func(e entry[host.DirReader]) error {
		meant := a.meant(e.name, e.st)
		s.add(e.rel, e.st, meant)
		if names != nil && meant && s.rule.apply(e.st) != attrsOf(e.st) {
			if err := names.add(e.rel); err != nil {
				return err
			}
		}
		if err := s.addCaps(e, meant); err != nil {
			return err
		}
		if s.entries%10000 == 0 {
			env.Progress(Progress{What: "look at " + a.Path, Done: s.entries, Unit: "files"})
		}
		return nil
	}
	return s, a.read(env, look, skip)
}

// read reads every entry, those of a directory before itself, the root last.
func (a *Chown) read(env *Env, visit func(entry[host.DirReader]) error, skip func(rel string) error) error {
	st, err := a.root(env.Host)
	if err != nil {
		return err
	}
	if st.IsDir() && a.Recursive {
		root, err := env.Host.OpenTree(a.Path)
		if err != nil {
			return err
		}
		defer root.Close()
		w := readWalker(env.Ctx, visit)
		w.mount = skip
		if err := w.walk(root, "", st.Dev); err != nil {
			return err
		}
	}
	root := entry[host.DirReader]{name: path.Base(a.Path), rel: ".", st: st}
	if st.IsRegular() {
		if root.dir, err = env.Host.OpenTree(path.Dir(a.Path)); err != nil {
			return err
		}
		defer root.dir.Close()
	}
	return visit(root)
}

func (s *tally) add(rel string, st host.Stat, meant bool) {
	s.entries++
	want, is := s.rule.apply(st), attrsOf(st)
	changes := meant && want != is
	if st.IsRegular() && st.Nlink > 1 {
		s.countLink(rel, st, changes)
	}
	if !meant {
		return
	}
	s.uids[is.UID]++
	s.gids[is.GID]++
	switch {
	case st.IsDir():
		s.dirs[is.Mode]++
	case st.IsRegular():
		s.files[is.Mode]++
	}
	if !changes {
		return
	}
	s.changes++
	if hasSetid(st) {
		s.setid = append(s.setid, exception{rel, is})
	}
}

func (s *tally) countLink(rel string, st host.Stat, changes bool) {
	id := inode{st.Dev, st.Ino}
	l := s.links[id]
	if l == nil {
		l = &linkCount{nlink: st.Nlink, rel: rel}
		s.links[id] = l
	}
	l.seen++
	l.changes = l.changes || changes
}

// outside refuses a file that is to be changed and has names outside the tree.
func (s *tally) outside() error {
	var first *linkCount
	for _, l := range s.links {
		if l.changes && l.seen < l.nlink && (first == nil || l.rel < first.rel) {
			first = l
		}
	}
	if first == nil {
		return nil
	}
	return fmt.Errorf("%s has %d names (hard links), of which %d lie outside the tree, so its new owner would also own it there; find them (find / -samefile), and remove the link or make the file one of its own",
		first.rel, first.nlink, first.nlink-first.seen)
}

// inverse finds the rule that takes the change back, and reports whether it does so exactly for every
// entry.
func (s *tally) inverse() (backRule, bool) {
	var b backRule
	var exact [4]bool
	b.UIDs, exact[0] = invert(s.uids, func(id uint32) uint32 { return or(s.rule.UID, mapped(s.rule.UIDs, id)) })
	b.GIDs, exact[1] = invert(s.gids, func(id uint32) uint32 { return or(s.rule.GID, mapped(s.rule.GIDs, id)) })
	b.Files, exact[2] = invert(s.files, func(m fs.FileMode) fs.FileMode { return or(s.rule.FileMode, m) })
	b.Dirs, exact[3] = invert(s.dirs, func(m fs.FileMode) fs.FileMode { return or(s.rule.DirMode, m) })
	return b, exact == [4]bool{true, true, true, true}
}
