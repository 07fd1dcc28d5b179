package action

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/directory"
)

// Whoever administers a directory moves and renames entries, and may give the name of one to another. What is taken back
// is found by its identity, not by its DN, in all that the server holds. An entry that was made again has another identity than before: that is noted
// once its page is converted.

// remade is a mark behind that of a page: the identities of those entries of it that were made again, by DN.
type remade struct {
	Made map[string]string `json:"made"`
}

// note marks the identities of entries that were made again.
func (a *Convert) note(env *Env, session host.Directory, dns []string) error {
	made, known := map[string]string{}, a.made(env)
	for _, dn := range dns {
		now, err := a.find(env, session, dn, "")
		if err != nil {
			return err
		}
		if now != nil && known[dn] == "" {
			if id := identity(*now); id != "" {
				made[dn] = id
			}
		}
	}
	if len(made) == 0 {
		return nil
	}
	return env.Mark(remade{made})
}

// made are all identities that were noted.
func (a *Convert) made(env *Env) map[string]string {
	all := map[string]string{}
	for _, mark := range env.Marks {
		var m remade
		if json.Unmarshal(mark, &m) == nil {
			maps.Copy(all, m.Made)
		}
	}
	return all
}

// locate brings works to where their entries are, and to what they are. What is gone needs no work, unless it may have
// been deleted to be made again.
func (a *Convert) locate(env *Env, session host.Directory, works []entryWork) ([]entryWork, error) {
	var found []entryWork
	for _, w := range works {
		if w.identity == "" {
			found = append(found, w)
			continue
		}
		now, err := a.find(env, session, w.dn, w.identity)
		switch {
		case err != nil:
			return nil, err
		case now == nil && w.whole == nil:
			continue
		case now != nil && w.whole != nil && !sameDN(now.DN, w.dn):
			w.elsewhere = now.DN
		case now != nil:
			if !a.within(now.DN) {
				a.tellMoved(w.dn + ", which is " + now.DN + ", outside of what was converted, and taken back there")
			}
			w.dn, w.from = now.DN, a.Renaming.Touched(*now)
			if w.to, err = w.want(*now); err != nil {
				return nil, err
			}
		}
		found = append(found, w)
	}
	return found, nil
}

// bringBack makes an entry again under the name that it had, of what it is where somebody has moved it, and takes that
// away. One whose name another entry has by now stays where and what it is.
func (a *Convert) bringBack(env *Env, session host.Directory, w entryWork) error {
	now, err := a.whole(env, session, w.elsewhere)
	if err != nil || now == nil {
		return err
	}
	e := host.Entry{DN: w.elsewhere, Attributes: now}
	to, err := w.want(e)
	if err != nil {
		return err
	}
	name, err := ldap.ParseDN(w.dn)
	if err != nil {
		return err
	}
	change := a.Renaming.Change(w.elsewhere, a.Renaming.Touched(e), to)
	made := renamed(changed(now, change.Values), w.elsewhere, name)
	there, err := a.whole(env, session, w.dn)
	switch {
	case err != nil:
		return err
	case there == nil:
		err := one(env, session, host.EntryChange{DN: w.dn, Add: made})
		if directory.Is(err, ldap.LDAPResultNoSuchObject) {
			a.tellMoved(w.elsewhere + ", which stays converted, because what held it as " + w.dn + " is gone")
			return nil
		}
		if err != nil {
			return err
		}
	case !sameAttributes(there, made):
		a.tellMoved(w.elsewhere + ", which stays converted, because its name " + w.dn + " is that of another entry")
		return nil
	}
	a.tellMoved(w.dn + ", which was " + w.elsewhere + " and is where it was again")
	return one(env, session, host.EntryChange{DN: w.elsewhere, Delete: true})
}

// tellMoved notes an entry once: the one of its class that was tried first was kept twice.
func (a *Convert) tellMoved(text string) {
	if a.since == nil {
		a.since = map[string]bool{}
	}
	if !a.since[text] {
		a.since[text] = true
		a.moved.add(text)
	}
}

// within tells whether an entry is in one of the bases.
func (a *Convert) within(dn string) bool {
	name, err := ldap.ParseDN(dn)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(a.Bases, func(base string) bool {
		above, err := ldap.ParseDN(base)
		return err == nil && (above.EqualFold(name) || above.AncestorOfFold(name))
	})
}

func sameDN(a, b string) bool {
	one, err1 := ldap.ParseDN(a)
	other, err2 := ldap.ParseDN(b)
	if err1 != nil || err2 != nil {
		return strings.EqualFold(a, b)
	}
	return one.EqualFold(other)
}

// sameAttributes compares entries value by value, whatever their order.
func sameAttributes(a, b map[string][]string) bool {
	lowered := func(attributes map[string][]string) directory.Touched {
		to := directory.Touched{}
		for name, values := range attributes {
			to[strings.ToLower(name)] = slices.Clone(values)
		}
		return to
	}
	return directory.Same(lowered(a), lowered(b))
}
