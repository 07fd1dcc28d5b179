package live

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/host"
)

// heldTime is how long a connection has to last: one that is refused behind the greeting, and tried again
// every few seconds, does not.
const heldTime = time.Second

// isClient sees that the service holds a connection to where a question goes: the same one twice. Where
// the kernel does not tell whose a connection is (before Linux 3.3), the service gets the benefit of the doubt.
func (s services) isClient(ctx context.Context, q host.Question) error {
	before, err := s.connections(q)
	if err != nil {
		return nil
	}
	if err := sleep(ctx, heldTime); err != nil {
		return err
	}
	after, err := s.connections(q)
	if err != nil {
		return nil
	}
	for inode := range after {
		if before[inode] {
			return nil
		}
	}
	if s.nobodyListens(q) {
		return fmt.Errorf("%s: %w: nobody listens there", q, host.ErrUnasked)
	}
	return fmt.Errorf("%s: there is none", q)
}

// nobodyListens reports whether there is nothing on this machine to be connected to: then it is not the service that is to
// blame, and to wait for it is in vain.
func (s services) nobodyListens(q host.Question) bool {
	if name, _, _ := net.SplitHostPort(q.Address); q.Network != "unix" && name != "localhost" && !net.ParseIP(name).IsLoopback() {
		return false // that may be another machine
	}
	listeners, err := s.listeners(q)
	return err == nil && len(listeners) == 0
}

// connections are the inodes of the sockets by which the service is connected to where a question goes.
func (s services) connections(q host.Question) (map[string]bool, error) {
	peers, err := s.peers(q)
	if err != nil || len(peers) == 0 {
		return nil, err
	}
	own, err := s.ServiceProcesses(q.Service)
	if err != nil {
		return nil, err
	}
	if err := unseen(own); err != nil {
		return nil, err
	}
	held := map[string]bool{}
	for inode := range peers {
		if holderOf(own, map[string]bool{inode: true}) != nil {
			held[inode] = true
		}
	}
	return held, nil
}

// unseen is why the sockets of processes cannot be seen, if those of none can.
func unseen(processes []host.Process) (err error) {
	for _, p := range processes {
		if _, err = os.ReadDir("/proc/" + strconv.Itoa(p.PID) + "/fd"); err == nil {
			return nil
		}
	}
	return err
}

// peers are the inodes of all sockets that are connected to an address.
func (s services) peers(q host.Question) (map[string]bool, error) {
	if q.Network == "unix" {
		return unixPeers(func(name string) bool { return s.m.files.realPath(name) == s.m.files.realPath(q.Address) })
	}
	return tcpSockets(q, tcpPeers)
}

// tcpPeers reads the table of tcpListeners for those that are connected to a port somewhere.
func tcpPeers(table string, port int, found map[string]bool) {
	const established = "01"
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) < 10 || fields[3] != established {
			continue
		}
		_, digits, _ := strings.Cut(fields[2], ":")
		if remote, err := strconv.ParseUint(digits, 16, 16); err == nil && int(remote) == port {
			found[fields[9]] = true
		}
	}
}

// From linux/sock_diag.h and linux/unix_diag.h.
const (
	sockDiagByFamily = 20
	showName         = 1
	showPeer         = 4
	attrName         = 0
	attrPeer         = 2
)

// unixPeers asks the kernel for the sockets that a listener has accepted, which bear its name, and for
// what each is connected to: /proc/net/unix does not tell.
func unixPeers(is func(name string) bool) (map[string]bool, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_INET_DIAG)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 5}); err != nil {
		return nil, err
	}
	request := make([]byte, unix.SizeofNlMsghdr+24)
	order := binary.NativeEndian
	order.PutUint32(request, uint32(len(request)))
	order.PutUint16(request[4:], sockDiagByFamily)
	order.PutUint16(request[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	body := request[unix.SizeofNlMsghdr:]
	body[0] = unix.AF_UNIX
	order.PutUint32(body[4:], ^uint32(0)) // sockets in any state
	order.PutUint32(body[12:], showName|showPeer)
	if err := unix.Sendto(fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, err
	}
	found := map[string]bool{}
	for buffer := make([]byte, 1<<16); ; {
		n, _, err := unix.Recvfrom(fd, buffer, 0)
		if err != nil {
			return nil, err
		}
		messages, err := syscall.ParseNetlinkMessage(buffer[:n])
		if err != nil {
			return nil, err
		}
		for _, m := range messages {
			switch m.Header.Type {
			case unix.NLMSG_DONE:
				return found, nil
			case unix.NLMSG_ERROR:
				return nil, unix.EPROTONOSUPPORT
			}
			if name, peer := unixSocket(m.Data); peer != 0 && is(name) {
				found[strconv.Itoa(int(peer))] = true
			}
		}
	}
}

// unixSocket reads the name of a socket and the inode of the one that it is connected to.
func unixSocket(data []byte) (name string, peer uint32) {
	order := binary.NativeEndian
	const header = 16
	for rest := data[min(header, len(data)):]; len(rest) >= unix.SizeofRtAttr; {
		length, kind := int(order.Uint16(rest)), order.Uint16(rest[2:])
		if length < unix.SizeofRtAttr || length > len(rest) {
			break
		}
		value := rest[unix.SizeofRtAttr:length]
		switch {
		case kind == attrName:
			name = strings.TrimRight(string(value), "\x00")
		case kind == attrPeer && len(value) >= 4:
			peer = order.Uint32(value)
		}
		rest = rest[min((length+3)&^3, len(rest)):]
	}
	return name, peer
}
