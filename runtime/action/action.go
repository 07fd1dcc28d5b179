// Package action holds the changes that a run can make to a host, as data.
//
// Nothing else changes a host. An action is decided by a builtin, checked against the policy,
// written to the journal with all that is needed to undo it, and only then carried out. Apply and
// Undo are both idempotent and work from any half-way point: Apply brings the host from its start
// state, or from wherever a crash left it, to the end state; Undo brings it from anywhere back to
// the start. So resuming is Apply again, and rolling back is Undo.
package action

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/policy"
)

// Action is one change to a host. Its exported fields are its journal form (JSON): what is wanted,
// and, after Prepare, the undo information. Secrets and file contents are kept out of that form:
// secrets as references into Env.Secrets, contents as digests into Env.Store.
type Action interface {
	// Kind is the action's name in the journal: "fs.write", "pkg.commit", ...
	Kind() string
	// Summary says in one line what will change, without secrets.
	Summary() string
	// Touches lists what the action changes, for the policy.
	Touches() []policy.Target
	// Stage puts contents and secrets that the action carries in memory into Env.Store and
	// Env.Secrets, so that the journal form is complete. It does not look at what it will change.
	Stage(env *Env) error
	// Prepare reads the host and completes the undo information, pre-images included. It changes
	// nothing that Undo would have to revert. It returns false if the host is already as wanted:
	// then the action is not applied.
	Prepare(env *Env) (needed bool, err error)
	Apply(env *Env) (Result, error)
	Undo(env *Env) error
	// Irreversible is the reason why the action cannot be undone, after Prepare; empty if it can.
	Irreversible() string
}

// Detail is what an action will change, for the story of the run.
type Detail struct {
	Diff     string   `json:"diff,omitempty"`  // unified diff of a text file, secrets masked
	Lines    []string `json:"lines,omitempty"` // packages, names, ...
	Files    int64    `json:"files,omitempty"` // for trees
	Bytes    int64    `json:"bytes,omitempty"`
	Existing bool     `json:"existing,omitempty"` // Diff is against an existing file
}

// Result is what an applied action tells; Values becomes the builtin's result where it gave none.
type Result struct {
	Summary string         `json:"summary,omitempty"` // "moved 2,000 files (4.1 GB) by rename"
	Lines   []string       `json:"lines,omitempty"`   // what a program said, secrets masked
	Values  map[string]any `json:"values,omitempty"`  // string, int64, bool, []string
}

// Env is what an action works with.
type Env struct {
	Ctx     context.Context
	Host    host.Host
	Store   *Store
	Secrets Secrets
	// Tag is unique for this action in all runs on this host: for temporary names.
	Tag string
	// Hide masks the run's secrets in text that others wrote; nil hides nothing.
	Hide func(text string) string
	// Progress reports a long action's advance; never nil.
	Progress func(Progress)
	// Mark journals how far the action is, durably. Marks holds those of an earlier, interrupted
	// Apply of the same action, in order.
	Mark  func(v any) error
	Marks []json.RawMessage
	// Stop is closed when the admin asks the run to stop: a wait that can be gone on with later ends then.
	Stop <-chan struct{}
	// Guards are the services that are not to be disturbed.
	Guards []Guard
	// Kill allows to end a guarded service that must not be disturbed.
	Kill bool

	// Upgraded is true while a database is changed for good by the run, and its dump not loaded.
	Upgraded bool
	// Restored is set when a rollback has loaded the dump of a database that the run had changed for good.
	Restored *Restored
	// Data lists the directories that the run made others keep data in, which is no package's to remove.
	Data []string
}

// Restored is what a database holds again.
type Restored struct {
	// Highest is, by table, the highest number that it has given to a row; a table that is not known is
	// not in it.
	Highest map[string]uint64
}

// stopped tells whether the admin has asked the run to stop.
func (env *Env) stopped() bool {
	select {
	case <-env.Stop:
		return true
	default:
		return false
	}
}

func (env *Env) mask(text string) string {
	if env.Hide == nil {
		return text
	}
	return env.Hide(text)
}

// Progress is how far a long action is. Total is 0 if unknown.
type Progress struct {
	What  string `json:"what"` // "dump zarafa", "chown /var/lib/kopano"
	Done  int64  `json:"done"`
	Total int64  `json:"total,omitempty"`
	Unit  string `json:"unit"` // "files", "bytes", "lines"
	Text  string `json:"text,omitempty"`
}

// Secrets keeps secrets outside the journal, in a file of mode 0600.
type Secrets interface {
	Put(s host.Secret) (ref string, err error)
	Get(ref string) (host.Secret, error)
}

// Store keeps contents and pre-images by digest, as files of mode 0600 in a directory of mode 0700
// on the host itself, so that a simulated run predicts the space that they take.
type Store struct {
	Host host.Host
	Dir  string // "/var/lib/zcp2kopano/runs/ID/backup"
}

// Blob names content in a Store.
type Blob struct {
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
}

var kinds = map[string]func() Action{}

// register makes a kind known to Decode; called once per kind at start.
func register(make func() Action) {
	kind := make().Kind()
	if kinds[kind] != nil {
		panic("action kind registered twice: " + kind)
	}
	kinds[kind] = make
}

// Kinds lists the known kinds, sorted.
func Kinds() []string {
	names := make([]string, 0, len(kinds))
	for name := range kinds {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// ErrOtherVersion is what only another version of the program understands.
var ErrOtherVersion = errors.New("another version of the program wrote this")

// Decode is the inverse of encoding an action's fields as JSON. A field that it does not know is an
// error: it may be what is needed to undo the action.
func Decode(kind string, data json.RawMessage) (Action, error) {
	make := kinds[kind]
	if make == nil {
		return nil, fmt.Errorf("unknown action %q: %w", kind, ErrOtherVersion)
	}
	a := make()
	if err := Strict(data, a); err != nil {
		return nil, fmt.Errorf("action %s: %w", kind, err)
	}
	return a, nil
}

// Strict decodes JSON, and refuses fields that v does not have as ErrOtherVersion.
func Strict(data json.RawMessage, v any) error {
	in := json.NewDecoder(bytes.NewReader(data))
	in.DisallowUnknownFields()
	err := in.Decode(v)
	if err != nil && strings.Contains(err.Error(), "unknown field") {
		return fmt.Errorf("%w: %w", err, ErrOtherVersion)
	}
	return err
}
