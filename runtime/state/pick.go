package state

import (
	"fmt"
	"strings"

	"zcp2kopano/runtime/ways"
)

// Statuses reads all runs, oldest first, with commands as they have to be called for each.
func (d Dir) Statuses() ([]Status, error) {
	runs, err := d.Runs()
	if err != nil {
		return nil, err
	}
	var all []Status
	for _, run := range runs {
		s := run.known()
		s.Caller.Program = d.program()
		all = append(all, s)
	}
	for i := range all {
		all[i].Caller.ID = idFor(all, i)
	}
	return all, nil
}

// known is the run's status; where that cannot be read, it says so, and blocks.
func (r Run) known() Status {
	s, err := r.Status()
	if err == nil {
		return s
	}
	return Status{Run: r, Order: s.Order, Standing: ways.Standing{ID: r.ID, Phase: ways.Unknown,
		Trouble: fmt.Errorf("%w; as long as that is so, nobody knows what run %s has left: restore the file from a copy", err, r.ID)}}
}

// Status reads one run, with commands as they have to be called for it.
func (d Dir) Status(run Run) (Status, error) {
	all, err := d.Statuses()
	if err != nil {
		return Status{}, err
	}
	for _, s := range all {
		if s.ID == run.ID {
			return s, nil
		}
	}
	return Status{}, fmt.Errorf("run %s: %s is gone", run.ID, run.Path)
}

// Unfinished returns the newest run that has left the machine half-way; nil if there is none.
func (d Dir) Unfinished() (*Status, error) {
	all, err := d.Statuses()
	if err != nil {
		return nil, err
	}
	return Unfinished(all), nil
}

// Unfinished returns the newest of these runs that has left the machine half-way, which is the one that
// a resume without an ID is for; nil if there is none.
func Unfinished(all []Status) *Status { return newest(all, ways.Standing.Blocks) }

// ToUndo returns the run that a rollback without an ID is for: the unfinished one, else the newest
// that has left something; nil if there is none.
func ToUndo(all []Status) *Status {
	if s := Unfinished(all); s != nil {
		return s
	}
	return newest(all, ways.Standing.Leaves)
}

// ToForget returns the newest closed run that keeps something still; nil if there is none.
func ToForget(all []Status) *Status {
	return newest(all, func(s ways.Standing) bool { return s.Forget() == nil && s.Phase != ways.Forgotten })
}

// Latest returns the run that something was done about last; nil if there is none.
func Latest(all []Status) (last *Status) {
	for i := range all {
		if last == nil || !all[i].Last.Before(last.Last) {
			last = &all[i]
		}
	}
	return last
}

// Above returns the newest run that was begun after this one and has left something: undoing this one
// goes below its work. nil if there is none.
func Above(all []Status, run Run) *Status {
	if s := newest(all, ways.Standing.Leaves); s != nil && s.ID > run.ID {
		return s
	}
	return nil
}

func newest(all []Status, like func(ways.Standing) bool) *Status {
	for i := len(all) - 1; i >= 0; i-- {
		if like(all[i].Standing) {
			return &all[i]
		}
	}
	return nil
}

// idFor is the ID that a command needs to be given for a run, now and after what it does next; empty
// where it takes that run without one.
func idFor(all []Status, at int) string {
	for i, other := range all {
		if i != at && (other.Blocks() || i > at && other.Leaves()) {
			return all[at].ID
		}
	}
	if p := all[at].Phase; p == ways.Accepted || p == ways.GivenUp || p == ways.Forgotten {
		return all[at].ID
	}
	return ""
}

// Caller is how the program is called for this directory, whatever the run.
func (d Dir) Caller() ways.Caller { return ways.Caller{Program: d.program()} }

// program is how this directory's runs have to be spoken of.
func (d Dir) program() string {
	if d.Path == DefaultPath {
		return "zcp2kopano"
	}
	return "zcp2kopano --state " + Quote(d.Path)
}

// Quote makes one word of a path for a shell.
func Quote(path string) string {
	if strings.Trim(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:,@=") == "" {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
