package sim

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/fstab"
)

// Mount finds by the fstab of the simulated host what was unmounted before. A file system that was never mounted
// is not known.
func (sy *system) Mount(ctx context.Context, point string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	line, err := sy.lineOf(point)
	if err != nil {
		return fmt.Errorf("mount %s: %w", point, err)
	}
	err = sy.files.Remount(line.Source, point)
	if errors.Is(err, syscall.ENODEV) {
		return fmt.Errorf("mount %s: what %s holds: %w", point, line.Source, host.ErrUnknown)
	}
	sy.noteTable()
	return err
}

// Unmount keeps the file system under the name that fstab has for it; without one nobody finds it again.
func (sy *system) Unmount(ctx context.Context, point string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	name := ""
	if line, err := sy.lineOf(point); err == nil {
		name = line.Source
	}
	hidden, err := sy.files.Unmount(point, name)
	if hidden {
		sy.gaps.add(host.Unpredicted{
			What: "what lies in " + point + " under the mount", Why: "the machine does not show it while the mount hides it",
			Check: "the run mounts elsewhere only over an empty directory", Path: point,
		})
	}
	sy.noteTable()
	return err
}

func (sy *system) lineOf(point string) (fstab.Entry, error) {
	text, err := fstab.Read(sy.files)
	if err != nil {
		return fstab.Entry{}, err
	}
	return fstab.At(text, point)
}

// noteTable: where mount(8) keeps a table of its own in a file, it changes it.
func (sy *system) noteTable() {
	const table = "/etc/mtab"
	if st, err := sy.files.Lstat(table); err == nil && st.IsRegular() {
		sy.gaps.add(host.Unpredicted{What: table, Why: "mount(8) writes it", Path: table})
	}
}
