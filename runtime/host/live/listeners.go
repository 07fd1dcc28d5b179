package live

import (
	"net"
	"os"
	"slices"
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

// unixListeners are the inodes of those sockets in the kernel's table that listen by one of these names.
func unixListeners(table string, names ...string) map[string]bool {
	found := map[string]bool{}
	for line := range strings.Lines(table) {
		if inode, name, listens := unixListener(line); listens && slices.Contains(names, name) {
			found[inode] = true
		}
	}
	return found
}

// unixListener reads a line "NUM: REFCOUNT PROTOCOL FLAGS TYPE STATE INODE PATH".
func unixListener(line string) (inode, name string, listens bool) {
	fields := strings.Fields(line)
	if len(fields) < 8 {
		return "", "", false
	}
	flags, err := strconv.ParseUint(fields[3], 16, 64)
	return fields[6], fields[7], err == nil && flags&listenFlag != 0
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
		for _, inode := range socketsOf(p.PID) {
			if inodes[inode] {
				return &processes[i]
			}
		}
	}
	return nil
}
