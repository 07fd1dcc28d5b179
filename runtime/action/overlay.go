package action

import (
	"fmt"
	"path"
	"slices"

	"zcp2kopano/runtime/host"
)

// overlay says how a tree lies over another: relative names, "." for the trees themselves, those of
// a directory after itself.
type overlay struct {
	fresh  []string // only in the upper tree: taken over whole
	merged []string // directories in both
	clash  []string // in both, and not both directories
}

// layOver compares what is at two paths, as deep as both are directories.
func layOver(v host.View, from, to string) (overlay, error) {
	var o overlay
	err := o.add(v, from, to, ".")
	return o, err
}

func (o *overlay) add(v host.View, from, to, rel string) error {
	upper, err := v.Lstat(path.Join(from, rel))
	if err != nil {
		return err
	}
	lower, err := v.Lstat(path.Join(to, rel))
	switch {
	case host.Absent(err):
		o.fresh = append(o.fresh, rel)
		return nil
	case err != nil:
		return err
	case !upper.IsDir() || !lower.IsDir():
		o.clash = append(o.clash, rel)
		return nil
	}
	o.merged = append(o.merged, rel)
	dir, err := v.OpenTree(path.Join(from, rel))
	if err != nil {
		return err
	}
	defer dir.Close()
	list, err := dir.ReadDir()
	if err != nil {
		return err
	}
	for _, de := range list {
		if err := o.add(v, from, to, path.Join(rel, de.Name)); err != nil {
			return err
		}
	}
	return nil
}

// leave takes an entry, and what lies below it, out.
func (o *overlay) leave(name string) {
	for _, list := range []*[]string{&o.fresh, &o.merged, &o.clash} {
		*list = slices.DeleteFunc(*list, func(rel string) bool { return rel == name || below(rel, name) })
	}
}

func source(from string, contents bool) string {
	if contents {
		return "the contents of " + from
	}
	return from
}

// checkEnds refuses a source and target that cannot be right.
func checkEnds(v host.View, verb, from, to string, contents bool) error {
	if from == to || below(to, from) || below(from, to) && !contents {
		return fmt.Errorf("%s %s to %s: one lies inside the other", verb, from, to)
	}
	st, err := v.Lstat(from)
	if err != nil {
		return fmt.Errorf("%s: %w", verb, err)
	}
	if !contents {
		return needParent(v, to)
	}
	if !st.IsDir() {
		return fmt.Errorf("%s the contents of %s: it is %s", verb, from, typeName(st.Mode))
	}
	if st, err = v.Lstat(to); err != nil {
		return fmt.Errorf("%s the contents of %s: %w; make that directory first", verb, from, err)
	}
	if !st.IsDir() {
		return fmt.Errorf("%s the contents of %s: %s is %s, not a directory", verb, from, to, typeName(st.Mode))
	}
	return nil
}

// below reports whether name lies in the tree at dir.
func below(name, dir string) bool {
	for name != "/" && name != "." {
		if name = path.Dir(name); name == dir {
			return true
		}
	}
	return false
}
