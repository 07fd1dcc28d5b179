package engine

import (
	"time"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/trust"
	"zcp2kopano/runtime/journal"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/story"
	"zcp2kopano/runtime/ways"
)

// Config is what Execute needs to carry a runbook out.
type Config struct {
	Mode    string // "simulate", "run" or "check": for the report only, but check stops after the check step
	ID      string // of the run: "20150830-2210-4f2a"
	Runbook *runbook.Runbook
	Params  map[string]string      // given by the admin, as text
	Secrets map[string]host.Secret // given by the admin, for secret parameters

	// Overrides are the inhibitors that the admin takes upon himself, by key, with the reason.
	Overrides map[string]string

	// Trusted are those whose files root goes by, beside root. What somebody else could exchange is told as a warning,
	// or with Distrust refused.
	Trusted  trust.Users
	Distrust bool

	Host      host.Host
	HostLabel string // "this machine", "fixture debian8-zcp72.txtar"
	Dir       string // run directory on the host: its backup/ holds the Store
	Journal   journal.Writer
	Keeper    action.Secrets
	Version   string // of the program
	Now       func() time.Time

	// Forecast is the estimate of a rehearsal, which a real run refines as it goes; may be nil.
	Forecast *story.Times
	// Ticks is when to tell that a wait goes on; nil for each second.
	Ticks <-chan time.Time

	// Emit receives every event, one at a time; it must not block for long.
	Emit func(story.Event)
	// Stop is closed when the admin asks to stop: the action in hand is finished, then the run ends.
	Stop <-chan struct{}
	// Until is the step before which the run stops, UntilNoReturn or UntilEnd; empty for where an earlier
	// attempt was to stop and did not come to.
	Until string
	// Limit is how many bytes a second may be moved as long as no service was stopped; 0 is no limit.
	Limit int64
	// Plan, if given, is the plan that the run must follow: it ends with exit.Differs before the first
	// call that departs from it.
	Plan *Plan
	// Caller is how the admin calls the program for this run: what verdicts tell to do next.
	Caller ways.Caller
	// RestoreDatabase lets a rollback load the run's dump where the run has changed the database for good.
	RestoreDatabase bool
	// KillGuarded lets a rollback that loads the dump end a service at what it must not be disturbed in: the dump
	// replaces what that breaks, and the admin has said so.
	KillGuarded bool
	// Results are those of steps that ended before the runbook's own, by name; what its own steps give is added. nil
	// for none.
	Results map[string]starlark.Value
	// Previous holds the records of the run to be resumed; empty for a new one.
	Previous []journal.Record
}
