package live

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"zcp2kopano/runtime/host"
)

func TestLogSince(t *testing.T) {
	h, dir := open(t)
	const log = "/var/log/x.log"
	file := filepath.Join(dir, log)
	ctx := context.Background()
	more := func(text string) {
		t.Helper()
		f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	mark := h.LogEnd(ctx, "x", log)
	if part := h.LogSince(ctx, "x", log, mark); part.Seen || len(part.Lines) > 0 {
		t.Errorf("a log that is not there: %+v", part)
	}
	write(t, dir, log, "old\n")
	mark = h.LogEnd(ctx, "x", log)
	read := func(want ...string) {
		t.Helper()
		part := h.LogSince(ctx, "x", log, mark)
		if !part.Seen || !slices.Equal(part.Lines, want) {
			t.Errorf("got %+v, want %q", part, want)
		}
		mark = part.End
	}
	read()
	more("one\ntw")
	read("one")
	more("o\n")
	read("two")
	long := strings.Repeat("x", logBytes/2)
	more(long + "1\n" + long + "2\n" + long + "3\nthe last\nof which the end is sti")
	read(long+"1", long+"2", long+"3", "the last")
	more("ll to come\n")
	read("of which the end is still to come")
	if err := os.Rename(file, file+".1"); err != nil {
		t.Fatal(err)
	}
	more("of a new file\n")
	read("of a new file")
	if err := os.WriteFile(file, []byte("cut\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	read("cut")
}

func TestJournalLines(t *testing.T) {
	lines, cursor := journalLines(`{"__CURSOR":"s=1","MESSAGE":"[error  ] one\ntwo"}
{"__CURSOR":"s=2","MESSAGE":[91,120,255]}
no entry
{"__CURSOR":"s=3","MESSAGE":null}
`)
	if want := []string{"[error  ] one", "two", "[x?"}; !slices.Equal(lines, want) || cursor != "s=3" {
		t.Errorf("%q, %s", lines, cursor)
	}
}

// journal is an init system whose journal has these lines, each of which is the cursor of itself.
type journal struct {
	initSystem
	lines  []string
	closed bool
}

func (j *journal) logged(_ context.Context, _, cursor string) (lines []string, end string, err error) {
	if j.closed {
		return nil, "", errors.New("timed out")
	}
	if len(j.lines) > 0 {
		end = j.lines[len(j.lines)-1]
	}
	return j.lines[slices.Index(j.lines, cursor)+1:], end, nil
}

// TestJournalSince: what an earlier attempt has said is not read, also if the journal could not be marked before the
// start; what a journal that was empty says is read from its begin.
func TestJournalSince(t *testing.T) {
	ctx := context.Background()
	for name, tc := range map[string]struct {
		before []string
		closed bool // at the start
		read   [2][]string
	}{
		"marked":     {[]string{"of old"}, false, [2][]string{{"one"}, {"two"}}},
		"empty":      {nil, false, [2][]string{{"one"}, {"two"}}},
		"not marked": {[]string{"of old"}, true, [2][]string{nil, {"two"}}},
	} {
		j := &journal{lines: tc.before, closed: tc.closed}
		mark := host.LogMark{Cursor: journalEnd(ctx, j, "x")}
		j.closed = false
		for i, line := range []string{"one", "two"} {
			j.lines = append(j.lines, line)
			lines, seen := journalSince(ctx, j, "x", &mark)
			if !slices.Equal(lines, tc.read[i]) || seen != (tc.read[i] != nil) {
				t.Errorf("%s: after %q: %q, %v, want %q", name, line, lines, seen, tc.read[i])
			}
		}
		j.closed = true
		if lines, seen := journalSince(ctx, j, "x", &mark); seen || len(lines) > 0 || mark.Cursor != "two" {
			t.Errorf("%s: closed: %q, %v, %+v", name, lines, seen, mark)
		}
	}
}
