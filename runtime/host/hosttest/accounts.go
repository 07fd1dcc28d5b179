package hosttest

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"

	"zcp2kopano/runtime/host"
)

// Accounts are lines of passwd(5) and group(5) that a host that is tested for its accounts has besides root's.
const (
	PasswdLine = "site:x:4711:4712:The Site:/srv/site:/usr/sbin/nologin\n"
	GroupLine  = "sitegroup:x:4712:root,site\n"
)

// Accounts runs the suite of accounts on a host that has PasswdLine and GroupLine.
func Accounts(t *testing.T, h host.AccountReader) {
	want := host.User{Name: "site", UID: 4711, GID: 4712, Home: "/srv/site", Shell: "/usr/sbin/nologin"}
	for what, look := range map[string]func() (host.User, error){
		"name": func() (host.User, error) { return h.User("site") }, "number": func() (host.User, error) { return h.UserID(4711) },
	} {
		if got, err := look(); err != nil || got != want {
			t.Errorf("user by %s: %+v, %v; want %+v", what, got, err, want)
		}
	}
	for what, look := range map[string]func() (host.Group, error){
		"name": func() (host.Group, error) { return h.Group("sitegroup") }, "number": func() (host.Group, error) { return h.GroupID(4712) },
	} {
		if got, err := look(); err != nil || got.Name != "sitegroup" || got.GID != 4712 || !slices.Equal(got.Members, []string{"root", "site"}) {
			t.Errorf("group by %s: %+v, %v", what, got, err)
		}
	}
	if root, err := h.UserID(0); err != nil || root.Name != "root" || root.GID != 0 {
		t.Errorf("root: %+v, %v", root, err)
	}
	for what, look := range map[string]func() error{
		"user":            func() error { _, err := h.User("nobody-of-that-name"); return err },
		"empty user":      func() error { _, err := h.User(""); return err },
		"number as name":  func() error { _, err := h.User("4711000"); return err },
		"option as name":  func() error { _, err := h.User("--help"); return err },
		"group":           func() error { _, err := h.Group("no-group-of-that-name"); return err },
		"user by number":  func() error { _, err := h.UserID(4711000); return err },
		"group by number": func() error { _, err := h.GroupID(4711000); return err },
	} {
		if err := look(); !errors.Is(err, host.ErrNoAccount) {
			t.Errorf("unknown %s: %v; want ErrNoAccount", what, err)
		}
	}
}

// Membership runs the suite of groups' members on a host that has PasswdLine and GroupLine: who left and joined again is
// where he was, and so is the file.
func Membership(t *testing.T, h host.Host) {
	before := groupFile(t, h)
	for _, step := range []struct {
		what string
		do   func(ctx context.Context, user, group string) error
		want []string
	}{{"leave", h.LeaveGroup, []string{"root"}}, {"join", h.JoinGroup, []string{"root", "site"}}, {"join again", h.JoinGroup, []string{"root", "site"}}} {
		if err := step.do(t.Context(), "site", "sitegroup"); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		if g, err := h.Group("sitegroup"); err != nil || !slices.Equal(g.Members, step.want) {
			t.Errorf("%s: %+v, %v; want %q", step.what, g, err, step.want)
		}
	}
	if after := groupFile(t, h); after != before {
		t.Errorf("/etc/group was\n%s\nand is\n%s", before, after)
	}
	for what, err := range map[string]error{
		"an unknown user":  h.JoinGroup(t.Context(), "nobody-of-that-name", "sitegroup"),
		"an unknown group": h.JoinGroup(t.Context(), "site", "no-group-of-that-name"),
		"an option":        h.JoinGroup(t.Context(), "--help", "sitegroup"),
	} {
		if err == nil {
			t.Errorf("%s joins", what)
		}
	}
}

func groupFile(t *testing.T, h host.Host) string {
	t.Helper()
	f, err := h.Open("/etc/group")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
