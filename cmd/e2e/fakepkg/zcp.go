package fakepkg

import (
	"fmt"
	"slices"

	"zcp2kopano/cmd/e2e/fakepkg/service"
)

const zarafaMaintainer = "Zarafa Development Team <development@zarafa.com>"

// ZCPPackages are ZCP 7.2.6 as the vendor packaged it for Debian. The meta package zarafa takes
// what a usual server has.
func ZCPPackages(programs Programs) ([]Package, error) {
	g := ZCP
	packages := []Package{
		g.meta(),
		g.zarafaCommon(),
		g.zarafaClient(),
		g.library("libmapi1", "libmapi.so.1", "libicalmapi1, libvmime-zarafa7-0"),
		g.library("libicalmapi1", "libicalmapi.so.1", "libical3"),
		g.library("libvmime-zarafa7-0", "libvmime-zarafa7.so.0", ""),
		g.zarafaTools(),
		g.python("python-mapi", "MAPI", ""),
		g.python("python-zarafa", "zarafa", "python-mapi"),
		g.zarafaLang(),
		g.zarafaWebapp(),
	}
	return g.withDaemons(packages, programs, "licensed")
}

func (g Generation) zarafa(name, summary, depends string) Package {
	return Package{
		Name: name, Version: g.Version, Arch: arch, Maintainer: zarafaMaintainer, Source: "zarafa",
		Section: "mail", Summary: summary, Depends: depends,
	}
}

func (g Generation) meta() Package {
	p := g.zarafa("zarafa", "Zarafa Collaboration Platform: meta package",
		"zarafa-server, zarafa-dagent, zarafa-spooler, zarafa-gateway, zarafa-ical, zarafa-monitor, "+
			"zarafa-search-plus, zarafa-utils, zarafa-client, zarafa-lang, python-zarafa")
	p.Arch = "all"
	return p
}

func (g Generation) zarafaCommon() Package {
	p := g.zarafa("zarafa-common", "Zarafa: what all services share", "adduser, lsb-base")
	p.conffiles(
		g.defaults(),
		g.logrotate(),
		Program("/etc/cron.daily/zarafa-client-update", []byte(script("# No clients to update."))),
	)
	p.Files = append(p.Files,
		Dir("/etc/zarafa", 0o755), Dir("/var/log/zarafa", 0o750), Dir("/var/lib/zarafa", 0o755),
		Text("/usr/lib/tmpfiles.d/zarafa-tmpfiles.conf", "d /run/zarafad 0775 zarafa zarafa -"),
		Text("/usr/share/doc/zarafa/zarafa.schema", "# LDAP schema of ZCP"),
	)
	// As the packaging of 7.2 for Debian: an account by adduser, and logs that only adm may read beside it.
	p.Scripts = map[string]string{
		"postinst": script("LOGDIR=/var/log/zarafa",
			"logs() {", "  chown zarafa:adm ${LOGDIR}", "  chmod 750 ${LOGDIR}", "}",
			`case "$1" in`, "configure)",
			when("! getent group zarafa >/dev/null", "addgroup --system zarafa"),
			when("! getent passwd zarafa >/dev/null", "adduser --quiet --system --ingroup zarafa --disabled-login --disabled-password "+
				`--home /var/lib/zarafa --no-create-home --gecos "Zarafa" zarafa`),
			"logs",
			"install -d -m 0775 -o zarafa -g zarafa /run/zarafad",
			"chown zarafa:zarafa /var/lib/zarafa",
			";;", "abort-upgrade|abort-remove|abort-deconfigure)", ";;", "*)", `echo "postinst called with unknown argument '$1'" >&2`, "exit 1", ";;", "esac"),
	}
	return p
}

func (g Generation) zarafaClient() Package {
	p := g.zarafa("zarafa-client", "Zarafa: MAPI provider", "zarafa-common, libmapi1")
	p.conffiles(
		Text("/etc/mapi/zarafa.inf", "[Services]", "ZARAFA6=Zarafa Server"),
		Text("/etc/mapi/zcontacts.inf", "[Services]", "CONTAB=Zarafa Contacts"),
		File{Path: g.etc("php-mapi.cfg"), Mode: 0o644, Content: g.Config("php-mapi.cfg")},
	)
	p.Files = append(p.Files, Text("/usr/lib/libzarafaclient.so", "library of zarafa-client"))
	return p
}

func (g Generation) library(name, soname, depends string) Package {
	p := g.zarafa(name, "Zarafa: library "+soname, depends)
	p.Section = "libs"
	p.Files = []File{
		Text("/usr/lib/"+soname+".0.0", "library "+soname+" of "+g.Product),
		Link("/usr/lib/"+soname, soname+".0.0"),
	}
	return p
}

func (g Generation) python(name, module, depends string) Package {
	p := g.zarafa(name, "Zarafa: Python module "+module, depends)
	p.Section = "python"
	p.Files = []File{Text("/usr/lib/python2.7/dist-packages/"+module+"/__init__.py", "# module "+module)}
	return p
}

func (g Generation) zarafaTools() Package {
	p := g.zarafa("zarafa-utils", "Zarafa: tools", "zarafa-client, python-mapi")
	for _, tool := range []string{"/usr/sbin/zarafa-admin", "/usr/bin/zarafa-passwd", "/usr/bin/zarafa-fsck", "/usr/bin/zarafa-stats"} {
		p.Files = append(p.Files, Program(tool, []byte("#!/bin/sh\necho "+tool+"\n")))
	}
	p.conffiles(Text("/etc/bash_completion.d/zarafa-bash-completion.sh", "# completion of the zarafa tools"))
	return p
}

func (g Generation) zarafaLang() Package {
	p := g.zarafa("zarafa-lang", "Zarafa: translations", "")
	p.Arch = "all"
	for _, language := range []string{"de_DE", "nl_NL"} {
		p.Files = append(p.Files, Text("/usr/share/zarafa/locale/"+language+"/zarafa.mo", "messages in "+language))
	}
	return p
}

func (g Generation) zarafaWebapp() Package {
	p := Package{
		Name: "zarafa-webapp", Version: "2.2.1.43-1", Maintainer: zarafaMaintainer, Section: "mail", Summary: "Zarafa WebApp",
	}
	p.conffiles(
		Text("/etc/zarafa/webapp/config.php", "<?php", `define("DEFAULT_SERVER", "file:///var/run/zarafad/server.sock");`, `define("COOKIE_NAME", "ZARAFA_WEBAPP");`),
		Text("/etc/apache2/sites-available/zarafa-webapp.conf", "Alias /webapp /usr/share/zarafa-webapp"),
	)
	p.Files = append(p.Files,
		Text("/usr/share/zarafa-webapp/index.php", "<?php"),
		Link("/usr/share/zarafa-webapp/config.php", "/etc/zarafa/webapp/config.php"),
		Dir("/var/lib/zarafa-webapp/tmp", 0o755),
	)
	p.Scripts = map[string]string{"postinst": script(when(configuring, "chown www-data:www-data /var/lib/zarafa-webapp/tmp"))}
	return p
}

// daemons are those that every generation has.
var daemons = []string{"server", "dagent", "spooler", "gateway", "ical", "monitor", "search", "presence"}

// withDaemons adds the packages of all daemons, and of some more.
func (g Generation) withDaemons(packages []Package, programs Programs, more ...string) ([]Package, error) {
	for _, daemon := range append(slices.Clone(daemons), more...) {
		p, err := g.daemonPackage(daemon, programs)
		if err != nil {
			return nil, err
		}
		packages = append(packages, p)
	}
	return packages, nil
}

// daemonPackage is the package of one daemon, of either product.
func (g Generation) daemonPackage(daemon string, programs Programs) (Package, error) {
	program := programs.Daemon
	if daemon == "server" {
		program = programs.Server
	}
	binary, err := service.Play(program, g.role(daemon))
	if err != nil {
		return Package{}, err
	}
	name := g.Product + "-" + daemon
	p := Package{
		Name: name, Version: g.Version, Arch: arch, Maintainer: zarafaMaintainer, Source: g.Product,
		Section: "mail", Summary: fmt.Sprintf("%s: daemon %s", g.Product, daemon), Depends: "zarafa-common, zarafa-client",
	}
	p.Files = append(p.Files, Program("/usr/sbin/"+name, binary), g.unit(daemon))
	if g.sysv {
		p.conffiles(g.initScript(daemon))
	}
	switch {
	case g.debian:
		g.debianDaemon(&p, daemon)
	case g.Product == "kopano":
		g.kopanoDaemon(&p, daemon)
	default:
		g.zarafaDaemon(&p, daemon)
	}
	return p, nil
}

func (g Generation) zarafaDaemon(p *Package, daemon string) {
	p.Scripts = debhelperScripts(p.Name)
	for _, file := range configFiles(daemon) {
		if content := g.Config(file); content != nil {
			p.conffiles(File{Path: g.etc(file), Mode: 0o644, Content: content})
		}
	}
	switch daemon {
	case "server":
		p.Recommends = "default-mysql-server | virtual-mysql-server"
		p.conffiles(userScripts(g.etc("userscripts"), "zarafa")...)
		p.Files = append(p.Files, Text("/usr/lib/zarafa/ldapplugin.so", "user plugin ldap"), Text("/usr/lib/zarafa/dbplugin.so", "user plugin db"))
	case "monitor":
		p.conffiles(Text(g.etc("quotamail/userwarning.mail"), "Your mailbox is filling up."), Text(g.etc("quotamail/userhard.mail"), "Your mailbox is full."))
	case "search":
		p.Name = "zarafa-search-plus"
		p.Depends += ", python-zarafa"
		p.Conflicts, p.Replaces = "zarafa-search", "zarafa-search"
	case "licensed":
		p.conffiles(Text(g.etc("licensed.cfg"), "# Settings of zarafa-licensed", "license_path = /etc/zarafa/license"))
		p.Files = append(p.Files, Dir("/etc/zarafa/license", 0o755))
	}
}

// configFiles are a daemon's configuration files.
func configFiles(daemon string) []string {
	switch daemon {
	case "server":
		return []string{"server.cfg", "unix.cfg", "ldap.openldap.cfg", "ldap.active-directory.cfg", "ldap.propmap.cfg"}
	case "dagent":
		return []string{"dagent.cfg", "autorespond"}
	}
	return []string{daemon + ".cfg"}
}

// userScripts are what the server runs when users come and go.
func userScripts(dir, product string) []File {
	var files []File
	for _, name := range []string{"createuser", "deleteuser", "creategroup", "deletegroup", "createcompany", "deletecompany"} {
		files = append(files, Program(dir+"/"+name, []byte("#!/bin/sh\n# Runs the scripts of "+name+".d for "+product+".\nexit 0\n")))
	}
	return append(files, Program(dir+"/createuser.d/00createstore", []byte("#!/bin/sh\nexit 0\n")))
}
