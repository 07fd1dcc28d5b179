package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/journal"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
	"zcp2kopano/runtime/story"
)

// rehearsal is a run that is simulated over this machine before it begins, in a process of its own: that one gives up
// the power to write, which the run needs. It goes through a pipe, because it holds secrets.
type rehearsal struct {
	Label     string            `json:"label"`
	Modules   map[string]string `json:"modules"`
	Params    map[string]string `json:"params"`
	Secrets   map[string][]byte `json:"secrets"`
	Overrides map[string]string `json:"overrides"`
	State     string            `json:"state"`
	Limit     limit             `json:"limit"`
}

// rehearsalFD is where the process finds the rehearsal.
const rehearsalFD = 3

// rehearseApart carries a rehearsal out, and returns its verdict; nil if there was none.
func (a *app) rehearseApart(ctx context.Context, book *runbook.Runbook, plain map[string]string, secrets map[string]host.Secret, tell func(story.Event)) (*story.Verdict, error) {
	r := rehearsal{Label: book.Name, Modules: book.Modules(), Params: plain, Secrets: map[string][]byte{}, Overrides: a.overrides, State: a.state, Limit: a.limit}
	for name, secret := range secrets {
		r.Secrets[name] = []byte(secret.Reveal())
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "/proc/self/exe", rehearseName)
	cmd.Args[0] = os.Args[0]
	cmd.Stderr = a.err
	cmd.ExtraFiles = []*os.File{reader}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C comes to it by way of this process
	events, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	reader.Close()
	if err != nil {
		writer.Close()
		return nil, fmt.Errorf("simulating the run: %w", err)
	}
	defer a.passStops(cmd.Process)()
	sent := json.NewEncoder(writer).Encode(r)
	writer.Close()
	v := follow(events, tell)
	err = cmd.Wait()
	if v != nil || ctx.Err() != nil {
		return v, ctx.Err()
	}
	return nil, fmt.Errorf("simulating the run: %w", errors.Join(sent, err, errors.New("it ended without a verdict")))
}

// passStops passes signals to stop on to a process, until it is told to leave off.
func (a *app) passStops(to *os.Process) (leave func()) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		for s := range signals {
			_ = to.Signal(s)
		}
	}()
	return func() {
		signal.Stop(signals)
		close(signals)
	}
}

// follow tells the events that a process writes, until its verdict.
func follow(events io.Reader, tell func(story.Event)) *story.Verdict {
	in := json.NewDecoder(events)
	var v *story.Verdict
	for {
		var e story.Event
		if in.Decode(&e) != nil {
			_, _ = io.Copy(io.Discard, events)
			return v
		}
		tell(e)
		if e.Kind == story.VerdictGiven {
			v = e.Verdict
		}
	}
}

const rehearseName = "rehearse"

// rehearseCommand is the process that carries a rehearsal out.
func rehearseCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use: rehearseName, Hidden: true, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			in := os.NewFile(rehearsalFD, "rehearsal")
			var r rehearsal
			if err := json.NewDecoder(in).Decode(&r); err != nil {
				return fmt.Errorf("rehearsal: %w", err)
			}
			in.Close()
			v, err := a.rehearseHere(cmd.Context(), r)
			if err != nil {
				return err
			}
			return verdictError(v.Code)
		},
	}
}

func (a *app) rehearseHere(ctx context.Context, r rehearsal) (v story.Verdict, err error) {
	target, err := openSimulatedLive(r.Params[packagesParam])
	if err != nil {
		return v, err
	}
	defer target.Close()
	target.lock()
	book, err := runbook.LoadCopy(ctx, r.Label, r.Modules, script.LoadOptions{Builtins: allBuiltins()})
	if err != nil {
		return v, err
	}
	secrets := map[string]host.Secret{}
	for name, text := range r.Secrets {
		secrets[name] = host.NewSecret(string(text))
	}
	a.overrides, a.state, a.limit = r.Overrides, r.State, r.Limit
	return a.carryOut(ctx, "simulate", target, book, r.Params, secrets, "", journal.Memory(version, time.Now), story.JSONLines(a.out)), nil
}
