package action

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime/host"
)

// unpackingHost is a host of rpm packages, one of which has a program. Expelled are the packages whose removal was ended.
type unpackingHost struct {
	*fakeHost
	t        *testing.T
	bad      bool // the program does not come back
	expelled []string
}

const cutProgram, cutDoc = "/usr/sbin/zarafa-server", "/usr/share/doc/zarafa/README"

func (h *unpackingHost) CommitPackages(ctx context.Context, tx host.Transaction, w *host.PackageWatch) error {
	if err := h.fakeHost.CommitPackages(ctx, tx, w); err != nil {
		return err
	}
	if _, err := h.Lstat(cutProgram); host.Absent(err) && len(tx.Install) > 0 && !h.bad {
		put(h.t, h.fakeHost, cutProgram, "zarafa", 0o755, 0, 0)
	}
	return nil
}

func (h *unpackingHost) ExpelPackages(ctx context.Context, list []host.Change, keep string, w *host.PackageWatch) error {
	for _, c := range list {
		h.expelled = append(h.expelled, c.Name)
	}
	return h.fakeHost.ExpelPackages(ctx, list, keep, w)
}

// TestRemovalCutShort: rpm's database has a package whole until the last of its files is gone. A way back ends the removal,
// puts the package back, and takes away what an rpm that was killed has left beside it; nothing of others.
func TestRemovalCutShort(t *testing.T) {
	for name, c := range map[string]struct {
		gone, bad bool
		expelled  []string
		err       string
	}{
		"nothing of it is gone":  {},
		"a program is gone":      {gone: true, expelled: []string{"zarafa-server"}},
		"and does not come back": {gone: true, bad: true, expelled: []string{"zarafa-server"}, err: "1 of its files are not there, " + cutProgram},
	} {
		t.Run(name, func(t *testing.T) {
			fake := newFake()
			h := &unpackingHost{fakeHost: fake, t: t, bad: c.bad}
			env := newEnv(h)
			zarafaInstalled(t, fake)
			fake.manager = host.PackageManager{Name: "yum"}
			fake.owned = map[string][]string{"zarafa-server": {cutProgram, cutDoc, "/run/zarafad/pid"}} // the last two were never there
			put(t, fake, cutProgram, "zarafa", 0o755, 0, 0)
			a := &Commit{Tx: host.Transaction{Remove: []string{"zarafa-server"}}}
			if changes, err := a.Prepare(env); err != nil || !changes {
				t.Fatalf("prepare: %v, %v", changes, err)
			}
			if want := []string{cutDoc}; !slices.Equal(a.Absent["zarafa-server"], want) {
				t.Errorf("absent beforehand are %q, want %q", a.Absent, want)
			}
			parts := map[string]bool{cutProgram + ";56d58440": false, "/usr/sbin/another;56d58440": true, cutProgram + ";old": true, cutProgram + ";20261130": true}
			for part := range parts {
				put(t, fake, part, "", 0o600, 0, 0)
			}
			if c.gone {
				must(t, fake.Unlink(cutProgram))
			}
			err := a.Undo(env)
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("undo: %v, want %q", err, c.err)
			}
			if !slices.Equal(h.expelled, c.expelled) {
				t.Errorf("expelled %q, want %q", h.expelled, c.expelled)
			}
			for part, stays := range parts {
				if _, err := fake.Lstat(part); (err == nil) != stays {
					t.Errorf("%s stays: %v, want %v", part, err == nil, stays)
				}
			}
		})
	}
}

// TestInstallationCutShort takes away what an installation that was killed has left of files that it was unpacking, and
// tells that there may be more. What was left so before stays, and what is only called so.
func TestInstallationCutShort(t *testing.T) {
	fake := newFake()
	env := newEnv(fake)
	zarafaInstalled(t, fake)
	fake.manager = host.PackageManager{Name: "zypper"}
	named := func(name string, began time.Time) string { return fmt.Sprintf("%s;%08x", name, began.Unix()) }
	earlier, ours, link := named("/usr/sbin/somebody", now), named("/usr/sbin/kopano-server", now), named("/usr/sbin/kopano-link", now.Add(-time.Hour))
	put(t, fake, earlier, "", 0o600, 0, 0)
	a := &Commit{Tx: host.Transaction{Install: []string{"kopano-server"}}}
	if changes, err := a.Prepare(env); err != nil || !changes {
		t.Fatalf("prepare: %v, %v", changes, err)
	}
	put(t, fake, ours, "", 0o600, 0, 0)
	fake.owned = map[string][]string{"zarafa-server": {cutProgram}}
	put(t, fake, named(cutProgram, now), "", 0o600, 0, 0) // of a package that is there: nothing to tell
	must(t, fake.PutSymlink(link, "kopano-server", 0, 0))
	stay := []string{earlier, "/etc/backup;20261130", named("/opt/old", now.Add(-25*time.Hour)), named("/opt/later", now.Add(time.Second)), named("/opt/users", now)}
	for _, file := range stay[1:] {
		put(t, fake, file, "", 0o600, 0, 0)
	}
	must(t, fake.Lchown(stay[4], 1000, 1000))
	must(t, a.Undo(env))
	for _, file := range []string{ours, link, named(cutProgram, now)} {
		if _, err := fake.Lstat(file); !host.Absent(err) {
			t.Errorf("%s is still there: %v", file, err)
		}
	}
	for _, file := range stay {
		if _, err := fake.Lstat(file); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
	lines, err := a.Differences(env)
	must(t, err)
	if len(lines) != 2 || !strings.HasPrefix(lines[0], link+": ") || !strings.HasPrefix(lines[1], ours+": ") || !strings.Contains(lines[0], "rpm -qpl") {
		t.Errorf("told are %q", lines)
	}
}

// finishingHost is a host on which an rpm outlives the program that has begun it: it goes on until somebody waits for it.
type finishingHost struct {
	*fakeHost
	part, whole string
	brings      host.Package
}

func (h *finishingHost) ExpelPackages(ctx context.Context, list []host.Change, keep string, w *host.PackageWatch) error {
	if len(list) == 0 && h.part != "" {
		if err := h.Rename(h.part, h.whole); err != nil {
			return err
		}
		h.part = ""
		h.packages[h.brings.Name] = h.brings
	}
	return h.fakeHost.ExpelPackages(ctx, list, keep, w)
}

// TestSweepWaitsForRPM: what an rpm unpacks that is still at work is taken away from it by nobody.
func TestSweepWaitsForRPM(t *testing.T) {
	fake := newFake()
	zarafaInstalled(t, fake)
	fake.manager = host.PackageManager{Name: "yum"}
	h := &finishingHost{fakeHost: fake, whole: "/usr/sbin/kopano-server", brings: fake.offers["kopano-server"]}
	h.brings.Status = "installed"
	env := newEnv(h)
	a := &Commit{Tx: host.Transaction{Install: []string{"kopano-server"}}}
	if changes, err := a.Prepare(env); err != nil || !changes {
		t.Fatalf("prepare: %v, %v", changes, err)
	}
	h.part = "/usr/sbin/kopano-server;56d58440"
	put(t, fake, h.part, "", 0o600, 0, 0)
	must(t, a.Undo(env))
	if _, err := fake.Lstat(h.whole); err != nil {
		t.Errorf("what was unpacked: %v", err)
	}
	if p, there := fake.packages["kopano-server"]; there {
		t.Errorf("still there: %v", p)
	}
}

// TestCutShortOfAnOlderProgram: a journal that does not tell what was absent, or lay about, does not tell that nothing did.
func TestCutShortOfAnOlderProgram(t *testing.T) {
	fake := newFake()
	h := &unpackingHost{fakeHost: fake, t: t, bad: true}
	env := newEnv(h)
	zarafaInstalled(t, fake)
	fake.manager = host.PackageManager{Name: "yum"}
	fake.owned = map[string][]string{"zarafa-server": {cutDoc}} // which somebody has removed
	const earlier = "/usr/sbin/somebody;56d58440"
	put(t, fake, earlier, "", 0o600, 0, 0)
	a := &Commit{Tx: host.Transaction{Remove: []string{"zarafa-server"}, Install: []string{"kopano-server"}}}
	if changes, err := a.Prepare(env); err != nil || !changes {
		t.Fatalf("prepare: %v, %v", changes, err)
	}
	var fields map[string]any
	must(t, json.Unmarshal(mustJSON(t, a), &fields))
	for _, name := range []string{"looked", "absent", "parts"} {
		if fields[name] == nil {
			t.Errorf("the journal does not tell %s", name)
		}
		delete(fields, name)
	}
	old, err := Decode(a.Kind(), mustJSON(t, fields))
	must(t, err)
	must(t, old.Undo(env))
	if len(h.expelled) > 0 {
		t.Errorf("expelled %q, and it was whole", h.expelled)
	}
	if _, err := fake.Lstat(earlier); err != nil {
		t.Errorf("%s: %v", earlier, err)
	}
}
