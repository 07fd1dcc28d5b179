package action

import (
	"errors"
	"fmt"
	"strconv"

	"zcp2kopano/runtime/host"
)

// userID finds a user by name, or by number.
func userID(v host.View, name string) (uint32, error) {
	if id, err := strconv.ParseUint(name, 10, 32); err == nil {
		return uint32(id), nil
	}
	u, err := v.User(name)
	if errors.Is(err, host.ErrNoAccount) {
		return 0, fmt.Errorf("this host has no user %q: %w; install the package that makes it, or give a number", name, err)
	}
	return u.UID, err
}

// groupID finds a group by name, or by number.
func groupID(v host.View, name string) (uint32, error) {
	if id, err := strconv.ParseUint(name, 10, 32); err == nil {
		return uint32(id), nil
	}
	g, err := v.Group(name)
	if errors.Is(err, host.ErrNoAccount) {
		return 0, fmt.Errorf("this host has no group %q: %w; install the package that makes it, or give a number", name, err)
	}
	return g.GID, err
}

// owner resolves an optional owner and group; nil stands for one that is not given.
func owner(v host.View, user, group string) (uid, gid *uint32, err error) {
	if user != "" {
		id, err := userID(v, user)
		if err != nil {
			return nil, nil, err
		}
		uid = &id
	}
	if group != "" {
		id, err := groupID(v, group)
		if err != nil {
			return nil, nil, err
		}
		gid = &id
	}
	return uid, gid, nil
}

// or is the value that p points to, or def.
func or[T any](p *T, def T) T {
	if p == nil {
		return def
	}
	return *p
}
