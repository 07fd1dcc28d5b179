package tree

import (
	"context"
	"fmt"

	"zcp2kopano/runtime/host"
)

// Remove removes an entry and all below it, children first, and tells how many entries are gone, unless tick is nil.
// What is not there is removed already.
func Remove(ctx context.Context, dir host.Dir, name string, tick func(more int64)) error {
	st, err := dir.Lstat(name)
	if host.Absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if !st.IsDir() {
		if err := dir.Unlink(name); err != nil && !host.Absent(err) {
			return err
		}
		return nil
	}
	self, err := dir.Self()
	if err != nil {
		return err
	}
	if self.Dev != st.Dev {
		return fmt.Errorf("%s is a mount point; unmount it first", name)
	}
	if err := emptyDir(ctx, dir, name, st.Dev, tick); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return dir.Rmdir(name)
}

func emptyDir(ctx context.Context, dir host.Dir, name string, dev uint64, tick func(int64)) error {
	sub, err := dir.OpenDirWrite(name)
	if err != nil {
		return err
	}
	defer sub.Close()
	c := Crew[host.Dir]{
		Ctx: ctx, Open: host.Dir.OpenDirWrite, Leaves: EachLeaf(unlinkLeaf), Closed: rmdirIfThere, Tick: tick,
		Mount: func(rel string) error { return fmt.Errorf("%s is a mount point; unmount it first", rel) },
	}
	return c.Work(sub, dev)
}

func unlinkLeaf(dir host.Dir, name string) error { return dir.Unlink(name) }

func rmdirIfThere(above host.Dir, name string) error {
	if err := above.Rmdir(name); err != nil && !host.Absent(err) {
		return err
	}
	return nil
}
