package cfg

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"sort"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/packagesystem"
)

// Takeover carries the configuration of ZCP over to Kopano (manual 4.3.4, 4.3.5).
type Takeover struct {
	Source   string // where the old files are: /etc/zarafa, or a copy of it
	Original string // what the old files call their directory: /etc/zarafa
	Target   string // /etc/kopano
	// Approach is "merge" (manual 4.3.4 a: Kopano's file, with what the site had set) or "copy"
	// (4.3.4 b: the old file, converted).
	Approach   string
	From, To   Version
	LDAPSchema string // "keep" the Zarafa schema, or "kopano"
	// Overrides are values for the new files, by file name ("server.cfg") and directive; they win.
	Overrides map[string]map[string]string
}

// NewFile is a configuration file to be written.
type NewFile struct {
	Path    string
	Source  string // "" if there was none
	Content []byte
}

// Other is something else in the old directory that Kopano needs as it is. Kind is "directory",
// "file" or "symlink"; Link is where the new symlink must point, Mode the mode of the new file if it is not
// to keep the old one's.
type Other struct {
	Kind   string
	Source string
	Target string
	Link   string
	Mode   string
}

// Result is what a takeover decided.
type Result struct {
	Files    []NewFile
	Notes    []Note
	Problems []Problem
	Entries  []Entry // what became of each directive
	Others   []Other
	Skipped  []Problem // files that are not taken over, with the reason
}

// daemons are the configuration files by name, and whose they are.
var daemons = map[string]string{
	"server.cfg": "server", "dagent.cfg": "dagent", "spooler.cfg": "spooler", "gateway.cfg": "gateway",
	"ical.cfg": "ical", "monitor.cfg": "monitor", "search.cfg": "search", "archiver.cfg": "archiver",
	"presence.cfg": "presence", "php-mapi.cfg": "php-mapi", "unix.cfg": "unix", "backup.cfg": "backup",
	"backup-plus.cfg": "backup", "spamd.cfg": "spamd", "statsd.cfg": "statsd", "admin.cfg": "admin",
	"autorespond.cfg": "autorespond",
	"ldap.cfg":        "ldap", "ldap.openldap.cfg": "ldap", "ldap.active-directory.cfg": "ldap",
	"ldapms.cfg": "ldap", "ldapms.openldap.cfg": "ldap", "ldapms.active-directory.cfg": "ldap",
}

// dropped are files of programs that Kopano Core does not have.
var dropped = map[string]string{
	"licensed.cfg":     "Kopano Core has no licensed daemon",
	"ws.cfg":           "Kopano Core has no counterpart of zarafa-ws",
	"msr.cfg":          "Kopano Core has no counterpart of zarafa-msr",
	"indexer.cfg":      "zarafa-indexer became kopano-search; see search.cfg",
	"license":          "Kopano Core has no licensed daemon",
	"searchscripts":    "kopano-search reads attachments without scripts",
	"webaccess":        "WebAccess ended with ZCP 7.2.2; WebApp takes its place",
	"webaccess-ajax":   "WebAccess ended with ZCP 7.2.2; WebApp takes its place",
	"webaccess-mobile": "WebAccess ended with ZCP 7.2.2; WebApp takes its place",
	"zarafa-webaccess": "WebAccess ended with ZCP 7.2.2; WebApp takes its place",
}

// Run decides the new files. It reads the host and changes nothing.
func (t Takeover) Run(view host.FileReader) (*Result, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	entries, err := view.ReadDir(t.Source)
	if err != nil {
		return nil, fmt.Errorf("the old configuration directory: %w", explain(t.Source, err))
	}
	sure := &sureReader{FileReader: view}
	w := &work{Takeover: t, view: sure, result: &Result{}, handled: map[string]bool{}, written: map[string]*File{},
		paths: paths{t.Original, t.Target, map[string]string{}}, plugin: map[string]string{}, instances: map[string]string{}}
	names := map[string]bool{}
	for _, e := range entries {
		names[e.Name] = true
	}
	if err := w.files(names); err != nil {
		return nil, err
	}
	if err := w.others(t.Source, entries); err != nil {
		return nil, err
	}
	result, err := w.finish()
	if sure.failed != nil {
		return nil, sure.failed
	}
	return result, err
}

func (t Takeover) check() error {
	switch {
	case t.From[0] != 7:
		return fmt.Errorf("from version %s: want a release of ZCP 7", t.From)
	case t.To[0] < 8:
		return fmt.Errorf("to version %s: want a release of Kopano Core, 8.0.0 or later", t.To)
	case t.Approach != "merge" && t.Approach != "copy":
		return fmt.Errorf("approach %q: want merge or copy", t.Approach)
	case t.LDAPSchema != "keep" && t.LDAPSchema != "kopano":
		return fmt.Errorf("LDAP schema %q: want keep or kopano", t.LDAPSchema)
	}
	for file, values := range t.Overrides {
		daemon := daemons[file]
		if daemon == "" {
			return fmt.Errorf("overrides: %s is not a configuration file of Kopano", file)
		}
		for name := range values {
			if d := Lookup(daemon, name); d == nil || !d.Known(t.To) {
				return fmt.Errorf("overrides: %s: Kopano %s does not know %s", file, t.To, name)
			}
		}
	}
	return nil
}

// work is one takeover under way.
type work struct {
	Takeover
	view      host.FileReader
	paths     paths
	result    *Result
	handled   map[string]bool   // source paths that need no copy
	written   map[string]*File  // new files by source path, converted
	instances map[string]string // source path of a further instance's file: its daemon
	plugin    map[string]string // source path of the user plugin's file: its daemon
	order     []NewFile
	// accounts are the conversions of the daemons' files, for the list of what became of each directive.
	accounts []accounted
}

// where finds a path of the old files on the host.
func (w *work) where(p string) string { return rebase(p, w.Original, w.Source) }

// out is the path of the new file for an old one.
func (w *work) out(source string) string {
	if to := w.paths.moved[source]; to != "" {
		return to
	}
	p := rebase(source, w.Source, w.Target)
	if path.Base(p) == "backup-plus.cfg" {
		p = path.Join(path.Dir(p), "backup.cfg")
	}
	return p
}

// bringIn has a file from outside the old directory converted into the new one: left where it is, it would keep
// directives that the daemons refuse, and the daemons read it as another user from now on.
func (w *work) bringIn(source string) {
	if !below(source, w.Source) && w.paths.moved[source] == "" {
		w.paths.moved[source] = path.Join(w.Target, "included", strings.ReplaceAll(strings.Trim(source, "/"), "/", "-"))
	}
}

// bringInAll is bringIn for a file of a daemon and what it names, as far as it is there.
func (w *work) bringInAll(f *File) {
	w.bringIn(f.Path)
	for _, inc := range f.Includes() {
		if source := w.where(inc.Path); w.exists(source) {
			w.bringIn(source)
		}
	}
}

func (w *work) skip(source, reason string) {
	w.handled[source] = true
	w.result.Skipped = append(w.result.Skipped, Problem{Path: source, Text: reason})
}

// files converts the configuration file of each daemon, the server's first: it names the file of the
// user plugin.
func (w *work) files(names map[string]bool) error {
	if names["server.cfg"] {
		if err := w.findPlugin(); err != nil {
			return err
		}
	}
	if err := w.findInstances(names); err != nil {
		return err
	}
	todo := w.daemonFiles(names)
	for _, source := range todo {
		if err := w.file(source, w.daemonOf(source)); err != nil {
			return err
		}
	}
	if names["autorespond"] {
		if err := w.autorespond(); err != nil {
			return err
		}
	}
	if err := w.propmaps(names); err != nil {
		return err
	}
	return w.overrideMissing()
}

// findPlugin reads from server.cfg which file configures the user plugin.
func (w *work) findPlugin() error {
	tree, err := LoadTree(w.view, path.Join(w.Source, "server.cfg"), w.where)
	if err != nil {
		return err
	}
	plugin, config := "db", path.Join(w.Original, "ldap.cfg")
	if s, ok := tree.Get("user_plugin"); ok {
		plugin = s.Value
	}
	if s, ok := tree.Get("user_plugin_config"); ok && path.IsAbs(s.Value) {
		config = path.Clean(s.Value)
	}
	switch plugin {
	case "ldap", "ldapms":
		w.plugin[w.where(config)] = "ldap"
	case "unix":
		w.plugin[w.where(config)] = "unix"
	default:
		return nil
	}
	if err := w.readable(config); err != nil {
		w.result.Problems = append(w.result.Problems, Problem{Path: config,
			Text: "user_plugin_config names a file that cannot be read: " + err.Error()})
		delete(w.plugin, w.where(config))
		return nil
	}
	w.bringIn(w.where(config))
	return nil
}

// readable looks whether a file of the old configuration is there. A symlink among the files that were
// backed up may lead to where they are no longer.
func (w *work) readable(config string) error {
	actual, err := follow(w.view, w.where(config), w.where)
	if err != nil {
		return err
	}
	_, err = w.view.Stat(actual)
	return err
}

// daemonFiles lists the source paths to convert.
func (w *work) daemonFiles(names map[string]bool) []string {
	var todo []string
	for name := range names {
		if daemons[name] != "" {
			todo = append(todo, path.Join(w.Source, name))
		}
	}
	for source := range w.instances {
		todo = append(todo, source)
	}
	for source := range w.plugin {
		if !slices.Contains(todo, source) {
			todo = append(todo, source)
		}
	}
	rank := func(source string) int {
		switch {
		case path.Base(source) == "server.cfg":
			return 0
		case w.plugin[source] != "": // before the templates that it may include
			return 1
		}
		return 2
	}
	sort.Slice(todo, func(i, j int) bool {
		if a, b := rank(todo[i]), rank(todo[j]); a != b {
			return a < b
		}
		return todo[i] < todo[j]
	})
	return todo
}

func (w *work) daemonOf(source string) string {
	if d := w.plugin[source]; d != "" {
		return d
	}
	if d := w.instances[source]; d != "" {
		return d
	}
	return daemons[path.Base(source)]
}

// file converts one daemon's configuration.
func (w *work) file(source, daemon string) error {
	if w.written[source] != nil {
		return nil // another one includes it
	}
	if reason := w.unneeded(source, daemon); reason != "" {
		w.skip(source, reason)
		return nil
	}
	tree, err := LoadTree(w.view, source, w.where)
	if err != nil {
		return err
	}
	c := &conversion{daemon: daemon, from: w.From, to: w.To, paths: w.paths, schema: w.LDAPSchema,
		out: func(f *File) string { return w.out(f.Path) }, where: w.where, exists: w.comes,
		original: func(p string) string { return rebase(p, w.Source, w.Original) }}
	for _, p := range tree.AllProblems() {
		p.Path = rebase(p.Path, w.Source, w.Original) // what the admin edits
		w.result.Problems = append(w.result.Problems, p)
	}
	for i, f := range tree.Files {
		w.handled[f.Path] = true
		if shared := w.written[f.Path]; shared != nil { // another daemon includes it as well
			tree.Files[i] = shared
		}
		if !w.flattens(daemon) {
			w.bringInAll(f)
		}
	}
	c.run(tree)
	w.accounts = append(w.accounts, accounted{c, w.out(source)})
	if daemon == "server" {
		w.checkScriptsElsewhere(c)
	}
	if w.flattens(daemon) {
		return w.merge(c, tree)
	}
	return w.copy(c, tree)
}

// flattens reports whether what a daemon's file includes comes into the new file itself.
func (w *work) flattens(daemon string) bool { return w.Approach == "merge" && daemon != "ldap" }

// unneeded says why a daemon's file is not taken over.
func (w *work) unneeded(source, daemon string) string {
	known := slices.ContainsFunc(Directives(daemon), func(d *Directive) bool { return d.Known(w.To) })
	switch {
	case !known && daemon != "backup":
		return "Kopano " + w.To.String() + " has no kopano-" + daemon
	case path.Base(source) == "backup.cfg" && w.exists(path.Join(w.Source, "backup-plus.cfg")):
		return "was for zarafa-backup; backup-plus.cfg becomes backup.cfg"
	case daemon == "ldap" && w.plugin[source] == "" && w.Approach == "merge":
		return "server.cfg does not use it"
	}
	return ""
}

func (w *work) exists(p string) bool {
	_, err := w.view.Lstat(p)
	return err == nil
}

// copy makes the converted old files the new ones.
func (w *work) copy(c *conversion, tree *Tree) error {
	top := tree.Files[0]
	if err := w.settleIn(c, tree); err != nil {
		return err
	}
	w.override(c, top, tree.setter)
	c.checkValues(top)
	for _, f := range tree.Files {
		if w.written[f.Path] == nil {
			w.order = append(w.order, NewFile{Path: w.out(f.Path), Source: f.Path})
		}
		w.written[f.Path] = f
	}
	w.collect(c)
	return nil
}

// settleIn sets each want in the file that sets the directive already, else in the top file.
func (w *work) settleIn(c *conversion, tree *Tree) error {
	all := c.wants
	for _, wanted := range all {
		c.wants = []want{wanted}
		if err := c.settle(tree.setter(wanted.name)); err != nil {
			return err
		}
	}
	c.wants = all
	return nil
}

// merge puts what the site had set into Kopano's own file.
func (w *work) merge(c *conversion, tree *Tree) error {
	source := tree.Files[0].Path
	base, err := w.base(w.out(source), c.daemon)
	if err != nil {
		return err
	}
	includes := base.outweigh()
	c.out = func(*File) string { return w.out(source) }
	c.notes = slices.DeleteFunc(c.notes, func(n Note) bool { return n.New != "" || !c.own(n.Directive) })
	for _, f := range tree.Files {
		for _, name := range activeNames(f) {
			value := c.lastValue(tree, name)
			old := name
			if o := c.renamed[name]; o != "" {
				old = o
			}
			def, _ := Lookup(c.daemon, name).Default(c.to)
			if !c.own(old) && def != "<required>" || c.wantsOther(name, value) {
				continue
			}
			current, set := base.Get(name)
			if set && current == value || !set && !includes && same(name, def, value) {
				continue
			}
			line, err := base.Set(name, value)
			if err != nil {
				return err
			}
			c.note(base, line, name, c.old[old], value, "set by the site")
		}
	}
	if err := c.settle(base); err != nil {
		return err
	}
	w.override(c, base, func(string) *File { return base })
	base.dropOutweighed()
	c.checkNames(base)
	c.checkValues(base)
	w.written[source] = base
	w.order = append(w.order, NewFile{Path: w.out(source), Source: source})
	w.collect(c)
	return nil
}

// wantsOther reports whether a want will give a directive another value.
func (c *conversion) wantsOther(name, value string) bool {
	return slices.ContainsFunc(c.wants, func(w want) bool { return w.name == name && w.value != value })
}

// lastValue is the value that counts in the converted files: that of the file which sets it last, by its old name or
// its new one.
func (c *conversion) lastValue(tree *Tree, name string) string {
	for _, s := range slices.Backward(tree.Settings()) {
		if s.Name != name && s.Name != c.renamed[name] {
			continue
		}
		for _, f := range tree.Files {
			if value, ok := f.Get(name); ok && f.Path == s.Path {
				return value
			}
		}
	}
	return ""
}

// base is Kopano's own file, or, where the package brings none (8.5.0 and later), a new one.
func (w *work) base(name, daemon string) (*File, error) {
	if !w.exists(name) {
		return skeleton(name, daemon, w.From)
	}
	return Load(w.view, name)
}

func skeleton(name, daemon string, from Version) (*File, error) {
	text := fmt.Sprintf("# Configuration of kopano-%s, taken over from ZCP %s.\n"+
		"# A directive that is not set has the default of the release: see kopano-%s.cfg(5).\n\n", daemon, from, daemon)
	return Parse(name, []byte(text))
}

// override sets what the runbook demands of the file top, each directive where setter says that it counts.
func (w *work) override(c *conversion, top *File, setter func(name string) *File) {
	values := w.Overrides[path.Base(w.out(top.Path))]
	for _, name := range sortedNames(values) {
		f := setter(name)
		old, _ := f.Get(name)
		if old == values[name] && f.last(name) >= 0 {
			continue
		}
		line, err := f.Set(name, values[name])
		if err != nil {
			c.problem(f, 0, "override: %v", err)
			continue
		}
		c.note(f, line, name, old, values[name], "asked for by the runbook")
	}
}

// overrideMissing writes overrides for daemons that had no file.
func (w *work) overrideMissing() error {
	done := map[string]bool{}
	for _, n := range w.order {
		done[path.Base(n.Path)] = true
	}
	for _, name := range sortedNames(w.Overrides) {
		if done[name] || len(w.Overrides[name]) == 0 {
			continue
		}
		target := path.Join(w.Target, name)
		base, err := w.base(target, daemons[name])
		if err != nil {
			return err
		}
		c := &conversion{daemon: daemons[name], from: w.From, to: w.To, out: func(*File) string { return target }}
		w.override(c, base, func(string) *File { return base })
		w.written[target] = base
		w.order = append(w.order, NewFile{Path: target})
		w.collect(c)
	}
	return nil
}

func sortedNames[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// collect takes over a conversion's notes and problems.
func (w *work) collect(c *conversion) {
	w.result.Notes = append(w.result.Notes, c.notes...)
	w.result.Problems = append(w.result.Problems, c.problems...)
}

// numberNotes gives the notes the line numbers of the finished files.
func (w *work) numberNotes() {
	files := map[string]*File{}
	for source, f := range w.written {
		files[w.out(source)] = f
	}
	for i, n := range w.result.Notes {
		if f := files[n.File]; f != nil && n.Line > 0 {
			w.result.Notes[i].Line = lineOf(f, n) + 1
		}
	}
}

func lineOf(f *File, n Note) int {
	name, _, _ := strings.Cut(n.Directive, ", ")
	if !strings.HasPrefix(name, "!") {
		return f.last(name)
	}
	return slices.IndexFunc(f.lines, func(l line) bool { return l.kind == directive && l.name == name && l.value == n.New })
}

// propmaps takes over the files that map MAPI properties to LDAP attributes: the shipped one, and
// those that ldap.cfg names.
func (w *work) propmaps(names map[string]bool) error {
	todo := map[string]bool{}
	if names["ldap.propmap.cfg"] {
		todo[path.Join(w.Source, "ldap.propmap.cfg")] = true
	}
	for _, f := range w.written {
		for _, inc := range f.Includes() {
			if inc.Kind == "propmap" {
				todo[w.sourceOf(inc.Path)] = true
			}
		}
	}
	for _, source := range sortedNames(todo) {
		f, err := loadVia(w.view, source, w.where)
		if err != nil {
			w.result.Problems = append(w.result.Problems, Problem{Path: source, Text: err.Error()})
			continue
		}
		w.handled[source] = true
		if w.LDAPSchema == "kopano" {
			w.convertPropmap(f)
		}
		w.written[source] = f
		w.order = append(w.order, NewFile{Path: w.out(source), Source: source})
	}
	return nil
}

// sourceOf is the old file that becomes a new one.
func (w *work) sourceOf(target string) string {
	for source, to := range w.paths.moved {
		if to == target {
			return source
		}
	}
	return rebase(target, w.Target, w.Source)
}

func (w *work) convertPropmap(f *File) {
	for i, l := range f.lines {
		if l.kind != setting {
			continue
		}
		if value := kopanoSchema(l.name, l.value); value != l.value {
			f.setValue(i, value)
			w.result.Notes = append(w.result.Notes, Note{w.out(f.Path), i + 1, l.name, l.value, value, "attribute names of the Kopano schema"})
		}
	}
}

// finish renders the new files and checks the paths that Python daemons insist on.
func (w *work) finish() (*Result, error) {
	w.numberNotes()
	for _, n := range w.order {
		key := n.Source
		if key == "" {
			key = n.Path
		}
		f := w.written[key]
		n.Content = f.Bytes()
		w.checkPaths(n.Path, f)
		w.result.Files = append(w.result.Files, n)
	}
	w.account()
	w.result.Problems = unique(w.result.Problems)
	sort.Slice(w.result.Files, func(i, j int) bool { return w.result.Files[i].Path < w.result.Files[j].Path })
	for i, f := range w.result.Files {
		if i > 0 && f.Path == w.result.Files[i-1].Path && !bytes.Equal(f.Content, w.result.Files[i-1].Content) {
			return nil, fmt.Errorf("%s and %s both become %s; remove one of them", w.result.Files[i-1].Source, f.Source, f.Path)
		}
	}
	return w.result, nil
}

// unique drops problems that two daemons' files share.
func unique(list []Problem) []Problem {
	var kept []Problem
	for _, p := range list {
		if !slices.Contains(kept, p) {
			kept = append(kept, p)
		}
	}
	return kept
}

// comes tells whether a path is there, or will be, with what is taken over.
func (w *work) comes(p string) bool { return w.exists(p) || w.exists(rebase(p, w.Target, w.Source)) }

// editedAt is where the admin set what stands in a new file.
func (w *work) editedAt(target, name string) string {
	for _, a := range w.accounts {
		if a.target == target {
			return a.at[name]
		}
	}
	return ""
}

func (w *work) checkPaths(name string, f *File) {
	daemon := daemons[path.Base(name)]
	for _, s := range f.Settings() {
		d := Lookup(daemon, s.Name)
		if d == nil || !path.IsAbs(s.Value) {
			continue
		}
		if _, must := d.PythonType(w.To); !must || w.comes(s.Value) {
			continue
		}
		w.result.Problems = append(w.result.Problems, Problem{Path: name, Line: s.Line, Stops: daemon, At: w.editedAt(name, s.Name),
			Text: fmt.Sprintf("%s = %s does not exist; kopano-%s stops without it", s.Name, s.Value, daemon)})
	}
}

// --- everything else in the directory

// others lists what the new directory needs besides the converted files, from the top down.
func (w *work) others(dir string, entries []host.DirEntry) error {
	for _, e := range entries {
		source := path.Join(dir, e.Name)
		if w.handled[source] {
			continue
		}
		if reason := w.dropReason(source, e.Name); reason != "" {
			w.skip(source, reason)
			continue
		}
		if err := w.other(source, e); err != nil {
			return err
		}
	}
	return nil
}

func (w *work) dropReason(source, name string) string {
	rel := strings.TrimPrefix(source, w.Source+"/")
	switch {
	case dropped[rel] != "":
		return dropped[rel]
	case packagesystem.IsLeftover(name):
		return "left by the package manager"
	case olderCopy(name):
		return "an older copy of a file"
	}
	return ""
}

// olderCopy tells by its name whether a file is what an editor or an admin left of an older one.
func olderCopy(name string) bool {
	return strings.HasPrefix(name, "#") && strings.HasSuffix(name, "#") ||
		slices.ContainsFunc([]string{"~", ".bak", ".old", ".orig", ".save", ".swp"}, func(end string) bool { return strings.HasSuffix(name, end) })
}

func (w *work) other(source string, e host.DirEntry) error {
	st, err := w.view.Lstat(source)
	if err != nil {
		return explain(source, err)
	}
	rel := strings.TrimPrefix(source, w.Source+"/")
	switch {
	case ownScript(rel):
		w.keepScript(source, st)
	case st.IsSymlink():
		link, err := w.view.Readlink(source)
		if err != nil {
			return explain(source, err)
		}
		w.result.Others = append(w.result.Others, Other{Kind: "symlink", Source: source, Target: w.out(source), Link: w.paths.convert(link)})
	case st.IsDir():
		return w.otherDir(source)
	case st.IsRegular():
		w.result.Others = append(w.result.Others, Other{Kind: "file", Source: source, Target: w.out(source)})
		if strings.HasPrefix(rel, scriptDir) {
			w.checkScript(source, w.out(source))
		}
	default:
		w.skip(source, "neither a file, a directory nor a symlink")
	}
	return nil
}

// otherDir carries a directory with what it holds, unless nothing of that comes along: what was included from there
// is in the new files themselves.
func (w *work) otherDir(source string) error {
	at := len(w.result.Others)
	w.result.Others = append(w.result.Others, Other{Kind: "directory", Source: source, Target: w.out(source)})
	entries, err := w.view.ReadDir(source)
	if err != nil {
		return explain(source, err)
	}
	if err := w.others(source, entries); err != nil {
		return err
	}
	written := func(n NewFile) bool { return below(n.Path, w.out(source)) }
	if len(entries) > 0 && len(w.result.Others) == at+1 && !slices.ContainsFunc(w.order, written) {
		w.result.Others = w.result.Others[:at]
	}
	return nil
}
