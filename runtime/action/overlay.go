package action

import (
	"path"

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
	case absent(err):
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
