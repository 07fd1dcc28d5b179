package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"zcp2kopano/cmd/e2e/fakepkg"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/sim"
	"zcp2kopano/runtime/journal"
	"zcp2kopano/runtime/story"
	"zcp2kopano/testdata/hosts"
)

// TestSnapshotHasTheSamePlan simulates a machine, and a snapshot of it on its own: both must tell the
// same story, change by change with diffs, and find and not know the same.
func TestSnapshotHasTheSamePlan(t *testing.T) {
	for name, ways := range map[string][]string{
		"debian8-zcp72": {"config=merge", "config=copy"}, "debian8-zcp71-ldap": {"config=merge", "config=copy"}, "inhibited": {"config=merge", "config=copy"},
		"rhel7-zcp72": {"config=merge"}, "sles12-zcp72": {"config=copy"},
	} {
		for _, param := range ways {
			t.Run(name+" "+param, func(t *testing.T) {
				a := &app{in: os.Stdin, err: os.Stderr, out: &output{file: os.Stdout}, state: "/var/lib/zcp2kopano"}
				p := &params{plain: []string{param}}
				want, got := bothStories(t, a, shippedHost(t, name), p, func(*target) *params { return p })
				asksIndex := func(line string) bool { return strings.Contains(line, "install libinvented 2") }
				if name == "debian8-zcp72" && !slices.ContainsFunc(want, asksIndex) {
					t.Error("the machine's package index was not asked")
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("the machine (-) and its snapshot (+) differ:\n%s", diff)
				}
			})
		}
	}
}

func shippedHost(t *testing.T, name string) host.View {
	t.Helper()
	data, err := hosts.FS.ReadFile(name + ".txtar")
	if err != nil {
		t.Fatal(err)
	}
	return fixtureHost(t, data)
}

func fixtureHost(t *testing.T, data []byte) host.View {
	t.Helper()
	// Secrets of the length of their placeholders: sizes are part of the story.
	data = bytes.ReplaceAll(data, []byte("s3cret#of-alice"), []byte("s3cret#of-alice1"))
	data = bytes.ReplaceAll(data, []byte("rootpw"), []byte("rootpw12"))
	// The machine's own index offers what the catalogue does not have: a library, in two versions.
	if bytes.Contains(data, []byte("\nmanager: apt ")) {
		data = bytes.Replace(data, []byte("-- packages --\n"), []byte("-- available --\nPackage: libvmime-kopano3\nVersion: 9.0-1\nDepends: libinvented (>= 2)\n\n"+
			"Package: libinvented\nVersion: 1\n\nPackage: libinvented\nVersion: 2\n\n-- packages --\n"), 1)
	}
	fixture, err := sim.ReadFixture(data)
	if err != nil {
		t.Fatal(err)
	}
	opts, err := simOptions("")
	if err != nil {
		t.Fatal(err)
	}
	h, err := fixture.Host(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// stockFor is the stock runbook for a shipped host.
func stockFor(t *testing.T, v host.View) string {
	t.Helper()
	facts, err := v.Facts()
	if err != nil {
		t.Fatal(err)
	}
	if book := map[string]string{"centos": "rhel", "sles": "sles"}[facts.OSRelease["ID"]]; book != "" {
		return book
	}
	return "debian"
}

// bothStories are those of a simulation over a machine, and over a snapshot of it on its own, which is given
// the parameters that alone makes.
func bothStories(t *testing.T, a *app, machine host.View, p *params, alone func(*target) *params) (want, got []string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "captured.txtar")
	if err := os.WriteFile(file, captured(t, a, machine, p), 0o600); err != nil {
		t.Fatal(err)
	}
	over, err := simulateView(machine, "")
	if err != nil {
		t.Fatal(err)
	}
	fixture, err := openFixture(file, "")
	if err != nil {
		t.Fatal(err)
	}
	want, got = told(t, a, over, p), told(t, a, fixture, alone(fixture))
	if len(want) < 10 {
		t.Fatalf("a story of %d lines", len(want))
	}
	return want, got
}

// captured is a snapshot as the command takes it.
func captured(t *testing.T, a *app, machine host.View, p *params) []byte {
	t.Helper()
	o := sim.SnapshotOptions{Packages: snapshotPackages, Trees: snapshotTrees, Sparse: true, Directive: knownDirective(nil)}
	if err := a.recordQuestions(context.Background(), newRecorder(machine), stockFor(t, machine), p, &o, func(*target) {}); err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := sim.Snapshot(context.Background(), &text, machine, o); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"s3cret", "rootpw", "readerpw"} {
		if strings.Contains(text.String(), secret) {
			t.Errorf("the snapshot holds %s", secret)
		}
	}
	return text.Bytes()
}

// told is what a simulation tells, without times and call sites. It shows no secret, so those of the
// machine and their placeholders make no difference.
func told(t *testing.T, a *app, on *target, p *params) []string {
	t.Helper()
	defer on.Close()
	book, plain, secrets, err := a.prepare(context.Background(), stockFor(t, on.Host), on.Host, p)
	if err != nil {
		t.Fatal(err)
	}
	kinds := []story.EventKind{story.StepBegin, story.FindingFound, story.NoReturn, story.ChangeBegin, story.ChangeEnd, story.Unchanged, story.UnpredictedIs, story.Granted, story.Failed}
	var lines []string
	a.carryOut(context.Background(), "simulate", on, book, plain, secrets, "", journal.Memory(version, time.Now), func(e story.Event) {
		if !slices.Contains(kinds, e.Kind) {
			return
		}
		e.Time, e.Elapsed = time.Time{}, 0
		data, err := json.MarshalIndent(e, "", "  ")
		if err != nil {
			t.Error(err)
		}
		text := strings.NewReplacer("package index of the machine", "index", "package database of the machine", "index", "fixture", "index").Replace(string(data))
		for line := range strings.Lines(text) {
			lines = append(lines, line)
		}
	})
	return lines
}

// A snapshot keeps the run that was meant: its parameters, and of the packages that it installs from what
// a simulation needs. On another machine, where neither is given, the same is told.
func TestSnapshotKeepsTheRunThatWasMeant(t *testing.T) {
	packages, err := fakepkg.KopanoPackages(fakepkg.Kopano87, fakepkg.Programs{})
	if err != nil {
		t.Fatal(err)
	}
	data, err := hosts.FS.ReadFile("debian8-zcp72.txtar")
	if err != nil {
		t.Fatal(err)
	}
	base := "-- packages --\n"
	for _, name := range []string{"passwd", "lsb-base", "adduser"} {
		base += "Package: " + name + "\nVersion: 9\n\n"
	}
	text := bytes.NewBuffer(bytes.Replace(data, []byte("-- packages --\n"), []byte(base), 1))
	for _, program := range []string{"/usr/sbin/useradd", "/usr/sbin/groupadd", "/usr/sbin/adduser", "/usr/sbin/addgroup", "/usr/bin/getent", "/usr/bin/passwd",
		"/usr/bin/install", "/bin/chown", "/usr/sbin/update-rc.d", "/usr/sbin/invoke-rc.d", "/usr/bin/deb-systemd-helper", "/usr/bin/deb-systemd-invoke"} {
		fmt.Fprintf(text, "-- %s 0755 --\n", program)
	}
	for _, p := range append(packages, fakepkg.DistributionPackages()...) {
		deb, err := p.Deb()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(text, "-- /root/kopano/%s base64 --\n%s\n", p.FileName(), base64.StdEncoding.EncodeToString(deb))
	}
	a := &app{in: os.Stdin, err: os.Stderr, out: &output{file: os.Stdout}, state: "/var/lib/zcp2kopano"}
	meant := &params{plain: []string{"packages_dir=/root/kopano", "attachments=keep"}}
	want, got := bothStories(t, a, fixtureHost(t, text.Bytes()), meant, func(alone *target) *params { return &params{meant: alone.fixture} })
	if !slices.ContainsFunc(want, func(l string) bool { return strings.Contains(l, "start kopano-server") }) {
		t.Fatalf("the run does not come to its end: %s", strings.Join(want, ""))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the machine (-) and its snapshot (+) differ:\n%s", diff)
	}
}
