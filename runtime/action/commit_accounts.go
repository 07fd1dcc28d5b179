package action

import (
	"encoding/json"
	"errors"

	"zcp2kopano/runtime/host"
)

// accountFiles are changed by the packages' scripts, which make accounts and never remove them.
var accountFiles = []string{"/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow"}

func (a *Commit) recordAccounts(env *Env) error {
	for _, name := range accountFiles {
		p, err := env.Store.Save(name)
		if errors.Is(err, host.ErrUnknown) { // a simulated host may lack what root alone can read
			continue
		}
		if err != nil {
			return err
		}
		a.Accounts = append(a.Accounts, p)
	}
	return nil
}

// accountMark is what the account files were when the transaction had ended, by path.
type accountMark struct {
	Accounts map[string]string `json:"accounts"`
}

// markAccounts notes how the scripts left the account files, so that Undo can tell their changes from
// those that somebody else makes later.
func (a *Commit) markAccounts(env *Env) error {
	now, err := a.accountDigests(env)
	if err != nil || env.Mark == nil {
		return err
	}
	return env.Mark(accountMark{now})
}

func (a *Commit) accountDigests(env *Env) (map[string]string, error) {
	digests := map[string]string{}
	for _, p := range a.Accounts {
		now, err := env.Store.sum(p.Path)
		if err != nil && !absent(err) {
			return nil, err
		}
		digests[p.Path] = now
	}
	return digests, nil
}

// restoreAccounts puts the account files back that nobody else has changed since.
func (a *Commit) restoreAccounts(env *Env) error {
	var left accountMark
	for _, m := range env.Marks {
		if err := json.Unmarshal(m, &left); err != nil {
			return err
		}
	}
	now, err := a.accountDigests(env)
	if err != nil {
		return err
	}
	for _, p := range a.Accounts {
		if then, known := left.Accounts[p.Path]; known && then != now[p.Path] {
			continue // Differences tells
		}
		if err := env.Store.Restore(p); err != nil {
			return err
		}
	}
	return nil
}
