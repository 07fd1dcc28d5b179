package sim

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"zcp2kopano/runtime/host"
)

// base is what every system of a family has, so that a fixture need not say it.
type base struct {
	managers []string            // that such systems have
	manager  host.PackageManager // where none is named
	dirs     []string
	links    map[string]string // names to targets
	passwd   string            // the fixed accounts that servers meet
	group    string
	shadow   fs.FileMode // of /etc/shadow
}

// bases are the families, by the word that a fixture has for them.
var bases = map[string]base{"debian": debianBase, "redhat": redhatBase, "suse": suseBase}

// base is the family that a fixture names, or that its package manager tells.
func (f *Fixture) base() base {
	if b, ok := bases[f.Base]; ok {
		return b
	}
	for _, b := range bases {
		if slices.Contains(b.managers, f.Manager.Name) {
			return b
		}
	}
	return debianBase
}

// manager is the package manager that a fixture names, or that its family has.
func (f *Fixture) manager() host.PackageManager {
	if f.Manager.Name != "" {
		return f.Manager
	}
	return f.base().manager
}

func (f *Fixture) format() Format { return formatOf(f.manager().Name) }

// nullDevice makes the one device that symlinks of a configuration lead to: a masked unit's.
func (b *builder) nullDevice() error {
	if !b.h.files.exists("/dev") {
		return nil
	}
	const major, minor = 1, 3
	null := host.Stat{Mode: fs.ModeDevice | fs.ModeCharDevice | 0o666, Rdev: major<<8 | minor, Mtime: b.f.Time}
	return b.h.files.putNullDevice(null)
}

// base makes the implied system.
func (b *builder) base() error {
	if b.f.NoBase {
		return nil
	}
	b.h.system.implied = true
	family := b.f.base()
	for _, d := range family.dirs {
		perm := fs.FileMode(0o755)
		switch d {
		case "/tmp", "/var/tmp":
			perm = 0o777 | fs.ModeSticky
		case "/root":
			perm = 0o700
		}
		if err := b.h.files.PutDir(d, perm, 0, 0); err != nil {
			return err
		}
	}
	for _, link := range slices.Sorted(maps.Keys(family.links)) {
		if err := b.h.files.PutSymlink(link, family.links[link], 0, 0); err != nil {
			return err
		}
	}
	return nil
}

// shadow makes the files of passwords, whose content nobody is to know.
func (b *builder) shadow() error {
	if b.f.NoBase {
		return nil
	}
	gid := uint32(0)
	if g, ok := b.table.Group("shadow"); ok {
		gid = g.GID
	}
	for _, name := range []string{"/etc/shadow", "/etc/gshadow"} {
		if err := b.h.files.PutSized(name, 800, b.f.base().shadow, 0, gid, b.f.Time); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// commonDirs are those of every family.
const commonDirs = `/boot /dev /etc /etc/cron.d /etc/cron.daily /etc/logrotate.d /etc/systemd /etc/systemd/system /home
	/media /mnt /opt /proc /root /run /run/lock /srv /sys /tmp /usr /usr/bin /usr/lib /usr/local /usr/local/bin
	/usr/local/lib /usr/local/sbin /usr/sbin /usr/share /usr/share/doc /usr/share/man /var /var/cache /var/lib
	/var/log /var/opt /var/spool /var/tmp`

var debianBase = base{
	managers: []string{"apt"},
	manager:  host.PackageManager{Name: "apt", Version: "1.0.9.8"},
	dirs: strings.Fields(commonDirs + ` /bin /etc/apt /etc/apt/apt.conf.d /etc/apt/preferences.d
		/etc/apt/sources.list.d /etc/apt/trusted.gpg.d /etc/default /etc/init.d /etc/rc0.d /etc/rc1.d /etc/rc2.d
		/etc/rc3.d /etc/rc4.d /etc/rc5.d /etc/rc6.d /etc/rcS.d /lib /lib/systemd /lib/systemd/system /sbin
		/var/backups /var/cache/apt /var/lib/apt /var/lib/dpkg /var/lib/systemd /var/mail`),
	links:  map[string]string{"/var/run": "/run", "/var/lock": "/run/lock"},
	shadow: 0o640,
	passwd: `root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
bin:x:2:2:bin:/bin:/usr/sbin/nologin
sys:x:3:3:sys:/dev:/usr/sbin/nologin
mail:x:8:8:mail:/var/mail:/usr/sbin/nologin
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
backup:x:34:34:backup:/var/backups:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
`,
	group: `root:x:0:
daemon:x:1:
bin:x:2:
sys:x:3:
adm:x:4:
mail:x:8:
sudo:x:27:
www-data:x:33:
backup:x:34:
shadow:x:42:
staff:x:50:
users:x:100:
nogroup:x:65534:
`,
}

// redhatBase is that of RHEL 7 and its rebuilds.
var redhatBase = base{
	managers: []string{"yum", "dnf"},
	manager:  host.PackageManager{Name: "yum", Version: "3.4.3"},
	dirs: strings.Fields(commonDirs + ` /etc/pki /etc/pki/rpm-gpg /etc/rc.d /etc/rc.d/init.d /etc/rc.d/rc0.d
		/etc/rc.d/rc1.d /etc/rc.d/rc2.d /etc/rc.d/rc3.d /etc/rc.d/rc4.d /etc/rc.d/rc5.d /etc/rc.d/rc6.d /etc/rpm
		/etc/sysconfig /etc/yum /etc/yum.repos.d /usr/lib/systemd /usr/lib/systemd/system /usr/lib/tmpfiles.d
		/usr/lib64 /usr/libexec /var/cache/yum /var/lib/rpm /var/lib/yum /var/spool/mail`),
	links: map[string]string{
		"/bin": "usr/bin", "/sbin": "usr/sbin", "/lib": "usr/lib", "/lib64": "usr/lib64",
		"/etc/init.d": "rc.d/init.d", "/etc/rc0.d": "rc.d/rc0.d", "/etc/rc1.d": "rc.d/rc1.d", "/etc/rc2.d": "rc.d/rc2.d",
		"/etc/rc3.d": "rc.d/rc3.d", "/etc/rc4.d": "rc.d/rc4.d", "/etc/rc5.d": "rc.d/rc5.d", "/etc/rc6.d": "rc.d/rc6.d",
		"/var/run": "../run", "/var/lock": "../run/lock", "/var/mail": "spool/mail",
	},
	shadow: 0,
	passwd: `root:x:0:0:root:/root:/bin/bash
bin:x:1:1:bin:/bin:/sbin/nologin
daemon:x:2:2:daemon:/sbin:/sbin/nologin
adm:x:3:4:adm:/var/adm:/sbin/nologin
mail:x:8:12:mail:/var/spool/mail:/sbin/nologin
nobody:x:99:99:Nobody:/:/sbin/nologin
`,
	group: `root:x:0:
bin:x:1:
daemon:x:2:
sys:x:3:
adm:x:4:
wheel:x:10:
mail:x:12:
nobody:x:99:
users:x:100:
`,
}

// suseBase is that of SLES 12.
var suseBase = base{
	managers: []string{"zypper"},
	manager:  host.PackageManager{Name: "zypper", Version: "1.13.28"},
	dirs: strings.Fields(commonDirs + ` /bin /etc/init.d /etc/init.d/rc0.d /etc/init.d/rc1.d /etc/init.d/rc2.d
		/etc/init.d/rc3.d /etc/init.d/rc4.d /etc/init.d/rc5.d /etc/init.d/rc6.d /etc/rpm /etc/sysconfig /etc/zypp
		/etc/zypp/repos.d /lib /lib64 /sbin /usr/lib/systemd /usr/lib/systemd/system /usr/lib/tmpfiles.d /usr/lib64
		/var/cache/zypp /var/lib/rpm /var/lib/zypp /var/spool/mail`),
	links: map[string]string{
		"/etc/rc.d": "init.d", "/etc/rc0.d": "init.d/rc0.d", "/etc/rc1.d": "init.d/rc1.d", "/etc/rc2.d": "init.d/rc2.d",
		"/etc/rc3.d": "init.d/rc3.d", "/etc/rc4.d": "init.d/rc4.d", "/etc/rc5.d": "init.d/rc5.d", "/etc/rc6.d": "init.d/rc6.d",
		"/var/run": "/run", "/var/lock": "/run/lock", "/var/mail": "spool/mail",
	},
	shadow: 0o640,
	passwd: `root:x:0:0:root:/root:/bin/bash
bin:x:1:1:bin:/bin:/bin/bash
daemon:x:2:2:Daemon:/sbin:/bin/bash
mail:x:8:12:Mailer daemon:/var/spool/clientmqueue:/bin/false
wwwrun:x:30:8:WWW daemon apache:/var/lib/wwwrun:/bin/false
nobody:x:65534:65533:nobody:/var/lib/nobody:/bin/bash
`,
	group: `root:x:0:
bin:x:1:
daemon:x:2:
sys:x:3:
www:x:8:
wheel:x:10:
mail:x:12:
shadow:x:15:
users:x:100:
nobody:x:65533:
nogroup:x:65534:nobody
`,
}
