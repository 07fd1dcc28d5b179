package ldap

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	builtins "zcp2kopano/builtins/ldap"
	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/directory"
	"zcp2kopano/runtime/host/hosttest/chance"
	"zcp2kopano/runtime/host/live"
)

const directoryManager = "cn=Directory Manager"

// ds389 starts a 389 Directory Server with an empty suffix, in a place of its own and as its own user: it wants neither
// root nor an init system there.
func ds389(t *testing.T) (host.Host, host.DirectoryConn) {
	t.Helper()
	if _, err := os.Stat("/usr/sbin/ns-slapd"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("389-ds-base is not installed")
		}
		t.Skip("389-ds-base is not installed")
	}
	dir, err := os.MkdirTemp("/tmp", "ds389-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	// A server of the same name that was killed leaves a semaphore that another user cannot take over.
	name := "e2e" + strings.TrimPrefix(filepath.Base(dir), "ds389-")
	t.Cleanup(func() { os.Remove("/dev/shm/sem.slapd-" + name + ".stats") })
	u, err := user.Lookup("dirsrv")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	port := freePort(t)
	settings := filepath.Join(dir, "ds.inf")
	text := fmt.Sprintf("[general]\nconfig_version=2\nfull_machine_name=localhost.localdomain\nselinux=False\nsystemd=False\nstrict_host_checking=False\nstart=True\n"+
		"[slapd]\ninstance_name=%s\nport=%d\nsecure_port=%d\nroot_password=s3cr3t!pw\nself_sign_cert=False\ndb_lib=bdb\n[backend-userroot]\nsuffix=dc=example,dc=org\ncreate_suffix_entry=True\n", name, port, freePort(t))
	if err := errors.Join(os.WriteFile(settings, []byte(text), 0o600), os.Chown(settings, uid, gid), os.Chown(dir, uid, gid)); err != nil {
		t.Fatal(err)
	}
	run := func(program string, args ...string) {
		t.Helper()
		cmd := exec.Command(program, args...)
		cmd.Dir, cmd.Env = dir, []string{"HOME=" + dir, "PATH=" + dir + "/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
		if out, err := cmd.CombinedOutput(); err != nil {
			log, _ := os.ReadFile(dir + "/root/var/log/dirsrv/slapd-" + name + "/errors")
			t.Fatalf("%s %q: %v: %s\n%s", program, args, err, out, log)
		}
	}
	run("/usr/sbin/dscreate", "ds-root", dir+"/root", dir+"/bin")
	t.Cleanup(func() {
		raw, err := os.ReadFile(dir + "/root/run/dirsrv/slapd-" + name + ".pid")
		if pid, bad := strconv.Atoi(strings.TrimSpace(string(raw))); err == nil && bad == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	run(dir+"/bin/dscreate", "from-file", settings) // which knows the place
	h, err := live.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h, host.DirectoryConn{URLs: []string{fmt.Sprintf("ldap://127.0.0.1:%d", port)}, BindDN: directoryManager, Password: host.NewSecret("s3cr3t!pw")}
}

// load gives a server the schema of ZCP, and entries.
func load(t *testing.T, h host.Host, conn host.DirectoryConn, entries []entry) {
	t.Helper()
	session, err := h.OpenDirectory(context.Background(), conn)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	change := func(c host.EntryChange) {
		t.Helper()
		if err := session.Change(context.Background(), []host.EntryChange{c})[0]; err != nil {
			t.Fatalf("%s: %v", c.DN, err)
		}
	}
	for _, kind := range [][2]string{{"attributetype ", "attributeTypes"}, {"objectclass ", "objectClasses"}} {
		v := host.ValueChange{Attribute: kind[1]}
		for line := range strings.Lines(schema("zarafa", "1.3.6.1.4.1.26278")) {
			if rest, is := strings.CutPrefix(line, kind[0]); is {
				v.Values = append(v.Values, strings.TrimSpace(rest))
			}
		}
		change(host.EntryChange{DN: "cn=schema", Values: []host.ValueChange{v}})
	}
	for _, e := range entries {
		add := map[string][]string{}
		for _, l := range e.old {
			name, value, _ := strings.Cut(l, ": ")
			add[name] = append(add[name], value)
		}
		change(host.EntryChange{DN: e.dn, Add: add})
	}
}

// sent has a server make a change.
func sent(t *testing.T, h host.Host, conn host.DirectoryConn, c host.EntryChange) {
	t.Helper()
	session, err := h.OpenDirectory(context.Background(), conn)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	if err := session.Change(context.Background(), []host.EntryChange{c})[0]; err != nil {
		t.Fatalf("%s: %v", c.DN, err)
	}
}

// valuesOf are those of an attribute of an entry, sorted; none if it is not there.
func valuesOf(t *testing.T, h host.View, conn host.DirectoryConn, dn, attribute string) []string {
	t.Helper()
	found, err := h.SearchDirectory(context.Background(), conn, host.DirectorySearch{Base: dn, Scope: "base", Filter: "(objectClass=*)", Attributes: []string{attribute}})
	if directory.Is(err, 32) {
		return nil
	}
	if err != nil || len(found) != 1 {
		t.Fatal(dn, found, err)
	}
	values := slices.Clone(found[0].Values(attribute))
	slices.Sort(values)
	return values
}

// by is what a directory holds, by an identity of its entries; the classes that a server adds by itself are left out.
func by(t *testing.T, h host.View, conn host.DirectoryConn, identity string) map[string]string {
	t.Helper()
	all := map[string]string{}
	req := host.DirectorySearch{Base: "dc=example,dc=org", Scope: "sub", Filter: "(objectClass=*)", Attributes: []string{"*", identity}}
	err := h.SearchPages(context.Background(), conn, req, func(page []host.Entry) error {
		for _, e := range page {
			var lines []string
			id := ""
			for name, values := range e.Attributes {
				for _, v := range values {
					switch {
					case strings.EqualFold(name, identity):
						id = v
					case strings.EqualFold(name, "objectClass") && slices.Contains([]string{"top", "person", "organizationalPerson"}, v):
					default:
						lines = append(lines, name+": "+v)
					}
				}
			}
			slices.Sort(lines)
			all[id] = strings.Join(lines, "\n")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestConvertOn389 has a 389 Directory Server learn Kopano's schema of its own definitions of ZCP's, converts its
// entries, those of structural classes by a plain change, and takes it back.
func TestConvertOn389(t *testing.T) {
	h, conn := ds389(t)
	users := 40
	if chance.Nothing() {
		users = 1100 // several pages
	}
	want := site(users)[1:] // the server has made the suffix itself
	load(t, h, conn, want)
	const rule = `(targetattr="zarafaAccount || mail")(targetfilter="(objectClass=zarafa-user)")(version 3.0; acl "zarafa"; allow (read) userdn="ldap:///self";)`
	const indexes = "cn=index,cn=userRoot,cn=ldbm database,cn=plugins,cn=config"
	const unique = "cn=unique aliases,cn=plugins,cn=config"
	sent(t, h, conn, host.EntryChange{DN: "dc=example,dc=org", Values: []host.ValueChange{{Attribute: "aci", Values: []string{rule}}}})
	sent(t, h, conn, host.EntryChange{DN: "cn=zarafaAccount," + indexes, Add: map[string][]string{
		"objectClass": {"top", "nsIndex"}, "cn": {"zarafaAccount"}, "nsIndexType": {"eq", "pres"}, "nsSystemIndex": {"false"}}})
	sent(t, h, conn, host.EntryChange{DN: unique, Add: map[string][]string{
		"objectClass": {"top", "nsSlapdPlugin", "extensibleObject"}, "cn": {"unique aliases"}, "nsslapd-pluginPath": {"libattr-unique-plugin"},
		"nsslapd-pluginInitfunc": {"NSUniqueAttr_Init"}, "nsslapd-pluginType": {"preoperation"}, "nsslapd-pluginEnabled": {"off"}, "nsslapd-plugin-depends-on-type": {"database"},
		"nsslapd-pluginId": {"NSUniqueAttr"}, "nsslapd-pluginVersion": {"2"}, "nsslapd-pluginVendor": {"389 Project"}, "nsslapd-pluginDescription": {"unique"},
		"uniqueness-attribute-name": {"zarafaAliases"}, "uniqueness-subtrees": {"dc=example,dc=org"}}})
	configured := func() string {
		t.Helper()
		kept := map[string][]string{
			"index": valuesOf(t, h, conn, "cn=kopanoAccount,"+indexes, "nsIndexType"), "unique": valuesOf(t, h, conn, unique, "uniqueness-attribute-name"),
			"rules": slices.DeleteFunc(valuesOf(t, h, conn, "dc=example,dc=org", "aci"), func(v string) bool { return !strings.Contains(v, "mail") }),
		}
		return fmt.Sprintf("%q", kept)
	}
	startConfig := configured()
	start := by(t, h, conn, "nsUniqueId")
	env := environment(h)
	learn := journaled(t, env, &action.Configure{Directory: action.DirectoryAt(conn), Base: "cn=schema", Schema: "kopano", Renaming: builtins.ToKopano("")})
	for range 2 { // it is done once
		if _, err := learn().Apply(env); err != nil {
			t.Fatal(err)
		}
	}
	var settings []func() action.Action
	for _, base := range []string{"cn=config", "dc=example,dc=org"} {
		set := journaled(t, env, &action.Configure{Directory: action.DirectoryAt(conn), Base: base, Renaming: builtins.ToKopano("")})
		for range 2 {
			if _, err := set().Apply(env); err != nil {
				t.Fatal(err)
			}
		}
		settings = append(settings, set)
	}
	wantConfig := fmt.Sprintf("%q", map[string][]string{"index": {"eq", "pres"}, "unique": {"kopanoAliases"}, "rules": {
		`(targetattr="kopanoAccount || mail")(targetfilter="(objectClass=kopano-user)")(version 3.0; acl "zarafa"; allow (read) userdn="ldap:///self";)`}})
	if now := configured(); now != wantConfig {
		t.Errorf("the configuration is\n%s\nwant\n%s", now, wantConfig)
	}
	before := by(t, h, conn, "nsUniqueId")
	begun, points := time.Now(), kills(chance.Rand(t, 0), len(want))
	for _, at := range points {
		env := environment(h)
		make := prepared(t, env, conn)
		env.Host = &killed{h, at}
		_, err := make().Apply(env)
		if err != nil && !errors.Is(err, errKilled) {
			t.Fatal(err)
		}
		struck(t, err, at, len(want))
		env.Host = h
		if at%2 == 0 { // else it is taken back half-way
			if _, err := make().Apply(env); err != nil {
				t.Fatal(err)
			}
		}
		env.Host = &killed{h, at / 2}
		if err := make().Undo(env); err != nil && !errors.Is(err, errKilled) {
			t.Fatal(err)
		}
		env.Host = h
		if err := make().Undo(env); err != nil {
			t.Fatal(err)
		}
		if now := by(t, h, conn, "nsUniqueId"); !maps.Equal(now, before) {
			t.Fatalf("killed after %d changes and taken back, it is not what it was", at)
		}
	}
	chance.Figures(t, begun, "a conversion of %d entries of 389 Directory Server killed %d times, taken back", len(want), len(points))
	make := prepared(t, env, conn)
	if _, err := make().Apply(env); err != nil {
		t.Fatal(err)
	}
	now := by(t, h, conn, "nsUniqueId")
	texts := map[string]bool{}
	for id, text := range now {
		if start[id] == "" {
			t.Errorf("the entry %s is another", id)
		}
		texts[text] = true
	}
	for _, e := range want {
		lines := slices.Clone(e.new)
		slices.Sort(lines)
		if !texts[strings.Join(lines, "\n")] {
			t.Errorf("no entry is\n%s", strings.Join(lines, "\n"))
		}
	}
	env.Marks = env.Marks[:len(env.Marks):len(env.Marks)]
	if err := make().Undo(env); err != nil {
		t.Fatal(err)
	}
	for _, set := range settings {
		for range 2 {
			if err := set().Undo(env); err != nil {
				t.Fatal(err)
			}
		}
	}
	if now := configured(); now != startConfig {
		t.Errorf("taken back, the configuration is\n%s\nwas\n%s", now, startConfig)
	}
	back := by(t, h, conn, "nsUniqueId")
	for id, text := range start {
		if back[id] != text {
			t.Errorf("taken back, %s is\n%s\nwas\n%s", id, back[id], text)
		}
	}
	if len(back) != len(start) {
		t.Errorf("taken back, it has %d entries, and had %d", len(back), len(start))
	}
	undone := learn()
	if err := undone.Undo(env); err != nil {
		t.Fatal(err)
	}
	sub, err := h.SearchDirectory(context.Background(), conn, host.DirectorySearch{Base: "cn=schema", Scope: "base", Filter: "(objectClass=*)", Attributes: []string{"attributeTypes", "objectClasses"}})
	if err != nil || len(sub) != 1 {
		t.Fatal(err)
	}
	known, told := directory.ReadSchema(sub[0]), undone.(action.Teller).Told()
	if known.Class("kopano-user") != nil && len(told) == 0 {
		t.Error("the server still knows the new schema, and nobody is told")
	}
	if known.Class("zarafa-user") == nil {
		t.Error("the server does not know the old schema any more")
	}
	replicas(t, h, conn)
}

// replicas has the server be one that gives its entries to others, and then one that only takes them: both are told.
func replicas(t *testing.T, h host.Host, conn host.DirectoryConn) {
	t.Helper()
	const replica = `cn=replica,cn=dc\3Dexample\2Cdc\3Dorg,cn=mapping tree,cn=config`
	const agreement = "cn=to another," + replica
	agreed := map[string][]string{
		"objectClass": {"top", "nsds5replicationagreement"}, "cn": {"to another"}, "nsDS5ReplicaRoot": {"dc=example,dc=org"}, "nsDS5ReplicaHost": {"other.invalid"},
		"nsDS5ReplicaPort": {"389"}, "nsDS5ReplicaTransportInfo": {"LDAP"}, "nsDS5ReplicaBindMethod": {"SIMPLE"}, "nsDS5ReplicaBindDN": {"cn=replication,cn=config"},
		"nsDS5ReplicaCredentials": {"s3cr3t!"}, "nsds5ReplicaEnabled": {"off"}}
	for _, c := range []struct{ kind, id, flags, begin, reason string }{
		{"3", "1", "1", "info: the directory has replicas", "as 389 Directory Server replicates it"},
		{"2", "65535", "0", "inhibitor: the directory's server is a replica", "nsDS5ReplicaType"},
	} {
		sent(t, h, conn, host.EntryChange{DN: replica, Add: map[string][]string{
			"objectClass": {"top", "nsds5replica", "extensibleObject"}, "cn": {"replica"}, "nsDS5ReplicaRoot": {"dc=example,dc=org"}, "nsDS5ReplicaType": {c.kind},
			"nsDS5ReplicaId": {c.id}, "nsDS5Flags": {c.flags}, "nsDS5ReplicaBindDN": {"cn=replication,cn=config"}}})
		if c.flags == "1" {
			sent(t, h, conn, host.EntryChange{DN: agreement, Add: agreed})
		}
		tells(t, "a replica of type "+c.kind, findings(t, h, conn), c.begin, c.reason)
		if c.flags == "1" {
			sent(t, h, conn, host.EntryChange{DN: agreement, Delete: true})
			sent(t, h, conn, host.EntryChange{DN: replica, Delete: true})
		} // 389 Directory Server 2.3.1 breaks down where the other kind is deleted
	}
}
