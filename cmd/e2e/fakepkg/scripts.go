package fakepkg

import (
	"fmt"
	"strings"

	"zcp2kopano/cmd/e2e/fakepkg/service"
)

// Programs are the stand-in daemons' bytes, without their roles.
type Programs struct{ Server, Daemon []byte }

// script is a maintainer script that fails at the first error.
func script(lines ...string) string {
	return "#!/bin/sh\nset -e\n" + strings.Join(lines, "\n") + "\nexit 0\n"
}

// misbehaving lets a test have a maintainer script fail or hang: the script first does what the file of
// its name ("kopano-server.postinst") below /run/bed says.
func misbehaving(name, kind, script string) string {
	file := service.BehaviourDir + "/" + name + "." + kind
	begin, rest, _ := strings.Cut(script, "\nset -e\n")
	return begin + "\nset -e\nif [ -f " + file + " ]; then . " + file + "; fi\n" + rest
}

func when(condition string, lines ...string) string {
	return "if " + condition + "; then\n  " + strings.Join(lines, "\n  ") + "\nfi"
}

const (
	configuring = `[ "$1" = configure ]`
	removing    = `[ "$1" = remove ]`
	purging     = `[ "$1" = purge ]`
)

// runDir is where the product keeps sockets and pid files.
func (g Generation) runDir() string {
	if g.Product == "zarafa" {
		return "/run/zarafad"
	}
	return "/run/kopano"
}

// initScript starts and stops a daemon where there is no systemd, as the products' own do: a server is
// told to end and waited for, never killed, and not even told while it upgrades its database.
func (g Generation) initScript(daemon string) File {
	name := g.Product + "-" + daemon
	retry, refuse := "TERM/15/KILL", ""
	if daemon == "server" {
		retry = "TERM/65"
		refuse = fmt.Sprintf(`	if %s; then
		echo
		echo "The database is being upgraded, %s must not be stopped now."
		exit 1
	fi
`, g.underLock(), name)
	}
	prepare := fmt.Sprintf("install -dm0775 -o %[1]s -g %[1]s /var%[2]s", g.Product, g.runDir())
	if g.debian {
		prepare = ":"
		if daemon == "server" {
			prepare = "chown -R kopano /var/lib/kopano\n\tmkdir -p /var/run/kopano\n\tchown kopano /var/run/kopano"
		}
	}
	content := fmt.Sprintf(`#!/bin/sh
### BEGIN INIT INFO
# Provides:          %[1]s
# Required-Start:    $syslog $network $remote_fs
# Required-Stop:     $syslog $network $remote_fs
# Should-Start:      %[5]s
# Should-Stop:       %[5]s
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
# Short-Description: %[1]s
### END INIT INFO

PATH=/usr/local/sbin:/usr/local/bin:/sbin:/bin:/usr/sbin:/usr/bin
DAEMON=/usr/sbin/%[1]s
PIDFILE=/var%[2]s/%[3]s.pid

test -x "$DAEMON" || exit 0

[ ! -f /etc/default/%[4]s ] || . /etc/default/%[4]s
[ -n "$%[6]s_LOCALE" ] || %[6]s_LOCALE="C"
[ ! -e "$%[7]s_CONFIG" ] || %[7]s_OPTS="$%[7]s_OPTS -c $%[7]s_CONFIG"

. /lib/lsb/init-functions

case "$1" in
start)
	if [ "$%[7]s_ENABLED" = "no" ]; then
		log_warning_msg "%[1]s is switched off in /etc/default/%[4]s, not starting"
		exit 0
	fi
	log_begin_msg "Starting %[1]s"
	%[10]s
	export LC_ALL=$%[6]s_LOCALE LANG=$%[6]s_LOCALE
	start-stop-daemon --start --pidfile "$PIDFILE" --exec "$DAEMON" -- $%[7]s_OPTS
	log_end_msg $?
	;;
stop)
%[8]s	log_begin_msg "Stopping %[1]s"
	start-stop-daemon --stop --pidfile "$PIDFILE" --retry %[9]s --exec "$DAEMON" >/dev/null
	RETVAL=$?
	rm -f "$PIDFILE"
	log_end_msg $RETVAL
	;;
restart)
	"$0" stop
	"$0" start
	;;
status)
	status_of_proc "$DAEMON" "%[1]s" && exit 0 || exit $?
	;;
reload|force-reload)
	log_begin_msg "Reloading %[1]s"
	start-stop-daemon --stop --signal HUP --pidfile "$PIDFILE" --exec "$DAEMON"
	log_end_msg $?
	;;
try-restart)
	"$0" status >/dev/null && "$0" restart
	;;
*)
	echo "usage: $0 {start|stop|restart|reload|force-reload|status}" >&2
	exit 1
	;;
esac

exit 0
`, name, g.runDir(), daemon, g.Product, g.startsBehind(daemon), strings.ToUpper(g.Product), strings.ToUpper(daemon), refuse, retry, prepare)
	return Program("/etc/init.d/"+name, []byte(content))
}

// underLock is a condition: a server upgrades. Kopano looks for ZCP's lock, too.
func (g Generation) underLock() string {
	if g.Product == "zarafa" {
		return "[ -f /tmp/zarafa-upgrade-lock ]"
	}
	return "[ -f /tmp/zarafa-upgrade-lock ] || [ -f /tmp/kopano-upgrade-lock ]"
}

// defaults is what the init scripts read: which daemons are on, their configuration, more options.
func (g Generation) defaults() File {
	lines := []string{"# Settings of the init scripts of " + g.Product, strings.ToUpper(g.Product) + `_LOCALE="C"`,
		strings.ToUpper(g.Product) + `_USERSCRIPT_LOCALE="C"`}
	for _, daemon := range []string{"dagent", "server", "monitor", "spooler", "gateway", "ical", "search", "presence"} {
		options := ""
		if daemon == "dagent" {
			options = "-d"
		}
		name := strings.ToUpper(daemon)
		lines = append(lines, "", "# "+daemon, name+"_ENABLED=yes", name+"_CONFIG="+g.etc(daemon+".cfg"), name+`_OPTS="`+options+`"`)
	}
	return Text("/etc/default/"+g.Product, lines...)
}

// startsBehind are the services that a daemon is started behind, if they are there.
func (g Generation) startsBehind(daemon string) string {
	if daemon == "server" {
		return "mysql"
	}
	return g.Product + "-server"
}

// unit is as the products' own; those of ZCP name their configuration.
func (g Generation) unit(daemon string) File {
	if g.debian {
		return debianUnit(daemon)
	}
	name := g.Product + "-" + daemon
	foreground := " -F"
	if daemon == "dagent" {
		foreground = " -l"
	}
	config := ""
	if g.Product == "zarafa" {
		config = " -c " + g.etc(daemon+".cfg")
	}
	lines := []string{"[Unit]", "Description=" + name}
	if daemon == "server" {
		lines = append(lines, "After=network.target mysql.service mariadb.service")
	}
	lines = append(lines, "", "[Service]", "Type=simple", "Environment=LC_ALL=C LANG=C",
		"ExecStart=/usr/sbin/"+name+foreground+config, "ExecReload=/bin/kill -HUP $MAINPID")
	if daemon == "server" {
		lines = append(lines, "TimeoutStopSec=60")
	}
	return Text("/lib/systemd/system/"+name+".service", append(lines, "", "[Install]", "WantedBy=multi-user.target")...)
}

// serviceScripts are the maintainer scripts of a package with a daemon: it is enabled and started
// when configured, stopped when removed.
func (g Generation) serviceScripts(daemon string, configure ...string) map[string]string {
	name := g.Product + "-" + daemon
	initd := "/etc/init.d/" + name
	unit := name + ".service"
	enable := []string{
		when("[ -x "+initd+" ]", "update-rc.d "+name+" defaults >/dev/null"),
		when("[ -d /run/systemd/system ]", "deb-systemd-helper enable "+unit+" >/dev/null || true",
			"systemctl --system daemon-reload >/dev/null || true", "deb-systemd-invoke start "+unit+" >/dev/null || true"),
		when("[ ! -d /run/systemd/system ] && [ -x "+initd+" ]", "invoke-rc.d "+name+" start || true"),
	}
	return map[string]string{
		"postinst": script(when(configuring, append(configure, enable...)...)),
		"prerm": script(when(removing,
			when("[ -d /run/systemd/system ]", "deb-systemd-invoke stop "+unit+" >/dev/null || true"),
			when("[ ! -d /run/systemd/system ] && [ -x "+initd+" ]", "invoke-rc.d "+name+" stop || true"))),
		"postrm": script(
			when(purging, when("[ -x /usr/sbin/update-rc.d ]", "update-rc.d "+name+" remove >/dev/null || true"),
				when("[ -x /usr/bin/deb-systemd-helper ]", "deb-systemd-helper purge "+unit+" >/dev/null || true")),
			when("[ -d /run/systemd/system ]", "systemctl --system daemon-reload >/dev/null || true")),
	}
}
