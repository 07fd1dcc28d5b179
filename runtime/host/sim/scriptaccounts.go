package sim

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/deb"
	"zcp2kopano/runtime/host/sim/shell"
)

func (m *machine) hasUser(name string) bool  { _, err := m.accounts.User(name); return err == nil }
func (m *machine) hasGroup(name string) bool { _, err := m.accounts.Group(name); return err == nil }

// getent answers for single accounts by name or number.
func (m *machine) getent(c shell.Command) (shell.Result, error) {
	if len(c.Args) != 3 || c.Args[1] != "passwd" && c.Args[1] != "group" && c.Args[1] != "shadow" {
		return unanswered()
	}
	key := c.Args[2]
	if c.Args[1] == "shadow" {
		if !m.hasUser(key) {
			return ended(2)
		}
		return shell.Result{Out: shell.Text{Unknown: true}}, nil
	}
	name, known := m.accountName(c.Args[1], key)
	if !known {
		return ended(2)
	}
	text, err := m.files.readFile("/etc/" + c.Args[1])
	if err != nil {
		return shell.Result{Out: shell.Text{Unknown: true}}, nil
	}
	lines := strings.SplitAfter(string(text), "\n")
	if i := hasLine(lines, name); i >= 0 {
		return said(strings.TrimSuffix(lines[i], "\n") + "\n")
	}
	return shell.Result{Out: shell.Text{Unknown: true}}, nil // of a directory
}

func (m *machine) accountName(database, key string) (name string, known bool) {
	n, err := strconv.ParseUint(key, 10, 32)
	switch {
	case err != nil && database == "passwd":
		return key, m.hasUser(key)
	case err != nil:
		return key, m.hasGroup(key)
	case database == "passwd":
		u, err := m.accounts.UserID(uint32(n))
		return u.Name, err == nil
	}
	g, err := m.accounts.GroupID(uint32(n))
	return g.Name, err == nil
}

func (m *machine) id(c shell.Command) (shell.Result, error) {
	f, ok := parseFlags(c.Args[1:], "u|user g|group n|name")
	if !ok || len(f.rest) > 1 {
		return unanswered()
	}
	name := "root"
	if len(f.rest) == 1 {
		name = f.rest[0]
	}
	u, err := m.accounts.User(name)
	switch {
	case err != nil && name == "root":
		u = host.User{Name: "root"}
	case err != nil:
		return failed()
	}
	switch {
	case f.on["u"] && f.on["n"]:
		return said(u.Name + "\n")
	case f.on["u"]:
		return said(fmt.Sprintln(u.UID))
	case f.on["g"] && !f.on["n"]:
		return said(fmt.Sprintln(u.GID))
	}
	return shell.Result{Out: shell.Text{Unknown: true}}, nil
}

// groupadd and useradd take the number below the lowest one in use of the system's range for a system account, and
// the one above the highest of the others for another.
func (m *machine) groupadd(c shell.Command) (shell.Result, error) {
	f, ok := parseFlags(c.Args[1:], "r|system f|force g|gid= o|non-unique")
	if !ok || len(f.rest) != 1 || f.on["o"] {
		return notUnderstood()
	}
	name := f.rest[0]
	if m.hasGroup(name) {
		return ended(map[bool]int{true: 0, false: 9}[f.on["f"]])
	}
	gid, ok := m.newGID(f.value["g"], f.on["r"])
	if !ok {
		return ended(4)
	}
	return byErrno(m.accounts.appendGroup(name, gid))
}

func (m *machine) newGID(want string, system bool) (gid uint32, ok bool) {
	if want != "" {
		n, err := strconv.ParseUint(want, 10, 32)
		return uint32(n), err == nil && m.accounts.freeGID(uint32(n))
	}
	return m.accounts.loginNumber("gid", system, m.accounts.freeGID, func(t *idRange) {
		if table, err := m.accounts.table(); err == nil {
			for _, g := range table.Groups() {
				t.note(g.GID)
			}
		}
	})
}

func (m *machine) useradd(c shell.Command) (shell.Result, error) {
	f, ok := parseFlags(c.Args[1:], "r|system M|no-create-home m|create-home N|no-user-group U|user-group l|no-log-init "+
		"c|comment= d|home-dir|home= g|gid= s|shell= u|uid= G|groups= K|key= p|password= b|base-dir= e|expiredate= f|inactive= k|skel=")
	if !ok || len(f.rest) != 1 || f.given("p") || f.given("b") || f.given("e") || f.given("f") || f.given("K") || f.on["m"] {
		return notUnderstood()
	}
	name := f.rest[0]
	if m.hasUser(name) {
		return ended(9)
	}
	u := newUser{name: name, gecos: f.value["c"], home: "/home/" + name, shell: m.defaultShell()}
	if f.given("d") {
		u.home = f.value["d"]
	}
	if f.given("s") {
		u.shell = f.value["s"]
	}
	if uid, ok := m.newUID(f.value["u"], f.on["r"]); ok {
		u.uid = uid
	} else {
		return ended(4)
	}
	gid, own, status := m.groupForUseradd(f, u)
	if status != 0 {
		return ended(status)
	}
	u.gid = gid
	for _, g := range splitList(f.value["G"]) {
		if !m.hasGroup(g) {
			return ended(6)
		}
	}
	u.shadow = m.newShadow(f.on["r"])
	if own {
		if err := m.accounts.appendGroup(name, gid); err != nil {
			return byErrno(err)
		}
	}
	if err := m.accounts.appendUser(u); err != nil {
		return byErrno(err)
	}
	for _, g := range splitList(f.value["G"]) {
		if err := m.accounts.setMember(m.groupName(g), name, true, false); err != nil {
			return byErrno(err)
		}
	}
	if !f.on["r"] {
		return m.subordinate(name)
	}
	return done()
}

// subordinate reports the numbers that a user of no system gets below his own.
func (m *machine) subordinate(name string) (shell.Result, error) {
	for _, file := range []string{"/etc/subuid", "/etc/subgid"} {
		if m.files.exists(file) {
			m.leave("numbers of "+name+" in "+file, "how they are given is not simulated", shell.Path{Name: file, Aspect: "content"})
		}
	}
	return done()
}

func splitList(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' })
}

func (m *machine) groupName(key string) string {
	name, _ := m.accountName("group", key)
	return name
}

func (m *machine) defaultShell() string {
	if shell := m.files.settings("/etc/default/useradd")["shell"]; shell != "" || m.below != nil {
		return shell
	}
	return "/bin/sh"
}

// newShadow is the line of a new account's password, behind its name.
func (m *machine) newShadow(system bool) string {
	if system {
		return fmt.Sprintf("!:%d::::::", m.accounts.today())
	}
	defs := m.files.settings("/etc/login.defs")
	return fmt.Sprintf("!:%d:%d:%d:%d:::", m.accounts.today(), settingNumber(defs, "pass_min_days", 0), settingNumber(defs, "pass_max_days", 99999), settingNumber(defs, "pass_warn_age", 7))
}

func (m *machine) newUID(want string, system bool) (uid uint32, ok bool) {
	if want != "" {
		n, err := strconv.ParseUint(want, 10, 32)
		return uint32(n), err == nil && m.accounts.freeUID(uint32(n))
	}
	return m.accounts.loginNumber("uid", system, m.accounts.freeUID, func(t *idRange) {
		if table, err := m.accounts.table(); err == nil {
			for _, u := range table.Users() {
				t.note(u.UID)
			}
		}
	})
}

// groupForUseradd is the group that useradd gives a user, and whether it makes it.
func (m *machine) groupForUseradd(f flags, u newUser) (gid uint32, own bool, status int) {
	switch {
	case f.given("g"):
		_, gid, err := m.accounts.ownerIDs("", f.value["g"])
		if err != nil {
			return 0, false, 6
		}
		return gid, false, 0
	case f.on["N"]:
		return settingNumber(m.files.settings("/etc/default/useradd"), "group", 100), false, 0
	case m.hasGroup(u.name):
		return 0, false, 9
	case m.accounts.freeGID(u.uid):
		return u.uid, true, 0
	}
	gid, ok := m.newGID("", f.on["r"])
	if !ok {
		return 0, false, 4
	}
	return gid, true, 0
}

func (m *machine) usermod(c shell.Command) (shell.Result, error) {
	f, ok := parseFlags(c.Args[1:], "a|append G|groups= c|comment= d|home= s|shell= g|gid= L|lock U|unlock")
	if !ok || len(f.rest) != 1 || f.given("G") && !f.on["a"] {
		return notUnderstood()
	}
	name := f.rest[0]
	if !m.hasUser(name) {
		return ended(6)
	}
	for _, g := range splitList(f.value["G"]) {
		if !m.hasGroup(g) {
			return ended(6)
		}
		if err := m.accounts.setMember(m.groupName(g), name, true, false); err != nil {
			return byErrno(err)
		}
	}
	if f.given("g") {
		_, gid, err := m.accounts.ownerIDs("", f.value["g"])
		if err != nil {
			return ended(6)
		}
		f.value["g"] = fmt.Sprint(gid)
	}
	for option, field := range map[string]int{"c": 4, "d": 5, "s": 6, "g": 3} {
		if value, given := f.value[option]; given {
			if err := m.accounts.setAccountField("/etc/passwd", name, field, false, func(string) string { return value }); err != nil {
				return byErrno(err)
			}
		}
	}
	if f.on["L"] {
		return byErrno(m.lock(name))
	}
	if f.on["U"] {
		return notUnderstood()
	}
	return done()
}

func (m *machine) lock(name string) error {
	return m.accounts.setAccountField("/etc/shadow", name, 1, true, func(p string) string { return "!" + strings.TrimPrefix(p, "!") })
}

func (m *machine) passwd(c shell.Command) (shell.Result, error) {
	f, ok := parseFlags(c.Args[1:], "l|lock q|quiet")
	if !ok || len(f.rest) != 1 || !f.on["l"] {
		return notUnderstood()
	}
	if !m.hasUser(f.rest[0]) {
		return failed()
	}
	return byErrno(m.lock(f.rest[0]))
}

func (m *machine) chsh(c shell.Command) (shell.Result, error) {
	f, ok := parseFlags(c.Args[1:], "s|shell=")
	if !ok || len(f.rest) != 1 || !f.given("s") {
		return notUnderstood()
	}
	if !m.hasUser(f.rest[0]) {
		return failed()
	}
	return byErrno(m.accounts.setAccountField("/etc/passwd", f.rest[0], 6, true, func(string) string { return f.value["s"] }))
}

func (m *machine) chfn(c shell.Command) (shell.Result, error) {
	f, ok := parseFlags(c.Args[1:], "f|full-name= r|room= w|work-phone= h|home-phone= o|other=")
	if !ok || len(f.rest) != 1 {
		return notUnderstood()
	}
	if !m.hasUser(f.rest[0]) {
		return failed()
	}
	return byErrno(m.accounts.setGecos(f.rest[0], f.value))
}

func (m *machine) gpasswd(c shell.Command) (shell.Result, error) {
	f, ok := parseFlags(c.Args[1:], "a|add= d|delete=")
	if !ok || len(f.rest) != 1 || f.given("a") == f.given("d") {
		return notUnderstood()
	}
	user := f.value["a"] + f.value["d"]
	if !m.hasGroup(f.rest[0]) || !m.hasUser(user) {
		return failed()
	}
	return byErrno(m.accounts.setMember(f.rest[0], user, f.given("a"), true))
}

// adduserOf is the adduser of a release, for a fixture that does not list it.
var adduserOf = map[string]string{
	"debian 7": "3.113", "debian 8": "3.113", "debian 9": "3.115", "debian 10": "3.118", "debian 11": "3.118", "debian 12": "3.134",
	"ubuntu 12.04": "3.113", "ubuntu 14.04": "3.113", "ubuntu 16.04": "3.113", "ubuntu 18.04": "3.116", "ubuntu 20.04": "3.118", "ubuntu 22.04": "3.118",
}

// adduserVersion reports whether the adduser of this host is at least of a version.
func (m *machine) adduserVersion(least string) bool {
	version, ok := adduserOf[m.system.facts.OSRelease["ID"]+" "+m.system.facts.OSRelease["VERSION_ID"]]
	if p := m.db.installed("adduser"); p != nil {
		version = p.Version
	} else if !ok {
		version = "3.134"
	}
	return deb.Compare(version, least) >= 0
}

// adduser is addgroup too. Without --system it makes accounts for people, which is no business of a
// package.
func (m *machine) adduser(c shell.Command) (shell.Result, error) {
	f, ok := parseFlags(c.Args[1:], "system group quiet|q no-create-home disabled-login disabled-password force-badname allow-badname allow-bad-names verbose debug "+
		"home= shell= gecos|comment= ingroup= uid= gid= firstuid= lastuid= firstgid= lastgid=")
	if !ok || len(f.rest) == 0 || len(f.rest) > 2 {
		return notUnderstood()
	}
	if len(f.rest) == 2 {
		return m.adduserToGroup(f.rest[0], f.rest[1])
	}
	isGroup := path.Base(c.Args[0]) == "addgroup"
	if !f.on["system"] {
		return notUnderstood()
	}
	conf := m.files.settings("/etc/adduser.conf")
	if conf["uid_pool"] != "" || conf["gid_pool"] != "" {
		return unknown("/etc/adduser.conf takes numbers from a pool")
	}
	r := adduserRanges(f, conf)
	if isGroup {
		return m.addSystemGroup(f, r)
	}
	return m.addSystemUser(f, r)
}

func (m *machine) adduserToGroup(user, group string) (shell.Result, error) {
	if !m.hasUser(user) || !m.hasGroup(group) {
		return failed()
	}
	return byErrno(m.accounts.setMember(group, user, true, false))
}

// ranges are those from which adduser takes numbers, lowest first.
type ranges struct{ firstUID, lastUID, firstGID, lastGID uint32 }

func adduserRanges(f flags, conf map[string]string) ranges {
	pick := func(option, setting string, otherwise uint32) uint32 {
		return settingNumber(f.value, option, settingNumber(conf, setting, otherwise))
	}
	return ranges{
		pick("firstuid", "first_system_uid", 100), pick("lastuid", "last_system_uid", 999),
		pick("firstgid", "first_system_gid", 100), pick("lastgid", "last_system_gid", 999),
	}
}

func (m *machine) addSystemGroup(f flags, r ranges) (shell.Result, error) {
	name := f.rest[0]
	if g, err := m.accounts.Group(name); err == nil {
		if g.GID >= r.firstGID && g.GID <= r.lastGID && (!f.given("gid") || f.value["gid"] == fmt.Sprint(g.GID)) {
			return done()
		}
		return failed()
	}
	gid, ok := free(r.firstGID, r.lastGID, m.accounts.freeGID)
	if f.given("gid") {
		gid, ok = m.newGID(f.value["gid"], true)
	}
	if !ok {
		return failed()
	}
	return byErrno(m.accounts.appendGroup(name, gid))
}

// addSystemUser is adduser --system. From 3.122 on a home that nobody names is /nonexistent, and useradd is told
// that it makes a system account; before, user and group got one number that was free for both.
func (m *machine) addSystemUser(f flags, r ranges) (shell.Result, error) {
	name := f.rest[0]
	if u, err := m.accounts.User(name); err == nil {
		if u.UID >= r.firstUID && u.UID <= r.lastUID && (!f.given("uid") || f.value["uid"] == fmt.Sprint(u.UID)) {
			return done()
		}
		return failed()
	}
	modern := m.adduserVersion("3.122")
	u := newUser{name: name, home: "/home/" + name, shell: "/usr/sbin/nologin"}
	if modern {
		u.home = "/nonexistent"
	}
	if !m.adduserVersion("3.118") && f.value["shell"] == "" {
		u.shell = "/bin/false"
		for _, open := range []string{"/etc/passwd", "/etc/passwd-"} {
			m.leave("shell of "+name, "what this version of adduser takes is not known", shell.Path{Name: open, Aspect: "content"})
		}
	}
	if f.value["home"] != "" {
		u.home = f.value["home"]
	}
	if f.value["shell"] != "" {
		u.shell = f.value["shell"]
	}
	u.shadow = m.newShadow(modern)
	if !modern {
		u.shadow = strings.Replace(u.shadow, "!", "*", 1)
	}
	gid, own, ok := m.adduserNumbers(f, r, modern, &u)
	if !ok {
		return failed()
	}
	u.gid = gid
	if own {
		if err := m.accounts.appendGroup(name, gid); err != nil {
			return byErrno(err)
		}
	}
	if err := m.accounts.appendUser(u); err != nil {
		return byErrno(err)
	}
	if gecos, given := f.value["gecos"]; given {
		if err := m.adduserGecos(name, gecos); err != nil {
			return byErrno(err)
		}
	}
	if f.on["no-create-home"] || strings.HasPrefix(path.Clean(u.home)+"/", "/nonexistent/") || m.files.exists(u.home) {
		return done()
	}
	if err := m.files.makeDir(u.home, true, 0o755, 0o755, false); err != nil {
		return byErrno(err)
	}
	return byErrno(m.files.setOwner(u.home, int(u.uid), int(u.gid), 0o755))
}

// adduserGecos has chfn called as adduser does.
func (m *machine) adduserGecos(name, gecos string) error {
	parts := strings.Split(gecos, ",")
	first := map[string]string{"f": parts[0]}
	if len(parts) > 1 {
		first["r"] = parts[1]
	}
	if err := m.accounts.setGecos(name, first); err != nil {
		return err
	}
	for i, option := range []string{"w", "h", "o"} {
		if i+2 >= len(parts) {
			break
		}
		if err := m.accounts.setGecos(name, map[string]string{option: parts[i+2]}); err != nil {
			return err
		}
	}
	return nil
}

// adduserNumbers picks the numbers of a system user and his group, and reports whether the group is made.
func (m *machine) adduserNumbers(f flags, r ranges, modern bool, u *newUser) (gid uint32, own, ok bool) {
	existing, err := m.accounts.Group(u.name)
	hasOwn := err == nil
	if f.given("uid") {
		if u.uid, ok = m.newUID(f.value["uid"], true); !ok {
			return 0, false, false
		}
	} else {
		isFree := m.accounts.freeUID
		if f.on["group"] && !modern && !hasOwn {
			isFree = func(id uint32) bool { return m.accounts.freeUID(id) && m.accounts.freeGID(id) }
		}
		if u.uid, ok = free(r.firstUID, r.lastUID, isFree); !ok {
			return 0, false, false
		}
	}
	switch {
	case f.on["group"] && hasOwn:
		return existing.GID, false, true
	case f.on["group"] && modern && !f.given("uid"):
		gid, ok := free(r.firstGID, r.lastGID, m.accounts.freeGID)
		return gid, true, ok
	case f.on["group"]:
		return u.uid, true, m.accounts.freeGID(u.uid)
	case f.given("ingroup"), f.given("gid"):
		_, gid, err := m.accounts.ownerIDs("", f.value["ingroup"]+f.value["gid"])
		return gid, false, err == nil
	}
	if g, err := m.accounts.Group("nogroup"); err == nil {
		return g.GID, false, true
	}
	return 65534, false, true
}

// deluser is delgroup too.
func (m *machine) deluser(c shell.Command) (shell.Result, error) {
	f, ok := parseFlags(c.Args[1:], "system quiet|q group only-if-empty verbose remove-home backup")
	if !ok || len(f.rest) == 0 || len(f.rest) > 2 || f.on["remove-home"] || f.on["backup"] {
		return notUnderstood()
	}
	for _, setting := range []string{"remove_home", "remove_all_files", "backup"} {
		if v := m.files.settings("/etc/deluser.conf")[setting]; v != "" && v != "0" {
			return unknown("/etc/deluser.conf has it remove more than the account")
		}
	}
	name := f.rest[0]
	conf := m.files.settings("/etc/adduser.conf")
	r := adduserRanges(flags{}, conf)
	if len(f.rest) == 2 {
		if !m.hasUser(name) || !m.hasGroup(f.rest[1]) {
			return failed()
		}
		return byErrno(m.accounts.setMember(f.rest[1], name, false, true))
	}
	if path.Base(c.Args[0]) == "delgroup" || f.on["group"] {
		g, err := m.accounts.Group(name)
		switch {
		case err != nil:
			return ended(map[bool]int{true: 0, false: 3}[f.on["system"]])
		case f.on["system"] && (g.GID < r.firstGID || g.GID > r.lastGID):
			return ended(3)
		case f.on["only-if-empty"] && len(g.Members) > 0:
			return ended(5)
		}
		return m.deleteGroup(name, 1)
	}
	u, err := m.accounts.User(name)
	switch {
	case err != nil:
		return ended(map[bool]int{true: 0, false: 2}[f.on["system"]])
	case f.on["system"] && (u.UID < r.firstUID || u.UID > r.lastUID):
		return ended(1)
	}
	return m.deleteUser(name)
}

func (m *machine) userdel(c shell.Command) (shell.Result, error) {
	f, ok := parseFlags(c.Args[1:], "f|force")
	if !ok || len(f.rest) != 1 {
		return notUnderstood()
	}
	if !m.hasUser(f.rest[0]) {
		return ended(6)
	}
	return m.deleteUser(f.rest[0])
}

// deleteUser takes an account away, and with it a group of its own that is nobody else's.
func (m *machine) deleteUser(name string) (shell.Result, error) {
	u, err := m.accounts.User(name)
	if err != nil {
		return byErrno(err)
	}
	for _, file := range []string{"/etc/passwd", "/etc/shadow"} {
		if err := m.accounts.removeAccount(file, name); err != nil {
			return byErrno(err)
		}
	}
	table, err := m.accounts.table()
	if err != nil {
		return byErrno(err)
	}
	for _, g := range table.Groups() {
		if slices.Contains(g.Members, name) {
			if err := m.accounts.setMember(g.Name, name, false, false); err != nil {
				return byErrno(err)
			}
		}
	}
	g, own := table.Group(name)
	own = own && g.GID == u.GID && m.files.settings("/etc/login.defs")["usergroups_enab"] != "no" &&
		!slices.ContainsFunc(g.Members, func(member string) bool { return member != name }) &&
		!slices.ContainsFunc(table.Users(), func(other host.User) bool { return other.GID == g.GID && other.Name != name })
	if own {
		return m.deleteGroup(name, 8)
	}
	return done()
}

func (m *machine) groupdel(c shell.Command) (shell.Result, error) {
	f, ok := parseFlags(c.Args[1:], "f|force")
	if !ok || len(f.rest) != 1 || f.on["f"] {
		return notUnderstood()
	}
	if !m.hasGroup(f.rest[0]) {
		return ended(6)
	}
	return m.deleteGroup(f.rest[0], 8)
}

// deleteGroup takes a group away, unless it is the first one of a user.
func (m *machine) deleteGroup(name string, refused int) (shell.Result, error) {
	table, err := m.accounts.table()
	if err != nil {
		return byErrno(err)
	}
	g, _ := table.Group(name)
	if slices.ContainsFunc(table.Users(), func(u host.User) bool { return u.GID == g.GID }) {
		return ended(refused)
	}
	if err := m.accounts.removeAccount("/etc/group", name); err != nil {
		return byErrno(err)
	}
	return byErrno(m.accounts.removeAccount("/etc/gshadow", name))
}
