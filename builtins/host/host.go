// Package host is the runbooks' module host: what the machine is.
package host

import (
	"errors"
	"math"
	"time"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/script"
)

// Builtins lists the module's functions.
func Builtins() []*script.Builtin {
	return []*script.Builtin{facts, matches, user, userByID, group, joinGroup, mounts, now, port}
}

var facts = &script.Builtin{
	Name: "host.facts",
	Doc:  "Describes the machine: distribution, release, architecture, kernel, init system.",
	Result: "record(system, version, codename, name, arch, kernel, init, hostname, machine_id, security, uid): " +
		"system, version, codename and name are ID, VERSION_ID, VERSION_CODENAME and PRETTY_NAME of os-release(5), " +
		"\"\" where it lacks them; init is \"systemd\" or \"sysv\"; security is \"apparmor\", \"selinux\" or \"\"; " +
		"uid is the number of the user that the program runs as",
	Effect: script.Read,
	Example: `
machine = host.facts()
if machine.uid != 0:
    inhibit("not root", reason = "a migration changes the whole system", remedy = "run it with sudo")
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		f, err := c.View.Facts()
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		return script.NewRecord(map[string]any{
			"system": f.OSRelease["ID"], "version": f.OSRelease["VERSION_ID"],
			"codename": f.OSRelease["VERSION_CODENAME"], "name": f.OSRelease["PRETTY_NAME"],
			"arch": f.Arch, "kernel": f.Kernel, "init": f.Init, "hostname": f.Hostname,
			"machine_id": f.MachineID, "security": f.Security, "uid": f.UID,
		}), nil
	},
}

var matches = &script.Builtin{
	Name: "host.matches",
	Doc: "Checks whether the machine is of one of the systems named.\n\n" +
		"A system is written as in define(): \"debian\", \"debian >= 8\", \"ubuntu == 14.04\". The name is ID of " +
		"os-release(5); rhel and sles also fit what is like them (ID_LIKE).",
	Params: []script.Param{{Name: "systems", Type: script.Any, Doc: "one system, or a list of them"}},
	Result: "bool",
	Effect: script.Read,
	Example: `
if host.matches("debian < 8"):
    print("Kopano 8.5 and later need Debian 8")
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		specs, err := systems(c)
		if err != nil {
			return nil, err
		}
		f, err := c.View.Facts()
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		any := false
		for _, spec := range specs {
			ok, err := f.Matches(spec)
			if err != nil {
				return nil, c.Errorf("%w", err)
			}
			any = any || ok
		}
		return starlark.Bool(any), nil
	},
}

// systems takes a string, or a list or tuple of them.
func systems(c *script.Call) ([]string, error) {
	if s, ok := c.Value("systems").(starlark.String); ok {
		return []string{string(s)}, nil
	}
	seq, ok := c.Value("systems").(starlark.Sequence)
	if !ok {
		return nil, c.Errorf("argument systems: got %s, want a string or a list of strings", c.Value("systems").Type())
	}
	var specs []string
	iter := seq.Iterate()
	defer iter.Done()
	for v := starlark.Value(nil); iter.Next(&v); {
		s, ok := v.(starlark.String)
		if !ok {
			return nil, c.Errorf("argument systems: got a %s in it, want strings", v.Type())
		}
		specs = append(specs, string(s))
	}
	return specs, nil
}

var user = &script.Builtin{
	Name:   "host.user",
	Doc:    "Looks a user up.",
	Params: []script.Param{{Name: "name", Type: script.String, Doc: "login name"}},
	Result: "record(name, uid, gid, home, shell), or None if there is no such user",
	Effect: script.Read, Lasting: byName,
	Example: `
if not host.user("kopano"):
    print("the packages will create the user kopano")
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		return account(c)(c.View.User(c.String("name")))
	},
}

var userByID = &script.Builtin{
	Name:   "host.user_by_id",
	Doc:    "Looks a user up by number.",
	Params: []script.Param{{Name: "uid", Type: script.Int, Doc: "number of the user"}},
	Result: "record(name, uid, gid, home, shell), or None if there is no such user",
	Effect: script.Read,
	Example: `
print("the superuser is called", host.user_by_id(0).name)
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		uid := c.Int("uid", 0)
		if uid < 0 || uid > math.MaxUint32 {
			return nil, c.Errorf("uid %d is out of range", uid)
		}
		return account(c)(c.View.UserID(uint32(uid)))
	},
}

// byName leaves of an account what a plan rests on: packages make accounts, and which number, home and
// shell these get is up to the machine's adduser.
func byName(_, fields map[string]any) map[string]any {
	for _, name := range []string{"uid", "gid", "home", "shell"} {
		delete(fields, name)
	}
	return fields
}

// account is what a look-up of a user answers a runbook.
func account(c *script.Call) func(host.User, error) (starlark.Value, error) {
	return func(u host.User, err error) (starlark.Value, error) {
		if errors.Is(err, host.ErrNoAccount) {
			return starlark.None, nil
		}
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		return script.NewRecord(map[string]any{
			"name": u.Name, "uid": u.UID, "gid": u.GID, "home": u.Home, "shell": u.Shell,
		}), nil
	}
}

var group = &script.Builtin{
	Name:   "host.group",
	Doc:    "Looks a group up.",
	Params: []script.Param{{Name: "name", Type: script.String, Doc: "group name"}},
	Result: "record(name, gid, members), or None if there is no such group; members are the users that group(5) lists",
	Effect: script.Read, Lasting: byName,
	Example: `
zarafa = host.group("zarafa")
if zarafa:
    print("group zarafa is", zarafa.gid)
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		g, err := c.View.Group(c.String("name"))
		if errors.Is(err, host.ErrNoAccount) {
			return starlark.None, nil
		}
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		return script.NewRecord(map[string]any{"name": g.Name, "gid": g.GID, "members": g.Members}), nil
	},
}

var joinGroup = &script.Builtin{
	Name: "host.join_group",
	Doc: "Makes a user a member of a group.\n\n" +
		"Daemons of the user have it from their next start on. The policy names such groups: policy(groups = [\"shadow\"]). The " +
		"group of root is refused. A rollback takes the user out again.",
	Params: []script.Param{
		{Name: "user", Type: script.String, Doc: "name of the user"},
		{Name: "group", Type: script.String, Doc: "name of the group, one of group(5)"},
	},
	Result: "None",
	Effect: script.Change,
	Example: `
host.join_group("kopano", "zarafa")
`,
	Decide: func(c *script.Call) (script.Decision, error) {
		return script.Decision{Actions: []action.Action{&action.Join{User: c.String("user"), Group: c.String("group")}}, Result: starlark.None}, nil
	},
}

var mounts = &script.Builtin{
	Name:   "host.mounts",
	Doc:    "Lists what is mounted.",
	Result: "list of record(point, source, type, read_only), in the order of the kernel's table",
	Effect: script.Read,
	Example: `
for mount in host.mounts():
    if mount.type.startswith("nfs"):
        print(mount.point, "is on", mount.source)
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		all, err := c.View.Mounts()
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		list := make([]any, len(all))
		for i, m := range all {
			list[i] = script.NewRecord(map[string]any{
				"point": m.Point, "source": m.Source, "type": m.Type, "read_only": m.ReadOnly,
			})
		}
		return script.ToStarlark(list), nil
	},
}

var now = &script.Builtin{
	Name: "host.now",
	Doc: "Returns the machine's time, in UTC.\n\n" +
		"A resumed run gets the time that the first run got here.",
	Result:   "record(unix, text, stamp): seconds since 1970; \"2015-08-30T22:10:05Z\"; \"20150830-221005\", which sorts and fits in file names",
	Effect:   script.Read,
	Volatile: true,
	Example: `
dump = "/var/backups/zarafa-%s.sql.zst" % host.now().stamp
print(dump)
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		t := c.View.Now().UTC()
		return script.NewRecord(map[string]any{
			"unix": t.Unix(), "text": t.Format(time.RFC3339), "stamp": t.Format("20060102-150405"),
		}), nil
	},
}
