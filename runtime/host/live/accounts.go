package live

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/accounts"
)

// Accounts are read from /etc/passwd and /etc/group. One that is in neither may come from LDAP, NIS or
// the like: getent(1) asks the C library, whose modules a static binary cannot load.

// accountReader reads accounts.
type accountReader struct{ m *machine }

// User looks an account up by name.
func (a accountReader) User(name string) (host.User, error) {
	users, err := a.users()
	if err != nil {
		return host.User{}, err
	}
	for _, u := range users {
		if u.Name == name {
			return u, nil
		}
	}
	return a.getUser(name)
}

// UserID looks an account up by number.
func (a accountReader) UserID(uid uint32) (host.User, error) {
	users, err := a.users()
	if err != nil {
		return host.User{}, err
	}
	for _, u := range users {
		if u.UID == uid {
			return u, nil
		}
	}
	return a.getUser(strconv.FormatUint(uint64(uid), 10))
}

// Group looks a group up by name.
func (a accountReader) Group(name string) (host.Group, error) {
	groups, err := a.groups()
	if err != nil {
		return host.Group{}, err
	}
	for _, g := range groups {
		if g.Name == name {
			return g, nil
		}
	}
	return a.getGroup(name)
}

// GroupID looks a group up by number.
func (a accountReader) GroupID(gid uint32) (host.Group, error) {
	groups, err := a.groups()
	if err != nil {
		return host.Group{}, err
	}
	for _, g := range groups {
		if g.GID == gid {
			return g, nil
		}
	}
	return a.getGroup(strconv.FormatUint(uint64(gid), 10))
}

func (a accountReader) users() ([]host.User, error) {
	data, err := a.m.files.readFile("/etc/passwd")
	if err != nil {
		return nil, err
	}
	return accounts.ParsePasswd(string(data)), nil
}

func (a accountReader) groups() ([]host.Group, error) {
	data, err := a.m.files.readFile("/etc/group")
	if err != nil {
		return nil, err
	}
	return accounts.ParseGroup(string(data)), nil
}

func (a accountReader) getUser(key string) (host.User, error) {
	line, err := a.getent("passwd", key)
	if err != nil {
		return host.User{}, fmt.Errorf("user %s: %w", key, err)
	}
	for _, u := range accounts.ParsePasswd(line) {
		if u.Name == key || strconv.FormatUint(uint64(u.UID), 10) == key {
			return u, nil
		}
	}
	return host.User{}, fmt.Errorf("user %s: %w", key, host.ErrNoAccount)
}

func (a accountReader) getGroup(key string) (host.Group, error) {
	line, err := a.getent("group", key)
	if err != nil {
		return host.Group{}, fmt.Errorf("group %s: %w", key, err)
	}
	for _, g := range accounts.ParseGroup(line) {
		if g.Name == key || strconv.FormatUint(uint64(g.GID), 10) == key {
			return g, nil
		}
	}
	return host.Group{}, fmt.Errorf("group %s: %w", key, host.ErrNoAccount)
}

// getent exits with 2 for an unknown key. A host without it, or one in a directory that an ordinary
// user cannot chroot to, has only its files.
func (a accountReader) getent(database, key string) (string, error) {
	if key == "" || strings.HasPrefix(key, "-") || a.m.files.chrooted() && a.m.files.euid != 0 {
		return "", host.ErrNoAccount
	}
	out, err := a.m.ask("getent", database, key)
	var failed *host.CommandError
	if errors.Is(err, host.ErrUnsupported) || errors.As(err, &failed) && failed.Status == "exit status 2" {
		return "", host.ErrNoAccount
	}
	return out, err
}
