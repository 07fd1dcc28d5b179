package sim

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/accounts"
)

// accountTable is the parsed /etc/passwd and /etc/group, with the state of the files it was read from.
type accountTable struct {
	table         *accounts.Table
	passwd, group host.Stat
}

// accounts reads the simulated account files anew if they changed.
func (h *Host) accounts() (*accounts.Table, error) {
	passwd, err := h.Stat("/etc/passwd")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	group, err := h.Stat("/etc/group")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	h.accountsMu.Lock()
	defer h.accountsMu.Unlock()
	if c := h.accountCache; c != nil && sameFile(c.passwd, passwd) && sameFile(c.group, group) {
		return c.table, nil
	}
	passwdText, err := h.readFile("/etc/passwd")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	groupText, err := h.readFile("/etc/group")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	h.accountCache = &accountTable{table: accounts.NewTable(string(passwdText), string(groupText)), passwd: passwd, group: group}
	return h.accountCache.table, nil
}

func sameFile(a, b host.Stat) bool {
	return a.Ino == b.Ino && a.Dev == b.Dev && a.Size == b.Size && a.Ctime.Equal(b.Ctime) && a.Mtime.Equal(b.Mtime)
}

// User looks an account up in the simulated /etc/passwd, then on the machine below.
func (h *Host) User(name string) (host.User, error) {
	return lookup(h, func(t *accounts.Table) (host.User, bool) { return t.User(name) },
		func(v host.View) (host.User, error) { return v.User(name) }, "user "+name)
}

// UserID is User by number.
func (h *Host) UserID(uid uint32) (host.User, error) {
	return lookup(h, func(t *accounts.Table) (host.User, bool) { return t.UserID(uid) },
		func(v host.View) (host.User, error) { return v.UserID(uid) }, fmt.Sprintf("user with the number %d", uid))
}

// Group looks a group up in the simulated /etc/group, then on the machine below.
func (h *Host) Group(name string) (host.Group, error) {
	return lookup(h, func(t *accounts.Table) (host.Group, bool) { return t.Group(name) },
		func(v host.View) (host.Group, error) { return v.Group(name) }, "group "+name)
}

// GroupID is Group by number.
func (h *Host) GroupID(gid uint32) (host.Group, error) {
	return lookup(h, func(t *accounts.Table) (host.Group, bool) { return t.GroupID(gid) },
		func(v host.View) (host.Group, error) { return v.GroupID(gid) }, fmt.Sprintf("group with the number %d", gid))
}

func lookup[T any](h *Host, find func(*accounts.Table) (T, bool), below func(host.View) (T, error), what string) (T, error) {
	t, err := h.accounts()
	if err != nil {
		var none T
		return none, err
	}
	if found, ok := find(t); ok {
		return found, nil
	}
	if h.below != nil {
		return below(h.below) // accounts of LDAP or NIS, which the files do not have
	}
	var none T
	return none, fmt.Errorf("%s: %w", what, host.ErrNoAccount)
}

// ownerIDs turns names or numbers into numbers; an empty name is root.
func (h *Host) ownerIDs(user, group string) (uid, gid uint32, err error) {
	if user != "" && user != "root" {
		if n, err := strconv.ParseUint(user, 10, 32); err == nil {
			uid = uint32(n)
		} else if u, err := h.User(user); err == nil {
			uid = u.UID
		} else {
			return 0, 0, err
		}
	}
	if group != "" && group != "root" {
		if n, err := strconv.ParseUint(group, 10, 32); err == nil {
			gid = uint32(n)
		} else if g, err := h.Group(group); err == nil {
			gid = g.GID
		} else {
			return 0, 0, err
		}
	}
	return uid, gid, nil
}

// direction is how a tool looks for a free number: adduser(8) takes the first free one from 100
// upwards, useradd(8) and groupadd(8) with --system the first free one from 999 downwards.
type direction bool

const (
	upwards   direction = true
	downwards direction = false
)

func (d direction) first(free func(id uint32) bool) (uint32, error) {
	for i := uint32(0); i < 900; i++ {
		id := 100 + i
		if d == downwards {
			id = 999 - i
		}
		if free(id) {
			return id, nil
		}
	}
	return 0, errors.New("no system account number is free between 100 and 999")
}

// addGroup does what groupadd --system does, and nothing if the group is there.
func (h *Host) addGroup(name string, d direction) error {
	t, err := h.accounts()
	if err != nil {
		return err
	}
	if _, ok := t.Group(name); ok {
		return nil
	}
	gid, err := d.first(func(id uint32) bool { _, used := t.GroupID(id); return !used })
	if err != nil {
		return err
	}
	return h.appendGroup(name, gid)
}

// addUser does what useradd --system (downwards) or adduser --system --group (upwards) does, and
// nothing if the account is there.
func (h *Host) addUser(name string, opts map[string]string, d direction) error {
	t, err := h.accounts()
	if err != nil {
		return err
	}
	if _, ok := t.User(name); ok {
		return nil
	}
	home, shell := opts["home"], opts["shell"]
	var uid, gid uint32
	if d == upwards {
		uid, err = d.first(func(id uint32) bool {
			_, user := t.UserID(id)
			_, group := t.GroupID(id)
			return !user && !group
		})
		if err != nil {
			return err
		}
		if gid, err = h.groupOfUser(t, name, uid); err != nil {
			return err
		}
		if home == "" {
			home = "/home/" + name
		}
		if shell == "" {
			shell = "/usr/sbin/nologin"
		}
	} else {
		if uid, err = d.first(func(id uint32) bool { _, used := t.UserID(id); return !used }); err != nil {
			return err
		}
		if gid, err = h.groupForUser(t, name, opts["group"], uid); err != nil {
			return err
		}
		if home == "" {
			home = "/home/" + name
		}
	}
	shadow := fmt.Sprintf("!:%d::::::", h.today())
	if d == upwards {
		shadow = fmt.Sprintf("*:%d:0:99999:7:::", h.today())
	}
	return h.appendUser(newUser{name: name, uid: uid, gid: gid, gecos: opts["gecos"], home: home, shell: shell, shadow: shadow})
}

// groupForUser is the group that useradd gives a user: the one that is named, or else a new one of the
// user's name and, if it is free, number.
func (h *Host) groupForUser(t *accounts.Table, name, group string, uid uint32) (uint32, error) {
	if group != "" {
		g, err := h.Group(group)
		return g.GID, err
	}
	if _, there := t.Group(name); there {
		return 0, &host.CommandError{Path: "/usr/sbin/useradd", Status: "exit status 9",
			Output: fmt.Sprintf("useradd: group %s exists - if you want to add this user to that group, use -g.", name)}
	}
	free := func(id uint32) bool { _, used := t.GroupID(id); return !used }
	if !free(uid) {
		var err error
		if uid, err = downwards.first(free); err != nil {
			return 0, err
		}
	}
	return uid, h.appendGroup(name, uid)
}

// today is the date as shadow(5) counts it.
func (h *Host) today() int64 { return h.Now().Unix() / int64(24*time.Hour/time.Second) }

// groupOfUser is the group of the same name that adduser --group makes along with the user.
func (h *Host) groupOfUser(t *accounts.Table, name string, id uint32) (uint32, error) {
	if g, ok := t.Group(name); ok {
		return g.GID, nil
	}
	return id, h.appendGroup(name, id)
}

func (h *Host) appendGroup(name string, gid uint32) error {
	if err := h.appendAccount("/etc/gshadow", name+":!::\n"); err != nil {
		return err
	}
	return h.appendAccount("/etc/group", fmt.Sprintf("%s:x:%d:\n", name, gid))
}

// appendAccount appends a line to an account file that does not have the name yet, and keeps the former state in FILE-, as the
// shadow tools do. What the tools write into the shadow files differs by their version, so that
// their content, and that of the backups, stays open.
func (h *Host) appendAccount(file, line string) error {
	st, err := h.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, open := range []string{file + "-", file} {
		if open != "/etc/passwd" && open != "/etc/group" {
			h.unpredict(host.Unpredicted{What: "content of " + open, Why: "the account tools write it, each version in its own way", Path: open, Aspect: "content"})
		}
	}
	text, err := h.readFile(file)
	if errors.Is(err, host.ErrUnknown) || errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	name, _, _ := strings.Cut(line, ":")
	if strings.HasPrefix(string(text), name+":") || strings.Contains(string(text), "\n"+name+":") {
		return nil
	}
	if err := h.replaceFile(file+"-", text, st); err != nil {
		return err
	}
	if len(text) > 0 && text[len(text)-1] != '\n' {
		text = append(text, '\n')
	}
	return h.replaceFile(file, append(text, line...), st)
}

// replaceFile writes a file anew, as a rename of a new file over the old one leaves it.
func (h *Host) replaceFile(name string, content []byte, like host.Stat) error {
	tmp := name + "+"
	if err := h.clear(tmp); err != nil {
		return err
	}
	if err := h.writeFile(tmp, content, like.Perm()); err != nil {
		return err
	}
	if err := h.Lchown(tmp, int(like.UID), int(like.GID)); err != nil {
		return err
	}
	return h.Rename(tmp, name)
}

// clear removes a temporary file that an interrupted attempt has left.
func (h *Host) clear(tmp string) error {
	if _, err := h.Lstat(tmp); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return h.Unlink(tmp)
}

// readFile reads a file of the simulated host. A content that is not known is host.ErrUnknown.
func (h *Host) readFile(name string) ([]byte, error) {
	f, err := h.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

func (h *Host) writeFile(name string, content []byte, mode fs.FileMode) error {
	f, err := h.Create(name, mode)
	if err != nil {
		return err
	}
	if _, err := f.Write(content); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
