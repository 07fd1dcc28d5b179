package action

import (
	"context"
	"fmt"
	"time"

	"zcp2kopano/runtime/host"
)

// Whoever runs actions knows none of their kinds: it asks an action for one of these, and takes an action that does
// not answer for one that is like most.

// Detailer is an action that can show, after Prepare and before Apply, what exactly will change.
type Detailer interface {
	Detail(env *Env) (Detail, error)
}

// Coster is an action that takes longer than one small change, and can say how long, after Prepare.
type Coster interface {
	Cost() Span
}

// Cost is how long an action takes, after Prepare.
func Cost(a Action) Span {
	if c, ok := a.(Coster); ok {
		return c.Cost()
	}
	return smallSpan
}

// Limited is an action that moves much, and can be held back for the sake of who works beside it.
type Limited interface {
	// LimitedBytes is how much of what it moves Env.Limit counts, after Prepare.
	LimitedBytes() int64
}

// Unbounded is a Limited action that no limit holds back.
type Unbounded interface {
	// Unbounded says why; empty where a limit does.
	Unbounded() string
}

// NoLimit says why a limit does not hold an action back; empty where it does, or there is nothing to hold back.
func NoLimit(a Action) string {
	if u, ok := a.(Unbounded); ok {
		return u.Unbounded()
	}
	return ""
}

// Breakable is an action that leaves the host in another way than most when it is broken off in the middle.
type Breakable interface {
	// BrokenOff says what that means; empty if it means what it means for most.
	BrokenOff() string
}

// BrokenOff says what it means for the host that an action was broken off in the middle.
func BrokenOff(a Action) string {
	if b, ok := a.(Breakable); ok && b.BrokenOff() != "" {
		return b.BrokenOff()
	}
	return "a part of it is done; a resume brings it to its end, and a rollback takes it back"
}

// Reader is an action that takes what it makes from elsewhere on the host: a file, or a whole tree.
type Reader interface {
	Source() string
}

// Connector is an action that connects to servers, which are not asked yet.
type Connector interface {
	Servers() ([]host.Server, error)
}

// Recorder is an action that keeps whole pre-images: what these paths are again once it is undone.
type Recorder interface {
	Preimages() []Preimage
}

// Comparer is an action that can tell, after Undo, how the host differs from what it was before the action: one
// line each.
type Comparer interface {
	Differences(env *Env) ([]string, error)
}

// Teller is an action that has something to tell once it is undone.
type Teller interface {
	Told() []string
}

// Messenger is an action that can carry word of a run to the outside: beside its journal, so that nothing undoes it.
type Messenger interface {
	Send(ctx context.Context, h host.Host) (lines []string, err error)
}

// Logger is an action that has others write a log.
type Logger interface {
	// LogFile is the log; empty if there is none.
	LogFile() string
}

// Newcomer is an action that can tell, once it was undone and compared, what came after the run where it
// had worked, and was left there: that is no difference. Empty for nothing.
type Newcomer interface {
	Since() string
}

// Leaver is an action whose Undo may leave everything as it is.
type Leaver interface {
	// Left reports whether it does.
	Left() bool
}

// Repeater is an action that takes no undoing, and is done once more when all else is undone: it rests on what came
// before it. Once is enough for those of the same Summary.
type Repeater interface {
	Again(env *Env) error
}

// ServiceSetter is an action that sets the state of one service.
type ServiceSetter interface {
	ServiceName() string
	Stops() bool  // one that ran
	Starts() bool // one that did not run
	// StartsAgain reports whether the service runs again once the action is undone.
	StartsAgain() bool
}

// Stops reports whether an action stops a service that ran.
func Stops(a Action) bool {
	s, ok := a.(ServiceSetter)
	return ok && s.Stops()
}

// Starts reports whether an action starts a service that did not run.
func Starts(a Action) bool {
	s, ok := a.(ServiceSetter)
	return ok && s.Starts()
}

// ServiceKeeper is an action that decides how services are to be left, or makes an end to what was decided.
type ServiceKeeper interface {
	// KeepServices changes what was decided before the action into what is decided after it. An action that is
	// not done was caught half-way.
	KeepServices(env *Env, done bool, kept KeptServices) error
}

// DatabaseChanger is an action that may change a database for good.
type DatabaseChanger interface {
	// ChangesDatabase tells, after Prepare, whether it does.
	ChangesDatabase() bool
	// Spared tells, of one that was begun and has not come to its end, whether the database is seen to be as
	// Prepare found it, and nothing is at work on it.
	Spared(env *Env) bool
}

// Dumper is an action that makes a dump of a database.
type Dumper interface {
	DumpPath() string
	// Dumped tells what was made, and whether it is complete, after Apply.
	Dumped(env *Env) (made host.DumpResult, complete bool, err error)
	// LoadTime says how long it takes to load what was made.
	LoadTime(made host.DumpResult) string
	// Loading is the action that puts the database back to what the dump holds. The trees are those whose files
	// are named by the database's numbers.
	Loading(env *Env, trees []Numbered) (Action, error)
}

// DataKeeper is an action about a directory that others keep data in.
type DataKeeper interface {
	// MovedData is the directory, if it was the run that had them keep their data there; else empty.
	MovedData() string
	// KeptData is the directory otherwise: it stays theirs, whatever package has it as its own.
	KeptData() string
}

// DatabaseRester is an action whose Undo rests on what a database holds: if it was undone before the database's dump
// was loaded, it is undone once more after that.
type DatabaseRester interface {
	RestsOnDatabase() bool
}

// PackageTransaction is an action that has the scripts of packages run: what these change nobody knows before, and
// what an action found behind them was not there before the run.
type PackageTransaction interface {
	// LosesPackages tells, after Prepare, whether packages go that nothing could be kept of.
	LosesPackages() bool
	// Brought tells, after Apply, which packages came that were not there at all, each with what it had below /etc and /var.
	Brought(env *Env) (map[string][]string, error)
}

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
// zarafa-server in 2 s, changes of 10,000 entries by OpenLDAP in 2.5 s, 10,000 exported, rewritten and loaded in 0.3 s. Slow ones are those of a rotating disk that other work shares: 100 random accesses
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
	entryPace    = pace{1_000, 30_000}                                                         // entries of a directory that is loaded anew
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
