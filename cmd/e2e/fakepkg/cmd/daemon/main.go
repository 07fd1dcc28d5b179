// Command daemon plays every daemon but the server: each greets in its protocol on the ports of its
// configuration. From the sources of ZCP 7.2.6 and kopano-core 8.7.20, and what those answer.
package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"zcp2kopano/cmd/e2e/fakepkg/service"
)

func main() {
	service.Main(service.Work{AsRoot: bind, Open: open, Serve: serve})
}

// port is one that a daemon listens on: where, and how it converses there.
type port struct {
	address string
	secure  bool
	talk    func(*service.Daemon, net.Conn)
}

// ports are those of the daemon's configuration.
func ports(d *service.Daemon) []port {
	var all []port
	add := func(name string, number string, talk func(*service.Daemon, net.Conn)) {
		for _, address := range strings.Fields(address(d, name, number)) {
			all = append(all, port{address, strings.HasSuffix(name, "s"), talk})
		}
	}
	switch d.Daemon {
	case "gateway":
		add("imap", "143", talkIMAP)
		add("imaps", "993", talkIMAP)
		add("pop3", "110", talkPOP3)
		add("pop3s", "995", talkPOP3)
	case "dagent":
		add("lmtp", "2003", talkLMTP)
	case "ical":
		add("ical", "8080", talkHTTP)
		add("icals", "8443", talkHTTP)
	case "presence":
		all = append(all, port{d.Settings["server_bind"] + ":" + d.Settings["server_port"], false, talkHTTP})
	}
	return all
}

// address is where a protocol is served, if it is: until 8.7 by a switch and a port, since then in one.
func address(d *service.Daemon, name, number string) string {
	if listen, ok := d.Settings[name+"_listen"]; ok {
		return listen
	}
	if on, ok := d.Settings[name+"_enable"]; ok && on != "yes" {
		return ""
	}
	return d.Settings["server_bind"] + ":" + d.Settings[name+"_port"]
}

func bind(d *service.Daemon) error {
	for _, p := range ports(d) {
		if err := d.BindTCP(p.address); err != nil {
			return err
		}
	}
	return nil
}

// open is done as the daemon's user. The indexer needs its index to be writable.
func open(d *service.Daemon) error {
	if d.Daemon != "search" {
		return nil
	}
	index := d.Settings["index_path"]
	if err := os.MkdirAll(index, 0o750); err != nil {
		return fmt.Errorf("search index: %w", err)
	}
	probe, err := os.CreateTemp(index, ".probe")
	if err != nil {
		return fmt.Errorf("search index: %w", err)
	}
	probe.Close()
	if err := os.Remove(probe.Name()); err != nil {
		return err
	}
	socket := strings.TrimPrefix(d.Settings["server_bind_name"], "file://")
	if socket == "" {
		socket = filepath.Join(d.RunDir(), "search.sock")
	}
	return d.Listen(socket, 0o666)
}

// serve greets until it is told to end. A TLS port without a key is left out, with a word in the log.
func serve(d *service.Daemon) error {
	served := 0
	for _, p := range ports(d) {
		l := d.Listeners[p.address]
		if l == nil { // it never listens
			continue
		}
		if p.secure {
			pair, err := tls.LoadX509KeyPair(d.Settings["ssl_certificate_file"], d.Settings["ssl_private_key_file"])
			if err != nil {
				d.Logf(service.Error, "error loading TLS keys, %s is not served: %v", p.address, err)
				l.Close()
				continue
			}
			l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair}})
		}
		served++
		if !d.Behaviour.Silent {
			go accept(d, l, p.talk)
		}
	}
	if d.Daemon == "gateway" && served == 0 && !d.Behaviour.NeverListens {
		return errors.New("POP3, POP3S, IMAP and IMAPS are all disabled")
	}
	if d.Daemon == "search" {
		for _, l := range d.Listeners {
			if !d.Behaviour.Silent {
				go accept(d, l, talkSearch)
			}
		}
	}
	d.Background()
	d.WritePID()
	if d.Daemon == "spooler" {
		go session(d)
	}
	return wait(d)
}

func wait(d *service.Daemon) error {
	d.Logf(service.Notice, "%s %s ready as uid %d", d.Name(), d.Version, os.Getuid())
	signals := d.Signals()
	if d.Behaviour.Says != "" {
		d.Logf(service.Error, "%s", d.Behaviour.Says)
	}
	for {
		select {
		case <-signals.Reload:
			d.ReopenLog()
		case <-signals.End:
			d.Logf(service.Notice, "ended")
			time.Sleep(d.Behaviour.Stop)
			return nil // the pid file stays
		}
	}
}

func accept(d *service.Daemon, l net.Listener, talk func(*service.Daemon, net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			talk(d, c)
		}()
	}
}
