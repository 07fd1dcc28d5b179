package cfg

import (
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"

	"zcp2kopano/runtime/host/secrets"
)

// Note is one change that a conversion made, for people. Secret values are "***".
type Note struct {
	File      string // path of the new file
	Line      int    // in the new file; 0 if nothing is left there
	Directive string
	Old, New  string
	Reason    string
}

// String is the note in one line: "/etc/kopano/server.cfg:12: server_listen = *:236 (reason)".
func (n Note) String() string {
	place := n.File
	if n.Line == 0 {
		return fmt.Sprintf("%s: %s dropped (%s)", place, n.Directive, n.Reason)
	}
	text := fmt.Sprintf("%s:%d: %s = %s", place, n.Line, n.Directive, n.New)
	if n.New == "" {
		text = fmt.Sprintf("%s:%d: %s is empty", place, n.Line, n.Directive) // what follows is no value of it
	}
	if n.Old != "" && n.Old != n.New {
		text += ", was " + n.Old
	}
	return text + " (" + n.Reason + ")"
}

// want is a directive that the new file must set: always, or only where the new release would do
// something else without it.
type want struct {
	name, value string
	reason      string
	always      bool
	near        []string // directives whose place it takes
	together    bool     // told in one note for all of these
}

// conversion turns the settings of one ZCP daemon into those of its Kopano counterpart.
//
// First the values that count are taken from the old tree. Then the old lines are rewritten in place:
// names, values, and lines that the new release does not know or ignores become comments, because an
// unknown option stops the C++ daemons (ECConfigImpl.cpp; manual 4.3.5). The wants, decided before,
// are set last.
type conversion struct {
	daemon   string
	from, to Version
	paths    paths
	schema   string // "keep" or "kopano": which LDAP schema the directory will have
	out      func(f *File) string
	where    func(string) string // where an old path is on the host
	original func(string) string // what the site calls an old path
	exists   func(string) bool   // whether a path of the new files will be there

	old      map[string]string // as set in the old tree
	at       map[string]string // where: "PATH:LINE"
	renamed  map[string]string // new name to old name
	aliases  map[string]string
	wants    []want
	notes    []Note
	problems []Problem
	together int // wants that were told together
}

// set returns the old value that was set explicitly.
func (c *conversion) set(name string) (string, bool) {
	v, ok := c.old[name]
	return v, ok
}

// effective returns the value that ZCP used: the set one, else its default.
func (c *conversion) effective(name string) (string, bool) {
	if v, ok := c.old[name]; ok {
		return v, true
	}
	d := Lookup(c.daemon, name)
	if d == nil {
		return "", false
	}
	return d.ZCPDefault(c.from)
}

func (c *conversion) value(name string) string {
	v, _ := c.effective(name)
	return v
}

// knows reports whether the new release accepts a directive and honours it.
func (c *conversion) knows(name string) bool {
	d := Lookup(c.daemon, name)
	return d != nil && d.Known(c.to) && !d.Ignored(c.to)
}

func (c *conversion) wantAlways(name, value, reason string, near ...string) {
	c.wants = append(c.wants, want{name: name, value: value, reason: reason, always: true, near: near})
}

func (c *conversion) note(f *File, line int, name, old, new, reason string) {
	if secrets.Name(name) {
		if old != "" {
			old = "***"
		}
		if new != "" {
			new = "***"
		}
	}
	c.notes = append(c.notes, Note{c.out(f), line, name, old, new, reason})
}

func (c *conversion) problem(f *File, line int, format string, args ...any) {
	c.problems = append(c.problems, Problem{Path: c.out(f), Line: line, Text: fmt.Sprintf(format, args...)})
}

// stop tells of a setting at which the daemon does not start.
func (c *conversion) stop(f *File, line int, name, format string, args ...any) {
	daemon := c.daemon
	if daemon == "ldap" || daemon == "unix" {
		daemon = "server"
	}
	c.problems = append(c.problems, Problem{Path: c.out(f), Line: line, Text: fmt.Sprintf(format, args...), Stops: daemon, At: c.at[name]})
}

// run decides the wants and rewrites the files of a tree. The wants are left to the caller.
func (c *conversion) run(t *Tree) {
	c.old, c.renamed, c.aliases = map[string]string{}, map[string]string{}, map[string]string{}
	c.at = map[string]string{}
	for _, s := range t.Settings() {
		name := c.unalias(s.Name)
		c.old[name], c.at[name] = s.Value, fmt.Sprintf("%s:%d", c.original(s.Path), s.Line)
	}
	c.decide(t.Top)
	for _, f := range t.Files {
		c.rewrite(f)
	}
}

// settle sets the wants in a file whose other settings stand. Where the file, or the release, already
// does what is wanted, a want that need not be written down is left out.
func (c *conversion) settle(f *File) error {
	for _, w := range c.wants {
		current, set := f.Get(w.name)
		if set && (current == w.value || !w.always && same(w.name, current, w.value)) {
			continue
		}
		if def, _ := Lookup(c.daemon, w.name).Default(c.to); !set && f.floor == 0 && !w.always && same(w.name, def, w.value) {
			continue
		}
		line, err := f.SetAfter(w.name, w.value, w.near...)
		if err != nil {
			return err
		}
		if !w.together {
			c.note(f, line, w.name, c.old[w.name], w.value, w.reason)
			continue
		}
		if c.together++; c.together == 1 {
			c.note(f, line, w.name+", ...", "", w.value+", ...", w.reason)
		}
	}
	return nil
}

// unalias resolves a second name of a directive ("server_port" is server_tcp_port).
func (c *conversion) unalias(name string) string {
	d := Lookup(c.daemon, name)
	if d == nil {
		return name
	}
	target := d.aliasAt(c.from)
	if target == "" {
		return name
	}
	c.aliases[name] = target
	return target
}

// decide collects the wants of the daemon.
func (c *conversion) decide(top *File) {
	c.decideListen(top)
	c.decideTLS()
	switch c.daemon {
	case "server":
		c.decideServer()
	case "archiver":
		c.decideDatabase()
	case "ldap":
		c.decideLDAP(top)
	}
	c.decidePins()
}

// --- names

// renames are directives that only changed their name (manual 4.3.5), and statistics sockets that
// became URLs (8.7.0).
var renames = []struct {
	daemon, old, new string
	prefix           string // put before the value
}{
	{"server", "enable_distributed_zarafa", "enable_distributed_kopano", ""},
	{"server", "enable_hosted_zarafa", "enable_hosted_kopano", ""},
	{"dagent", "z_statsd_stats", "statsclient_url", "unix:"},
	{"spooler", "z_statsd_stats", "statsclient_url", "unix:"},
	{"backup", "threads", "worker_processes", ""},
}

// rewrite changes the lines of one file.
func (c *conversion) rewrite(f *File) {
	for _, r := range renames {
		if r.daemon == c.daemon && c.knows(r.new) && !c.knows(r.old) {
			c.rename(f, r.old, r.new, r.prefix)
		}
	}
	for _, alias := range sortedNames(c.aliases) {
		c.rename(f, alias, c.aliases[alias], "")
	}
	c.rewriteIncludes(f)
	for _, name := range activeNames(f) {
		if reason := c.dropReason(name); reason != "" {
			old, _ := f.Get(name)
			f.Drop(name, reason)
			c.note(f, 0, name, old, "", reason)
		}
	}
	for i, l := range f.lines {
		if l.kind != setting {
			continue
		}
		if value := c.newValue(l.name, l.value); value != l.value {
			f.setValue(i, value)
			c.note(f, i+1, l.name, l.value, value, c.valueReason(l.name, l.value))
		}
	}
}

func (c *conversion) rename(f *File, old, name, prefix string) {
	value, ok := f.Get(old)
	if !ok {
		return
	}
	if n, err := f.Rename(old, name); err != nil || n == 0 {
		return
	}
	c.renamed[name] = old
	i := f.last(name)
	if prefix != "" && value != "" && !strings.HasPrefix(value, prefix) {
		f.setValue(i, prefix+value)
	}
	c.note(f, i+1, name, old, f.lines[i].value, "its name in Kopano")
}

func (c *conversion) rewriteIncludes(f *File) {
	for i := 0; i < len(f.lines); i++ {
		l := f.lines[i]
		if l.kind != directive || l.value == "" {
			continue
		}
		if c.python() {
			reason := "kopano-" + c.daemon + " is a Python program and reads no " + l.name + " lines"
			f.DropInclude(i+1, reason)
			c.problem(f, i+2, "%s; put the settings of %s into this file", reason, l.value)
			i++
			continue
		}
		if arg := c.newInclude(f, l.value); arg != l.value {
			f.SetInclude(i+1, arg)
			c.note(f, i+1, l.name, l.value, arg, "paths of Kopano")
		}
	}
}

// newInclude is the argument of an include line in the new file. A relative one counts from where its file is,
// and that changes for files from outside.
func (c *conversion) newInclude(f *File, arg string) string {
	dir := f.dir
	if dir == "" {
		dir = path.Dir(f.Path)
	}
	if !path.IsAbs(arg) {
		source := c.where(path.Join(dir, arg))
		if c.paths.moved[source] != "" {
			return c.paths.moved[source]
		}
		if c.paths.moved[f.Path] == "" {
			return arg
		}
		arg = path.Join(dir, arg)
	}
	return c.paths.convert(arg)
}

// dropReason says why a directive cannot stay as it is; "" if it can.
func (c *conversion) dropReason(name string) string {
	program := "kopano-" + c.daemon + " " + c.to.String()
	if c.daemon == "ldap" || c.daemon == "unix" {
		program = "the " + c.daemon + " plugin of kopano-server " + c.to.String()
	}
	heirs := c.heirs(name)
	switch {
	case len(heirs) > 0 && !c.knows(name):
		return "replaced by " + strings.Join(heirs, ", ")
	case c.runsAsDefault(name):
		return "the default is kopano; an empty line would keep the daemon root"
	case c.daemon == "server" && name == "plugin_path":
		return "Kopano finds its own plugins"
	case c.protocolsDropped(name):
		return "no restriction is left in it; " + program + " uses its own minimum"
	}
	d := Lookup(c.daemon, name)
	switch {
	case d == nil || !d.Known(c.to):
		return program + " does not know it" + c.heir(d)
	case d.Ignored(c.to):
		return program + " ignores it" + c.heir(d)
	case d.Flag(c.to, "NONEMPTY") && c.old[name] == "":
		return program + " refuses an empty value; its default applies"
	}
	return ""
}

// heir names the directive that took the place of another, with its default.
func (c *conversion) heir(d *Directive) string {
	if d == nil || !c.knows(d.Replacement) {
		return ""
	}
	def, _ := Lookup(c.daemon, d.Replacement).Default(c.to)
	if def = plain(def); def == "" {
		return "; " + d.Replacement + " took its place, which is empty by default"
	}
	return "; " + d.Replacement + " took its place, with the default " + def
}

// runsAsDefault reports whether a run_as_* line says no more than the default does. An active empty
// line, as ZCP up to 7.2.1 shipped it, would keep the daemon root (manual 4.3.4).
func (c *conversion) runsAsDefault(name string) bool {
	return (name == "run_as_user" || name == "run_as_group") && (c.old[name] == "" || c.old[name] == "zarafa")
}

// --- values

// literal are directives whose values are never paths of ZCP.
func (c *conversion) literal(name string) bool {
	if name == "attachment_path" && c.value("attachment_storage") == "s3" {
		return true // the beginning of the objects' names, and no path
	}
	return secrets.Name(name) || strings.HasPrefix(name, "mysql_") || c.daemon == "ldap" || name == "server_name"
}

// newValue converts a value in place.
func (c *conversion) newValue(name, value string) string {
	switch {
	case c.daemon == "ldap" && c.schema == "kopano":
		return kopanoSchema(name, value)
	case c.daemon == "server" && name == "user_plugin" && value == "ldapms" && c.to.AtLeast(8, 2, 0):
		return "ldap"
	case isProtocols(name):
		return c.protocols(value)
	case isUserScript(c.daemon, name) && c.shippedScript(name, value):
		if def, ok := Lookup(c.daemon, name).Default(c.to); ok {
			return def
		}
	case c.literal(name):
		return value
	case c.pythonKind(name) == "size" && value != "" && strings.Trim(value, "0123456789") == "":
		return value + "b"
	case c.pythonKind(name) == "boolean" && slices.Contains(pythonBools, strings.ToLower(value)):
		return strings.ToLower(value)
	}
	return c.paths.convert(value)
}

func (c *conversion) valueReason(name, old string) string {
	switch {
	case c.daemon == "ldap":
		return "attribute names of the Kopano schema"
	case name == "user_plugin":
		return "the ldap plugin of Kopano does what ldapms did"
	case isProtocols(name):
		return "a protocol that the library does not have stops the daemon"
	case c.pythonKind(name) == "size":
		return "a size needs its unit"
	case c.pythonKind(name) == "boolean":
		return "kopano-" + c.daemon + " takes it in lower case only"
	case isUserScript(c.daemon, name) && c.shippedScript(name, old):
		return "Kopano's own script; the one of ZCP expects ZARAFA_* variables"
	}
	return "paths of Kopano"
}

func isUserScript(daemon, name string) bool {
	return daemon == "server" && strings.HasSuffix(name, "_script")
}

// shippedScript reports whether a user script is ZCP's own.
func (c *conversion) shippedScript(name, value string) bool {
	d := Lookup(c.daemon, name)
	if d == nil {
		return false
	}
	def, _ := d.ZCPDefault(c.from)
	return value == def || d.EverShipped(Version{7, 2, 6}, value) || ownScript(strings.TrimPrefix(value, c.paths.oldEtc+"/"))
}

// --- listening

// listening are the options that 8.7.0 joined into lists of ADDRESS:PORT. The server and the gateway
// compare with "yes" exactly, ical ignores case; dagent has no switch.
var listening = []struct {
	daemon, list, enable, port string
	foldCase                   bool
}{
	{"server", "server_listen", "server_tcp_enabled", "server_tcp_port", false},
	{"server", "server_listen_tls", "server_ssl_enabled", "server_ssl_port", false},
	{"gateway", "pop3_listen", "pop3_enable", "pop3_port", false},
	{"gateway", "pop3s_listen", "pop3s_enable", "pop3s_port", false},
	{"gateway", "imap_listen", "imap_enable", "imap_port", false},
	{"gateway", "imaps_listen", "imaps_enable", "imaps_port", false},
	{"ical", "ical_listen", "ical_enable", "ical_port", true},
	{"ical", "icals_listen", "icals_enable", "icals_port", true},
	{"dagent", "lmtp_listen", "", "lmtp_port", false},
}

// decideListen writes where the daemon listens, always: the defaults changed with 8.7.0, and again,
// to the loopback device only, with 9.0.1. What was off needs an explicit empty value.
func (c *conversion) decideListen(top *File) {
	for _, l := range listening {
		if l.daemon != c.daemon || !c.knows(l.list) || c.knows(l.port) {
			continue
		}
		near := []string{l.port, "server_bind"}
		if l.enable != "" {
			near = append(near, l.enable)
		}
		if c.daemon == "dagent" && !c.knows("server_bind_intf") {
			near = append(near, "server_bind_intf")
		}
		if v, ok := c.set(l.list); ok {
			c.wantAlways(l.list, v, "set already", near...)
			continue
		}
		value := ""
		enabled := c.value(l.enable)
		if l.enable == "" || enabled == "yes" || l.foldCase && strings.EqualFold(enabled, "yes") {
			value = c.listenAddress(top, c.value("server_bind"), c.port(top, l.port))
		}
		reason := "as before, and written down: the defaults changed between releases"
		if value == "" {
			reason = "was off, and stays off only with an explicit empty value"
		}
		c.wantAlways(l.list, value, reason, near...)
	}
}

// port is a port, or ZCP's default where the site has set none: an empty one cannot be written into a list or a URL.
func (c *conversion) port(top *File, name string) string {
	if v := c.value(name); v != "" {
		return v
	}
	def, _ := Lookup(c.daemon, name).ZCPDefault(c.from)
	c.problem(top, 0, "%s is empty: taken for %s; check it", name, def)
	return def
}

// listenAddress writes an address as Kopano reads it: numeric, IPv6 in brackets, "*" for all.
func (c *conversion) listenAddress(top *File, bind, port string) string {
	iface := ""
	if c.daemon == "dagent" && !c.knows("server_bind_intf") && c.value("server_bind_intf") != "" {
		iface = "%" + c.value("server_bind_intf")
	}
	switch bind {
	case "", "0.0.0.0", "::", "*":
		return "*" + iface + ":" + port
	case "localhost":
		return "127.0.0.1" + iface + ":" + port
	}
	addr, err := netip.ParseAddr(strings.Trim(bind, "[]"))
	if err != nil {
		c.stop(top, 0, "server_bind", "server_bind = %s is not a numeric address, and Kopano %s takes no other; write the address", bind, c.to)
		return bind + iface + ":" + port
	}
	if addr.Is6() {
		return "[" + addr.String() + "]" + iface + ":" + port
	}
	return addr.String() + iface + ":" + port
}

// --- TLS

func isProtocols(name string) bool { return name == "server_ssl_protocols" || name == "ssl_protocols" }

// protocols drops SSLv2 from a list like "!SSLv2 !SSLv3": from 8.2.0 on a protocol that the library
// does not have stops the daemon (KC-230).
func (c *conversion) protocols(value string) string {
	if !c.to.AtLeast(8, 2, 0) {
		return value
	}
	var kept []string
	for _, word := range strings.Fields(value) {
		if !strings.EqualFold(strings.TrimLeft(word, "!+-"), "SSLv2") {
			kept = append(kept, word)
		}
	}
	return strings.Join(kept, " ")
}

// protocolsDropped reports whether a list of protocols says nothing any more.
func (c *conversion) protocolsDropped(name string) bool {
	return isProtocols(name) && c.knows(name) && c.old[name] != "" && c.protocols(c.old[name]) == ""
}

var protocolLevels = []struct{ level, name string }{
	{"ssl3", "SSLv3"}, {"tls1.0", "TLSv1"}, {"tls1.1", "TLSv1.1"}, {"tls1.2", "TLSv1.2"}, {"tls1.3", "TLSv1.3"},
}

// decideTLS turns a site's own list of protocols into the lowest protocol left on, which is what
// 9.0.1 and later ask for.
func (c *conversion) decideTLS() {
	for _, name := range []string{"server_ssl_protocols", "ssl_protocols"} {
		minimum := strings.Replace(name, "ssl_protocols", "tls_min_proto", 1)
		value, ok := c.set(name)
		if !ok || !c.knows(minimum) || c.knows(name) || c.protocols(value) == "" {
			continue
		}
		if _, set := c.set(minimum); set {
			continue
		}
		if level := lowestProtocol(value); level != "" {
			c.wantAlways(minimum, level, name+" = "+value+" left this as the lowest protocol", name)
		}
	}
}

func lowestProtocol(list string) string {
	on, off := map[string]bool{}, map[string]bool{}
	for _, word := range strings.Fields(list) {
		name := strings.ToLower(strings.TrimLeft(word, "!+-"))
		name = strings.TrimSuffix(name, ".0")
		if strings.HasPrefix(word, "!") || strings.HasPrefix(word, "-") {
			off[name] = true
		} else {
			on[name] = true
		}
	}
	for _, p := range protocolLevels {
		name := strings.ToLower(p.name)
		if !off[name] && (len(on) == 0 || on[name] || on["all"]) {
			return p.level
		}
	}
	return ""
}

// --- defaults that changed without a word

// decidePins writes down what ZCP worked by wherever the default of Kopano is another one, but for those that
// are to be in force (defaults.tsv).
func (c *conversion) decidePins() {
	reason := "as before; the default of Kopano " + c.to.String() + " differs"
	for _, d := range Directives(c.daemon) {
		value, ok := c.effective(d.Name)
		if !ok || c.daemon == "ldap" || !c.knows(d.Name) || d.unused(c.from) || value == "<required>" {
			continue
		}
		if _, set := c.set(d.Name); c.wanted(d.Name) || set && c.dropReason(d.Name) != "" {
			continue
		}
		value = c.newValue(d.Name, plain(value))
		if d.Flag(c.to, "NONEMPTY") && value == "" || c.python() && c.missing(d, value) {
			continue
		}
		if _, ok := c.newDefault(d.Name); !ok || c.logsToFile(d.Name) {
			c.wants = append(c.wants, want{name: d.Name, value: value, reason: reason})
		}
	}
}

func (c *conversion) wanted(name string) bool {
	return slices.ContainsFunc(c.wants, func(w want) bool { return w.name == name })
}

// logsToFile tells whether a directive has the daemon log to a file, as it did.
func (c *conversion) logsToFile(name string) bool {
	return (name == "log_file" || name == "log_method") && strings.HasPrefix(c.value("log_file"), "/") && c.value("log_method") == "file"
}

// missing tells whether a Python daemon would stop because a path is not there.
func (c *conversion) missing(d *Directive, value string) bool {
	_, must := d.PythonType(c.to)
	return must && path.IsAbs(value) && !c.exists(value)
}

// pythonBool spells the default of a Python daemon as its configuration file wants it.
func pythonBool(value string) string {
	switch value {
	case "True":
		return "yes"
	case "False":
		return "no"
	}
	return value
}

// --- server.cfg

func (c *conversion) decideServer() {
	c.decideDatabase()
	if v, ok := c.effective("attachment_storage"); ok {
		c.wantAlways("attachment_storage", v, "the default of Kopano differs; a wrong one hides attachments")
	}
	if v, ok := c.effective("attachment_path"); ok {
		c.wantAlways("attachment_path", c.newValue("attachment_path", v), "the default of Kopano differs between releases")
	}
	c.wantAlways("local_admin_users", localAdmins(c.value("local_admin_users")), "the other daemons connect as user kopano")
}

// decideDatabase writes how the database is reached, always: the default names changed from zarafa
// to kopano, and a server that starts on the new defaults creates an empty database.
func (c *conversion) decideDatabase() {
	for _, name := range []string{"mysql_host", "mysql_port", "mysql_user", "mysql_password", "mysql_database", "mysql_socket"} {
		if v, ok := c.effective(name); ok && c.knows(name) {
			c.wantAlways(name, v, "written down, so that no default of Kopano applies")
		}
	}
}

func localAdmins(value string) string {
	users := strings.Fields(value)
	for i, u := range users {
		if u == "zarafa" {
			users[i] = "kopano"
		}
	}
	if !slices.Contains(users, "kopano") {
		users = append(users, "kopano")
	}
	var unique []string
	for _, u := range users {
		if !slices.Contains(unique, u) {
			unique = append(unique, u)
		}
	}
	return strings.Join(unique, " ")
}

// --- ldap.cfg

func (c *conversion) decideLDAP(top *File) {
	c.decideURI(top)
	if v := c.value("ldap_authentication_method"); v == "password" && !c.knows("ldap_authentication_method") {
		c.problem(top, 0, "ldap_authentication_method = password: Kopano %s authenticates by bind only; give users the right to bind", c.to)
	}
	if c.schema != "keep" {
		c.tellUnreadFilters(top)
		return
	}
	for _, d := range Directives("ldap") {
		if _, set := c.set(d.Name); set || !d.Known(c.to) || d.Ignored(c.to) || d.Conditional(c.to) {
			continue
		}
		if v := zarafaDefault(d, c.from); v != "" {
			c.wants = append(c.wants, want{name: d.Name, value: v, always: true, together: true,
				reason: "the defaults of ZCP, written down because the directory keeps the Zarafa schema"})
		}
	}
}

// zarafaDefault is ZCP's default of an LDAP directive if it names an attribute of the Zarafa schema.
func zarafaDefault(d *Directive, from Version) string {
	v, ok := d.ZCPDefault(from)
	if !ok {
		v, _ = d.ZCPDefault(Version{7, 2, 6}) // multi-server builds of earlier releases
	}
	if !strings.HasPrefix(v, "zarafa") {
		return ""
	}
	return v
}

// decideURI joins host, port and protocol, which 8.7.0 calls obsolete and 9.0.1 refuses.
func (c *conversion) decideURI(top *File) {
	if c.knows("ldap_host") {
		return
	}
	old := []string{"ldap_host", "ldap_port", "ldap_protocol"}
	if v, _ := c.set("ldap_uri"); v != "" {
		c.wantAlways("ldap_uri", v, "set already", old...)
		return
	}
	host, protocol := c.value("ldap_host"), "ldap"
	if c.value("ldap_protocol") == "ldaps" {
		protocol = "ldaps"
	}
	if host == "" {
		host = "localhost"
		c.problem(top, 0, "ldap_host is empty: taken for localhost; check ldap_uri")
	}
	if addr, err := netip.ParseAddr(host); err == nil && addr.Is6() {
		host = "[" + host + "]"
	}
	c.wantAlways("ldap_uri", protocol+"://"+host+":"+c.port(top, "ldap_port"), "joins ldap_host, ldap_port and ldap_protocol", old...)
}

// --- checks

// python reports whether the daemon's program is a Python one in Kopano.
func (c *conversion) python() bool {
	return slices.Contains([]string{"search", "presence", "backup", "spamd", "autorespond"}, c.daemon)
}

// checkNames finds what the file that was there before the takeover sets and the daemon does not know: an
// earlier attempt, with another release, has left it.
func (c *conversion) checkNames(f *File) {
	for _, name := range activeNames(f) {
		if d := Lookup(c.daemon, name); d == nil || !d.Known(c.to) {
			c.problem(f, f.last(name)+1, "%s was set there before, and kopano-%s %s does not know it: it may refuse to start; take the line out", name, c.daemon, c.to)
		}
	}
}

// checkValues finds what an admin should look at in the finished file, and what a Python daemon
// would stop at.
func (c *conversion) checkValues(f *File) {
	if v, ok := f.Get("run_as_user"); ok && v != "kopano" {
		c.problem(f, f.last("run_as_user")+1, "run_as_user = %s is kept; Kopano is made to run as kopano (manual 4.3.4), files must belong to the user it runs as", v)
	}
	if !c.python() {
		return
	}
	for _, s := range f.Settings() {
		d := Lookup(c.daemon, s.Name)
		if d == nil {
			continue
		}
		if strings.HasPrefix(s.Value, "$") {
			c.problem(f, s.Line, "%s: kopano-%s does not read the environment; write the value", quoted(s), c.daemon)
		}
		if want := d.pythonWants(c.to, s.Value); want != "" {
			c.stop(f, s.Line, s.Name, "%s: kopano-%s stops unless it is %s", quoted(s), c.daemon, want)
		}
	}
}

// quoted is a setting in a sentence, without its value if that is a secret: all that follows would be masked with it.
func quoted(s Setting) string {
	if secrets.Name(s.Name) {
		return s.Name
	}
	return s.Name + " = " + s.Value
}

// activeNames lists the directives that a file sets, each once, in order.
func activeNames(f *File) []string {
	var names []string
	for _, l := range f.lines {
		if l.kind == setting && !slices.Contains(names, l.name) {
			names = append(names, l.name)
		}
	}
	return names
}
