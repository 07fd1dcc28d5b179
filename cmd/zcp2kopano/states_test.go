package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"zcp2kopano/runtime/ways"
)

const walkedBook = `"""Change some files."""

def first():
    """Change a file, and an owner."""
    fs.write("WORK/target/one", "new\n")
    chown("WORK/target/dir", owner = "daemon")

def second():
    """Make a directory, and perhaps fail."""
    fs.mkdir("WORK/target/made")
    if fs.exists("WORK/slow"):
        for i in range(15000000):
            pass
    if fs.exists("WORK/fail"):
        fail("as asked")
    fs.write("WORK/target/two", "x")

runbook = define(steps = [first, second], allow = policy(write = ["WORK/target"]))
`

// misfortunes are what can happen to a machine and to the records of a run between two commands.
var misfortunes = map[string]func(w *walk){
	"cause comes":     func(w *walk) { w.write("fail", "") },
	"backups lost":    func(w *walk) { w.remove("backup/blobs") },
	"backups damaged": func(w *walk) { w.each("backup/blobs/*", "other") },
	"tree removed":    func(w *walk) { w.must(os.RemoveAll(filepath.Join(w.dir, "target/dir"))) },
	"filled since": func(w *walk) {
		if _, err := os.Stat(filepath.Join(w.dir, "target/made")); err == nil {
			w.write("target/made/since", "kept")
		}
	},
	"journal damaged": func(w *walk) { w.change("journal", func(b []byte) []byte { b[len(b)/2] ^= 1; return b }) },
	"journal cut": func(w *walk) {
		w.change("journal", func(b []byte) []byte { return b[:bytes.LastIndexByte(b[:len(b)/2], '\n')+1] })
	},
	"journal emptied":    func(w *walk) { w.change("journal", func([]byte) []byte { return nil }) },
	"journal lost":       func(w *walk) { w.remove("journal") },
	"journal of another": func(w *walk) { w.change("journal", func(b []byte) []byte { return b[len(b)/2:] }) },
	"order lost":         func(w *walk) { w.remove("order.json") },
	"order damaged":      func(w *walk) { w.each("order.json", "{") },
	"secrets damaged":    func(w *walk) { w.put("secrets", "{") },
	"plan damaged":       func(w *walk) { w.put("plan.json", "{") },
	"runbook lost":       func(w *walk) { w.remove("runbook") },
	"events lost":        func(w *walk) { w.remove("events.jsonl") },
}

var everywhere = flag.Bool("everywhere", false, "let each misfortune happen at each place that a run can come to")

// walk is a machine, the program's state on it, and what was done to both.
type walk struct {
	t       *testing.T
	program string
	dir     string
	path    []string
}

func (w *walk) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatalf("%v: %v", w.path, err)
	}
}

func (w *walk) write(name, content string) {
	w.must(os.WriteFile(filepath.Join(w.dir, name), []byte(content), 0o600))
}

// run is the newest run that is not set aside.
func (w *walk) run() string {
	runs, err := os.ReadDir(filepath.Join(w.dir, "state/runs"))
	w.must(err)
	if len(runs) == 0 {
		return "none"
	}
	return runs[len(runs)-1].Name()
}

func (w *walk) remove(name string) {
	w.must(os.RemoveAll(filepath.Join(w.dir, "state/runs", w.run(), name)))
}

func (w *walk) change(name string, f func([]byte) []byte) {
	file := filepath.Join(w.dir, "state/runs", w.run(), name)
	data, err := os.ReadFile(file)
	if err == nil {
		w.must(os.WriteFile(file, f(data), 0o600))
	}
}

func (w *walk) put(name, content string) {
	if run := w.run(); run != "none" {
		w.write("state/runs/"+run+"/"+name, content)
	}
}

func (w *walk) each(pattern, content string) {
	found, err := filepath.Glob(filepath.Join(w.dir, "state/runs", w.run(), pattern))
	w.must(err)
	for _, name := range found {
		w.must(os.WriteFile(name, []byte(content), 0o600))
	}
}

// call calls the program, and reports whether it did what it was asked for or refused it: refused is what
// left the state as it was.
func (w *walk) call(args ...string) (accepted bool, out string) {
	before := w.records()
	cmd := exec.Command(w.program, append([]string{"--state", filepath.Join(w.dir, "state")}, args...)...)
	text, err := cmd.CombinedOutput()
	return err == nil || w.records() != before, string(text)
}

func (w *walk) records() (all string) {
	w.must(filepath.WalkDir(filepath.Join(w.dir, "state"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.Name() == "lock" {
			return err
		}
		info, err := d.Info()
		if err == nil && !d.IsDir() {
			all += fmt.Sprintln(path, info.Size())
		}
		return err
	}))
	return all
}

type walkedStatus struct {
	ID    string
	Phase ways.Phase
	Step  string
	Left  []string `json:"differences"`
	Next  []ways.Way
}

func (w *walk) status() (s walkedStatus) {
	_, out := w.call("status", "--json")
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		w.t.Fatalf("%v: status: %v: %s", w.path, err, out)
	}
	return s
}

var runID = regexp.MustCompile(`\d{8}-\d{6}-[0-9a-f]{4}`)

// place is what matters of where the walk stands, so that no place is looked at twice.
func (w *walk) place(luck string) string {
	s := w.status()
	place := fmt.Sprint(s.Phase, s.Left, s.Next, luck)
	for _, name := range []string{"one", "two", "made", "dir"} {
		data, err := os.ReadFile(filepath.Join(w.dir, "target", name))
		place += fmt.Sprint(" ", string(data), os.IsNotExist(err))
	}
	return runID.ReplaceAllString(place, "ID")
}

func (w *walk) copyTo(dir string) {
	w.must(os.RemoveAll(dir))
	w.must(exec.Command("/bin/cp", "-a", w.dir, dir).Run())
}

func (w *walk) backTo(dir string) {
	w.must(os.RemoveAll(w.dir))
	w.must(exec.Command("/bin/cp", "-a", dir, w.dir).Run())
}

// node is a place that was reached.
type node struct {
	path []string
	kept string   // copy of the machine there
	luck string   // the misfortune that has happened, which nobody repairs
	to   []string // places that the commands offered there lead to
	free bool     // a new run was begun there
}

// TestNoDeadEnd walks, with the program itself, through all that a run can come to: it ends well, fails,
// is killed, is rolled back to a step or all the way, and at each of these places one thing goes wrong
// that nobody ever repairs. Everywhere, each command that the status names is accepted, and these
// commands lead to a place where a new run begins. "-everywhere" lets every misfortune happen at every
// place; without it, each happens once.
func TestNoDeadEnd(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("changes files as the program does: needs root")
		}
		t.Skip("changes files as the program does: needs root")
	}
	program, err := exec.LookPath("zcp2kopano")
	if err != nil {
		t.Fatal(err)
	}
	scratch := t.TempDir()
	w := &walk{t: t, program: program, dir: filepath.Join(scratch, "work")}
	nodes := map[string]*node{}
	var queue []string
	reach := func(path []string, luck string) string {
		w.path = path
		place := w.place(luck)
		if nodes[place] == nil {
			n := &node{path: slices.Clone(path), kept: fmt.Sprintf("%s/%d", scratch, len(nodes)), luck: luck}
			w.copyTo(n.kept)
			nodes[place] = n
			queue = append(queue, place)
		}
		return place
	}
	for _, how := range []string{"", "fail", "slow"} {
		w.path = []string{"begun " + how}
		w.fresh()
		w.begin(how)
		reach(w.path, "")
	}
	for at := 0; len(queue) > 0; at++ {
		place := queue[0]
		queue = queue[1:]
		n := nodes[place]
		for i, luck := range slices.Sorted(maps.Keys(misfortunes)) {
			if n.luck != "" || !*everywhere && (len(n.path) > 1 || i%3 != at%3) {
				continue
			}
			w.backTo(n.kept)
			w.path = append(slices.Clone(n.path), luck)
			misfortunes[luck](w)
			reach(w.path, luck)
		}
		w.backTo(n.kept)
		w.path = n.path
		for _, args := range w.offered() {
			w.backTo(n.kept)
			if accepted, out := w.call(args...); !accepted {
				t.Errorf("%v: `%s` is named, and refused: %s", n.path, strings.Join(args, " "), out)
			}
			n.to = append(n.to, reach(append(slices.Clone(n.path), strings.Join(args, " ")), n.luck))
		}
		w.backTo(n.kept)
		n.free, _ = w.call("run", w.book(), "--yes", "--no-forecast", "--foreground")
	}
	t.Logf("%d places", len(nodes))
	for place, n := range nodes {
		if !leadsOut(nodes, place, map[string]bool{}) {
			t.Errorf("%v: nothing that is named leads to where a new run can begin: %s", n.path, place)
		}
	}
}

func leadsOut(nodes map[string]*node, place string, seen map[string]bool) bool {
	seen[place] = true
	n := nodes[place]
	return n.free || slices.ContainsFunc(n.to, func(next string) bool { return !seen[next] && leadsOut(nodes, next, seen) })
}

// offered are the commands that the status names, and a rollback to a step, as the admin would call
// them who says yes to everything.
func (w *walk) offered() (all [][]string) {
	s := w.status()
	for _, way := range s.Next {
		args := strings.Fields(way.Command)[1:]
		if args[0] == "--state" {
			args = args[2:]
		}
		if args[0] == "check" || args[0] == "run" {
			continue // the one changes nothing, the other is tried everywhere
		}
		if at := slices.Index(args, "FILE"); at >= 0 {
			args[at] = w.book()
		}
		args = append(args, "--yes")
		if args[0] != "forget" { // which has no work to do
			args = append(args, "--foreground")
		}
		all = append(all, args)
		if args[0] == "rollback" && s.Phase == ways.Failed {
			all = append(all, append(slices.Clone(args), "--to", s.Step))
		}
	}
	return all
}

func (w *walk) book() string { return filepath.Join(w.dir, "book/site.star") }

func (w *walk) fresh() {
	w.must(os.RemoveAll(w.dir))
	w.must(os.MkdirAll(filepath.Join(w.dir, "target/dir"), 0o755))
	w.must(os.MkdirAll(filepath.Join(w.dir, "book"), 0o755))
	w.must(os.MkdirAll(filepath.Join(w.dir, "state"), 0o700))
	w.write("target/one", "old\n")
	w.write("book/site.star", strings.ReplaceAll(walkedBook, "WORK", w.dir))
}

// begin begins a run with a file that decides how it ends; "slow" is killed.
func (w *walk) begin(how string) {
	if how != "" {
		w.write(how, "")
	}
	if how != "slow" {
		w.call("run", w.book(), "--yes", "--no-forecast", "--foreground")
		return
	}
	cmd := exec.Command(w.program, "--state", filepath.Join(w.dir, "state"), "run", w.book(), "--yes", "--no-forecast", "--foreground")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	w.must(cmd.Start())
	for deadline := time.Now().Add(10 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(w.dir, "target/made")); err == nil {
			break
		}
		if time.Now().After(deadline) {
			w.t.Fatal("the slow run does not come to its second step")
		}
	}
	w.must(syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL))
	_ = cmd.Wait()
	w.must(os.Remove(filepath.Join(w.dir, "slow")))
}
