package action

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/directory"
)

// Active Directory is stricter than others: a class that is not attached to another comes in one change and its
// attributes in the next, and nothing changes an entry's structural class. Such an entry is deleted and made again under
// its DN; what it was, all of it, is in the store before. It is not deleted before the server has taken a copy of what it
// is, and one of what it is to be: rights to add may be missing, and an entry can have what nobody may give it.

// lookAtServer finds out which kind of server it is, and what it holds.
func (a *Convert) lookAtServer(search search) error {
	a.ad, a.contexts = false, nil
	req := host.DirectorySearch{Scope: "base", Filter: "(objectClass=*)", Attributes: []string{"supportedCapabilities", "namingContexts"}}
	err := search(req, func(page []host.Entry) error {
		a.ad = slices.Contains(page[0].Values("supportedCapabilities"), directory.ActiveDirectory)
		a.contexts = page[0].Values("namingContexts")
		return nil
	})
	if directory.Is(err, ldap.LDAPResultNoSuchObject) {
		return nil
	}
	return err
}

// recreated tells whether an entry is deleted and made again by a conversion.
func (a *Convert) recreated(e host.Entry) bool {
	if !a.ad {
		return false
	}
	from := a.Renaming.Touched(e)
	to, err := a.Renaming.Convert(from)
	return err == nil && a.Renaming.Change(e.DN, from, to).Relax
}

// madeAgain are the DNs of those entries of a page that a conversion makes again.
func (a *Convert) madeAgain(page []host.Entry) []string {
	var dns []string
	for _, e := range page {
		if a.recreated(e) {
			dns = append(dns, e.DN)
		}
	}
	return dns
}

// refuseRecreation says why an entry cannot be made again; nil if it can. The server takes it out of groups when it is
// deleted, and would not put it back.
func (a *Convert) refuseRecreation(e host.Entry) error {
	if groups := e.Values("memberOf"); len(groups) > 0 && a.recreated(e) {
		return fmt.Errorf("it has to be made again, and would be lost to the groups that it is a member of: take it out of %s first", strings.Join(groups, " and "))
	}
	return nil
}

// serversOwn are attributes that Active Directory gives an entry itself, in lower case.
var serversOwn = []string{"distinguishedname", "instancetype", "whencreated", "whenchanged", "usncreated", "usnchanged", "name", "objectguid", "objectsid", "objectcategory",
	"dscorepropagationdata", "lastknownparent", "msds-lastknownrdn", "memberof", "ntsecuritydescriptor", "createtimestamp", "modifytimestamp", "structuralobjectclass", "subschemasubentry"}

// whole reads what an entry would be made of again; nil if it is not there.
func (a *Convert) whole(env *Env, session host.Directory, dn string) (map[string][]string, error) {
	var found map[string][]string
	req := host.DirectorySearch{Base: dn, Scope: "base", Filter: "(objectClass=*)", Attributes: []string{"*"}}
	err := session.Search(env.Ctx, req, func(page []host.Entry) error {
		found = page[0].Attributes
		maps.DeleteFunc(found, func(name string, _ []string) bool { return slices.Contains(serversOwn, strings.ToLower(name)) })
		return nil
	})
	if directory.Is(err, ldap.LDAPResultNoSuchObject) {
		return nil, nil
	}
	return found, err
}

// changed are an entry's attributes after changes of values.
func changed(attributes map[string][]string, changes []host.ValueChange) map[string][]string {
	to := maps.Clone(attributes)
	for _, c := range changes {
		name := c.Attribute
		for have := range to {
			if strings.EqualFold(have, name) {
				name = have
			}
		}
		if c.Delete {
			to[name] = slices.DeleteFunc(slices.Clone(to[name]), func(v string) bool { return len(c.Values) == 0 || slices.Contains(c.Values, v) })
		} else {
			to[name] = append(slices.Clone(to[name]), c.Values...)
		}
		if len(to[name]) == 0 {
			delete(to, name)
		}
	}
	return to
}

// recreate makes an entry again as it is wanted. One that is not there, because a run was cut off after its end, is made
// of what was kept of it.
func (a *Convert) recreate(env *Env, session host.Directory, w entryWork) error {
	if err := a.dropCopy(env, session, w.dn); err != nil { // of a run that was cut off
		return err
	}
	if w.elsewhere != "" {
		return a.bringBack(env, session, w)
	}
	now, err := a.whole(env, session, w.dn)
	if err != nil {
		return err
	}
	of := now
	if of == nil {
		of = w.whole
	}
	if of == nil {
		return nil // somebody has deleted it
	}
	e := host.Entry{DN: w.dn, Attributes: of}
	to, err := w.want(e)
	if err != nil {
		return err
	}
	change := a.Renaming.Change(w.dn, a.Renaming.Touched(e), to)
	made := changed(of, change.Values)
	if now == nil {
		err := one(env, session, host.EntryChange{DN: w.dn, Add: made})
		if directory.Is(err, ldap.LDAPResultNoSuchObject) {
			return homeless{w.dn}
		}
		return err
	}
	if len(change.Values) == 0 {
		return nil
	}
	for _, form := range []map[string][]string{now, made} {
		if err := a.tryCopy(env, session, w.dn, form); err != nil {
			return fmt.Errorf("it has to be deleted and added again, and stays as it is because a copy cannot be added beside it: %w", err)
		}
	}
	if err := one(env, session, host.EntryChange{DN: w.dn, Delete: true}); err != nil {
		return err
	}
	if err := one(env, session, host.EntryChange{DN: w.dn, Add: made}); err != nil {
		return errors.Join(err, one(env, session, host.EntryChange{DN: w.dn, Add: now})) // rather as it was than gone
	}
	return nil
}

// homeless is an entry that is not there, and cannot be added again, because what held it is gone, too.
type homeless struct{ dn string }

func (e homeless) Error() string {
	return fmt.Sprintf("it is not there, and cannot be added again, because what held it was renamed or deleted: see that %s is there again, then resume", above(e.dn))
}

// above is the DN of what holds an entry.
func above(dn string) string {
	name, err := ldap.ParseDN(dn)
	if err != nil || len(name.RDNs) == 0 {
		return "what held " + dn
	}
	return (&ldap.DN{RDNs: name.RDNs[1:]}).String()
}

func one(env *Env, session host.Directory, c host.EntryChange) error {
	return session.Change(env.Ctx, []host.EntryChange{c})[0]
}

// tryCopy has the server add a copy of an entry beside it, and takes it away again.
func (a *Convert) tryCopy(env *Env, session host.Directory, dn string, attributes map[string][]string) error {
	name, err := copyOf(dn)
	if err != nil {
		return err
	}
	if err := one(env, session, host.EntryChange{DN: name.String(), Add: renamed(attributes, dn, name)}); err != nil {
		return err
	}
	return a.dropCopy(env, session, dn)
}

// dropCopy takes an entry's copy away, if there is one.
func (a *Convert) dropCopy(env *Env, session host.Directory, dn string) error {
	name, err := copyOf(dn)
	if err != nil {
		return err
	}
	err = one(env, session, host.EntryChange{DN: name.String(), Delete: true})
	if err != nil && !directory.Is(err, ldap.LDAPResultNoSuchObject) {
		return fmt.Errorf("take away its copy %s: %w", name, err)
	}
	return nil
}

// copyOf is what an entry's copy is called: a name in the same container that is the same in each run, is not too long,
// and that nobody else gives.
func copyOf(dn string) (*ldap.DN, error) {
	name, err := ldap.ParseDN(dn)
	if err != nil {
		return nil, fmt.Errorf("DN %q: %w", dn, err)
	}
	if len(name.RDNs) == 0 {
		return nil, fmt.Errorf("DN %q names no entry that can be added", dn)
	}
	sum := sha256.Sum256([]byte(strings.ToLower(name.String())))
	name.RDNs[0].Attributes[0].Value = fmt.Sprintf("%s%x", copyPrefix, sum[:8])
	return name, nil
}

const copyPrefix = "zcp2kopano copy "

func isCopy(dn string) bool {
	name, err := ldap.ParseDN(dn)
	return err == nil && len(name.RDNs) > 0 && strings.HasPrefix(name.RDNs[0].Attributes[0].Value, copyPrefix)
}

// renamed are the attributes of an entry as a copy has them, whose name is one of its values.
func renamed(attributes map[string][]string, dn string, name *ldap.DN) map[string][]string {
	was, err := ldap.ParseDN(dn)
	if err != nil {
		return attributes
	}
	old, now := was.RDNs[0].Attributes[0], name.RDNs[0].Attributes[0]
	to := maps.Clone(attributes)
	for have, values := range attributes {
		if strings.EqualFold(have, old.Type) {
			delete(to, have)
			values = slices.DeleteFunc(slices.Clone(values), func(v string) bool { return directory.Fold(v) == directory.Fold(old.Value) })
			to[now.Type] = append(values, now.Value)
		}
	}
	return to
}

// refill makes the entries that a run which was cut off has deleted, and not made again.
func (a *Convert) refill(env *Env, session host.Directory) error {
	if !a.ad {
		return nil
	}
	made := a.made(env)
	return a.pages(env, func(page []kept) error {
		var dns []string
		for _, k := range page {
			if len(k.Whole) == 0 || made[k.DN] != "" { // what was noted was made; somebody may have moved it since
				continue
			}
			dns = append(dns, k.DN)
			w := entryWork{dn: k.DN, whole: texts(k.Whole), want: func(now host.Entry) (directory.Touched, error) {
				return a.Renaming.Convert(a.Renaming.Touched(now))
			}}
			if err := a.recreate(env, session, w); err != nil {
				return fmt.Errorf("%s: %w", k.DN, err)
			}
		}
		return a.note(env, session, dns)
	})
}

func texts(values map[string][][]byte) map[string][]string {
	if len(values) == 0 {
		return nil
	}
	to := map[string][]string{}
	for name, list := range values {
		for _, v := range list {
			to[name] = append(to[name], string(v))
		}
	}
	return to
}

func raw(values map[string][]string) map[string][][]byte {
	to := map[string][][]byte{}
	for name, list := range values {
		for _, v := range list {
			to[name] = append(to[name], []byte(v))
		}
	}
	return to
}

// inSteps is a change as its server takes it: Active Directory wants new classes before all else.
func (a *Convert) inSteps(c host.EntryChange) []host.EntryChange {
	if !a.ad || len(c.Values) < 2 || c.Values[0].Delete || !strings.EqualFold(c.Values[0].Attribute, "objectClass") {
		return []host.EntryChange{c}
	}
	first, rest := c, c
	first.Values, rest.Values = c.Values[:1], c.Values[1:]
	return []host.EntryChange{first, rest}
}

// send carries out changes, each to its end or its first error.
func (a *Convert) send(env *Env, session host.Directory, changes []host.EntryChange) []error {
	answers := make([]error, len(changes))
	var second []host.EntryChange
	var of []int
	firsts := make([]host.EntryChange, len(changes))
	for i, c := range changes {
		steps := a.inSteps(c)
		if firsts[i] = steps[0]; len(steps) > 1 {
			second, of = append(second, steps[1]), append(of, i)
		}
	}
	copy(answers, session.Change(env.Ctx, firsts))
	var left []host.EntryChange
	var at []int
	for n, i := range of {
		if answers[i] == nil {
			left, at = append(left, second[n]), append(at, i)
		}
	}
	for n, err := range session.Change(env.Ctx, left) {
		answers[at[n]] = err
	}
	return answers
}
