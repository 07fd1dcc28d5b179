package fakepkg

import "strings"

const giraffeMaintainer = "Giraffe Maintainers <pkg-giraffe-maintainers@alioth-lists.debian.net>"

// DebianPackages are Kopano Core as Debian itself packages it (kopanocore 8.7.0-7): configuration files
// in /etc/kopano, the access to the database in debian-db.cfg behind them, a log directory that only
// kopano and adm may read, units that go on killing nobody but the main process, and a purge of the
// server that takes the attachments along.
func DebianPackages(programs Programs) ([]Package, error) {
	g := KopanoDebian
	packages := []Package{
		g.debianPackage("kopano-core", "meta package", "kopano-backup, kopano-dagent, kopano-gateway, kopano-ical, kopano-monitor, "+
			"kopano-search, kopano-server, kopano-spooler, kopano-utils"),
		g.debianCommon(),
		g.debianLibs(),
		g.debianPython("python3-mapi", "MAPI", "kopano-libs"),
		g.debianPython("python3-kopano", "kopano", "python3-mapi"),
		g.debianUtils(),
		g.debianBackup(),
		g.debianL10n(),
	}
	return g.withDaemons(packages, programs)
}

func (g Generation) debianPackage(name, summary, depends string) Package {
	return Package{
		Name: name, Version: g.Version, Arch: arch, Maintainer: giraffeMaintainer, Source: "kopanocore",
		Section: "mail", Summary: "Complete and feature rich groupware solution - " + summary, Depends: depends,
	}
}

func (g Generation) debianCommon() Package {
	p := g.debianPackage("kopano-common", "common files", "adduser, lsb-base (>= 3.0-6)")
	p.conffiles(g.logrotate(), g.defaults())
	p.Files = append(p.Files, Dir("/etc/kopano", 0o755), Dir("/var/log/kopano", 0o755),
		Text("/usr/lib/sysusers.d/kopano-sysusers.conf", `u kopano - "Kopano services"`),
		Text("/usr/lib/tmpfiles.d/kopano-tmpfiles.conf", "# nothing"))
	p.Scripts = map[string]string{
		"postinst": script(when(configuring,
			when("! getent group kopano >/dev/null", "addgroup --system kopano"),
			when("! getent passwd kopano >/dev/null", "adduser --quiet --system --ingroup kopano --disabled-login --disabled-password "+
				`--home /var/lib/kopano --no-create-home --gecos "Kopano" kopano`),
			"chown kopano:adm /var/log/kopano",
			"chmod 750 /var/log/kopano",
			when("! dpkg-statoverride --list /etc/kopano/debian-db.cfg >/dev/null",
				"dpkg-statoverride --add --update root kopano 0640 /etc/kopano/debian-db.cfg"))),
		"postrm": script(when(purging, "rm -rf /var/log/kopano")),
	}
	return p
}

func (g Generation) debianLibs() Package {
	p := g.debianPackage("kopano-libs", "libraries", "")
	p.Breaks, p.Replaces = "kopano-client", "kopano-client"
	p.Files = []File{
		Text("/usr/lib/mapi.d/kopano.inf", "[Services]", "ZARAFA6=Kopano Server"),
		Text("/usr/lib/x86_64-linux-gnu/libmapi.so.1.0.0", "library libmapi"),
		Link("/usr/lib/x86_64-linux-gnu/libmapi.so.1", "libmapi.so.1.0.0"),
		Text("/usr/lib/x86_64-linux-gnu/kopano/libkcclient.so", "library of kopano-libs"),
	}
	return p
}

func (g Generation) debianPython(name, module, depends string) Package {
	p := g.debianPackage(name, "Python bindings", depends)
	p.Section = "python"
	p.Files = []File{Text("/usr/lib/python3/dist-packages/"+module+"/__init__.py", "# module "+module)}
	return p
}

func (g Generation) debianUtils() Package {
	p := g.debianPackage("kopano-utils", "admin tools", "kopano-common, kopano-libs, python3-kopano")
	for _, tool := range []string{"/usr/sbin/kopano-admin", "/usr/sbin/kopano-cli", "/usr/sbin/kopano-dbadm", "/usr/bin/kopano-passwd", "/usr/bin/kopano-fsck"} {
		p.Files = append(p.Files, Program(tool, []byte("#!/bin/sh\necho "+tool+"\n")))
	}
	return p
}

func (g Generation) debianBackup() Package {
	p := g.debianPackage("kopano-backup", "backup", "kopano-common, python3-kopano")
	p.Files = []File{Program("/usr/sbin/kopano-backup", []byte("#!/bin/sh\necho kopano-backup\n"))}
	p.conffiles(g.debianConfig("backup.cfg"))
	return p
}

func (g Generation) debianL10n() Package {
	p := g.debianPackage("kopano-l10n", "l10n files", "")
	p.Breaks, p.Replaces = "kopano-lang", "kopano-lang"
	p.Files = []File{Text("/usr/share/locale/de/LC_MESSAGES/kopano.mo", "messages in de")}
	return p
}

// debianConfig is a configuration file as Debian changes it: the user is written down, and what dbconfig
// says of the database comes behind the settings of it.
func (g Generation) debianConfig(name string) File {
	var lines []string
	at := 0
	for _, line := range strings.Split(string(g.Config(name)), "\n") {
		if user := strings.TrimPrefix(line, "#"); strings.HasPrefix(user, "run_as_") {
			line = user
		}
		lines = append(lines, line)
		if strings.HasPrefix(strings.TrimPrefix(line, "#"), "mysql_") {
			at = len(lines)
		}
	}
	if name == "server.cfg" {
		lines = append(lines[:at:at], append([]string{"", "!include debian-db.cfg"}, lines[at:]...)...)
	}
	return Text(g.etc(name), strings.TrimSuffix(strings.Join(lines, "\n"), "\n"))
}

// debianDaemon makes a daemon's package Debian's.
func (g Generation) debianDaemon(p *Package, daemon string) {
	p.Maintainer, p.Source = giraffeMaintainer, "kopanocore"
	p.Depends = "kopano-common (= " + g.Version + "), kopano-libs, lsb-base (>= 3.0-6)"
	for _, file := range append(configFiles(daemon), map[string]string{"server": "ldap.cfg"}[daemon]) {
		switch content := g.Config(file); {
		case content == nil:
		case strings.HasPrefix(file, "ldap.") && file != "ldap.cfg":
			p.Files = append(p.Files, File{Path: "/usr/share/kopano/" + file, Mode: 0o644, Content: content})
		default:
			p.conffiles(g.debianConfig(file))
		}
	}
	p.Scripts = debhelperScripts(p.Name)
	switch daemon {
	case "server":
		p.Depends += ", default-mysql-client | mariadb-client | virtual-mysql-client"
		p.Recommends = "mariadb-server | default-mysql-server"
		p.Files = append(p.Files, Dir("/var/lib/kopano/attachments", 0o755))
		p.Files = append(p.Files, userScripts("/usr/lib/kopano/userscripts", "kopano")...)
		p.Scripts["postinst"] = script(databaseOfDbconfig, afterSet(p.Scripts["postinst"]))
		p.Scripts["postrm"] = script(when(purging, "rm -f /etc/kopano/debian-db.cfg", "rm -rf /var/lib/kopano/attachments"), afterSet(p.Scripts["postrm"]))
	case "monitor":
		p.conffiles(Text(g.etc("quotamail/userwarning.mail"), "Your mailbox is filling up."), Text(g.etc("quotamail/userhard.mail"), "Your mailbox is full."))
	case "search":
		p.Depends += ", python3-kopano"
	case "dagent", "spooler":
		p.Files = append(p.Files, Dir("/var/lib/kopano/"+daemon+"/plugins", 0o755))
	}
}

// databaseOfDbconfig makes the database kopano, with an account of a password of its own, if there is a
// database server that lets root in, and writes down how to reach it.
const databaseOfDbconfig = `if [ "$1" = configure ] && [ ! -f /etc/kopano/debian-db.cfg ]; then
  password=$(head -c 9 /dev/urandom | base64)
  if [ -S /run/mysqld/mysqld.sock ]; then
    mysql --no-defaults -uroot -e "CREATE DATABASE IF NOT EXISTS kopano; CREATE USER IF NOT EXISTS kopano@localhost; SET PASSWORD FOR kopano@localhost = PASSWORD('$password'); GRANT ALL ON kopano.* TO kopano@localhost"
  fi
  umask 027
  printf 'mysql_host\t\t= localhost\nmysql_port\t\t= 3306\nmysql_user\t\t= kopano\nmysql_password\t\t= %s\nmysql_socket\t\t=\nmysql_database\t\t= kopano\n' "$password" >/etc/kopano/debian-db.cfg
  chown root:kopano /etc/kopano/debian-db.cfg
fi`

// afterSet is what a script does, without its beginning and its end.
func afterSet(script string) string {
	_, rest, _ := strings.Cut(script, "\nset -e\n")
	return strings.TrimSuffix(rest, "\nexit 0\n")
}

// debhelperScripts are what debhelper writes for a daemon with a unit and an init script: the unit is
// enabled whether systemd runs or not, and masked from the removal on until the purge.
func debhelperScripts(name string) map[string]string {
	unit, initd := name+".service", "/etc/init.d/"+name
	return map[string]string{
		"postinst": script(when(configuring,
			"deb-systemd-helper unmask "+unit+" >/dev/null || true",
			"if deb-systemd-helper --quiet was-enabled "+unit+"; then",
			"  deb-systemd-helper enable "+unit+" >/dev/null || true",
			"else",
			"  deb-systemd-helper update-state "+unit+" >/dev/null || true",
			"fi",
			when("[ -x "+initd+" ]", "update-rc.d "+name+" defaults >/dev/null", "invoke-rc.d "+name+" start || exit 1"))),
		"prerm": script(when("[ -x "+initd+" ] && "+removing, "invoke-rc.d "+name+" stop || exit 1")),
		"postrm": script(
			when("[ -d /run/systemd/system ]", "systemctl --system daemon-reload >/dev/null || true"),
			when(removing+" && [ -x /usr/bin/deb-systemd-helper ]", "deb-systemd-helper mask "+unit+" >/dev/null || true"),
			when(purging, "update-rc.d "+name+" remove >/dev/null",
				when("[ -x /usr/bin/deb-systemd-helper ]", "deb-systemd-helper purge "+unit+" >/dev/null || true",
					"deb-systemd-helper unmask "+unit+" >/dev/null || true"))),
	}
}

func debianUnit(daemon string) File {
	name := "kopano-" + daemon
	lines := []string{"[Unit]", "Description=" + name, "After=network.target", "After=local-fs.target", "After=mysql.service", "",
		"[Service]", "Type=simple"}
	start := "/usr/sbin/" + name + " -F -c /etc/kopano/" + daemon + ".cfg"
	switch daemon {
	case "server":
		lines = append(lines, "PermissionsStartOnly=true", "ExecStartPre=/bin/mkdir -p /var/run/kopano", "ExecStartPre=/bin/chown kopano /var/run/kopano",
			"ExecStartPre=/bin/chown kopano /var/lib/kopano", "ExecStartPre=/bin/chown kopano /var/lib/kopano/attachments", "KillMode=process")
	case "dagent":
		start = "/usr/sbin/" + name + " -l -F -c /etc/kopano/dagent.cfg"
		lines = append(lines, "KillMode=process")
	default:
		start = "/usr/sbin/" + name + " -F" // their units are Kopano's own
	}
	lines = append(lines, "ExecStart="+start, "ExecReload=/bin/kill -HUP $MAINPID", "", "[Install]", "WantedBy=multi-user.target")
	return Text("/lib/systemd/system/"+name+".service", lines...)
}

// logrotate is the rotation of all logs, each with the daemon that has to let go of it.
func (g Generation) logrotate() File {
	var lines []string
	for _, daemon := range []string{"archiver", "dagent", "gateway", "ical", "search", "monitor", "server", "spooler"} {
		logs := "/var/log/" + g.Product + "/" + daemon + ".log"
		if daemon == "server" {
			logs += " /var/log/" + g.Product + "/audit.log"
		}
		lines = append(lines, logs+" {", "\tweekly", "\tmissingok")
		if g.Product == "kopano" && g.rereads {
			lines = append(lines, "\tcreate 640 kopano kopano")
		}
		lines = append(lines, "\trotate 52", "\tcompress", "\tdelaycompress", "\tnotifempty")
		if daemon != "archiver" {
			lines = append(lines, "\tpostrotate", "\t\tkillall -HUP "+g.Product+"-"+daemon+" 2>/dev/null || true", "\tendscript")
		}
		lines = append(lines, "}", "")
	}
	return Text("/etc/logrotate.d/"+g.Product, lines...)
}
