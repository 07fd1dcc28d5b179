package action

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"

	"zcp2kopano/runtime/host"
)

// survey is what Prepare finds out about a tree. It holds a number per owner, group and mode, and
// something per file only for the rare ones.
type survey struct {
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

// exception is an entry and the attributes it had.
type exception struct {
	Rel string `json:"rel"`
	Was attrs  `json:"was"`
}

// survey looks at the whole tree; with a roster, it notes in it what is to be changed.
func (a *Chown) survey(env *Env, names *roster) (*survey, error) {
	s := &survey{
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
	return s, a.look(env, look, skip)
}

// look reads every entry, those of a directory before itself, the root last.
func (a *Chown) look(env *Env, visit func(entry[host.DirReader]) error, skip func(rel string) error) error {
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

func (s *survey) add(rel string, st host.Stat, meant bool) {
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

func (s *survey) countLink(rel string, st host.Stat, changes bool) {
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
func (s *survey) outside() error {
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

// backRule takes back what a rule did: from each new value to the commonest old one.
type backRule struct {
	UIDs  map[uint32]uint32           `json:"uids,omitempty"`
	GIDs  map[uint32]uint32           `json:"gids,omitempty"`
	Files map[fs.FileMode]fs.FileMode `json:"files,omitempty"`
	Dirs  map[fs.FileMode]fs.FileMode `json:"dirs,omitempty"`
}

func (b backRule) apply(st host.Stat) attrs {
	is := attrsOf(st)
	is.UID, is.GID = mapped(b.UIDs, is.UID), mapped(b.GIDs, is.GID)
	switch {
	case st.IsDir():
		is.Mode = mapped(b.Dirs, is.Mode)
	case st.IsRegular():
		is.Mode = mapped(b.Files, is.Mode)
	}
	return is
}

// inverse finds the rule that takes the change back, and tells whether it does so exactly for every
// entry.
func (s *survey) inverse() (backRule, bool) {
	var b backRule
	var exact [4]bool
	b.UIDs, exact[0] = invert(s.uids, func(id uint32) uint32 { return or(s.rule.UID, mapped(s.rule.UIDs, id)) })
	b.GIDs, exact[1] = invert(s.gids, func(id uint32) uint32 { return or(s.rule.GID, mapped(s.rule.GIDs, id)) })
	b.Files, exact[2] = invert(s.files, func(m fs.FileMode) fs.FileMode { return or(s.rule.FileMode, m) })
	b.Dirs, exact[3] = invert(s.dirs, func(m fs.FileMode) fs.FileMode { return or(s.rule.DirMode, m) })
	return b, exact == [4]bool{true, true, true, true}
}

// invert maps each new value back to the old one that most entries had.
func invert[K uint32 | fs.FileMode](counts map[K]int64, f func(K) K) (map[K]K, bool) {
	back, exact := map[K]K{}, true
	for _, old := range sortedKeys(counts) {
		now := f(old)
		first, taken := back[now]
		if taken {
			exact = false
		}
		if !taken || counts[old] > counts[first] {
			back[now] = old
		}
	}
	for now, old := range back {
		if now == old {
			delete(back, now)
		}
	}
	return back, exact
}

// recordExceptions keeps a line for each entry that the inverse map does not take back: its old user,
// group and mode as numbers, and its quoted path.
func (a *Chown) recordExceptions(env *Env) error {
	blob, err := env.Store.write(func(w io.Writer) error {
		lines := bufio.NewWriterSize(w, 1<<16)
		note := func(e entry[host.DirReader]) error {
			if !a.meant(e.name, e.st) || a.takenBack(e.st) {
				return nil
			}
			_, err := fmt.Fprintf(lines, "%d %d %d %q\n", e.st.UID, e.st.GID, uint32(e.st.Perm()), e.rel)
			return err
		}
		if err := a.look(env, note, func(string) error { return nil }); err != nil {
			return err
		}
		return lines.Flush()
	})
	a.Exceptions = &blob
	return err
}

// takenBack tells whether the inverse map returns an entry to what it is now.
func (a *Chown) takenBack(st host.Stat) bool {
	after := st
	want := a.Rule.apply(st)
	after.UID, after.GID, after.Mode = want.UID, want.GID, st.Mode.Type()|want.Mode
	back := a.Back.apply(after)
	if st.IsSymlink() {
		back.Mode = st.Perm()
	}
	return back == attrsOf(st)
}

// eachException reads the record.
func (a *Chown) eachException(env *Env, visit func(exception) error) error {
	if a.Exceptions == nil {
		return nil
	}
	f, err := env.Store.Open(*a.Exceptions)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewReaderSize(f, 1<<16)
	for {
		var x exception
		var mode uint32
		_, err := fmt.Fscanf(lines, "%d %d %d %q\n", &x.Was.UID, &x.Was.GID, &mode, &x.Rel)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("record of owners: %w", err)
		}
		x.Was.Mode = fs.FileMode(mode)
		if err := visit(x); err != nil {
			return err
		}
	}
}

func (a *Chown) undoExceptions(env *Env) error {
	return a.eachException(env, func(x exception) error {
		return a.at(env, x.Rel, func(e entry[host.Dir]) error { return setAttrs(e, x.Was) })
	})
}

// setModes gives these files the modes that follow from what they were.
func (a *Chown) setModes(env *Env, files []exception, mode func(old attrs) fs.FileMode) error {
	for _, x := range files {
		err := a.at(env, x.Rel, func(e entry[host.Dir]) error {
			want := attrsOf(e.st)
			want.Mode = mode(x.Was)
			return setAttrs(e, want)
		})
		if err != nil {
			return fmt.Errorf("chown %s: %w", a.Path, err)
		}
	}
	return nil
}

// at visits one entry of the tree, by descriptors from the root. One that is gone is not visited.
func (a *Chown) at(env *Env, rel string, visit func(entry[host.Dir]) error) error {
	return a.open(env, visit, func(root host.Dir, _ host.Stat) error {
		err := visitBelow(root, rel, visit)
		if absent(err) {
			return nil
		}
		return err
	})
}

// visitBelow closes root.
func visitBelow(root host.Dir, rel string, visit func(entry[host.Dir]) error) error {
	dir, err := descend(root, path.Dir(rel))
	if err != nil {
		return err
	}
	defer dir.Close()
	if rel == "." {
		st, err := dir.Self()
		if err != nil {
			return err
		}
		return visit(entry[host.Dir]{rel: rel, st: st, self: dir})
	}
	e := entry[host.Dir]{dir: dir, name: path.Base(rel), rel: rel}
	if e.st, err = dir.Lstat(e.name); err != nil {
		return err
	}
	if e.st.IsDir() {
		if e.self, err = dir.OpenDirWrite(e.name); err != nil {
			return err
		}
		defer e.self.Close()
	}
	return visit(e)
}

// descend opens the directory at rel below dir, and closes dir.
func descend(dir host.Dir, rel string) (host.Dir, error) {
	if rel == "." {
		return dir, nil
	}
	above, err := descend(dir, path.Dir(rel))
	if err != nil {
		return nil, err
	}
	defer above.Close()
	return above.OpenDirWrite(path.Base(rel))
}

// compareEntries tells of entries that are gone, or have another owner or mode than before. Those that came
// later are no difference. A run of a version that kept no roster is compared by count.
func (a *Chown) compareEntries(env *Env) (lines []string, err error) {
	if a.Names == nil {
		s, err := a.survey(env, nil)
		if err == nil && s.changes != a.Changes {
			lines = append(lines, fmt.Sprintf("%s: %d entries have the old owner or mode, %d had", a.Path, s.changes, a.Changes))
		}
		return lines, err
	}
	gone, wrong, came, err := a.compareRoster(env)
	if gone.n > 0 && !env.Upgraded { // while the new server's database stands, what it has deleted is its own
		lines = append(lines, fmt.Sprintf("%s: %d of %d entries are gone: %v", a.Path, gone.n, a.Changes, &gone))
	}
	if wrong.n > 0 {
		lines = append(lines, fmt.Sprintf("%s: %d of %d entries have not the old owner or mode: %v", a.Path, wrong.n, a.Changes, &wrong))
	}
	a.came = came
	return lines, err
}

// Since implements Newcomer.
func (a *Chown) Since() string {
	if a.came.n == 0 {
		return ""
	}
	return fmt.Sprintf("%d below %s: %v", a.came.n, a.Path, &a.came)
}

// Differences lists what is not as before, as far as the record says; entries that the inverse map
// took back are compared by whether the rule would change them.
func (a *Chown) Differences(env *Env) ([]string, error) {
	lines, err := a.compareEntries(env)
	if err != nil {
		return nil, err
	}
	err = a.eachException(env, func(x exception) error {
		return a.at(env, x.Rel, func(e entry[host.Dir]) error {
			if is := attrsOf(e.st); is.UID != x.Was.UID || is.GID != x.Was.GID || !e.st.IsSymlink() && is.Mode != x.Was.Mode {
				lines = append(lines, fmt.Sprintf("%s: is %d:%d %v, was %d:%d %v", path.Join(a.Path, x.Rel),
					is.UID, is.GID, is.Mode, x.Was.UID, x.Was.GID, x.Was.Mode))
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return a.lostCaps(env, lines)
}
