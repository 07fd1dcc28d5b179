package action

import (
	"testing"
	"time"

	"zcp2kopano/runtime/host"
)

func TestSpan(t *testing.T) {
	const s, m, h = time.Second, time.Minute, time.Hour
	for want, span := range map[string]Span{
		"a few seconds":            {0, 3 * s},
		"0 to 20 minutes":          {0, 20 * m},
		"13 seconds to 21 minutes": {13 * s, 20*m + s},
		"2 to 21 minutes":          {90 * s, 20*m + s},
		"40 minutes to 3 hours":    {40 * m, 2*h + s},
		"2 to 5 hours":             {2 * h, 5 * h},
		"6 to 80 seconds":          {6 * s, 80 * s},
		"1 to 80 seconds":          {s, 80 * s},
		"1 second to 3 minutes":    {s, 3 * m},
		"6 seconds":                {6 * s, 6 * s},
	} {
		if got := span.String(); got != want {
			t.Errorf("%v: %q, want %q", span, got, want)
		}
	}
}

// More work never takes less time, and the guess of each kind of work lies within what was measured.
func TestCost(t *testing.T) {
	yes, no := true, false
	for name, tc := range map[string]struct {
		less, more Action
		took       time.Duration // what the second was seen to take
	}{
		"dump of 200 MB of large objects": {&Dump{MostBytes: 1 << 20}, &Dump{MostBytes: 200 << 20}, 2 * time.Second},
		"loading of 400 MB of SQL":        {&Restore{}, &Restore{Made: host.DumpResult{RawBytes: 400 << 20}}, 20 * time.Second},
		"loading of 5 million rows":       {&Restore{}, &Restore{Dump: Dump{Rows: 5_000_000}, Made: host.DumpResult{RawBytes: 300 << 20}}, 321 * time.Second},
		"installing of 9 packages":        {&Commit{}, commitOf(9), 450 * time.Millisecond},
		"stop of zarafa-server":           {&Service{Active: &no}, &Service{Active: &no, Before: host.Service{Active: true}}, 2 * time.Second},
		"start":                           {&Service{Active: &yes, Before: host.Service{Active: true}}, &Service{Active: &yes}, time.Second},
		"copy":                            {&Copy{}, &Copy{Size: size{Files: 10_000, Bytes: 1 << 30}}, 10 * time.Second},
		"move to another file system":     {&Move{Size: size{Files: 10_000, Bytes: 1 << 30}}, &Move{Copy: true, Size: size{Files: 10_000, Bytes: 1 << 30}}, 10 * time.Second},
		"owners":                          {&Chown{Changes: 1}, &Chown{Changes: 1_000_000}, 15 * time.Second},
	} {
		less, more := Cost(tc.less), Cost(tc.more)
		if less.Most >= more.Most || more.Least > tc.took || more.Most < tc.took {
			t.Errorf("%s: %v, less of it %v; seen %v", name, more, less, tc.took)
		}
	}
}

func commitOf(n int) *Commit {
	a := &Commit{}
	for range n {
		a.Solution.Install = append(a.Solution.Install, host.Change{Name: "x"})
	}
	return a
}
