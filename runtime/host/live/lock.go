package live

import (
	"bytes"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/host"
)

// ServiceLock looks for a lock where the service's processes see it, which can be another /tmp than ours
// (PrivateTmp of systemd), and where the host sees it.
//
// It is held if a process of the service has it open, or was there when it was made, by the kernel's account of its
// start or by the age of a socket that it listens on. A server makes it with O_EXCL: the lock of an earlier one, which
// was killed, stays, and the next one cannot make its own.
func (s services) ServiceLock(service string, paths []string) (*host.ServiceLock, error) {
	processes, err := s.ServiceProcesses(service)
	if err != nil {
		return nil, err
	}
	var found *host.ServiceLock
	for _, path := range paths {
		for _, p := range processes {
			st, err := os.Lstat("/proc/" + strconv.Itoa(p.PID) + "/root" + path)
			if err != nil {
				continue // none there, or the process has ended
			}
			lock := &host.ServiceLock{Path: path, Since: st.ModTime()}
			if hasOpen(p.PID, st) || p.Started.Before(st.ModTime().Add(startSlack)) || listenedBefore(p.PID, st.ModTime()) {
				lock.Holder = p
				return lock, nil
			}
			found = lock
		}
		if st, err := s.m.files.Lstat(path); err == nil && found == nil {
			found = &host.ServiceLock{Path: path, Since: st.Mtime}
		}
	}
	return found, nil
}

// startSlack is by how much the kernel's account of a process's start may be off, which counts in ticks.
const startSlack = 20 * time.Millisecond

// hasOpen reports whether a process has a file open.
func hasOpen(pid int, file os.FileInfo) bool {
	dir := "/proc/" + strconv.Itoa(pid) + "/fd/"
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if st, err := os.Stat(dir + e.Name()); err == nil && os.SameFile(st, file) {
			return true
		}
	}
	return false
}

// listenedBefore reports whether a process listens on a socket whose file is older than a time. The kernel counts a
// process's start from its boot: by a clock that was set forward since, while an upgrade went on for hours, the process
// seems to be younger than the lock that it has made. The times of two files are of the same clock.
func listenedBefore(pid int, when time.Time) bool {
	proc := "/proc/" + strconv.Itoa(pid)
	table, _ := os.ReadFile(proc + "/net/unix") // the process may have ended
	own := socketsOf(pid)
	for line := range strings.Lines(string(table)) {
		inode, name, listens := unixListener(line)
		if !listens || !slices.Contains(own, inode) || !strings.HasPrefix(name, "/") {
			continue
		}
		if st, err := os.Lstat(proc + "/root" + name); err == nil && st.ModTime().Before(when) {
			return true
		}
	}
	return false
}

// startOf is when a process was started, from its statistics (proc(5): the 22nd field counts ticks since
// the machine was booted). Names stand in parentheses and may hold anything.
func startOf(stat []byte, now time.Time, sinceBoot time.Duration) time.Time {
	end := bytes.LastIndexByte(stat, ')')
	fields := strings.Fields(string(stat[end+1:]))
	if end < 0 || len(fields) < 20 {
		return time.Time{}
	}
	ticks, err := strconv.ParseInt(fields[19], 10, 64)
	if err != nil {
		return time.Time{}
	}
	return now.Add(time.Duration(ticks)*time.Second/ticksPerSecond - sinceBoot)
}

// ticksPerSecond is USER_HZ, which is the same on all that this program runs on.
const ticksPerSecond = 100

// sinceBoot is the time that the kernel counts the starts of processes from.
func sinceBoot() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
