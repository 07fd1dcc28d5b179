package action

import (
	"fmt"
	"io"
	"io/fs"
	"path"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/policy"
)

func init() { register(func() Action { return &Write{} }) }

// Write ("fs.write") makes a file, or replaces one, atomically. What exists keeps its owner, mode,
// ACL, label and other extended attributes, except where they are given.
//
// Apply writes beside the file and renames; from half-way it removes the unfinished file and begins
// again. Undo puts the pre-image back the same way, or removes the file if there was none.
type Write struct {
	Path    string       `json:"path"`
	Content []byte       `json:"-"` // before Stage; then it is in Blob
	Blob    Blob         `json:"blob"`
	Mode    *fs.FileMode `json:"mode,omitempty"`  // nil: as it is; for a new file 0644, or 0600 if it is private
	Owner   string       `json:"owner,omitempty"` // name or number; empty: as it is
	Group   string       `json:"group,omitempty"`
	Private bool         `json:"private,omitempty"` // the content is secret: no diff of it is shown
	Like    string       `json:"like,omitempty"`    // a new file is shown as a difference from that one

	Before Preimage    `json:"before"`
	Want   fs.FileMode `json:"want,omitempty"` // permission bits that the file will have
	UID    *uint32     `json:"uid,omitempty"`  // nil: that of a file made by the program
	GID    *uint32     `json:"gid,omitempty"`
}

func (a *Write) Kind() string             { return "fs.write" }
func (a *Write) Summary() string          { return "write " + a.Path }
func (a *Write) Touches() []policy.Target { return pathTargets(a.Path) }
func (a *Write) Irreversible() string     { return "" }

func (a *Write) Stage(env *Env) (err error) {
	if a.Blob.SHA256 != "" {
		return nil
	}
	a.Blob, err = env.Store.PutBytes(a.Content)
	return err
}

func (a *Write) Prepare(env *Env) (bool, error) {
	st, err := env.Host.Lstat(a.Path)
	there := err == nil
	if err != nil && !host.Absent(err) {
		return false, err
	}
	if there {
		if err := a.replaceable(env.Host, st); err != nil {
			return false, err
		}
	} else if err := needParent(env.Host, a.Path); err != nil {
		return false, err
	}
	if a.UID, a.GID, err = owner(env.Host, a.Owner, a.Group); err != nil {
		return false, fmt.Errorf("write %s: %w", a.Path, err)
	}
	if a.Before, err = env.Store.Save(a.Path); err != nil {
		return false, err
	}
	a.Want = or(a.Mode, 0o644)
	if a.Private && a.Mode == nil {
		a.Want = 0o600
	}
	if there {
		a.Want = or(a.Mode, st.Perm())
		uid, gid := or(a.UID, st.UID), or(a.GID, st.GID)
		a.UID, a.GID = &uid, &gid
	}
	done, err := a.done(env.Host)
	return !done, err
}

// replaceable refuses what a rename would replace by something else than the admin thinks.
func (a *Write) replaceable(v host.View, st host.Stat) error {
	switch {
	case st.IsDir():
		return fmt.Errorf("write %s: it is a directory", a.Path)
	case st.IsSymlink():
		target, err := v.Readlink(a.Path)
		if err != nil {
			return err
		}
		return fmt.Errorf("write %s: it is a symlink to %s; write to that file, or remove the symlink first", a.Path, target)
	case !st.IsRegular():
		return fmt.Errorf("write %s: it is %s, %w", a.Path, typeName(st.Mode), host.ErrNotRegular)
	case st.Nlink > 1:
		return fmt.Errorf("write %s: the file has %d names (hard links), and the others would keep the old content; make it a file of its own first", a.Path, st.Nlink)
	}
	return nil
}

// done reports whether the file is as wanted.
func (a *Write) done(v host.View) (bool, error) {
	dir, err := v.OpenTree(path.Dir(a.Path))
	if err != nil {
		return false, err
	}
	defer dir.Close()
	base := path.Base(a.Path)
	st, err := dir.Lstat(base)
	if host.Absent(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !st.IsRegular() || st.Size != a.Blob.Size || st.Perm() != a.Want ||
		st.UID != or(a.UID, st.UID) || st.GID != or(a.GID, st.GID) {
		return false, nil
	}
	sum, err := digest(dir, base)
	return sum == a.Blob.SHA256, err
}

func (a *Write) Apply(env *Env) (Result, error) {
	result := Result{Summary: fmt.Sprintf("wrote %s (%d bytes)", a.Path, a.Blob.Size)}
	if err := clearTemps(env, a.Path); err != nil {
		return result, err
	}
	done, err := a.done(env.Host)
	if err != nil {
		return result, err
	}
	dir, base, err := parent(env.Host, a.Path)
	if err != nil {
		return result, err
	}
	defer dir.Close()
	if !done {
		if err := a.replace(env, dir, base); err != nil {
			return result, fmt.Errorf("write %s: %w", a.Path, err)
		}
	}
	return result, dir.SyncSelf()
}

func (a *Write) replace(env *Env, dir host.Dir, base string) error {
	content, err := env.Store.Open(a.Blob)
	if err != nil {
		return err
	}
	defer content.Close()
	if err := env.Store.Room(path.Dir(a.Path), a.Blob.Size); err != nil {
		return err
	}
	tmp := env.temp()
	if err := writeFile(dir, tmp, content); err != nil {
		return err
	}
	st, err := dir.Lstat(tmp)
	if err != nil {
		return err
	}
	m := meta{mode: a.Want, uid: or(a.UID, st.UID), gid: or(a.GID, st.GID), xattrs: a.Before.Xattrs}
	if !a.Before.Exists { // then what the directory passes on is right
		if m.xattrs, err = readXattrs(dir, tmp); err != nil {
			return err
		}
	}
	if err := setNewMeta(dir, tmp, m); err != nil {
		return err
	}
	return dir.Rename(tmp, dir, base)
}

func (a *Write) Undo(env *Env) error {
	if err := clearTemps(env, a.Path); err != nil {
		return err
	}
	if err := keepSince(env, a.Path, a.Blob.SHA256, a.Before.known()); err != nil {
		return err
	}
	return env.Store.restore(a.Before, env.temp())
}

// Differences lists how the file differs from its pre-image.
func (a *Write) Differences(env *Env) ([]string, error) { return env.Store.Compare(a.Before) }

// Detail is a unified diff of text, and sizes of anything else: by a digest a short secret could be guessed.
func (a *Write) Detail(env *Env) (Detail, error) {
	d := Detail{Existing: a.Before.Exists, Files: 1, Bytes: a.Blob.Size}
	if a.Private {
		d.Lines = []string{"the content is secret and is not shown"}
		return d, nil
	}
	content, err := env.Store.Bytes(a.Blob)
	if err != nil {
		return d, err
	}
	var old []byte
	if a.Before.Exists {
		if old, err = env.Store.Bytes(*a.Before.Blob); err != nil {
			return d, err
		}
	}
	if like, ok := a.like(env); ok && isText(like) && isText(content) {
		d.Diff = unified(a.Path, a.Like, like, content)
		if d.Diff == "" {
			d.Lines = append(d.Lines, "the same as "+a.Like)
		}
	} else if isText(old) && isText(content) {
		from := "/dev/null"
		if a.Before.Exists {
			from = a.Path
		}
		d.Diff = unified(a.Path, from, old, content)
	} else {
		if a.Before.Exists {
			d.Lines = append(d.Lines, fmt.Sprintf("was %d bytes", a.Before.Blob.Size))
		}
		d.Lines = append(d.Lines, fmt.Sprintf("will be %d bytes", a.Blob.Size))
	}
	if a.Before.Exists && perm(a.Before.Mode) != a.Want {
		d.Lines = append(d.Lines, fmt.Sprintf("mode %v, was %v", a.Want, perm(a.Before.Mode)))
	}
	if a.Before.Exists && (a.Before.UID != *a.UID || a.Before.GID != *a.GID) {
		d.Lines = append(d.Lines, fmt.Sprintf("owner %d:%d, was %d:%d", *a.UID, *a.GID, a.Before.UID, a.Before.GID))
	}
	return d, nil
}

// like is the file that a new one is compared with; false where there is none.
func (a *Write) like(env *Env) ([]byte, bool) {
	if a.Like == "" || a.Before.Exists {
		return nil, false
	}
	f, err := env.Host.Open(a.Like)
	if err != nil {
		return nil, false
	}
	defer f.Close()
	const most = 4 << 20
	content, err := io.ReadAll(io.LimitReader(f, most))
	return content, err == nil && len(content) < most
}

// Preimages implements Recorder.
func (a *Write) Preimages() []Preimage { return []Preimage{a.Before} }
