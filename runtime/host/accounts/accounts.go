// Package accounts reads passwd(5) and group(5) files without the C library, so that look-ups work
// in a static binary and on a simulated machine alike.
package accounts

import (
	"strconv"
	"strings"

	"zcp2kopano/runtime/host"
)

// ParsePasswd reads the lines of a passwd(5) file. Lines that are no accounts (comments, NIS
// compat entries, broken ones) are left out, as the C library leaves them out.
func ParsePasswd(data string) []host.User {
	var users []host.User
	for line := range strings.Lines(data) {
		f, ok := fields(line, 7)
		if !ok {
			continue
		}
		uid, err1 := strconv.ParseUint(f[2], 10, 32)
		gid, err2 := strconv.ParseUint(f[3], 10, 32)
		if err1 != nil || err2 != nil {
			continue
		}
		users = append(users, host.User{Name: f[0], UID: uint32(uid), GID: uint32(gid), Home: f[5], Shell: f[6]})
	}
	return users
}

// ParseGroup reads the lines of a group(5) file, as ParsePasswd does.
func ParseGroup(data string) []host.Group {
	var groups []host.Group
	for line := range strings.Lines(data) {
		f, ok := fields(line, 4)
		if !ok {
			continue
		}
		gid, err := strconv.ParseUint(f[2], 10, 32)
		if err != nil {
			continue
		}
		g := host.Group{Name: f[0], GID: uint32(gid)}
		if f[3] != "" {
			g.Members = strings.Split(f[3], ",")
		}
		groups = append(groups, g)
	}
	return groups
}

func fields(line string, n int) ([]string, bool) {
	line = strings.TrimRight(line, "\r\n")
	if line == "" || strings.ContainsAny(line[:1], "#+-") {
		return nil, false
	}
	f := strings.Split(line, ":")
	return f, len(f) == n && f[0] != ""
}

// Table looks accounts up. The first line of a name or number wins.
type Table struct {
	users      []host.User
	groups     []host.Group
	userNames  map[string]int
	userIDs    map[uint32]int
	groupNames map[string]int
	groupIDs   map[uint32]int
}

// NewTable reads the contents of a passwd(5) and a group(5) file.
func NewTable(passwd, group string) *Table {
	t := &Table{
		users: ParsePasswd(passwd), groups: ParseGroup(group),
		userNames: map[string]int{}, userIDs: map[uint32]int{},
		groupNames: map[string]int{}, groupIDs: map[uint32]int{},
	}
	for i, u := range t.users {
		keepFirst(t.userNames, u.Name, i)
		keepFirst(t.userIDs, u.UID, i)
	}
	for i, g := range t.groups {
		keepFirst(t.groupNames, g.Name, i)
		keepFirst(t.groupIDs, g.GID, i)
	}
	return t
}

func keepFirst[K comparable](m map[K]int, key K, i int) {
	if _, ok := m[key]; !ok {
		m[key] = i
	}
}

// Users and Groups list the accounts in the order of the files.
func (t *Table) Users() []host.User   { return t.users }
func (t *Table) Groups() []host.Group { return t.groups }

// User, UserID, Group and GroupID look an account up.
func (t *Table) User(name string) (host.User, bool)    { return pick(t.users, t.userNames, name) }
func (t *Table) UserID(uid uint32) (host.User, bool)   { return pick(t.users, t.userIDs, uid) }
func (t *Table) Group(name string) (host.Group, bool)  { return pick(t.groups, t.groupNames, name) }
func (t *Table) GroupID(gid uint32) (host.Group, bool) { return pick(t.groups, t.groupIDs, gid) }

func pick[K comparable, V any](list []V, index map[K]int, key K) (V, bool) {
	i, ok := index[key]
	if !ok {
		var none V
		return none, false
	}
	return list[i], true
}
