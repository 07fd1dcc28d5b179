package packagelock

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime/host"
)

// fake is a host whose lock is held until a time.
type fake struct {
	now, until time.Time
}

func (f *fake) Now() time.Time { return f.now }

func (f *fake) Sleep(ctx context.Context, d time.Duration) error {
	f.now = f.now.Add(d)
	return ctx.Err()
}

func (f *fake) PackageLock() (*host.LockHolder, error) {
	if f.now.Before(f.until) {
		return &host.LockHolder{PID: 7, Path: "/var/lib/dpkg/lock", Command: "apt-get"}, nil
	}
	return nil, nil
}

func held(d time.Duration) *fake {
	begin := time.Date(2018, 3, 17, 20, 30, 0, 0, time.UTC)
	return &fake{now: begin, until: begin.Add(d)}
}

func TestWith(t *testing.T) {
	const tells = "waiting for apt-get (process 7), which holds /var/lib/dpkg/lock"
	for _, c := range []struct {
		name    string
		h       *fake
		lost    int // how often the lock is lost to somebody who came between
		want    string
		said    int
		worked  int
		atLeast time.Duration
	}{
		{"free", held(0), 0, "", 0, 1, 0},
		{"held for a while", held(90 * time.Second), 0, "", 90, 1, 90 * time.Second},
		{"held for good", held(time.Hour), 0,
			"the package manager is in use by apt-get (process 7), which held /var/lib/dpkg/lock for more than 10m0s; let it end, then go on", 601, 0, 10 * time.Minute},
		{"lost once", held(0), 1, "", 0, 2, time.Second},
		{"lost for good", held(0), 1 << 20, "the package manager is in use: ", 0, 602, 10 * time.Minute},
	} {
		begin, worked := c.h.now, 0
		var said []string
		err := Usual.With(t.Context(), c.h, lines(func(line string) { said = append(said, line) }), func() error {
			if worked++; worked <= c.lost {
				return &host.CommandError{Path: "/usr/bin/apt-get", Status: "exit status 100", Output: "E: Could not get lock /var/lib/dpkg/lock"}
			}
			return nil
		})
		if got := text(err); !strings.HasPrefix(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%s: %q", c.name, got)
		}
		if worked != c.worked || len(said) != c.said || slices.ContainsFunc(said, func(line string) bool { return line != tells }) {
			t.Errorf("%s: worked %d times, said %d times, such as %q", c.name, worked, len(said), slices.Compact(said))
		}
		if took := c.h.now.Sub(begin); took < c.atLeast || took > c.atLeast+2*Usual.Poll {
			t.Errorf("%s: took %v", c.name, took)
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestWithEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := Usual.With(ctx, held(time.Hour), nil, func() error { t.Error("worked"); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a wait that is interrupted: %v", err)
	}
	failed := errors.New("no such package")
	if err := Usual.With(t.Context(), held(0), nil, func() error { return failed }); err != failed {
		t.Errorf("work that fails: %v", err)
	}
}

// lines tells a function what a package manager says, and what it waits for.
func lines(tell func(string)) *host.PackageWatch {
	return &host.PackageWatch{Tell: func(work host.PackageWork) { tell(strings.TrimSpace(work.Doing + " " + work.Line)) }}
}
