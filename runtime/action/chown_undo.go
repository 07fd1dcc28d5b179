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

// exception is an entry and the attributes it had.
type exception struct {
	Rel string `json:"rel"`
	Was attrs  `json:"was"`
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
		if err := a.read(env, note, func(string) error { return nil }); err != nil {
			return err
		}
		return lines.Flush()
	})
	a.Exceptions = &blob
	return err
}

// takenBack reports whether the inverse map returns an entry to what it is now.
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

// Undo takes back by rule, then what the rule does not take back exactly. Both can be done again,
// and change nothing where nothing was applied.
func (a *Chown) Undo(env *Env) error {
	back := func(e entry[host.Dir]) error { return setAttrs(e, a.Back.apply(e.st)) }
	if err := a.each(env, back); err != nil {
		return fmt.Errorf("chown %s: %w", a.Path, err)
	}
	if err := a.undoExceptions(env); err != nil {
		return fmt.Errorf("chown %s: %w", a.Path, err)
	}
	if err := a.setModes(env, a.Setid, func(old attrs) fs.FileMode { return old.Mode }); err != nil {
		return err
	}
	if err := a.setCaps(env); err != nil {
		return err
	}
	return a.sync(env)
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

// compareEntries reports entries that are gone, or have another owner or mode than before. Those that came
// later are no difference. A run of a version that kept no roster is compared by count.
func (a *Chown) compareEntries(env *Env) (lines []string, err error) {
	if a.Names == nil {
		s, err := a.tally(env, nil)
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
