package live_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"zcp2kopano/cmd/e2e"
	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/hosttest/chance"
	"zcp2kopano/runtime/host/live"
)

// killedRole makes a copy of the test binary work on a database until it is killed.
const killedRole = "LIVE_TEST_KILLED"

// killedWork is what it is told.
type killedWork struct {
	Root, Kind string
	Action     json.RawMessage
	Password   string
	Marks      string        // file of what the journal would hold
	Bytes      int64         // killed when the tool has written so much of the dump
	Mark       bool          // killed when it marks how far it is, before that is journaled
	After      time.Duration // killed then
}

// die ends this process as somebody who kills it.
func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// workUntilKilled does what it is told.
func workUntilKilled(text string) {
	err := func() error {
		var w killedWork
		if err := json.Unmarshal([]byte(text), &w); err != nil {
			return err
		}
		h, err := live.Open(w.Root)
		if err != nil {
			return err
		}
		a, err := action.Decode(w.Kind, w.Action)
		if err != nil {
			return err
		}
		env := databaseEnv(context.Background(), h, w.Password, w.Marks)
		if w.Bytes > 0 {
			var read int64
			env.Limit = func(_ context.Context, n int) error {
				if read += int64(n); read >= w.Bytes {
					die()
				}
				return nil
			}
		}
		if w.Mark {
			env.Mark = func(any) error { die(); return nil }
		}
		if w.After > 0 {
			time.AfterFunc(w.After, die)
		}
		_, err = a.Apply(env)
		return err
	}()
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

// onePassword keeps one secret.
type onePassword string

func (s onePassword) Put(host.Secret) (string, error) { return "s1", nil }
func (s onePassword) Get(string) (host.Secret, error) { return host.NewSecret(string(s)), nil }

// databaseEnv is what an action on a database works with; its marks are those in a file.
func databaseEnv(ctx context.Context, h host.Host, password, marks string) *action.Env {
	env := &action.Env{
		Ctx: ctx, Host: h, Store: &action.Store{Host: h, Dir: "/root/store"}, Secrets: onePassword(password), Tag: "1-1-0",
		Progress: func(action.Progress) {},
	}
	env.Mark = func(v any) error {
		line, err := json.Marshal(v)
		if err != nil {
			return err
		}
		f, err := os.OpenFile(marks, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = f.Write(append(line, '\n'))
		return err
	}
	text, _ := os.ReadFile(marks)
	for line := range bytes.Lines(text) {
		env.Marks = append(env.Marks, bytes.TrimSpace(line))
	}
	return env
}

// killedDatabase is a database whose dump, and whose loading back, is killed.
type killedDatabase struct {
	t     *testing.T
	r     *e2e.Root
	h     *live.Host
	dice  *rand.Rand
	marks string
}

func (k *killedDatabase) env() *action.Env {
	return databaseEnv(k.t.Context(), k.h, e2e.Password, k.marks)
}

// work has another process do it, and reports whether that was killed, and how long it took.
func (k *killedDatabase) work(a action.Action, w killedWork) (killed bool, took time.Duration) {
	k.t.Helper()
	data, err := json.Marshal(a)
	must(k.t, err)
	w.Root, w.Kind, w.Action, w.Password, w.Marks = k.r.Dir, a.Kind(), data, e2e.Password, k.marks
	text, err := json.Marshal(w)
	must(k.t, err)
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{killedRole + "=" + string(text)}
	begun := time.Now()
	out, err := cmd.CombinedOutput()
	took = time.Since(begun)
	if cmd.ProcessState == nil {
		k.t.Fatal(err)
	}
	killed = cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
	if err != nil && !killed {
		k.t.Fatalf("%v\n%s", err, out)
	}
	return killed, took
}

// kills kills dumps of a database and the loading of one, and has each brought to its end, or taken back.
func (k *killedDatabase) kills() {
	conn := host.DatabaseConn{User: "zarafa", Password: host.NewSecret(e2e.Password), Database: "zarafa"}
	k.marks = k.t.TempDir() + "/marks"
	k.r.SQL("USE zarafa; CREATE TABLE large (id INT PRIMARY KEY, data LONGBLOB); INSERT INTO large SELECT seq, CONCAT(RANDOM_BYTES(512), RANDOM_BYTES(512)) FROM seq_1_to_4000;")
	want := content(k.t, k.r)
	must(k.t, k.h.Mkdir("/root/killed", 0o700))
	dump := func(compression string) *action.Dump {
		a := &action.Dump{Connection: action.ConnectionTo(conn), Path: "/root/killed/dump", Compression: compression, Tables: []string{"large", "users"}, ExpectedBytes: 4 << 20}
		must(k.t, a.Stage(k.env()))
		return a
	}
	trials := 3
	if chance.Nothing() {
		trials = 200
	}
	k.dumps(dump, trials, want)
	k.loads(dump("zstd"), trials, want)
}

func (k *killedDatabase) dumps(dump func(compression string) *action.Dump, trials int, want string) {
	whole := dump("none")
	_, err := whole.Apply(k.env())
	must(k.t, err)
	undisturbed := withoutDate(k.r.ReadFile(whole.Path))
	must(k.t, whole.Undo(k.env()))
	begun, killed := time.Now(), 0
	for i := range trials {
		must(k.t, os.RemoveAll(k.marks))
		a := dump([]string{"none", "zstd"}[i%2])
		needed, err := a.Prepare(k.env())
		if err != nil || !needed {
			k.t.Fatal(needed, err)
		}
		w := killedWork{Bytes: 1 + k.dice.Int64N(int64(len(undisturbed)))}
		if k.dice.IntN(10) == 0 {
			w = killedWork{Mark: true}
		}
		if yes, _ := k.work(a, w); yes {
			killed++
		}
		if k.dice.IntN(2) == 0 {
			_, err := a.Apply(k.env())
			must(k.t, err)
			read, err := k.h.CheckDump(k.t.Context(), a.Path, a.Compression, nil)
			must(k.t, err)
			if !read.Closed || i%2 == 0 && withoutDate(k.r.ReadFile(a.Path)) != undisturbed {
				k.t.Errorf("killed at %+v: the dump is not what it should be", w)
			}
		}
		must(k.t, a.Undo(k.env()))
		if left := k.r.Must("ls", "-A", "/root/killed"); left != "" {
			k.t.Errorf("killed at %+v: the dump left %s", w, left)
		}
	}
	if got := content(k.t, k.r); got != want {
		k.t.Error("dumps have changed the database")
	}
	chance.Figures(k.t, begun, "%d kills in the middle of a dump, of %d tried", killed, trials)
}

// withoutDate is a dump without its last line, which says when it was made.
func withoutDate(dump string) string {
	return dump[:max(0, strings.LastIndex(strings.TrimRight(dump, "\n"), "\n"))]
}

// changed is what a newer server has done since.
const changed = "USE zarafa; UPDATE versions SET databaserevision = 118; CREATE TABLE newtable (id INT PRIMARY KEY); INSERT INTO newtable VALUES (1);" +
	"ALTER TABLE users ADD COLUMN more INT; DELETE FROM large WHERE id % 2 = 0; CREATE PROCEDURE p2() SELECT 2; DROP PROCEDURE p;"

func (k *killedDatabase) loads(dump *action.Dump, trials int, want string) {
	_, err := dump.Apply(k.env())
	must(k.t, err)
	made, err := k.h.CheckDump(k.t.Context(), dump.Path, dump.Compression, nil)
	must(k.t, err)
	begun, killed, tried := time.Now(), 0, 0
	var whole time.Duration
	for i := 0; killed < trials && i <= 2*trials; i++ { // some come too late
		must(k.t, os.RemoveAll(k.marks))
		k.r.SQL(changed)
		a := &action.Restore{Dump: *dump, Made: made}
		needed, err := a.Prepare(k.env())
		if err != nil || !needed {
			k.t.Fatal(needed, err)
		}
		if i == 0 { // the first tells how long it takes
			_, whole = k.work(a, killedWork{})
		} else if yes, _ := k.work(a, killedWork{After: 1 + time.Duration(k.dice.Int64N(int64(whole)))}); yes {
			killed++
		}
		if tried = i; i > 0 {
			_, err = a.Apply(k.env())
			must(k.t, err)
		}
		if got := content(k.t, k.r); got != want {
			k.t.Error("the database is not as it was dumped")
		}
		saved, err := k.h.CheckDump(k.t.Context(), a.Saved, dump.Compression, nil)
		if err != nil || !saved.Closed || !slices.Contains(saved.Tables, "newtable") {
			k.t.Errorf("what was replaced is not kept: %+v, %v", saved, err)
		}
		must(k.t, k.h.Unlink(a.Saved))
	}
	chance.Figures(k.t, begun, "%d kills in the middle of the loading of a dump, of %d tried", killed, tried)
}
