package live

import (
	"bytes"
	"os"
	"sort"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/host"
)

// processes are those that run on the machine.
type processes struct {
	m        *machine
	accounts accountReader
}

// Processes lists the programs that run on this machine; for a host in a directory, those that have it
// as their root. Kernel threads are left out. A script is listed by its own name, not by that of the
// interpreter.
func (v processes) Processes() ([]host.Process, error) {
	pids, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	names := map[uint32]string{}
	var found []host.Process
	for _, entry := range pids {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		p, ok := v.process(pid)
		if !ok {
			continue
		}
		name, known := names[p.UID]
		if !known {
			u, _ := v.accounts.UserID(p.UID)
			name, names[p.UID] = u.Name, u.Name
		}
		p.User = name
		found = append(found, p)
	}
	sort.Slice(found, func(i, j int) bool { return found[i].PID < found[j].PID })
	return found, nil
}

// process looks at one process. It may end, or be closed to us, at any moment.
func (p processes) process(pid int) (host.Process, bool) {
	dir := "/proc/" + strconv.Itoa(pid)
	exe, err := os.Readlink(dir + "/exe")
	if err != nil || p.m.files.chrooted() && !p.m.files.livesHere(dir) {
		return host.Process{}, false
	}
	var st unix.Stat_t
	if unix.Stat(dir, &st) != nil {
		return host.Process{}, false
	}
	exe = strings.TrimSuffix(exe, " (deleted)") // replaced or removed since it started
	if p.m.files.chrooted() {
		exe = "/" + strings.TrimPrefix(strings.TrimPrefix(exe, p.m.files.path), "/")
	}
	cmdline, _ := os.ReadFile(dir + "/cmdline")
	stat, _ := os.ReadFile(dir + "/stat")
	started := startOf(stat, time.Now(), sinceBoot())
	args := strings.Split(strings.TrimRight(string(cmdline), "\x00"), "\x00")
	return host.Process{
		PID: pid, Name: programName(exe, cmdline), Exe: exe, UID: st.Uid, Config: host.ConfigOf(args[min(1, len(args)):]), Started: started,
	}, true
}

func (s *space) livesHere(dir string) bool {
	var theirs, ours unix.Stat_t
	return unix.Stat(dir+"/root", &theirs) == nil && fstat(s.root, &ours) == nil &&
		theirs.Dev == ours.Dev && theirs.Ino == ours.Ino
}

// interpreters run programs that bear a name of their own.
var interpreters = []string{"python", "perl", "php", "ruby", "bash", "dash", "sh"}

// programName is the base name of the executable, or of the script that an interpreter runs.
func programName(exe string, cmdline []byte) string {
	name := baseName(exe)
	if !isInterpreter(name) {
		return name
	}
	args := bytes.Split(bytes.TrimRight(cmdline, "\x00"), []byte{0})
	for _, arg := range args[1:] {
		switch text := string(arg); {
		case text == "-c" || text == "-m" || text == "-e":
			return name // the program is in the argument or in a module, not in a file
		case strings.HasPrefix(text, "-"):
			continue
		default:
			return baseName(text)
		}
	}
	return name
}

// isInterpreter also knows the names with a version: python2.7, perl5.20.
func isInterpreter(name string) bool {
	for _, interpreter := range interpreters {
		if rest, ok := strings.CutPrefix(name, interpreter); ok && strings.Trim(rest, "0123456789.") == "" {
			return true
		}
	}
	return false
}

// inUnit reports whether a process is in the control group of a unit of the system.
func inUnit(pid int, unit string) bool {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	return err == nil && unitOf(string(data)) == unit
}

// unitOf finds the unit in /proc/PID/cgroup: the first part below the slices of systemd's own
// hierarchy, which is named (version 1) or the unified one.
func unitOf(groups string) string {
	for line := range strings.Lines(groups) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) < 3 || fields[1] != "name=systemd" && fields[0]+fields[1] != "0" {
			continue
		}
		for part := range strings.SplitSeq(fields[2], "/") {
			if part != "" && !strings.HasSuffix(part, ".slice") {
				return part
			}
		}
	}
	return ""
}
