package action

// dirsKeeper keeps owner and mode of the packages' directories.
type dirsKeeper struct {
	Dirs []Preimage `json:"dirs,omitempty"`
}

func (k *dirsKeeper) record(env *Env, _ *Commit, f *found) error {
	for _, name := range sortedKeys(f.paths) {
		there, err := isDir(env.Host, name)
		if err != nil {
			return err
		}
		if !there || name == "/" {
			continue
		}
		p, err := saveMeta(env, name)
		if err != nil {
			return err
		}
		k.Dirs = append(k.Dirs, p)
	}
	return nil
}

// restore goes in the order of paths, so from the top.
func (k *dirsKeeper) restore(env *Env, _ *Commit) error { return restoreAll(env, k.Dirs) }

func (k *dirsKeeper) compare(env *Env, _ *Commit) ([]string, error) { return compareAll(env, k.Dirs) }
