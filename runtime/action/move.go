package action

import (
	"fmt"
	"path"
	"slices"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/policy"
)

func init() { register(func() Action { return &Move{} }) }

// Move ("fs.move") moves a file or a tree; From and To are the exact names of both. With Contents,
// what the directory From holds (hidden files too) is moved into the existing directory To, and From
// stays, empty (manual 4.3.6). Where both have a directory of one name, these merge; any other name
// that both have is an error before anything moves.
//
// Each entry that To does not have is moved by one rename. Across file systems it is copied and
// verified, and the sources are removed only after every entry has arrived.
//
// An entry that has its name in To is complete. Apply: move or copy what has not arrived, then
// remove what is left of the sources. Undo: rename each arrived entry back, or copy back what is
// missing of it and then remove it. What both sides have is only ever removed from one of them after
// a comparison.
type Move struct {
	From     string `json:"from"`
	To       string `json:"to"`
	Contents bool   `json:"contents,omitempty"`
	ReadAll  bool   `json:"read_all,omitempty"` // of what was copied ahead: trust no size and no time

	Fresh  fileNames  `json:"fresh,omitempty"`  // relative names, each moved whole
	Merged []Preimage `json:"merged,omitempty"` // directories of From that merge: removed once empty
	Size   size       `json:"size"`
	Copy   bool       `json:"copy,omitempty"`  // source and target are on different file systems
	Ahead  bool       `json:"ahead,omitempty"` // Presync has copied what was there
}

func (a *Move) Kind() string             { return "fs.move" }
func (a *Move) Touches() []policy.Target { return through(a.Contents, a.From, a.To) }
func (a *Move) Stage(*Env) error         { return nil }
func (a *Move) Irreversible() string     { return "" }
func (a *Move) Summary() string {
	return fmt.Sprintf("move %s to %s", source(a.From, a.Contents), a.To)
}

func (a *Move) Prepare(env *Env) (bool, error) {
	moved, err := a.moved(env.Host)
	if err != nil || moved {
		return false, err
	}
	if err := checkEnds(env.Host, "move", a.From, a.To, a.Contents); err != nil {
		return false, err
	}
	if err := a.checkMounts(env.Host); err != nil {
		return false, err
	}
	o, err := layOver(env.Host, a.From, a.To)
	if err != nil {
		return false, err
	}
	mount, err := isMount(env.Host, a.From)
	if err != nil {
		return false, err
	}
	if mount {
		o.leave(lostFound)
	}
	if !a.Contents && len(o.fresh) == 0 {
		return false, fmt.Errorf("move %s to %s: %s exists already; remove it first, or move the contents", a.From, a.To, a.To)
	}
	if len(o.clash) > 0 {
		return false, fmt.Errorf("move %s to %s: both have %s; remove one of them first",
			source(a.From, a.Contents), a.To, o.clash[0])
	}
	return a.record(env, o)
}

// moved reports whether there is nothing to move because all has arrived.
func (a *Move) moved(v host.View) (bool, error) {
	if a.Contents {
		return false, nil
	}
	from, err := exists(v, a.From)
	if err != nil || from {
		return false, err
	}
	return exists(v, a.To)
}

func (a *Move) checkMounts(v host.View) error {
	mounts, err := mountsBelow(v, a.From)
	if err != nil {
		return err
	}
	for _, point := range mounts {
		if point != a.From || !a.Contents {
			return fmt.Errorf("move %s to %s: %s is a mount point; unmount it and change where it is mounted (/etc/fstab) instead",
				source(a.From, a.Contents), a.To, point)
		}
	}
	return nil
}

func (a *Move) record(env *Env, o overlay) (bool, error) {
	a.Fresh = o.fresh
	for _, rel := range o.merged {
		if rel == "." {
			continue
		}
		p, err := saveMeta(env, path.Join(a.From, rel))
		if err != nil {
			return false, err
		}
		a.Merged = append(a.Merged, p)
	}
	if len(a.Fresh)+len(a.Merged) == 0 {
		return false, nil
	}
	var err error
	if a.Size, err = measure(env.Ctx, env.Host, a.From); err != nil {
		return false, err
	}
	from, err := env.Host.Lstat(a.From)
	if err != nil {
		return false, err
	}
	to := a.To
	if !a.Contents {
		to = path.Dir(to)
	}
	target, err := env.Host.Stat(to)
	if err != nil {
		return false, err
	}
	a.Copy = from.Dev != target.Dev
	ahead, err := a.presynced(env)
	a.Ahead = ahead != nil
	return true, err
}

// presynced is what was copied ahead; nil for nothing.
func (a *Move) presynced(env *Env) (*presynced, error) {
	if !a.Contents {
		return nil, nil
	}
	p, err := presyncedFor(env, a.From, a.To)
	if p != nil {
		p.every = a.ReadAll
	}
	return p, err
}

// Detail says how much is moved, and how.
func (a *Move) Detail(*Env) (Detail, error) {
	how := "by rename"
	switch {
	case a.Ahead && a.ReadAll:
		how = "of what was copied ahead, all is read again, and what differs is copied; the sources are removed"
	case a.Ahead:
		how = "what was copied ahead gets its name, what changed since is copied; the sources are removed"
	case a.Copy:
		how = "by copy, verification and removal: they are on different file systems"
	}
	return Detail{Files: a.Size.Files, Bytes: a.Size.Bytes, Lines: []string{how}}, nil
}

// Cost implements Coster.
func (a *Move) Cost() Span {
	switch {
	case a.Ahead && a.ReadAll:
		return comparePace.of(a.Size.Files).Plus(readPace.of(2 * a.Size.Bytes))
	case a.Ahead:
		return comparePace.of(a.Size.Files)
	case a.Copy:
		return copied(a.Size)
	}
	return smallSpan
}

// LimitedBytes implements Limited.
func (a *Move) LimitedBytes() int64 {
	if !a.Copy || a.Ahead {
		return 0
	}
	return a.Size.Bytes
}

func (a *Move) Apply(env *Env) (Result, error) {
	c := newCopier(env, a.Summary(), a.Size)
	copied := false
	ahead, err := a.ahead(env)
	if err != nil {
		return Result{}, err
	}
	for _, rel := range a.Fresh {
		byCopy, err := a.bring(env, c, ahead, rel)
		if err != nil {
			return Result{}, err
		}
		copied = copied || byCopy
	}
	for _, rel := range a.Fresh {
		if err := dropPart(env, path.Join(a.From, rel), path.Join(a.To, rel)); err != nil {
			return Result{}, err
		}
	}
	for _, p := range slices.Backward(a.Merged) {
		if err := a.dropMerged(env.Host, p.Path); err != nil {
			return Result{}, err
		}
	}
	if a.Ahead {
		if err := env.remove(presyncAt(a.To), size{}); err != nil {
			return Result{}, err
		}
	}
	how := "by rename"
	if copied {
		how = "by verified copy"
	}
	return Result{Summary: fmt.Sprintf("moved %s (%d bytes) %s", counted(a.Size.Files, "file", "files"), a.Size.Bytes, how)}, nil
}

// ahead brings what was copied ahead into accord with the sources, unless all has arrived: from then on sources go.
func (a *Move) ahead(env *Env) (*presynced, error) {
	arrived := true
	for _, rel := range a.Fresh {
		there, err := exists(env.Host, path.Join(a.To, rel))
		if err != nil {
			return nil, err
		}
		arrived = arrived && there
	}
	if !a.Ahead || arrived {
		return nil, nil
	}
	p, err := a.presynced(env)
	if err != nil || p == nil {
		return nil, err
	}
	return p, p.prune(env)
}

// bring makes an entry arrive. It reports whether the source is still there, because the entry was
// copied.
func (a *Move) bring(env *Env, c *copier, ahead *presynced, rel string) (bool, error) {
	from, to := path.Join(a.From, rel), path.Join(a.To, rel)
	arrived, err := exists(env.Host, to)
	if err != nil {
		return false, err
	}
	if arrived {
		left, err := exists(env.Host, from)
		if err != nil || !left {
			return false, err
		}
		return true, c.remember(from, to)
	}
	if ahead != nil {
		if taken, err := ahead.takeUp(c, rel, to); err != nil || taken {
			return taken, err
		}
	}
	return carry(c, from, to)
}

func (a *Move) dropMerged(h host.Host, name string) error {
	err := h.Rmdir(name)
	if host.Absent(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("move: %w; something was added there while its contents were moved", err)
	}
	return h.SyncDir(path.Dir(name))
}

func (a *Move) Undo(env *Env) error {
	if err := restoreAll(env, a.Merged); err != nil {
		return err
	}
	c := newCopier(env, "undo: "+a.Summary(), a.Size)
	for _, rel := range slices.Backward(a.Fresh) {
		to := path.Join(a.To, rel)
		if err := clearTemps(env, to); err != nil {
			return err
		}
		if err := putBack(c, to, path.Join(a.From, rel)); err != nil {
			return fmt.Errorf("move %s back to %s: %w", to, path.Join(a.From, rel), err)
		}
	}
	for _, rel := range slices.Backward(a.Fresh) {
		if err := letGo(env, path.Join(a.To, rel), path.Join(a.From, rel)); err != nil {
			return err
		}
	}
	return restoreAll(env, a.Merged) // once more: their times changed
}

// Differences lists what is not back, or is still where it was moved.
func (a *Move) Differences(env *Env) ([]string, error) {
	lines, err := compareAll(env, a.Merged)
	if err != nil {
		return nil, err
	}
	for _, rel := range a.Fresh {
		back, err := exists(env.Host, path.Join(a.From, rel))
		if err != nil {
			return nil, err
		}
		if !back {
			lines = append(lines, path.Join(a.From, rel)+": is missing")
		}
		more, err := env.Store.Compare(Preimage{Path: path.Join(a.To, rel)})
		if err != nil {
			return nil, err
		}
		lines = append(lines, more...)
	}
	return lines, nil
}
