package trust

import (
	"errors"
	"io"
	"slices"
	"strings"
	"syscall"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/accounts"
)

// have reports whether a group is the private one of a user: the one that useradd(8) makes with him, of his name, his
// login group and nobody else's. Some systems give him a umask that lets it write. Members are looked at, not numbers:
// in group(5), in gshadow(5), where some may be added and a password lets others in, and in passwd(5), where a login
// group stands. Only what these files say counts; where one cannot be read, the group is nobody's.
func (u Users) have(files Files, gid uint32) bool {
	if len(u) == 0 || gid == 0 {
		return false
	}
	var texts [3]string
	for i, name := range []string{"/etc/passwd", "/etc/group", "/etc/gshadow"} {
		data, err := read(files, name)
		if err != nil {
			return false
		}
		texts[i] = string(data)
	}
	table := accounts.NewTable(texts[0], texts[1])
	return slices.ContainsFunc(u, func(id uint32) bool {
		user, known := table.UserID(id)
		return known && isPrivate(table, texts[2], user, gid)
	})
}

func isPrivate(table *accounts.Table, gshadow string, user host.User, gid uint32) bool {
	group, known := table.GroupID(gid)
	if !known || user.GID != gid || group.Name != user.Name {
		return false
	}
	other := func(name string) bool { return name != "" && name != user.Name }
	for _, u := range table.Users() {
		if u.GID == gid && (u.Name != user.Name || u.UID != user.UID) {
			return false
		}
	}
	for _, g := range table.Groups() {
		if (g.GID == gid || g.Name == group.Name) && (g.GID != gid || slices.ContainsFunc(g.Members, other)) {
			return false
		}
	}
	for line := range strings.Lines(gshadow) {
		f := strings.Split(strings.TrimRight(line, "\n"), ":")
		if f[0] != group.Name {
			continue
		}
		if len(f) != 4 || f[1] != "" && f[1][0] != '!' && f[1][0] != '*' || slices.ContainsFunc(strings.Split(f[2]+","+f[3], ","), other) {
			return false
		}
	}
	return true
}

// read is the content of a file, as far as these files can be read at all.
func read(files Files, name string) ([]byte, error) {
	switch files := files.(type) {
	case interface{ Read(string) ([]byte, error) }:
		return files.Read(name)
	case interface {
		Open(string) (host.File, error)
	}:
		f, err := files.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return io.ReadAll(f)
	}
	return nil, host.ErrUnsupported
}

// hasACL reports whether more than its owner and group may have rights to a file: then the group's are the most that any
// of them has. What cannot be told counts as that.
func hasACL(files Files, name string) bool {
	attributes, ok := files.(interface {
		Getxattr(name, attr string) ([]byte, error)
	})
	if !ok {
		return true
	}
	_, err := attributes.Getxattr(name, "system.posix_acl_access")
	return !errors.Is(err, syscall.ENODATA) && !errors.Is(err, syscall.ENOTSUP)
}
