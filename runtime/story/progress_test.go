package story

import (
	stdbytes "bytes"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime/action"
)

func TestProgressText(t *testing.T) {
	copied := action.Progress{What: "copy /a to /b", Unit: "files", Done: 12_000, Total: 50_000, Bytes: 1_200_000_000, TotalBytes: 4e9,
		Rate: 900, BytesRate: 55_000_000, Left: 51 * time.Second}
	dumped := action.Progress{What: "dump zarafa", Unit: "bytes", Done: 1_200_000_000, Total: 4e9, AtMost: true, Rate: 55_000_000, Left: 3 * time.Minute}
	for _, c := range []struct {
		e    Event
		want string
	}{
		{Event{Progress: &copied, Elapsed: 22 * time.Second},
			"copy /a to /b: 12,000 of 50,000 files, 1.2 GB of 4.0 GB (30 %), 55.0 MB/s, 51 seconds left, for 22s"},
		{Event{Progress: &dumped}, "dump zarafa: 1.2 GB of at most 4.0 GB (30 %), 55.0 MB/s, at most 3 minutes left"},
		{Event{Progress: &action.Progress{What: "chown /a", Unit: "files", Done: 10, Total: 40, Rate: 5}}, "chown /a: 10 of 40 files (25 %), 5 files/s"},
		{Event{Progress: &action.Progress{What: "look at /a", Unit: "files", Done: 10}}, "look at /a: 10 files"},
		{Event{Progress: &action.Progress{What: "wait for x to work", Text: "it reads\x1b[2J"}, Elapsed: 90 * time.Second}, `wait for x to work: it reads\x1b[2J, for 1m30s`},
		{Event{Progress: &action.Progress{What: "wait for x"}, Elapsed: 90 * time.Second}, "wait for x, for 1m30s"},
	} {
		if got := ProgressText(c.e); got != c.want {
			t.Errorf("got  %q\nwant %q", got, c.want)
		}
	}
}

// A bar says the most important where there is no room for all: when it ends, and of what is counted the bytes.
func TestBarSaysTheMostImportant(t *testing.T) {
	p := action.Progress{What: "move the contents of /var/lib/zarafa to /var/lib/kopano", Unit: "files", Done: 12_000, Total: 50_000,
		Bytes: 1_200_000_000, TotalBytes: 4e9, Rate: 900, BytesRate: 55_000_000, Left: 51 * time.Second}
	for width, want := range map[int]string{
		70:  "   move the contents of /var/li… 51 seconds left",
		80:  "   move the contents of /var/l… 51 seconds left, 55.0 MB/s",
		110: "   move the contents of /var/… 51 seconds left, 1.2 GB of 4.0 GB, 12,000 of 50,000 files",
	} {
		var out stdbytes.Buffer
		tell := Console(&out, ConsoleOptions{Width: width, Progress: true})
		tell(Event{Kind: ProgressMade, Time: begin, Progress: &p})
		if !strings.Contains(out.String(), want) || !strings.Contains(out.String(), " 30% ") {
			t.Errorf("%d columns: %q", width, out.String())
		}
	}
}
