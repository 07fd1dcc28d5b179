package live

import (
	"context"
	"fmt"
	"strings"

	"zcp2kopano/runtime/host"
)

// membership changes groups by the tools of shadow, which lock the files of accounts.
type membership struct{ m *machine }

// JoinGroup makes a user a member of a group.
func (h membership) JoinGroup(ctx context.Context, user, group string) error {
	return h.tell(ctx, user, group, "usermod", "-a", "-G", group, user)
}

// LeaveGroup takes it out.
func (h membership) LeaveGroup(ctx context.Context, user, group string) error {
	return h.tell(ctx, user, group, "gpasswd", "-d", user, group)
}

func (h membership) tell(ctx context.Context, user, group, program string, args ...string) error {
	for _, name := range []string{user, group} {
		if name == "" || name[0] == '-' || strings.ContainsAny(name, ",:\n") {
			return fmt.Errorf("%q is no name of an account", name)
		}
	}
	path, err := h.m.program(program)
	if err != nil {
		return err
	}
	_, err = h.m.run(ctx, command{Path: path, Args: args, Timeout: queryTimeout})
	return err
}

var _ host.AccountWriter = membership{}
