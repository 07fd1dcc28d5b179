// Package builtins lists the functions that runbooks can call; each package below knows one domain.
package builtins

import (
	"slices"

	"zcp2kopano/builtins/cfg"
	"zcp2kopano/builtins/chown"
	"zcp2kopano/builtins/fs"
	"zcp2kopano/builtins/fstab"
	"zcp2kopano/builtins/host"
	"zcp2kopano/builtins/ldap"
	"zcp2kopano/builtins/mysql"
	"zcp2kopano/builtins/pkg"
	"zcp2kopano/builtins/postfix"
	"zcp2kopano/builtins/release"
	"zcp2kopano/builtins/run"
	"zcp2kopano/builtins/secret"
	"zcp2kopano/builtins/svc"
	"zcp2kopano/builtins/text"
	"zcp2kopano/builtins/web"
	"zcp2kopano/runtime/script"
)

// All lists every builtin, module by module in order of name.
func All() []*script.Builtin {
	return slices.Concat(
		cfg.Builtins(),
		chown.Builtins(),
		fs.Builtins(),
		fstab.Builtins(),
		host.Builtins(),
		ldap.Builtins(),
		mysql.Builtins(),
		pkg.Builtins(),
		postfix.Builtins(),
		release.Builtins(),
		run.Builtins(),
		secret.Builtins(),
		svc.Builtins(),
		text.Builtins(),
		web.Builtins(),
	)
}

// Release is what one release of ZCP or Kopano makes of a directive.
type Release = cfg.Release

// Histories tells what is known of a directive, of each configuration file that has one of the name.
func Histories(name string) []cfg.History { return cfg.Histories(name) }

// DirectivesOf lists the names of a configuration file's directives.
func DirectivesOf(file string) []string { return cfg.DirectivesOf(file) }

// DirectiveFiles lists the configuration files whose directives are known.
func DirectiveFiles() []string { return cfg.Files() }

// DirectiveNames lists the names of all directives of ZCP and Kopano.
func DirectiveNames() []string { return cfg.DirectiveNames() }
