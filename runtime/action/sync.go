package action

import "zcp2kopano/runtime/host"

// syncOwn makes owner, mode and times of a directory durable: a sync of its parent covers its name only.
func syncOwn(parent host.Dir, name string) error {
	dir, err := parent.OpenDirWrite(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.SyncSelf()
}

// syncEntry makes a name durable that is new in a directory, with what was done to it last.
func syncEntry(parent host.Dir, name string) error {
	st, err := parent.Lstat(name)
	if err != nil {
		return err
	}
	if st.IsDir() {
		if err := syncOwn(parent, name); err != nil {
			return err
		}
	}
	return parent.SyncSelf()
}

// syncFileSystems makes all changes durable on the file systems of these paths, each once; a path that
// is not there is left out.
func syncFileSystems(h host.Host, names ...string) error {
	done := map[uint64]bool{}
	for _, name := range names {
		dir, err := h.OpenTreeWrite(name)
		if absent(err) {
			continue
		}
		if err != nil {
			return err
		}
		st, err := dir.Self()
		if err == nil && !done[st.Dev] {
			done[st.Dev] = true
			err = dir.SyncFileSystem()
		}
		dir.Close()
		if err != nil {
			return err
		}
	}
	return nil
}
