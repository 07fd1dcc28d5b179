package runbooks_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/sim"
	"zcp2kopano/runtime/story"
)

// endsSafeMode tells whether a played run ended it.
func endsSafeMode(t *testing.T, h *sim.Host) bool {
	t.Helper()
	return strings.Contains(contentOf(t, h, "/etc/kopano/server.cfg"), "user_safe_mode = no")
}

// TestStockUsersAgree ends safe mode where the directory shows every object of the database in its class, and not
// where one of any class is missing, has another class, or an attribute lost its values.
func TestStockUsersAgree(t *testing.T) {
	for _, c := range []struct {
		name  string
		edits []string
		ends  bool
		why   string // of the warning at the end
	}{
		{name: "as they are", ends: true},
		{name: "a list of classes", ends: true, edits: []string{
			"ldap_user_type_attribute_value = posixAccount\n", "ldap_user_type_attribute_value = posixAccount,  zarafa-user\n"}},
		{name: "binary keys", ends: true, edits: []string{
			"ldap_user_unique_attribute = uidNumber", "ldap_user_unique_attribute = objectGUID",
			"31303031\n31303032\n", "1CAABBCCDDEEFF000102030405060799\n9C01FFFE80C328000102030405060788\n",
			"65538 | 31303034\n65541 | 31303035\n", "65538 | 9C01FFFE80C328000102030405060789\n65541 | 31303035\n",
			"uidNumber: 1001\n", "uidNumber: 1001\nobjectGUID:: HKq7zN3u/wABAgMEBQYHmQ==\n",
			"uidNumber: 1002\n", "uidNumber: 1002\nobjectGUID:: nAH//oDDKAABAgMEBQYHiA==\n",
			"uidNumber: 1004\n", "uidNumber: 1004\nobjectGUID:: nAH//oDDKAABAgMEBQYHiQ==\n",
			"uidNumber: 1005\n", "objectGUID: 1005\nuidNumber: 1005\n"}},
		{name: "another binary key", why: "objects in the database are not shown by the user plugin", edits: []string{
			"ldap_user_unique_attribute = uidNumber", "ldap_user_unique_attribute = objectGUID",
			"31303031\n31303032\n", "9C01FFFE80C328000102030405060788\n",
			"65538 | 31303034\n65541 | 31303035\n", "",
			"uidNumber: 1001\n", "uidNumber: 1001\nobjectGUID:: nAH//oDEKAABAgMEBQYHiA==\n"}},
		{name: "a shared store that is a user now", why: "1 of 1 shared stores (keys 31303034)", edits: []string{"zarafaSharedStoreOnly: 1\n", "zarafaSharedStoreOnly: 0\n"}},
		{name: "no contacts", why: "1 of 1 contacts", edits: []string{"ldap_contact_type_attribute_value = zarafa-contact\n", ""}},
		{name: "no groups", why: "1 of 1 groups", edits: []string{"gidNumber: 200\n", "gidNumber: 201\n"}},
		{name: "a security group", why: "1 of 1 groups", edits: []string{"zarafaSecurityGroup: 0\n", "zarafaSecurityGroup: 1\n"}},
		{name: "no address lists", why: "1 of 1 address lists", edits: []string{"objectClass: zarafa-addresslist", "objectClass: applicationProcess"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := stockHost(t, "debian8-zcp71-ldap.txtar", func(text string) string { return edited(t, text, c.edits) })
			played := playStock(t, h, kopano84())
			if played.verdict.Code != exit.Done || endsSafeMode(t, h) != c.ends {
				t.Errorf("%+v, safe mode ends: %v\n%q\n%q", played.verdict, !c.ends, played.serious, played.reasons)
			}
			told := strings.Join(played.reasons, "\n") + strings.Join(played.serious, "\n")
			if strings.Contains(told, "user_safe_mode stays on") == c.ends || !strings.Contains(told, c.why) {
				t.Errorf("told %s, want %q", told, c.why)
			}
		})
	}
}

// TestStockConverts converts the directory and the configuration with it, so that the server finds the same.
func TestStockConverts(t *testing.T) {
	own := []string{
		"ldap_user_type_attribute_value = posixAccount\n", "ldap_user_type_attribute_value = posixAccount, zarafa-user\n",
		"0x3A11001E = sn\n", "0x3A11001E = sn\n0x67B3101E = zarafaEnabledFeatures\n",
		"zarafaAdmin: 1\n", "zarafaAdmin: 1\nzarafaEnabledFeatures: imap\nzarafaQuotaHard: 100\n",
	}
	params := kopano84()
	params["ldap_schema"] = "online"
	h := stockHost(t, "debian8-zcp71-ldap.txtar", func(text string) string { return edited(t, text, own) })
	played := playStock(t, h, params)
	if played.verdict.Code != exit.Done || !endsSafeMode(t, h) {
		t.Errorf("%+v\n%q\n%q", played.verdict, played.serious, played.reasons)
	}
	req := host.DirectorySearch{Base: "dc=example,dc=net", Scope: "sub", Filter: "(|(objectClass=zarafa-user)(zarafaAccount=*)(zarafaEnabledFeatures=*))"}
	left, err := h.SearchDirectory(t.Context(), host.DirectoryConn{}, req)
	if err != nil || len(left) > 0 {
		t.Errorf("left in the directory: %v, %v", left, err)
	}
	stopped := slices.Index(played.changes, "stop zarafa-server")
	converted := slices.IndexFunc(played.changes, func(c string) bool { return strings.HasPrefix(c, "convert the directory") })
	if converted < stopped {
		t.Errorf("the directory is converted while ZCP runs: %q", played.changes)
	}
	for file, line := range map[string]string{
		"/etc/kopano/ldap.openldap.cfg": "ldap_user_type_attribute_value = posixAccount, kopano-user\n",
		"/etc/kopano/ldap.propmap.cfg":  "0x67B3101E = kopanoEnabledFeatures\n",
	} {
		if !strings.Contains(contentOf(t, h, file), line) {
			t.Errorf("%s lacks %q", file, line)
		}
	}
}

// TestStockHalfConverted keeps safe mode where the directory and the configuration disagree.
func TestStockHalfConverted(t *testing.T) {
	for name, schema := range map[string]string{"a directory that was not converted": "converted", "a directory that was": "keep"} {
		t.Run(name, func(t *testing.T) {
			h := stockHost(t, "debian8-zcp71-ldap.txtar", func(text string) string {
				if schema == "keep" {
					before, after, _ := strings.Cut(text, "-- directory --\n")
					return before + "-- directory --\n" + strings.ReplaceAll(after, "zarafa", "kopano")
				}
				return text
			})
			params := kopano84()
			params["ldap_schema"] = schema
			played := playStock(t, h, params)
			if played.verdict.Code == exit.Done && endsSafeMode(t, h) {
				t.Errorf("safe mode ends: %q", played.serious)
			}
			if !strings.Contains(strings.Join(played.serious, "\n"), "objects in the database are not shown by the user plugin") {
				t.Errorf("%+v %q", played.verdict, played.serious)
			}
		})
	}
}

// TestStockOneOfSeveral looks for this server's object in the directory, and writes down what ldapms.cfg had.
func TestStockOneOfSeveral(t *testing.T) {
	const object = `dn: cn=node1,dc=example,dc=net
objectClass: device
objectClass: ipHost
objectClass: zarafa-server
cn: node1
ipHostNumber: 192.0.2.1
zarafaHttpPort: 236
zarafaFilePath: /var/run/zarafa

dn: uid=backup,`
	several := []string{"user_plugin = ldap\n", "user_plugin = ldap\nenable_distributed_zarafa = yes\nserver_name = Node1\n"}
	for _, c := range []struct {
		name  string
		edits []string
		want  string // a finding
	}{
		{"its object is there", []string{"dn: uid=backup,", object}, "warning: this server's object in the directory names another socket"},
		{"it is not", nil, "inhibitor: the directory has no object for this server"},
		{"it has no port", []string{"dn: uid=backup,", strings.Replace(object, "zarafaHttpPort: 236\n", "", 1)}, "inhibitor: this server's object in the directory has no http port"},
		{"it has no name", []string{"server_name = Node1\n", ""}, "inhibitor: server_name is not set"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := stockHost(t, "debian8-zcp71-ldap.txtar", func(text string) string { return edited(t, text, append(several, c.edits...)) })
			played := playStock(t, h, kopano84())
			if !slices.Contains(played.serious, c.want) || !slices.Contains(played.serious, "warning: this is one of several servers") {
				t.Errorf("%q\n%q", played.serious, played.reasons)
			}
			if played.verdict.Code != exit.Done {
				return
			}
			config := contentOf(t, h, "/etc/kopano/ldap.openldap.cfg")
			for _, line := range []string{"ldap_server_type_attribute_value = ipHost\n", "ldap_server_address_attribute = ipHostNumber\n"} {
				if !strings.Contains(config, line) {
					t.Errorf("the configuration lacks %q", line)
				}
			}
		})
	}
}

// TestStockDagentIsLast stops what brings mail in first, and starts it last.
func TestStockDagentIsLast(t *testing.T) {
	played := playStock(t, stockHost(t, "debian8-zcp71-ldap.txtar", nil), kopano84())
	var order []string
	for _, change := range played.changes {
		if strings.HasPrefix(change, "stop zarafa-") || strings.HasPrefix(change, "start kopano-") {
			order = append(order, change)
		}
	}
	if len(order) < 4 || order[0] != "stop zarafa-dagent" {
		t.Errorf("the order is %q", order)
	}
	last := slices.Index(order, "start kopano-dagent")
	for _, change := range order {
		if slices.Index(order, change) > last {
			t.Errorf("%s comes after kopano-dagent: %q", change, order)
		}
	}
}

// TestStockDirectoryGoneLate starts no kopano-dagent, which would refuse mail for good, while the directory is gone.
func TestStockDirectoryGoneLate(t *testing.T) {
	h := stockHost(t, "debian8-zcp71-ldap.txtar", func(text string) string {
		return strings.Replace(text, "ldap_search_base = dc=example,dc=net", "ldap_search_base = ou=people,dc=example,dc=net", 1)
	})
	starting := func(e story.Event) {
		if e.Kind == story.ChangeBegin && strings.HasPrefix(e.Text, "start kopano-") {
			session, err := h.OpenDirectory(t.Context(), host.DirectoryConn{})
			if err != nil {
				t.Fatal(err)
			}
			emptyBranch(t, session)
		}
	}
	played := playStockWatched(t, h, kopano84(), starting)
	if played.verdict.Code == exit.Done || slices.Contains(played.changes, "start kopano-dagent") || !strings.Contains(played.verdict.Text, "the directory does not answer") {
		t.Errorf("%+v, %q", played.verdict, played.changes)
	}
}

// emptyBranch takes ou=people away, with all below it.
func emptyBranch(t *testing.T, session host.Directory) {
	t.Helper()
	var gone []host.EntryChange
	req := host.DirectorySearch{Base: "dc=example,dc=net", Scope: "sub", Filter: "(|(cn=*)(ou=people))", Attributes: []string{"1.1"}}
	err := session.Search(t.Context(), req, func(page []host.Entry) error {
		for _, e := range page {
			gone = append(gone, host.EntryChange{DN: e.DN, Delete: true})
		}
		return nil
	})
	slices.Reverse(gone)
	if err := errors.Join(append(session.Change(t.Context(), gone), err)...); err != nil {
		t.Fatal(err)
	}
}

// slapdFiles are what a server has on a host of Debian.
const slapdFiles = `-- /etc/ldap/slapd.conf 0640 --
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/zarafa.schema
database mdb
suffix "dc=example,dc=net"
rootdn "cn=admin,dc=example,dc=net"
rootpw hunter2-slapd
directory /var/lib/ldap
index uid,zarafaAccount eq
access to attrs=userPassword,zarafaAdmin by self read
-- /etc/ldap/schema/core.schema --
# core
-- /etc/ldap/schema/zarafa.schema --
attributetype ( 1.3.6.1.4.1.26278.1.1.2.4
	NAME 'zarafaAdmin'
	SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
objectclass ( 1.3.6.1.4.1.26278.1.2.1 NAME 'zarafa-user' AUXILIARY MUST cn MAY zarafaAdmin )
-- /var/lib/ldap/data.mdb 0600 --
old
-- /usr/sbin/slapcat 0755 --
x
-- /usr/sbin/slapadd 0755 --
x
-- directory --
`

// TestStockConvertsOffline stops the directory's server, converts its database and its configuration, and starts it.
func TestStockConvertsOffline(t *testing.T) {
	params := kopano84()
	params["ldap_schema"] = "offline"
	h := stockHost(t, "debian8-zcp71-ldap.txtar", func(text string) string { return strings.Replace(text, "-- directory --\n", slapdFiles, 1) })
	played := playStock(t, h, params)
	if played.verdict.Code != exit.Done || !endsSafeMode(t, h) {
		t.Errorf("%+v\n%q\n%q", played.verdict, played.serious, played.reasons)
	}
	req := host.DirectorySearch{Base: "dc=example,dc=net", Scope: "sub", Filter: "(|(objectClass=zarafa-user)(zarafaAccount=*)(zarafaEnabledFeatures=*))"}
	if left, err := h.SearchDirectory(t.Context(), host.DirectoryConn{}, req); err != nil || len(left) > 0 {
		t.Errorf("left in the directory: %v, %v", left, err)
	}
	at := func(prefix string) int {
		i := slices.IndexFunc(played.changes, func(c string) bool { return strings.HasPrefix(c, prefix) })
		if i < 0 {
			t.Errorf("no change begins with %q", prefix)
		}
		return i
	}
	order := []int{at("stop zarafa-server"), at("stop slapd"), at("write /etc/ldap/slapd.conf"), at("export the database"), at("convert the database"), at("start slapd"), at("start kopano-server")}
	if !slices.IsSorted(order) {
		t.Errorf("%d in %q", order, played.changes)
	}
	conf := contentOf(t, h, "/etc/ldap/slapd.conf")
	for _, line := range []string{"include /etc/ldap/schema/zarafa.schema\ninclude /etc/ldap/schema/kopano.schema\n", "index uid,kopanoAccount eq\n", "attrs=userPassword,kopanoAdmin by self read\n"} {
		if !strings.Contains(conf, line) {
			t.Errorf("slapd.conf lacks %q: %s", line, conf)
		}
	}
	if schema := contentOf(t, h, "/etc/ldap/schema/kopano.schema"); !strings.Contains(schema, "( 1.3.6.1.4.1.47732.1.1.2.4\n\tNAME 'kopanoAdmin'") || strings.Contains(schema, "zarafa") {
		t.Errorf("the schema is %s", schema)
	}
	if strings.Contains(strings.Join(played.serious, "\n")+strings.Join(played.changes, "\n")+strings.Join(played.reasons, "\n"), "hunter2") {
		t.Error("a password is told")
	}
}

// TestStockTeaches has a server with cn=config learn the new schema while it runs, and converts its rules with the entries.
func TestStockTeaches(t *testing.T) {
	const (
		database = "objectClass: olcMdbConfig\nolcSuffix: dc=example,dc=net\nolcDbDirectory: /var/lib/ldap\nolcDbIndex: zarafaAccount eq\nolcAccess: {0}to attrs=zarafaAdmin by self read\n"
		schema   = "dn: cn={4}zarafa,cn=schema,cn=config\nobjectClass: olcSchemaConfig\ncn: {4}zarafa\nolcAttributeTypes: {0}( 1.3.6.1.4.1.26278.1.1.2.4 NAME 'zarafaAdmin' SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 )\n"
		files    = "-- /etc/ldap/slapd.d/cn=config.ldif 0600 --\ndn: cn=config\nobjectClass: olcGlobal\n-- /etc/ldap/slapd.d/cn=config/olcDatabase={1}mdb.ldif 0600 --\ndn: olcDatabase={1}mdb\n" + database
		root     = "dn:\nobjectClass: OpenLDAProotDSE\n\n"
		entries  = "dn: cn=config\nobjectClass: olcGlobal\ncn: config\n\ndn: cn=schema,cn=config\nobjectClass: olcSchemaConfig\ncn: schema\n\n" + schema + "\ndn: olcDatabase={1}mdb,cn=config\n" + database + "\n"
	)
	for name, shown := range map[string]string{"root entry shown": root, "root entry hidden": ""} {
		t.Run(name, func(t *testing.T) {
			params := kopano84()
			params["ldap_schema"] = "online"
			h := stockHost(t, "debian8-zcp71-ldap.txtar", func(text string) string {
				return strings.Replace(text, "-- directory --\n", files+"-- directory --\n"+shown+entries, 1)
			})
			played := playStock(t, h, params)
			if played.verdict.Code != exit.Done {
				t.Errorf("%+v\n%q\n%q", played.verdict, played.serious, played.reasons)
			}
			found, err := h.SearchDirectory(t.Context(), host.DirectoryConn{}, host.DirectorySearch{Base: "cn=config", Scope: "sub", Filter: "(|(olcDbIndex=kopanoAccount eq)(cn=kopano))"})
			if err != nil || len(found) != 2 {
				t.Errorf("%d entries of the configuration are new, %v: %v", len(found), err, found)
			}
			told := strings.Join(played.changes, "\n")
			if strings.Index(told, "convert the configuration") > strings.Index(told, "convert the directory") {
				t.Errorf("the schema comes too late: %s", told)
			}
		})
	}
}
