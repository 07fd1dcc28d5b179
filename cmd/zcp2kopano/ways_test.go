package main

import (
	"strings"
	"testing"

	"zcp2kopano/runtime/ways"
)

// Each command that the program tells the admin to call exists, with its flags.
func TestWaysAreCommands(t *testing.T) {
	caller := ways.Caller{Program: "zcp2kopano --state /srv/s", ID: "20150830-221005-4f2a"}
	seen := map[string]bool{}
	for _, phase := range []ways.Phase{
		ways.Untouched, ways.NothingToDo, ways.Done, ways.Failed, ways.Waiting, ways.RolledBack, ways.RolledBackPart, ways.RollbackIncomplete, ways.Differing,
	} {
		for _, s := range []ways.Standing{
			{Phase: phase, Caller: caller, Differs: true},
			{Phase: phase, Caller: caller, Own: true, Database: ways.Restorable, Changed: "b", Begun: []string{"a", "b"}, To: "b"},
		} {
			for _, w := range s.Ways() {
				seen[w.Command] = true
			}
		}
	}
	if len(seen) < 7 {
		t.Errorf("only %v", seen)
	}
	for line := range seen {
		args := strings.Fields(line)[1:]
		cmd, rest, err := newRoot(&app{}).Find(args)
		if err != nil || cmd.Name() == "zcp2kopano" {
			t.Errorf("%s: %v", line, err)
			continue
		}
		err = cmd.ParseFlags(rest)
		if err == nil {
			err = cmd.ValidateArgs(cmd.Flags().Args())
		}
		if err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
}
