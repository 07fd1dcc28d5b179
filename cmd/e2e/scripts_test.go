package e2e

import (
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"zcp2kopano/cmd/e2e/fakepkg"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/manifest"
)

// scriptRoots are what maintainer scripts of these tests change.
var scriptRoots = []string{"/etc", "/var/lib", "/var/log", "/home", "/srv", "/opt", "/usr/share/man", "/usr/share/doc"}

// scriptIgnored is less than what other tests leave out: former versions of account files and the notes of
// deb-systemd-helper are compared.
var scriptIgnored = []string{"/var/lib/dpkg", "/var/lib/apt", "/var/log/dpkg.log", "/var/log/apt", "/etc/ld.so.cache", "/srv/packages", "/var/cache", "/etc/subuid-", "/etc/subgid-"}

// conformance installs and removes packages for real and in simulation.
type conformance struct {
	*Root
	t *testing.T
}

// step carries a transaction out both ways and compares what is left. It returns what the simulation says
// that it does not know.
func (c *conformance) step(tx host.Transaction, command ...string) []string {
	c.t.Helper()
	opts := manifest.Options{Roots: scriptRoots, Ignore: scriptIgnored}
	var simulated Committed
	c.ask(question{Manifest: opts, Commit: &tx}, &simulated)
	res := c.Run(command[0], command[1:]...)
	real := c.Manifest(opts)
	if (res.Code != 0) != (simulated.Error != "") {
		c.t.Errorf("%v: exit status %d\n%s\nsimulated: %s", command, res.Code, res.Output, simulated.Error)
	}
	diffs := manifest.Compare(simulated.End, real, simulated.Unpredicted)
	if wrong := manifest.Unexcused(diffs); len(wrong) != 0 {
		c.t.Errorf("%v: %d differences that were not announced:\n%s", command, len(wrong), manifest.Table(wrong, "simulated", "real"))
	}
	for _, d := range diffs {
		if text, ok := simulated.Accounts[d.Path]; ok && d.Excuse == "" {
			c.t.Errorf("%s:\n%s", d.Path, cmp.Diff(text, c.ReadFile(d.Path)))
		}
	}
	if diff := cmp.Diff(runlevelLinks(simulated.End), runlevelLinks(real)); diff != "" {
		c.t.Errorf("%v: runlevel links, their numbers left out:\n%s", command, diff)
	}
	var said []string
	for _, u := range simulated.Unpredicted {
		if !strings.HasPrefix(u.What, "files of the package manager") && !strings.HasPrefix(u.What, "what the hooks of apt do") {
			said = append(said, strings.TrimSpace(u.What+" "+u.Path+" "+u.Aspect))
		}
	}
	return said
}

// runlevelLinks are the links of init scripts without their sequence numbers, which only insserv knows.
func runlevelLinks(m *manifest.Manifest) []string {
	var links []string
	for name := range m.Files {
		if dir, base := path.Split(name); strings.HasPrefix(dir, "/etc/rc") && len(base) > 3 && m.Files[name].Type == "symlink" {
			links = append(links, dir+base[:1]+base[3:])
		}
	}
	slices.Sort(links)
	return links
}

func (c *conformance) write(p fakepkg.Package) string {
	c.t.Helper()
	p.Maintainer, p.Summary = "Nobody <nobody@example.org>", "a test"
	data, err := p.Deb()
	if err != nil {
		c.t.Fatal(err)
	}
	file := "/srv/packages/" + p.FileName()
	c.WriteFile(file, string(data), 0o644)
	return file
}

func (c *conformance) install(p fakepkg.Package) []string {
	c.t.Helper()
	file := c.write(p)
	return c.step(host.Transaction{Install: []string{file}}, "dpkg", "--install", file)
}

func (c *conformance) remove(name string) []string {
	c.t.Helper()
	return c.step(host.Transaction{Remove: []string{name}}, "dpkg", "--remove", name)
}

func (c *conformance) purge(name string) []string {
	c.t.Helper()
	return c.step(host.Transaction{Remove: []string{name}, Purge: true}, "dpkg", "--purge", name)
}

func sh(lines ...string) string { return "#!/bin/sh\nset -e\n" + strings.Join(lines, "\n") + "\n" }

const debhelperService = `
if [ "$1" = "configure" ] || [ "$1" = "abort-upgrade" ] || [ "$1" = "abort-deconfigure" ] || [ "$1" = "abort-remove" ] ; then
	deb-systemd-helper unmask 'NAME.service' >/dev/null || true
	if deb-systemd-helper --quiet was-enabled 'NAME.service'; then
		deb-systemd-helper enable 'NAME.service' >/dev/null || true
	else
		deb-systemd-helper update-state 'NAME.service' >/dev/null || true
	fi
	if [ -d /run/systemd/system ]; then
		systemctl --system daemon-reload >/dev/null || true
		if [ -n "$2" ]; then
			_dh_action=restart
		else
			_dh_action=start
		fi
		deb-systemd-invoke $_dh_action 'NAME.service' >/dev/null || true
	fi
	if [ -x "/etc/init.d/NAME" ]; then
		update-rc.d NAME defaults >/dev/null
		invoke-rc.d NAME start || exit 1
	fi
fi
`

const debhelperServicePrerm = `
if [ -x "/etc/init.d/NAME" ]; then
	invoke-rc.d NAME stop || exit 1
fi
if [ -d /run/systemd/system ] && [ "$1" = remove ]; then
	deb-systemd-invoke stop 'NAME.service' >/dev/null || true
fi
`

const debhelperServicePostrm = `
if [ "$1" = "purge" ] ; then
	update-rc.d NAME remove >/dev/null
fi
if [ -d /run/systemd/system ]; then
	systemctl --system daemon-reload >/dev/null || true
fi
if [ "$1" = "remove" ]; then
	if [ -x "/usr/bin/deb-systemd-helper" ]; then
		deb-systemd-helper mask 'NAME.service' >/dev/null || true
	fi
fi
if [ "$1" = "purge" ]; then
	if [ -x "/usr/bin/deb-systemd-helper" ]; then
		deb-systemd-helper purge 'NAME.service' >/dev/null || true
		deb-systemd-helper unmask 'NAME.service' >/dev/null || true
	fi
fi
`

func named(script, name string) string { return strings.ReplaceAll(script, "NAME", name) }

// servicePackage has a unit, an init script, and what debhelper writes for them.
func servicePackage(name string) fakepkg.Package {
	p := fakepkg.Package{Name: name, Version: "1", Scripts: map[string]string{
		"postinst": sh(named(debhelperService, name)), "prerm": sh(named(debhelperServicePrerm, name)), "postrm": sh(named(debhelperServicePostrm, name)),
	}}
	p.Files = append(p.Files,
		fakepkg.Text("/lib/systemd/system/"+name+".service", "[Unit]", "Description=x", "[Service]", "Type=oneshot", "RemainAfterExit=yes", "ExecStart=/bin/true",
			"[Install]", "WantedBy=multi-user.target", "Alias="+name+"-alias.service"),
		fakepkg.Program("/etc/init.d/"+name, []byte("#!/bin/sh\n### BEGIN INIT INFO\n# Provides: "+name+"\n# Required-Start: $remote_fs\n# Required-Stop: $remote_fs\n"+
			"# Default-Start: 3 5\n# Default-Stop: 0 6\n# Short-Description: x\n### END INIT INFO\nexit 0\n")))
	p.Conffiles = []string{"/etc/init.d/" + name}
	return p
}

// TestScriptsLikeDpkg runs maintainer scripts under dpkg and in simulation, step by step on one root, and
// compares files, accounts and links after each.
func TestScriptsLikeDpkg(t *testing.T) {
	t.Parallel()
	c := &conformance{Root: NewRoot(t), t: t}
	c.WriteFile("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755) // the service is none
	c.WriteFile("/etc/dpkg/dpkg.cfg.d/excludes", "# what nobody reads here\npath-exclude=/usr/share/man/*\npath-exclude /usr/share/doc/*\npath-include=/usr/share/doc/*/copyright\n", 0o644)
	for _, s := range conformanceCases {
		pin(t, s.name, c.install(s.pkg), s.installs)
		again := s.pkg
		again.Version = "2"
		pin(t, s.name+" again", c.install(again), s.installs)
		pin(t, s.name+" removed", c.remove(s.pkg.Name), s.removes)
		pin(t, s.name+" back", c.install(again), s.installs)
		pin(t, s.name+" purged", c.purge(s.pkg.Name), append(slices.Clone(s.removes), s.purges...))
	}
}

// pin fails if a simulation says of anything but this that it does not know it.
func pin(t *testing.T, name string, said, want []string) {
	t.Helper()
	for _, s := range said {
		if !slices.ContainsFunc(want, func(w string) bool {
			ok, _ := path.Match(w, s)
			begin, open := strings.CutSuffix(w, "...")
			return ok || w == s || open && strings.HasPrefix(s, begin)
		}) {
			t.Errorf("%s: not simulated, but should be: %s", name, s)
		}
	}
}

var shadowOpen = []string{"content of /etc/shadow /etc/shadow content", "content of /etc/shadow- /etc/shadow- content"}

// conformanceCases are packages by what their scripts use.
var conformanceCases = []struct {
	name                      string
	pkg                       fakepkg.Package
	installs, removes, purges []string // what is left open
}{
	{name: "adduser", pkg: fakepkg.Package{Name: "t-adduser", Version: "1", Scripts: map[string]string{
		"postinst": sh(
			"if ! getent group ka >/dev/null; then addgroup --system ka; fi",
			"if ! getent passwd ka >/dev/null; then",
			`	adduser --quiet --system --ingroup ka --quiet --disabled-login --disabled-password --home /var/lib/ka --no-create-home --gecos "Kopano" ka`,
			"fi",
			"adduser --quiet --system --group --no-create-home --home /var/lib/kb kb",
			"adduser --system kc",
			"adduser --system --home /var/lib/kd --shell /bin/sh --group kd",
			"adduser --system --home /var/lib/ke --gecos 'A B,room 1,work' ke",
			"adduser ke kd", "adduser --quiet kc adm"),
		"postrm": sh(`if [ "$1" = purge ]; then`, "deluser --system ka", "delgroup --system ka || true", "deluser ke kd", "deluser --quiet --system ke || true",
			"deluser --system kd", "delgroup --system --only-if-empty kd || true", "deluser --system nobody-of-that-name", "fi"),
	}}, installs: shadowOpen, purges: shadowOpen},
	{name: "useradd", pkg: fakepkg.Package{Name: "t-useradd", Version: "1", Scripts: map[string]string{
		// as the vendor's preinst: without a first line
		"preinst": "getent group la >/dev/null || \\\ngroupadd -r la\n\ngetent passwd la >/dev/null || \\\nuseradd -r -c 'Kopano Groupware Suite' -g la -d /dev/null \\\n\t-s /sbin/nologin la\n\npasswd -l la >/dev/null\n",
		"postinst": sh("id lb >/dev/null 2>&1 || useradd --system lb", "getent group lc || groupadd lc", "getent group ld || groupadd --gid 777 ld",
			"usermod -a -G lc,adm la", "usermod -c 'new name' -d /srv/la -s /bin/false la", "gpasswd -a lb lc >/dev/null", "chsh -s /bin/sh lb", "chfn -f Somebody lb",
			"useradd -r lb && exit 3 || true", "groupadd la || echo there"),
		"postrm": sh(`case "$1" in`, "purge)", "userdel la", "gpasswd -d lb lc >/dev/null", "userdel lb", "groupdel lc", "groupdel ld;;", "esac"),
	}}, installs: shadowOpen, purges: shadowOpen},
	{name: "files", pkg: fakepkg.Package{Name: "t-files", Version: "1",
		Files: []fakepkg.File{fakepkg.Text("/usr/share/t-files/a.cfg", "a = 1"), fakepkg.Dir("/var/lib/t-files", 0o755), fakepkg.Dir("/var/log/t-files", 0o755)},
		Scripts: map[string]string{
			"postinst": sh("cd /", "D=/var/lib/t-files", `install -d -m 0770 -o mysql -g adm "$D/one" $D/two/deep`, "mkdir -p -m 0700 $D/three/four", "(umask 077; mkdir -p $D/five/six; echo private > $D/five/six/file)",
				"chown mysql:adm /var/log/t-files", "chmod 2750 /var/log/t-files", "chmod 750 /var/log/t-files",
				"touch $D/one/a $D/one/b '$D' $D/one/.hidden", "rm -f '$D'", "ln -sf a $D/one/link", "ln -snf one $D/dir", "ln -f $D/one/a $D/one/hard",
				"chown mysql $D/one/link", "chown -h root:mysql $D/one/link", "chown mysql: $D/one/b", "chgrp -R adm $D/two", "chown -R mysql:adm $D/three $D/dir/.", "chmod -R g-w,o=,u+rX $D/three",
				"chmod u=rwx,go=rx $D/five", "chmod +x $D/one/a", "chmod a-w $D/one/b", "chmod -x $D/one/b", "chmod 1777 $D/two", "chmod ug+s $D/one/a",
				"cp /usr/share/t-files/a.cfg $D/", "cp -a /usr/share/t-files $D/copy", "cp -p /usr/share/t-files/a.cfg $D/one", "install -m 640 -o root -g mysql /usr/share/t-files/a.cfg $D/b.cfg",
				"install -D -m 600 /usr/share/t-files/a.cfg $D/x/y/z.cfg", "mv -f $D/b.cfg $D/c.cfg", "mv $D/c.cfg $D/two", "cat > $D/here <<EOF", "home is $D", "EOF", "cat >> $D/here <<'EOF'", "not $D", "EOF",
				"printf '%s=%d\\n' x 3 y 4 > $D/printf", "echo one > $D/echo", "echo two >> $D/echo", `for f in $D/one/*; do basename "$f" >> $D/list; done`, "rmdir $D/none 2>/dev/null || echo none >> $D/echo",
				"mkdir -p $D/e1/e2 && rmdir -p --ignore-fail-on-non-empty $D/e1/e2", "rm -rf $D/one/.h* $D/nothing*", "readlink $D/one/link >> $D/echo", "cp -r $D/one $D/one-r", "rm -f $D/list.none"),
			"prerm":  sh("chmod 755 /var/lib/t-files/two"),
			"postrm": sh(`if [ "$1" = purge ]; then`, "rm -rf /var/lib/t-files /var/log/t-files", "fi"),
		}}},
	{name: "language", pkg: fakepkg.Package{Name: "t-language", Version: "1", Scripts: map[string]string{
		"preinst":  sh("mkdir -p /var/lib/t-language", `echo "preinst $*" >> /var/lib/t-language/calls`),
		"postinst": sh(languageScript),
		"prerm":    sh(`echo "prerm $# $*" >> /var/lib/t-language/calls`),
		"postrm":   sh(`[ ! -d /var/lib/t-language ] || echo "postrm $# $*" >> /var/lib/t-language/calls`, `if [ "$1" = purge ]; then mv /var/lib/t-language/calls /srv/calls; rm -r /var/lib/t-language; fi`),
	}}},
	{name: "service", pkg: servicePackage("t-service"), installs: rcOpen("t-service"), removes: rcOpen("t-service"), purges: rcOpen("t-service")},
	{name: "statoverride", pkg: fakepkg.Package{Name: "t-override", Version: "1", Conffiles: []string{"/etc/t-override/db.cfg"},
		Files: []fakepkg.File{fakepkg.Text("/etc/t-override/db.cfg", "a"), fakepkg.Text("/usr/share/t-override/x", "x")},
		Scripts: map[string]string{
			"postinst": sh("if ! dpkg-statoverride --list /etc/t-override/db.cfg >/dev/null; then dpkg-statoverride --add --update root mysql 0640 /etc/t-override/db.cfg; fi",
				"if ! dpkg-statoverride --list /usr/share/t-override/x >/dev/null; then dpkg-statoverride --update --add mysql adm 4711 /usr/share/t-override/x; fi"),
			"prerm":  sh("dpkg-maintscript-helper rm_conffile /etc/t-override/old.cfg 0.5~ t-override -- \"$@\""),
			"postrm": sh("dpkg-maintscript-helper rm_conffile /etc/t-override/old.cfg 0.5~ t-override -- \"$@\"", `if [ "$1" = purge ]; then dpkg-statoverride --remove /etc/t-override/db.cfg; dpkg-statoverride --quiet --remove /usr/share/t-override/x || true; fi`),
		}}},
	{name: "files left out", pkg: fakepkg.Package{Name: "t-excluded", Version: "1", Conffiles: []string{"/etc/t-excluded.cfg"}, Files: []fakepkg.File{
		fakepkg.Text("/usr/share/man/man8/t-excluded.8", "a page"), fakepkg.Text("/usr/share/man/xx/man8/t-excluded.8", "a page"), fakepkg.Text("/etc/t-excluded.cfg", "a"),
		fakepkg.Text("/usr/share/doc/t-excluded/copyright", "nobody"), fakepkg.Text("/usr/share/doc/t-excluded/README", "x"), fakepkg.Text("/usr/share/doc/t-excluded/examples/a", "x"),
		fakepkg.Link("/usr/share/doc/t-excluded-link", "t-excluded"),
	}}},
	{name: "alternatives", pkg: fakepkg.Package{Name: "t-alternatives", Version: "1",
		Files: []fakepkg.File{fakepkg.Program("/usr/share/t-alternatives/low", []byte("low")), fakepkg.Program("/usr/share/t-alternatives/high", []byte("high")),
			fakepkg.Text("/usr/share/t-alternatives/low.1", "a page"), fakepkg.Text("/usr/share/t-alternatives/low.2", "another"), fakepkg.Program("/usr/share/t-alternatives/awk", []byte("none"))},
		Scripts: map[string]string{
			"postinst": sh("D=/usr/share/t-alternatives", "update-alternatives --quiet --install /srv/tool t-tool $D/low 10 --slave /srv/tool.1 t-tool.1 $D/low.1 --slave /srv/tool.2 t-tool.2 $D/low.2",
				"cp /var/lib/dpkg/alternatives/t-tool /srv/tool.first", "update-alternatives --install /srv/tool t-tool $D/high 30 --slave /srv/tool.none t-tool.none $D/none",
				"cp /var/lib/dpkg/alternatives/t-tool /srv/tool.second", `[ -n "$2" ] || update-alternatives --set t-tool $D/low`, "cp /var/lib/dpkg/alternatives/t-tool /srv/tool.third",
				"update-alternatives --install /usr/bin/awk awk $D/awk 1000", "update-alternatives --remove t-tool $D/never", "update-alternatives --remove t-never $D/low",
				"update-alternatives --set t-tool $D/never 2>/dev/null || echo none > /srv/tool.never", "update-alternatives --install /srv/tool t-tool $D/never 5 2>/dev/null || echo none >> /srv/tool.never",
				"update-alternatives --install /srv/one t-one $D/low 1", "update-alternatives --install /srv/one t-one $D/high 1", "update-alternatives --remove-all t-one"),
			"prerm": sh("D=/usr/share/t-alternatives", `if [ "$1" = remove ]; then`, "update-alternatives --remove t-tool $D/low", "cp /var/lib/dpkg/alternatives/t-tool /srv/tool.fourth",
				"update-alternatives --auto t-tool", "update-alternatives --remove t-tool $D/high", "update-alternatives --remove awk $D/awk", "fi"),
		}}},
	{name: "alternatives bent by hand", pkg: fakepkg.Package{Name: "t-bent", Version: "1", Files: []fakepkg.File{fakepkg.Program("/usr/share/t-bent/a", []byte("a"))},
		Scripts: map[string]string{
			"postinst": sh("mkdir -p /srv/bent.d", "echo mine > /srv/bent", "update-alternatives --install /srv/bent t-bent /usr/share/t-bent/a 10 --slave /srv/bent.1 t-bent.1 /usr/share/t-bent/a"),
			"prerm":    sh(`[ "$1" != remove ] || update-alternatives --remove t-bent /usr/share/t-bent/a`),
		}}, installs: bentOpen, removes: bentOpen},
	{name: "ucf", pkg: fakepkg.Package{Name: "t-ucf", Version: "1", Files: []fakepkg.File{fakepkg.Text("/usr/share/t-ucf/same.cfg", "same = 1")},
		Scripts: map[string]string{
			"postinst": sh(`if [ -n "$2" ]; then v=two; else v=one; fi`, "umask 027", "mkdir -p /var/lib/t-ucf", "for f in changed edited; do echo \"version $v\" > /var/lib/t-ucf/$f.cfg; done", "umask 022",
				"ucf --debconf-ok /usr/share/t-ucf/same.cfg /etc/t-ucf-same.cfg", "ucf --debconf-ok --three-way /var/lib/t-ucf/changed.cfg /etc/t-ucf-changed.cfg", "ucfr t-ucf /etc/t-ucf-changed.cfg",
				"ucf --debconf-ok /var/lib/t-ucf/edited.cfg /etc/t-ucf-edited.cfg", `[ -n "$2" ] || echo mine >> /etc/t-ucf-edited.cfg`, "rm -f /etc/t-ucf-same.cfg",
				"ucf --debconf-ok /usr/share/t-ucf/same.cfg /etc/t-ucf-same.cfg"),
			"postrm": sh(`if [ "$1" = purge ]; then`, "if which ucf >/dev/null 2>&1; then ucf --purge /etc/t-ucf-changed.cfg; ucf --purge /etc/t-ucf-same.cfg; ucf --purge /etc/t-ucf-edited.cfg; ucfr --purge t-ucf /etc/t-ucf-changed.cfg; fi",
				"rm -rf /etc/t-ucf-* /var/lib/t-ucf", "fi"),
		}}, installs: []string{"the records of ucf /var/lib/ucf", "postinst of t-ucf 2, line 12: ucf --debconf-ok /var/lib/t-ucf/edited.cfg ..."}, purges: []string{"the records of ucf /var/lib/ucf"}},
	{name: "Debian's server", pkg: fakepkg.Package{Name: "t-server", Version: "1", Files: []fakepkg.File{fakepkg.Dir("/var/lib/t-server/attachments", 0o755), fakepkg.Dir("/var/log/t-server", 0o755)},
		Scripts: map[string]string{
			"postinst": sh("LOGDIR=/var/log/t-server", "logs() {", "    chown mysql:adm ${LOGDIR}", "    chmod 750 ${LOGDIR}", "}", `case "$1" in`, "configure)", "logs", "echo x > /var/lib/t-server/attachments/1", ";;",
				"abort-upgrade|abort-remove|abort-deconfigure)", ";;", "*)", "echo \"postinst called with unknown argument \\`$1'\" >&2", "exit 1", ";;", "esac", "exit 0"),
			"postrm": sh("LOGDIR=/var/log/t-server", `case "$1" in`, "remove|upgrade|failed-upgrade|abort-install|abort-upgrade|disappear)", ";;", "purge)",
				"if which ucf >/dev/null 2>&1; then", "ucf --purge /etc/t-server.cfg", "else", "rm -f /etc/t-server.cfg", "fi", "rm -rf /var/lib/t-server/attachments", "rm -rf ${LOGDIR}", ";;", "*)", "exit 1", ";;", "esac", "exit 0"),
		}}, purges: []string{"the records of ucf /var/lib/ucf"}},
}

// bentOpen is what stays open where somebody's file is in the place of an alternative's link.
var bentOpen = []string{"postinst of t-bent ...", "prerm of t-bent ..."}

func rcOpen(name string) []string {
	return []string{
		"sequence numbers of runlevel links /etc/rc?.d/[SK][0-9][0-9]*",
		"dependencies of the init scripts /etc/init.d/.depend.* content",
		"what " + name + " does when it starts",
	}
}

const languageScript = `
L=/var/lib/t-language
mkdir -p $L
out() { echo "$@" >> $L/out; }
rm -f $L/out
echo "postinst $# $*" >> $L/calls
out "name ${0##*/} first $1 second ${2:-none} package $DPKG_MAINTSCRIPT_PACKAGE script $DPKG_MAINTSCRIPT_NAME"
x=/a/b/c.tar.gz
out "${x%/*} ${x##*/} ${x%%.*} ${x#*.} ${#x} ${y:-unset} ${y-unset} ${x:+set} ${z:=assigned} $z"
out $((3 * (4 + 5) % 7)) $(( 1 < 2 ? 10 : 20 ))
out "$(echo sub; echo two)" ` + "`echo ticks`" + `
set -- a "b c" d
out "$#" "$2" "$@"
shift
out "$1"
count() { local n=$#; n=$((n + 1)); out "local $n"; return 3; }
n=outer
count 1 2 3 || out "status $? $n"
i=0
while [ $i -lt 5 ]; do
	i=$((i + 1))
	[ $i -ne 2 ] || continue
	[ $i -ne 4 ] || break
	out "round $i"
done
until [ $i = 0 ]; do i=$((i - 1)); done
for w in one two "three four"; do
	case "$w" in
	one|1) out is one;;
	t[vw]o) out is two;;
	*\ *) out has a blank;;
	esac
done
if [ -d /etc ] && [ ! -e /nowhere ] && test -f /etc/passwd -a -r /etc/group; then out files; fi
if [ "abc" = abd -o -n "x" ]; then out or; fi
if ! false; then out not; fi
(exit 4) || out "subshell $?"
{ out block; out "block 2"; }
(cd /etc; n=inner; out "$(pwd)")
out "$n $(pwd)"
getent passwd root | cut -d: -f6 >> $L/out
printf 'a b c\nd e\n' | while read first rest; do out "[$first] [$rest]"; done
eval "v=evaluated; out \$v"
export EXPORTED=yes
out "$EXPORTED"
unset EXPORTED
out "${EXPORTED-gone}"
false || true
false && out never || out "and or"
if command -v adduser >/dev/null; then out found; fi
if which no-such-program >/dev/null 2>&1; then out never; else out missing; fi
if [ -x /usr/sbin/update-rc.d ]; then out update-rc.d; fi
no-such-program 2>/dev/null || out "status $?"
dpkg --compare-versions 1.2~rc1 lt 1.2 && out older
dpkg --compare-versions "$2" lt-nl 5 && out "not later" || out later
grep -q '^root:' /etc/passwd && out root
grep -q nobody-at-all /etc/passwd || out "no such line"
out *.none "$L"/o*t
trap 'out trapped' EXIT
IFS=:
set -f
for p in $PATH; do out "$p"; done
unset IFS
cat <<-EOF >> $L/out
	indented $x
	  more
EOF
set +e
false
set -e
out end
exit 0
out never
`

// TestFailingScriptsLikeDpkg: a script that fails ends the transaction in simulation as well, and what a
// failure leaves is the same; one that does not fail because of "set -e" alone goes on.
func TestFailingScriptsLikeDpkg(t *testing.T) {
	t.Parallel()
	c := &conformance{Root: NewRoot(t), t: t}
	scripts := map[string]string{
		"exits":          "#!/bin/sh\nmkdir -p /srv/exits\nexit 7\n",
		"errexit":        sh("mkdir -p /srv/errexit", "chown nobody-at-all /srv/errexit", "mkdir /srv/never"),
		"no-errexit":     "#!/bin/sh\nmkdir /none/at/all\nmkdir -p /srv/no-errexit\n",
		"last-fails":     "#!/bin/sh\nmkdir -p /srv/last-fails\nfalse\n",
		"in-condition":   sh("f() { false; mkdir -p /srv/in-condition; }", "if f; then mkdir -p /srv/in-condition/x; fi", "f || true"),
		"in-function":    sh("f() { false; mkdir -p /srv/in-function; }", "f", "mkdir -p /srv/in-function"),
		"in-subshell":    sh("(false; mkdir -p /srv/in-subshell)", "mkdir -p /srv/in-subshell"),
		"in-pipe":        sh("false | true", "mkdir -p /srv/in-pipe", "true | false", "mkdir -p /srv/in-pipe/x"),
		"substitution":   sh("x=$(false) || mkdir -p /srv/substitution", "x=$(false)", "mkdir -p /srv/substitution/x"),
		"unset":          "#!/bin/sh\nset -u\nmkdir -p /srv/unset\necho $nothing\nmkdir -p /srv/unset/x\n",
		"missing-source": "#!/bin/sh\nmkdir -p /srv/missing-source\n. /no/such/file\nmkdir /srv/missing-source/x\n",
		"redirection":    sh("mkdir -p /srv/redirection", "echo x > /no/such/dir/file", "mkdir /srv/redirection/x"),
		"option":         "#!/bin/sh -e\nmkdir -p /srv/option\nfalse\nmkdir /srv/option/x\n",
		"no-command":     sh("mkdir -p /srv/no-command", "no-such-command", "mkdir /srv/no-command/x"),
	}
	for _, name := range slices.Sorted(maps.Keys(scripts)) {
		c.install(fakepkg.Package{Name: "f-" + name, Version: "1", Scripts: map[string]string{"postinst": scripts[name]}})
		c.Run("dpkg", "--purge", "--force-all", "f-"+name)
	}
	c.install(fakepkg.Package{Name: "g-preinst", Version: "1", Files: []fakepkg.File{fakepkg.Text("/srv/g-preinst/x", "x")}, Scripts: map[string]string{"preinst": "#!/bin/sh\nexit 1\n"}})
	c.install(fakepkg.Package{Name: "g-prerm", Version: "1", Files: []fakepkg.File{fakepkg.Text("/srv/g-prerm/x", "x")}, Scripts: map[string]string{"prerm": "#!/bin/sh\n[ \"$1\" != remove ]\n"}})
	c.remove("g-prerm")
}

// TestKopanoPackagesLikeDpkg installs, removes and purges Kopano Core as the vendor and as Debian package it, with daemons
// held back, and holds the simulation to it. What stays open is pinned.
func TestKopanoPackagesLikeDpkg(t *testing.T) {
	t.Parallel()
	open := append(rcOpen("nothing"), shadowOpen...)
	open = append(open, "content of /usr/sbin/kopano-[a-z]* /usr/sbin/kopano-[a-z]* content") // larger than what is kept in memory
	cases := []struct {
		name, repository, meta string
		opts                   []Option
		open                   []string
		gone                   bool // a purge takes the attachments along
	}{
		{name: "vendor on System V", repository: "kopano87", meta: "kopano-server-packages"},
		{name: "vendor on systemd", repository: "kopano87", meta: "kopano-server-packages", opts: []Option{Systemd()}},
		{name: "Debian on System V", repository: "kopano-debian", meta: "kopano-core", gone: true, open: debianOpen},
		{name: "Debian on systemd", repository: "kopano-debian", meta: "kopano-core", opts: []Option{Systemd()}, gone: true, open: debianOpen},
	}
	for _, s := range cases {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			c := &conformance{Root: NewRoot(t, s.opts...), t: t}
			c.AddRepository(s.repository, "debian")
			c.WriteFile("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)
			pin(t, "installed", c.step(host.Transaction{Install: []string{s.meta}, NoRecommends: true}, "apt-get", "install", "-y", "-q", "--no-install-recommends", s.meta), append(slices.Clone(open), s.open...))
			c.Must("mkdir", "-p", "/var/lib/kopano/attachments/1/0")
			c.WriteFile("/var/lib/kopano/attachments/1/0/1.gz", "a mail", 0o640)
			c.WriteFile("/var/log/kopano/server.log", "a line\n", 0o640)
			server := []string{s.meta, "kopano-server"}
			pin(t, "removed", c.step(host.Transaction{Remove: server}, append([]string{"dpkg", "--remove"}, server...)...), open)
			pin(t, "purged", c.step(host.Transaction{Remove: server, Purge: true}, append([]string{"dpkg", "--purge"}, server...)...), open)
			if gone := !c.exists("/var/lib/kopano/attachments"); gone != s.gone {
				t.Errorf("attachments are gone: %v", gone)
			}
			pin(t, "installed again", c.step(host.Transaction{Install: []string{s.meta}, NoRecommends: true}, "apt-get", "install", "-y", "-q", "--no-install-recommends", s.meta), append(slices.Clone(open), s.open...))
		})
	}
}

// debianOpen is what the postinst of Debian's kopano-server does with a password that it makes up.
var debianOpen = []string{"what is written to /etc/kopano/debian-db.cfg /etc/kopano/debian-db.cfg content"}
