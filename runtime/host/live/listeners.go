package live

import (
	"net"
	"os"
	"strconv"
	"strings"

	"zcp2kopano/runtime/host"
)

// listeners are the inodes of the sockets that listen where a question goes, as /proc/PID/fd names them.
func (s services) listeners(q host.Question) (map[string]bool, error) {
	if q.Network == "unix" {
		table, err := os.ReadFile("/proc/net/unix")
		return unixListeners(string(table), q.Address, s.m.files.realPath(q.Address)), err
	}
	return tcpSockets(q, tcpListeners)
}

// tcpSockets are the inodes of those sockets that read finds in the kernel's tables for a question's port.
func tcpSockets(q host.Question, read func(table string, port int, found map[string]bool)) (map[string]bool, error) {
	_, port, err := net.SplitHostPort(q.Address)
	if err != nil {
		return nil, err
	}
	number, err := net.LookupPort("tcp", port)
	if err != nil {
		return nil, err
	}
	found := map[string]bool{}
	for _, name := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		table, _ := os.ReadFile(name) // without IPv6 there is no second one
		read(string(table), number, found)
	}
	return found, nil
}

// realPath is where a path leads; the path itself if that cannot be told.
func (s *space) realPath(name string) string {
	dir, base := name[:strings.LastIndexByte(name, '/')+1], name[strings.LastIndexByte(name, '/')+1:]
	if dir == "/var/run/" || strings.HasPrefix(dir, "/var/run/") {
		if target, err := s.Readlink("/var/run"); err == nil && strings.Trim(target, "/.") == "run" {
			return "/run/" + strings.TrimPrefix(dir, "/var/run/") + base
		}
	}
	return name
}

// listenState is TCP_LISTEN, and listenFlag __SO_ACCEPTCON, in the kernel's tables (proc(5)).
const (
	listenState = "0A"
	listenFlag  = 1 << 16
)

// unixListeners reads lines "NUM: REFCOUNT PROTOCOL FLAGS TYPE STATE INODE PATH".
func unixListeners(table string, names ...string) map[string]bool {
	found := map[string]bool{}
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) < 8 {
			continue
		}
		flags, err := strconv.ParseUint(fields[3], 16, 64)
		if err != nil || flags&listenFlag == 0 {
			continue
		}
		for _, name := range names {
			if fields[7] == name {
				found[fields[6]] = true
			}
		}
	}
	return found
}

// tcpListeners reads lines "SL: LOCAL REMOTE STATE QUEUES TIMER RETRANSMITS UID TIMEOUT INODE ...".
func tcpListeners(table string, port int, found map[string]bool) {
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) < 10 || fields[3] != listenState {
			continue
		}
		_, digits, _ := strings.Cut(fields[1], ":")
		if local, err := strconv.ParseUint(digits, 16, 16); err == nil && int(local) == port {
			found[fields[9]] = true
		}
	}
}

// holderOf finds a process that has one of the sockets open.
func holderOf(processes []host.Process, inodes map[string]bool) *host.Process {
	for i, p := range processes {
		dir := "/proc/" + strconv.Itoa(p.PID) + "/fd/"
		entries, _ := os.ReadDir(dir) // it may have ended, or belong to somebody else
		for _, e := range entries {
			target, _ := os.Readlink(dir + e.Name())
			if inode, ok := strings.CutPrefix(target, "socket:["); ok && inodes[strings.TrimSuffix(inode, "]")] {
				return &processes[i]
			}
		}
	}
	return nil
}
