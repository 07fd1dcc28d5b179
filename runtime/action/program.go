package action

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/policy"
)

func init() { register(func() Action { return &Program{} }) }

// Program ("program.run") runs a program that the runbook names, and the policy lists. What it does nobody
// knows but the runbook's author, who says how it is undone: by another program, by giving back the files
// that it changes, or not at all.
//
// It is marked before the program starts, and when it has ended. From half-way, that is, when the process
// that ran it was killed, Apply goes back by the same means and runs it again; if there are none, it runs
// one again that may be run twice, and refuses any other. A program that failed has told its end, and is
// run again. Undo runs the other program once, and gives the files back. If that fails, Undo fails; if it
// fails when it is asked again, that is a difference, and does not keep the rest of a run from going back.
type Program struct {
	Command    []string      `json:"command"`
	Reverse    []string      `json:"reverse,omitempty"`    // undoes it
	Changes    []string      `json:"changes,omitempty"`    // files that are kept and given back
	NoUndo     string        `json:"no_undo,omitempty"`    // why it cannot be undone, if it cannot
	Repeatable bool          `json:"repeatable,omitempty"` // to run it twice is to run it once
	Timeout    time.Duration `json:"timeout"`
	// Database tells that it changes a database, for good: the way back is by a dump.
	Database bool `json:"database,omitempty"`

	Before []Preimage `json:"before,omitempty"`
}

// What a mark says of a program.
const (
	programBegun     = "begun"
	programFailed    = "failed"
	programEnded     = "ended"
	programUndone    = "undone"
	programNotUndone = "not undone"
)

type programMark struct {
	State string   `json:"state"`
	Lines []string `json:"lines,omitempty"` // what it said
}

func (a *Program) Kind() string         { return "program.run" }
func (a *Program) Summary() string      { return "run " + commandLine(a.Command) }
func (a *Program) Irreversible() string { return a.NoUndo }
func (a *Program) Stage(*Env) error     { return nil }

// ChangesDatabase implements DatabaseChanger.
func (a *Program) ChangesDatabase() bool { return a.Database }

// Spared implements DatabaseChanger: of a program that was broken off nobody knows how far it came.
func (a *Program) Spared(*Env) bool { return false }

func (a *Program) Touches() []policy.Target {
	targets := []policy.Target{{Class: policy.Program, Name: a.Command[0]}}
	if len(a.Reverse) > 0 {
		targets = append(targets, policy.Target{Class: policy.Program, Name: a.Reverse[0]})
	}
	return append(targets, pathTargets(a.Changes...)...)
}

// commandLine shows arguments so that each can be told from the next.
func commandLine(words []string) string {
	shown := make([]string, len(words))
	for i, w := range words {
		if shown[i] = w; w == "" || strings.ContainsAny(w, " \t\n\"'\\") {
			shown[i] = strconv.Quote(w)
		}
	}
	return strings.Join(shown, " ")
}

func (a *Program) Prepare(env *Env) (bool, error) {
	for _, command := range [][]string{a.Command, a.Reverse} {
		if len(command) == 0 {
			continue
		}
		if err := host.CheckProgram(env.Host, command[0]); err != nil {
			return false, fmt.Errorf("%s: %w", a.Summary(), err)
		}
	}
	a.Before = nil
	for _, name := range a.Changes {
		before, err := env.Store.Save(name)
		if err != nil {
			return false, fmt.Errorf("%s: %w", a.Summary(), err)
		}
		if before.Exists && before.Mode.IsDir() {
			return false, fmt.Errorf("%s: %s is a directory; name the files in it that the program changes", a.Summary(), name)
		}
		a.Before = append(a.Before, before)
	}
	return true, nil
}

// Detail says how it is undone.
func (a *Program) Detail(*Env) (Detail, error) {
	var lines []string
	if len(a.Reverse) > 0 {
		lines = append(lines, "a rollback runs "+commandLine(a.Reverse))
	}
	if len(a.Changes) > 0 {
		lines = append(lines, "a rollback gives back "+strings.Join(a.Changes, ", "))
	}
	return Detail{Lines: lines}, nil
}

// Cost implements Coster.
func (a *Program) Cost() Span { return Span{0, a.Timeout} }

// BrokenOff implements Breakable.
func (a *Program) BrokenOff() string {
	if a.NoUndo == "" || a.Repeatable {
		return ""
	}
	return "nobody knows how far the program came; see what it did"
}

// Left implements Leaver.
func (a *Program) Left() bool { return a.NoUndo != "" }

func (a *Program) Apply(env *Env) (Result, error) {
	last, err := lastProgramMark(env)
	if err != nil {
		return Result{}, err
	}
	switch {
	case last.State == programEnded:
		return a.result(last.Lines), nil
	case last.State == programBegun && !a.Repeatable && a.NoUndo != "":
		return Result{}, fmt.Errorf("%s was broken off, and nobody knows how far it came; it is not run again, because it is not said to be repeatable, and cannot be undone: see what it did, then go on with a runbook in which it is repeatable, or left out", a.Summary())
	case (last.State == programBegun || last.State == programFailed) && !a.Repeatable:
		if err := a.goBack(env); err != nil {
			return Result{}, err
		}
	}
	if err := env.Mark(programMark{State: programBegun}); err != nil {
		return Result{}, err
	}
	lines, err := a.run(env, a.Command)
	if err != nil {
		var failed *host.CommandError
		if errors.As(err, &failed) && env.Ctx.Err() == nil {
			err = errors.Join(err, env.Mark(programMark{programFailed, lines}))
		}
		return Result{}, err
	}
	return a.result(lines), env.Mark(programMark{programEnded, lines})
}

func (a *Program) run(env *Env, command []string) ([]string, error) {
	env.Progress(Progress{What: "wait for " + commandLine(command)})
	lines, err := env.Host.RunProgram(env.Ctx, host.ProgramRequest{Path: command[0], Args: command[1:], Timeout: a.Timeout, Changes: a.Changes})
	for i, line := range lines {
		lines[i] = env.mask(line)
	}
	// what it wrote, nobody else has synced
	where := []string{"/", "/etc", "/var"}
	for _, name := range a.Changes {
		where = append(where, path.Dir(name))
	}
	return lines, errors.Join(err, syncFileSystems(env.Host, where...))
}

// Send implements Messenger.
func (a *Program) Send(ctx context.Context, h host.Host) ([]string, error) {
	if a.NoUndo == "" {
		return nil, fmt.Errorf("%s: what tells of a run's end is not undone: say so with no_undo", a.Summary())
	}
	if err := host.CheckProgram(h, a.Command[0]); err != nil {
		return nil, fmt.Errorf("%s: %w", a.Summary(), err)
	}
	return h.RunProgram(ctx, host.ProgramRequest{Path: a.Command[0], Args: a.Command[1:], Timeout: a.Timeout})
}

func (a *Program) result(lines []string) Result {
	return Result{Summary: "ran " + commandLine(a.Command), Lines: lines, Values: map[string]any{"output": strings.Join(lines, "\n")}}
}

// goBack undoes what the program did, as far as its author has said how.
func (a *Program) goBack(env *Env) error {
	if len(a.Reverse) > 0 {
		if _, err := a.run(env, a.Reverse); err != nil {
			return err
		}
	}
	return a.giveBack(env)
}

func (a *Program) giveBack(env *Env) error {
	for _, before := range a.Before {
		if err := env.Store.restore(before, env.temp()); err != nil {
			return err
		}
	}
	return nil
}

func (a *Program) Undo(env *Env) error {
	last, err := lastProgramMark(env)
	if err != nil {
		return err
	}
	if len(a.Reverse) > 0 && last.State != "" && last.State != programUndone {
		if err := a.reverse(env, last.State == programNotUndone); err != nil {
			return err
		}
	}
	return a.giveBack(env)
}

// reverse runs the program that undoes it. Where that has failed before, it may fail.
func (a *Program) reverse(env *Env, failedBefore bool) error {
	_, failure := a.run(env, a.Reverse)
	if env.Ctx.Err() != nil {
		return failure
	}
	mark := programMark{State: programUndone}
	if failure != nil {
		mark = programMark{programNotUndone, []string{env.mask(failure.Error())}}
	}
	if err := env.Mark(mark); err != nil {
		return errors.Join(failure, err)
	}
	if failure != nil && failedBefore {
		data, err := json.Marshal(mark)
		env.Marks = append(env.Marks, data)
		return err
	}
	return failure
}

// Differences lists what differs of the files, and that the program was not undone.
func (a *Program) Differences(env *Env) ([]string, error) {
	var lines []string
	last, err := lastProgramMark(env)
	if err != nil {
		return nil, err
	}
	if last.State == programNotUndone {
		lines = append(lines, fmt.Sprintf("%s was not undone, because %s failed: %s; undo it by hand", a.Summary(), commandLine(a.Reverse), strings.Join(last.Lines, " ")))
	}
	for _, before := range a.Before {
		more, err := env.Store.Compare(before)
		if err != nil {
			return nil, err
		}
		lines = append(lines, more...)
	}
	return lines, nil
}

// Preimages implements Recorder.
func (a *Program) Preimages() []Preimage { return a.Before }

func lastProgramMark(env *Env) (last programMark, err error) {
	if n := len(env.Marks); n > 0 {
		err = json.Unmarshal(env.Marks[n-1], &last)
	}
	return last, err
}
