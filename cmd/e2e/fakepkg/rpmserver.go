package fakepkg

import (
	"slices"
	"strings"

	"zcp2kopano/cmd/e2e/fakepkg/service"
)

// Family is what RHEL's or SUSE's systems call their own.
type Family struct {
	Name    string // of the directory that a vendor's repository has for it
	phpDir  string
	modules string
}

// The newer releases have PHP 7, and Python 3 for what comes.
var (
	RHEL7 = Family{Name: "RHEL_7", phpDir: "/etc/php.d", modules: "/usr/lib64/php/modules"}
	SLE12 = Family{Name: "SLE_12", phpDir: "/etc/php5/conf.d", modules: "/usr/lib64/php5/extensions"}
	RHEL8 = Family{Name: "RHEL_8", phpDir: "/etc/php.d", modules: "/usr/lib64/php/modules"}
	SLE15 = Family{Name: "SLE_15", phpDir: "/etc/php7/conf.d", modules: "/usr/lib64/php7/extensions"}
)

// OnPython3 are packages of Kopano as they are built for Python 3.
func OnPython3(packages []RPM) []RPM {
	var all []RPM
	for _, r := range packages {
		r.Name = strings.ReplaceAll(r.Name, "python2-", "python3-")
		r.Requires = strings.ReplaceAll(r.Requires, "python2-", "python3-")
		r.Files = slices.Clone(r.Files)
		for i := range r.Files {
			r.Files[i].Path = strings.Replace(r.Files[i].Path, "/usr/lib/python2.7/", "/usr/lib/python3.6/", 1)
		}
		all = append(all, r)
	}
	return all
}

// ZCPServerRPMs are ZCP 7.2.6 as the vendor packaged it for both families: what a usual server has, and in
// which the packages for Debian differ only by their names for things. Nothing starts or enables a service.
func ZCPServerRPMs(programs Programs) ([]RPM, error) {
	packages, err := ZCPPackages(programs)
	if err != nil {
		return nil, err
	}
	g := ZCP
	var all []RPM
	for _, p := range packages {
		if p.Name == "zarafa-search-plus" {
			p.Name = "zarafa-search"
		}
		r := g.asRPM(p)
		switch {
		case p.Name == "zarafa-common":
			r.Scripts = map[string]string{"pre": account("zarafa", `-d /var/lib/zarafa -s /sbin/nologin -c "Zarafa services"`)}
			for i, f := range r.Files {
				if f.Path == "/var/log/zarafa" || f.Path == "/var/lib/zarafa" {
					r.Files[i].Owner, r.Files[i].Mode = "zarafa,zarafa", Dir("", 0o750).Mode
				}
			}
		case p.Name == "zarafa":
			r.Requires = strings.ReplaceAll(r.Requires, "zarafa-search-plus", "zarafa-search")
		case r.has("/usr/sbin/" + p.Name):
			r.Scripts = unitScripts(p.Name)
		}
		if p.Name == "zarafa-server" { // no spec that was read has it; one that has must not lose the site its log
			r.Files = append(r.Files, RPMFile{File: File{Path: "/var/log/zarafa/server.log", Mode: 0o640}, Directive: "%ghost", Owner: "zarafa,zarafa"})
		}
		all = append(all, r)
	}
	return all, nil
}

// ZCPPHP is the PHP binding of ZCP for a family; the distribution's own package of that name is another.
func (f Family) ZCPPHP() RPM {
	return RPM{
		Name: "php-mapi", Version: "7.2.6.52191", Release: "1.1", Native: true, Vendor: "Zarafa", Summary: "Zarafa: PHP bindings",
		Requires: "zarafa-client",
		Files: []RPMFile{
			{File: Text(f.modules+"/mapi.so", "module mapi of zarafa")},
			{File: Text("/usr/share/php/mapi/mapi.util.php", "<?php")},
			{File: Text(f.phpDir+"/zarafa.ini", "extension=mapi.so"), Directive: "%config(noreplace)"},
		},
	}
}

// KopanoServerRPMs are Kopano Core 8.7 as the vendor packages it for both families: no configuration in
// /etc/kopano but mails about quota and the search's scripts, units only, nothing started or enabled; python2-mapi
// restarts two daemons in the middle of a transaction, if they run.
func KopanoServerRPMs(programs Programs) ([]RPM, error) {
	g := Kopano87
	packages := []Package{
		g.kopanoCommon(), g.kopanoClient(), g.kopanoLang(), g.kopanoUtils(), g.kopanoBackup(),
		g.kopanoLibrary("libmapi1", "libmapi.so.1", ""),
		g.kopanoLibrary("libkcpyplug0", "libkcpyplug.so.0", ""),
		g.kopanoPython("python2-mapi", "MAPI", "kopano-client"),
		g.kopanoPython("python2-kopano", "kopano", "python2-mapi"),
	}
	packages, err := g.withDaemons(packages, programs)
	if err != nil {
		return nil, err
	}
	meta := g.asRPM(g.kopano("kopano-server-packages", "meta package", "kopano-backup, kopano-dagent, kopano-gateway, kopano-ical, "+
		"kopano-monitor, kopano-python-utils, kopano-search, kopano-server, kopano-spooler, kopano-utils"))
	tools := g.asRPM(g.kopano("kopano-python-utils", "tools in Python", "python2-kopano"))
	tools.Files = []RPMFile{{File: Program("/usr/sbin/kopano-mailbox-permissions", []byte("#!/bin/sh\n"))}}
	contacts := g.asRPM(g.kopano("kopano-contacts", "address book provider", "kopano-client, kopano-common"))
	contacts.Files = []RPMFile{{File: Text("/usr/lib/mapi.d/zcontacts.inf", "[Services]", "CONTAB=Kopano Contacts")}}
	all := []RPM{meta, tools, contacts}
	for _, p := range packages {
		all = append(all, g.kopanoRPM(p))
	}
	return all, nil
}

// kopanoRPM makes of a Debian package what the vendor's spec makes.
func (g Generation) kopanoRPM(p Package) RPM {
	r := g.asRPM(p)
	const log = "/var/log/kopano"
	owned := func(paths ...string) {
		for _, path := range paths {
			r.Files = append(r.Files, RPMFile{File: Dir(path, 0o750), Owner: "kopano,kopano"})
		}
	}
	daemon := strings.TrimPrefix(p.Name, "kopano-")
	switch p.Name {
	case "kopano-common":
		kept := r.Files[:0]
		for _, f := range r.Files {
			if !f.Mode.IsDir() {
				kept = append(kept, f)
			}
		}
		r.Files = kept
		owned(log, "/var/lib/kopano", "/var/lib/kopano/empty")
		r.Provides, r.Obsoletes, r.Conflicts = "kopano-core-common", "kopano-core-common", ""
		r.Scripts = map[string]string{
			"pre": account("kopano", `-s /sbin/nologin -c "Kopano unprivileged account"`),
			"post": "chown -Rh kopano:kopano /var/log/kopano 2>/dev/null || :\nchown kopano:kopano /var/lib/kopano 2>/dev/null || :\n" +
				"if [ -x /usr/bin/systemd-tmpfiles ]; then\n  systemd-tmpfiles --create kopano-tmpfiles.conf || :\nfi",
			"triggerpostun -- kopano-common": "if [ $1 -ne 2 ]; then exit 0; fi\nif [ ! -e /etc/sysconfig/kopano ] && [ -e /etc/sysconfig/kopano.rpmsave ]; then\n" +
				"  mv /etc/sysconfig/kopano.rpmsave /etc/sysconfig/kopano\nfi",
		}
	case "kopano-client":
		r.Requires, r.Conflicts = "kopano-common, kopano-lang, libmapi1", ""
	case "kopano-backup":
		owned(log)
		r.Requires = "kopano-common, python2-kopano"
	case "kopano-utils", "libmapi1", "libkcpyplug0", "kopano-lang":
		r.Requires = ""
	case "python2-mapi":
		r.Provides, r.Obsoletes = "python-mapi", "python-mapi"
		r.Scripts = map[string]string{"post": "/sbin/ldconfig\nfor i in kopano-dagent kopano-spooler; do\n" +
			"  if systemctl is-active --quiet $i.service 2>/dev/null; then systemctl try-restart $i.service || :; fi\ndone"}
	case "python2-kopano":
		r.Provides, r.Obsoletes = "python-kopano", "python-kopano"
	case "kopano-webapp":
	default:
		r.Requires = "kopano-common, kopano-client"
		owned(log)
		restart := "systemctl try-restart " + p.Name + ".service >/dev/null 2>&1 || :"
		r.Scripts = unitScripts(p.Name)
		r.Scripts["triggerpostun -- "+p.Name] = "if [ $1 -ne 2 ]; then exit 0; fi\nif [ ! -e /etc/kopano/" + daemon + ".cfg ] && [ -e /etc/kopano/" + daemon +
			".cfg.rpmsave ]; then\n  mv /etc/kopano/" + daemon + ".cfg.rpmsave /etc/kopano/" + daemon + ".cfg\nfi\n" + restart
		switch daemon {
		case "server":
			r.Requires += ", kopano-utils"
			r.Scripts["post"] = "chown -Rh kopano:kopano /var/log/kopano 2>/dev/null || :\n" + r.Scripts["post"]
		case "dagent":
			r.Requires += ", kopano-lang, libkcpyplug0, php-mapi"
			owned("/var/lib/kopano/autorespond")
		case "spooler":
			r.Requires += ", kopano-lang, libkcpyplug0"
		case "search":
			r.Requires = "kopano-common, python2-kopano"
			for _, name := range []string{"attachments_parser", "attachments_parser.db", "zmktemp"} {
				file := Text("/etc/kopano/searchscripts/"+name, "# "+name)
				file.Mode = 0o750
				if strings.HasSuffix(name, ".db") {
					file.Mode = 0o640
				}
				r.Files = append(r.Files, RPMFile{File: file, Directive: "%config(noreplace)", Owner: "root,kopano"})
			}
			r.Files = append(r.Files, RPMFile{File: Dir("/etc/kopano", 0o755)}, RPMFile{File: Dir("/etc/kopano/searchscripts", 0o755)})
		case "monitor":
			r.Files = append(r.Files, RPMFile{File: Dir("/etc/kopano", 0o755)})
		}
	}
	for i, f := range r.Files {
		if strings.HasPrefix(f.Path, "/var/lib/kopano/") {
			r.Files[i].Owner, r.Files[i].Mode = "kopano,kopano", Dir("", 0o750).Mode
		}
		if strings.Contains(f.Path, "/quotamail/") {
			r.Files[i].Directive = "%config"
		}
	}
	return r
}

// KopanoPHP is the PHP binding of Kopano for a family.
func (f Family) KopanoPHP() RPM {
	return RPM{
		Name: "php-mapi", Version: "8.7.20.0", Release: "24.1", Native: true, Vendor: "Kopano", Summary: "Kopano Core: PHP bindings",
		Requires: "kopano-client, kopano-contacts", Provides: "php5-mapi", Obsoletes: "php5-mapi",
		Files: []RPMFile{
			{File: Text(f.modules+"/mapi.so", "module mapi of kopano")},
			{File: Text("/usr/share/kopano/php/mapi/mapi.util.php", "<?php")},
			{File: Text(f.phpDir+"/mapi.ini", "extension=mapi.so"), Directive: "%config(noreplace)"},
		},
	}
}

// asRPM has a Debian package's files at the places that rpm systems have for them, and its relations as rpm
// writes them; its scripts are left out.
func (g Generation) asRPM(p Package) RPM {
	version, _, _ := strings.Cut(p.Version, "-")
	vendor, release := "Kopano", "24.1"
	if g.Product == "zarafa" {
		vendor, release = "Zarafa", "1.1"
	}
	r := RPM{
		Name: p.Name, Version: version, Release: release, Native: p.Arch != "" && p.Arch != "all", Vendor: vendor, Summary: p.Summary,
		Requires: rpmRelations(p.Depends), Conflicts: rpmRelations(p.Conflicts),
	}
	conffile := map[string]bool{}
	for _, path := range p.Conffiles {
		conffile[path] = true
	}
	for _, f := range p.Files {
		if strings.HasPrefix(f.Path, "/etc/init.d/") || strings.HasPrefix(f.Path, "/etc/apache2/") {
			continue
		}
		file := RPMFile{File: f}
		if conffile[f.Path] {
			file.Directive = "%config(noreplace)"
		}
		for _, place := range rpmPlaces {
			if rest, ok := strings.CutPrefix(f.Path, place[0]); ok {
				file.Path = place[1] + rest
			}
		}
		if g.Product == "zarafa" && strings.HasPrefix(f.Path, "/etc/zarafa/") && strings.HasSuffix(f.Path, ".cfg") {
			file.Owner, file.Mode = "zarafa,zarafa", 0o640
		}
		r.Files = append(r.Files, file)
	}
	return r
}

// rpmPlaces are what Debian and rpm systems call the same place.
var rpmPlaces = [][2]string{
	{"/etc/default/", "/etc/sysconfig/"},
	{"/lib/systemd/", "/usr/lib/systemd/"},
	{"/usr/lib/python2.7/dist-packages/", "/usr/lib/python2.7/site-packages/"},
	{"/usr/lib/x86_64-linux-gnu/", "/usr/lib64/"},
	{"/usr/share/doc/kopano/", "/usr/share/doc/packages/kopano/"},
}

// rpmRelations drops from a list of relations what only Debian has.
func rpmRelations(depends string) string {
	var kept []string
	for relation := range strings.SplitSeq(depends, ", ") {
		switch relation {
		case "", "adduser", "lsb-base", "passwd", "libical3":
		default:
			kept = append(kept, relation)
		}
	}
	return strings.Join(kept, ", ")
}

// account makes a product's group and user, if they are not there.
func account(name, options string) string {
	return "/usr/bin/getent group " + name + " >/dev/null || /usr/sbin/groupadd -r " + name + "\n" +
		"/usr/bin/getent passwd " + name + " >/dev/null || /usr/sbin/useradd " + name + " -r -g " + name + " " + options + "\nexit 0"
}

// unitScripts are what the macros of systemd make of a service: the distribution's presets decide whether it is
// enabled, it is stopped when the package goes, and restarted when it is exchanged. A test can have the first do more.
func unitScripts(name string) map[string]string {
	unit, behaviour := name+".service", service.BehaviourDir+"/"+name+".post"
	return map[string]string{
		"post":   "if [ -f " + behaviour + " ]; then . " + behaviour + "; fi\nif [ $1 -eq 1 ] ; then\n  # Initial installation\n  systemctl preset " + unit + " >/dev/null 2>&1 || :\nfi",
		"preun":  "if [ $1 -eq 0 ] ; then\n  # Package removal, not upgrade\n  systemctl --no-reload disable " + unit + " >/dev/null 2>&1 || :\n  systemctl stop " + unit + " >/dev/null 2>&1 || :\nfi",
		"postun": "systemctl daemon-reload >/dev/null 2>&1 || :\nif [ $1 -ge 1 ] ; then\n  # Package upgrade, not uninstall\n  systemctl try-restart " + unit + " >/dev/null 2>&1 || :\nfi",
	}
}

// has reports whether a file is among the package's.
func (p RPM) has(path string) bool {
	return slices.ContainsFunc(p.Files, func(f RPMFile) bool { return f.Path == path })
}
