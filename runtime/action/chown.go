package action

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/policy"
	"zcp2kopano/runtime/tree"
)

func init() { register(func() Action { return &Chown{} }) }

// Chown ("chown") maps owners and groups and sets modes, of one entry or of a tree, in one pass
// (manual 4.3.7). It works by directory descriptor, never through a symlink (a symlink is re-owned
// itself), hands a directory over after what it holds, stays on the file system of the tree's root,
// skips what is right already, and keeps setuid and setgid bits and the capabilities of programs. A
// file that has names outside the tree is refused, because the name inside may be somebody's way to
// become the owner of a file that is not his.
//
// Apply is a map that changes nothing when it is applied again, so it can simply be begun again.
// Undo is the inverse map over the tree; what that would not take back exactly (because two owners
// became one, or the new one was there before) is listed in a record that Prepare keeps in the store.
type Chown struct {
	Path      string            `json:"path"`
	Users     map[string]string `json:"users,omitempty"`  // from name or number to name or number
	Groups    map[string]string `json:"groups,omitempty"` // the same
	Owner     string            `json:"owner,omitempty"`  // for everything, instead of Users
	Group     string            `json:"group,omitempty"`  // for everything, instead of Groups
	FileMode  *fs.FileMode      `json:"file_mode,omitempty"`
	DirMode   *fs.FileMode      `json:"dir_mode,omitempty"`
	Filter    string            `json:"filter,omitempty"` // glob (path.Match): only files of these names, no directories
	Recursive bool              `json:"recursive,omitempty"`

	Rule       rule        `json:"rule"`
	Back       backRule    `json:"back"`
	Exceptions *Blob       `json:"exceptions,omitempty"` // exception lines: what Back does not take back
	Setid      []exception `json:"setid,omitempty"`      // files whose setuid or setgid bit a change of owner clears
	Caps       []capable   `json:"caps,omitempty"`       // programs whose capabilities it clears
	Linked     bool        `json:"linked,omitempty"`     // the tree has files with several names
	Names      *Blob       `json:"names,omitempty"`      // roster of the entries that are changed
	Entries    int64       `json:"entries"`
	Changes    int64       `json:"changes"`
	Skipped    []string    `json:"skipped,omitempty"` // mount points below the root

	links *linkNames // files with several names, as Prepare saw them
	came  few        // what came later, found when the undone tree was compared
}

func (a *Chown) Kind() string             { return "chown" }
func (a *Chown) Touches() []policy.Target { return pathTargets(a.Path) }
func (a *Chown) Stage(*Env) error         { return nil }
func (a *Chown) Irreversible() string     { return "" }

func (a *Chown) Summary() string {
	var parts []string
	for _, from := range slices.Sorted(maps.Keys(a.Users)) {
		parts = append(parts, fmt.Sprintf("user %s to %s", from, a.Users[from]))
	}
	for _, from := range slices.Sorted(maps.Keys(a.Groups)) {
		parts = append(parts, fmt.Sprintf("group %s to %s", from, a.Groups[from]))
	}
	if a.Owner != "" {
		parts = append(parts, "user "+a.Owner)
	}
	if a.Group != "" {
		parts = append(parts, "group "+a.Group)
	}
	if a.FileMode != nil {
		parts = append(parts, fmt.Sprintf("files %#o", host.PermBits(*a.FileMode)))
	}
	if a.DirMode != nil {
		parts = append(parts, fmt.Sprintf("directories %#o", host.PermBits(*a.DirMode)))
	}
	where := a.Path
	if a.Recursive {
		where += " and below"
	}
	return where + ": " + strings.Join(parts, ", ")
}

// meant reports whether the filter lets an entry be changed.
func (a *Chown) meant(name string, st host.Stat) bool {
	if a.Filter == "" {
		return true
	}
	ok, _ := path.Match(a.Filter, name)
	return ok && !st.IsDir()
}

func (a *Chown) Prepare(env *Env) (bool, error) {
	var err error
	if a.Rule, err = a.resolve(env.Host); err != nil {
		return false, fmt.Errorf("chown %s: %w", a.Path, err)
	}
	var s *tally
	names, err := env.Store.write(func(w io.Writer) (err error) {
		lines := bufio.NewWriterSize(w, 1<<16)
		if s, err = a.tally(env, &roster{w: lines}); err != nil {
			return err
		}
		return lines.Flush()
	})
	if err != nil {
		return false, fmt.Errorf("chown %s: %w", a.Path, err)
	}
	a.Names = &names
	if err := s.outside(); err != nil {
		return false, fmt.Errorf("chown %s: %w", a.Path, err)
	}
	a.Entries, a.Changes, a.Skipped, a.Linked = s.entries, s.changes, s.skipped, len(s.links.list) > 0
	a.Setid, a.Caps, a.links = s.setid, s.caps, s.links
	if a.Changes == 0 {
		return false, nil
	}
	var exact bool
	if a.Back, exact = s.inverse(); exact {
		return true, nil
	}
	return true, a.recordExceptions(env)
}

// Detail says how much is changed.
func (a *Chown) Detail(*Env) (Detail, error) {
	d := Detail{Files: a.Changes, Existing: true}
	d.Lines = append(d.Lines, fmt.Sprintf("%d of %d entries", a.Changes, a.Entries))
	for _, name := range a.Skipped {
		d.Lines = append(d.Lines, "not entered, because another file system is mounted there: "+name)
	}
	return d, nil
}

// Cost implements Coster.
func (a *Chown) Cost() Span { return ownerPace.of(a.Changes) }

func (a *Chown) Apply(env *Env) (Result, error) {
	result := Result{Summary: fmt.Sprintf("changed %d of %d entries", a.Changes, a.Entries)}
	inside, err := a.inside(env)
	if err != nil {
		return result, err
	}
	change := func(e changeable, st host.Stat) error {
		want := a.Rule.apply(st)
		if want == attrsOf(st) {
			return nil
		}
		if hasMore(st) && !inside.has(st) {
			return errors.New("it got a name outside the tree since it was looked at; stop what works there and try again")
		}
		return setAttrs(e, st, want)
	}
	if err := a.each(env, change); err != nil {
		return result, fmt.Errorf("chown %s: %w", a.Path, err)
	}
	// An earlier, interrupted Apply may have lost these bits between two calls.
	if err := a.setModes(env, a.Setid, func(old attrs) fs.FileMode { return or(a.FileMode, old.Mode) }); err != nil {
		return result, err
	}
	if err := a.setCaps(env); err != nil {
		return result, err
	}
	return result, a.sync(env)
}

// sync makes the owners durable before the journal says that they are changed: the tree can be on
// another file system, which a power cut takes back further than the journal's.
func (a *Chown) sync(env *Env) error {
	name := a.Path
	st, err := a.root(env.Host)
	if err != nil {
		return err
	}
	if !st.IsDir() {
		name = path.Dir(name)
	}
	return syncFileSystems(env.Host, name)
}

// inside is the set of files with several names that all lie in the tree.
func (a *Chown) inside(env *Env) (*inodes, error) {
	if !a.Linked {
		return nil, nil
	}
	links := a.links
	if links == nil { // Prepare was another process
		s, err := a.tally(env, nil)
		if err != nil {
			return nil, err
		}
		links = s.links
	}
	set := &inodes{dev: links.dev}
	return set, links.each(func(g linkGroup) error {
		if uint64(len(g.rels)) < g.nlink {
			return nil
		}
		stays, err := a.stay(env, g.rels, g.id)
		if err == nil && stays {
			set.list = append(set.list, g.id.ino)
		}
		return err
	})
}

// looksAtNames is how often all names of a file must be seen where they are, in any order: whoever moves one name to
// and fro between two places, to have it counted twice, must guess each time which is looked at.
const looksAtNames = 20

// stay reports whether a file has all of these names at the same time.
func (a *Chown) stay(env *Env, rels []string, id inode) (bool, error) {
	dirs := map[string]host.DirReader{} // a file can have more names than a process descriptors
	defer func() {
		for _, dir := range dirs {
			dir.Close()
		}
	}()
	for _, rel := range rels {
		name := path.Dir(rel)
		if dirs[name] != nil {
			continue
		}
		dir, err := env.Host.OpenTree(path.Join(a.Path, name))
		if host.Absent(err) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		dirs[name] = dir
	}
	for range looksAtNames {
		for _, i := range rand.Perm(len(rels)) {
			st, err := dirs[path.Dir(rels[i])].Lstat(path.Base(rels[i]))
			if err != nil && !host.Absent(err) {
				return false, err
			}
			if err != nil || st.Dev != id.dev || st.Ino != id.ino {
				return false, nil
			}
		}
	}
	return true, nil
}

// hasMore reports whether a file has more names than one.
func hasMore(st host.Stat) bool { return st.IsRegular() && st.Nlink > 1 }

// changeable is an entry that is held, or an open directory: what a change of owner and mode takes.
type changeable interface {
	Chown(uid, gid int) error
	Chmod(mode fs.FileMode) error
}

// itself is an open directory as an entry.
type itself struct{ host.Dir }

func (d itself) Chown(uid, gid int) error     { return d.ChownSelf(uid, gid) }
func (d itself) Chmod(mode fs.FileMode) error { return d.ChmodSelf(mode) }

// setAttrs changes what differs: owner first, because that clears setuid and setgid.
func setAttrs(e changeable, st host.Stat, want attrs) error {
	is := attrsOf(st)
	chowned := want.UID != is.UID || want.GID != is.GID
	if chowned {
		if err := e.Chown(int(want.UID), int(want.GID)); err != nil {
			return err
		}
	}
	if st.IsSymlink() || want.Mode == is.Mode && !(chowned && hasSetid(st)) {
		return nil
	}
	return e.Chmod(want.Mode)
}

func hasSetid(st host.Stat) bool {
	return st.IsRegular() && st.Mode&(fs.ModeSetuid|fs.ModeSetgid) != 0
}

// change is what is done to an entry that is held, or to an open directory.
type change func(e changeable, st host.Stat) error

// each visits every entry that the action is about, for changes; the root last.
func (a *Chown) each(env *Env, do change) error {
	st, err := a.root(env.Host)
	if err != nil {
		return err
	}
	if !st.IsDir() {
		above, base, err := parent(env.Host, a.Path)
		if err != nil {
			return err
		}
		defer above.Close()
		return a.leaf(do)(above, base)
	}
	root, err := env.Host.OpenTreeWrite(a.Path)
	if err != nil {
		return err
	}
	defer root.Close()
	if a.Recursive {
		told, folder := newAdvance(env, "chown "+a.Path, size{Files: a.Entries}), a.folder(do)
		c := tree.Crew[host.Dir]{
			Ctx: env.Ctx, Open: host.Dir.OpenDirWrite, Leaves: tree.EachLeaf(a.leaf(do)), Tick: told.files,
			Folder: func(self host.Dir, _ string) error {
				told.files(1)
				return folder(self)
			},
			Mount: func(string) error { return nil }, // Prepare has told of it
		}
		if err := c.Work(root, st.Dev); err != nil {
			return err
		}
	}
	return a.folder(do)(root)
}

// leaf does it to what is not a directory.
func (a *Chown) leaf(do change) func(dir host.Dir, name string) error {
	return func(dir host.Dir, name string) error {
		return held(dir, name, func(e host.HeldWrite, st host.Stat) error {
			if st.IsDir() {
				return host.ErrExchanged
			}
			if !a.meant(name, st) {
				return nil
			}
			return do(e, st)
		})
	}
}

// folder does it to an open directory.
func (a *Chown) folder(do change) func(self host.Dir) error {
	return func(self host.Dir) error {
		st, err := self.Self()
		if err != nil || !a.meant("", st) {
			return err
		}
		return do(itself{self}, st)
	}
}

// root looks at the path itself: through a symlink only to a directory that is to be walked.
func (a *Chown) root(v host.View) (host.Stat, error) {
	st, err := v.Lstat(a.Path)
	if err != nil || !st.IsSymlink() {
		return st, err
	}
	if !a.Recursive {
		target, err := v.Readlink(a.Path)
		if err != nil {
			return st, err
		}
		return st, fmt.Errorf("it is a symlink to %s; name that instead", target)
	}
	return v.Stat(a.Path)
}

// tally is what Prepare finds out about a tree. It holds a number per owner, group and mode, and
// something per file only for the rare ones.
type tally struct {
	rule    rule
	entries int64
	changes int64
	alike   map[likeness]*many
	links   *linkNames
	setid   []exception
	caps    []capable
	skipped []string
}

// likeness is what the rule looks at.
type likeness struct {
	attrs
	kind fs.FileMode
}

// many are entries that are alike, and what the rule makes of each.
type many struct {
	n    int64
	want attrs
}

// tally looks at the whole tree; with a roster, it notes in it what is to be changed.
func (a *Chown) tally(env *Env, names *roster) (*tally, error) {
	s := &tally{rule: a.Rule, alike: map[likeness]*many{}, links: &linkNames{}}
	skip := func(rel string) error {
		s.skipped = append(s.skipped, path.Join(a.Path, rel))
		return nil
	}
	look := func(e tree.Entry[host.DirReader]) error {
		want, changes := s.add(e.Rel, e.Stat, a.meant(e.Name, e.Stat))
		if changes && names != nil {
			if err := names.add(e.Rel); err != nil {
				return err
			}
		}
		if changes {
			if err := s.addCaps(e, want); err != nil {
				return err
			}
		}
		if s.entries%10000 == 0 {
			env.Progress(Progress{What: "look at " + a.Path, Done: s.entries, Unit: "files"})
		}
		return nil
	}
	return s, a.read(env, look, skip)
}

// read reads every entry, those of a directory before itself, the root last.
func (a *Chown) read(env *Env, visit func(tree.Entry[host.DirReader]) error, skip func(rel string) error) error {
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
		w := tree.Reader(env.Ctx, visit)
		w.Mount = skip
		if err := w.Walk(root, "", st.Dev); err != nil {
			return err
		}
	}
	root := tree.Entry[host.DirReader]{Name: path.Base(a.Path), Rel: ".", Stat: st}
	if st.IsRegular() {
		if root.Dir, err = env.Host.OpenTree(path.Dir(a.Path)); err != nil {
			return err
		}
		defer root.Dir.Close()
	}
	return visit(root)
}

// add counts an entry, and tells what becomes of it.
func (s *tally) add(rel string, st host.Stat, meant bool) (want attrs, changes bool) {
	s.entries++
	like := likeness{attrsOf(st), st.Mode.Type()}
	all := s.alike[like]
	if all == nil {
		all = &many{want: s.rule.apply(st)}
		s.alike[like] = all
	}
	changes = meant && all.want != like.attrs
	if hasMore(st) {
		s.links.add(rel, st, changes)
	}
	if meant {
		all.n++
	}
	if !changes {
		return like.attrs, false
	}
	s.changes++
	if hasSetid(st) {
		s.setid = append(s.setid, exception{rel, like.attrs, st.Ino})
	}
	return all.want, true
}

// outside refuses a file that is to be changed and has names outside the tree.
func (s *tally) outside() error {
	var first *linkGroup
	_ = s.links.each(func(g linkGroup) error {
		if g.changes && uint64(len(g.rels)) < g.nlink && (first == nil || g.rels[0] < first.rels[0]) {
			first = &g
		}
		return nil
	})
	if first == nil {
		return nil
	}
	return fmt.Errorf("%s has %d names (hard links), of which %d lie outside the tree, so its new owner would also own it there; find them (find / -samefile), and remove the link or make the file one of its own",
		first.rels[0], first.nlink, first.nlink-uint64(len(first.rels)))
}

// inverse finds the rule that takes the change back, and reports whether it does so exactly for every
// entry.
func (s *tally) inverse() (backRule, bool) {
	uids, gids := map[uint32]int64{}, map[uint32]int64{}
	files, dirs := map[fs.FileMode]int64{}, map[fs.FileMode]int64{}
	for like, all := range s.alike {
		if all.n == 0 {
			continue
		}
		uids[like.UID] += all.n
		gids[like.GID] += all.n
		switch {
		case like.kind.IsDir():
			dirs[like.Mode] += all.n
		case like.kind.IsRegular():
			files[like.Mode] += all.n
		}
	}
	var b backRule
	var exact [4]bool
	b.UIDs, exact[0] = invert(uids, func(id uint32) uint32 { return or(s.rule.UID, mapped(s.rule.UIDs, id)) })
	b.GIDs, exact[1] = invert(gids, func(id uint32) uint32 { return or(s.rule.GID, mapped(s.rule.GIDs, id)) })
	b.Files, exact[2] = invert(files, func(m fs.FileMode) fs.FileMode { return or(s.rule.FileMode, m) })
	b.Dirs, exact[3] = invert(dirs, func(m fs.FileMode) fs.FileMode { return or(s.rule.DirMode, m) })
	return b, exact == [4]bool{true, true, true, true}
}
