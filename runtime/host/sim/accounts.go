package sim

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
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

// formerAccounts are those of the files of the machine below: one that the simulation lacks was deleted in it.
func (h *Host) formerAccounts() *accounts.Table {
	h.accountsMu.Lock()
	defer h.accountsMu.Unlock()
	if h.formerTable == nil {
		passwd, _ := readBelow(h.below, "/etc/passwd")
		group, _ := readBelow(h.below, "/etc/group")
		h.formerTable = accounts.NewTable(string(passwd), string(group))
	}
	return h.formerTable
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
		if _, gone := find(h.formerAccounts()); !gone {
			return below(h.below) // accounts of LDAP or NIS, which the files do not have
		}
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

// today is the date as shadow(5) counts it.
func (h *Host) today() int64 { return h.Now().Unix() / int64(24*time.Hour/time.Second) }

func (h *Host) appendGroup(name string, gid uint32) error {
	if err := h.appendAccount("/etc/gshadow", name+":!::\n"); err != nil {
		return err
	}
	return h.appendAccount("/etc/group", fmt.Sprintf("%s:x:%d:\n", name, gid))
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
