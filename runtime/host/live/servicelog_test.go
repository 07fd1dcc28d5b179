package live

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
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
