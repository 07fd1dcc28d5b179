package live

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/hosttest"
)

// slapd starts an OpenLDAP server with n users on a socket inside a new host.
func slapd(t *testing.T, n int, limit string) *Host {
	t.Helper()
	var ldif strings.Builder
	ldif.WriteString("dn: dc=example,dc=org\nobjectClass: domain\ndc: example\n\n")
	for i := range n {
		fmt.Fprintf(&ldif, "dn: uid=u%d,dc=example,dc=org\nobjectClass: inetOrgPerson\nuid: u%d\ncn: User %d\nsn: %d\njpegPhoto:: AAECAw==\n\n", i, i, i, i)
	}
	return slapdWith(t, limit, ldif.String())
}

// slapdWith starts an OpenLDAP server with these lines of configuration and entries.
func slapdWith(t *testing.T, config, ldif string) *Host {
	t.Helper()
	program, err := exec.LookPath("slapd")
	if err != nil {
		program = "/usr/sbin/slapd"
	}
	if _, err := os.Stat(program); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("slapd is not installed")
		}
		t.Skip("slapd is not installed")
	}
	h, dir := open(t)
	must(t, os.Mkdir(filepath.Join(dir, "db"), 0o700))
	conf := filepath.Join(dir, "slapd.conf")
	write(t, dir, "slapd.conf", fmt.Sprintf(`include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
%s
database mdb
maxsize 104857600
suffix "dc=example,dc=org"
rootdn "cn=admin,dc=example,dc=org"
rootpw "s3cr3t!"
directory %s/db
`, config, dir))
	write(t, dir, "init.ldif", ldif)
	if out, err := exec.Command(program, "-T", "add", "-q", "-f", conf, "-l", filepath.Join(dir, "init.ldif")).CombinedOutput(); err != nil {
		t.Fatalf("slapadd: %v: %s", err, out)
	}
	socket := strings.ReplaceAll(filepath.Join(dir, "ldapi"), "/", "%2F")
	cmd := exec.Command(program, "-d", "0", "-f", conf, "-h", "ldapi://"+socket)
	must(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for { // if it never answers, the test never ends
		if conn, err := h.parts.m.files.dialSocket(t.Context(), "/ldapi"); err == nil {
			conn.Close()
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	return h
}

func TestSearchDirectory(t *testing.T) {
	h := slapd(t, 1200, "sizelimit size.soft=unlimited size.hard=unlimited")
	conn := host.DirectoryConn{URLs: []string{"ldap://127.0.0.1:9", "ldapi://%2Fldapi"}, BindDN: "cn=admin,dc=example,dc=org", Password: host.NewSecret("s3cr3t!")}
	search := host.DirectorySearch{Base: "dc=example,dc=org", Scope: "sub", Filter: "(uid=*)", Attributes: []string{"cn", "jpegPhoto"}}
	entries, err := h.SearchDirectory(t.Context(), conn, search)
	must(t, err)
	if len(entries) != 1200 {
		t.Errorf("%d entries", len(entries))
	}
	if photo := entries[0].Attributes["jpegPhoto"]; len(photo) != 1 || photo[0] != "\x00\x01\x02\x03" {
		t.Errorf("bytes %q", photo)
	}
	wrong := conn
	wrong.Password = host.NewSecret("wr0ng")
	if _, err := h.SearchDirectory(t.Context(), wrong, search); err == nil || strings.Contains(err.Error(), "wr0ng") {
		t.Errorf("wrong password: %v", err)
	}
	empty := conn
	empty.Password = host.Secret{}
	if _, err := h.SearchDirectory(t.Context(), empty, search); err == nil {
		t.Error("a bind without a password passes as anonymous")
	}
	for _, bad := range []host.DirectorySearch{
		{Base: "dc=none", Scope: "sub", Filter: "(uid=*)"},
		{Base: "dc=example,dc=org", Scope: "sub", Filter: "(uid="},
		{Base: "dc=example,dc=org", Scope: "below", Filter: "(uid=*)"},
	} {
		if _, err := h.SearchDirectory(t.Context(), conn, bad); err == nil {
			t.Errorf("%+v: no error", bad)
		}
	}
	if _, err := h.SearchDirectory(t.Context(), host.DirectoryConn{URLs: []string{"ldap://127.0.0.1:9"}}, search); err == nil || !strings.Contains(err.Error(), "127.0.0.1:9") {
		t.Errorf("no server: %v", err)
	}
}

// TestDirectory runs the suite of directories against a real server.
func TestDirectory(t *testing.T) {
	var schema strings.Builder
	for _, a := range hosttest.Attributes {
		schema.WriteString("attributetype " + a + "\n")
	}
	for _, c := range hosttest.Classes {
		schema.WriteString("objectclass " + c + "\n")
	}
	h := slapdWith(t, schema.String()+"sizelimit unlimited\n", hosttest.DirectoryLDIF)
	hosttest.Directory(t, h, host.DirectoryConn{URLs: []string{"ldapi://%2Fldapi"}, BindDN: "cn=admin,dc=example,dc=org", Password: host.NewSecret("s3cr3t!")})
}

func TestSizeLimitIsAnError(t *testing.T) {
	h := slapd(t, 50, "sizelimit size.soft=20 size.hard=20 size.prtotal=20")
	conn := host.DirectoryConn{URLs: []string{"ldapi://%2Fldapi"}}
	_, err := h.SearchDirectory(t.Context(), conn, host.DirectorySearch{Base: "dc=example,dc=org", Scope: "sub", Filter: "(uid=*)"})
	if err == nil || !strings.Contains(err.Error(), "Size Limit") {
		t.Errorf("a short result passes: %v", err)
	}
}

func TestRangeOf(t *testing.T) {
	for attribute, want := range map[string][2]string{
		"member":                 {"member", ""},
		"member;range=0-1499":    {"member", "1500"},
		"member;range=1500-*":    {"member", ""},
		"userCertificate;binary": {"userCertificate;binary", ""},
	} {
		name, next, partial := rangeOf(attribute)
		if name != want[0] || next != want[1] || partial != (next != "") {
			t.Errorf("%s: %q %q %v", attribute, name, next, partial)
		}
	}
}

// mailServer answers as one does, however odd the lines, and tells what it was sent.
func mailServer(t *testing.T) (address string, sent func() string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	var mu sync.Mutex
	var all strings.Builder
	var served sync.WaitGroup
	served.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(c, "220 mail ESMTP\r\n")
			buf := make([]byte, 4096)
			n, _ := c.Read(buf)
			mu.Lock()
			all.Write(buf[:n])
			mu.Unlock()
			fmt.Fprint(c, "250 ok\r\n")
			c.Close()
		}
	})
	return l.Addr().String(), func() string {
		l.Close()
		served.Wait()
		return all.String()
	}
}

// TestNoMailBySearching has a runbook write commands of another protocol into what a directory is asked.
func TestNoMailBySearching(t *testing.T) {
	const mail = "\r\nMAIL FROM:<a@example.org>\r\n"
	h, _ := open(t)
	server, sent := mailServer(t)
	urls := []string{"ldap://" + server}
	for _, c := range []struct {
		conn host.DirectoryConn
		req  host.DirectorySearch
	}{
		{host.DirectoryConn{URLs: urls, BindDN: mail, Password: host.NewSecret("x")}, host.DirectorySearch{Scope: "sub", Filter: "(uid=*)"}},
		{host.DirectoryConn{URLs: urls, BindDN: "x\nMAIL FROM", Password: host.NewSecret("x")}, host.DirectorySearch{Scope: "sub", Filter: "(uid=*)"}},
		{host.DirectoryConn{URLs: urls, BindDN: "cn=x", Password: host.NewSecret(mail)}, host.DirectorySearch{Scope: "sub", Filter: "(uid=*)"}},
		{host.DirectoryConn{URLs: urls}, host.DirectorySearch{Scope: "sub", Base: mail, Filter: "(uid=*)"}},
		{host.DirectoryConn{URLs: urls}, host.DirectorySearch{Scope: "sub", Filter: "(uid=" + mail + ")"}},
		{host.DirectoryConn{URLs: urls}, host.DirectorySearch{Scope: "sub", Filter: `(uid=\0d\0aMAIL FROM:<a@example.org>\0d\0a)`}},
		{host.DirectoryConn{URLs: urls}, host.DirectorySearch{Scope: "sub", Filter: "(uid=*)", Attributes: []string{mail}}},
	} {
		if _, err := h.SearchDirectory(t.Context(), c.conn, c.req); err == nil {
			t.Errorf("%+v: a mail server answered as a directory", c)
		}
	}
	if all := sent(); strings.Contains(all, "MAIL FROM") {
		t.Errorf("the mail server got a command: %q", all)
	}
}

// TestConnectionsWithControls refuses them for databases, too: the user's name goes into an option file.
func TestConnectionsWithControls(t *testing.T) {
	h, dir := open(t)
	for _, c := range []host.DatabaseConn{
		{Host: "127.0.0.1\n", Port: 9}, {Host: "127.0.0.1", Port: 9, User: "a\"\nplugin-dir=/tmp\n"}, {Host: "127.0.0.1", Port: 9, Database: "a\x00"},
		{Socket: "/x\r", User: "a"}, {Host: "127.0.0.1", Port: 9, Password: host.NewSecret("a\nb")},
	} {
		_, queried := h.Query(t.Context(), c, "SELECT 1")
		_, dumped := h.DumpDatabase(t.Context(), host.DumpRequest{Conn: c, Path: filepath.Join(dir, "d")}, func(int64) {})
		loaded := h.LoadDatabase(t.Context(), host.LoadRequest{Conn: c, Path: "/d"}, func(int64) {})
		for what, err := range map[string]error{"query": queried, "dump": dumped, "load": loaded} {
			if err == nil || !strings.Contains(err.Error(), "control character") || strings.Contains(err.Error(), "a\nb") {
				t.Errorf("%s with %+v: %v", what, c, err)
			}
		}
	}
}
