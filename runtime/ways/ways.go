// Package ways knows where a run can stand, and which ways are open to the admin from there. What a
// verdict and the status name as the next step, and what the commands refuse, all come from here, so
// that nothing is offered that would be refused.
package ways

import (
	"fmt"
	"slices"
	"strings"

	"zcp2kopano/runtime/near"
)

// Phase is where a run stands.
type Phase string

// The phases of a run.
const (
	Untouched   Phase = "nothing changed" // it ended, or was cut short, before its first change
	NothingToDo Phase = "nothing to do"   // it ended in success without a change
	Done        Phase = "done"
	BrokenOff   Phase = "broken off" // its process ended without a verdict, or is at work now
	Failed      Phase = "failed"
	Interrupted Phase = "interrupted" // as asked
	Waiting     Phase = "stopped where it was asked to"

	RolledBack         Phase = "rolled back"
	RolledBackPart     Phase = "rolled back in part"          // to a step, as asked
	RollbackIncomplete Phase = "rollback incomplete"          // it stopped on its way, for whatever reason
	Differing          Phase = "rolled back with differences" // all is undone that can be; the rest is for a person to look at
	Accepted           Phase = "rolled back, differences accepted"
	GivenUp            Phase = "given up: what it left was accepted as it is"

	// Forgotten is closed for good: what it kept to go back with was destroyed.
	Forgotten Phase = "closed, its secrets and backups destroyed"

	Unknown Phase = "unknown: its journal cannot be read"
)

// Database is what a run did to a database for good, that is, beyond what undoing its actions repairs.
type Database int

// What a run did to a database.
const (
	Unchanged  Database = iota // nothing, or it was restored
	Restorable                 // changed for good, and the run has made a dump before
	Lost                       // changed for good, and there is no dump
)

// Caller is how the admin calls the program for a run.
type Caller struct {
	Program string // with the flags that every command needs: "zcp2kopano --state /srv/state"; empty for "zcp2kopano"
	ID      string // of the run, where a command without it would take another; else empty
}

// Command is a command line: Command("rollback", "--to", "x").
func (c Caller) Command(name string, args ...string) string {
	words := []string{c.Program, name, c.ID}
	if c.Program == "" {
		words[0] = "zcp2kopano"
	}
	words = append(words, args...)
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), " ")
}

// The flags with which a resume leaves aside what was kept with the run.
const (
	NoPlan  = "--no-plan"
	Runbook = "--runbook"
)

// Standing is where a run stands, by its journal.
type Standing struct {
	ID     string `json:"id"`
	Caller Caller `json:"-"`

	Phase    Phase    `json:"phase"`
	Begun    []string `json:"-"`                     // the steps that a rollback can go back to, in order
	Half     string   `json:"-"`                     // the step that a rollback has undone in part
	To       string   `json:"-"`                     // the step that the last rollback was to go back to; empty for all
	Database Database `json:"-"`                     // what a rollback without the dump leaves
	Changed  string   `json:"-"`                     // the step that changed the database for good
	Stopped  bool     `json:"-"`                     // what changed the database was undone
	Packages bool     `json:"-"`                     // packages went of which nothing was kept
	Own      bool     `json:"-"`                     // the runbook is the admin's own, and can be corrected
	Differs  bool     `json:"-"`                     // it stopped because it differs from its plan
	Left     []string `json:"differences,omitempty"` // what the last rollback left that is not as before
	Stays    []string `json:"-"`                     // the actions that were begun and not undone
	Stuck    bool     `json:"-"`                     // the last rollback failed on its way
	Busy     bool     `json:"-"`                     // a service is at what a rollback must not disturb
	Trouble  error    `json:"-"`                     // why the journal cannot be gone by
	Barred   error    `json:"-"`                     // why a resume cannot go by what was kept with the run
	Around   string   `json:"-"`                     // the flag with which it can nevertheless; empty for none
}

// Blocks reports whether the run has left the machine half-way, so that no other may begin.
func (s Standing) Blocks() bool {
	switch s.Phase {
	case Untouched, NothingToDo, Done, RolledBack, Accepted, GivenUp, Forgotten:
		return false
	}
	return true
}

// Touched reports whether the run has ever changed something, or may have.
func (s Standing) Touched() bool { return s.Phase != Untouched && s.Phase != NothingToDo }

// Leaves reports whether the run has left something that a rollback can undo, and that nobody has
// accepted as it is.
func (s Standing) Leaves() bool { return s.Blocks() || s.Phase == Done }

// Resume says why the run cannot be gone on with, called with these flags; nil if it can.
func (s Standing) Resume(flags ...string) error {
	switch {
	case s.Trouble != nil:
		return s.trouble()
	case s.Phase == Done || s.Phase == NothingToDo:
		return fmt.Errorf("run %s is done: there is nothing to go on with; `zcp2kopano check` looks at the result", s.ID)
	case s.Phase == Untouched:
		return fmt.Errorf("run %s has changed nothing: begin a new one with `%s`", s.ID, s.Caller.again())
	case s.Phase == RolledBack || s.Phase == Accepted:
		return fmt.Errorf("run %s was rolled back: there is nothing to go on with; begin a new one with `%s`", s.ID, s.Caller.again())
	case s.Phase == Forgotten:
		return fmt.Errorf("run %s is %s: begin a new one with `%s`", s.ID, s.Phase, s.Caller.again())
	case s.Phase == GivenUp:
		return fmt.Errorf("run %s was given up: begin a new one with `%s`", s.ID, s.Caller.again())
	case s.Phase == RollbackIncomplete || s.Phase == Differing:
		return fmt.Errorf("run %s is on its way back (%s) and cannot be gone on with: %s", s.ID, s.Phase, Join(s.Ways()))
	case s.Barred != nil && !slices.Contains(flags, s.Around):
		return fmt.Errorf("run %s cannot be gone on with as it is: %w; %s", s.ID, s.Barred, Join(s.Ways()))
	}
	return nil
}

// Rollback says why the run cannot be undone down to a step (empty: all of it), with or without
// loading the dump of the database; nil if it can.
func (s Standing) Rollback(to string, restore bool) error {
	switch {
	case s.Trouble != nil:
		return s.trouble()
	case s.Phase == Untouched || s.Phase == NothingToDo || s.Phase == RolledBack:
		return fmt.Errorf("run %s has left nothing to undo (%s)", s.ID, s.Phase)
	case s.Phase == Forgotten:
		return fmt.Errorf("run %s cannot be undone any more: it is %s", s.ID, s.Phase)
	}
	return s.Reach(to, restore)
}

// Reach says why a rollback of the run cannot go back to a step and no further, or cannot load the
// dump of the database; nil if it can. It does not ask whether there is anything left to undo.
func (s Standing) Reach(to string, restore bool) error {
	at := 0
	if to != "" {
		if at = slices.Index(s.Begun, to); at < 0 {
			return fmt.Errorf("run %s has begun no step %s to go back to%s", s.ID, to, near.HintOrList(to, s.Begun))
		}
	}
	if half := slices.Index(s.Begun, s.Half); half >= 0 && half < at {
		return fmt.Errorf("step %s of run %s is undone in part: go back to it, or further: `%s`", s.Half, s.ID, s.Caller.Command("rollback", "--to", s.Half))
	}
	if restore {
		return s.restore(at)
	}
	return nil
}

// restore says why the dump of the database cannot be loaded by a rollback down to this step.
func (s Standing) restore(at int) error {
	switch {
	case s.Changed == "":
		return fmt.Errorf("there is no database to restore: run %s has changed none for good; roll back without --restore-database", s.ID)
	case s.Database == Lost:
		return fmt.Errorf("run %s has made no dump, or it was taken away: the database has to be restored by hand; roll back without --restore-database", s.ID)
	case s.Database == Restorable && slices.Index(s.Begun[:at], s.Changed) >= 0 && !s.Stopped:
		return fmt.Errorf("the database cannot be restored while step %s, which changed it, is to stay done: go back to it, or further: `%s`",
			s.Changed, s.Caller.Command("rollback", "--to", s.Changed, "--restore-database"))
	}
	return nil
}

// Accept says why there is nothing to accept; nil if there is. A run that keeps others from beginning
// can always be closed as it is: where it can go neither on nor back, that is the only way out.
func (s Standing) Accept() error {
	if !s.Blocks() {
		return fmt.Errorf("run %s has no differences to accept, and keeps no other from beginning (%s)", s.ID, s.Phase)
	}
	return nil
}

// Forget says why what was kept for the way back cannot be destroyed; nil if it can.
func (s Standing) Forget() error {
	switch {
	case s.Trouble != nil:
		return s.trouble()
	case s.Blocks():
		return fmt.Errorf("run %s is not closed (%s), and needs what it has kept: %s", s.ID, s.Phase, Join(s.Ways()))
	}
	return nil
}

// trouble is why a run can go neither on nor back, and what is left to do.
func (s Standing) trouble() error {
	return fmt.Errorf("run %s: %w; %s", s.ID, s.Trouble, Join(s.Ways()))
}

// Way is a command that would be accepted, and what it does.
type Way struct {
	Command string `json:"command"`
	Does    string `json:"does"`
}

func (w Way) String() string { return fmt.Sprintf("`%s` %s", w.Command, w.Does) }

// Join puts ways into one sentence.
func Join(ways []Way) string {
	var all []string
	for _, w := range ways {
		all = append(all, w.String())
	}
	return strings.Join(all, "; ")
}

// Ways are what the admin can do next, the most likely first. There is always one.
func (s Standing) Ways() []Way {
	c := s.Caller
	if s.Trouble != nil && s.Blocks() {
		return []Way{{c.Command("rollback", "--accept"), "undoes nothing, and sets the run's records aside, once the run needs neither to be gone on with nor to be undone"}}
	}
	if s.Busy {
		return s.whileBusy()
	}
	switch s.Phase {
	case Untouched, Forgotten:
		return []Way{{"zcp2kopano check", "looks at this machine"}, {c.again(), "begins a new run"}}
	case RolledBack, Accepted, GivenUp:
		return []Way{{"zcp2kopano check", "looks at this machine"}, {c.again(), "begins a new run"}, s.forget()}
	case NothingToDo:
		return []Way{{"zcp2kopano check", "looks at the result"}}
	case Done:
		if s.Trouble != nil {
			return []Way{{"zcp2kopano check", "looks at the result"}}
		}
		return append([]Way{{"zcp2kopano check", "looks at the result"}}, append(s.back("goes back to what was before"), s.forget())...)
	case Waiting:
		return append(s.on("goes on"), s.back("goes back to what was before the run")...)
	case RolledBackPart:
		return append(s.on("goes on from there"), s.back("goes back to what was before the run")...)
	case RollbackIncomplete:
		return s.furtherBack()
	case Differing:
		ways := []Way{
			{c.Command("rollback"), "compares again, once you have put right what differs"},
			{c.Command("rollback", "--accept"), "says that it may stay so, and lets a new run begin"},
		}
		if s.Database == Restorable {
			ways[0] = s.load("loads the dump of the database")
		}
		return ways
	}
	return append(s.on("goes on once the cause is fixed"), s.back("goes back to what was before the run")...)
}

// whileBusy are the ways while a service must not be disturbed: to wait, or to replace what it works on.
func (s Standing) whileBusy() []Way {
	var ways []Way
	switch s.Phase {
	case BrokenOff, Failed, Interrupted, Waiting, RolledBackPart:
		ways = s.on("waits with you until the database is upgraded, and goes on")
	}
	if s.Database == Restorable {
		ways = append(ways, Way{s.Caller.Command("rollback", "--restore-database", "--kill-upgrade"), "ends the server within its work, goes back to what was before, and loads the dump of the database"})
	}
	return append(ways, Way{s.Caller.Command("status"), "says when another rollback is possible"})
}

// on are the ways to go on with a run that has not ended.
func (s Standing) on(words string) (ways []Way) {
	c := s.Caller
	plain := Way{c.Command("resume"), words}
	unheld := Way{c.Command("resume", NoPlan), "goes on without being held to the plan"}
	corrected := Way{c.Command("resume", Runbook, "FILE"), "goes on with a corrected runbook"}
	switch {
	case s.Barred == nil && s.Differs: // what differs after a change can mostly not be put back
		return append(ways, unheld, Way{plain.Command, "goes on as planned, once what differs is put back"})
	case s.Barred == nil:
		ways = append(ways, plain)
	case s.Around == NoPlan:
		return append(ways, unheld)
	case s.Around == Runbook:
		return append(ways, Way{corrected.Command, "goes on with a copy of the runbook"})
	default:
		return nil
	}
	if s.Own && s.Phase == Failed {
		ways = append(ways, corrected)
	}
	return ways
}

// again begins another run: it needs no ID.
func (c Caller) again() string { return Caller{Program: c.Program}.Command("run") }

// back are the ways back to the begin, in these words where nothing stays behind.
func (s Standing) back(words string) []Way {
	plain := s.Caller.Command("rollback")
	switch {
	case s.Database == Restorable:
		return []Way{s.load(words + ", and loads the dump of the database"), {plain, "goes back, but leaves the database as it is"}}
	case s.Database == Lost:
		return []Way{{plain, "goes back, but for the database: it was changed for good, and there is no dump"}}
	case s.Packages:
		return []Way{{plain, "goes back, but for the packages of which nothing was kept"}}
	}
	return []Way{{plain, words}}
}

// furtherBack are the ways on from a rollback that stopped.
func (s Standing) furtherBack() []Way {
	ways := s.back("goes on with the rollback, all the way")
	if s.To != "" && s.Rollback(s.To, false) == nil {
		ways = append([]Way{{s.Caller.Command("rollback", "--to", s.To), "goes on with the rollback"}}, ways...)
	}
	if s.Stuck {
		ways = append(ways, Way{s.Caller.Command("rollback", "--accept"), "undoes nothing more, lists what stays, and lets a new run begin: where the cause cannot be fixed"})
	}
	return ways
}

func (s Standing) forget() Way {
	return Way{s.Caller.Command("forget"), "destroys its secrets and backups, once you will not go back"}
}

func (s Standing) load(does string) Way {
	return Way{s.Caller.Command("rollback", "--restore-database"), does}
}
