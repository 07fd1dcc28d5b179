package action

import (
	"errors"
	"fmt"
	"slices"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/policy"
)

func init() { register(func() Action { return &Join{} }) }

// Join ("account.join") makes a user a member of a group, as group(5) lists it. Undo takes it out again.
type Join struct {
	User  string `json:"user"`
	Group string `json:"group"`
}

func (a *Join) Kind() string { return "account.join" }
func (a *Join) Summary() string {
	return fmt.Sprintf("make %s a member of the group %s", a.User, a.Group)
}
func (a *Join) Stage(*Env) error     { return nil }
func (a *Join) Irreversible() string { return "" }
func (a *Join) Touches() []policy.Target {
	return []policy.Target{{Class: policy.Group, Name: a.Group}}
}

func (a *Join) Prepare(env *Env) (bool, error) {
	if _, err := env.Host.User(a.User); err != nil {
		return false, fmt.Errorf("%s: %w", a.Summary(), err)
	}
	g, err := env.Host.Group(a.Group)
	if err != nil {
		return false, fmt.Errorf("%s: %w", a.Summary(), err)
	}
	if g.GID == 0 {
		return false, fmt.Errorf("%s: that is root's own group", a.Summary())
	}
	return !slices.Contains(g.Members, a.User), nil
}

func (a *Join) Apply(env *Env) (Result, error) {
	result := Result{Summary: fmt.Sprintf("%s is a member of the group %s", a.User, a.Group)}
	in, err := a.in(env.Host)
	if err != nil {
		return result, err
	}
	if !in {
		if err := env.Host.JoinGroup(env.Ctx, a.User, a.Group); err != nil {
			return result, err
		}
		if in, err = a.in(env.Host); err != nil {
			return result, err
		}
		if !in {
			return result, fmt.Errorf("%s: the tool succeeded, and /etc/group does not list it; is the group one of LDAP or NIS?", a.Summary())
		}
	}
	return result, syncFileSystems(env.Host, "/etc")
}

// Undo works also when the user, or the group, is gone.
func (a *Join) Undo(env *Env) error {
	in, err := a.in(env.Host)
	if err == nil && in {
		err = env.Host.LeaveGroup(env.Ctx, a.User, a.Group)
	}
	if err != nil {
		return err
	}
	return syncFileSystems(env.Host, "/etc")
}

// Differences tells that it is still a member.
func (a *Join) Differences(env *Env) ([]string, error) {
	in, err := a.in(env.Host)
	if err != nil || !in {
		return nil, err
	}
	return []string{fmt.Sprintf("%s is a member of the group %s: gpasswd -d %s %s", a.User, a.Group, a.User, a.Group)}, nil
}

func (a *Join) in(v host.View) (bool, error) {
	g, err := v.Group(a.Group)
	if errors.Is(err, host.ErrNoAccount) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return slices.Contains(g.Members, a.User), nil
}
