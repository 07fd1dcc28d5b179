package sim

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/deb"
	"zcp2kopano/runtime/host/sim/shell"
)

// dpkg compares versions; what else it is asked changes nothing.
func (m *machine) dpkg(c shell.Command) (shell.Result, error) {
	if len(c.Args) != 5 || c.Args[1] != "--compare-versions" {
		return unanswered()
	}
	a, op, b := c.Args[2], c.Args[3], c.Args[4]
	compared := deb.CompareLoose(a, b)
	if a == "" || b == "" { // an empty version is earlier than any, but for the operators that end in -nl
		compared = map[bool]int{true: 0, false: 1}[a == b]
		if a == "" && b != "" {
			compared = -1
		}
		if strings.HasSuffix(op, "-nl") {
			compared = -compared
		}
	}
	var is bool
	switch strings.TrimSuffix(op, "-nl") {
	case "lt", "<<":
		is = compared < 0
	case "le", "<=", "<":
		is = compared <= 0
	case "eq", "=":
		is = compared == 0
	case "ne":
		is = compared != 0
	case "ge", ">=", ">":
		is = compared >= 0
	case "gt", ">>":
		is = compared > 0
	default:
		return unanswered()
	}
	if is {
		return done()
	}
	return failed()
}

// statoverride is dpkg-statoverride(1).
func (m *machine) statoverride(c shell.Command) (shell.Result, error) {
	f, ok := parseFlags(c.Args[1:], "list add remove update quiet force force-all")
	if !ok {
		return notUnderstood()
	}
	overrides := m.site.readOverrides()
	switch {
	case f.on["list"]:
		return m.listOverrides(overrides, f.rest)
	case f.on["add"] && len(f.rest) == 4:
		return m.addOverride(overrides, f)
	case f.on["remove"] && len(f.rest) == 1:
		if _, has := overrides[f.rest[0]]; !has {
			return ended(map[bool]int{true: 0, false: 2}[f.on["force"] || f.on["force-all"]])
		}
		return byErrno(m.site.editOverrides(f.rest[0], ""))
	}
	return notUnderstood()
}

func (m *machine) listOverrides(overrides map[string]override, patterns []string) (shell.Result, error) {
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(overrides)) {
		o := overrides[name]
		if len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool { return globMatch(p, name) }) {
			fmt.Fprintf(&out, "%s %s %o %s\n", o.user, o.group, host.PermBits(o.mode), name)
		}
	}
	r, _ := said(out.String())
	if out.Len() == 0 {
		r.Status.Code = 1
	}
	return r, nil
}

func (m *machine) addOverride(overrides map[string]override, f flags) (shell.Result, error) {
	user, group, modeText, name := f.rest[0], f.rest[1], f.rest[2], f.rest[3]
	forced := f.on["force"] || f.on["force-all"]
	if _, has := overrides[name]; has && !forced {
		return ended(2)
	}
	mode, err := strconv.ParseUint(modeText, 8, 12)
	if err != nil || !path.IsAbs(name) {
		return ended(2)
	}
	uid, gid, err := m.accounts.ownerIDs(strings.TrimPrefix(user, "#"), strings.TrimPrefix(group, "#"))
	if err != nil {
		return ended(2)
	}
	if err := m.site.editOverrides(name, fmt.Sprintf("%s %s %o %s\n", user, group, mode, name)); err != nil {
		return byErrno(err)
	}
	if !f.on["update"] {
		return done()
	}
	if _, err := m.files.Lstat(name); err != nil {
		return done() // with a warning
	}
	if err := m.files.Lchown(name, int(uid), int(gid)); err != nil {
		return byErrno(err)
	}
	return byErrno(m.files.Chmod(name, host.ModeOf(uint32(mode))))
}

// maintscriptHelper is dpkg-maintscript-helper(1). When a package is installed for the first time it has nothing to do but to clear
// up at purge; what it does on an upgrade from a certain version is not simulated.
func (m *machine) maintscriptHelper(c shell.Command) (shell.Result, error) {
	end := slices.Index(c.Args, "--")
	if len(c.Args) > 1 && c.Args[1] == "supports" {
		return done()
	}
	if end < 3 {
		return notUnderstood()
	}
	verb, params, script := c.Args[1], c.Args[2:end], c.Args[end+1:]
	leftovers := map[string][]string{
		"rm_conffile":    {".dpkg-bak", ".dpkg-remove", ".dpkg-backup"},
		"mv_conffile":    {".dpkg-remove"},
		"symlink_to_dir": {".dpkg-backup"}, "dir_to_symlink": {".dpkg-backup"},
	}
	suffixes, ok := leftovers[verb]
	if !ok || len(script) == 0 {
		return notUnderstood()
	}
	if script[0] == "purge" {
		return byErrno(m.removeLeftovers(verb, params, suffixes))
	}
	fresh := len(script) < 2 || script[1] == ""
	if m.call.script == "prerm" || m.call.script == "postrm" || fresh {
		return done()
	}
	leaves := []shell.Path{{Name: params[0]}}
	for _, s := range suffixes {
		leaves = append(leaves, shell.Path{Name: params[0] + s})
	}
	if len(params) > 1 && path.IsAbs(params[1]) {
		leaves = append(leaves, shell.Path{Name: params[1]})
	}
	return unknown("what it does on an upgrade is not simulated", leaves...)
}

func (m *machine) removeLeftovers(verb string, params, suffixes []string) error {
	for _, s := range suffixes {
		name := params[0] + s
		if verb == "dir_to_symlink" {
			if err := m.files.removeAll(name); err != nil {
				return err
			}
			continue
		}
		if err := m.files.Unlink(name); err != nil && !isLeft(err) {
			return err
		}
	}
	return nil
}

func (m *machine) dpkgTrigger(c shell.Command) (shell.Result, error) {
	return unknown("what other packages do at a trigger is not simulated")
}

// pycompile is py3compile, py3clean and their like: they make and remove the compiled modules of a package.
func (m *machine) pycompile(c shell.Command) (shell.Result, error) {
	var leaves []shell.Path
	for _, f := range m.p.Files {
		dir := path.Dir(f.Path)
		for _, l := range []shell.Path{{Name: path.Join(dir, "__pycache__")}, {Name: path.Join(dir, "*.pyc")}} {
			if path.Ext(f.Path) == ".py" && !slices.Contains(leaves, l) {
				leaves = append(leaves, l)
			}
		}
	}
	return unknown("compiled modules are not simulated", leaves...)
}

// library is a command that "." has brought: of debconf, whose database is its own, or of dbconfig-common.
func (m *machine) library(name string, c shell.Command) (shell.Result, error) {
	switch name {
	case "dbc_go":
		return m.dbconfig(c)
	case "db_get", "db_metaget", "db_fget", "db_exist":
		r, err := unanswered()
		r.Taint = []string{"RET"}
		return r, err
	case "db_input", "db_go", "db_set", "db_fset", "db_subst":
		return unanswered()
	}
	return done()
}

// dbconfig is what dbconfig-common does for a package: it makes a database when the package is configured, and, if the
// admin has said so, drops it when the package is removed.
func (m *machine) dbconfig(c shell.Command) (shell.Result, error) {
	if len(c.Args) < 3 {
		return unanswered()
	}
	name, action := c.Args[1], c.Args[2]
	conf := "/etc/dbconfig-common/" + name + ".conf"
	records := shell.Path{Name: "/var/lib/ucf"}
	switch m.call.script + " " + action {
	case "postinst configure", "postinst reconfigure":
		leaves := []shell.Path{{Name: conf}, {Name: "/etc/dbconfig-common"}, records}
		if _, file, ok := strings.Cut(c.Vars("dbc_generate_include"), ":"); ok {
			leaves = append(leaves, shell.Path{Name: file})
		}
		return unknown("dbconfig-common asks debconf what to do, and may make a database of the package's own", leaves...)
	case "prerm remove":
		switch purge, known := m.site.debconfAnswer(name + "/purge"); {
		case known && purge != "true":
			return done()
		case known:
			m.leave("the database of "+name, "dbconfig-common drops it before the package is removed, since "+name+"/purge is true in debconf's database")
			return done()
		}
		return unknown("dbconfig-common drops the database of the package if debconf has been told so (" + name + "/purge); that is not known")
	case "postrm purge":
		if err := m.files.Unlink(conf); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return byErrno(err)
		}
		m.leave("the records of ucf", "the simulation does not keep them", records)
	}
	return done()
}
