package action

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/sim/simfs"
)

// TestPrepareRefuses checks that what cannot be right is refused before anything changes, with an
// error that names the thing.
func TestPrepareRefuses(t *testing.T) {
	tests := []struct {
		name   string
		mounts []simfs.Mount
		setup  func(t tester, h *fakeHost)
		act    Action
		want   string
	}{
		{"write to a symlink", nil, func(t tester, h *fakeHost) { must(t, h.PutSymlink("/etc/l", "/etc/shadow", 0, 0)) },
			&Write{Path: "/etc/l"}, "symlink to /etc/shadow"},
		{"write to a directory", nil, func(t tester, h *fakeHost) { must(t, h.PutDir("/etc/d", 0o755, 0, 0)) },
			&Write{Path: "/etc/d"}, "is a directory"},
		{"write to a FIFO", nil, func(t tester, h *fakeHost) { must(t, h.PutNode("/etc/p", fs.ModeNamedPipe|0o600, 0, 0, 0)) },
			&Write{Path: "/etc/p"}, "FIFO"},
		{"write to a file with two names", nil, func(t tester, h *fakeHost) {
			put(t, h, "/etc/a", "x", 0o600, 0, 0)
			must(t, h.PutLink("/etc/a", "/etc/b"))
		}, &Write{Path: "/etc/a"}, "2 names"},
		{"write without a directory", nil, nil, &Write{Path: "/no/a"}, "no directory /no"},
		{"write for nobody", nil, nil, &Write{Path: "/a", Owner: "nemo"}, `no user "nemo"`},
		{"mkdir without parents", nil, nil, &Mkdir{Path: "/a/b"}, "no directory /a"},
		{"mkdir on a file", nil, func(t tester, h *fakeHost) { put(t, h, "/a", "", 0o600, 0, 0) }, &Mkdir{Path: "/a"}, "a regular file is there"},
		{"symlink on a file", nil, func(t tester, h *fakeHost) { put(t, h, "/a", "", 0o600, 0, 0) }, &Symlink{Path: "/a", Target: "b"}, "ask to replace"},
		{"symlink on a directory", nil, func(t tester, h *fakeHost) { must(t, h.PutDir("/a", 0o755, 0, 0)) }, &Symlink{Path: "/a", Target: "b", Replace: true}, "a directory is there"},
		{"remove a mount point", twoDisks(), nil, &Remove{Path: "/srv"}, "/srv is a mount point"},
		{"copy onto another", nil, func(t tester, h *fakeHost) {
			put(t, h, "/a", "x", 0o600, 0, 0)
			put(t, h, "/b", "yy", 0o600, 0, 0)
		}, &Copy{From: "/a", To: "/b"}, "/b exists already"},
		{"copy into itself", nil, func(t tester, h *fakeHost) { must(t, h.PutDir("/a", 0o755, 0, 0)) }, &Copy{From: "/a", To: "/a/b"}, "inside the other"},
		{"move onto another", nil, func(t tester, h *fakeHost) {
			must(t, h.PutDir("/a", 0o755, 0, 0))
			must(t, h.PutDir("/b", 0o755, 0, 0))
		}, &Move{From: "/a", To: "/b"}, "/b exists already"},
		{"move contents with a collision", nil, func(t tester, h *fakeHost) {
			put(t, h, "/a/d/f", "x", 0o600, 0, 0)
			put(t, h, "/b/d/f", "x", 0o600, 0, 0)
		}, &Move{From: "/a", To: "/b", Contents: true}, "both have d/f"},
		{"move a tree with a mount", twoDisks(), nil, &Move{From: "/srv", To: "/b"}, "mount point"},
		{"chown a file linked elsewhere", nil, func(t tester, h *fakeHost) {
			put(t, h, "/root/.bashrc", "x", 0o600, 0, 0)
			must(t, h.PutDir("/d", 0o777, 110, 110))
			must(t, h.PutLink("/root/.bashrc", "/d/mine"))
		}, &Chown{Path: "/d", Recursive: true, Owner: "kopano"}, "mine has 2 names (hard links), of which 1 lie outside"},
		{"chown a chain", nil, func(t tester, h *fakeHost) { must(t, h.PutDir("/d", 0o777, 110, 110)) },
			&Chown{Path: "/d", Users: map[string]string{"zarafa": "kopano", "kopano": "root"}}, "two calls"},
		{"chown from an unknown user", nil, func(t tester, h *fakeHost) { must(t, h.PutDir("/d", 0o777, 110, 110)) },
			&Chown{Path: "/d", Users: map[string]string{"nemo": "kopano"}}, `no user "nemo"`},
		{"chown a symlink", nil, func(t tester, h *fakeHost) { must(t, h.PutSymlink("/l", "/etc", 0, 0)) },
			&Chown{Path: "/l", Owner: "kopano"}, "symlink to /etc"},
		{"remove a package that another needs", nil, zarafaInstalled,
			&Commit{Tx: host.Transaction{Remove: []string{"zarafa-common"}}}, "also remove zarafa-server"},
		{"packages half-way", nil, func(t tester, h *fakeHost) { h.half = []string{"x"} },
			&Commit{Tx: host.Transaction{Install: []string{"y"}}}, "repair it first"},
		{"start what is not there", nil, nil, &Service{Name: "x", Active: ptr(true)}, "no service x"},
		{"mask with SysV", nil, func(t tester, h *fakeHost) { h.services["x"] = host.Service{Name: "x", Kind: "sysv"} },
			&Service{Name: "x", Masked: ptr(true)}, "only systemd"},
		{"dump onto a file", nil, func(t tester, h *fakeHost) { put(t, h, "/d.sql", "", 0o600, 0, 0) }, &Dump{Path: "/d.sql"}, "never replaces"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := scenario{mounts: test.mounts, setup: func(t tester, h *fakeHost) {
				if test.setup != nil {
					test.setup(t, h)
				}
			}}
			tr := s.start(t)
			start := tr.state(t)
			must(t, test.act.Stage(tr.env))
			_, err := test.act.Prepare(tr.env)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one with %q", err, test.want)
			}
			sameState(t, "refused", tr.state(t), start)
		})
	}
}

// TestNothingToDo checks that an action on a host that is as wanted is not needed.
func TestNothingToDo(t *testing.T) {
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			tr := s.prepared(t)
			if tr.kind == "db.dump" || tr.kind == "ldap.export" { // which never replace a file
				t.Skip("a dump is always a new one")
			}
			if tr.kind == "ldap.transplant" {
				t.Skip("the export that it goes by stays what it is")
			}
			if tr.kind == "program.run" {
				t.Skip("nobody knows whether a program has anything to do")
			}
			must(t, tr.apply(t))
			again := s.act()
			must(t, again.Stage(tr.env))
			needed, err := again.Prepare(tr.env)
			if again.Kind() == "fs.move" && err != nil {
				return // a moved file is not there to be moved
			}
			must(t, err)
			if needed {
				t.Error("is needed a second time")
			}
		})
	}
}

// TestJournalForm checks that neither contents nor secrets are in the journal.
func TestJournalForm(t *testing.T) {
	tr := newFake()
	env := newEnv(tr)
	for _, a := range []Action{
		&Write{Path: "/a", Content: []byte("geheim")},
		&Dump{Connection: Connection{Database: "z", Password: host.NewSecret("geheim")}, Path: "/d"},
	} {
		must(t, a.Stage(env))
		data, err := json.Marshal(a)
		must(t, err)
		back, err := Decode(a.Kind(), data)
		must(t, err)
		again, err := json.Marshal(back)
		must(t, err)
		if string(again) != string(data) {
			t.Errorf("decoded and encoded again: %s, was %s", again, data)
		}
		if text := string(data) + a.Summary(); strings.Contains(text, "geheim") {
			t.Errorf("the journal has a secret: %s", text)
		}
	}
}

// TestDumpIsJudged checks that no bad dump is taken for a good one, and that it does not stay.
func TestDumpIsJudged(t *testing.T) {
	good := host.DumpResult{RawBytes: 900 << 20, Bytes: 40, Tables: []string{"users", "stores"}, Closed: true}
	tests := []struct {
		name  string
		spoil func(*host.DumpResult)
		want  string
	}{
		{"good", func(*host.DumpResult) {}, ""},
		{"not closed", func(r *host.DumpResult) { r.Closed = false }, "no closing line"},
		{"not finished", func(r *host.DumpResult) { r.Closed = false }, "metadata does not say that it was finished"},
		{"empty", func(r *host.DumpResult) { r.RawBytes = 0 }, "empty"},
		{"a table missing", func(r *host.DumpResult) { r.Tables = r.Tables[:1] }, "lacks the tables stores"},
		{"too small", func(r *host.DumpResult) { r.RawBytes = 4 << 20 }, "only 4194304 bytes"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := newFake()
			h.dump = good
			test.spoil(&h.dump)
			a := &Dump{Connection: Connection{Database: "z"}, Path: "/d", Tables: []string{"users", "stores"}, ExpectedBytes: 1 << 30}
			if test.name == "not finished" {
				a.Compression = host.ParallelDump
			}
			_, err := a.Apply(newEnv(h))
			left, _ := h.FS.ReadDir("/")
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got error %v, want one with %q", err, test.want)
			case test.want != "" && len(left) > 0:
				t.Errorf("it left %v", left)
			}
		})
	}
}

// TestWriteDetail checks what is shown before a file is written.
func TestWriteDetail(t *testing.T) {
	tests := []struct {
		old, new string
		private  bool
		want     string
	}{
		{"a = 1\nb = 2\n", "a = 1\nb = 3\n", false, "--- /f\n+++ /f\n@@ -1,2 +1,2 @@\n a = 1\n-b = 2\n+b = 3\n"},
		{"", "a\n", false, "--- /dev/null\n+++ /f\n@@ -0,0 +1,1 @@\n+a\n"},
		{"a\x00", "b", false, "will be 1 bytes"},
		{"a\n", "geheim", true, "secret"},
	}
	for _, test := range tests {
		h := newFake()
		if test.old != "" {
			put(t, h, "/f", test.old, 0o600, 0, 0)
		}
		env, a := newEnv(h), &Write{Path: "/f", Content: []byte(test.new), Private: test.private}
		must(t, a.Stage(env))
		_, err := a.Prepare(env)
		must(t, err)
		d, err := a.Detail(env)
		must(t, err)
		if got := d.Diff + strings.Join(d.Lines, "\n"); !strings.Contains(got, test.want) || test.private && strings.Contains(got, "geheim") {
			t.Errorf("%q to %q: got\n%s\nwant\n%s", test.old, test.new, got, test.want)
		}
	}
}

// TestNoReturn checks which actions say that they cannot be undone.
func TestNoReturn(t *testing.T) {
	h := newFake()
	zarafaInstalled(t, h)
	delete(h.offers, "zarafa-server=7.2.0")
	c := &Commit{Tx: host.Transaction{Remove: []string{"zarafa-server"}}}
	if _, err := c.Prepare(newEnv(h)); err == nil || !strings.Contains(err.Error(), "zarafa-server (no repository has it); nothing was removed") {
		t.Errorf("what would be lost unasked: %v", err)
	}
	c = &Commit{Tx: host.Transaction{Remove: []string{"zarafa-server"}}, Lose: true}
	_, err := c.Prepare(newEnv(h))
	must(t, err)
	if got := c.Irreversible(); !strings.Contains(got, "zarafa-server (no repository has it)") {
		t.Errorf("got %q", got)
	}
	h.services["k"] = host.Service{Name: "k", Kind: "systemd"}
	s := &Service{Name: "k", Active: ptr(true), NoReturn: "upgrades the database"}
	_, err = s.Prepare(newEnv(h))
	must(t, err)
	if s.Irreversible() != "upgrades the database" {
		t.Errorf("got %q", s.Irreversible())
	}
}

// busyHost is a host whose package manager is at work until somebody waits for it.
type busyHost struct {
	*fakeHost
	work func()
}

func (h *busyHost) PackageLock() (*host.LockHolder, error) {
	if h.work == nil {
		return nil, nil
	}
	return &host.LockHolder{PID: 4711, Command: "apt-get", Path: "/var/lib/dpkg/lock"}, nil
}

func (h *busyHost) ExpelPackages(ctx context.Context, list []host.Change, keep string, w *host.PackageWatch) error {
	if h.work != nil {
		h.work()
		h.work = nil
	}
	return h.fakeHost.ExpelPackages(ctx, list, keep, w)
}

// TestUndoWaitsForThePackageManager undoes a removal that the apt-get of a killed run is still to make.
func TestUndoWaitsForThePackageManager(t *testing.T) {
	fake := newFake()
	zarafaInstalled(t, fake)
	h := &busyHost{fakeHost: fake}
	tx := host.Transaction{Remove: []string{"zarafa-server"}, Purge: true}
	c := &Commit{Tx: tx}
	env := newEnv(h)
	_, err := c.Prepare(env)
	must(t, err)
	h.work = func() { must(t, fake.CommitPackages(t.Context(), tx, nil)) }
	must(t, c.Undo(env))
	if h.work != nil {
		t.Error("the package manager is at work still")
	}
	if !fake.packages["zarafa-server"].Installed() {
		t.Error("zarafa-server is not installed")
	}
}

// stoppingHost is a host with a systemd service that ends a while after it was told to stop, unless it
// is told to start meanwhile.
type stoppingHost struct {
	*fakeHost
	stopping bool
}

func (h *stoppingHost) StartService(ctx context.Context, name string) error {
	h.stopping = false
	return h.fakeHost.StartService(ctx, name)
}

// TestUndoOfAStopUnderWay undoes a stop whose run was killed before the service had ended.
func TestUndoOfAStopUnderWay(t *testing.T) {
	h := &stoppingHost{fakeHost: newFake()}
	h.services["zarafa-server"] = host.Service{Name: "zarafa-server", Kind: "systemd", Active: true, Enabled: true}
	s := &Service{Name: "zarafa-server", Active: ptr(false)}
	env := newEnv(h)
	_, err := s.Prepare(env)
	must(t, err)
	h.stopping = true
	must(t, s.Undo(env))
	if h.stopping {
		t.Error("zarafa-server will end after the rollback")
	}
}

// fileOnlyHost is a host with a package that was being unpacked: no repair helps, only its file.
type fileOnlyHost struct{ *fakeHost }

func (h *fileOnlyHost) RepairPackages(ctx context.Context, stay []string, w *host.PackageWatch) error {
	if len(h.half) > 0 {
		return errors.New("it needs to be reinstalled, but I can't find an archive for it")
	}
	return nil
}

func (h *fileOnlyHost) CommitPackages(ctx context.Context, tx host.Transaction, w *host.PackageWatch) error {
	h.half = nil
	return h.fakeHost.CommitPackages(ctx, tx, w)
}

// TestUndoOfHalfUnpacked undoes a removal whose first rollback was killed while it unpacked the kept file.
func TestUndoOfHalfUnpacked(t *testing.T) {
	h := &fileOnlyHost{newFake()}
	zarafaInstalled(t, h.fakeHost)
	c := &Commit{Tx: host.Transaction{Remove: []string{"zarafa-server"}, Purge: true}}
	env := newEnv(h)
	_, err := c.Prepare(env)
	must(t, err)
	_, err = c.Apply(env)
	must(t, err)
	p := c.Old[0]
	p.Status = "reinstreq"
	h.packages["zarafa-server"], h.half = p, []string{"zarafa-server"}
	must(t, c.Undo(env))
	if !h.packages["zarafa-server"].Installed() {
		t.Error("zarafa-server is not installed")
	}
}

// scriptHost is a host with a package that no script lets configure, and whose removal fails at the package
// manager.
type scriptHost struct {
	*fakeHost
	bad        string
	configured int // attempts to
	expelled   []string
}

func (h *scriptHost) CommitPackages(ctx context.Context, tx host.Transaction, w *host.PackageWatch) error {
	if err := h.fakeHost.CommitPackages(ctx, tx, w); err != nil {
		return err
	}
	if p, there := h.packages[h.bad]; there {
		p.Status, h.half = "half-configured", []string{h.bad}
		h.packages[h.bad] = p
		return &host.ScriptError{Cause: "its script failed", Err: &host.CommandError{Path: "/usr/bin/apt-get", Status: "exit status 100"}}
	}
	return nil
}

func (h *scriptHost) PackageAudit() ([]string, error) {
	if len(h.half) > 0 {
		return []string{h.bad + " is half-configured"}, nil
	}
	return nil, nil
}

func (h *scriptHost) RepairPackages(ctx context.Context, stay []string, w *host.PackageWatch) error {
	if len(h.half) > 0 {
		h.configured++
		return &host.CommandError{Path: "/usr/bin/dpkg", Status: "exit status 1"}
	}
	return nil
}

func (h *scriptHost) ExpelPackages(ctx context.Context, list []host.Change, keep string, w *host.PackageWatch) error {
	for _, c := range list {
		h.expelled = append(h.expelled, c.Name)
	}
	return h.fakeHost.ExpelPackages(ctx, list, keep, w)
}

// TestUndoConfiguresNothingThatGoes undoes an installation that a maintainer script broke off.
func TestUndoConfiguresNothingThatGoes(t *testing.T) {
	h := &scriptHost{fakeHost: newFake(), bad: "kopano-server"}
	zarafaInstalled(t, h.fakeHost)
	c := &Commit{Tx: host.Transaction{Remove: []string{"zarafa-server"}, Install: []string{"kopano-server"}, Purge: true}}
	env := newEnv(h)
	_, err := c.Prepare(env)
	must(t, err)
	if _, err := c.Apply(env); !errors.As(err, new(*host.ScriptError)) {
		t.Fatalf("the failure is told as %v", err)
	}
	must(t, c.Undo(env))
	if h.configured > 0 || !slices.Contains(h.expelled, "kopano-server") {
		t.Errorf("configured %d times, expelled %q", h.configured, h.expelled)
	}
	if _, there := h.packages["kopano-server"]; there || !h.packages["zarafa-server"].Installed() {
		t.Errorf("the packages are %v", h.packages)
	}
}

// TestUndoOfAServiceThatIsGone: a service that came with the run's packages may be gone when they are to go. Any other must
// be there again.
func TestUndoOfAServiceThatIsGone(t *testing.T) {
	s := scenario{act: func() Action { return &Service{Name: "kopano-search", Enabled: ptr(false)} }, setup: func(t tester, h *fakeHost) {
		h.services["kopano-search"] = host.Service{Name: "kopano-search", Kind: "systemd", Enabled: true}
	}}
	tr := s.prepared(t)
	must(t, tr.apply(t))
	delete(tr.services, "kopano-search")
	if err := tr.undo(t); err == nil || !strings.Contains(err.Error(), "no service kopano-search any more") {
		t.Errorf("a service that was there before the run: %v", err)
	}
	tr.packages["kopano-search"] = host.Package{Name: "kopano-search", Version: "8", Status: "installed"}
	tr.env.Arrived = map[string][]string{"kopano-search": nil}
	for status, want := range map[string]string{
		"installed": "the service kopano-search is gone, by whoever removed its file since the run, and there is nothing to set back",
		"":          "", // its package is told of
	} {
		if status == "" {
			delete(tr.packages, "kopano-search")
		}
		a := tr.action(t).(*Service)
		must(t, a.Undo(tr.env))
		lines, err := a.Differences(tr.env)
		if told := strings.Join(a.Told(), "\n"); told != want || err != nil || len(lines) > 0 {
			t.Errorf("package %q: told %q, differences %q (%v)", status, told, lines, err)
		}
		tr.packages["kopano-search"] = host.Package{Name: "kopano-search", Version: "8", Status: "installed"}
	}
}

// TestUndoOfAServiceThatRunsOnWithoutItsUnit: what somebody has removed without stopping it is stopped where its init system
// still can; else it is named, and is to be ended by hand.
func TestUndoOfAServiceThatRunsOnWithoutItsUnit(t *testing.T) {
	for kind, want := range map[string]string{
		"systemd": "the service kopano-ical ran on without its unit, which somebody has removed since the run, and was stopped: 77 (/usr/sbin/kopano-ical), 78 (/usr/sbin/kopano-ical)",
		"sysv":    "its init script was removed since the run, and of it 77 (/usr/sbin/kopano-ical), 78 (/usr/sbin/kopano-ical) run on, which nobody else can be asked to stop; end them (kill 77 78), then roll back again",
	} {
		s := scenario{act: func() Action { return &Service{Name: "kopano-ical", Active: ptr(true)} }, setup: func(t tester, h *fakeHost) {
			h.services["kopano-ical"] = host.Service{Name: "kopano-ical", Kind: kind}
		}}
		tr := s.prepared(t)
		must(t, tr.apply(t))
		tr.reload = func() { delete(tr.services, "kopano-ical") } // systemd has it in mind until then
		tr.running = []host.Process{{PID: 77, Name: "kopano-ical", Exe: "/usr/sbin/kopano-ical"}, {PID: 78, Name: "kopano-ical", Exe: "/usr/sbin/kopano-ical"}}
		tr.env.Arrived = map[string][]string{"kopano-ical": nil}
		a := tr.action(t).(*Service)
		told := ""
		if err := a.Undo(tr.env); err != nil {
			told = err.Error()
		}
		told += strings.Join(a.Told(), "\n")
		if !strings.HasSuffix(told, want) || (kind == "systemd") != (len(tr.running) == 0) {
			t.Errorf("%s: it says %q, and there run %v", kind, told, tr.running)
		}
		tr.running = nil // by hand
		must(t, a.Undo(tr.env))
	}
}

// TestUndoOfAnothersServiceThatIsGone: a service that is no package's of the run must be there again, whatever packages
// somebody has removed.
func TestUndoOfAnothersServiceThatIsGone(t *testing.T) {
	s := scenario{act: func() Action { return &Service{Name: "apache2", Active: ptr(false)} }, setup: func(t tester, h *fakeHost) {
		h.services["apache2"] = host.Service{Name: "apache2", Kind: "systemd", Enabled: true, Active: true}
	}}
	tr := s.prepared(t)
	must(t, tr.apply(t))
	delete(tr.services, "apache2")
	tr.env.Arrived = map[string][]string{"kopano-search": nil}
	if err := tr.action(t).(*Service).Undo(tr.env); err == nil || !strings.Contains(err.Error(), "no service apache2 any more") {
		t.Errorf("it is gone, and its undo says: %v", err)
	}
}
