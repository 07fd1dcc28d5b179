package action

import (
	"fmt"
	"time"
)

// Span is how long something takes: between Least, on a fast machine with nothing else to do, and Most, on a
// slow one with old disks. It is a guess, and never more than that.
type Span struct {
	Least time.Duration `json:"least_ns"`
	Most  time.Duration `json:"most_ns"`
}

// Plus is how long two things take, one after the other.
func (s Span) Plus(o Span) Span { return Span{s.Least + o.Least, s.Most + o.Most} }

// Minus is how long one of two things takes.
func (s Span) Minus(o Span) Span { return Span{s.Least - o.Least, s.Most - o.Most} }

// AtLeast is how long something takes that cannot take less than this.
func (s Span) AtLeast(d time.Duration) Span { return Span{max(s.Least, d), max(s.Most, d)} }

func (s Span) String() string {
	if s.Most <= 5*time.Second {
		return "a few seconds"
	}
	least, unit := s.Least/time.Second, "second"
	most, mostUnit := round(s.Most)
	if s.Least >= 90*time.Second || least == 0 {
		least, unit = round(s.Least)
	}
	switch {
	case least == most && unit == mostUnit:
		return counted(int64(most), mostUnit, mostUnit+"s")
	case unit == mostUnit || least == 0:
		return fmt.Sprintf("%d to %d %ss", least, most, mostUnit)
	}
	return counted(int64(least), unit, unit+"s") + " to " + counted(int64(most), mostUnit, mostUnit+"s")
}

// round rounds up to what a person reads.
func round(d time.Duration) (n time.Duration, unit string) {
	up := func(unit time.Duration) time.Duration { return (d + unit - 1) / unit }
	switch {
	case d < 90*time.Second:
		return up(time.Second), "second"
	case d < 2*time.Hour:
		return up(time.Minute), "minute"
	}
	return up(time.Hour), "hour"
}

// pace is how much is done in a second, by a slow machine and by a fast one.
type pace struct{ slow, fast int64 }

// The paces. Fast ones were measured on a small virtual machine with solid state disks: a dump of 200 MB of
// large objects in 2 s, its loading in 6 s, the loading of 5 million small rows in 5 minutes, installing 5 small packages in 0.2 s, 9 in 0.23 s, a stop of
// zarafa-server in 2 s. Slow ones are those of a rotating disk that other work shares: 100 random accesses
// a second, or 10 MB in a row.
var (
	dumpPace     = pace{8 << 20, 100 << 20}                                                    // bytes of data
	loadPace     = pace{2 << 20, 20 << 20}                                                     // bytes of SQL
	rowPace      = pace{2_000, 20_000}                                                         // rows that are loaded, and their indexes made
	copyPace     = pace{10 << 20, 300 << 20}                                                   // bytes: read, written, and read again
	readPace     = pace{20 << 20, 1 << 30}                                                     // bytes: read, and compared
	comparePace  = pace{1_000, 100_000}                                                        // entries of two trees, looked at
	createPace   = pace{100, 10_000}                                                           // files made
	ownerPace    = pace{500, 100_000}                                                          // entries
	modifyPace   = pace{50, 4_000}                                                             // entries of a directory, each synced
	downloadPace = pace{1 << 20, 50 << 20}                                                     // bytes
	packagePace  = struct{ least, most time.Duration }{50 * time.Millisecond, 8 * time.Second} // each that comes or goes
	stopSpan     = Span{time.Second, 65 * time.Second}                                         // init scripts wait so long
	startSpan    = Span{500 * time.Millisecond, 20 * time.Second}
	smallSpan    = Span{0, 100 * time.Millisecond} // one file, synced
)

func (p pace) of(amount int64) Span {
	seconds := func(pace int64) time.Duration {
		return time.Duration(float64(amount) / float64(pace) * float64(time.Second))
	}
	return Span{seconds(p.fast), seconds(p.slow)}
}

func copied(s size) Span { return copyPace.of(s.Bytes).Plus(createPace.of(s.Files)) }
