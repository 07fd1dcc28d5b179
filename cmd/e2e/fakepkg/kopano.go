package fakepkg

import "strings"

const kopanoMaintainer = "Kopano Development <packages@kopano.io>"

// KopanoPackages are Kopano Core as the vendor packages it for Debian: Kopano84 or Kopano87. The
// meta package kopano-server-packages takes what manual section 4.3.3 lists.
func KopanoPackages(g Generation, programs Programs) ([]Package, error) {
	packages := []Package{
		g.kopano("kopano-server-packages", "meta package",
			"kopano-backup, kopano-dagent, kopano-gateway, kopano-ical, kopano-monitor, kopano-presence, kopano-search, "+
				"kopano-server, kopano-spooler, kopano-utils"),
		g.kopanoCommon(),
		g.kopanoClient(),
		g.kopanoLibrary("libmapi1", "libmapi.so.1", "libkcicalmapi0, libvmime-kopano3"),
		g.kopanoLibrary("libkcicalmapi0", "libkcicalmapi.so.0", "libical3"),
		g.kopanoLibrary("libvmime-kopano3", "libvmime-kopano.so.3", ""),
		g.kopanoPython("python-mapi", "MAPI", ""),
		g.kopanoPython("python-kopano", "kopano", "python-mapi"),
		g.kopanoUtils(),
		g.kopanoBackup(),
		g.kopanoLang(),
		g.kopanoWebapp(),
	}
	return g.withDaemons(packages, programs)
}

func (g Generation) kopano(name, summary, depends string) Package {
	return Package{
		Name: name, Version: g.Version, Arch: arch, Maintainer: kopanoMaintainer, Source: "kopanocore",
		Section: "mail", Summary: "Kopano Core: " + summary, Depends: depends,
	}
}

func (g Generation) kopanoCommon() Package {
	p := g.kopano("kopano-common", "what all services share", "passwd, lsb-base")
	p.Breaks = "kopano-core-common"
	p.conffiles(g.logrotate())
	if g.conffiles {
		p.conffiles(g.defaults())
	}
	p.Files = append(p.Files,
		Dir("/etc/kopano", 0o755), Dir("/var/log/kopano", 0o755), Dir("/var/lib/kopano", 0o755), Dir("/var/lib/kopano/empty", 0o755),
		Text("/usr/lib/tmpfiles.d/kopano-tmpfiles.conf", "d /run/kopano 0775 kopano kopano -"),
		Text("/usr/lib/sysusers.d/kopano-sysusers.conf", `u kopano - "Kopano services"`),
		Text("/usr/share/doc/kopano/kopano.schema", "# LDAP schema of Kopano Core"),
	)
	p.Scripts = map[string]string{
		"preinst": script(
			"getent group kopano >/dev/null || groupadd -r kopano",
			`getent passwd kopano >/dev/null || useradd -r -c "Kopano Groupware Suite" -g kopano -d /dev/null -s /usr/sbin/nologin kopano`,
			"passwd -l kopano >/dev/null"),
		"postinst": script(when(configuring,
			"install -d -m 0775 -o kopano -g kopano /run/kopano",
			"chown -Rh kopano:kopano /var/log/kopano",
			"chown kopano:kopano /var/lib/kopano")),
	}
	return p
}

func (g Generation) kopanoClient() Package {
	p := g.kopano("kopano-client", "MAPI provider", "kopano-common, libmapi1")
	p.Breaks, p.Replaces = "zarafa-client", "zarafa-client"
	provider := Text("/usr/lib/mapi.d/kopano.inf", "[Services]", "ZARAFA6=Kopano Server")
	if g.conffiles {
		provider.Path = "/etc/mapi/kopano.inf"
		p.conffiles(provider)
		g.config(&p, "php-mapi.cfg")
	} else {
		p.Files = append(p.Files, provider)
	}
	p.Files = append(p.Files, Text("/usr/lib/libkcclient.so", "library of kopano-client"))
	return p
}

func (g Generation) kopanoLibrary(name, soname, depends string) Package {
	p := g.kopano(name, "library "+soname, depends)
	p.Section = "libs"
	p.Files = []File{
		Text("/usr/lib/x86_64-linux-gnu/"+soname+".0.0", "library "+soname+" of kopano"),
		Link("/usr/lib/x86_64-linux-gnu/"+soname, soname+".0.0"),
	}
	return p
}

func (g Generation) kopanoPython(name, module, depends string) Package {
	p := g.kopano(name, "Python module "+module, depends)
	p.Section = "python"
	p.Files = []File{Text("/usr/lib/python2.7/dist-packages/"+module+"/__init__.py", "# module "+module+" of kopano")}
	return p
}

func (g Generation) kopanoUtils() Package {
	p := g.kopano("kopano-utils", "tools", "kopano-client, python-kopano")
	for _, tool := range []string{"/usr/sbin/kopano-admin", "/usr/sbin/kopano-cli", "/usr/bin/kopano-passwd", "/usr/bin/kopano-fsck", "/usr/bin/kopano-stats"} {
		p.Files = append(p.Files, Program(tool, []byte("#!/bin/sh\necho "+tool+"\n")))
	}
	if g.rereads { // the tool came with 8.5.7 and 8.6.2
		p.Files = append(p.Files, Program("/usr/sbin/kopano-dbadm", []byte(dbadm)))
	}
	return p
}

// dbadm joins names that stand twice, as the tool's k-1216 does, in the database that server.cfg tells. By the file
// /run/kopano-dbadm a test has it fail, or hang in the middle.
const dbadm = `#!/bin/sh
[ "$1" = k-1216 ] || { echo "dbadm: unknown action $1" >&2; exit 1; }
get() { sed -n "s/^$1 *= *//p" /etc/kopano/server.cfg | tail -n 1; }
query() { MYSQL_PWD=$(get mysql_password) mysql --no-defaults -u"$(get mysql_user)" "$(get mysql_database)" -e "$1"; }
twice="FROM names AS a JOIN names AS b ON a.guid = b.guid AND a.nameid <=> b.nameid AND a.namestring <=> b.namestring AND a.id < b.id"
mishap=$(cat /run/kopano-dbadm 2>/dev/null)
[ "$mishap" != fail ] || { echo "dbadm: cannot connect to the database" >&2; exit 1; }
echo "dbadm: executing action \"k-1216\""
if [ "$mishap" = hang ]; then
	query "DELETE FROM names WHERE id = (SELECT * FROM (SELECT MAX(b.id) $twice) AS last)" || exit 1
	echo half-way > /run/kopano-dbadm
	while :; do sleep 1; done
fi
query "DELETE b $twice" || exit 1
`

func (g Generation) kopanoBackup() Package {
	p := g.kopano("kopano-backup", "backup by brick level", "kopano-common, python-kopano")
	p.Files = []File{Program("/usr/sbin/kopano-backup", []byte("#!/bin/sh\necho kopano-backup\n"))}
	g.config(&p, "backup.cfg")
	if lines := protect(p.Conffiles); lines != nil {
		p.Scripts = map[string]string{"postinst": script(when(configuring, lines...))}
	}
	return p
}

func (g Generation) kopanoLang() Package {
	p := g.kopano("kopano-lang", "translations", "")
	p.Arch = "all"
	for _, language := range []string{"de_DE", "nl_NL"} {
		p.Files = append(p.Files, Text("/usr/share/kopano/locale/"+language+"/kopano.mo", "messages in "+language))
	}
	return p
}

func (g Generation) kopanoWebapp() Package {
	p := Package{Name: "kopano-webapp", Version: "3.5.12.2392-0+168.1", Maintainer: kopanoMaintainer, Section: "mail", Summary: "Kopano WebApp"}
	p.conffiles(
		Text("/etc/kopano/webapp/config.php", "<?php", `define("DEFAULT_SERVER", "default:");`, `define("COOKIE_NAME", "KOPANO_WEBAPP");`),
		Text("/etc/apache2/sites-available/kopano-webapp.conf", "Alias /webapp /usr/share/kopano-webapp"),
	)
	p.Files = append(p.Files,
		Text("/usr/share/kopano-webapp/index.php", "<?php"),
		Link("/usr/share/kopano-webapp/config.php", "/etc/kopano/webapp/config.php"),
		Dir("/var/lib/kopano-webapp/tmp", 0o755),
	)
	p.Scripts = map[string]string{"postinst": script(when(configuring, "chown www-data:www-data /var/lib/kopano-webapp/tmp"))}
	return p
}

func (g Generation) kopanoDaemon(p *Package, daemon string) {
	p.Maintainer, p.Source = kopanoMaintainer, "kopanocore"
	p.Depends = "kopano-common, kopano-client"
	for _, file := range configFiles(daemon) {
		g.config(p, file)
	}
	var configure []string
	switch daemon {
	case "server":
		p.Depends += ", kopano-lang"
		g.config(p, "ldap.cfg")
		scripts := "/usr/lib/kopano/userscripts"
		if g.conffiles {
			p.conffiles(userScripts(g.etc("userscripts"), "kopano")...)
		} else {
			p.Files = append(p.Files, userScripts(scripts, "kopano")...)
		}
	case "monitor":
		p.conffiles(Text(g.etc("quotamail/userwarning.mail"), "Your mailbox is filling up."), Text(g.etc("quotamail/userhard.mail"), "Your mailbox is full."))
	case "search", "dagent", "spooler":
		state := "/var/lib/kopano/" + daemon
		p.Files = append(p.Files, Dir(state, 0o755))
		configure = append(configure, "chown -Rh kopano:kopano "+state)
	}
	p.Scripts = g.serviceScripts(daemon, append(protect(p.Conffiles), configure...)...)
}

// config adds a configuration file: in /etc/kopano, or as an example. The directory mappings of
// LDAP are no configuration files in Kopano Core.
func (g Generation) config(p *Package, file string) {
	content := g.Config(file)
	switch {
	case content == nil:
	case strings.HasPrefix(file, "ldap.") && file != "ldap.cfg":
		p.Files = append(p.Files, File{Path: "/usr/share/kopano/" + file, Mode: 0o644, Content: content})
	case g.conffiles:
		p.conffiles(File{Path: g.etc(file), Mode: 0o640, Content: content})
	default:
		p.Files = append(p.Files, File{Path: "/usr/share/doc/kopano/example-config/" + file, Mode: 0o644, Content: content})
	}
}

// protect gives the group kopano the right to read a package's configuration.
func protect(conffiles []string) []string {
	var files []string
	for _, path := range conffiles {
		if strings.HasPrefix(path, "/etc/kopano/") && strings.HasSuffix(path, ".cfg") {
			files = append(files, path)
		}
	}
	if len(files) == 0 {
		return nil
	}
	return []string{"chgrp kopano " + strings.Join(files, " ") + " || true"}
}
