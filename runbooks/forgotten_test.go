package runbooks_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"

	"zcp2kopano/builtins"
	"zcp2kopano/runbooks"
	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/directory"
	"zcp2kopano/runtime/host/sim"
	"zcp2kopano/runtime/host/sim/simfs"
	"zcp2kopano/runtime/journal"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
	"zcp2kopano/runtime/state"
	"zcp2kopano/runtime/story"
)

// comparing are two runbooks of the stock's own parts: one converts a site, the other compares, as it is done before
// safe mode ends.
const comparing = `
load("@stock//lib/directoryvalues.star", "directory_values")
load("@stock//lib/ldapcfg.star", "directory_of")
load("@stock//lib/safemode.star", "objects_agree")
load("@stock//lib/users.star", "known_objects")

_DATABASE = mysql.connection({"mysql_user": "root", "mysql_password": "rootpw", "mysql_database": "zarafa"})

def convert():
    """Convert."""
    server = cfg.read("/etc/zarafa/server.cfg")
    old = directory_of("/etc/zarafa/ldap.cfg", cfg.read("/etc/zarafa/ldap.cfg"), "7.2.6", server.get("enable_hosted_zarafa", "no") == "yes")
    info("values", json.encode(directory_values(old)), "")
    taken = cfg.takeover(approach = "copy", from_version = "7.2.6", to_version = "8.7.20", ldap_schema = "kopano")
    ldap.convert(old.connection, [old.base])

def compare(values):
    """Compare."""
    before = json.decode(values)
    survey = struct(connection = _DATABASE, plugin = "ldap", users = known_objects(_DATABASE, "ldap"), directory_values = before)
    if objects_agree(survey):
        info("agree", "", "")

runbook = define(%s)
`

// playComparing plays one of them; the findings are by title.
func playComparing(t *testing.T, h *sim.Host, book *runbook.Runbook, params map[string]string) map[string]string {
	t.Helper()
	found := map[string]string{}
	v := engine.Execute(context.Background(), engine.Config{
		Mode: "simulate", ID: "simulate", Runbook: book, Host: h, HostLabel: "an example", Params: params,
		Dir: "/var/lib/zcp2kopano/runs/simulate", Journal: journal.Memory("test", time.Now), Keeper: state.Memory(), Version: "test", Now: time.Now,
		Emit: func(e story.Event) {
			if e.Finding != nil {
				found[e.Finding.Title] = e.Finding.Reason
			}
		},
	})
	if v.Code != exit.Done {
		t.Fatalf("%+v %q", v, found)
	}
	return found
}

func comparingBook(t *testing.T, define string) *runbook.Runbook {
	t.Helper()
	file := filepath.Join(t.TempDir(), "comparing.star")
	if err := os.WriteFile(file, fmt.Appendf(nil, comparing, define), 0o644); err != nil {
		t.Fatal(err)
	}
	book, err := runbook.Load(context.Background(), script.LoadOptions{Name: file, Stock: runbooks.FS, Builtins: builtins.All()})
	if err != nil {
		t.Fatal(err)
	}
	return book
}

// clusterEntries are a directory with something of all that a server reads.
func clusterEntries() []host.Entry {
	var list []host.Entry
	add := func(dn string, lines ...string) {
		e := host.Entry{DN: dn, Attributes: map[string][]string{}}
		for _, l := range lines {
			name, value, _ := strings.Cut(l, ": ")
			e.Attributes[name] = append(e.Attributes[name], value)
		}
		list = append(list, e)
	}
	add("dc=example,dc=net", "objectClass: domain", "dc: example")
	for _, company := range []string{"one", "two"} {
		base := "ou=" + company + ",dc=example,dc=net"
		add(base, "objectClass: organizationalUnit", "objectClass: zarafa-company", "ou: "+company, "zarafaAccount: 1", "zarafaQuotaOverride: 1", "zarafaQuotaWarn: 5", "zarafaViewPrivilege: two",
			"zarafaAdminPrivilege: 1", "zarafaSystemAdmin: 1", "zarafaUserDefaultQuotaOverride: 1", "zarafaUserDefaultQuotaWarn: 1", "zarafaUserDefaultQuotaSoft: 2", "zarafaUserDefaultQuotaHard: 3",
			"zarafaQuotaUserWarningRecipients: 1", "zarafaQuotaCompanyWarningRecipients: 2", "zarafaCompanyServer: node1")
		for i := range 6 {
			id := strconv.Itoa(len(list))
			lines := []string{"objectClass: inetOrgPerson", "objectClass: posixAccount", "objectClass: zarafa-user", "uid: zarafa.u" + id, "uidNumber: " + id, "cn: User zarafaHidden " + id, "sn: x", "mail: u" + id + "@example.net",
				"zarafaAccount: 1", "zarafaQuotaOverride: 1", "zarafaQuotaWarn: 1", "zarafaQuotaSoft: 2", "zarafaQuotaHard: 3", "zarafaAliases: zarafa." + id + "@example.net", "zarafaSendAsPrivilege: 3",
				"zarafaEnabledFeatures: imap", "zarafaDisabledFeatures: pop3", "zarafaUserArchiveServers: node1", "zarafaUserArchiveCouplings: node1:u", "zarafaUserServer: node1"}
			switch i {
			case 0:
				lines = append(lines, "zarafaAdmin: 1", "zarafaHidden: 1")
			case 1:
				lines = append(lines, "zarafaSharedStoreOnly: 1")
			case 2:
				lines = append(lines, "zarafaSharedStoreOnly: 1", "zarafaResourceType: room", "zarafaResourceCapacity: 8")
			case 3:
				lines = append(lines, "zarafaSharedStoreOnly: 1", "zarafaResourceType: Equipment")
			}
			add("uid=zarafa.u"+id+","+base, lines...)
		}
		id := strconv.Itoa(len(list))
		add("cn=Contact,"+base, "objectClass: inetOrgPerson", "objectClass: zarafa-contact", "cn: Contact", "sn: x", "uidNumber: "+id, "mail: c@example.com", "zarafaAccount: 1", "zarafaAliases: c2@example.com")
		for i, security := range []string{"0", "1"} {
			add(fmt.Sprintf("cn=group%d,%s", i, base), "objectClass: posixGroup", "objectClass: zarafa-group", "cn: group"+strconv.Itoa(i)+company, "gidNumber: "+id+"0"+security, "memberUid: zarafa.u3", "zarafaAccount: 1", "zarafaSecurityGroup: "+security,
				"zarafaAliases: g"+company+security+"@example.net", "zarafaSendAsPrivilege: 3", "zarafaHidden: "+security)
		}
		add("cn=office "+company+","+base, "objectClass: zarafa-addresslist", "cn: office "+company, "zarafaAccount: 1", "zarafaFilter: (&(objectClass=zarafa-user)(!(zarafaSharedStoreOnly=1))(mail=*@example.net))", "zarafaBase: "+base)
		add("cn=dynamic "+company+","+base, "objectClass: zarafa-dynamicgroup", "cn: dynamic "+company, "zarafaAccount: 1", "mail: d"+company+"@example.net", "zarafaAliases: dd"+company+"@example.net", "zarafaFilter: (zarafaQuotaHard=3)", "zarafaBase: "+base)
	}
	add("cn=node1,dc=example,dc=net", "objectClass: device", "objectClass: ipHost", "objectClass: zarafa-server", "cn: node1", "ipHostNumber: 192.0.2.1", "zarafaAccount: 1", "zarafaHttpPort: 236", "zarafaSslPort: 237", "zarafaFilePath: file:///var/run/zarafad/server.sock",
		"zarafaContainsPublic: 1", "zarafaProxyURL: https://proxy")
	return list
}

// settingsOf is an ldap.cfg of ZCP in which every name of the schema stands, with other lines for some.
func settingsOf(other map[string]string) string {
	lines := map[string]string{
		"ldap_uri": "ldap://localhost", "ldap_search_base": "dc=example,dc=net", "ldap_object_type_attribute": "objectClass",
		"ldap_user_type_attribute_value": "posixAccount", "ldap_group_type_attribute_value": "posixGroup", "ldap_company_type_attribute_value": "organizationalUnit",
		"ldap_contact_type_attribute_value": "zarafa-contact", "ldap_addresslist_type_attribute_value": "zarafa-addresslist", "ldap_dynamicgroup_type_attribute_value": "zarafa-dynamicgroup",
		"ldap_user_unique_attribute": "uidNumber", "ldap_group_unique_attribute": "gidNumber", "ldap_groupmembers_attribute": "memberUid",
		"ldap_server_type_attribute_value": "ipHost", "ldap_server_address_attribute": "ipHostNumber",
	}
	for name, value := range codeDefaults {
		if rest, is := strings.CutPrefix(value, "kopano"); is {
			lines[name] = "zarafa" + rest
		}
	}
	maps.Copy(lines, other)
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(lines)) {
		b.WriteString(name + " = " + lines[name] + "\n")
	}
	return b.String() + "!propmap /etc/zarafa/ldap.propmap.cfg\n"
}

// cluster is a host of ZCP with this configuration; its database knows what the plugin shows.
func cluster(t *testing.T, server string, ldapCfg map[string]string) (h *sim.Host, before map[object]string) {
	t.Helper()
	text := "-- host --\nhostname: node1.example.net\nmanager: apt 1.0.9.8.4\n-- mounts --\n/ /dev/sda1 ext4 60G 30G\n-- packages --\nPackage: kopano-server\nVersion: 8.7.20\n-- group --\nkopano:x:200:\n-- /etc/zarafa/server.cfg --\nuser_plugin = ldap\nuser_plugin_config = /etc/zarafa/ldap.cfg\nserver_name = Node1\n" + server +
		"-- /etc/zarafa/ldap.cfg --\n" + settingsOf(ldapCfg) + "-- /etc/kopano/more.cfg --\n!propmap /etc/kopano/ldap.propmap.cfg\n-- /etc/zarafa/ldap.propmap.cfg --\n0x3A06001E = cn\n0x67B3101E = zarafaEnabledFeatures\n0x67B4101E = zarafaDisabledFeatures\n0x67C4101E = zarafaUserArchiveServers\n0x67C5101E = zarafaUserArchiveCouplings\n" +
		"-- directory --\n" + directory.FormatLDIF(clusterEntries())
	build := func(text string) *sim.Host {
		fixture, err := sim.ReadFixture([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		h, err := fixture.Host(sim.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { h.Close() })
		return h
	}
	before = pluginOf(t, build(text), "/etc/zarafa").shown()
	return build(text + databaseOf(before)), before
}

// databaseOf is a database that knows these objects.
func databaseOf(shown map[object]string) string {
	numbers := map[string]int{"user": 65537, "shared": 65538, "room": 65539, "equipment": 65540, "contact": 65541, "group": 196609, "security": 196610, "dynamicgroup": 196611, "company": 262145, "addresslist": 262146}
	var users, others []string
	for o := range shown {
		key := strings.ToUpper(hex.EncodeToString([]byte(o.id)))
		if o.class == "user" {
			users = append(users, key)
		} else {
			others = append(others, fmt.Sprintf("%d | %s", numbers[o.class], key))
		}
	}
	slices.Sort(users)
	slices.Sort(others)
	return "\n-- database --\nlogin root rootpw\n\n? SELECT HEX(externid) AS value FROM users WHERE objectclass = 65537 AND externid IS NOT NULL ORDER BY value\nvalue\n" + strings.Join(users, "\n") +
		"\n\n? SELECT objectclass AS class_number, HEX(externid) AS value FROM users WHERE objectclass <> 65537 AND externid IS NOT NULL ORDER BY class_number, value\nclass_number | value\n" + strings.Join(others, "\n") + "\n"
}

// forget brings back a part of what was converted: old stands for new in a file, or in entries.
type forget struct {
	file, converted, old string                                // in a file below /etc/kopano
	edit                 func(string) string                   // or this, of the whole text
	entry                func(e host.Entry) []host.ValueChange // in the directory
}

func line(name, converted, old string) forget {
	return forget{file: "ldap.cfg", converted: name + " = " + converted + "\n", old: name + " = " + old + "\n"}
}

func (f forget) from(t *testing.T, h *sim.Host) {
	t.Helper()
	if f.entry != nil {
		conn := host.DirectoryConn{URLs: []string{"ldap://localhost"}}
		session, err := h.OpenDirectory(t.Context(), conn)
		if err != nil {
			t.Fatal(err)
		}
		defer session.Close()
		found, err := h.SearchDirectory(t.Context(), conn, host.DirectorySearch{Base: "dc=example,dc=net", Scope: "sub", Filter: "(objectClass=*)"})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range found {
			if values := f.entry(e); len(values) > 0 {
				if err := session.Change(t.Context(), []host.EntryChange{{DN: e.DN, Values: values, Relax: true}})[0]; err != nil {
					t.Fatalf("%s: %v", e.DN, err)
				}
			}
		}
		return
	}
	name := "/etc/kopano/" + f.file
	r, err := h.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	r.Close()
	if err != nil {
		t.Fatal(err)
	}
	edited := strings.Replace(string(text), f.converted, f.old, 1)
	if f.edit != nil {
		edited = f.edit(string(text))
	}
	if edited == string(text) {
		t.Fatalf("%s holds no %q:\n%s", name, f.converted, text)
	}
	if err := afero.WriteFile(simfs.Afero(h.Files()), name, []byte(edited), 0o644); err != nil {
		t.Fatal(err)
	}
}

// withoutDefaults takes out the lines that say what the code does without them.
func withoutDefaults(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if name, value, _ := strings.Cut(strings.TrimSpace(line), " = "); codeDefaults[name] == "" || codeDefaults[name] != value {
			b.WriteString(line)
		}
	}
	return b.String()
}

// attributesOld gives attributes of entries their old names again.
func attributesOld(names ...string) func(host.Entry) []host.ValueChange {
	return func(e host.Entry) (changes []host.ValueChange) {
		for _, name := range names {
			if values := e.Attributes["kopano"+name]; len(values) > 0 {
				changes = append(changes, host.ValueChange{Attribute: "zarafa" + name, Values: values}, host.ValueChange{Delete: true, Attribute: "kopano" + name})
			}
		}
		return changes
	}
}

// classOld gives entries an old class again.
func classOld(name string) func(host.Entry) []host.ValueChange {
	return func(e host.Entry) []host.ValueChange {
		if !slices.Contains(e.Attributes["objectClass"], "kopano-"+name) {
			return nil
		}
		return []host.ValueChange{{Attribute: "objectClass", Values: []string{"zarafa-" + name}}, {Delete: true, Attribute: "objectClass", Values: []string{"kopano-" + name}}}
	}
}

// halfOld leaves the entries of one tenant as they were.
func halfOld(e host.Entry) (changes []host.ValueChange) {
	if !strings.Contains(e.DN, "ou=two") {
		return nil
	}
	for name, values := range e.Attributes {
		if rest, is := strings.CutPrefix(name, "kopano"); is {
			changes = append(changes, host.ValueChange{Attribute: "zarafa" + rest, Values: values}, host.ValueChange{Delete: true, Attribute: name})
		}
	}
	for _, class := range e.Attributes["objectClass"] {
		if rest, is := strings.CutPrefix(class, "kopano-"); is {
			changes = append(changes, host.ValueChange{Attribute: "objectClass", Values: []string{"zarafa-" + rest}}, host.ValueChange{Delete: true, Attribute: "objectClass", Values: []string{class}})
		}
	}
	return changes
}

// hidden takes from the reader what an access rule that was forgotten does not let it read.
func hidden(e host.Entry) (changes []host.ValueChange) {
	for _, name := range []string{"kopanoQuotaHard", "kopanoSendAsPrivilege", "kopanoSharedStoreOnly"} {
		if len(e.Attributes[name]) > 0 {
			changes = append(changes, host.ValueChange{Delete: true, Attribute: name})
		}
	}
	return changes
}

func filterOld(class string) func(host.Entry) []host.ValueChange {
	return func(e host.Entry) []host.ValueChange {
		filters := e.Attributes["kopanoFilter"]
		if len(filters) == 0 || !slices.Contains(e.Attributes["objectClass"], class) {
			return nil
		}
		return []host.ValueChange{{Delete: true, Attribute: "kopanoFilter"}, {Attribute: "kopanoFilter", Values: []string{strings.ReplaceAll(filters[0], "kopano", "zarafa")}}}
	}
}

// TestForgotten plays what a real server was seen to do with a directory that is not converted as its configuration is:
// whatever is forgotten is found by the comparison before safe mode ends, or keeps the server from starting; in safe
// mode nothing is deleted meanwhile; and what is converted shows the same as before.
func TestForgotten(t *testing.T) {
	own := map[string]string{"ldap_user_type_attribute_value": "posixAccount, zarafa-user", "ldap_group_type_attribute_value": "zarafa-group",
		"ldap_company_type_attribute_value": "zarafa-company", "ldap_server_type_attribute_value": "zarafa-server"}
	filters := map[string]string{}
	for _, kind := range []string{"user", "group", "company", "addresslist", "dynamicgroup", "server"} {
		filters["ldap_"+kind+"_search_filter"] = "(zarafaAccount=1)"
	}
	const hosted, distributed = "enable_hosted_zarafa = yes\n", "enable_distributed_zarafa = yes\n"
	type row struct {
		what    string
		forget  forget
		deletes string // the classes of which all are deleted at the next user list, without safe mode
		changes bool   // the server shows something else
		stops   bool   // the server does not start
		well    bool   // it is no mistake
	}
	attribute := func(name string) row {
		new := codeDefaults["ldap_"+name]
		return row{what: name, forget: line("ldap_"+name, new, "zarafa"+strings.TrimPrefix(new, "kopano")), changes: true}
	}
	for _, s := range []struct {
		name   string
		server string
		ldap   map[string]string
		rows   []row
	}{
		{"shipped types", "", nil, []row{
			{what: "class of contacts", forget: line("ldap_contact_type_attribute_value", "kopano-contact", "zarafa-contact"), deletes: "contact"},
			{what: "class of address lists", forget: line("ldap_addresslist_type_attribute_value", "kopano-addresslist", "zarafa-addresslist"), deletes: "addresslist"},
			{what: "class of dynamic groups", forget: line("ldap_dynamicgroup_type_attribute_value", "kopano-dynamicgroup", "zarafa-dynamicgroup"), deletes: "dynamicgroup"},
			attribute("emailaliases_attribute"), attribute("isadmin_attribute"), attribute("sendas_attribute"), attribute("resource_capacity_attribute"),
			{what: "nonactive_attribute", forget: line("ldap_nonactive_attribute", "kopanoSharedStoreOnly", "zarafaSharedStoreOnly"), deletes: "shared room equipment"}, // as such: they come back as users
			{what: "resource_type_attribute", forget: line("ldap_resource_type_attribute", "kopanoResourceType", "zarafaResourceType"), deletes: "room equipment"},
			{what: "group_security_attribute", forget: line("ldap_group_security_attribute", "kopanoSecurityGroup", "zarafaSecurityGroup"), deletes: "group"},
			attribute("addresslist_filter_attribute"), attribute("addresslist_search_base_attribute"), attribute("dynamicgroup_filter_attribute"), attribute("dynamicgroup_search_base_attribute"),
			attribute("quotaoverride_attribute"), attribute("warnquota_attribute"), attribute("softquota_attribute"), attribute("hardquota_attribute"), attribute("addressbook_hide_attribute"),
			{what: "enabled features", forget: forget{file: "ldap.propmap.cfg", converted: "kopanoEnabledFeatures", old: "zarafaEnabledFeatures"}, changes: true},
			{what: "disabled features", forget: forget{file: "ldap.propmap.cfg", converted: "kopanoDisabledFeatures", old: "zarafaDisabledFeatures"}, changes: true},
			{what: "archive servers", forget: forget{file: "ldap.propmap.cfg", converted: "kopanoUserArchiveServers", old: "zarafaUserArchiveServers"}, changes: true},
			{what: "archive couplings", forget: forget{file: "ldap.propmap.cfg", converted: "kopanoUserArchiveCouplings", old: "zarafaUserArchiveCouplings"}, changes: true},
			{what: "the properties' map", forget: forget{file: "ldap.cfg", converted: "!propmap /etc/kopano/ldap.propmap.cfg\n"}, changes: true},
			{what: "a class of entries", forget: forget{entry: classOld("contact")}, deletes: "contact"},
			{what: "a structural class of entries", forget: forget{entry: classOld("addresslist")}, deletes: "addresslist"},
			{what: "an attribute of entries", forget: forget{entry: attributesOld("Aliases")}, changes: true},
			{what: "filters of address lists", forget: forget{entry: filterOld("kopano-addresslist")}, changes: true},
			{what: "filters of dynamic groups", forget: forget{entry: filterOld("kopano-dynamicgroup")}, changes: true},
			{what: "access rules", forget: forget{entry: hidden}, deletes: "shared room equipment"},
			{what: "a half of the directory", forget: forget{entry: halfOld}, changes: true},
			{what: "a base without people", forget: line("ldap_search_base", "dc=example,dc=net", "cn=node1,dc=example,dc=net"), deletes: "user shared room equipment contact group security dynamicgroup addresslist"},
			{what: "lines that the code's defaults say, too", forget: forget{file: "ldap.cfg", edit: withoutDefaults}, well: true},
			{what: "the properties' map of another place", forget: forget{file: "ldap.cfg", converted: "!propmap /etc/kopano/ldap.propmap.cfg\n", old: "!include /etc/kopano/more.cfg\n"}, well: true},
		}},
		{"own types", "", own, []row{
			{what: "class of users", forget: line("ldap_user_type_attribute_value", "posixAccount, kopano-user", "posixAccount, zarafa-user"), deletes: "user shared room equipment"},
			{what: "class of groups", forget: line("ldap_group_type_attribute_value", "kopano-group", "zarafa-group"), deletes: "group security"},
			{what: "a class of entries", forget: forget{entry: classOld("user")}, deletes: "user shared room equipment"},
			{what: "a half of the directory", forget: forget{entry: halfOld}, changes: true},
		}},
		{"filters", hosted, filters, []row{
			{what: "filter of users", forget: line("ldap_user_search_filter", "(kopanoAccount=1)", "(zarafaAccount=1)"), deletes: "user shared room equipment contact"},
			{what: "filter of groups", forget: line("ldap_group_search_filter", "(kopanoAccount=1)", "(zarafaAccount=1)"), deletes: "group security"},
			{what: "filter of companies", forget: line("ldap_company_search_filter", "(kopanoAccount=1)", "(zarafaAccount=1)"), deletes: "company"},
			{what: "filter of address lists", forget: line("ldap_addresslist_search_filter", "(kopanoAccount=1)", "(zarafaAccount=1)"), deletes: "addresslist"},
			{what: "filter of dynamic groups", forget: line("ldap_dynamicgroup_search_filter", "(kopanoAccount=1)", "(zarafaAccount=1)"), deletes: "dynamicgroup"},
		}},
		{"several tenants", hosted, own, []row{
			{what: "class of companies", forget: line("ldap_company_type_attribute_value", "kopano-company", "zarafa-company"), deletes: "company"},
			{what: "that there are tenants", forget: forget{file: "server.cfg", converted: "enable_hosted_kopano = yes\n", old: "enable_hosted_kopano = no\n"}, deletes: "company"},
			attribute("company_view_attribute"), attribute("company_admin_attribute"), attribute("company_system_admin_attribute"), attribute("userdefault_quotaoverride_attribute"),
			attribute("userdefault_warnquota_attribute"), attribute("userdefault_softquota_attribute"), attribute("userdefault_hardquota_attribute"),
			attribute("quota_userwarning_recipients_attribute"), attribute("quota_companywarning_recipients_attribute"),
		}},
		{"several servers", distributed, own, []row{
			{what: "class of servers", forget: line("ldap_server_type_attribute_value", "kopano-server", "zarafa-server"), stops: true},
			{what: "http port", forget: line("ldap_server_http_port_attribute", "kopanoHttpPort", "zarafaHttpPort"), stops: true},
			{what: "name of the server", forget: forget{file: "server.cfg", converted: "server_name = Node1\n", old: "server_name = node9\n"}, stops: true},
			{what: "ssl port", forget: line("ldap_server_ssl_port_attribute", "kopanoSslPort", "zarafaSslPort")},
			{what: "socket", forget: line("ldap_server_file_path_attribute", "kopanoFilePath", "zarafaFilePath")},
			{what: "public store", forget: line("ldap_server_contains_public_attribute", "kopanoContainsPublic", "zarafaContainsPublic")},
			attribute("user_server_attribute"),
		}},
	} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			origin, before := cluster(t, s.server, s.ldap)
			converts, compares := comparingBook(t, `steps = [convert], allow = policy(write = ["/etc/kopano"], ldap = ["dc=example,dc=net"])`), comparingBook(t, `params = [param("values", doc = "as they were")], steps = [compare]`)
			values := playComparing(t, origin, converts, nil)["values"]
			database := slices.Collect(maps.Keys(before))
			p := pluginOf(t, origin, "/etc/kopano")
			if now := p.shown(); !maps.Equal(now, before) {
				t.Fatalf("converted, the server shows\n%s\nwant\n%s", told(now), told(before))
			}
			if why := p.start(); why != "" {
				t.Fatalf("converted, the server does not start: %s", why)
			}
			if found := playComparing(t, origin, compares, map[string]string{"values": values}); !agrees(found) {
				t.Fatalf("converted, safe mode stays: %q", found)
			}
			for _, r := range s.rows {
				h := origin.Clone()
				r.forget.from(t, h)
				p := pluginOf(t, h, "/etc/kopano")
				shown, why := p.shown(), p.start()
				if (why != "") != r.stops {
					t.Errorf("%s: the server starts: %q", r.what, why)
				}
				if deleted := classesDeleted(database, shown); r.deletes != "" && deleted != r.deletes {
					t.Errorf("%s: a user list deletes all of %q, want %q", r.what, deleted, r.deletes)
				}
				if changed := !maps.Equal(shown, before); changed != (r.changes || r.deletes != "") {
					t.Errorf("%s: the server shows something else: %v", r.what, changed)
				}
				if deleted := userList(database, shown, true); len(deleted) > 0 {
					t.Errorf("%s: in safe mode %q are deleted", r.what, deleted)
				}
				if found := playComparing(t, h, compares, map[string]string{"values": values}); agrees(found) != r.well && !r.stops {
					t.Errorf("%s: safe mode ends: %v", r.what, !r.well)
				}
			}
		})
	}
}

func agrees(found map[string]string) bool {
	_, agree := found["agree"]
	return agree
}

// classesDeleted are the classes of which a user list without safe mode deletes all, in the database's order of kinds.
func classesDeleted(database []object, shown map[object]string) string {
	left := map[string]int{}
	for _, o := range database {
		left[o.class]++
	}
	for _, o := range userList(database, shown, false) {
		left[o.class]--
	}
	var gone []string
	for _, class := range []string{"user", "shared", "room", "equipment", "contact", "group", "security", "dynamicgroup", "company", "addresslist"} {
		if n, known := left[class]; known && n == 0 {
			gone = append(gone, class)
		}
	}
	return strings.Join(gone, " ")
}

// told is what a server shows, as text.
func told(shown map[object]string) string {
	data, err := json.MarshalIndent(fmt.Sprint(shown), "", " ")
	if err != nil {
		return err.Error()
	}
	return string(data)
}
