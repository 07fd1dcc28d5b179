package live

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/deb"
)

// A scriptWatch looks each second at what a package manager is at, tells it, and ends a maintainer script
// that takes longer than the patience: that one, not the manager, which then sees that it failed.
type scriptWatch struct {
	m     *machine
	watch *host.PackageWatch
	doing string // what the manager was started for
	notes *scriptNotes

	mu     sync.Mutex
	last   string // line
	now    runningScript
	since  time.Time // now runs
	ended  *endedScript
	ending sync.Once
}

// runningScript is a maintainer script at work.
type runningScript struct {
	pid  int
	name string // "kopano-server.postinst"
}

// endedScript is one that hung.
type endedScript struct {
	name  string
	after time.Duration
	said  string
}

const scriptLook = time.Second

// follow watches what a process has started, until the function that it returns is called.
func (s *scriptWatch) follow(pid int) (stop func()) {
	done, gone := make(chan struct{}), make(chan struct{})
	began := time.Now()
	go func() {
		defer close(gone)
		tick := time.NewTicker(scriptLook)
		defer tick.Stop()
		for {
			select {
			case <-done:
				s.turnTo(runningScript{})
				return
			case <-tick.C:
				s.look(pid, began)
			}
		}
	}()
	return sync.OnceFunc(func() { close(done); <-gone })
}

// line is told each line that is said.
func (s *scriptWatch) line(text string) {
	s.mu.Lock()
	s.last = text
	s.mu.Unlock()
	s.watch.Line(text)
}

func (s *scriptWatch) look(root int, began time.Time) {
	script, runs := s.m.scriptBelow(root)
	s.turnTo(script)
	s.mu.Lock()
	work := host.PackageWork{Doing: s.doing, For: time.Since(began), Line: s.last}
	if runs {
		work.Doing, work.For, work.Script = script.name, time.Since(s.since), true
	}
	s.mu.Unlock()
	s.watch.Doing(work)
	if !runs {
		return
	}
	if work.For >= noteAfter {
		s.notes.add(script.name)
	}
	if s.watch.Patience > 0 && work.For >= s.watch.Patience {
		s.end(script, work)
	}
}

// turnTo notes which script runs. One that came to its end by itself did not hang.
func (s *scriptWatch) turnTo(script runningScript) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if script == s.now {
		return
	}
	if s.now.name != "" && s.ended == nil {
		s.notes.drop(s.now.name)
	}
	s.now, s.since, s.ending = script, time.Now(), sync.Once{}
}

// end tells a script and all that it started to end, and kills what is left of them after a while.
func (s *scriptWatch) end(script runningScript, work host.PackageWork) {
	s.ending.Do(func() {
		s.mu.Lock()
		s.ended = &endedScript{name: script.name, after: s.watch.Patience, said: work.Line}
		s.mu.Unlock()
		s.notes.add(script.name)
		signalTree(script.pid, syscall.SIGTERM)
		time.AfterFunc(killDelay, func() {
			if now, runs := s.m.scriptAt(script.pid); runs && now == script {
				signalTree(script.pid, syscall.SIGKILL)
			}
		})
	})
}

// explain puts the cause before the words of the package manager.
func (s *scriptWatch) explain(err error) error {
	if err == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended != nil {
		cause := fmt.Sprintf("the maintainer script %s had not ended after %v and was ended", s.ended.name, s.ended.after)
		if s.ended.said != "" {
			cause += fmt.Sprintf("; the last that was said is %q", s.ended.said)
		}
		return &host.ScriptError{Cause: cause, Err: err}
	}
	var failed *host.CommandError
	if errors.As(err, &failed) {
		if cause := scriptCause(failed.Output); cause != "" {
			return &host.ScriptError{Cause: cause, Err: err}
		}
	}
	return err
}

// dpkg's words for a script that failed: with its package in the line before. Older ones put "installed"
// or "new" elsewhere, and leave the package's name out.
var (
	processingLine = regexp.MustCompile(`^dpkg: error processing (?:package |archive )?(\S+) \(`)
	failedScript   = regexp.MustCompile(`(pre-installation|post-installation|pre-removal|post-removal) script(?: subprocess)? (.*)$`)
	scriptOf       = map[string]string{
		"pre-installation": "preinst", "post-installation": "postinst", "pre-removal": "prerm", "post-removal": "postrm",
	}
)

// scriptCause names the first script that failed, in the words of a package manager.
func scriptCause(output string) string {
	lines := strings.Split(output, "\n")
	for i, line := range lines {
		m := processingLine.FindStringSubmatch(line)
		if m == nil || i+1 == len(lines) {
			continue
		}
		how := failedScript.FindStringSubmatch(lines[i+1])
		if how == nil {
			continue
		}
		name := m[1]
		if (deb.System{}).IsFile(name) {
			name = deb.System{}.NameOfFile(name)
		}
		cause := fmt.Sprintf("package %s: its %s script (%s) %s", name, how[1], scriptOf[how[1]], how[2])
		if said := cmp.Or(betweenWords(name, lines[:i]), nextWords(name, lines[i+2:]), lastWords(lines[:i])); said != "" {
			cause += fmt.Sprintf("; the last that was said before is %q", said)
		}
		return cause
	}
	return scriptletCause(output)
}

// failedScriptlet is how every rpm says it: "error: %preun(name-1-1.x86_64) scriptlet failed, exit status 1", and "warning: "
// where that keeps the package from nothing.
var failedScriptlet = regexp.MustCompile(`%\w+\(\S+\) scriptlet failed, .*`)

// scriptletCause names the first of rpm's scriptlets that failed.
func scriptletCause(output string) string {
	return strings.TrimSpace(failedScriptlet.FindString(output))
}

// betweenWords are what was said after dpkg began with a package, and before it said that its script had failed: surely
// the script's. What was read behind that may be, and may be of what apt calls when dpkg has ended.
func betweenWords(name string, lines []string) string {
	said := ""
	for _, line := range slices.Backward(lines) {
		switch {
		case begins(line) && about(line, name):
			return said
		case begins(line):
			return ""
		case said == "" && !complains(line):
			said = strings.TrimSpace(line)
		}
	}
	return ""
}

// nextWords are what a script of a package said that was read behind dpkg's lines on its failure: dpkg writes
// its own words through a buffer, which may be emptied later. They end where another package begins; if the
// package itself begins there, only what follows is its own.
func nextWords(name string, lines []string) string {
	for i, line := range slices.Backward(lines) {
		if begins(line) && about(line, name) {
			lines = lines[i+1:]
			break
		}
	}
	said := ""
	for _, line := range lines {
		switch {
		case begins(line):
			return said
		case strings.TrimSpace(line) == "", complains(line):
		default:
			said = strings.TrimSpace(line)
		}
	}
	return said
}

// about reports whether a line names a package, or the file that holds it.
func about(line, name string) bool {
	return slices.ContainsFunc(strings.Fields(line), func(word string) bool {
		return word == name || strings.HasPrefix(path.Base(word), name+"_") || strings.HasPrefix(word, name+":")
	})
}

// lastWords are the last line that is not dpkg's own. The line with which dpkg begins a package may stand behind
// what its script said: the two come by different pipes.
func lastWords(lines []string) string {
	begun := 0
	for _, line := range slices.Backward(lines) {
		switch {
		case strings.HasPrefix(line, "dpkg: "):
		case begins(line):
			if begun++; begun > 1 {
				return ""
			}
		default:
			return strings.TrimSpace(line)
		}
	}
	return ""
}

// begins reports whether apt or dpkg says with the line that it turns to the next package.
func begins(line string) bool {
	return hasPrefix(line, "Setting up ", "Removing ", "Purging ", "Preparing to unpack ", "Unpacking ", "(Reading database",
		"Selecting previously ", "Processing ", "Get:", "debconf: ")
}

// complains reports whether the line is one of dpkg's or apt's own on a failure.
func complains(line string) bool {
	return hasPrefix(line, " ", "dpkg: ", "Errors were encountered ", "E: ", "W: ", "needrestart ")
}

func hasPrefix(line string, prefixes ...string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(line, p) })
}

// scriptPath is where dpkg runs a maintainer script from: the installed one, or that of a package which is
// being unpacked. rpm writes each into a temporary file.
var scriptPath = regexp.MustCompile(`^(?:/var/lib/dpkg/(info/([^/]+)\.|tmp\.ci/)(preinst|postinst|prerm|postrm)|/var/tmp/rpm-tmp\..*)$`)

// scriptlet is what a script of rpm is called: whose it is only rpm's own words tell.
const scriptlet = "a scriptlet"

// scriptBelow finds the first maintainer script among what a process started.
func (m *machine) scriptBelow(root int) (runningScript, bool) {
	children := processTree()
	for queue := children[root]; len(queue) > 0; queue = queue[1:] {
		if script, is := m.scriptAt(queue[0]); is {
			return script, true
		}
		queue = append(queue, children[queue[0]]...)
	}
	return runningScript{}, false
}

// scriptAt tells which maintainer script a process runs.
func (v *machine) scriptAt(pid int) (runningScript, bool) {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)) // of one that is gone: nothing
	for i, arg := range bytes.Split(data, []byte{0}) {
		m := scriptPath.FindSubmatch(arg)
		switch {
		case i > 3:
			return runningScript{}, false
		case m == nil:
		case len(m[3]) == 0:
			return runningScript{pid, scriptlet}, true
		case len(m[2]) > 0:
			return runningScript{pid, string(m[2]) + "." + string(m[3])}, true
		default:
			return runningScript{pid, v.beingUnpacked() + "." + string(m[3])}, true
		}
	}
	return runningScript{}, false
}

// beingUnpacked is the package whose control files dpkg has laid out.
func (m *machine) beingUnpacked() string {
	data, err := m.files.readFile(deb.UnpackingDir + "/control")
	if err != nil {
		return "the new package"
	}
	for _, p := range deb.ParseControl(string(data)) {
		return p.Get("Package")
	}
	return "the new package"
}

// processTree lists the children of each process.
func processTree() map[int][]int {
	children := map[int][]int{}
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, _ := os.ReadFile("/proc/" + e.Name() + "/stat")
		end := bytes.LastIndexByte(stat, ')') // of the program's name
		fields := bytes.Fields(stat[end+1:])
		if len(fields) < 2 {
			continue
		}
		parent, _ := strconv.Atoi(string(fields[1]))
		children[parent] = append(children[parent], pid)
	}
	return children
}

// signalTree sends a signal to a process and to all that it started.
func signalTree(root int, sig syscall.Signal) {
	children := processTree()
	for queue := []int{root}; len(queue) > 0; queue = queue[1:] {
		syscall.Kill(queue[0], sig)
		queue = append(queue, children[queue[0]]...)
	}
}

// noteAfter is when a script is noted as one that may hang.
const noteAfter = 10 * time.Second

// scriptNotes keeps, in a directory, which scripts take long, from before it is known whether they end: who
// is killed meanwhile must not wait for them again. A nil one keeps none.
type scriptNotes struct {
	write filesWriter
	dir   string
}

const noteSuffix = ".hung"

func (n *scriptNotes) add(script string) {
	if n == nil || n.has(script) {
		return
	}
	f, err := n.write.Create(n.dir+"/"+script+noteSuffix, 0o600)
	if err != nil {
		return // the next one waits for its patience
	}
	f.Sync()
	f.Close()
	n.write.SyncDir(n.dir)
}

func (n *scriptNotes) drop(script string) {
	if n != nil && n.has(script) {
		n.write.Unlink(n.dir + "/" + script + noteSuffix)
	}
}

func (n *scriptNotes) has(script string) bool {
	return n != nil && n.write.space.exists(n.dir+"/"+script+noteSuffix)
}
