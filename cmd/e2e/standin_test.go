package e2e

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// kopanoServer is a root with Kopano 8.7's server on a database of ZCP's, not started yet.
func kopanoServer(t *testing.T) *Root {
	t.Helper()
	r := NewRoot(t)
	r.StartMariaDB()
	r.AddRepository("kopano87", "debian")
	r.Install("kopano-server", "kopano-gateway", "kopano-dagent", "kopano-ical", "kopano-search")
	r.WriteFile("/etc/kopano/server.cfg", strings.Join([]string{
		"mysql_user = zarafa", "mysql_password = " + Password, "mysql_database = zarafa",
		"log_method = file", "log_file = /var/log/kopano/server.log", "log_level = 5", "user_plugin = db",
	}, "\n")+"\n", 0o640)
	r.Chown("/etc/kopano/server.cfg", "root", "kopano")
	return r
}

// daemon begins a daemon in the foreground, as systemd does, and tells when it has ended and how.
func (r *Root) daemon(name string, args ...string) (process *os.Process, ended <-chan int) {
	r.t.Helper()
	cmd := r.Command("/usr/sbin/"+name, args...)
	if err := r.Start(cmd); err != nil {
		r.t.Fatal(err)
	}
	codes := make(chan int, 1)
	go func() {
		cmd.Wait()
		codes <- cmd.ProcessState.ExitCode()
	}()
	return cmd.Process, codes
}

// until waits for something to become true.
func (r *Root) until(what string, is func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(hung); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(r.Path("/var/log/kopano/server.log"))
			r.t.Fatalf("never: %s\n%s", what, log)
		}
	}
}

func (r *Root) exists(path string) bool {
	_, err := os.Lstat(r.Path(path))
	return !errors.Is(err, fs.ErrNotExist)
}

func (r *Root) revision() string {
	return strings.TrimSpace(r.SQL("SELECT MAX(databaserevision) FROM zarafa.versions"))
}

const (
	kopanoSocket = "/run/kopano/server.sock"
	kopanoLock   = "/tmp/kopano-upgrade-lock"
)

// TestUpgradeIsStubborn sees the server's sockets open and no answer while it upgrades; a SIGTERM does
// not end it, a SIGHUP is lost, and when all is done it ends.
func TestUpgradeIsStubborn(t *testing.T) {
	t.Parallel()
	r := kopanoServer(t)
	r.Behave("kopano-server", "upgrade = 1h")
	process, ended := r.daemon("kopano-server", "-F")
	r.until("the lock", func() bool { return r.exists(kopanoLock) })
	c, err := net.Dial("unix", r.Path(kopanoSocket))
	if err != nil {
		t.Fatalf("the socket is not open: %v", err)
	}
	defer c.Close()
	if c, err := net.Dial("unix", r.Path("/run/kopano/prio.sock")); err != nil {
		t.Errorf("the socket with priority is not open: %v", err)
	} else {
		c.Close()
	}
	c.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
	c.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("an answer during the upgrade: %d bytes, %v", n, err)
	}
	r.Behave("kopano-server", "upgrade = 4s")
	r.until("the first step", func() bool { return r.revision() != "64" })
	process.Signal(syscall.SIGTERM)
	if code := <-ended; code != 0 {
		t.Errorf("exit status %d", code)
	}
	if got := r.revision(); got != "118" {
		t.Errorf("schema %s", got)
	}
	for _, path := range []string{kopanoSocket, "/run/kopano/server.pid"} {
		if !r.exists(path) {
			t.Errorf("%s is gone with the server", path)
		}
	}
	if r.exists(kopanoLock) {
		t.Error("the lock outlived the upgrade")
	}
}

// TestKilledUpgrade kills the server within step 71, which it can never repeat, and sees the lock stay.
func TestKilledUpgrade(t *testing.T) {
	t.Parallel()
	r := kopanoServer(t)
	r.SQL("UPDATE zarafa.versions SET databaserevision = 70") // step 71 is the next, and lasts half an hour
	r.Behave("kopano-server", "upgrade = 1h")
	process, ended := r.daemon("kopano-server", "-F")
	r.until("the column of step 71", func() bool {
		return strings.Contains(r.SQL("SHOW COLUMNS FROM zarafa.singleinstances"), "filename")
	})
	process.Kill()
	<-ended
	if got := r.revision(); got != "70" || !r.exists(kopanoLock) {
		t.Errorf("schema %s, lock %v", got, r.exists(kopanoLock))
	}
	_, ended = r.daemon("kopano-server", "-F")
	if code := <-ended; code != 255 {
		t.Errorf("again: exit status %d", code)
	}
	if log := r.ReadFile("/var/log/kopano/server.log"); !strings.Contains(log, "Duplicate column name") {
		t.Errorf("log:\n%s", log)
	}
}

// TestServerServes has the server upgraded, and looks at all that it then does, and does not.
func TestServerServes(t *testing.T) {
	t.Parallel()
	r := kopanoServer(t)
	process, ended := r.daemon("kopano-server", "-F")
	server := r.Server(kopanoSocket)
	r.until("the socket", func() bool { return r.exists(kopanoSocket) })
	if err := server.Serves(); err != nil { // which waits for the upgrade
		t.Fatal(err)
	}
	if got := r.revision(); got != "118" {
		t.Errorf("schema %s", got)
	}
	log := r.ReadFile("/var/log/kopano/server.log")
	if strings.Count(log, "Start: ") != strings.Count(log, "Done: ") || !strings.Contains(log, "Startup succeeded on pid") {
		t.Errorf("log:\n%s", log)
	}

	first := server.Deliver("what anna got")
	if first.Number != 10 || !r.exists("/var/lib/kopano/attachments/0/1/10.gz") {
		t.Errorf("delivered as number %d", first.Number)
	}
	if got := server.Read(first.ID); got != "what anna got" {
		t.Errorf("read %q", got)
	}
	r.WriteFile("/var/lib/kopano/attachments/1/1/11", "of somebody else", 0o644)
	if got := server.Read(server.Deliver("what bert got").ID); got != "of somebody else" {
		t.Errorf("the plain file does not come first: %q", got)
	}
	server.Delete(first.ID)
	if r.exists("/var/lib/kopano/attachments/0/1/10.gz") {
		t.Error("a deleted attachment is still there")
	}

	r.WriteFile("/etc/kopano/server.cfg", r.ReadFile("/etc/kopano/server.cfg")+"user_safe_mode = yes\n", 0o640)
	process.Signal(syscall.SIGHUP)
	r.until("safe mode", func() bool { return strings.Contains(r.ReadFile("/var/log/kopano/server.log"), "user_safe_mode yes") })

	process.Signal(syscall.SIGTERM)
	if code := <-ended; code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// TestServerRefuses sees each kind of failure at the start, with its exit status.
func TestServerRefuses(t *testing.T) {
	t.Parallel()
	r := kopanoServer(t)
	config := r.ReadFile("/etc/kopano/server.cfg")
	r.Behave("kopano-server", "retry = 50ms")
	cases := []struct {
		name, config string
		behave       []string
		want         string // in the log; empty for stderr
	}{
		{name: "an option that it does not know", config: config + "no_such_option = 1\n"},
		{name: "a wrong password", config: strings.Replace(config, "mysql_password = ", "mysql_password = wrong", 1), want: "unable to connect, trying again"},
		{name: "no database server", config: config + "mysql_socket = /run/nowhere\n", want: "unable to connect"},
		{name: "another kind of storage", config: config + "attachment_storage = database\n", want: `stored as "files", but "database"`},
		{name: "no key for TLS", config: config + "server_listen_tls = *:237\n", want: "TLS key"},
		{name: "its own whim", config: config, behave: []string{"refuses = yes"}},
		{name: "death", config: config, behave: []string{"dies after = 300ms"}},
	}
	for _, c := range cases {
		r.WriteFile("/etc/kopano/server.cfg", c.config, 0o640)
		r.WriteFile("/var/log/kopano/server.log", "", 0o666)
		r.Behave("kopano-server", append([]string{"retry = 50ms"}, c.behave...)...)
		_, ended := r.daemon("kopano-server", "-F")
		if code := <-ended; code != 255 {
			t.Errorf("%s: exit status %d", c.name, code)
		}
		if log := r.ReadFile("/var/log/kopano/server.log"); !strings.Contains(log, c.want) {
			t.Errorf("%s: log\n%s", c.name, log)
		}
	}
	r.WriteFile("/etc/kopano/server.cfg", config, 0o600) // and root's, so that it cannot be read again
	_, ended := r.daemon("kopano-server", "-F")
	if code := <-ended; code != 255 {
		t.Errorf("a configuration that its user cannot read: exit status %d", code)
	}
}

// TestServerHangs sees those that live and do not serve.
func TestServerHangs(t *testing.T) {
	t.Parallel()
	r := kopanoServer(t)
	for _, how := range []string{"never listens = yes", "silent = yes"} {
		r.WriteFile("/var/log/kopano/server.log", "", 0o666)
		r.Behave("kopano-server", how)
		process, ended := r.daemon("kopano-server", "-F")
		r.until("the end of the start", func() bool {
			return strings.Contains(r.ReadFile("/var/log/kopano/server.log"), "Startup succeeded")
		})
		server := r.Server(kopanoSocket)
		server.client.Timeout = 300 * time.Millisecond
		if err := server.Serves(); err == nil {
			t.Errorf("%s: it serves", how)
		}
		process.Signal(syscall.SIGTERM)
		<-ended
	}
}

// TestDaemonsGreet hears each daemon greet in its protocol, and lets in by the gateway whom a server
// answers for.
func TestDaemonsGreet(t *testing.T) {
	t.Parallel()
	r := kopanoServer(t)
	for _, d := range []struct{ name, flag, port, say, greeting string }{
		{"gateway", "-F", "143", "", "* OK [CAPABILITY IMAP4rev1 LITERAL+ AUTH=PLAIN] IMAP gateway ready"},
		{"gateway", "", "110", "", "+OK POP3 gateway ready"},
		{"dagent", "-l", "2003", "", "220 2.1.5 LMTP server is ready"},
		{"ical", "-F", "8080", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 401 Unauthorized"},
	} {
		if d.flag != "" {
			r.daemon("kopano-"+d.name, d.flag)
		}
		var got string
		r.until("a greeting of "+d.name, func() bool { got = r.firstLine(d.port, d.say); return got != "" })
		if got != d.greeting {
			t.Errorf("%s at %s: %q", d.name, d.port, got)
		}
	}
	login := func() string { return r.lines("143", "a LOGIN anna x\r\nb LOGOUT\r\n") }
	if got := login(); !strings.Contains(got, "a NO LOGIN") {
		t.Errorf("without a server: %s", got)
	}
	process, _ := r.daemon("kopano-server", "-F")
	r.until("a log in", func() bool { return strings.Contains(login(), "a OK LOGIN") })
	process.Kill()

	r.daemon("kopano-search", "-F")
	r.until("the socket of search", func() bool { return r.exists("/run/kopano/search.sock") })
	c, err := net.Dial("unix", r.Path("/run/kopano/search.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Write([]byte("PROPS\r\n"))
	answer := make([]byte, 3)
	if _, err := io.ReadFull(c, answer); err != nil || string(answer) != "OK:" {
		t.Errorf("search answers %q, %v", answer, err)
	}
}

// lines sends to a port of the root, and returns what comes back.
func (r *Root) lines(port, say string) string {
	r.t.Helper()
	return r.Run("bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/"+port+`; printf "$0" >&3; timeout 60 cat <&3`, say).Output
}

func (r *Root) firstLine(port, say string) string {
	r.t.Helper()
	res := r.Run("bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/"+port+` || exit 1; printf "$0" >&3; read -r line <&3; printf %s "$line"`, say)
	if res.Code != 0 {
		return ""
	}
	return strings.TrimSpace(res.Output)
}
