package cfg

import (
	"slices"
	"strings"
	"testing"

	"zcp2kopano/runtime/host/hosttest/chance"
	"zcp2kopano/runtime/host/sim/simtest"
)

var (
	sources      = []string{"7.1.11", "7.2.0", "7.2.6"}
	everyTarget  = []string{"8.0.0", "8.1.1", "8.2.1", "8.3.0", "8.4.5", "8.5.0", "8.6.9", "8.7.0", "8.7.20", "9.0.1", "9.1.0", "10.0.7", "10.1.1", "11.0.2"}
	everyDaemons = []string{"server", "dagent", "spooler", "gateway", "ical", "monitor", "search", "archiver", "presence", "unix", "ldap"}
)

// journey is one of the ways that all directives are looked at.
type journey struct{ kind, approach, from, to string }

func (k journey) String() string { return k.kind + ", " + k.approach + " " + k.from + " to " + k.to }

// journeys are a sample of all, to each target both ways, or all where nothing is left to chance.
func journeys(t *testing.T, kinds ...string) []journey {
	var all []journey
	for _, from := range sources {
		for _, kind := range kinds {
			for _, to := range everyTarget {
				all = append(all, journey{kind, "merge", from, to}, journey{kind, "copy", from, to})
			}
		}
	}
	return chance.Pick(t, all, len(all)/3, func(k journey) string { return k.to + k.approach })
}

// Of every directive of every release of ZCP, to every target, both ways: what ZCP worked by is what Kopano works
// by, or it is told. Each is looked at as shipped, not set, and set to another value.
func TestEveryDirectiveIsAccountedFor(t *testing.T) {
	seen, list := 0, journeys(t, "shipped", "unset", "other")
	for _, k := range list {
		old := map[string]func() map[string]string{
			"shipped": func() map[string]string { return shippedFiles(mustVersion(k.from)) }, "unset": unsetFiles,
			"other": func() map[string]string { return otherValues(mustVersion(k.from)) },
		}[k.kind]()
		seen += accountedFor(t, k, old)
	}
	if seen < 200*len(list) {
		t.Errorf("only %d directives were looked at", seen)
	}
}

// The same of the directory's plugin, whose file server.cfg names; its directory keeps the Zarafa schema.
func TestEveryDirectoryDirectiveIsAccountedFor(t *testing.T) {
	const uses = "user_plugin = ldap\nuser_plugin_config = /etc/zarafa/ldap.cfg\n"
	seen, list := 0, journeys(t, "shipped", "unset", "other")
	for _, k := range list {
		ldap := "# nothing\n"
		switch k.kind {
		case "shipped":
			ldap = shippedFiles(mustVersion(k.from))["/etc/zarafa/ldap.cfg"]
		case "other":
			ldap = otherDirectory(mustVersion(k.from))
		}
		seen += accountedFor(t, k, map[string]string{"/etc/zarafa/server.cfg": uses, "/etc/zarafa/ldap.cfg": ldap, "/etc/zarafa/ldap.propmap.cfg": ""})
	}
	if seen < 150*len(list) {
		t.Errorf("only %d directives were looked at", seen)
	}
}

func accountedFor(t *testing.T, k journey, old map[string]string) int {
	t.Helper()
	r := takeOver(t, old, k.approach, k.from, k.to)
	checkNotes(t, k.String(), r)
	return checkAccount(t, k.String(), old, r, mustVersion(k.from), mustVersion(k.to))
}

// otherDirectory sets each directive of the directory's plugin to another value.
func otherDirectory(v Version) string {
	text := ""
	for _, d := range Directives("ldap") {
		if def, ok := d.ZCPDefault(v); ok && d.aliasAt(v) == "" {
			text += d.Name + " = " + another(d, v, plain(def)) + "\n"
		}
	}
	return text
}

// checkAccount compares by the facts alone what ZCP worked by with what Kopano works by.
func checkAccount(t *testing.T, what string, old map[string]string, r *Result, from, to Version) int {
	t.Helper()
	taken := map[string]string{}
	for _, n := range r.Files {
		taken[n.Path] = string(n.Content)
	}
	entries := map[string]Entry{}
	for _, e := range r.Entries {
		if _, twice := entries[e.File+" "+e.Directive]; twice {
			t.Errorf("%s: %s %s is told of twice", what, e.File, e.Directive)
		}
		entries[e.File+" "+e.Directive] = e
	}
	seen := 0
	for _, daemon := range everyDaemons {
		target := "/etc/kopano/" + daemon + ".cfg"
		if taken[target] == "" {
			continue
		}
		before := settings(t, old, "/etc/zarafa/"+daemon+".cfg")
		after := settings(t, taken, target)
		for _, d := range Directives(daemon) {
			value, set := before[d.Name]
			def, knew := d.ZCPDefault(from)
			if !set && (!knew || d.unused(from) || d.aliasAt(from) != "" || def == "<required>") {
				continue
			}
			if !set {
				value = plain(def)
			}
			seen++
			e, told := entries[target+" "+d.Name]
			now, known := after[d.Name]
			if d.Known(to) && !d.Ignored(to) && !known {
				kopanos, _ := d.Default(to)
				now, known = plain(kopanos), true
			}
			place := strings.NewReplacer("/etc/zarafa", "/etc/kopano", "/var/lib/zarafa", "/var/lib/kopano").Replace(value)
			switch {
			case known && (same(d.Name, value, now) || same(d.Name, place, now)):
				continue
			case !told:
				t.Errorf("%s: %s %s: ZCP worked by %q, Kopano by %q (known %v), and nobody is told", what, daemon, d.Name, value, now, known)
			case e.Reason == "":
				t.Errorf("%s: %s %s: ZCP worked by %q, Kopano by %q, and nobody is told why: %+v", what, daemon, d.Name, value, now, e)
			case known && e.Fate == Dropped:
				t.Errorf("%s: %s %s: said to be dropped, and in force as %q", what, daemon, d.Name, now)
			case known && e.New != now && e.New != "***":
				t.Errorf("%s: %s %s: said to be %q, and in force as %q", what, daemon, d.Name, e.New, now)
			case e.Fate == Kept || e.Fate == Pinned || e.Fate == SetBySite:
				t.Errorf("%s: %s %s: ZCP worked by %q, Kopano by %q, and it is called %s", what, daemon, d.Name, value, now, e.Fate)
			}
		}
	}
	return seen
}

// settings are the values that count in a file.
func settings(t *testing.T, files map[string]string, name string) map[string]string {
	t.Helper()
	values := map[string]string{}
	if files[name] == "" {
		return values
	}
	tree, err := LoadTree(simtest.Files(t, files), name, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range tree.Settings() {
		values[s.Name] = s.Value
	}
	return values
}

// unsetFiles are files that say nothing.
func unsetFiles() map[string]string {
	files := map[string]string{"/etc/zarafa/ldap.propmap.cfg": ""}
	for _, daemon := range everyDaemons {
		if daemon == "ldap" {
			continue // server.cfg does not use it
		}
		files["/etc/zarafa/"+daemon+".cfg"] = "# nothing\n"
	}
	return files
}

// otherValues sets each directive that a release knows to a value that it neither ships nor has by default.
func otherValues(v Version) map[string]string {
	files := map[string]string{}
	for _, d := range facts().all {
		if daemons[d.File] != d.Daemon || d.Daemon == "ldap" {
			continue
		}
		def, ok := d.ZCPDefault(v)
		if ok && d.aliasAt(v) == "" {
			files["/etc/zarafa/"+d.File] += d.Name + " = " + another(d, v, plain(def)) + "\n"
		}
	}
	return files
}

func another(d *Directive, v Version, def string) string {
	shipped, _ := d.Shipped(v)
	switch {
	case d.Name == "user_plugin" || d.Name == "attachment_storage":
		return map[string]string{"user_plugin": "unix", "attachment_storage": "database"}[d.Name]
	case meaning("", def) == "0" || meaning("", def) == "1":
		if shipped != "no" && meaning("", def) == "1" {
			return "no"
		}
		return "yes"
	case strings.HasPrefix(def, "/") || strings.HasPrefix(shipped, "/"):
		return "/srv/" + d.Name
	case strings.HasPrefix(def, "file:"):
		return "http://192.0.2.9:236/"
	case strings.HasSuffix(d.Name, "_port"):
		return "4711"
	case d.Name == "server_bind":
		return "192.0.2.8"
	}
	return "17"
}

// Nothing that the site set is lost: where Kopano knows it, it is there; where not, the list names it and its heir. Of what
// Kopano knows two come otherwise.
func TestNothingThatTheSiteSetIsLost(t *testing.T) {
	otherwise := []string{"local_admin_users", "plugin_path"}
	for _, k := range journeys(t, "other") {
		r := takeOver(t, otherValues(mustVersion(k.from)), k.approach, k.from, k.to)
		for _, e := range r.Entries {
			switch {
			case e.Where == "":
			case e.Fate == InForce, e.Fate == Changed && !slices.Contains(otherwise, e.Directive), e.Fate == Kept && !same(e.Directive, e.Old, e.New):
				t.Errorf("%s: lost: %+v", k, e)
			}
		}
	}
}
