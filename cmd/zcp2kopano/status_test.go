package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/state"
	"zcp2kopano/runtime/story"
)

// The status of a run at work says how far that is.
func TestStatusSaysHowFarItIs(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := state.Status{Now: &story.Event{Time: time.Date(2016, 3, 1, 20, 0, 0, 0, time.Local), Elapsed: 22 * time.Second,
		Progress: &action.Progress{What: "dump zarafa", Unit: "bytes", Done: 1_200_000_000, Total: 4e9, Rate: 55_000_000, Left: 51 * time.Second}}}
	(&app{out: &output{file: f}}).printStatus(s, &state.Holder{})
	text, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	want := "now dump zarafa: 1.2 GB of 4.0 GB (30 %), 55.0 MB/s, 51 seconds left, for 22s (told at 20:00:00)"
	if got := strings.Join(strings.Fields(string(text)), " "); !strings.Contains(got, want) {
		t.Errorf("got %s", got)
	}
}
