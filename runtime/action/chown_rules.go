package action

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"syscall"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/tree"
)

// attrs are what chown changes of an entry.
type attrs struct {
	UID  uint32      `json:"uid"`
	GID  uint32      `json:"gid"`
	Mode fs.FileMode `json:"mode"` // permission bits; of no meaning for a symlink
}

func attrsOf(st host.Stat) attrs { return attrs{st.UID, st.GID, st.Perm()} }

// rule says what attributes become, by number.
type rule struct {
	UIDs     map[uint32]uint32 `json:"uids,omitempty"`
	GIDs     map[uint32]uint32 `json:"gids,omitempty"`
	UID      *uint32           `json:"uid,omitempty"`
	GID      *uint32           `json:"gid,omitempty"`
	FileMode *fs.FileMode      `json:"file_mode,omitempty"`
	DirMode  *fs.FileMode      `json:"dir_mode,omitempty"`
}

func (r rule) apply(st host.Stat) attrs {
	is := attrsOf(st)
	is.UID = or(r.UID, mapped(r.UIDs, is.UID))
	is.GID = or(r.GID, mapped(r.GIDs, is.GID))
	switch {
	case st.IsDir():
		is.Mode = or(r.DirMode, is.Mode)
	case st.IsRegular():
		is.Mode = or(r.FileMode, is.Mode)
	}
	return is
}

// gave reports whether an entry has an owner that the rule gives; by a rule that gives none, everybody but root has.
func (r rule) gave(st host.Stat) bool {
	switch {
	case r.UID != nil:
		return st.UID == *r.UID
	case len(r.UIDs) > 0:
		return hasValue(r.UIDs, st.UID)
	}
	return st.UID != 0
}

func hasValue[K, V comparable](m map[K]V, v V) bool {
	for _, has := range m {
		if has == v {
			return true
		}
	}
	return false
}

func mapped[K comparable](m map[K]K, k K) K {
	if to, ok := m[k]; ok {
		return to
	}
	return k
}

// resolve turns names into numbers, and refuses a map that would not be the same applied twice.
func (a *Chown) resolve(v host.View) (rule, error) {
	r := rule{FileMode: a.FileMode, DirMode: a.DirMode}
	if a.Owner != "" && len(a.Users) > 0 || a.Group != "" && len(a.Groups) > 0 {
		return r, errors.New("give either a map or one owner for everything, not both")
	}
	var err error
	if r.UID, r.GID, err = owner(v, a.Owner, a.Group); err != nil {
		return r, err
	}
	if r.UIDs, err = resolveMap(v, a.Users, userID); err != nil {
		return r, err
	}
	if r.GIDs, err = resolveMap(v, a.Groups, groupID); err != nil {
		return r, err
	}
	if a.Filter != "" {
		if _, err := path.Match(a.Filter, ""); err != nil {
			return r, fmt.Errorf("filter %q: %w", a.Filter, err)
		}
	}
	return r, nil
}

func resolveMap(v host.View, names map[string]string, id func(host.View, string) (uint32, error)) (map[uint32]uint32, error) {
	ids := map[uint32]uint32{}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		from, err := id(v, name)
		if err != nil {
			return nil, err
		}
		to, err := id(v, names[name])
		if err != nil {
			return nil, err
		}
		ids[from] = to
	}
	for _, to := range ids {
		if ids[to] != to && hasKey(ids, to) {
			return nil, fmt.Errorf("number %d is given to others and taken away as well; do that in two calls", to)
		}
	}
	return ids, nil
}

func hasKey[K comparable, V any](m map[K]V, k K) bool {
	_, ok := m[k]
	return ok
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

// invert maps each new value back to the old one that most entries had.
func invert[K uint32 | fs.FileMode](counts map[K]int64, f func(K) K) (map[K]K, bool) {
	back, exact := map[K]K{}, true
	for _, old := range slices.Sorted(maps.Keys(counts)) {
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

// capsAttr holds what a program may do beside what its user may. The kernel removes it when the file
// changes its owner, as it clears setuid.
const capsAttr = "security.capability"

// capable is a program with the capabilities that it had.
type capable struct {
	Rel   string `json:"rel"`
	Value []byte `json:"value"`
}

// addCaps notes the capabilities of a program that is to change its owner. Files that nobody can execute
// are not asked: a store holds very many.
func (s *tally) addCaps(e tree.Entry[host.DirReader], want attrs) error {
	is := attrsOf(e.Stat)
	if !e.Stat.IsRegular() || is.Mode&0o111 == 0 || is.UID == want.UID && is.GID == want.GID {
		return nil
	}
	held, err := e.Dir.Hold(e.Name)
	if host.Absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer held.Close()
	value, err := capsOf(held)
	if value != nil {
		s.caps = append(s.caps, capable{e.Rel, value})
	}
	return err
}

// capsOf reads the capabilities of a program, nil if it has none.
func capsOf(e host.Held) ([]byte, error) {
	value, err := e.Getxattr(capsAttr)
	if noXattrs(err) || errors.Is(err, syscall.ENODATA) {
		return nil, nil
	}
	return value, err
}

// setCaps gives programs back what the change of owner took.
func (a *Chown) setCaps(env *Env) error {
	return a.eachCapable(env, func(c capable, e host.HeldWrite) error {
		return e.Setxattr(capsAttr, c.Value)
	})
}

// lostCaps adds a line for each program that has not the capabilities that it had.
func (a *Chown) lostCaps(env *Env, lines []string) ([]string, error) {
	err := a.eachCapable(env, func(c capable, _ host.HeldWrite) error {
		lines = append(lines, path.Join(a.Path, c.Rel)+": extended attribute "+capsAttr+" differs")
		return nil
	})
	return lines, err
}

// eachCapable visits the programs whose capabilities are not what they were.
func (a *Chown) eachCapable(env *Env, visit func(capable, host.HeldWrite) error) error {
	for _, c := range a.Caps {
		err := a.at(env, c.Rel, func(e changeable, st host.Stat) error {
			program, ok := e.(host.HeldWrite)
			if !ok || !st.IsRegular() {
				return nil
			}
			has, err := capsOf(program)
			if err != nil || bytes.Equal(has, c.Value) {
				return err
			}
			return visit(c, program)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
