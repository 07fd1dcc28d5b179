package runbooks_test

import (
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/sim"
)

// userPlugin reads ldap.cfg and the directory as kopano-server's LDAP plugin does (kopano-core 8.7.20,
// LDAPUserPlugin.cpp; measured with a real server). It is written for the tests alone, and shares no code with the
// runbooks that it judges.
type userPlugin struct {
	t           *testing.T
	h           *sim.Host
	settings    map[string]string
	properties  map[string]string // tag to attribute, of the file behind !propmap
	hosted      bool
	distributed bool
	serverName  string
}

// codeDefaults are what the plugin does without a line; classes have none, nor has the address of servers. ZCP's are
// the same with the other prefix.
var codeDefaults = map[string]string{
	"ldap_object_type_attribute": "objectClass", "ldap_user_unique_attribute": "cn", "ldap_group_unique_attribute": "cn",
	"ldap_company_unique_attribute": "ou", "ldap_addresslist_unique_attribute": "cn", "ldap_dynamicgroup_unique_attribute": "cn", "ldap_server_unique_attribute": "cn",
	"ldap_fullname_attribute": "cn", "ldap_loginname_attribute": "uid", "ldap_emailaddress_attribute": "mail", "ldap_emailaliases_attribute": "kopanoAliases",
	"ldap_isadmin_attribute": "kopanoAdmin", "ldap_nonactive_attribute": "kopanoSharedStoreOnly", "ldap_resource_type_attribute": "kopanoResourceType",
	"ldap_resource_capacity_attribute": "kopanoResourceCapacity", "ldap_sendas_attribute": "kopanoSendAsPrivilege", "ldap_groupname_attribute": "cn",
	"ldap_groupmembers_attribute": "member", "ldap_group_security_attribute": "kopanoSecurityGroup", "ldap_companyname_attribute": "ou",
	"ldap_company_view_attribute": "kopanoViewPrivilege", "ldap_company_admin_attribute": "kopanoAdminPrivilege", "ldap_company_system_admin_attribute": "kopanoSystemAdmin",
	"ldap_quotaoverride_attribute": "kopanoQuotaOverride", "ldap_warnquota_attribute": "kopanoQuotaWarn", "ldap_softquota_attribute": "kopanoQuotaSoft", "ldap_hardquota_attribute": "kopanoQuotaHard",
	"ldap_userdefault_quotaoverride_attribute": "kopanoUserDefaultQuotaOverride", "ldap_userdefault_warnquota_attribute": "kopanoUserDefaultQuotaWarn",
	"ldap_userdefault_softquota_attribute": "kopanoUserDefaultQuotaSoft", "ldap_userdefault_hardquota_attribute": "kopanoUserDefaultQuotaHard",
	"ldap_quota_userwarning_recipients_attribute": "kopanoQuotaUserWarningRecipients", "ldap_quota_companywarning_recipients_attribute": "kopanoQuotaCompanyWarningRecipients",
	"ldap_user_server_attribute": "kopanoUserServer", "ldap_company_server_attribute": "kopanoCompanyServer", "ldap_addressbook_hide_attribute": "kopanoHidden",
	"ldap_server_http_port_attribute": "kopanoHttpPort", "ldap_server_ssl_port_attribute": "kopanoSslPort", "ldap_server_file_path_attribute": "kopanoFilePath",
	"ldap_server_proxy_path_attribute": "kopanoProxyURL", "ldap_server_contains_public_attribute": "kopanoContainsPublic",
	"ldap_addresslist_filter_attribute": "kopanoFilter", "ldap_addresslist_search_base_attribute": "kopanoBase", "ldap_addresslist_name_attribute": "cn",
	"ldap_dynamicgroup_filter_attribute": "kopanoFilter", "ldap_dynamicgroup_search_base_attribute": "kopanoBase", "ldap_dynamicgroup_name_attribute": "cn",
}

// pluginOf is the plugin of a server that is configured below a directory, ZCP's or Kopano's.
func pluginOf(t *testing.T, h *sim.Host, etc string) *userPlugin {
	t.Helper()
	p := &userPlugin{t: t, h: h, settings: map[string]string{}, properties: map[string]string{}}
	product := path.Base(etc)
	for name, value := range codeDefaults {
		if rest, is := strings.CutPrefix(value, "kopano"); is {
			value = product + rest
		}
		p.settings[name] = value
	}
	server := map[string]string{}
	p.read(etc+"/server.cfg", server)
	p.read(etc+"/ldap.cfg", p.settings)
	p.hosted, p.distributed, p.serverName = server["enable_hosted_"+product] == "yes", server["enable_distributed_"+product] == "yes", server["server_name"]
	return p
}

// read reads lines "name = value" into values; what a file names by a directive is read, too.
func (p *userPlugin) read(file string, values map[string]string) {
	p.t.Helper()
	f, err := p.h.Open(file)
	if err != nil {
		p.t.Fatal(err)
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if other, is := strings.CutPrefix(line, "!propmap "); is {
			p.read(strings.TrimSpace(other), p.properties)
		} else if other, is := strings.CutPrefix(line, "!include "); is {
			p.read(strings.TrimSpace(other), values)
		} else if name, value, is := strings.Cut(line, "="); is && line[0] != '#' {
			values[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
}

func (p *userPlugin) get(name string) string { return p.settings["ldap_"+name] }

func classesOf(list string) []string {
	var classes []string
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name != "" {
			classes = append(classes, name)
		}
	}
	return classes
}

// classFilter is GetObjectClassFilter: all of a list must match.
func (p *userPlugin) classFilter(kind string) string {
	filter := ""
	for _, class := range classesOf(p.get(kind + "_type_attribute_value")) {
		filter += "(" + p.get("object_type_attribute") + "=" + class + ")"
	}
	if filter == "" {
		return ""
	}
	return "(&" + p.get(kind+"_search_filter") + filter + ")"
}

// everybody is the filter for all that the server takes for an object (getSearchFilter of OBJECTCLASS_UNKNOWN).
func (p *userPlugin) everybody() string {
	people := ""
	for _, kind := range []string{"user", "contact"} {
		people += p.classFilter(kind)
	}
	filter := "(|(&" + p.get("user_search_filter") + "(|" + people + "))"
	for _, kind := range []string{"group", "dynamicgroup", "company", "addresslist"} {
		if kind != "company" || p.hosted {
			filter += p.classFilter(kind)
		}
	}
	return filter + ")"
}

// first is an attribute's first value.
func first(e host.Entry, attribute string) string {
	for name, values := range e.Attributes {
		if attribute != "" && strings.EqualFold(name, attribute) && len(values) > 0 {
			return values[0]
		}
	}
	return ""
}

func all(e host.Entry, attribute string) []string {
	for name, values := range e.Attributes {
		if attribute != "" && strings.EqualFold(name, attribute) {
			return slices.Sorted(slices.Values(values))
		}
	}
	return nil
}

// object is one as the server shows it.
type object struct{ class, id string }

// identify is GetObjectIdForEntry: the kind of which most classes match, the later of those.
func (p *userPlugin) identify(e host.Entry) (object, bool) {
	has := map[string]bool{}
	for _, class := range all(e, p.get("object_type_attribute")) {
		has[strings.ToUpper(class)] = true
	}
	kind, most := "", 0
	for _, k := range []string{"user", "contact", "group", "dynamicgroup", "company", "addresslist"} {
		classes := classesOf(p.get(k + "_type_attribute_value"))
		lacks := slices.ContainsFunc(classes, func(c string) bool { return !has[strings.ToUpper(c)] })
		if len(classes) > 0 && !lacks && len(classes) >= most {
			kind, most = k, len(classes)
		}
	}
	if kind == "" {
		return object{}, false
	}
	unique := kind
	if kind == "contact" {
		unique = "user"
	}
	id := first(e, p.get(unique+"_unique_attribute"))
	switch {
	case kind == "user" && number(first(e, p.get("nonactive_attribute"))) != 0:
		kind = "shared"
		if r := strings.ToLower(first(e, p.get("resource_type_attribute"))); r == "room" || r == "equipment" {
			kind = r
		}
	case kind == "group":
		if s := first(e, p.get("group_security_attribute")); s != "0" && s != "no" && s != "false" {
			kind = "security"
		}
	}
	return object{kind, id}, id != ""
}

// number is atoi.
func number(text string) int {
	n, _ := strconv.Atoi(text)
	return n
}

func (p *userPlugin) search(base, filter string) []host.Entry {
	p.t.Helper()
	conn := host.DirectoryConn{URLs: []string{p.get("uri")}}
	found, err := p.h.SearchDirectory(p.t.Context(), conn, host.DirectorySearch{Base: base, Scope: "sub", Filter: filter})
	if err != nil {
		p.t.Fatalf("%s: %v", filter, err)
	}
	return found
}

// shown is all that the server shows of its objects, by what it takes them for.
func (p *userPlugin) shown() map[object]string {
	p.t.Helper()
	state := map[object]string{}
	for _, e := range p.search(p.get("search_base"), p.everybody()) {
		o, is := p.identify(e)
		if !is {
			continue
		}
		var lines []string
		for _, name := range p.details(o.class) {
			if values := all(e, p.get(name)); len(values) > 0 {
				lines = append(lines, fmt.Sprintf("%s %q", name, values))
			}
		}
		for _, tag := range slices.Sorted(maps.Keys(p.properties)) {
			if values := all(e, p.properties[tag]); len(values) > 0 {
				lines = append(lines, fmt.Sprintf("%s %q", tag, values))
			}
		}
		if o.class == "addresslist" || o.class == "dynamicgroup" {
			lines = append(lines, fmt.Sprintf("members %q", p.members(o.class, e)))
		}
		state[o] = strings.Join(lines, "\n")
	}
	return state
}

// details are the attributes that the server looks at of a class.
func (p *userPlugin) details(class string) []string {
	quota := []string{"quotaoverride_attribute", "warnquota_attribute", "softquota_attribute", "hardquota_attribute"}
	hidden := "addressbook_hide_attribute"
	switch class {
	case "group", "security":
		return []string{hidden, "groupname_attribute", "emailaddress_attribute", "emailaliases_attribute", "sendas_attribute", "groupmembers_attribute"}
	case "dynamicgroup":
		return []string{hidden, "dynamicgroup_name_attribute", "emailaddress_attribute", "emailaliases_attribute"}
	case "addresslist":
		return []string{hidden, "addresslist_name_attribute"}
	case "company":
		of := []string{hidden, "companyname_attribute", "company_view_attribute", "company_admin_attribute", "company_system_admin_attribute", "userdefault_quotaoverride_attribute",
			"userdefault_warnquota_attribute", "userdefault_softquota_attribute", "userdefault_hardquota_attribute", "quota_userwarning_recipients_attribute", "quota_companywarning_recipients_attribute"}
		return append(of, quota...)
	}
	of := append(quota, hidden, "fullname_attribute", "loginname_attribute", "emailaddress_attribute", "emailaliases_attribute", "isadmin_attribute", "resource_capacity_attribute", "sendas_attribute")
	if p.distributed {
		of = append(of, "user_server_attribute")
	}
	return of
}

// members are those whom a list's own filter finds.
func (p *userPlugin) members(class string, e host.Entry) []object {
	filter := first(e, p.get(class+"_filter_attribute"))
	if filter == "" {
		return nil
	}
	base := first(e, p.get(class+"_search_base_attribute"))
	if base == "" {
		base = p.get("search_base")
	}
	var members []object
	for _, m := range p.search(base, "(&"+p.everybody()+filter+")") {
		if o, is := p.identify(m); is {
			members = append(members, o)
		}
	}
	slices.SortFunc(members, func(a, b object) int { return strings.Compare(a.class+a.id, b.class+b.id) })
	return members
}

// start is why the server does not start; empty if it does. One of several must find itself.
func (p *userPlugin) start() string {
	if !p.distributed {
		return ""
	}
	class, address := p.get("server_type_attribute_value"), p.get("server_address_attribute")
	if class == "" || address == "" {
		return "ldap_server_type_attribute_value or ldap_server_address_attribute cannot be empty"
	}
	found := p.search(p.get("search_base"), fmt.Sprintf("(&%s(%s=%s)(%s=%s))", p.get("server_search_filter"), p.get("object_type_attribute"), class, p.get("server_unique_attribute"), p.serverName))
	if len(found) != 1 {
		return "unable to find server information on LDAP for " + p.serverName
	}
	for _, name := range []string{"server_http_port_attribute", "server_address_attribute"} {
		if first(found[0], p.get(name)) == "" {
			return "obligatory " + name + " missing"
		}
	}
	return ""
}

// userList is what a list of users makes of the database: whom the plugin does not show is deleted, unless safe mode is
// on. Opening the address book, kopano-admin -l and the quota monitor ask for one; a start alone, a login and a delivery
// do not.
func userList(database []object, shown map[object]string, safeMode bool) (deleted []object) {
	for _, o := range database {
		if _, is := shown[o]; !is && !safeMode {
			deleted = append(deleted, o)
		}
	}
	return deleted
}
