package ldap

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	builtins "zcp2kopano/builtins/ldap"
	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/directory"
	"zcp2kopano/runtime/host/live"
	"zcp2kopano/runtime/host/sim"
)

// server is a slapd with the schema of ZCP alone, and a configuration that names it.
type server struct {
	t      *testing.T
	dir    string
	config string // slapd.conf or slapd.d
	cmd    *exec.Cmd
	ended  chan error
	host.Host
	conn     host.DirectoryConn
	external host.DirectoryConn
	listen   []string // beside the socket
}

// Processes are those of this server: others of the machine are other tests'.
func (s *server) Processes() ([]host.Process, error) {
	if s.cmd == nil {
		return nil, nil
	}
	return []host.Process{{PID: s.cmd.Process.Pid, Name: "slapd"}}, nil
}

func (s *server) path(name string) string { return filepath.Join(s.dir, name) }

func (s *server) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(s.path(name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) tool(name string, args ...string) {
	s.t.Helper()
	if out, err := exec.Command("/usr/sbin/"+name, args...).CombinedOutput(); err != nil {
		s.t.Fatalf("%s %q: %v: %s", name, args, err, out)
	}
}

// zarafaOnly makes a stopped server's files and database, with more lines of configuration for that.
func zarafaOnly(t *testing.T, kind, ldif string, more ...string) *server {
	t.Helper()
	if _, err := os.Stat("/usr/sbin/slapd"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("slapd is not installed")
		}
		t.Skip("slapd is not installed")
	}
	s := &server{t: t, dir: t.TempDir()}
	for _, name := range []string{"db", "slapd.d", "export"} {
		if err := os.Mkdir(s.path(name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s.write("zarafa.schema", schema("zarafa", "1.3.6.1.4.1.26278"))
	s.write("slapd.conf", fmt.Sprintf(`include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/nis.schema
include %[1]s/zarafa.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload unique
moduleload syncprov
sizelimit unlimited
authz-regexp "gidNumber=0\\+uidNumber=0,cn=peercred,cn=external,cn=auth" "cn=admin,cn=config"
database config
rootdn cn=admin,cn=config
access to * by dn.exact="cn=admin,dc=example,dc=org" read
database mdb
maxsize 1073741824
suffix "dc=example,dc=org"
rootdn "cn=admin,dc=example,dc=org"
rootpw "s3cr3t!"
directory %[1]s/db
index objectClass,uid,zarafaAccount eq
index zarafaAliases eq,sub
access to attrs=zarafaQuotaHard,@zarafa-server by dn.exact="cn=zarafa-user,dc=example,dc=org" read by * none
access to * by * read
overlay unique
unique_uri ldap:///?zarafaAliases?sub
%[2]s
`, s.dir, strings.Join(more, "\n")))
	s.write("init.ldif", ldif)
	s.tool("slapadd", "-q", "-f", s.path("slapd.conf"), "-b", "dc=example,dc=org", "-l", s.path("init.ldif"))
	if s.config = s.path("slapd.conf"); kind == "cn=config" {
		s.config = s.path("slapd.d")
		s.tool("slaptest", "-f", s.path("slapd.conf"), "-F", s.config)
	}
	h, err := live.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.stop(); h.Close() })
	socket := "ldapi://" + strings.ReplaceAll(s.path("ldapi"), "/", "%2F")
	s.Host = h
	s.conn = host.DirectoryConn{URLs: []string{socket}, BindDN: "cn=admin,dc=example,dc=org", Password: host.NewSecret("s3cr3t!")}
	s.external = host.DirectoryConn{URLs: []string{socket}, External: true}
	return s
}

func (s *server) start() {
	s.t.Helper()
	how := "-f"
	if !strings.HasSuffix(s.config, ".conf") {
		how = "-F"
	}
	s.cmd = exec.Command("/usr/sbin/slapd", "-d", "0", how, s.config, "-h", strings.Join(append([]string{s.conn.URLs[0]}, s.listen...), " "))
	var said strings.Builder
	s.cmd.Stderr = &said
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.ended = make(chan error, 1)
	go func(cmd *exec.Cmd, ended chan error) { ended <- cmd.Wait() }(s.cmd, s.ended)
	for {
		session, err := s.OpenDirectory(context.Background(), s.conn)
		if err == nil {
			session.Close()
			return
		}
		select {
		case err := <-s.ended:
			s.cmd = nil
			out, _ := exec.Command("/usr/sbin/slaptest", "-u", how, s.config).CombinedOutput()
			s.t.Fatalf("slapd does not start: %v: %s%s", err, said.String(), out)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (s *server) stop() {
	if s.cmd != nil {
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		<-s.ended
		s.cmd = nil
	}
}

// journaled is an action as the journal has it, decoded anew each time.
func journaled(t *testing.T, env *action.Env, a action.Action) func() action.Action {
	t.Helper()
	if err := a.Stage(env); err != nil {
		t.Fatal(err)
	}
	if needed, err := a.Prepare(env); err != nil || !needed {
		t.Fatal(needed, err)
	}
	data, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	return func() action.Action {
		again, err := action.Decode(a.Kind(), data)
		if err != nil {
			t.Fatal(err)
		}
		return again
	}
}

// times are what a server notes of its entries, by entryUUID.
func (s *server) times() map[string]string {
	s.t.Helper()
	all := map[string]string{}
	req := host.DirectorySearch{Base: "dc=example,dc=org", Scope: "sub", Filter: "(objectClass=*)", Attributes: []string{"entryUUID", "entryCSN", "modifyTimestamp", "createTimestamp", "modifiersName"}}
	err := s.SearchPages(context.Background(), s.conn, req, func(page []host.Entry) error {
		for _, e := range page {
			all[e.Attributes["entryUUID"][0]] = fmt.Sprint(e.Attributes["entryCSN"], e.Attributes["modifyTimestamp"], e.Attributes["createTimestamp"], e.Attributes["modifiersName"])
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

// configure converts the configuration, and returns how that is taken back.
func (s *server) configure(env *action.Env) (undo func()) {
	s.t.Helper()
	if strings.HasSuffix(s.config, ".d") {
		a := journaled(s.t, env, &action.Configure{Directory: action.DirectoryAt(s.external), Base: "cn=config", Schema: "kopano", Renaming: builtins.ToKopano("")})
		for range 2 { // it is done once
			if _, err := a().Apply(env); err != nil {
				s.t.Fatal(err)
			}
		}
		return func() {
			undone := a()
			if err := undone.Undo(env); err != nil {
				s.t.Fatal(err)
			}
			if lines, err := undone.(action.Comparer).Differences(env); err != nil || len(lines) > 0 {
				s.t.Fatalf("differences %q, %v", lines, err)
			}
		}
	}
	r := builtins.ToKopano("")
	old := map[string]string{}
	for _, name := range []string{"zarafa.schema", "slapd.conf"} {
		text, err := os.ReadFile(s.path(name))
		if err != nil {
			s.t.Fatal(err)
		}
		old[name] = string(text)
	}
	s.write("kopano.schema", r.SchemaFile(old["zarafa.schema"], old["zarafa.schema"]))
	s.write("slapd.conf", directory.IncludeAfter(r.ConfigFile(old["slapd.conf"]), s.path("zarafa.schema"), s.path("kopano.schema")))
	return func() { s.write("slapd.conf", old["slapd.conf"]) }
}

// learnsInSimulation converts the configuration in a simulation over the server, and then the entries: what a simulated
// server was taught it knows.
func (s *server) learnsInSimulation(want []entry) {
	s.t.Helper()
	over, err := sim.FromView(withPackages{s}, sim.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	defer over.Close()
	env := environment(over)
	learn := journaled(s.t, env, &action.Configure{Directory: action.DirectoryAt(s.external), Base: "cn=config", Schema: "kopano", Renaming: builtins.ToKopano("")})
	if _, err := learn().Apply(env); err != nil {
		s.t.Fatal(err)
	}
	if _, err := prepared(s.t, env, s.conn)().Apply(env); err != nil {
		s.t.Fatal(err)
	}
	check(s.t, "simulated", contents(s.t, over, s.conn), want, isNew)
}

// TestOffline converts the files of a real server that is stopped, with its configuration in a file and in cn=config:
// the same entries as online, and what the server notes of them stays. It goes back, and what was changed since is kept.
func TestOffline(t *testing.T) {
	for _, kind := range []string{"slapd.conf", "cn=config"} {
		t.Run(kind, func(t *testing.T) {
			want := site(200)
			s := zarafaOnly(t, kind, ldifOf(want))
			s.start()
			start, times := contents(t, s, s.conn), s.times()
			check(t, "at first", start, want, isOld)
			if kind == "cn=config" {
				s.learnsInSimulation(want)
			}
			env := environment(s)
			env.Store.Dir = s.path("store")
			back := s.configure(env)

			db := action.DatabaseFilesOf(host.DirectoryDatabase{Config: s.config, Suffix: "dc=example,dc=org", Directory: s.path("db"), Conn: s.conn})
			file := s.path("export/d.ldif")
			if _, err := (&action.Export{DatabaseFiles: db, File: file}).Apply(env); err == nil || !strings.Contains(err.Error(), "slapd runs") {
				t.Fatalf("beside a server: %v", err)
			}
			s.stop()
			export := journaled(t, env, &action.Export{DatabaseFiles: db, File: file})
			if _, err := export().Apply(env); err != nil {
				t.Fatal(err)
			}
			if st, err := os.Stat(file); err != nil || st.Mode() != 0o600 {
				t.Fatal(st, err)
			}
			transplant := journaled(t, env, &action.Transplant{DatabaseFiles: db, From: file, Renaming: builtins.ToKopano("/var/run/kopano/server.sock")})
			if _, err := transplant().Apply(env); err != nil {
				t.Fatal(err)
			}
			s.start()
			check(t, "converted", contents(t, s, s.conn), want, isNew)
			if now := s.times(); !maps.Equal(now, times) {
				t.Fatalf("what the server notes of its entries has changed: %d, were %d", len(now), len(times))
			}
			found, err := s.SearchDirectory(context.Background(), s.conn, host.DirectorySearch{Base: "dc=example,dc=org", Scope: "sub", Filter: "(kopanoAliases=*zarafa3*)", Attributes: []string{"1.1"}})
			aliased := 0
			for _, e := range want {
				if slices.ContainsFunc(e.new, func(l string) bool { return strings.HasPrefix(l, "kopanoAliases:") && strings.Contains(l, "zarafa3") }) {
					aliased++
				}
			}
			if err != nil || len(found) != aliased || aliased == 0 {
				t.Fatalf("an index finds %d entries, and %d have it: %v", len(found), aliased, err)
			}
			conn := s.conn
			conn.BindDN, conn.Password = "", host.Secret{}
			found, err = s.SearchDirectory(context.Background(), conn, host.DirectorySearch{Base: "dc=example,dc=org", Scope: "sub", Filter: "(kopanoQuotaHard=*)", Attributes: []string{"1.1"}})
			if err != nil || len(found) != 0 {
				t.Fatalf("the access rule lets anybody read %d entries, %v", len(found), err)
			}
			session, err := s.OpenDirectory(context.Background(), s.conn)
			if err != nil {
				t.Fatal(err)
			}
			since := host.EntryChange{DN: "dc=example,dc=org", Values: []host.ValueChange{{Attribute: "description", Values: []string{"since"}}}}
			since.Values = append([]host.ValueChange{{Attribute: "objectClass", Values: []string{"domainRelatedObject"}}, {Attribute: "associatedDomain", Values: []string{"since.org"}}}, since.Values...)
			if err := errors.Join(session.Change(context.Background(), []host.EntryChange{since})...); err != nil {
				t.Fatal(err)
			}
			session.Close()
			s.stop()

			undone := transplant()
			if err := undone.Undo(env); err != nil {
				t.Fatal(err)
			}
			if told := undone.(action.Newcomer).Since(); !strings.Contains(told, "d.since.ldif") {
				t.Errorf("of what came since it tells %q", told)
			}
			if text, err := os.ReadFile(s.path("export/d.since.ldif")); err != nil || !strings.Contains(string(text), "since.org") {
				t.Errorf("what came since is not kept: %v", err)
			}
			if err := export().Undo(env); err != nil {
				t.Fatal(err)
			}
			if kind == "cn=config" {
				s.start()
				back()
			} else {
				back()
				s.start()
			}
			if now := contents(t, s, s.conn); !maps.Equal(now, start) {
				check(t, "taken back", now, want, isOld)
				t.Fatal("entries were exchanged")
			}
			if now := s.times(); !maps.Equal(now, times) {
				t.Fatal("what the server notes of its entries is not what it was")
			}
			list, err := os.ReadDir(s.path("db"))
			if err != nil || len(list) != 2 {
				t.Errorf("the database has %v, %v", list, err)
			}
		})
	}
}
