package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"zcp2kopano/runtime/exit"
)

func readme(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestReadmeCommands looks for each command line of the README, whether there are such a command and
// such flags.
func TestReadmeCommands(t *testing.T) {
	lines := regexp.MustCompile("(?m)(?:`|^    )(?:sudo |go run \\./cmd/)?zcp2kopano ([a-z][^`#]*)").FindAllStringSubmatch(readme(t), -1)
	if len(lines) < 10 {
		t.Fatalf("only %d command lines in the README", len(lines))
	}
	for _, line := range lines {
		words := strings.Fields(line[1])
		cmd, rest, err := newRoot(&app{}).Find(words)
		if err != nil || !cmd.HasParent() {
			t.Errorf("zcp2kopano %s: no such command (%v)", line[1], err)
			continue
		}
		for _, word := range rest {
			name, isFlag := strings.CutPrefix(word, "--")
			if isFlag && cmd.Flags().Lookup(name) == nil && cmd.InheritedFlags().Lookup(name) == nil {
				t.Errorf("zcp2kopano %s: no flag --%s", line[1], name)
			}
		}
	}
}

// TestReadmeSample looks for each line of the simulated run that the README shows, in its order, in what
// simulate prints: only how long it took is another time's.
func TestReadmeSample(t *testing.T) {
	var printed strings.Builder
	cmd := exec.Command("zcp2kopano", "--state", t.TempDir(), "simulate") // TestMain puts it on the path
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), "NO_COLOR=1"), &printed, &printed
	if err := cmd.Run(); err != nil {
		t.Fatalf("simulate: %v\n%s", err, &printed)
	}
	took := regexp.MustCompile(`· [0-9.]+m?s$`)
	var lines []string
	for line := range strings.Lines(printed.String()) {
		lines = append(lines, took.ReplaceAllString(strings.TrimRight(line, "\n"), "· N"))
	}
	_, sample, _ := strings.Cut(readme(t), "A simulated run, shortened:\n\n```\n")
	sample, _, _ = strings.Cut(sample, "```")
	shown := 0
	for line := range strings.Lines(sample) {
		line = took.ReplaceAllString(strings.TrimRight(line, "\n"), "· N")
		if left := strings.TrimSpace(line); left == "" || left == "[…]" {
			continue
		}
		i := slices.Index(lines, line)
		if i < 0 {
			t.Errorf("simulate does not print, here or at all: %q", line)
			continue
		}
		lines = lines[i+1:]
		shown++
	}
	if shown < 50 {
		t.Errorf("only %d lines of the sample were found", shown)
	}
}

// TestReadmeRunbook loads the README's runbook from the directory that fork writes.
func TestReadmeRunbook(t *testing.T) {
	dir := t.TempDir()
	if _, err := eject(dir); err != nil {
		t.Fatal(err)
	}
	_, shown, _ := strings.Cut(readme(t), "```python\n")
	shown, _, _ = strings.Cut(shown, "```")
	site := filepath.Join(dir, "site.star")
	if err := os.WriteFile(site, []byte(shown), 0o644); err != nil {
		t.Fatal(err)
	}
	book, err := load(t.Context(), site, nil)
	if err != nil {
		t.Fatal(err)
	}
	stock, err := load(t.Context(), "debian", nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(book.Steps) != len(stock.Steps)+1 {
		t.Errorf("%d steps, want one more than the stock runbook's %d", len(book.Steps), len(stock.Steps))
	}
}

// TestReadmeWrapper has the README's wrapper tell of every exit code, and give it on.
func TestReadmeWrapper(t *testing.T) {
	dir := t.TempDir()
	_, wrapper, _ := strings.Cut(readme(t), "```sh\n#!/bin/sh\n# Runs")
	wrapper, _, _ = strings.Cut(wrapper, "```")
	for name, text := range map[string]string{
		"wrapper":    "#!/bin/sh\n# Runs" + wrapper,
		"zcp2kopano": "#!/bin/sh\nexit $CODE\n",
		"mail":       "#!/bin/sh\necho \"$@\"\ncat\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	words := map[string]int{}
	for _, code := range []int{exit.Done, exit.Failed, exit.Inhibited, exit.Differs, exit.RollbackIncomplete, exit.Locked, exit.Interrupted, 77} {
		cmd := exec.Command(filepath.Join(dir, "wrapper"), "run", "--yes")
		cmd.Env = []string{"PATH=" + dir + ":/usr/bin:/bin", fmt.Sprint("CODE=", code)}
		said, _ := cmd.CombinedOutput()
		if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != code {
			t.Errorf("exit code %d comes out as %v", code, cmd.ProcessState)
		}
		text := string(said)
		if !strings.HasPrefix(text, "-s zcp2kopano: ") || !strings.Contains(text, "zcp2kopano run --yes: ") || !strings.Contains(text, fmt.Sprintf("(exit code %d)", code)) {
			t.Errorf("of exit code %d it tells %q", code, text)
		}
		subject, _, _ := strings.Cut(text, "\n")
		words[subject]++
	}
	if len(words) != 7 { // 1 and 77 are failures
		t.Errorf("it tells %v", words)
	}
}

// TestReadmeFiveCommands takes a new user from nothing to a simulated change by the README's commands as they stand,
// and each of them has something to say.
func TestReadmeFiveCommands(t *testing.T) {
	text := readme(t)
	t.Chdir(t.TempDir())
	_, block, _ := strings.Cut(text, "zcp2kopano fork site   ")
	block, _, _ = strings.Cut("zcp2kopano fork site   "+block, "```")
	says := []string{"next: zcp2kopano simulate site/site.star", "", "ok: 1 of 1 tests passed", "check passed", "the simulation succeeded"}
	lines := strings.Split(strings.TrimSpace(block), "\n")
	if len(lines) != len(says) {
		t.Fatalf("%d commands, want %d: %q", len(lines), len(says), lines)
	}
	for i, line := range lines {
		line, _, _ = strings.Cut(line, "#")
		code, said := command(t, strings.Fields(line)[1:]...)
		if code != exit.Done || !strings.Contains(said, says[i]) {
			t.Errorf("%s: exit code %d\n%s", line, code, said)
		}
		if says[i] == "" && said != "" {
			t.Errorf("%s: %s", line, said)
		}
	}
}
