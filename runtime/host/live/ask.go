package live

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	"zcp2kopano/runtime/host"
)

// answerTime is how long an answer may take. A daemon that serves gives the first line at once, on a slow
// machine within a second or two.
const answerTime = 10 * time.Second

// Ask puts a question to a service, and sees that it is the service that answers: another program may
// hold the port, a forgotten daemon of the same protocol above all.
func (s services) Ask(ctx context.Context, q host.Question) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerTime, fmt.Errorf("no answer within %v", answerTime))
	defer cancel()
	if q.Protocol == "client" {
		return "", s.isClient(ctx, q)
	}
	line, err := s.converse(ctx, q)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	if ownFault(err) {
		return "", fmt.Errorf("%v: %w: %w", q, host.ErrUnasked, err)
	}
	if err != nil {
		return "", fmt.Errorf("%v: %w", q, err)
	}
	if err := q.Judge(line); err != nil {
		return line, err
	}
	if _, err := s.isOwn(q); err != nil {
		return line, fmt.Errorf("%v: %w", q, err)
	}
	return line, nil
}

// ownFaults are the errors of a connection for which no service can do anything: this process may not, or has no
// means left; a symlink on the way to a socket is not followed.
var ownFaults = []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ENOBUFS, syscall.EACCES, syscall.EPERM, syscall.ELOOP, context.Canceled}

// ownFault reports whether it is the asker's fault that a question has no answer.
func ownFault(err error) bool {
	return slices.ContainsFunc(ownFaults, func(fault error) bool { return errors.Is(err, fault) })
}

// converse connects, says what is to be said, and reads the first line.
func (s services) converse(ctx context.Context, q host.Question) (string, error) {
	conn, err := s.dial(ctx, q)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	if q.Protocol == "line" {
		if err := s.maySay(q, conn); err != nil {
			return "", err
		}
	}
	if q.TLS {
		config := oldTLS()
		config.InsecureSkipVerify = true // whether the certificate is good is not the question
		client := tls.Client(conn, config)
		if err := client.HandshakeContext(ctx); err != nil {
			return "", err
		}
		conn = client
	}
	if q.Send != "" {
		if _, err := io.WriteString(conn, q.Send); err != nil {
			return "", err
		}
	}
	if q.Expect == "" {
		return "", nil
	}
	line, err := bufio.NewReader(io.LimitReader(conn, 1<<12)).ReadString('\n')
	if err == io.EOF && line != "" {
		err = nil
	}
	if err == io.EOF {
		err = fmt.Errorf("it closes the connection without an answer")
	}
	return strings.TrimRight(line, "\r\n"), err
}

func (s services) dial(ctx context.Context, q host.Question) (net.Conn, error) {
	if q.Network == "unix" {
		return s.m.files.dialSocket(ctx, q.Address)
	}
	var dialer net.Dialer
	return dialer.DialContext(ctx, q.Network, q.Address)
}

// maySay refuses to say a word to another than the service: who else listens there may take it for an order.
func (s services) maySay(q host.Question, conn net.Conn) error {
	if !isHere(conn.RemoteAddr()) {
		return fmt.Errorf("%w: %s is not this machine", host.ErrUnasked, q.Address)
	}
	seen, err := s.isOwn(q)
	if err == nil && !seen {
		err = fmt.Errorf("%w: who listens there cannot be seen", host.ErrUnasked)
	}
	return err
}

// isHere reports whether an address is one of this machine.
func isHere(address net.Addr) bool {
	tcp, ok := address.(*net.TCPAddr)
	if !ok || tcp.IP.IsLoopback() {
		return true
	}
	own, _ := net.InterfaceAddrs()
	return slices.ContainsFunc(own, func(a net.Addr) bool {
		network, ok := a.(*net.IPNet)
		return ok && network.IP.Equal(tcp.IP)
	})
}

// isOwn refuses a listener that a process of another program holds, and none of the service. Where it cannot be seen
// who holds it, it is not refused, and not seen.
func (s services) isOwn(q host.Question) (seen bool, err error) {
	listeners, err := s.listeners(q)
	if err != nil || len(listeners) == 0 {
		return false, nil
	}
	own, err := s.ServiceProcesses(q.Service)
	if err != nil {
		return false, fmt.Errorf("%w: who answers cannot be seen: %w", host.ErrUnasked, err)
	}
	if holder := holderOf(own, listeners); holder != nil {
		return true, nil
	}
	all, err := s.processes.Processes()
	if err != nil {
		return false, fmt.Errorf("%w: who answers cannot be seen: %w", host.ErrUnasked, err)
	}
	if holder := holderOf(all, listeners); holder != nil {
		return false, fmt.Errorf("it is %s (pid %d) that answers, not %s; end it", holder.Exe, holder.PID, q.Service)
	}
	return false, nil
}
