package live

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime/host"
)

// listen serves connections with talk, on a port or on a socket, and returns the question's address.
func listen(t *testing.T, network, address string, talk func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go serve(l, talk)
	return l.Addr().String()
}

func serve(l net.Listener, talk func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			talk(c)
		}()
	}
}

func says(text string) func(net.Conn) { return func(c net.Conn) { c.Write([]byte(text)) } }

// answers a request, as gSOAP does a GET: not before it has come.
func answers(c net.Conn) {
	if line, err := bufio.NewReader(c).ReadString('\n'); err == nil && strings.HasPrefix(line, "GET / HTTP/1.") {
		c.Write([]byte("HTTP/1.1 405 Method Not Allowed\r\nServer: gSOAP/2.8\r\n\r\n"))
	}
}

// silent accepts, and says nothing as long as the asker holds on.
func silent(c net.Conn) { c.Read(make([]byte, 1<<10)); c.Read(make([]byte, 1)) }

// self is the name under which this test's own process is a service.
func self(t *testing.T) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Base(exe)
}

func TestAsk(t *testing.T) {
	h, dir := open(t)
	if err := os.MkdirAll(filepath.Join(dir, "run"), 0o755); err != nil {
		t.Fatal(err)
	}
	socket := func(name string) string { return filepath.Join(dir, "run", name) }
	listen(t, "unix", socket("server.sock"), answers)
	listen(t, "unix", socket("silent.sock"), silent)
	stale, err := net.Listen("unix", socket("stale.sock"))
	if err != nil {
		t.Fatal(err)
	}
	stale.(*net.UnixListener).SetUnlinkOnClose(false)
	stale.Close()
	if err := os.Symlink("loop.sock", socket("loop.sock")); err != nil {
		t.Fatal(err)
	}
	closing := listen(t, "tcp", "127.0.0.1:0", func(net.Conn) {})
	refusing := boundPort(t)

	for text, say := range map[string]string{
		"http+unix:/run/server.sock":                                             "",
		"http://" + listen(t, "tcp", "127.0.0.1:0", answers):                     "",
		"https://" + secure(t, answers):                                          "",
		"imaps://" + secure(t, says("* OK [CAPABILITY IMAP4rev1] ready\r\n")):    "",
		"imap://" + listen(t, "tcp", "127.0.0.1:0", says("* OK ready\r\n")):      "",
		"pop3://" + listen(t, "tcp", "127.0.0.1:0", says("+OK ready\r\n")):       "",
		"lmtp://" + listen(t, "tcp", "127.0.0.1:0", says("220 2.1.5 ready\r\n")): "",
		"connect+unix:/run/silent.sock":                                          "",
		"http+unix:/run/silent.sock":                                             "no answer within",
		"http+unix:/run/stale.sock":                                              "connection refused",
		"http+unix:/run/missing.sock":                                            "no such file",
		"http+unix:/run/loop.sock":                                               "could not be put",
		"imap://" + closing:                                                      "without an answer",
		"imap://" + refusing:                                                     "connection refused",
		"imap://" + listen(t, "tcp", "127.0.0.1:0", says("* BYE too many\r\n")):  `should begin with "* OK"`,
		"imaps://" + listen(t, "tcp", "127.0.0.1:0", says("* OK ready\r\n")):     "tls",
	} {
		q, err := host.ParseQuestion(self(t), text)
		if err != nil {
			t.Fatal(err)
		}
		ctx := context.Background()
		if strings.Contains(say, "no answer") {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeoutCause(ctx, 100*time.Millisecond, context.DeadlineExceeded)
			defer cancel()
			say = "deadline"
		}
		_, err = h.Ask(ctx, q)
		if unasked := errors.Is(err, host.ErrUnasked); unasked != strings.Contains(text, "loop.sock") {
			t.Errorf("%s: %v; it was asked: %v", text, err, !unasked)
		}
		if (err == nil) != (say == "") || err != nil && !strings.Contains(err.Error(), say) {
			t.Errorf("%s: %v; want %q", text, err, say)
		}
	}
}

func props(c net.Conn) {
	if line, _ := bufio.NewReader(c).ReadString('\n'); line == "PROPS\r\n" {
		c.Write([]byte("OK:1 2 3\r\n"))
		return
	}
	c.Write([]byte("FAIL\r\n"))
}

// secure listens with TLS only, with a certificate that nobody has signed.
func secure(t *testing.T, talk func(net.Conn)) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Unix(1, 0)}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go serve(l, talk)
	return l.Addr().String()
}

// TestAnotherAnswers: a listener that another program holds does not answer for the service.
func TestAnotherAnswers(t *testing.T) {
	h, err := Open("/")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	socket := filepath.Join(t.TempDir(), "s")
	listen(t, "unix", socket, answers)
	for _, text := range []string{"http://" + listen(t, "tcp", "127.0.0.1:0", answers), "http://" + listen(t, "tcp", "[::1]:0", answers), "http+unix:" + socket} {
		q, err := host.ParseQuestion(self(t), text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Ask(context.Background(), q); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		q.Service = "kopano-gateway"
		_, err = h.Ask(context.Background(), q)
		if err == nil || !strings.Contains(err.Error(), "pid "+strconv.Itoa(os.Getpid())) || !strings.Contains(err.Error(), "not kopano-gateway") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestNoOrders: a word is said to nobody but the service itself. Who else listens hears nothing.
func TestNoOrders(t *testing.T) {
	h, err := Open("/")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	heard := make(chan string, 1)
	hears := func(c net.Conn) {
		line, _ := bufio.NewReader(c).ReadString('\n')
		heard <- line
		c.Write([]byte("+PONG\r\n"))
	}
	socket := filepath.Join(t.TempDir(), "s")
	listen(t, "unix", socket, hears)
	for _, text := range []string{"line://" + listen(t, "tcp", "127.0.0.1:0", hears) + " PING +PONG", "line+unix:" + socket + " PING +PONG"} {
		for _, c := range []struct{ service, hears, says string }{{"cron", "", "not cron"}, {self(t), "PING\r\n", ""}} {
			q, err := host.ParseQuestion(c.service, text)
			if err != nil {
				t.Fatal(err)
			}
			_, err = h.Ask(context.Background(), q)
			if got := <-heard; got != c.hears {
				t.Errorf("%s: who listens heard %q for %s", text, got, c.service)
			}
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s for %s: %v", text, c.service, err)
			}
		}
	}
	for text, says := range map[string]string{"PROPS OK": "", "PING OK": `should begin with "OK"`} {
		q, err := host.ParseQuestion(self(t), "line://"+listen(t, "tcp", "127.0.0.1:0", props)+" "+text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Ask(context.Background(), q); (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if isHere(&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)}) || !isHere(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}) || !isHere(&net.UnixAddr{Name: socket}) {
		t.Error("another machine is taken for this one, or this one for another")
	}
}

func TestServiceLock(t *testing.T) {
	h, err := Open("/")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	path := filepath.Join(t.TempDir(), "lock")
	look := func(service string) *host.ServiceLock {
		t.Helper()
		lock, err := h.ServiceLock(service, []string{path})
		if err != nil {
			t.Fatal(err)
		}
		return lock
	}
	if lock := look(self(t)); lock != nil {
		t.Errorf("no lock is %+v", lock)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if lock := look(self(t)); lock == nil || lock.Holder.PID != os.Getpid() {
		t.Errorf("a lock that was just made is %+v", lock)
	}
	f.Close()
	if lock := look(self(t)); lock == nil || lock.Holder.PID != os.Getpid() {
		t.Errorf("a lock that the process has made and closed is %+v", lock)
	}
	if f, err = os.Open(path); err != nil {
		t.Fatal(err)
	}
	if lock := look("nobody"); lock == nil || !lock.Stale() {
		t.Errorf("the lock of a service that does not run is %+v", lock)
	}
	old := time.Now().Add(-24 * time.Hour)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	if lock := look(self(t)); lock == nil || lock.Stale() {
		t.Errorf("an old lock that the process has open is %+v", lock)
	}
	f.Close()
	if lock := look(self(t)); lock == nil || !lock.Stale() {
		t.Errorf("a lock from before the process is %+v", lock)
	}
	// The clock was set forward by a day while the process was at its upgrade: its sockets have the age of the lock.
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if lock := look(self(t)); lock == nil || !lock.Stale() {
		t.Errorf("a lock that is older than the process's sockets is %+v", lock)
	}
	if err := os.Chtimes(l.Addr().String(), old.Add(-time.Second), old.Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	if lock := look(self(t)); lock == nil || lock.Stale() {
		t.Errorf("a lock that was made when the process listened is %+v", lock)
	}
}

// TestStalePidFile: the number in a pid file that was left behind belongs to another program by now.
func TestStalePidFile(t *testing.T) {
	h, dir := open(t)
	write(t, dir, "var/run/zarafa-gateway.pid", strconv.Itoa(os.Getpid())+"\n")
	running := []host.Process{{PID: os.Getpid(), Name: "sshd", Started: time.Now().Add(-time.Minute)}}
	s := sysv{m: h.parts.m}
	if pid := s.pid("zarafa-gateway", running); pid != os.Getpid() {
		t.Errorf("the process that wrote the file is %d", pid)
	}
	running[0].Started = time.Now().Add(time.Minute)
	if pid := s.pid("zarafa-gateway", running); pid != 0 {
		t.Errorf("a process that is younger than the file counts: %d", pid)
	}
}

func TestListenerTables(t *testing.T) {
	table := `Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 777 /var/run/kopano/server.sock
0000000000000000: 00000003 00000000 00000000 0001 03 778 /var/run/kopano/server.sock
0000000000000000: 00000002 00000000 00010000 0001 01 779 /run/other
`
	if got := unixListeners(table, "/var/run/kopano/server.sock"); len(got) != 1 || !got["777"] {
		t.Errorf("got %v", got)
	}
	found := map[string]bool{}
	tcpListeners(`  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:00EC 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0
   1: 0100007F:00EC 0100007F:8000 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0
   2: 0100007F:00ED 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0
`, 236, found)
	if len(found) != 1 || !found["4711"] {
		t.Errorf("got %v", found)
	}
}

// TestStartOf reads the start of this process, whose name may hold anything.
func TestStartOf(t *testing.T) {
	now := time.Now()
	stat := "7 (a) b (c) S " + strings.Repeat("0 ", 18) + "500 0 0"
	if got := startOf([]byte(stat), now, time.Minute); !got.Equal(now.Add(5*time.Second - time.Minute)) {
		t.Errorf("got %v", now.Sub(got))
	}
	h, err := Open("/")
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	p, ok := h.parts.services.processes.process(os.Getpid())
	if age := time.Since(p.Started); !ok || age < 0 || age > time.Hour {
		t.Errorf("this process is %v old", age)
	}
}

func TestEndOf(t *testing.T) {
	for end, p := range map[string]map[string]string{
		"exit status 255":    {"ExecMainPID": "7", "ExecMainCode": "1", "ExecMainStatus": "255"},
		"killed by signal 9": {"ExecMainPID": "7", "ExecMainCode": "2", "ExecMainStatus": "9"},
		"":                   {"ExecMainPID": "0", "ExecMainCode": "0", "ExecMainStatus": "0"},
	} {
		if got := endOf(p); got != end {
			t.Errorf("%v: %q", p, got)
		}
	}
}

func TestTraceOfFile(t *testing.T) {
	h, dir := open(t)
	write(t, dir, "var/log/x.log", strings.Repeat("an old line\n", 10_000)+"\nStart: step\nDuplicate column name\n")
	got := h.ServiceTrace(context.Background(), "x", "/var/log/x.log")
	if len(got.Lines) != host.TraceLines || got.Lines[host.TraceLines-1] != "Duplicate column name" || got.Log != "/var/log/x.log" {
		t.Errorf("got %+v", got)
	}
	if got := h.ServiceTrace(context.Background(), "x", "/var/log/none.log"); len(got.Lines) > 0 || got.Log != "/var/log/none.log" {
		t.Errorf("got %+v", got)
	}
}
