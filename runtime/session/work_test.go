package session

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.starlark.net/starlark"
	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host/sim"
	"zcp2kopano/runtime/script"
	"zcp2kopano/runtime/state"
	"zcp2kopano/runtime/story"
)

// TestWorkRefusesWhatOthersCouldExchange: what a rehearsal only warns of, a run does not go by.
func TestWorkRefusesWhatOthersCouldExchange(t *testing.T) {
	f, err := sim.ReadFixture([]byte("-- host --\ninit: systemd\nmanager: apt 1.0.9.8.4\n-- tree --\nd0755 4711:4711 - - /srv/packages\n"))
	if err != nil {
		t.Fatal(err)
	}
	h, err := f.Host(sim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	d := state.Dir{Path: filepath.Join(t.TempDir(), "state")}
	const label = "//site.star"
	run, err := d.Begin(state.Order{Runbook: "site.star", Label: label, Program: "1", Begun: time.Now()}, nil, map[string]string{label: `
def use():
    """Use packages."""
    t.use("/srv/packages")

runbook = define(steps = [use])
`})
	if err != nil {
		t.Fatal(err)
	}
	use := &script.Builtin{
		Name: "t.use", Effect: script.Read, Params: []script.Param{{Name: "path", Type: script.String}},
		Value: func(c *script.Call) (starlark.Value, error) { return starlark.None, c.Trust(c.String("path")) },
	}
	var told []string
	v, err := Work{
		Run: run, Mode: ModeRun, Host: h, Builtins: []*script.Builtin{use}, Version: "1",
		Emit: func(e story.Event) {
			if e.Error != nil {
				told = append(told, e.Error.Message)
			}
		},
	}.Do(t.Context())
	if err != nil || v.Code != exit.Failed || !strings.Contains(strings.Join(told, "\n"), "/srv/packages") {
		t.Errorf("verdict %+v (%v); told %q", v, err, told)
	}
}

// stateOfWorker has this test binary be a worker of that state directory.
const stateOfWorker = "SESSION_TEST_WORKER"

// TestWorkerHasTheLockAlone: a started worker is in a session of its own, holds the lock after whoever began it has let
// go, and hands it on to no command.
func TestWorkerHasTheLockAlone(t *testing.T) {
	d, lock := lockedState(t)
	w, err := Start(state.Run{ID: "x", Path: t.TempDir()}, lock, "-test.run=^TestAsWorker$")
	if err != nil {
		t.Fatal(err)
	}
	lock.Close()
	<-w.ended
	if said, _ := os.ReadFile(w.output); !w.cmd.ProcessState.Success() {
		t.Errorf("the worker of %s says %s", d.Path, said)
	}
}

// TestAnotherFileIsNoLock: a file that happens to be open where a worker finds its lock is not taken for it.
func TestAnotherFileIsNoLock(t *testing.T) {
	_, lock := lockedState(t)
	lock.Close()
	other, err := os.Create(filepath.Join(t.TempDir(), "other"))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	cmd := exec.Command(os.Args[0], "-test.run=^TestAsWorker$")
	cmd.ExtraFiles = []*os.File{other}
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("the worker says %s", said)
	}
	if st, err := other.Stat(); err != nil || st.Size() > 0 {
		t.Errorf("the other file was written to (%v)", err)
	}
}

func lockedState(t *testing.T) (state.Dir, *state.Lock) {
	d := state.Dir{Path: filepath.Join(t.TempDir(), "state")}
	lock, err := d.Lock(state.Holder{PID: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(stateOfWorker, d.Path)
	return d, lock
}

// TestAsWorker is what the other tests have a worker do.
func TestAsWorker(t *testing.T) {
	d := state.Dir{Path: os.Getenv(stateOfWorker)}
	if d.Path == "" {
		t.Skip("it is no worker")
	}
	lock, err := AdoptLock(d, state.Holder{PID: os.Getpid()})
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if h, err := d.Holder(); err != nil || h == nil || h.PID != os.Getpid() {
		t.Errorf("the lock's holder is %+v (%v)", h, err)
	}
	if flags, err := unix.FcntlInt(lock.File().Fd(), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("commands inherit the lock (%v)", err)
	}
	if sid, err := unix.Getsid(0); err != nil || sid != os.Getpid() {
		t.Errorf("session %d, process %d (%v)", sid, os.Getpid(), err)
	}
}
