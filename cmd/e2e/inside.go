package e2e

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"zcp2kopano/builtins"
	"zcp2kopano/runbooks"
	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/hosttest"
	"zcp2kopano/runtime/host/live"
	"zcp2kopano/runtime/host/manifest"
	"zcp2kopano/runtime/host/secrets"
	"zcp2kopano/runtime/host/sim"
	"zcp2kopano/runtime/journal"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
	"zcp2kopano/runtime/state"
	"zcp2kopano/runtime/story"
)

// Ignored is what the end-to-end tests leave out of manifests: what is volatile anywhere, and what
// belongs to the bed. The database's files are compared as tables where it matters; the logs of
// daemons are theirs.
var Ignored = append(slices.Clone(manifest.Volatile), ReposDir, "/var/lib/mysql", Program,
	"/var/log/zarafa/*.log", "/var/log/kopano/*.log",
	"/var/lib/rpm", "/usr/lib/sysimage/rpm", "/var/lib/dnf", "/var/lib/zypp", "/var/log/dnf*.log", "/var/log/hawkey.log", "/var/log/zypper.log", "/var/log/zypp")

// tool is where a root has the test binary, to look at the root from inside.
const tool = "/dev/e2e"

// question is what the tool is asked: the state of the root, or of a simulated migration of it; to do
// something to services; to hold a lock; or to be an object store.
type question struct {
	Manifest manifest.Options
	Simulate *Simulation
	Services []hosttest.ServiceOp
	Commit   *host.Transaction // of packages, in simulation
	Lock     string
	Objects  *ObjectStore
	Censor   bool // replace secrets before content is compared, as a snapshot does
}

// castagnoli makes the digests of states: ten times as quick as SHA-256, and no content here is made to deceive.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Simulation is a migration in simulation, over the live root or over a fixture.
type Simulation struct {
	Migration
	Fixture string // path in the root; empty for the root itself
	// Packages is a directory of the root whose package files the simulation may read; it is needed
	// with a fixture, which has no package files of its own.
	Packages string
	Back     bool // roll it back afterwards, with the dump
}

// Simulated is how a simulation ended.
type Simulated struct {
	Verdict     story.Verdict
	Errors      []string
	Start, End  *manifest.Manifest
	Unpredicted []host.Unpredicted
	Back        *Back // the way back from there, if it was asked for
}

// Back is how a simulated rollback with the dump ended.
type Back struct {
	Verdict     story.Verdict
	End         *manifest.Manifest
	Unpredicted []host.Unpredicted
}

// Committed is how a simulated transaction of packages ended.
type Committed struct {
	Error       string
	Start, End  *manifest.Manifest
	Unpredicted []host.Unpredicted
	Accounts    map[string]string // account files and what is in them
}

// Manifest writes down the root's state, as the live host sees it from inside.
func (r *Root) Manifest(opts manifest.Options) *manifest.Manifest {
	r.t.Helper()
	m := new(manifest.Manifest)
	r.ask(question{Manifest: opts}, m)
	r.unitsOfRPM(m)
	return m
}

// unitsOfRPM has links to units lead where they lead on a system of rpm packages: the root's systemd is Debian's, which
// says /lib for what both have in /usr/lib.
func (r *Root) unitsOfRPM(manifests ...*manifest.Manifest) {
	for _, m := range manifests {
		if !r.rpm || m == nil {
			continue
		}
		for name, e := range m.Files {
			if strings.HasPrefix(e.Target, "/lib/systemd/system/") {
				e.Target = "/usr" + e.Target
				m.Files[name] = e
			}
		}
	}
}

// State is the manifest that most tests compare.
func (r *Root) State() *manifest.Manifest {
	r.t.Helper()
	return r.Manifest(manifest.Options{Ignore: Ignored})
}

// CensoredState is the State without secrets, to compare with a fixture.
func (r *Root) CensoredState() *manifest.Manifest { return r.Censored(r.State()) }

// Censored is a State, that the root is in, without secrets: those are below /etc.
func (r *Root) Censored(state *manifest.Manifest) *manifest.Manifest {
	r.t.Helper()
	etc := new(manifest.Manifest)
	r.ask(question{Manifest: manifest.Options{Ignore: Ignored, Roots: []string{"/etc"}}, Censor: true}, etc)
	r.unitsOfRPM(etc)
	m := *state
	m.Files = maps.Clone(state.Files)
	maps.Copy(m.Files, etc.Files)
	return &m
}

// Rehearse simulates the runbook and writes down the simulated host's states.
func (r *Root) Rehearse(s Simulation) Simulated {
	r.t.Helper()
	r.BindRepositories()
	var answer Simulated
	r.ask(question{Manifest: manifest.Options{Ignore: Ignored}, Simulate: &s, Censor: s.Fixture != ""}, &answer)
	r.unitsOfRPM(answer.Start, answer.End)
	if answer.Back != nil {
		r.unitsOfRPM(answer.Back.End)
	}
	return answer
}

func (r *Root) ask(q question, answer any) {
	r.t.Helper()
	cmd := r.insideCommand(q)
	res := r.Finish(cmd)
	if err := json.Unmarshal([]byte(res.Output), answer); res.Code != 0 || err != nil {
		r.t.Fatalf("%s: exit status %d, %v: %.3000s", cmd.Args, res.Code, err, res.Output)
	}
}

func (r *Root) insideCommand(q question) *exec.Cmd {
	r.t.Helper()
	if _, err := os.Lstat(r.Path(tool)); err != nil {
		self, err := os.ReadFile("/proc/self/exe")
		if err != nil {
			r.t.Fatal(err)
		}
		r.WriteFile(tool, string(self), 0o755)
	}
	text, err := json.Marshal(q)
	if err != nil {
		r.t.Fatal(err)
	}
	cmd := r.Command(tool, string(text))
	cmd.Env = append(slices.Clone(environment), role+"=inside")
	return cmd
}

// insideMain answers a question from inside the root.
func insideMain() {
	if err := answerInside(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func answerInside(text string) error {
	var q question
	if err := json.Unmarshal([]byte(text), &q); err != nil {
		return err
	}
	if q.Lock != "" {
		return holdLock(q.Lock)
	}
	if q.Objects != nil {
		return q.Objects.serve()
	}
	q.Manifest.Sum = func() hash.Hash { return crc32.New(castagnoli) }
	if q.Censor {
		q.Manifest.Censor = secrets.Hide
	}
	view, err := live.OpenView("/")
	if err != nil {
		return err
	}
	defer view.Close()
	if q.Services != nil {
		return answerServices(view, q.Services)
	}
	if q.Commit != nil {
		return answerCommit(view, q)
	}
	if q.Simulate == nil {
		m, err := manifest.Take(view, q.Manifest)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(m)
	}
	h, err := q.Simulate.host(view)
	if err != nil {
		return err
	}
	defer h.Close()
	answer, err := simulate(h, q)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(answer)
}

// answerCommit carries out a transaction in simulation over the root.
func answerCommit(view host.View, q question) error {
	h, err := sim.FromView(view, sim.Options{})
	if err != nil {
		return err
	}
	defer h.Close()
	var answer Committed
	if answer.Start, err = manifest.Take(h, q.Manifest); err != nil {
		return err
	}
	if err := errors.Join(h.RefreshPackages(context.Background(), nil, nil), h.CommitPackages(context.Background(), *q.Commit, nil)); err != nil {
		answer.Error = err.Error()
	}
	answer.Unpredicted, answer.Accounts = h.Unpredicted(), map[string]string{}
	if answer.End, err = manifest.Take(h, q.Manifest); err != nil {
		return err
	}
	for _, name := range []string{"/etc/passwd", "/etc/group", "/etc/gshadow", "/etc/passwd-", "/etc/group-", "/etc/gshadow-"} {
		if f, err := h.Open(name); err == nil {
			text, _ := io.ReadAll(f)
			answer.Accounts[name] = string(text)
			f.Close()
		}
	}
	return json.NewEncoder(os.Stdout).Encode(answer)
}

func (s Simulation) host(view host.View) (*sim.Host, error) {
	var opts sim.Options
	names, err := fs.Glob(runbooks.FS, "catalog/*.txtar")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		data, err := runbooks.FS.ReadFile(name)
		if err != nil {
			return nil, err
		}
		packages, err := sim.ParseCatalog(data)
		if err != nil {
			return nil, err
		}
		opts.Catalog = append(opts.Catalog, packages...)
	}
	if s.Packages != "" {
		opts.PackagesDir, opts.PackagesPath = os.DirFS(s.Packages), s.Packages
	}
	if s.Fixture == "" {
		return sim.FromView(view, opts)
	}
	data, err := os.ReadFile(s.Fixture)
	if err != nil {
		return nil, err
	}
	fixture, err := sim.ReadFixture(data)
	if err != nil {
		return nil, err
	}
	return fixture.Host(opts)
}

// simulate runs the runbook on a simulated host.
func simulate(h *sim.Host, q question) (Simulated, error) {
	var answer Simulated
	ctx := context.Background()
	book, err := runbook.Load(ctx, script.LoadOptions{Name: cmp.Or(q.Simulate.Runbook, "debian"), Stock: runbooks.FS, Builtins: builtins.All()})
	if err != nil {
		return answer, err
	}
	if answer.Start, err = manifest.Take(h, q.Manifest); err != nil {
		return answer, fmt.Errorf("start: %w", err)
	}
	params := map[string]string{}
	for _, p := range q.Simulate.params() {
		name, value, _ := strings.Cut(p, "=")
		params[name] = value
	}
	secrets := map[string]host.Secret{}
	if q.Simulate.stock() {
		secrets["repo_password"] = q.Simulate.password()
	}
	log := journal.Memory("test", time.Now)
	cfg := engine.Config{
		Mode: "simulate", ID: "simulate", Runbook: book, Params: params,
		Secrets: secrets,
		Host:    h, HostLabel: "simulated root", Dir: "/var/lib/zcp2kopano/runs/simulate",
		Journal: log, Keeper: state.Memory(), Version: "test", Now: time.Now,
		Emit: func(e story.Event) {
			if e.Error != nil {
				answer.Errors = append(answer.Errors, e.Error.Message)
			}
			if e.Finding != nil && e.Finding.Severity == runbook.Inhibitor {
				answer.Errors = append(answer.Errors, e.Finding.Title+": "+e.Finding.Reason)
			}
		},
	}
	answer.Verdict = engine.Execute(ctx, cfg)
	answer.Unpredicted = h.Unpredicted()
	if answer.End, err = manifest.Take(h, q.Manifest); err != nil || !q.Simulate.Back {
		return answer, err
	}
	answer.Back, err = simulateBack(ctx, h, cfg, log.Bytes(), q.Manifest)
	return answer, err
}

// simulateBack rolls a simulated run back, by its journal.
func simulateBack(ctx context.Context, h *sim.Host, cfg engine.Config, written []byte, opts manifest.Options) (*Back, error) {
	log, records, damage, err := journal.OpenMemory(written, time.Now)
	if err != nil || damage != nil {
		return nil, fmt.Errorf("the journal of a simulation: %v, %w", damage, err)
	}
	cfg.Mode, cfg.Journal, cfg.Previous, cfg.RestoreDatabase, cfg.Emit = "rollback", log, records, true, nil
	back := &Back{Verdict: engine.Rollback(ctx, cfg, ""), Unpredicted: h.Unpredicted()}
	back.End, err = manifest.Take(h, opts)
	return back, err
}

// holdLock takes a lock of fcntl(2), as dpkg and apt do, and keeps it until it is killed.
func holdLock(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}); err != nil {
		return err
	}
	fmt.Println("held")
	time.Sleep(time.Hour)
	return nil
}
