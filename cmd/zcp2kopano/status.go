package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/host/live"
	"zcp2kopano/runtime/journal"
	"zcp2kopano/runtime/session"
	"zcp2kopano/runtime/state"
	"zcp2kopano/runtime/story"
	"zcp2kopano/runtime/ways"
)

func statusCommand(a *app) *cobra.Command {
	var showJournal, follow bool
	cmd := &cobra.Command{
		Use:   "status [ID]",
		Short: "Show how far a run is",
		Long: `Show how far a run is, and what can be done next: the run named, else the one at work, else the
unfinished one, else the newest; if another can be undone, it is named as well. Of one at work it says
what is done or waited for, how much of it is done and left, how fast, and how long that will take. With --follow the
story of the run is shown from its beginning, and goes on until its verdict. With --journal each record of
the journal is shown; "zcp2kopano doc journal" explains them.`,
		Example: `  sudo zcp2kopano status
  sudo zcp2kopano status --follow
  sudo zcp2kopano status --journal --json`,
		Args:              maxArgs(1),
		ValidArgsFunction: a.completeRun,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case showJournal:
				return a.showJournal(first(args))
			case follow:
				return a.follow(cmd.Context(), first(args))
			}
			return a.showStatus(first(args))
		},
	}
	cmd.Flags().BoolVar(&showJournal, "journal", false, "show the records of the journal")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "show the run from its beginning, and what it does from now on")
	cmd.MarkFlagsMutuallyExclusive("journal", "follow")
	return cmd
}

func (a *app) showStatus(id string) error {
	all, err := a.dir().Statuses()
	if err == nil && len(all) == 0 && id == "" {
		return a.whereThingsStand()
	}
	s, err := a.pick(id, a.shown)
	if err != nil {
		return err
	}
	holder, err := a.dir().Holder()
	if err != nil {
		return err
	}
	switch {
	case holder == nil:
		s.Busy = disturbs(s)
	case holder.Run == s.ID:
		s.Now = s.Run.Now()
	}
	if a.json {
		return json.NewEncoder(a.out).Encode(struct {
			state.Status
			Ways   []ways.Way    `json:"next"`
			Holder *state.Holder `json:"holder,omitempty"`
		}{s, s.Ways(), holder})
	}
	a.printStatus(s, holder)
	if other := state.ToUndo(all); id == "" && other != nil && other.ID != s.ID {
		a.field("also", "run %s, begun %s (%s): %s", other.ID, localTime(other.Order.Begun), other.Phase, ways.Join(other.Ways()))
	}
	return nil
}

// disturbs reports whether a rollback of the run would be refused just now, because a service must not be disturbed. Where
// that cannot be seen, nobody is warned.
func disturbs(s state.Status) bool {
	if !s.Blocks() {
		return false
	}
	_, records, _, err := journal.ReadFile(s.Run.Journal())
	if err != nil {
		return false
	}
	h, err := live.Open("/")
	if err != nil {
		return false
	}
	defer h.Close()
	busy, err := engine.Busy(context.Background(), h, records)
	return err == nil && busy != nil
}

func (a *app) field(name, format string, args ...any) {
	_ = story.Field(a.out, name, fmt.Sprintf(format, args...), a.console(a.out.file).Width) // a.out keeps the failure
}

func (a *app) printStatus(s state.Status, holder *state.Holder) {
	a.field("run", "%s, begun %s", s.ID, localTime(s.Order.Begun))
	a.field("runbook", "%s", s.Order.Runbook)
	if n := len(s.Steps); n > 0 {
		a.field("steps", "%d of %d ended; the last that began: %s", len(s.Ended), n, s.Step)
	}
	if s.Damage != "" {
		a.field("journal", "%s", s.Damage)
	}
	if holder != nil && holder.Run != s.ID {
		a.field("lock", "held by process %d (%s), since %s", holder.PID, holder.Command, localTime(holder.Start))
	}
	if holder != nil && holder.Run == s.ID {
		a.field("state", "at work: process %d (%s), since %s", holder.PID, holder.Command, localTime(holder.Start))
		if s.Now != nil {
			a.field("now", "%s (told at %s)", story.ProgressText(*s.Now), s.Now.Time.Local().Format("15:04:05"))
		}
		a.field("next", "%s", ways.Way{Command: s.Caller.Command("status", "--follow"), Does: "shows it"})
		return
	}
	a.field("state", "%s", s.Phase)
	if s.Verdict != nil {
		a.field("verdict", "%s", s.Verdict.Text)
	}
	for _, l := range s.Left {
		a.field("differs", "%s", l)
	}
	if s.Trouble != nil {
		a.field("trouble", "%v", s.Trouble)
	}
	for _, w := range s.Ways() {
		a.field("next", "%s", w)
	}
}

// localTime is a time as the admin reads it.
func localTime(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

// follow shows a run from the begin of its newest attempt until its verdict.
func (a *app) follow(ctx context.Context, id string) error {
	ctx, release := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer release()
	s, err := a.pick(id, a.shown)
	if err != nil {
		return err
	}
	from, err := session.LastBegin(s.Run)
	if err != nil {
		return err
	}
	var t teller
	tell, err := t.open(a)
	if err != nil {
		return err
	}
	alive := func() bool {
		h, err := a.dir().Holder()
		return err == nil && h != nil && h.Run == s.ID
	}
	v, err := session.Follow(ctx, s.Run, from, alive, tell)
	switch {
	case errors.Is(err, context.Canceled):
		return ended{130} // only the looking on ended
	case err != nil:
		return err
	case v == nil:
		return a.withWays(s.Run, fmt.Errorf("run %s has ended without a verdict: its process was killed, or the machine went down", s.ID))
	}
	return verdictError(v.Code)
}

// journaled is the run whose journal is shown: one that is named need not be readable otherwise.
func (a *app) journaled(id string) (state.Run, error) {
	if id != "" {
		return a.dir().Find(id)
	}
	s, err := a.pick("", a.shown)
	return s.Run, err
}

func (a *app) showJournal(id string) error {
	run, err := a.journaled(id)
	if err != nil {
		return err
	}
	header, records, damage, err := journal.ReadFile(run.Journal())
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("run %s was never begun: it has no journal", run.ID)
	}
	if err != nil {
		return err
	}
	enc := json.NewEncoder(a.out)
	if a.json {
		if err := enc.Encode(map[string]any{"seq": 0, "type": "journal", "data": header}); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(a.out, "journal of run %s, format %d, written by version %s\n", run.ID, header.Format, header.Program)
	}
	hide := state.Hider() // the listing may be shown to others
	for _, r := range records {
		r.Data = hide(r.Data)
		if a.json {
			if err := enc.Encode(r); err != nil {
				return err
			}
			continue
		}
		data := string(r.Data)
		if !a.verbose && len(data) > 160 {
			data = strings.ToValidUTF8(data[:160], "") + "…"
		}
		if _, err := fmt.Fprintf(a.out, "%6d  %s  %-11s %s\n", r.Seq, localTime(r.Time), r.Type, data); err != nil {
			return err
		}
	}
	if damage != nil {
		return fmt.Errorf("%w", damage)
	}
	return nil
}

// whereThingsStand is what the program says without a command.
func (a *app) whereThingsStand() error {
	runs, err := a.dir().Runs()
	if err != nil && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	if len(runs) > 0 {
		return a.showStatus("")
	}
	where := "No run was begun on this machine."
	if err != nil {
		where = "Whether a run was begun on this machine only root can see: sudo zcp2kopano"
	}
	if a.json {
		return json.NewEncoder(a.out).Encode(map[string]string{"state": where})
	}
	_, err = fmt.Fprintf(a.out, `%s

  zcp2kopano simulate          shows a whole migration of an example server
  zcp2kopano check             checks whether this machine is ready
  zcp2kopano simulate --live   shows what would happen on this machine
  zcp2kopano run               does it
  zcp2kopano --help            lists all commands
`, where)
	return err
}
