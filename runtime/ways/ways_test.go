package ways

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

var phases = []Phase{
	Untouched, NothingToDo, Done, BrokenOff, Failed, Interrupted, Waiting,
	RolledBack, RolledBackPart, RollbackIncomplete, Differing, Accepted, GivenUp, Forgotten, Unknown,
}

// standings are all that a run can come to, and more.
func standings(yield func(Standing)) {
	for _, phase := range phases {
		for _, db := range []Database{Unchanged, Restorable, Lost} {
			for n := range 1 << 9 {
				s := Standing{
					ID: "20150830-221005-4f2a", Caller: Caller{Program: "zcp2kopano --state /srv/s", ID: "20150830-221005-4f2a"},
					Phase: phase, Begun: []string{"a", "b", "c"}, Database: db,
					Stopped: n&1 != 0, Packages: n&2 != 0, Differs: n&4 != 0,
				}
				if db != Unchanged {
					s.Changed = "b"
				}
				if n&8 != 0 {
					s.To = "c"
				}
				if n&16 != 0 {
					s.Half = "b"
				}
				s.Own, s.Stuck = n&32 != 0, n&64 != 0
				if bars := n >> 7; bars > 0 {
					s.Barred, s.Around = errors.New("lost"), []string{"", NoPlan, Runbook}[bars-1]
				}
				if phase == Unknown {
					s.Trouble = errors.New("damaged")
				}
				yield(s)
			}
		}
	}
}

// Nothing is offered that would be refused, each command names the run, and wherever a run blocks
// others there is a way out.
func TestWaysAreAccepted(t *testing.T) {
	standings(func(s Standing) {
		ways := s.Ways()
		if len(ways) == 0 {
			t.Errorf("%+v: no way", s)
		}
		out := false
		for _, w := range ways {
			if err := accepted(s, w.Command); err != nil {
				t.Errorf("%+v: offers %s, and refuses it: %v", s, w, err)
			}
			out = out || strings.Contains(w.Command, " rollback") || strings.Contains(w.Command, " resume")
		}
		if s.Blocks() && s.Accept() != nil {
			t.Errorf("%+v blocks, and cannot be closed as it is: %v", s, s.Accept())
		}
		if s.Blocks() && !out {
			t.Errorf("%+v blocks, and there is no way out: %v", s, ways)
		}
		if s.Database == Restorable && s.Rollback("", true) == nil && s.Phase != Accepted && s.Phase != GivenUp && s.Phase != Forgotten && !strings.Contains(Join(ways), "--restore-database") {
			t.Errorf("%+v: the way to the dump is missing: %v", s, ways)
		}
		if s.Blocks() && (s.Resume(s.Around) == nil && (s.Barred == nil || s.Around != "")) != strings.Contains(Join(ways), " resume ") {
			t.Errorf("%+v: resume is refused (%v) or not offered: %v", s, s.Resume(), ways)
		}
	})
}

// accepted asks the standing about a command as the command itself does.
func accepted(s Standing, command string) error {
	if command == "zcp2kopano check" {
		return nil
	}
	rest, ok := strings.CutPrefix(command, s.Caller.Program+" ")
	if !ok {
		return errors.New("it is not called as the admin calls it")
	}
	args := strings.Fields(rest)
	if args[0] == "run" && len(args) == 1 {
		if s.Blocks() {
			return errors.New("the run blocks a new one")
		}
		return nil
	}
	if len(args) < 2 || args[1] != s.ID {
		return errors.New("it does not name the run")
	}
	switch flags := strings.Join(args[2:], " "); {
	case args[0] == "resume" && (flags == "" || flags == "--no-plan" && (s.Differs || s.Around == NoPlan) || flags == "--runbook FILE" && (s.Own || s.Around == Runbook)):
		return s.Resume(args[2:]...)
	case args[0] == "forget" && flags == "":
		return s.Forget()
	case args[0] == "rollback" && flags == "--accept":
		return s.Accept()
	case args[0] == "rollback" && flags == "":
		return s.Rollback("", false)
	case args[0] == "rollback" && flags == "--restore-database":
		return s.Rollback("", true)
	case args[0] == "rollback" && strings.HasPrefix(flags, "--to "):
		return s.Rollback(args[3], false)
	}
	return errors.New("unknown command")
}

// What a refusal names instead is not refused itself.
func TestRefusals(t *testing.T) {
	standings(func(s Standing) {
		for what, err := range map[string]error{"resume": s.Resume(), "rollback": s.Rollback("c", true), "accept": s.Accept()} {
			if err == nil {
				continue
			}
			for i, part := range strings.Split(err.Error(), "`") {
				if i%2 == 0 || strings.Contains(part, "--to") && strings.Contains(part, "--restore-database") {
					continue
				}
				if refused := accepted(s, part); refused != nil {
					t.Errorf("%+v: %s is refused with %v; that is refused, too: %v", s, what, err, refused)
				}
			}
		}
	})
}

func TestRollbackToAStep(t *testing.T) {
	failed := Standing{ID: "x", Phase: Failed, Begun: []string{"first", "second", "third"}}
	half := failed
	half.Phase, half.Half = RollbackIncomplete, "second"
	upgraded := failed
	upgraded.Changed, upgraded.Database = "second", Restorable
	lost := upgraded
	lost.Database = Lost
	for _, tt := range []struct {
		s       Standing
		to      string
		restore bool
		want    string // of the refusal
	}{
		{s: failed, to: "third"},
		{s: failed, to: "thrd", want: "no step thrd to go back to; did you mean third?"},
		{s: failed, to: "verify", want: "no step verify to go back to; there are first, second, third"},
		{s: failed, restore: true, want: "no database to restore"},
		{s: half, to: "second"},
		{s: half, to: "first"},
		{s: half, to: "third", want: "undone in part: go back to it, or further: `zcp2kopano rollback --to second`"},
		{s: upgraded, restore: true},
		{s: upgraded, to: "second", restore: true},
		{s: upgraded, to: "third"},
		{s: upgraded, to: "third", restore: true, want: "cannot be restored while step second"},
		{s: lost, restore: true, want: "has made no dump"},
		{s: Standing{ID: "x", Phase: Untouched}, want: "has left nothing to undo (nothing changed)"},
		{s: Standing{ID: "x", Phase: Failed, Trouble: errors.New("written by version 9")}, want: "run x: written by version 9"},
	} {
		err := tt.s.Rollback(tt.to, tt.restore)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%+v to %q: %v, want %q", tt.s, tt.to, err, tt.want)
		}
	}
}

// A run whose journal cannot be gone by can only be given up.
func TestTroubleLeavesOneWay(t *testing.T) {
	s := Standing{ID: "x", Phase: Unknown, Trouble: errors.New("damaged")}
	if s.Resume() == nil || s.Rollback("", false) == nil || s.Accept() != nil || !s.Blocks() {
		t.Errorf("%v, %v, %v", s.Resume(), s.Rollback("", false), s.Accept())
	}
	if ways := Join(s.Ways()); !strings.HasPrefix(ways, "`zcp2kopano rollback --accept` ") || strings.Contains(ways, ";") {
		t.Error(ways)
	}
	s.Phase = Done // as far as this version can tell
	if s.Blocks() || s.Accept() == nil || len(s.Ways()) == 0 {
		t.Errorf("done: %v, %v", s.Accept(), s.Ways())
	}
}

func ExampleCaller_Command() {
	fmt.Println(Caller{}.Command("resume"))
	fmt.Println(Caller{Program: "zcp2kopano --state /srv/s", ID: "2015"}.Command("rollback", "--to", "first"))
	// Output:
	// zcp2kopano resume
	// zcp2kopano --state /srv/s rollback 2015 --to first
}

// While a service must not be disturbed, nothing is offered that would be refused.
func TestWaysWhileBusy(t *testing.T) {
	s := Standing{ID: "x", Phase: Interrupted, Database: Restorable, Changed: "start", Begun: []string{"dump", "start"}, Busy: true}
	var got []string
	for _, w := range s.Ways() {
		got = append(got, w.Command)
	}
	want := []string{"zcp2kopano resume", "zcp2kopano rollback --restore-database --kill-upgrade", "zcp2kopano status"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	s.Phase, s.Database = RollbackIncomplete, Lost
	if got := s.Ways(); len(got) != 1 || got[0].Command != "zcp2kopano status" {
		t.Errorf("on the way back: %v", got)
	}
}
