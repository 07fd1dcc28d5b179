package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Forget destroys a closed run's secrets and backups, for good; what was done and told stays. That it was begun is noted
// first: one that is cut short is never taken for a run that can be undone, and can be brought to its end. The caller
// holds the lock.
func (r Run) Forget(now time.Time) error {
	order, err := r.Order()
	if err != nil {
		return err
	}
	if order.Forgotten == nil {
		order.Forgotten, order.Secrets = &now, nil
		if err := r.keepOrder(order); err != nil {
			return fmt.Errorf("run %s: %w", r.ID, err)
		}
	}
	err = errors.Join(
		overwrite(filepath.Join(r.Path, "secrets")),
		os.RemoveAll(filepath.Join(r.Path, "secrets")),
		os.RemoveAll(r.Backup()),
		syncDir(r.Path),
	)
	if err != nil {
		return fmt.Errorf("run %s: %w", r.ID, err)
	}
	return nil
}

// overwrite puts zeros in the place of a file's content, where the file system has it still.
func overwrite(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, info.Size()))
	return errors.Join(err, f.Sync())
}
