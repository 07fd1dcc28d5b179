package action

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/directory"
	"zcp2kopano/runtime/policy"
)

func init() { register(func() Action { return &Configure{} }) }

// Configure ("ldap.configure") gives a directory's server that runs the new schema, made of its definitions of the old
// one, and the names in its configuration their successors: access rules, indexes, overlays and plugins. It works in
// cn=config of OpenLDAP; of 389 Directory Server in cn=schema, in cn=config, and for access rules, which stand in entries
// there, below a base of the directory.
//
// Prepare notes each attribute as it is and will be; Apply and Undo change those that are not there yet, one entry at a
// time. Some servers keep a schema that they have once learned: then it stays, and does no harm.
type Configure struct {
	Directory

	Base     string             `json:"base"` // "cn=config", "cn=schema", or a base of the directory
	Schema   string             `json:"name"` // what the new schema is called in cn=config
	Renaming directory.Renaming `json:"renaming"`

	Changes []configChange `json:"changes,omitempty"`

	stays []string // what Undo had to leave
}

// configChange is an entry that is new, or an attribute that gets other values.
type configChange struct {
	DN        string              `json:"dn"`
	Add       map[string][]string `json:"add,omitempty"` // the new entry
	Attribute string              `json:"attribute,omitempty"`
	Old       []string            `json:"old,omitempty"`
	New       []string            `json:"new,omitempty"`
}

func (a *Configure) Kind() string         { return "ldap.configure" }
func (a *Configure) Irreversible() string { return "" }
func (a *Configure) Stage(env *Env) error { return a.stage(env) }
func (a *Configure) Summary() string {
	return fmt.Sprintf("convert the configuration of the directory %s in %s", strings.Join(a.URLs, " "), a.Base)
}
func (a *Configure) Touches() []policy.Target {
	return []policy.Target{{Class: policy.LDAP, Name: a.Base}}
}

// Told implements Teller.
func (a *Configure) Told() []string {
	if len(a.stays) == 0 {
		return nil
	}
	return []string{"the directory's server keeps what it has learned, which does no harm: " + strings.Join(a.stays, "; ")}
}

// configSchema is the entry above the schemas in cn=config.
const configSchema = "cn=schema,cn=config"

func (a *Configure) Prepare(env *Env) (bool, error) {
	conn, err := a.conn(env)
	if err != nil {
		return false, err
	}
	found, err := env.Host.SearchDirectory(env.Ctx, conn, a.search())
	if err == nil && len(found) == 0 && !a.rules() {
		err = fmt.Errorf("%s cannot be seen", a.Base)
	}
	if err != nil {
		return false, fmt.Errorf("%s: %w; log in as one who may read and write it", a.Summary(), err)
	}
	a.Changes = nil
	if a.Base == "cn=schema" {
		a.learnInPlace(found[0])
		return len(a.Changes) > 0, nil
	}
	a.learn(found)
	for _, e := range found {
		if !belowSchema(e.DN) {
			a.rename(e)
			a.index(e, found)
		}
	}
	return len(a.Changes) > 0, nil
}

// rules tells whether only access rules are looked at.
func (a *Configure) rules() bool { return a.Base != "cn=config" && a.Base != "cn=schema" }

func (a *Configure) search() host.DirectorySearch {
	req := host.DirectorySearch{Base: a.Base, Scope: "sub", Filter: "(objectClass=*)"}
	switch {
	case a.Base == "cn=schema":
		req.Scope, req.Attributes = "base", []string{"attributeTypes", "objectClasses"}
	case a.rules():
		req.Filter, req.Attributes = "(aci=*)", []string{"aci"}
	}
	return req
}

// index notes the index of a new attribute beside the one of an old attribute, where each is an entry.
func (a *Configure) index(e host.Entry, found []host.Entry) {
	beside, is := a.Renaming.IndexBeside(e)
	there := func(other host.Entry) bool { return strings.EqualFold(other.DN, beside.DN) }
	if is && !slices.ContainsFunc(found, there) {
		a.Changes = append(a.Changes, configChange{DN: beside.DN, Add: beside.Attributes})
	}
}

func belowSchema(dn string) bool { return strings.HasSuffix(strings.ToLower(dn), configSchema) }

// definitions are the values of an attribute of entries, without the numbers that cn=config gives them.
func definitions(entries []host.Entry, attribute string) []string {
	var list []string
	for _, e := range entries {
		for _, v := range e.Values(attribute) {
			list = append(list, bareValue(v))
		}
	}
	return list
}

// bareValue is a value of cn=config without its "{0}".
func bareValue(value string) string {
	if rest, numbered := strings.CutPrefix(value, "{"); numbered {
		if _, bare, ends := strings.Cut(rest, "}"); ends {
			return bare
		}
	}
	return value
}

// missingDefinitions are those of the new schema that are made of the old one's, and are not known.
func (a *Configure) missingDefinitions(entries []host.Entry, attribute string, knows func(*directory.Schema, string) bool) []string {
	known := directory.ReadSchema(host.Entry{Attributes: map[string][]string{
		"attributeTypes": definitions(entries, attribute), "objectClasses": definitions(entries, attribute),
	}})
	var list []string
	for _, old := range definitions(entries, attribute) {
		name := directory.DefinedName(old)
		to := a.Renaming.Attributes[strings.ToLower(name)]
		if to == "" {
			to = a.Renaming.Classes[strings.ToLower(name)]
		}
		if to != "" && !knows(known, to) {
			list = append(list, a.Renaming.Definition(old))
		}
	}
	return list
}

func knowsAttribute(s *directory.Schema, name string) bool { return s.Attribute(name) != nil }
func knowsClass(s *directory.Schema, name string) bool     { return s.Class(name) != nil }

// learn notes the entry with the new schema, if anything of it is not known.
func (a *Configure) learn(found []host.Entry) {
	schemas := slices.DeleteFunc(slices.Clone(found), func(e host.Entry) bool { return !belowSchema(e.DN) })
	attributes := a.missingDefinitions(schemas, "olcAttributeTypes", knowsAttribute)
	classes := a.missingDefinitions(schemas, "olcObjectClasses", knowsClass)
	if len(attributes)+len(classes) == 0 {
		return
	}
	e := map[string][]string{"objectClass": {"olcSchemaConfig"}, "cn": {a.Schema}}
	if len(attributes) > 0 {
		e["olcAttributeTypes"] = attributes
	}
	if len(classes) > 0 {
		e["olcObjectClasses"] = classes
	}
	a.Changes = append(a.Changes, configChange{DN: "cn=" + a.Schema + "," + configSchema, Add: e})
}

// learnInPlace notes the new definitions as values of the one entry that has them all.
func (a *Configure) learnInPlace(e host.Entry) {
	for _, kind := range []struct {
		attribute string
		knows     func(*directory.Schema, string) bool
	}{{"attributeTypes", knowsAttribute}, {"objectClasses", knowsClass}} {
		if list := a.missingDefinitions([]host.Entry{e}, kind.attribute, kind.knows); len(list) > 0 {
			a.Changes = append(a.Changes, configChange{DN: e.DN, Attribute: kind.attribute, New: list})
		}
	}
}

// rename notes the attributes of an entry that have old names in them.
func (a *Configure) rename(e host.Entry) {
	for _, name := range sortedNames(e.Attributes) {
		if !directory.Configures(name) {
			continue
		}
		old := e.Attributes[name]
		renamed := make([]string, len(old))
		for i, v := range old {
			renamed[i] = a.Renaming.Words(v)
		}
		if strings.EqualFold(name, "olcDbIndex") {
			renamed = a.Renaming.Indexes(old)
		}
		if !slices.Equal(old, renamed) {
			a.Changes = append(a.Changes, configChange{DN: e.DN, Attribute: name, Old: old, New: renamed})
		}
	}
}

func sortedNames(attributes map[string][]string) []string {
	names := make([]string, 0, len(attributes))
	for name := range attributes {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Detail shows each value as it was and will be.
func (a *Configure) Detail(*Env) (Detail, error) {
	d := Detail{Existing: true}
	for _, c := range a.Changes {
		if c.Add != nil && !belowSchema(c.DN) {
			d.Lines = append(d.Lines, c.DN+": new")
			continue
		}
		if c.Add != nil {
			d.Lines = append(d.Lines, fmt.Sprintf("%s: new, with %d attributes and %d classes", c.DN, len(c.Add["olcAttributeTypes"]), len(c.Add["olcObjectClasses"])))
			continue
		}
		if len(c.Old) == 0 {
			d.Lines = append(d.Lines, fmt.Sprintf("%s: %s: %s more", c.DN, c.Attribute, counted(int64(len(c.New)), "definition", "definitions")))
			continue
		}
		d.Lines = append(d.Lines, c.DN+": "+c.Attribute)
		for _, v := range lacking(c.Old, c.New) {
			d.Lines = append(d.Lines, "- "+directory.Shown(v))
		}
		for _, v := range lacking(c.New, c.Old) {
			d.Lines = append(d.Lines, "+ "+directory.Shown(v))
		}
	}
	return d, nil
}

// lacking are the values that the others do not have.
func lacking(values, others []string) []string {
	var list []string
	for _, v := range values {
		if !slices.Contains(others, v) {
			list = append(list, v)
		}
	}
	return list
}

func (a *Configure) Apply(env *Env) (Result, error) {
	err := a.each(env, func(session host.Directory) error {
		for _, c := range a.Changes {
			if err := a.bring(env, session, c, c.Old, c.New); err != nil {
				return fmt.Errorf("%s: %s: %w", a.Summary(), c.DN, err)
			}
		}
		return nil
	})
	return Result{Summary: fmt.Sprintf("changed the configuration of %s", strings.Join(a.URLs, " "))}, err
}

func (a *Configure) each(env *Env, work func(host.Directory) error) error {
	conn, err := a.conn(env)
	if err != nil {
		return err
	}
	session, err := env.Host.OpenDirectory(env.Ctx, conn)
	if err != nil {
		return fmt.Errorf("%s: %w", a.Summary(), err)
	}
	return errors.Join(work(session), session.Close())
}

// bring makes values of an attribute others, or adds an entry, unless it is so.
func (a *Configure) bring(env *Env, session host.Directory, c configChange, from, to []string) error {
	if c.Add != nil {
		there, err := a.added(env, session, c)
		if err != nil || there != "" {
			return err
		}
		return session.Change(env.Ctx, []host.EntryChange{{DN: c.DN, Add: c.Add}})[0]
	}
	now, err := a.values(env, session, c)
	if err != nil {
		return err
	}
	if c.Old == nil { // definitions beside many others
		return changeValues(env, session, c, defined(now, from), undefined(to, now), now)
	}
	switch {
	case sameValues(now, to):
		return nil
	case !sameValues(now, from):
		return fmt.Errorf("somebody has changed %s meanwhile: it is %q; set it to %q by hand, then resume", c.Attribute, now, to)
	case numbered(now):
		return changeValues(env, session, c, now, to, now)
	}
	return changeValues(env, session, c, lacking(now, to), lacking(to, now), now)
}

func changeValues(env *Env, session host.Directory, c configChange, drop, add, now []string) error {
	ch := host.EntryChange{DN: c.DN}
	drop = slices.DeleteFunc(slices.Clone(drop), func(v string) bool { return !slices.Contains(now, v) })
	if len(drop) > 0 {
		if len(drop) == len(now) {
			drop = nil // all of them
		}
		ch.Values = append(ch.Values, host.ValueChange{Delete: true, Attribute: c.Attribute, Values: drop})
	}
	if len(add) > 0 {
		ch.Values = append(ch.Values, host.ValueChange{Attribute: c.Attribute, Values: add})
	}
	if len(ch.Values) == 0 {
		return nil
	}
	return session.Change(env.Ctx, []host.EntryChange{ch})[0]
}

// defined are the definitions of names that others define; servers write them in their own way.
func defined(definitions, others []string) []string {
	return slices.DeleteFunc(slices.Clone(definitions), func(d string) bool { return !defines(others, d) })
}

func undefined(definitions, others []string) []string {
	return slices.DeleteFunc(slices.Clone(definitions), func(d string) bool { return defines(others, d) })
}

func defines(definitions []string, one string) bool {
	return slices.ContainsFunc(definitions, func(d string) bool { return strings.EqualFold(directory.DefinedName(d), directory.DefinedName(one)) })
}

// numbered tells whether values have an order of their own.
func numbered(values []string) bool { return len(values) > 0 && bareValue(values[0]) != values[0] }

func sameValues(a, b []string) bool {
	if numbered(a) || numbered(b) {
		return slices.Equal(a, b)
	}
	return len(lacking(a, b))+len(lacking(b, a)) == 0
}

func (a *Configure) values(env *Env, session host.Directory, c configChange) ([]string, error) {
	var values []string
	req := host.DirectorySearch{Base: c.DN, Scope: "base", Filter: "(objectClass=*)", Attributes: []string{c.Attribute}}
	err := session.Search(env.Ctx, req, func(page []host.Entry) error {
		values = page[0].Values(c.Attribute)
		return nil
	})
	return values, err
}

// added is the DN of the entry that is new; empty if it is not there.
func (a *Configure) added(env *Env, session host.Directory, c configChange) (dn string, err error) {
	if belowSchema(c.DN) {
		return a.schemaEntry(env, session, c)
	}
	req := host.DirectorySearch{Base: c.DN, Scope: "base", Filter: "(objectClass=*)", Attributes: []string{"1.1"}}
	err = session.Search(env.Ctx, req, func([]host.Entry) error {
		dn = c.DN
		return nil
	})
	if directory.Is(err, ldap.LDAPResultNoSuchObject) {
		err = nil
	}
	return dn, err
}

// schemaEntry is the DN of the entry with the new schema, which the server gives a number; empty if it is not there.
func (a *Configure) schemaEntry(env *Env, session host.Directory, c configChange) (string, error) {
	dn := ""
	req := host.DirectorySearch{Base: configSchema, Scope: "one", Filter: "(objectClass=*)", Attributes: []string{"cn"}}
	err := session.Search(env.Ctx, req, func(page []host.Entry) error {
		for _, e := range page {
			for _, values := range e.Attributes {
				if slices.ContainsFunc(values, func(v string) bool { return strings.EqualFold(bareValue(v), a.Schema) }) {
					dn = e.DN
				}
			}
		}
		return nil
	})
	return dn, err
}

func (a *Configure) Undo(env *Env) error {
	a.stays = nil
	return a.each(env, func(session host.Directory) error {
		for _, c := range slices.Backward(a.Changes) {
			if err := a.takeBack(env, session, c); err != nil {
				return fmt.Errorf("undo: %s: %s: %w", a.Summary(), c.DN, err)
			}
		}
		return nil
	})
}

func (a *Configure) takeBack(env *Env, session host.Directory, c configChange) error {
	if c.Add == nil && c.Old != nil {
		return a.bring(env, session, c, c.New, c.Old)
	}
	err := a.forget(env, session, c)
	if directory.Is(err, ldap.LDAPResultUnwillingToPerform, ldap.LDAPResultObjectClassViolation, ldap.LDAPResultConstraintViolation) {
		a.stays = append(a.stays, strings.TrimSpace(c.DN+" "+c.Attribute))
		return nil
	}
	return err
}

// forget takes a schema away that was not known before.
func (a *Configure) forget(env *Env, session host.Directory, c configChange) error {
	if c.Add == nil {
		return a.bring(env, session, c, c.New, nil)
	}
	dn, err := a.added(env, session, c)
	if err != nil || dn == "" {
		return err
	}
	return session.Change(env.Ctx, []host.EntryChange{{DN: dn, Delete: true}})[0]
}

// Differences compares each attribute with what it was.
func (a *Configure) Differences(env *Env) (differ []string, err error) {
	err = a.each(env, func(session host.Directory) error {
		for _, c := range a.Changes {
			if c.Old == nil {
				continue
			}
			now, err := a.values(env, session, c)
			if err != nil {
				return err
			}
			if !sameValues(now, c.Old) {
				differ = append(differ, fmt.Sprintf("%s of %s is not as before", c.Attribute, c.DN))
			}
		}
		return nil
	})
	return differ, err
}
