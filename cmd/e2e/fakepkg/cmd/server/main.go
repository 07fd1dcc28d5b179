// Command server plays the groupware server, as strict, slow and stubborn as the real one is: sockets are
// open long before a request is answered, an upgrade of the database cannot be interrupted, and what it
// does not need at its start it does not notice.
//
// From the sources of ZCP 7.2.6 and kopano-core 8.4.5 and 8.7.20: ECServer, ECDatabaseMySQL,
// ECSoapServerConnection, ECAttachmentStorage.
package main

import (
	"crypto/tls"
	"database/sql"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"zcp2kopano/cmd/e2e/fakepkg/service"
)

func main() {
	s := &server{quit: make(chan struct{})}
	service.Main(service.Work{AsRoot: s.asRoot, Open: s.open, Serve: s.serve})
}

type server struct {
	db  *sql.DB
	tls map[string]*tls.Config // by the address that has it

	upgrading, ready atomic.Bool
	quit             chan struct{}
}

func (s *server) asRoot(d *service.Daemon) error {
	tellStart(d)
	if !d.Rereads {
		if err := ownAttachments(d); err != nil {
			return err
		}
	}
	plain, secure := tcpAddresses(d)
	for _, address := range plain {
		if err := d.BindTCP(address); err != nil {
			return err
		}
	}
	for _, address := range secure {
		if _, err := loadKey(d); err != nil {
			return err
		}
		if err := d.BindTCP(address); err != nil {
			return err
		}
	}
	if !d.Rereads {
		return nil
	}
	for path, mode := range pipes(d) {
		if err := d.BindSocket(path, mode); err != nil {
			return err
		}
	}
	return nil
}

func tellStart(d *service.Daemon) {
	d.Logf(service.Always, "Starting %s version %s (pid %d uid %d)", d.Name(), d.Version, os.Getpid(), os.Getuid())
}

// open is done before the daemon goes to the background: the database is reached, not yet looked at.
func (s *server) open(d *service.Daemon) error {
	if d.Rereads {
		tellStart(d)
		if err := ownAttachments(d); err != nil {
			return err
		}
	}
	s.tls = map[string]*tls.Config{}
	_, secure := tcpAddresses(d)
	for _, address := range secure {
		config, err := loadKey(d)
		if err != nil {
			return err
		}
		s.tls[address] = config
	}
	if !d.Rereads {
		for path, mode := range pipes(d) {
			if err := d.Listen(path, mode); err != nil {
				return err
			}
		}
	}
	db, err := openDatabase(d)
	s.db = db
	return err
}

func (s *server) serve(d *service.Daemon) error {
	d.Background()
	d.WritePID()
	s.handleSignals(d)
	s.upgrading.Store(true)
	d.Linger(func(b service.Behaviour) time.Duration { return b.BeforeLock })
	if err := s.upgradeUnderLock(d); err != nil {
		return err
	}
	for _, check := range []func(*service.Daemon, *sql.DB) error{makeProcedures, checkEngine, checkAttachments} {
		if err := check(d, s.db); err != nil {
			return err
		}
	}
	s.tellSettings(d)
	s.ready.Store(true)
	d.Logf(service.Notice, "Startup succeeded on pid %d", os.Getpid())
	if !d.Behaviour.Silent {
		s.answer(d)
	}
	<-s.quit
	d.Logf(service.Warning, "shutting down")
	time.Sleep(d.Behaviour.Stop)
	d.Logf(service.Always, "shutdown complete")
	return nil // the sockets and the pid file stay
}

// handleSignals ignores all signals during an upgrade. The one exception is Kopano 8.7, which notes the
// first SIGTERM and ends with it once it is ready, and lets itself be killed by a second one.
func (s *server) handleSignals(d *service.Daemon) {
	signals := d.Signals()
	go func() {
		for range signals.End {
			if s.upgrading.Load() && !d.Rereads {
				d.Logf(service.Notice, "a signal is ignored: the database is being upgraded")
				continue
			}
			if d.Rereads {
				signal.Reset(syscall.SIGTERM, syscall.SIGINT)
			}
			close(s.quit)
			return
		}
	}()
	go func() {
		for range signals.Reload {
			if s.ready.Load() {
				s.reload(d)
			}
		}
	}()
}

// reload reads the configuration again; what cannot be changed while it runs stays as it is.
func (s *server) reload(d *service.Daemon) {
	if err := d.Reload("log_level", "user_safe_mode"); err != nil {
		d.Logf(service.Warning, "unable to reload the configuration, continuing with the current one: %v", err)
	}
	d.ReopenLog()
	s.tellSettings(d)
}

func (s *server) tellSettings(d *service.Daemon) {
	d.Logf(service.Always, "database %s, attachments %s, user plugin %s, user_safe_mode %s",
		d.Settings["mysql_database"], d.Settings["attachment_path"], d.Settings["user_plugin"], d.Settings["user_safe_mode"])
}

// tcpAddresses are where the server listens, plainly and with TLS.
func tcpAddresses(d *service.Daemon) (plain, secure []string) {
	if listen, ok := d.Settings["server_listen"]; ok {
		return addresses(listen, "236"), addresses(d.Settings["server_listen_tls"], "237")
	}
	if d.Settings["server_tcp_enabled"] == "yes" {
		plain = []string{d.Settings["server_bind"] + ":" + d.Settings["server_tcp_port"]}
	}
	if d.Settings["server_ssl_enabled"] == "yes" {
		secure = []string{d.Settings["server_bind"] + ":" + d.Settings["server_ssl_port"]}
	}
	return plain, secure
}

func addresses(list, port string) []string {
	var all []string
	for _, address := range strings.Fields(list) {
		if !strings.Contains(address, ":") || strings.HasSuffix(address, "]") {
			address += ":" + port
		}
		all = append(all, address)
	}
	return all
}

// pipes are the server's sockets. Only its own user and root may use the one with priority.
func pipes(d *service.Daemon) map[string]os.FileMode {
	all := map[string]os.FileMode{}
	for _, path := range strings.Fields(d.Settings["server_pipe_priority"]) {
		all[path] = 0o660
	}
	if d.Settings["server_pipe_enabled"] != "yes" {
		return all
	}
	for _, path := range strings.Fields(d.Settings["server_pipe_name"]) {
		all[path] = 0o666
	}
	return all
}

// loadKey reads the key and the certificate, which are in one file. Without them there is no server.
func loadKey(d *service.Daemon) (*tls.Config, error) {
	file := d.Settings["server_ssl_key_file"]
	pair, err := tls.LoadX509KeyPair(file, file)
	if err != nil {
		return nil, fmt.Errorf("TLS key %s: %w", file, err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}}, nil
}
