package host

import (
	"errors"
	"strings"
)

var (
	// ErrNoAccount is an account that the host does not have.
	ErrNoAccount = errors.New("no such account")
	// ErrNotRegular is a FIFO, socket or device where a regular file is needed.
	ErrNotRegular = errors.New("not a regular file")
	// ErrUnsupported is an operation that this host has no means for.
	ErrUnsupported = errors.New("not supported on this host")
	// ErrUnknown is a question that a simulated host cannot answer: the fixture or snapshot does not
	// say. It is never guessed.
	ErrUnknown = errors.New("not known to the simulated host")
)

// SolveError is a transaction that the package manager finds impossible.
type SolveError struct {
	Summary string   // one line
	Lines   []string // the manager's own words
}

func (e *SolveError) Error() string {
	if len(e.Lines) == 0 {
		return e.Summary
	}
	return e.Summary + ": " + strings.Join(e.Lines, "; ")
}

// CommandError is a command that failed: which, how it ended, and the end of what it said.
type CommandError struct {
	Path   string
	Status string // "exit status 100", "signal: killed", "timed out after 10m0s"
	Output string // the last lines, secrets removed
}

func (e *CommandError) Error() string {
	if e.Output == "" {
		return e.Path + ": " + e.Status
	}
	return e.Path + ": " + e.Status + ": " + e.Output
}
