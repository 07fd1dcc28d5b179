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
		s, err := run.Status()
		if err != nil {
			return nil, unreadable(run, err)
		}
		s.Caller.Program = d.program()
		all = append(all, s)
	}
	for i := range all {
		all[i].Caller.ID = idFor(all, i)
	}
	return all, nil
}

// unreadable adds what to do about a run that cannot even be looked at.
func unreadable(run Run, err error) error {
	return fmt.Errorf("%w; as long as that is so, nobody knows what run %s has left: restore the file from a copy, or, if the run needs neither to be gone on with nor to be undone, move %s away",
		err, run.ID, run.Path)
}

// Status reads one run, with commands as they have to be called for it: with its ID where another run
// cannot be read.
func (d Dir) Status(run Run) (Status, error) {
	s, err := run.Status()
	if err != nil {
		return s, unreadable(run, err)
	}
	s.Caller = ways.Caller{Program: d.program(), ID: run.ID}
	all, err := d.Statuses()
	if err != nil {
		return s, nil
	}
	for _, known := range all {
		if known.ID == run.ID {
			s.Caller = known.Caller
		}
	}
	return s, nil
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
	if all[at].Phase == ways.Accepted {
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
	return "zcp2kopano --state " + quote(d.Path)
}

// quote makes one word of a path for a shell.
func quote(path string) string {
	if strings.Trim(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:,@=") == "" {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
