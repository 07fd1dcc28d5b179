package fs

import (
	"path"
	"strings"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/script"
)

var mountOf = &script.Builtin{
	Name: "fs.mount_of",
	Doc: "Tells on which mount a path lies.\n\n" +
		"Symlinks are followed. A path that does not exist yet lies where its nearest existing parent does.",
	Params: []script.Param{{Name: "path", Type: script.Path, Doc: "absolute path"}},
	Result: "record(point, source, type, read_only, own): point is the mount's directory; type is ext4, nfs4, ...; own is True if the path itself is the mount's directory",
	Effect: script.Read,
	Example: `
mount = fs.mount_of("/var/lib/zarafa/attachments")
if mount.own:
    print("attachments have a file system of their own:", mount.source)
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		real, err := action.Resolve(c.View, c.String("path"))
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		m, err := mountAt(c.View, real)
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		return script.NewRecord(map[string]any{
			"point": m.Point, "source": m.Source, "type": m.Type, "read_only": m.ReadOnly, "own": m.Point == real,
		}), nil
	},
}

var mounts = &script.Builtin{
	Name: "fs.mounts",
	Doc: "Lists the mounts below a directory.\n\n" +
		"Symlinks on the way to it are followed. A mount of the directory itself is not in the list: see fs.mount_of.",
	Params: []script.Param{{Name: "below", Type: script.Path, Doc: "absolute path; it need not exist"}},
	Result: "list of record(point, source, type, read_only), in the order of the mount table",
	Effect: script.Read,
	Example: `
for mount in fs.mounts("/var/lib/zarafa"):
    print(mount.point, "has a file system of its own:", mount.source)
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		real, err := action.Resolve(c.View, c.String("below"))
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		all, err := c.View.Mounts()
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		list := []starlark.Value{}
		for _, m := range all {
			if m.Point != real && within(m.Point, real) {
				list = append(list, script.NewRecord(map[string]any{"point": m.Point, "source": m.Source, "type": m.Type, "read_only": m.ReadOnly}))
			}
		}
		return starlark.NewList(list), nil
	},
}

// mountAt finds the mount that a path without symlinks lies on: the deepest one above it, and of
// several at one directory the last, which hides the others.
func mountAt(view host.View, real string) (host.Mount, error) {
	mounts, err := view.Mounts()
	if err != nil {
		return host.Mount{}, err
	}
	best := host.Mount{Point: "/"}
	for _, m := range mounts {
		if within(real, m.Point) && len(m.Point) >= len(best.Point) {
			best = m
		}
	}
	return best, nil
}

func within(p, dir string) bool {
	return p == dir || dir == "/" || strings.HasPrefix(p, dir+"/")
}

// existing is the nearest directory or file at or above a path that exists, symlinks followed.
func existing(view host.View, name string) (string, host.Stat, error) {
	real, err := action.Resolve(view, name)
	if err != nil {
		return "", host.Stat{}, err
	}
	for {
		st, err := view.Lstat(real)
		if err == nil || !absent(err) || real == "/" {
			return real, st, err
		}
		real = path.Dir(real)
	}
}

var space = &script.Builtin{
	Name: "fs.space",
	Doc: "Tells how much room the file system of a path has.\n\n" +
		"For a path that does not exist yet, that of its nearest existing parent. Two paths with the same " +
		"device share their room: add up what goes to each device.",
	Params:   []script.Param{{Name: "path", Type: script.Path, Doc: "absolute path"}},
	Result:   "record(total, free, available, inodes, free_inodes, type, read_only, device): bytes; free is for root, available for others",
	Effect:   script.Read,
	Volatile: true,
	Example: `
room = fs.space("/var/lib/zcp2kopano")
if room.free < 100 * 1024 * 1024:
    warn("little room for the backup", reason = "%d bytes are free" % room.free, remedy = "free some space")
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		at, _, err := existing(c.View, c.String("path"))
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		s, err := c.View.Statfs(at)
		if err != nil {
			return nil, c.Errorf("%w", err)
		}
		return script.NewRecord(map[string]any{
			"total": s.Total, "free": s.Free, "available": s.Available,
			"inodes": s.Inodes, "free_inodes": s.FreeInodes,
			"type": s.Type, "read_only": s.ReadOnly, "device": s.Device,
		}), nil
	},
}

var sameDevice = &script.Builtin{
	Name: "fs.same_device",
	Doc: "Checks whether a file can go from one path to the other by a rename, without copying.\n\n" +
		"That needs the same file system and the same mount. A path that does not exist yet counts as its " +
		"nearest existing parent.",
	Params: []script.Param{
		{Name: "a", Type: script.Path, Doc: "absolute path"},
		{Name: "b", Type: script.Path, Doc: "absolute path"},
	},
	Result: "bool",
	Effect: script.Read,
	Example: `
if not fs.same_device("/var/lib/zarafa", "/var/lib/kopano"):
    print("the attachments would be copied")
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		var devices [2]uint64
		var points [2]string
		for i, name := range []string{"a", "b"} {
			at, st, err := existing(c.View, c.String(name))
			if err != nil {
				return nil, c.Errorf("%w", err)
			}
			m, err := mountAt(c.View, at)
			if err != nil {
				return nil, c.Errorf("%w", err)
			}
			devices[i], points[i] = st.Dev, m.Point
		}
		return starlark.Bool(devices[0] == devices[1] && points[0] == points[1]), nil
	},
}

var mount = &script.Builtin{
	Name: "fs.mount",
	Doc: "Mounts at a directory what /etc/fstab lists for it.\n\n" +
		"The directory must be there, and empty. Where something is mounted already, nothing is done. A rollback unmounts it.",
	Params: []script.Param{
		{Name: "path", Type: script.Path, Doc: "absolute path of the directory"},
		{Name: "source", Type: script.String, Doc: "what must be mounted there then, as fs.mount_of names it; anything else is an error", Optional: true, Default: `""`, Keyword: true},
		{Name: "type", Type: script.String, Doc: "its type, together with source", Optional: true, Default: `""`, Keyword: true},
	},
	Result: "None",
	Effect: script.Change,
	Example: `
was = fs.mount_of("/srv/mail")
fs.unmount("/srv/mail")
fs.mount("/srv/mail", source = was.source, type = was.type)
`,
	Decide: func(c *script.Call) (script.Decision, error) {
		return done(&action.Mount{Point: c.String("path"), Source: c.String("source"), Type: c.String("type")})
	},
}

var unmount = &script.Builtin{
	Name: "fs.unmount",
	Doc: "Unmounts what is mounted at a directory.\n\n" +
		"It must have a line in /etc/fstab, by which a rollback mounts it again. While a process uses it that is an error, " +
		"which names the process. Where nothing is mounted, nothing is done.",
	Params: []script.Param{{Name: "path", Type: script.Path, Doc: "absolute path of the directory"}},
	Result: "None",
	Effect: script.Change,
	Example: `
fs.unmount("/srv/mail")
`,
	Decide: func(c *script.Call) (script.Decision, error) {
		return done(&action.Unmount{Point: c.String("path")})
	},
}
