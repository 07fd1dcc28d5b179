package fakepkg

import (
	_ "embed"
	"fmt"
	"strings"

	"zcp2kopano/cmd/e2e/fakepkg/service"
)

// directivesTSV holds, for each configuration file and directive, what ZCP 7.2.6, Kopano Core 8.4
// and 8.7 ship ("=v" active, "#=v" commented out, "-" absent, several joined by " || ") and the
// default in the program ("=v", "?" for an unknown option). From the products' sources.
//
//go:embed directives.tsv
var directivesTSV string

// Generation is a release of ZCP or Kopano Core whose packages can be made.
type Generation struct {
	Product string // "zarafa" or "kopano"
	Version string // of the packages
	schema  int    // database revision
	oldest  int    // oldest revision that the server upgrades
	shipped int    // column of directivesTSV
	known   int
	// conffiles reports whether the packages bring configuration files, or examples only.
	conffiles bool
	sysv      bool
	rereads   bool // the daemons in C++ execute themselves again as their user
	attempts  int  // at the database
	debian    bool // as Debian packages it
}

var (
	// ZCP is the last release of ZCP: services run as zarafa, sockets are in /var/run/zarafad.
	ZCP = Generation{Product: "zarafa", Version: "7.2.6.52191-1", schema: 64, shipped: 2, known: 5, conffiles: true, sysv: true}
	// Kopano84 brings configuration files in /etc/kopano, init scripts and units.
	Kopano84 = Generation{Product: "kopano", Version: "8.4.5.0-0+12.1", schema: 66, shipped: 3, known: 6, conffiles: true, sysv: true}
	// Kopano87 brings examples and units only.
	Kopano87 = Generation{Product: "kopano", Version: "8.7.20.0-0+24.1", schema: 118, oldest: 63, shipped: 4, known: 7, rereads: true, attempts: 10}
	// KopanoDebian is Kopano Core as Debian packages it: other packages, all configuration in /etc/kopano.
	KopanoDebian = Generation{Product: "kopano", Version: "8.7.0-7", schema: 118, oldest: 63, shipped: 4, known: 7, conffiles: true, sysv: true, attempts: 10, debian: true}
)

// etc is the product's configuration directory.
func (g Generation) etc(name string) string { return "/etc/" + g.Product + "/" + name }

// table calls f for each row of the facts about a file.
func (g Generation) table(file string, f func(directive string, row []string)) {
	for _, line := range strings.Split(strings.TrimSpace(directivesTSV), "\n")[1:] {
		row := strings.Split(line, "\t")
		if row[0] == file {
			f(row[1], row)
		}
	}
}

// Config is a configuration file as the generation ships it; nil if it ships none of that name.
func (g Generation) Config(file string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "##############################################################\n# Settings of %s %s: %s\n\n", g.Product, g.Version, file)
	lines := 0
	g.table(file, func(directive string, row []string) {
		for _, shipped := range strings.Split(row[g.shipped], " || ") {
			if shipped == "-" {
				continue
			}
			lines++
			b.WriteString(configLine(file, directive, shipped))
		}
	})
	if lines == 0 {
		return nil
	}
	return []byte(b.String())
}

func configLine(file, directive, shipped string) string {
	if strings.HasPrefix(directive, "!") {
		return directive + " " + shipped + "\n\n"
	}
	if file == "autorespond" { // sourced by a shell
		return directive + shipped + "\n"
	}
	value, commented := strings.CutPrefix(shipped, "#=")
	if commented {
		return "#" + directive + " = " + value + "\n\n"
	}
	return "# " + directive + "\n" + directive + " = " + strings.TrimPrefix(shipped, "=") + "\n\n"
}

// options are the options that a program knows, with their defaults.
func (g Generation) options(file string) map[string]string {
	known := map[string]string{}
	g.table(file, func(directive string, row []string) {
		if value, ok := strings.CutPrefix(row[g.known], "="); ok {
			known[directive] = value
		}
	})
	return known
}

// role is the part that a stand-in daemon plays.
func (g Generation) role(daemon string) service.Role {
	role := service.Role{
		Product: g.Product, Daemon: daemon, Version: g.Version, Schema: g.schema, Oldest: g.oldest,
		Config: g.etc(daemon + ".cfg"), ConfigOptional: !g.conffiles,
		Options: g.options(daemon + ".cfg"), Unknown: service.Refuse, Rereads: g.rereads, Attempts: g.attempts,
	}
	switch daemon {
	case "dagent":
		role.Unknown = service.RefuseExplicit
	case "search", "presence", "backup", "licensed":
		role.Unknown, role.Rereads = service.Warn, false
	case "server":
		role.Plugins = map[string]map[string]string{"unix": g.options("unix.cfg"), "ldap": g.options("ldap.cfg")}
	}
	return role
}
