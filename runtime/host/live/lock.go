package live

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/host"
)

// ServiceLock looks for a lock where the service's processes see it, which can be another /tmp than ours
// (PrivateTmp of systemd), and where the host sees it.
//
// It is held if a process of the service has it open, or was there when it was made. A server makes it with
// O_EXCL: the lock of an earlier one, which was killed, stays, and the next one cannot make its own.
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
			if hasOpen(p.PID, st) || p.Started.Before(st.ModTime().Add(startSlack)) {
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
