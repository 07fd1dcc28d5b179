package story

import (
	stdbytes "bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/hosttest/golden"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
)

//go:generate go test -count=1 -run TestGolden|TestReference -update

var begin = time.Date(2015, 8, 30, 22, 10, 0, 0, time.UTC)

// madeUp is a made-up run that shows every kind of event.
func madeUp(mode string) []Event {
	diff := "--- /etc/kopano/server.cfg\n+++ /etc/kopano/server.cfg\n@@ -1,2 +1,30 @@\n-old = <b>1</b>\n+new = \x1b[31m2\n"
	for range 30 {
		diff += " context\n"
	}
	events := []Event{
		{Kind: RunBegin, Run: &RunInfo{
			ID: "20150830-2210-4f2a", Mode: mode, Runbook: "@stock//debian.star", Doc: "ZCP to Kopano Core on Debian.\n\nMore.",
			Host: "mail.example.org (fixture example)", System: "Debian GNU/Linux 8 (jessie)", Version: "1.0.0",
			Steps: []string{"check_host", "remove_zcp", "start_kopano"}, Dir: "/var/lib/zcp2kopano/runs/20150830-2210-4f2a",
			Params: map[string]string{"repo_password": "***", "config": "merge"}, Servers: []string{"ldap.example.org"},
		}},
		{Kind: StepBegin, Step: "check_host", Doc: "Look at the host before anything is changed.", Index: 1, Count: 3},
		{Kind: FindingFound, Step: "check_host", Finding: &runbook.Finding{Severity: runbook.Inhibitor,
			Title: "dpkg is half-way", Reason: "zarafa-server is half-configured", Remedy: "run dpkg --configure -a"}},
		{Kind: FindingFound, Step: "check_host", Finding: &runbook.Finding{Severity: runbook.Info,
			Title: "ZCP 7.2.4", Reason: "18 packages"}},
		{Kind: FindingFound, Step: "check_host", Finding: &runbook.Finding{Severity: runbook.Warning,
			Title: "the attachments are a mount of their own", Reason: "they stay where they are", Remedy: "nothing"}},
		{Kind: Connected, Step: "check_host", Text: "db.example.org:3306: named in /etc/zarafa/server.cfg"},
		{Kind: Output, Step: "check_host", Text: "a  table\n  of the runbook\n"},
		{Kind: StepEnd, Step: "check_host"},
		{Kind: StepBegin, Step: "remove_zcp", Doc: "Purge the ZCP packages; what they leave behind stays in the backup, from which all of it can come back.", Index: 2, Count: 3},
		{Kind: Granted, Step: "remove_zcp", Text: "/srv/attachments: attachment_path of server.cfg"},
		{Kind: ChangeBegin, Step: "remove_zcp", Call: "pkg.remove", Action: "pkg.commit", Text: "remove 3 packages with their configuration",
			Detail: &action.Detail{Lines: []string{"zarafa-client 7.2.4", "zarafa-server 7.2.4", "zarafa-utils 7.2.4"}}},
		{Kind: ProgressMade, Step: "remove_zcp", Progress: &action.Progress{What: "remove packages", Done: 0, Total: 3, Unit: "packages"}},
		{Kind: ProgressMade, Step: "remove_zcp", Progress: &action.Progress{What: "remove packages", Done: 1, Total: 3, Unit: "packages"}},
		{Kind: ProgressMade, Step: "remove_zcp", Progress: &action.Progress{What: "remove packages", Done: 2, Total: 3, Unit: "packages"}},
		{Kind: ChangeEnd, Step: "remove_zcp", Text: "removed 3 packages", Elapsed: 40 * time.Second},
		{Kind: ChangeBegin, Step: "remove_zcp", Text: "write /etc/kopano/server.cfg", Detail: &action.Detail{Diff: diff, Existing: true}},
		{Kind: ChangeEnd, Step: "remove_zcp", Text: "write /etc/kopano/server.cfg"},
		{Kind: ChangeBegin, Step: "remove_zcp", Text: "move /var/lib/zarafa to /var/lib/kopano", Detail: &action.Detail{Files: 20000, Bytes: 6_100_000_000}},
		{Kind: ChangeEnd, Step: "remove_zcp", Text: "moved by rename"},
		{Kind: Unchanged, Step: "remove_zcp"}, {Kind: Unchanged, Step: "remove_zcp"},
		{Kind: UnpredictedIs, Step: "remove_zcp", Unpredicted: &host.Unpredicted{What: "prerm of zarafa-server", Why: "maintainer scripts are not run", Check: "step verify"}},
		{Kind: StepBegin, Step: "start_kopano", Doc: "Start the services.", Index: 3, Count: 3},
		{Kind: UnpredictedIs, Step: "start_kopano", Unpredicted: &host.Unpredicted{What: "postinst of kopano-server", Why: "maintainer scripts are not run", Check: "step verify"}},
		{Kind: UnpredictedIs, Step: "start_kopano", Unpredicted: &host.Unpredicted{What: "upgrade of the database", Why: "only kopano-server can do it"}},
		{Kind: Replayed, Step: "start_kopano", Text: "done before"},
		{Kind: NoReturn, Step: "start_kopano", Text: "kopano-server upgrades the database at its first start; going back needs the dump."},
		{Kind: ChangeBegin, Step: "start_kopano", Text: "start kopano-server"},
		{Kind: Undone, Step: "start_kopano", Text: "stop kopano-server"},
		{Kind: StepSkipped, Step: "start_kopano", Text: "attachments = keep"},
		{Kind: Failed, Step: "start_kopano", Error: &script.ErrorInfo{Message: "svc.start: kopano-server: exit status 1",
			Pos: "debian.star:41:5", Source: "    svc.start(\"kopano-server\")\n    ^", Stack: []string{"debian.star:50:3: in start_kopano"},
			Hint: "did you mean kopano-dagent?", Next: []string{"look at /var/log/kopano/server.log", "zcp2kopano resume"}}},
		{Kind: VerdictGiven, Verdict: &Verdict{Code: 1, Text: "step start_kopano failed:\nthe database is untouched", Changes: 4, Infos: 1, Warnings: 1, Inhibitors: 1,
			NoReturn: "step start_kopano: first start of kopano-server", Unpredicted: 3, Elapsed: 83 * time.Second}},
	}
	for i := range events {
		events[i].Time = begin.Add(time.Duration(i) * 20 * time.Second)
	}
	return events
}

func play(mode string, tell func(Event)) {
	for _, e := range madeUp(mode) {
		tell(e)
	}
}

func TestGolden(t *testing.T) {
	tests := []struct {
		file, mode string
		make       func(w io.Writer) func(Event)
	}{
		{"console.txt", "simulate", func(w io.Writer) func(Event) { return Console(w, ConsoleOptions{}) }},
		{"console-run.txt", "run", func(w io.Writer) func(Event) {
			return Console(w, ConsoleOptions{Color: true, Verbose: true, Width: 100})
		}},
		{"events.jsonl", "simulate", JSONLines},
		{"page.html", "simulate", HTML},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			var out stdbytes.Buffer
			play(tt.mode, tt.make(&out))
			golden.File(t, filepath.Join("testdata", tt.file), out.String())
		})
	}
}

func TestJSONLinesReadBack(t *testing.T) {
	var out stdbytes.Buffer
	play("run", JSONLines(&out))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if want := len(madeUp("run")); len(lines) != want {
		t.Fatalf("%d lines for %d events", len(lines), want)
	}
	for _, line := range lines {
		var e Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Errorf("%v in %s", err, line)
		}
	}
}

func TestConsoleEndsWithTheVerdict(t *testing.T) {
	var out stdbytes.Buffer
	play("simulate", Console(&out, ConsoleOptions{}))
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if last := lines[len(lines)-1]; last != "verdict: step start_kopano failed: the database is untouched" {
		t.Errorf("last line is %q", last)
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("escape sequences on a console without colour")
	}
}

func TestConsolePutsTheWorstFindingLast(t *testing.T) {
	var out stdbytes.Buffer
	play("check", Console(&out, ConsoleOptions{}))
	text := out.String()
	if strings.Index(text, "warning: ") > strings.Index(text, "inhibitor: ") {
		t.Error("the inhibitor stands before the warning")
	}
}

func TestHTMLLoadsAndRunsNothing(t *testing.T) {
	var out stdbytes.Buffer
	play("simulate", HTML(&out))
	for _, bad := range []string{"<script", "http://", "https://", "src=", "<b>1</b>", "\x1b"} {
		if strings.Contains(out.String(), bad) {
			t.Errorf("the page contains %q", bad)
		}
	}
}

func TestProgressBarLeavesNothingBehind(t *testing.T) {
	var out stdbytes.Buffer
	play("run", Console(&out, ConsoleOptions{Progress: true}))
	if !strings.Contains(out.String(), "\r") {
		t.Error("no moving bar")
	}
}

func TestPlainProgressKeepsQuiet(t *testing.T) {
	var out stdbytes.Buffer
	tell := Console(&out, ConsoleOptions{})
	tell(Event{Kind: ChangeBegin, Time: begin, Text: "chown"})
	for i := range 100 {
		tell(Event{Kind: ProgressMade, Time: begin.Add(time.Duration(i) * time.Second),
			Progress: &action.Progress{What: "chown", Done: int64(i), Unit: "files"}})
	}
	if n := strings.Count(out.String(), "…"); n != 3 {
		t.Errorf("%d lines in 100 s, want 3:\n%s", n, out.String())
	}
}

// A wait is told with what it waits for and since when, also where what is waited for changes.
func TestWaitCounts(t *testing.T) {
	for _, moves := range []bool{true, false} {
		var out stdbytes.Buffer
		tell := Console(&out, ConsoleOptions{Progress: moves, Width: 100})
		tell(Event{Kind: ChangeBegin, Time: begin, Text: "purge zarafa-server"})
		for i := range 100 {
			time.Sleep(time.Millisecond)
			what := fmt.Sprintf("wait for script %d", i/40)
			tell(Event{Kind: ProgressMade, Time: begin.Add(time.Duration(i) * time.Second), Elapsed: time.Duration(i) * time.Second,
				Progress: &action.Progress{What: what}})
		}
		want := []string{"wait for script 0, for 30s", "wait for script 1, for 1m0s", "wait for script 2, for 1m30s"}
		if moves {
			want = []string{"wait for script 0 ", "wait for script 1 40s", "wait for script 2 1m20s"}
		}
		for _, text := range want {
			if !strings.Contains(out.String(), text) {
				t.Errorf("moving %v: %q is not told in %q", moves, text, out.String())
			}
		}
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("terminal is gone") }

func TestLostOutputIsBorne(t *testing.T) {
	play("run", Tee(nil, Console(broken{}, ConsoleOptions{Progress: true}), JSONLines(broken{}), HTML(broken{})))
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain ü\t":       "plain ü\t",
		"\x1b[2Jboo":      `\x1b[2Jboo`,
		"a\rb":            `a\rb`,
		"\u202eevil":      `\u202eevil`,
		"bad \xff":        "bad \ufffd",
		"\u009b31m":       `\u009b31m`,
		"two\nlines\x07!": "two\nlines\\a!",
	} {
		if got := clean(in); got != want {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 999_960: "1.0 MB", 6_100_000_000: "6.1 GB", 1 << 62: "4.6 EB"} {
		if got := bytes(n); got != want {
			t.Errorf("bytes(%d) = %s, want %s", n, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 20000: "20,000", 1234567: "1,234,567", -1000: "-1,000"} {
		if got := number(n); got != want {
			t.Errorf("number(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestWrap(t *testing.T) {
	got := wrap("one two three\n\nalongwordthatdoesnotfit x", 8)
	want := []string{"one two", "three", "", "alongwordthatdoesnotfit", "x"}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestReference(t *testing.T) {
	builtins := []*script.Builtin{
		{Name: "fs.write", Doc: "Writes a file. More of it.\n\nA paragraph\nin two lines:\n- a list", Effect: script.Change, Result: "None",
			Params:  []script.Param{{Name: "path", Type: script.Path, Doc: "absolute path"}, {Name: "mode", Type: script.Mode, Doc: "mode | bits", Optional: true, Keyword: true}},
			Example: `fs.write("/x", "y")`},
		{Name: "info", Doc: "Tells the admin.", Effect: script.Pure},
	}
	var out stdbytes.Buffer
	Index(&out, builtins, ConsoleOptions{})
	for _, b := range builtins {
		Entry(&out, b, ConsoleOptions{})
	}
	Markdown(&out, builtins)
	golden.File(t, filepath.Join("testdata", "reference.txt"), out.String())
}

// On a narrow terminal, no line is longer than it but for one long word and for the lines of files, the
// frames are whole, and nothing is cut within a word.
func TestNarrowTerminals(t *testing.T) {
	long := "/var/lib/zcp2kopano/runs/20150830-2210-4f2a/backup/since"
	events := append(madeUp("run"),
		Event{Kind: Output, Text: "not as before: " + long + ": content differs from what it was before the run"},
		Event{Kind: NoReturn, Text: "the dump is " + long + "/with/a/long/name.sql.zst, and `zcp2kopano rollback --restore-database` loads it"},
		Event{Kind: Failed, Error: &script.ErrorInfo{Message: "no space on " + long,
			Next: []string{"`zcp2kopano --state /srv/state rollback --restore-database` goes back"}}},
		Event{Kind: VerdictGiven, Verdict: &Verdict{Code: 1, Text: strings.Repeat("failed in step remove_zcp: ", 10)}})
	for _, mode := range []string{"run", "simulate"} {
		for width := 1; width <= 80; width++ {
			var out stdbytes.Buffer
			tell := Console(&out, ConsoleOptions{Width: width})
			for _, e := range events {
				if e.Kind == RunBegin {
					info := *e.Run
					info.Mode = mode
					e.Run = &info
				}
				tell(e)
			}
			checkNarrow(t, width, out.String())
		}
	}
}

func checkNarrow(t *testing.T, width int, text string) {
	t.Helper()
	frames := max(narrowest, min(width, 72))
	for _, l := range strings.Split(text, "\n") {
		n := utf8.RuneCountInString(l)
		framed := strings.HasPrefix(l, "|") || strings.HasPrefix(l, "*") || strings.HasPrefix(l, "--")
		switch {
		case framed && (n != frames || !strings.HasSuffix(l, l[:1]) && !strings.HasPrefix(l, "--")):
			t.Errorf("%d columns: the frame is broken: %q", width, l)
		case !framed && strings.Count(l, "`")%2 != 0:
			t.Errorf("%d columns: a command is broken: %q", width, l)
		case framed || n <= width || width < 30 || strings.HasPrefix(l, deepIndent) || strings.HasPrefix(l, "verdict: ") || strings.HasPrefix(l, "zcp2kopano "):
		case len(words(l)) > 2: // a mark and a long word
			t.Errorf("%d columns: %d are used by %q", width, n, l)
		}
	}
	last := strings.TrimSuffix(text[strings.LastIndex(text, "verdict: "):], "\n")
	if rest, cut := strings.CutSuffix(last, " …"); cut && !strings.HasSuffix(rest, "step") && !strings.HasSuffix(rest, "in") && !strings.HasSuffix(rest, "failed") && !strings.HasSuffix(rest, "remove_zcp:") {
		t.Errorf("%d columns: a word of the verdict is cut: %q", width, last)
	}
}

// A bar is never wider than its line, whatever it counts.
func TestBarFitsItsLine(t *testing.T) {
	for _, width := range []int{40, 74, 80, 110} {
		for _, p := range []action.Progress{
			{What: "move the contents of /var/lib/zarafa/attachments to /var/lib/kopano/attachments", Done: 123_456, Total: 1_234_567, Unit: "files"},
			{What: "dump database zarafa to /var/backups/zcp2kopano/zarafa.sql.zst", Done: 1 << 40, Total: 1 << 42, Unit: "bytes"},
			{What: "wait for zarafa-server to stop and to write what it has in memory", Done: 1, Unit: "seconds"},
		} {
			var out stdbytes.Buffer
			tell := Console(&out, ConsoleOptions{Width: width, Progress: true})
			tell(Event{Kind: ProgressMade, Time: begin, Progress: &p})
			for _, l := range strings.FieldsFunc(out.String(), func(r rune) bool { return r == '\r' || r == '\n' }) {
				if n := utf8.RuneCountInString(l); n > width {
					t.Errorf("%d columns: %d are used by %q", width, n, l)
				}
			}
		}
	}
}

func TestField(t *testing.T) {
	for width, want := range map[int]string{
		0:  "next       `zcp2kopano resume` goes on once the cause is fixed\n",
		40: "next       `zcp2kopano resume` goes on\n           once the cause is fixed\n",
		5:  "next       `zcp2kopano resume`\n           goes\n           on\n           once\n           the\n           cause\n           is\n           fixed\n",
	} {
		var out stdbytes.Buffer
		if err := Field(&out, "next", "`zcp2kopano resume` goes on once the cause is fixed", width); err != nil || out.String() != want {
			t.Errorf("%d columns: %q, want %q (%v)", width, out.String(), want, err)
		}
	}
}

// How long a run takes is told as a guess with its range, on every kind of report.
func TestTimesAreTold(t *testing.T) {
	times := &Times{
		Steps: []StepTime{{Name: "dump_database", Span: action.Span{Least: 20 * time.Second, Most: 5 * time.Minute}}},
		Whole: action.Span{Least: 34 * time.Second, Most: 21 * time.Minute},
		Down:  action.Span{Least: 13 * time.Second, Most: 17 * time.Minute},
		Why:   []string{"upgrade of the database: 2 to 89 seconds"},
	}
	var console, page, lines stdbytes.Buffer
	tell := Tee(Console(&console, ConsoleOptions{Width: 110}), Tee(HTML(&page), JSONLines(&lines)))
	tell(Event{Kind: RunBegin, Time: begin, Run: &RunInfo{Mode: "simulate", Runbook: "debian"}})
	tell(Event{Kind: VerdictGiven, Time: begin, Verdict: &Verdict{Text: "done", Times: times}})
	for name, text := range map[string]string{"console": console.String(), "page": page.String()} {
		text = strings.Join(strings.Fields(text), " ")
		for _, want := range []string{"a guess: 34 seconds to 21 minutes; services are down for 13 seconds to 17 minutes", "20 seconds to 5 minutes", "upgrade of the database: 2 to 89 seconds"} {
			if !strings.Contains(text, want) {
				t.Errorf("the %s does not tell %q:\n%s", name, want, text)
			}
		}
	}
	if !strings.Contains(lines.String(), `"down":{"least_ns":13000000000,"most_ns":1020000000000}`) {
		t.Errorf("the lines do not tell it: %s", lines.String())
	}
}
