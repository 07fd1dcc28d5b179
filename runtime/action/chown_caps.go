package action

import (
	"bytes"
	"errors"
	"path"
	"syscall"

	"zcp2kopano/runtime/host"
)

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
func (s *tally) addCaps(e entry[host.DirReader], meant bool) error {
	is, want := attrsOf(e.st), s.rule.apply(e.st)
	if !meant || !e.st.IsRegular() || is.Mode&0o111 == 0 || is.UID == want.UID && is.GID == want.GID {
		return nil
	}
	value, err := capsOf(e.dir, e.name)
	if value != nil {
		s.caps = append(s.caps, capable{e.rel, value})
	}
	return err
}

// capsOf reads the capabilities of a program, nil if it has none.
func capsOf(dir host.DirReader, name string) ([]byte, error) {
	value, err := dir.Getxattr(name, capsAttr)
	if noXattrs(err) || errors.Is(err, syscall.ENODATA) || absent(err) {
		return nil, nil
	}
	return value, err
}

// setCaps gives programs back what the change of owner took.
func (a *Chown) setCaps(env *Env) error {
	return a.eachCapable(env, func(c capable, e entry[host.Dir]) error {
		return e.dir.Setxattr(e.name, capsAttr, c.Value)
	})
}

// lostCaps adds a line for each program that has not the capabilities that it had.
func (a *Chown) lostCaps(env *Env, lines []string) ([]string, error) {
	err := a.eachCapable(env, func(c capable, _ entry[host.Dir]) error {
		lines = append(lines, path.Join(a.Path, c.Rel)+": extended attribute "+capsAttr+" differs")
		return nil
	})
	return lines, err
}

// eachCapable visits the programs whose capabilities are not what they were.
func (a *Chown) eachCapable(env *Env, visit func(capable, entry[host.Dir]) error) error {
	for _, c := range a.Caps {
		err := a.at(env, c.Rel, func(e entry[host.Dir]) error {
			if !e.st.IsRegular() {
				return nil
			}
			has, err := capsOf(e.dir, e.name)
			if err != nil || bytes.Equal(has, c.Value) {
				return err
			}
			return visit(c, e)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
