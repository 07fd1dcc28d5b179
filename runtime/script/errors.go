package script

import (
	"errors"
	"fmt"
	"strings"

	"go.starlark.net/resolve"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/near"
)

// Error is a failure of a runbook together with the source that an explanation needs.
type Error struct {
	Err     error
	Sources map[string]string // label to source
	names   []string          // predeclared and universal names, for suggestions
	at      syntax.Position   // where it belongs to, if nothing in Err tells
	hint    string
}

func (e *Error) Error() string { return ErrorInfoOf(e).Message }

// Unwrap is the failure itself.
func (e *Error) Unwrap() error { return e.Err }

// ErrorInfo is a failure told to a person: cause first.
type ErrorInfo struct {
	Message string   `json:"message"`          // the cause, innermost first
	Pos     string   `json:"pos,omitempty"`    // innermost useful frame
	Source  string   `json:"source,omitempty"` // the line of source, and a line with a caret below it
	Stack   []string `json:"stack,omitempty"`  // outer frames, "debian.star:41:5: in remove_zcp"
	Said    []string `json:"said,omitempty"`   // the last words of the command that failed, for who wants to know more
	Hint    string   `json:"hint,omitempty"`   // "did you mean ...?"
	Next    []string `json:"next,omitempty"`   // what the admin can do
}

// ErrorInfoOf explains an error to a person: the cause, where it happened in the runbook, the line
// of source, and a suggestion for a name that is near.
func ErrorInfoOf(err error) *ErrorInfo {
	info := &ErrorInfo{}
	var script *Error
	if errors.As(err, &script) {
		explain(info, script)
	} else {
		info.Message = err.Error()
	}
	var command *host.CommandError
	if errors.As(err, &command) {
		info.shorten(command)
	}
	info.Message = Masked(info.Message)
	return info
}

// shorten leaves of a command's words in the message the line that tells why it failed; all of them follow
// below.
func (info *ErrorInfo) shorten(failed *host.CommandError) {
	if !strings.Contains(failed.Output, "\n") {
		return
	}
	info.Message = strings.ReplaceAll(info.Message, failed.Error(), failed.Cause())
	info.Said = strings.Split(failed.Output, "\n")
}

func explain(info *ErrorInfo, script *Error) {
	var syntaxErr syntax.Error
	var resolveErr resolve.ErrorList
	eval := innermost(script.Err)
	switch {
	case errors.As(script.Err, &resolveErr):
		first := resolveErr[0]
		info.Message = first.Msg
		if len(resolveErr) > 1 {
			info.Message = fmt.Sprintf("%s (and %d more errors)", first.Msg, len(resolveErr)-1)
		}
		place(info, script, first.Pos)
		info.Hint = undefinedHint(first.Msg, script.names)
	case errors.As(script.Err, &syntaxErr):
		info.Message = syntaxErr.Msg
		place(info, script, syntaxErr.Pos)
	case eval != nil:
		explainEval(info, script, eval)
	default:
		info.Message, info.Hint = script.Err.Error(), script.hint
		if script.at.IsValid() {
			place(info, script, script.at)
		}
	}
}

// innermost finds the EvalError of the deepest module: the one with the useful frames.
func innermost(err error) *starlark.EvalError {
	var found *starlark.EvalError
	for err != nil {
		var eval *starlark.EvalError
		if !errors.As(err, &eval) {
			break
		}
		found, err = eval, eval.Unwrap()
	}
	return found
}

func explainEval(info *ErrorInfo, script *Error, eval *starlark.EvalError) {
	info.Message = eval.Msg
	if cause := eval.Unwrap(); cause != nil && innermost(cause) == nil {
		info.Message = cause.Error()
	}
	info.Message = strings.TrimPrefix(info.Message, "Starlark computation cancelled: ")
	frames := eval.CallStack
	for i := len(frames) - 1; i >= 0; i-- {
		pos := frames[i].Pos
		if _, ok := script.Sources[pos.Filename()]; !ok {
			continue
		}
		if info.Pos == "" {
			place(info, script, pos)
			continue
		}
		info.Stack = append(info.Stack, fmt.Sprintf("%s: in %s", pos, frames[i].Name))
	}
	if info.Hint == "" {
		info.Hint = undefinedHint(info.Message, script.names)
	}
}

// place records a position with its line of source and a caret below the column.
func place(info *ErrorInfo, script *Error, pos syntax.Position) {
	info.Pos = pos.String()
	lines := strings.Split(script.Sources[pos.Filename()], "\n")
	if pos.Line < 1 || int(pos.Line) > len(lines) {
		return
	}
	line := strings.ReplaceAll(strings.TrimRight(lines[pos.Line-1], "\r"), "\t", " ")
	indent := max(0, min(int(pos.Col)-1, len(line)))
	info.Source = line + "\n" + strings.Repeat(" ", indent) + "^"
}

// undefinedHint suggests a known name for the one that a message calls undefined.
func undefinedHint(msg string, names []string) string {
	name, found := strings.CutPrefix(msg, "undefined: ")
	if !found {
		return ""
	}
	name, _, _ = strings.Cut(name, " ")
	if best := near.Name(name, names); best != "" {
		return fmt.Sprintf("did you mean %s?", best)
	}
	return "`zcp2kopano doc` lists the names that a runbook can use"
}
