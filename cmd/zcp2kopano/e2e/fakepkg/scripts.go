package fakepkg

import (
	"fmt"
	"strings"
)

// Programs are the stand-in daemons' bytes, without their roles.
type Programs struct{ Server, Daemon []byte }

// script is a maintainer script that fails at the first error.
func script(lines ...string) string {
	return "#!/bin/sh\nset -e\n" + strings.Join(lines, "\n") + "\nexit 0\n"
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

// initScript starts and stops a daemon where there is no systemd.
func (g Generation) initScript(daemon string) File {
	name := g.Product + "-" + daemon
	content := fmt.Sprintf(`#!/bin/sh
### BEGIN INIT INFO
# Provides:          %[1]s
# Required-Start:    $remote_fs $syslog
# Required-Stop:     $remote_fs $syslog
# Should-Start:      mysql mariadb
# Should-Stop:       mysql mariadb
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
# Short-Description: %[1]s
### END INIT INFO

PATH=/usr/sbin:/usr/bin:/sbin:/bin
DAEMON=/usr/sbin/%[1]s
PIDFILE=%[2]s/%[3]s.pid

. /lib/lsb/init-functions
[ -x "$DAEMON" ] || exit 0
[ ! -r /etc/default/%[4]s ] || . /etc/default/%[4]s

start() {
	install -d -m 0775 -o %[4]s -g %[4]s %[2]s
	start-stop-daemon --start --quiet --oknodo --pidfile "$PIDFILE" --exec "$DAEMON" --%[5]s
}

stop() {
	start-stop-daemon --stop --quiet --oknodo --retry TERM/10/KILL/5 --pidfile "$PIDFILE" --exec "$DAEMON"
}

case "$1" in
start)
	log_daemon_msg "Starting" "%[1]s"
	start
	log_end_msg $? || exit 1
	;;
stop)
	log_daemon_msg "Stopping" "%[1]s"
	stop
	log_end_msg $? || exit 1
	;;
restart|force-reload)
	stop && start
	;;
status)
	status_of_proc -p "$PIDFILE" "$DAEMON" "%[1]s"
	;;
*)
	echo "usage: $0 {start|stop|restart|force-reload|status}" >&2
	exit 2
	;;
esac
`, name, g.runDir(), daemon, g.Product, g.daemonArgs(daemon))
	return Program("/etc/init.d/"+name, []byte(content))
}

// daemonArgs follow "--": ZCP and early Kopano units name their configuration.
func (g Generation) daemonArgs(daemon string) string {
	if g.Product == "zarafa" {
		return " -c " + g.etc(daemon+".cfg")
	}
	return ""
}

func (g Generation) unit(daemon string) File {
	name := g.Product + "-" + daemon
	return Text("/lib/systemd/system/"+name+".service",
		"[Unit]", "Description="+name, "After=network.target mysql.service mariadb.service", "",
		"[Service]", "Type=simple", "ExecStart=/usr/sbin/"+name+" -F"+g.daemonArgs(daemon), "TimeoutStopSec=60", "",
		"[Install]", "WantedBy=multi-user.target")
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
