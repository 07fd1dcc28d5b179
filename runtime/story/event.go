package story

import (
	"time"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
)

// Event is one thing that happened in a run, told to the reports as it happens. Kind decides which
// of the other fields are set. Its JSON form is the line that --json prints; secrets are masked
// before an event is made.
type Event struct {
	Time time.Time `json:"time"`
	Kind EventKind `json:"kind"`
	Step string    `json:"step,omitempty"`
	Pos  string    `json:"pos,omitempty"` // call site: "debian.star:41:5"

	Run         *RunInfo          `json:"run,omitempty"`         // run-begin
	Doc         string            `json:"doc,omitempty"`         // step-begin: the docstring's first line
	Index       int               `json:"index,omitempty"`       // step-begin: 1-based
	Count       int               `json:"count,omitempty"`       // step-begin: number of steps
	Call        string            `json:"call,omitempty"`        // change, changed, unchanged: builtin name
	Action      string            `json:"action,omitempty"`      // kind of action
	Text        string            `json:"text,omitempty"`        // summary, message, output
	Detail      *action.Detail    `json:"detail,omitempty"`      // change; changed: Lines are what a program said
	Finding     *runbook.Finding  `json:"finding,omitempty"`     // finding
	Record      map[string]any    `json:"record,omitempty"`      // record
	Progress    *action.Progress  `json:"progress,omitempty"`    // progress
	Unpredicted *host.Unpredicted `json:"unpredicted,omitempty"` // unpredicted
	Error       *script.ErrorInfo `json:"error,omitempty"`       // error
	Verdict     *Verdict          `json:"verdict,omitempty"`     // verdict
	Elapsed     time.Duration     `json:"elapsed_ns,omitempty"`  // step-end, changed; progress: since it began
	// Journal is, in a run's events file, the last record of its journal that was durable when this was told:
	// a journal that ends before it was cut.
	Journal uint64 `json:"journal,omitempty"`
}

// EventKind names what happened.
type EventKind string

// The kinds of event, in the order in which a run can show them.
const (
	RunBegin      EventKind = "run-begin"
	StepBegin     EventKind = "step-begin"
	Output        EventKind = "output"      // print() of the runbook
	Recorded      EventKind = "record"      // tell() of the runbook; Text is what it is a record of
	FindingFound  EventKind = "finding"     // info, warning or inhibitor
	NoReturn      EventKind = "no-return"   // the next action cannot be undone; Text says why
	ChangeBegin   EventKind = "change"      // an action is about to be applied; Text is its summary
	ProgressMade  EventKind = "progress"    // of the action in hand
	ChangeEnd     EventKind = "changed"     // the action was applied; Text is its result
	Unchanged     EventKind = "unchanged"   // the host was already as wanted
	Replayed      EventKind = "replayed"    // resume: the action was done before
	Undone        EventKind = "undone"      // rollback: an action was undone
	UnpredictedIs EventKind = "unpredicted" // the simulation cannot know this
	Connected     EventKind = "connection"  // the run connects to a server, for the first time; Text says which and what points to it
	Granted       EventKind = "granted"     // a path was added to the policy; Text says which and why
	StepEnd       EventKind = "step-end"
	StepSkipped   EventKind = "step-skipped" // Text says why
	Failed        EventKind = "error"
	VerdictGiven  EventKind = "verdict" // always last
)

// RunInfo says what runs, where.
type RunInfo struct {
	Schema    int               `json:"schema"` // of the events: SchemaVersion
	ID        string            `json:"id"`
	Mode      string            `json:"mode"` // "simulate", "run", "check", "resume", "rollback"
	Runbook   string            `json:"runbook"`
	Doc       string            `json:"doc,omitempty"`
	Host      string            `json:"host"`   // "example.org (fixture testdata/hosts/debian8.txtar)"
	System    string            `json:"system"` // "Debian GNU/Linux 8 (jessie)"
	Steps     []string          `json:"steps"`
	Params    map[string]string `json:"params"` // secrets as ***
	Dir       string            `json:"dir,omitempty"`
	Version   string            `json:"version"`
	MachineID string            `json:"machine_id,omitempty"`
	Guards    []action.Guard    `json:"guards,omitempty"`    // services that are not to be disturbed
	Until     string            `json:"until,omitempty"`     // where it is to stop: a step, or "no-return"
	Limit     int64             `json:"limit,omitempty"`     // bytes a second that it moves at most, as long as no service is stopped
	Warnings  []string          `json:"warnings,omitempty"`  // what is the matter with the runbook: it lacks steps
	Overrides map[string]string `json:"overrides,omitempty"` // inhibitors that the admin has overridden, by key, with the reason

	// Servers are those that may be connected to beside what the parameters and the host's configuration name: by the
	// runbook's policy, and of a run that is resumed those that it has connected to.
	Servers []string `json:"servers,omitempty"`

	Deviations []runbook.Deviation `json:"deviations,omitempty"` // of a site's runbook, from the stock that it is made of
}

// Verdict closes a run.
type Verdict struct {
	Code        int           `json:"code"` // the exit code
	Text        string        `json:"text"` // one sentence
	Changes     int           `json:"changes"`
	Infos       int           `json:"infos"`
	Warnings    int           `json:"warnings"`
	Inhibitors  int           `json:"inhibitors"`
	NoReturn    string        `json:"no_return,omitempty"`   // the first action that cannot be undone: "step start_kopano: ..."
	Until       string        `json:"until,omitempty"`       // it has stopped before this, as asked, and can go on
	Left        []string      `json:"differences,omitempty"` // of a rollback: what is not as before, masked
	Times       *Times        `json:"times,omitempty"`       // of a simulation: how long the run takes
	Unpredicted int           `json:"unpredicted"`
	Elapsed     time.Duration `json:"elapsed_ns"`
}
