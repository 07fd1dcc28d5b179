package action

import "zcp2kopano/runtime/policy"

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
