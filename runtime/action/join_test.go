package action

import (
	"context"
	"strings"
	"testing"

	"zcp2kopano/runtime/host"
)

// JoinGroup and LeaveGroup change /etc/group at once; what the tools leave of an unfinished one, the keeper of account
// files removes.
func (h *fakeHost) JoinGroup(ctx context.Context, user, group string) error {
	return h.setMembers(user)
}
func (h *fakeHost) LeaveGroup(ctx context.Context, user, group string) error { return h.setMembers("") }

func (h *fakeHost) setMembers(text string) error {
	return h.change(func() error { return h.PutFile("/etc/group", []byte(text), 0o644, 0, 0, long) })
}

func (h *fakeHost) members() []string {
	text, err := simfsRead(h.FS, "/etc/group")
	if err != nil {
		return nil
	}
	return strings.Fields(text)
}

func init() {
	scenarios = append(scenarios, scenario{name: "join a group", act: func() Action { return &Join{User: "kopano", Group: "zarafa"} }, setup: func(t tester, h *fakeHost) {
		put(t, h, "/etc/group", "", 0o644, 0, 0)
	}})
}

// What would make a user root's equal is refused, and so is what is not there.
func TestJoinRefuses(t *testing.T) {
	for _, tc := range []struct {
		act  *Join
		want string
	}{
		{&Join{User: "kopano", Group: "root"}, "root's own group"},
		{&Join{User: "nobody", Group: "zarafa"}, host.ErrNoAccount.Error()},
		{&Join{User: "kopano", Group: "nobody"}, host.ErrNoAccount.Error()},
	} {
		if _, err := tc.act.Prepare(newEnv(newFake())); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%+v: %v, want %q", tc.act, err, tc.want)
		}
	}
}

// A group that is gone has no members, so a rollback has nothing to take out of it.
func TestJoinGroupIsGone(t *testing.T) {
	h := newFake()
	put(t, h, "/etc/group", "kopano", 0o644, 0, 0)
	delete(h.users, "zarafa")
	a := &Join{User: "kopano", Group: "zarafa"}
	must(t, a.Undo(newEnv(h)))
	if lines, err := a.Differences(newEnv(h)); len(lines) > 0 || err != nil {
		t.Error(lines, err)
	}
}
