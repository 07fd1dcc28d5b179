package live

import (
	"cmp"
	"encoding/hex"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"zcp2kopano/runtime/host"
)

// Listeners reads the kernel's tables of TCP sockets, and finds who has them open. What belongs to nobody who can be
// seen is left out where not all can be: without the power of root, and for a host in a directory.
func (s services) Listeners() ([]host.Listener, error) {
	open := map[string]netip.AddrPort{}
	for _, name := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		table, err := os.ReadFile(name)
		if err != nil && name == "/proc/net/tcp" {
			return nil, err
		}
		listening(string(table), open)
	}
	running, err := s.Processes()
	if err != nil {
		return nil, err
	}
	var found []host.Listener
	for _, p := range running {
		for _, inode := range socketsOf(p.PID) {
			if at, ok := open[inode]; ok {
				found = append(found, host.Listener{Address: at.Addr().String(), Port: int(at.Port()), PID: p.PID})
				if p.PID != 1 { // which hands sockets over, and keeps them
					delete(open, inode)
				}
			}
		}
	}
	if _, err := os.ReadDir("/proc/1/fd"); err == nil && !s.m.files.chrooted() {
		for _, at := range open {
			if !slices.ContainsFunc(found, func(l host.Listener) bool { return l.Address == at.Addr().String() && l.Port == int(at.Port()) }) {
				found = append(found, host.Listener{Address: at.Addr().String(), Port: int(at.Port())})
			}
		}
	}
	slices.SortFunc(found, func(a, b host.Listener) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.Address, b.Address), cmp.Compare(a.PID, b.PID))
	})
	return slices.Compact(found), nil
}

// socketsOf are the inodes of the sockets that a process has open.
func socketsOf(pid int) []string {
	dir := "/proc/" + strconv.Itoa(pid) + "/fd/"
	entries, _ := os.ReadDir(dir) // it may have ended, or belong to somebody else
	var inodes []string
	for _, e := range entries {
		target, _ := os.Readlink(dir + e.Name())
		if inode, ok := strings.CutPrefix(target, "socket:["); ok {
			inodes = append(inodes, strings.TrimSuffix(inode, "]"))
		}
	}
	return inodes
}

// listening adds to found the sockets of a table of proc(5) that listen, by their inodes.
func listening(table string, found map[string]netip.AddrPort) {
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) < 10 || fields[3] != listenState {
			continue
		}
		if at, ok := addressOf(fields[1]); ok {
			found[fields[9]] = at
		}
	}
}

// addressOf reads ADDRESS:PORT in hexadecimal digits; the address is in words of the machine's order.
func addressOf(text string) (netip.AddrPort, bool) {
	digits, port, _ := strings.Cut(text, ":")
	raw, err := hex.DecodeString(digits)
	n, err2 := strconv.ParseUint(port, 16, 16)
	if err != nil || err2 != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for word := range slices.Chunk(raw, 4) {
		slices.Reverse(word) // amd64 and arm64 are little-endian
	}
	address, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(address.Unmap(), uint16(n)), ok
}
