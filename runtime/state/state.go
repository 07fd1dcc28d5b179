// Package state keeps what a run leaves on the machine, so that it can be gone on with or undone.
//
//	/var/lib/zcp2kopano/        0700, owned by who runs the program
//	    lock                    flock of the run in progress; its content names the holder
//	    runs/ID/order.json      what the admin asked for: runbook, parameters, secrets by reference
//	    runs/ID/secrets         the secrets (0600)
//	    runs/ID/runbook/        the modules that run, as they were
//	    runs/ID/runbook.1/ ...  corrected modules, with which the run was resumed
//	    runs/ID/plan.json       the plan that the run is held to
//	    runs/ID/journal         see package journal; beside it journal.end
//	    runs/ID/backup/         contents and pre-images by digest; in since/, what a rollback found changed
//	    runs/ID/events.jsonl    what was told, for those who look on
//	    aside/ID/               a run given up whose journal could not be gone by
//
// A run's directory appears in one step, complete; how far the run is stands in its journal alone.
package state

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/trust"
	"zcp2kopano/runtime/story"
)

// DefaultPath is where the state is kept.
const DefaultPath = "/var/lib/zcp2kopano"

// Dir is the directory of all state.
type Dir struct{ Path string }

// Run is one run's directory.
type Run struct {
	ID   string
	Path string
}

// Order is what the admin asked for. After the run began, only a resume changes it, with another runbook
// or without the plan.
type Order struct {
	Runbook   string            `json:"runbook"` // as the admin named it: "debian", "/root/site/site.star"
	Label     string            `json:"label"`   // of the entry module
	Program   string            `json:"program"` // version of the program
	Begun     time.Time         `json:"begun"`
	Params    map[string]string `json:"params"`
	Overrides map[string]string `json:"overrides,omitempty"` // key of an inhibitor to the reason why it is overridden
	Secrets   map[string]string `json:"secrets,omitempty"`   // parameter to reference in the Keeper
	Copy      string            `json:"copy,omitempty"`      // directory of a corrected runbook; empty for firstCopy
	Limit     int64             `json:"limit,omitempty"`     // bytes a second, as long as no service was stopped
	Unheld    bool              `json:"unheld,omitempty"`    // the run is not held to its plan any more
	Forgotten *time.Time        `json:"forgotten,omitempty"` // when what was kept for the way back was destroyed
	Forecast  *story.Times      `json:"forecast,omitempty"`  // how long the rehearsal says that it takes
}

// firstCopy is the directory of the modules that the run began with.
const firstCopy = "runbook"

// Journal, Events and Backup are the paths of the run's files.
func (r Run) Journal() string { return filepath.Join(r.Path, "journal") }
func (r Run) Events() string  { return filepath.Join(r.Path, "events.jsonl") }
func (r Run) Backup() string  { return filepath.Join(r.Path, "backup") }

// Prepare makes the directory, or checks that it is private.
func (d Dir) Prepare() error {
	if err := makeDir(filepath.Join(d.Path, "runs")); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	return d.Judge()
}

// Judge tells why the directory is not fit to hold a run; one that is not there yet is. It asks the same of
// it whether a run is to begin, or somebody only wants to know.
func (d Dir) Judge() error {
	info, err := os.Stat(d.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return d.judgeWay(trust.Writable)
	}
	if err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("state directory %s is not a directory: move it away, or name another with --state", d.Path)
	}
	owner := info.Sys().(*syscall.Stat_t).Uid
	if owner != 0 && int(owner) != os.Geteuid() || info.Mode().Perm()&0o077 != 0 || os.Geteuid() == 0 && owner != 0 {
		return fmt.Errorf("state directory %s has owner %d and mode %04o; it holds secrets and backups: chown it to root and chmod it to 0700",
			d.Path, owner, info.Mode().Perm())
	}
	return d.judgeWay(trust.Check)
}

// judgeWay asks of all directories above that nobody else can put another in the place of this one.
func (d Dir) judgeWay(judge func(trust.Files, trust.Users, string) error) error {
	if err := judge(trust.Here{}, trust.Ours(), d.Path); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	return nil
}

// Begin makes a new run's directory, complete and durable. modules are the runbook's sources by
// label, secrets the values of secret parameters.
func (d Dir) Begin(order Order, secrets map[string]host.Secret, modules map[string]string) (Run, error) {
	if err := d.Prepare(); err != nil {
		return Run{}, err
	}
	id, err := d.newID(order.Begun)
	if err != nil {
		return Run{}, err
	}
	run := Run{ID: id, Path: filepath.Join(d.Path, "runs", id)}
	draft := Run{ID: id, Path: filepath.Join(d.Path, "runs", "."+id)}
	if err := draft.fill(order, secrets, modules); err != nil {
		os.RemoveAll(draft.Path)
		return Run{}, fmt.Errorf("keeping the run: %w", err)
	}
	if err := os.Rename(draft.Path, run.Path); err != nil {
		os.RemoveAll(draft.Path)
		return Run{}, fmt.Errorf("keeping the run: %w", err)
	}
	return run, syncDir(filepath.Dir(run.Path))
}

func (r Run) fill(order Order, secrets map[string]host.Secret, modules map[string]string) error {
	if err := os.Mkdir(r.Path, 0o700); err != nil {
		return err
	}
	keeper, err := r.Keeper()
	if err != nil {
		return err
	}
	order.Secrets = map[string]string{}
	for name, s := range secrets {
		if order.Secrets[name], err = keeper.Put(s); err != nil {
			return err
		}
	}
	for label, source := range modules {
		if err := r.keepModule(firstCopy, label, source); err != nil {
			return err
		}
	}
	return r.keepOrder(order)
}

// newID makes an ID that sorts by time: "20150830-221005-4f2a". It sorts behind all others, also where
// they were begun in the same second, or the clock was set back since.
func (d Dir) newID(now time.Time) (string, error) {
	const form = "20060102-150405"
	runs, err := d.Runs()
	if err != nil {
		return "", err
	}
	var b [2]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", err
	}
	second := now.UTC().Truncate(time.Second)
	for _, r := range runs {
		if last, err := time.Parse(form, r.ID[:min(len(form), len(r.ID))]); err == nil && !last.Before(second) {
			second = last.Add(time.Second)
		}
	}
	return second.Format(form) + "-" + hex.EncodeToString(b[:]), nil
}

// Runs lists the runs, oldest first. A missing state directory holds none.
func (d Dir) Runs() ([]Run, error) {
	entries, err := os.ReadDir(filepath.Join(d.Path, "runs"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("%w; the state belongs to root: use sudo", err)
	}
	if err != nil {
		return nil, err
	}
	var runs []Run
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			runs = append(runs, Run{ID: e.Name(), Path: filepath.Join(d.Path, "runs", e.Name())})
		}
	}
	return runs, nil
}

// Find returns the run with this ID, or with an ID that begins so; the newest for an empty one.
func (d Dir) Find(id string) (Run, error) {
	runs, err := d.Runs()
	if err != nil {
		return Run{}, err
	}
	if len(runs) == 0 {
		return Run{}, fmt.Errorf("no run was begun on this machine (%s holds none)", d.Path)
	}
	var found []Run
	var ids []string
	for _, r := range runs {
		ids = append(ids, r.ID)
		if strings.HasPrefix(r.ID, id) {
			found = append(found, r)
		}
	}
	switch {
	case id == "":
		return runs[len(runs)-1], nil
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return Run{}, fmt.Errorf("%d runs begin with %s; give more of the ID", len(found), id)
	}
	return Run{}, fmt.Errorf("no run %s; there are: %s", id, strings.Join(ids, ", "))
}

// Order reads what was asked for.
func (r Run) Order() (Order, error) {
	var o Order
	data, err := os.ReadFile(filepath.Join(r.Path, "order.json"))
	if err == nil {
		err = json.Unmarshal(data, &o)
	}
	if err != nil {
		return o, fmt.Errorf("run %s: order.json: %w", r.ID, err)
	}
	return o, nil
}

// Keeper opens the run's secrets.
func (r Run) Keeper() (*Keeper, error) { return openKeeper(filepath.Join(r.Path, "secrets")) }

// Secrets returns the values of the order's secret parameters.
func (r Run) Secrets(o Order, k *Keeper) (map[string]host.Secret, error) {
	values := map[string]host.Secret{}
	for name, ref := range o.Secrets {
		s, err := k.Get(ref)
		if err != nil {
			return nil, fmt.Errorf("run %s: parameter %s: %w", r.ID, name, err)
		}
		values[name] = s
	}
	return values, nil
}

// rooms maps the roots of labels to directories of the copy.
var rooms = map[string]string{"@stock//": "stock", "//": "fork"}

func (r Run) keepModule(dir, label, source string) error {
	root := "//"
	if strings.HasPrefix(label, "@stock//") {
		root = "@stock//"
	}
	name, ok := strings.CutPrefix(label, root)
	if !ok || !fs.ValidPath(name) {
		return fmt.Errorf("module %q cannot be kept", label)
	}
	file := filepath.Join(r.Path, dir, rooms[root], filepath.FromSlash(name))
	if err := makeDir(filepath.Dir(file)); err != nil {
		return err
	}
	return writeFile(file, []byte(source))
}

// Modules reads the kept modules, by label: of the fixed runbook, if there is one.
func (r Run) Modules() (map[string]string, error) {
	order, err := r.Order()
	if err != nil {
		return nil, err
	}
	modules := map[string]string{}
	for root, room := range rooms {
		dir := filepath.Join(r.Path, cmp.Or(order.Copy, firstCopy), room)
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) && path == dir {
				return nil
			}
			if err != nil || e.IsDir() {
				return err
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			name, err := filepath.Rel(dir, path)
			modules[root+filepath.ToSlash(name)] = string(data)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("run %s: the copy of its runbook: %w", r.ID, err)
		}
	}
	return modules, nil
}

// Correct keeps a corrected runbook, with which the run goes on from now on. The former ones stay next to it.
// The run is not held to its plan any more, which was made with another runbook. All of it holds from
// one instant on, when the order names the new copy.
func (r Run) Correct(label string, modules map[string]string) error {
	order, err := r.Order()
	if err != nil {
		return err
	}
	if order.Copy, err = r.newCopy(); err != nil {
		return err
	}
	for label, source := range modules {
		if err := r.keepModule(order.Copy, label, source); err != nil {
			return fmt.Errorf("run %s: keeping the corrected runbook: %w", r.ID, err)
		}
	}
	order.Label, order.Unheld = label, true
	return r.keepOrder(order)
}

// Unhold lets the run go on without being held to its plan.
func (r Run) Unhold() error {
	order, err := r.Order()
	if err != nil {
		return err
	}
	order.Unheld = true
	return r.keepOrder(order)
}

// Limit has the run move at most so many bytes a second from now on, as long as no service was stopped; 0 is no limit.
func (r Run) Limit(perSecond int64) error {
	order, err := r.Order()
	if err != nil {
		return err
	}
	order.Limit = perSecond
	return r.keepOrder(order)
}

// newCopy is the first free name of runbook.1, runbook.2, ... A copy that was cut short keeps its name.
func (r Run) newCopy() (string, error) {
	for n := 1; ; n++ {
		name := fmt.Sprintf("%s.%d", firstCopy, n)
		_, err := os.Lstat(filepath.Join(r.Path, name))
		if errors.Is(err, fs.ErrNotExist) {
			return name, nil
		}
		if err != nil {
			return "", err
		}
	}
}

func (r Run) keepOrder(o Order) error {
	data, err := json.MarshalIndent(o, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(r.Path, "order.json"), append(data, '\n'))
}

// writeFile makes a file of mode 0600 appear whole and durable.
func writeFile(path string, data []byte) error {
	draft := path + ".new"
	f, err := os.OpenFile(draft, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(draft, path)
	}
	if err != nil {
		os.Remove(draft)
		return err
	}
	return syncDir(filepath.Dir(path))
}

// makeDir makes a directory, and those above it that are missing; the names of those that it makes are durable when it
// returns.
func makeDir(path string) error {
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		return nil
	}
	if err := makeDir(filepath.Dir(path)); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
