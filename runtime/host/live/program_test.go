package live_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/live"
)

// script puts a program on this machine, whose root the host is.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	must(t, os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755))
	return path
}

func TestRunProgram(t *testing.T) {
	h, err := live.Open("/")
	must(t, err)
	defer h.Close()
	show := script(t, `echo "$# $1|$2"; pwd; env | sort; readlink /proc/self/fd/0; tty; echo done >&2; exit 0`)
	t.Setenv("HOME", "/root")
	t.Setenv("SECRET", "s3cret")
	lines, err := h.RunProgram(t.Context(), host.ProgramRequest{Path: show, Args: []string{"a b; id", "$(id)"}, Timeout: time.Minute})
	must(t, err)
	got := strings.Join(lines, "\n")
	for _, want := range []string{"2 a b; id|$(id)\n/\n", "LC_ALL=C", "/dev/null", "done"} {
		if !strings.Contains(got, want) {
			t.Errorf("it does not say %q:\n%s", want, got)
		}
	}
	if strings.Contains(got, "SECRET") || strings.Contains(got, "HOME") {
		t.Errorf("it has this process's environment:\n%s", got)
	}

	lines, err = h.RunProgram(t.Context(), host.ProgramRequest{Path: script(t, "echo why it failed; exit 3"), Timeout: time.Minute})
	if err == nil || !strings.Contains(err.Error(), "exit status 3: why it failed") || len(lines) != 1 {
		t.Errorf("a failure: %v, %q", err, lines)
	}

	lines, err = h.RunProgram(t.Context(), host.ProgramRequest{Path: script(t, "yes 'a line' | head -n 100000; head -c 1000000 /dev/zero | tr '\\0' x; echo; echo last"), Timeout: time.Minute})
	if err != nil || len(lines) != host.MostLines || lines[len(lines)-1] != "last" {
		t.Errorf("much output: %v, %d lines", err, len(lines))
	}
}

// A program whose time is up is ended with what it has started, although it ignores SIGTERM.
func TestRunProgramTakesTooLong(t *testing.T) {
	t.Parallel()
	h, err := live.Open("/")
	must(t, err)
	defer h.Close()
	alive := filepath.Join(t.TempDir(), "alive")
	stubborn := script(t, "trap '' TERM; : > "+alive+"; (trap '' TERM; while :; do date +%s%N > "+alive+"; sleep 0.1; done) & while :; do sleep 0.1; done")
	_, err = h.RunProgram(context.Background(), host.ProgramRequest{Path: stubborn, Timeout: 10 * time.Second})
	if err == nil || !strings.Contains(err.Error(), "timed out after 10s") {
		t.Fatalf("it is not ended: %v", err)
	}
	first, err := os.ReadFile(alive)
	must(t, err)
	time.Sleep(time.Second)
	if second, err := os.ReadFile(alive); err != nil || string(first) != string(second) {
		t.Errorf("what it started lives on (%v)", err)
	}
}
