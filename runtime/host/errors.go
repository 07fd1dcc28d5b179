package host

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"syscall"
)

var (
	// ErrNoAccount is an account that the host does not have.
	ErrNoAccount = errors.New("no such account")
	// ErrNotRegular is a FIFO, socket or device where a regular file is needed.
	ErrNotRegular = errors.New("not a regular file")
	// ErrExchanged is another entry than the one that was looked at, under the same name.
	ErrExchanged = errors.New("another file took its place, or it got another name, since it was looked at; stop what works there and try again")
	// ErrUnsupported is an operation that this host has no means for.
	ErrUnsupported = errors.New("not supported on this host")
	// ErrUnknown is a question that a simulated host cannot answer: the fixture or snapshot does not
	// say. It is never guessed.
	ErrUnknown = errors.New("not known to the simulated host")
)

// Absent reports whether an error says that nothing is at a path.
func Absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// ForeignLinkError is a symlink that is not followed because an unprivileged user could have planted it
// to lead root astray. What it hides is not absent. To those who ask for no more it is ELOOP.
type ForeignLinkError struct {
	Link string // its path
	UID  uint32 // who owns it
}

func (e *ForeignLinkError) Error() string {
	return fmt.Sprintf("symlink %s belongs to user %d and is not followed; if it is meant to be there, give it to root (chown -h root:root %s), or name its target instead", e.Link, e.UID, e.Link)
}

// Unwrap is ELOOP, as for any symlink that is not followed.
func (e *ForeignLinkError) Unwrap() error { return syscall.ELOOP }

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

// ScriptError is a maintainer script of a package that failed or hung. Err has the package manager's words.
type ScriptError struct {
	Cause string
	Err   error
}

func (e *ScriptError) Error() string { return e.Cause + ": " + e.Err.Error() }
func (e *ScriptError) Unwrap() error { return e.Err }

// CommandError is a command that failed: which, how it ended, and the end of what it said.
type CommandError struct {
	Path   string
	Status string // "exit status 100", "signal: killed", "timed out after 10m0s"
	Output string // the last lines, secrets removed
}

// Cause is the error with what the command said that tells the most: the first line that speaks of an error,
// or else the last.
func (e *CommandError) Cause() string {
	lines := strings.Split(e.Output, "\n")
	said := lines[len(lines)-1]
	for i, line := range lines {
		if speaksOfError(line) {
			said = withReason(line, lines[i+1:])
			break
		}
	}
	short := *e
	short.Output = strings.TrimSpace(said)
	return short.Error()
}

// processing is how dpkg names the package that failed; older ones say neither "package" nor "archive".
var processing = regexp.MustCompile(`^dpkg: error processing .+ \(.+\):$`)

// withReason is the line, and behind dpkg's name of a package what went wrong with it, which dpkg says in a
// line of its own, indented.
func withReason(line string, next []string) string {
	line = strings.TrimSpace(line)
	if len(next) == 0 || !processing.MatchString(line) || strings.TrimLeft(next[0], " \t") == next[0] {
		return line
	}
	return line + " " + strings.TrimSpace(next[0])
}

func speaksOfError(line string) bool {
	line = strings.ToLower(line)
	for _, word := range []string{"e: ", "error", "fatal", "cannot ", "could not ", "failed"} {
		if strings.HasPrefix(line, word) || len(word) > 3 && strings.Contains(line, word) {
			return true
		}
	}
	return false
}

func (e *CommandError) Error() string {
	if e.Output == "" {
		return e.Path + ": " + e.Status
	}
	return e.Path + ": " + e.Status + ": " + e.Output
}
