package action

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/policy"
	"zcp2kopano/runtime/tree"
)

func init() { register(func() Action { return &Presync{} }) }

// Presync ("fs.presync") copies what a directory holds while others still work in it, into a directory of its own below
// To that only root can enter. A Move of the contents of From to To that comes later takes the copy up (takeup.go): then
// it has only to copy what changed meanwhile.
//
// Prepare writes down each entry as it is before any is copied. What is found to be another by then is copied anew, so
// what goes, comes or changes while it is copied is left out, and does no harm. Apply goes on where it stopped. Undo
// removes the copy.
//
// A second one, AtRest, is for the time when nobody works in From any more: it brings the copy into accord with what is
// there. From then on ctimes do not count, since GiveBack, which comes before the move, gives all files new ones.
type Presync struct {
	From   string `json:"from"`
	To     string `json:"to"`
	AtRest bool   `json:"at_rest,omitempty"`

	Seen Blob `json:"seen"` // the entries of From, as Prepare found them
	Size size `json:"size"`
}

const (
	presyncName = tempPrefix + "presync" // below To
	presyncTree = "tree"                 // what was copied
	presyncBook = "book"                 // what is known of it, once it is complete
)

func presyncAt(to string) string { return path.Join(to, presyncName) }

func (a *Presync) Kind() string             { return "fs.presync" }
func (a *Presync) Source() string           { return a.From }
func (a *Presync) Touches() []policy.Target { return through(true, a.To) }
func (a *Presync) Stage(*Env) error         { return nil }
func (a *Presync) Irreversible() string     { return "" }
func (a *Presync) Summary() string {
	if a.AtRest {
		return fmt.Sprintf("bring the copy in %s into accord with the contents of %s", a.To, a.From)
	}
	return fmt.Sprintf("copy the contents of %s to %s ahead of their move", a.From, a.To)
}

// Prepare finds nothing to do where the move will be a rename, nor at rest where there is no copy.
func (a *Presync) Prepare(env *Env) (bool, error) {
	if err := checkEnds(env.Host, "copy ahead", a.From, a.To, true); err != nil {
		return false, err
	}
	from, err := env.Host.Stat(a.From)
	if err != nil {
		return false, err
	}
	to, err := env.Host.Stat(a.To)
	if err != nil || from.Dev == to.Dev {
		return false, err
	}
	mounts, err := mountsBelow(env.Host, a.From)
	if err != nil {
		return false, err
	}
	for _, point := range mounts {
		if point != a.From {
			return false, fmt.Errorf("%s: %s is a mount point", a.Summary(), point)
		}
	}
	done, err := presyncedFor(env, a.From, a.To)
	if err != nil || (done != nil) != a.AtRest || a.AtRest && done.book.AtRest {
		return false, err
	}
	if a.AtRest {
		err = a.look(env, from.Dev)
		return true, err
	}
	there, err := exists(env.Host, presyncAt(a.To))
	if err == nil && there {
		err = fmt.Errorf("%s: %s is there already; remove it", a.Summary(), presyncAt(a.To))
	}
	if err != nil {
		return false, err
	}
	// What was given a second name just now may be left alone from now on.
	if err := env.Host.Sleep(env.Ctx, racy); err != nil {
		return false, err
	}
	err = a.look(env, from.Dev)
	return err == nil && a.Size.Files > 0, err
}

func (a *Presync) look(env *Env, dev uint64) error {
	leave, err := a.leave(env.Host)
	if err == nil {
		a.Seen, a.Size, err = seenNow(env, a.From, dev, leave)
	}
	return err
}

// leave reports what is not copied ahead: what this program has for a while on a mount of its own (second names), and
// what stays on it.
func (a *Presync) leave(v host.View) (func(rel string) bool, error) {
	mount, err := isMount(v, a.From)
	return func(rel string) bool {
		return strings.HasPrefix(path.Base(rel), tempPrefix) || mount && rel == lostFound
	}, err
}

// Detail says how much is copied.
func (a *Presync) Detail(*Env) (Detail, error) {
	if a.AtRest {
		return Detail{Files: a.Size.Files, Bytes: a.Size.Bytes, Existing: true, Lines: []string{"what changed since it was copied is copied again"}}, nil
	}
	return Detail{Files: a.Size.Files, Bytes: a.Size.Bytes, Lines: []string{"while it is in use; what changes meanwhile is copied when it is moved"}}, nil
}

// Cost implements Coster.
func (a *Presync) Cost() Span {
	if a.AtRest {
		return comparePace.of(a.Size.Files)
	}
	return copied(a.Size)
}

// LimitedBytes implements Limited.
func (a *Presync) LimitedBytes() int64 {
	if a.AtRest {
		return 0 // it has only what changed
	}
	return a.Size.Bytes
}

func (a *Presync) Apply(env *Env) (Result, error) {
	result := Result{Summary: fmt.Sprintf("copied %s (%d bytes) ahead", counted(a.Size.Files, "file", "files"), a.Size.Bytes)}
	at := presyncAt(a.To)
	if err := mkdirAll(env.Host, at); err != nil {
		return result, err
	}
	leave, err := a.leave(env.Host)
	if err != nil {
		return result, err
	}
	c := newCopier(env, a.Summary(), a.Size)
	c.inUse, c.leave = !a.AtRest, leave
	if a.AtRest {
		result.Summary = fmt.Sprintf("the copy has the %s (%d bytes) of %s", counted(a.Size.Files, "file", "files"), a.Size.Bytes, a.From)
		p, err := presyncedFor(env, a.From, a.To)
		if err == nil && p != nil {
			err = p.prune(env)
		}
		if err != nil {
			return result, err
		}
	}
	if _, err := c.copyTo(a.From, path.Join(at, presyncTree)); err != nil {
		return result, err
	}
	return result, presyncedBook{From: a.From, Seen: a.Seen, AtRest: a.AtRest}.write(env, at)
}

func (a *Presync) Undo(env *Env) error { return env.remove(presyncAt(a.To), size{}) }

// Differences tells that the copy is still there.
func (a *Presync) Differences(env *Env) ([]string, error) {
	return env.Store.Compare(Preimage{Path: presyncAt(a.To)})
}

// seenNow writes down the entries below a directory.
func seenNow(env *Env, name string, dev uint64, leave func(rel string) bool) (b Blob, total size, err error) {
	dir, err := env.Host.OpenTree(name)
	if err != nil {
		return b, total, err
	}
	defer dir.Close()
	b, err = writeItems(env, func(add func(item) error) error {
		w := tree.Reader(env.Ctx, func(e tree.Entry[host.DirReader]) error {
			total.add(e.Stat)
			if total.Files%10_000 == 0 {
				env.Progress(Progress{What: "look at " + name, Done: total.Files, Unit: "files"})
			}
			it := glance(e.Rel, e.Stat)
			if env.Host.Now().Sub(it.Ctime) < racy {
				it.Ctime = time.Time{}
			}
			return add(it)
		})
		w.InUse, w.Leave = true, leave
		return w.Walk(dir, "", dev)
	})
	return b, total, err
}

// racy is how long an entry must have been left alone before it is written down: within that time its ctime may stand for
// several changes.
const racy = 2 * time.Second

// glance is what can be written down of an entry without opening it. Whatever changes it changes its ctime.
func glance(rel string, st host.Stat) item {
	return item{Rel: rel, Mode: st.Mode, UID: st.UID, GID: st.GID, Rdev: st.Rdev, Size: st.Size, Mtime: st.Mtime, Dev: st.Dev, Ino: st.Ino, Ctime: st.Ctime}
}

// errChanged is of a file that was written to while it was copied.
var errChanged = errors.New("it was changed while it was copied; stop what writes to it and try again")
