package action

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/directory"
	"zcp2kopano/runtime/policy"
)

func init() { register(func() Action { return &Convert{} }) }

// Convert ("ldap.convert") gives the names of one schema in the entries of a directory those of another: classes,
// attributes, names in filters, and some values. Each entry is converted by one change, which the server does as a
// whole or not at all.
//
// Apply goes through the directory page by page. What the entries of a page were is in the store, and the journal says
// so, before the first of them is changed; no more than a page is in memory. Entries that are converted are not found
// again, so Apply can simply be begun again. Undo goes by what was kept, from the last page to the first.
type Convert struct {
	Directory

	Bases    []string           `json:"bases"`
	Renaming directory.Renaming `json:"renaming"`

	Entries int64            `json:"entries"`           // that Prepare found
	Classes map[string]int64 `json:"classes,omitempty"` // of these, by old class
	Unread  []string         `json:"unread,omitempty"`  // filters that cannot be read, and stay as they are
	Trials  []trialEntry     `json:"trials,omitempty"`  // one entry of each class, which Apply converts and takes back first

	examples []example
	changed  few // what somebody has changed since, found by Undo
	moved    few // of what was made again, what somebody had moved
	since    map[string]bool
	counts   int64
	plain    bool     // the server does not know how to relax its rules, and changes structural classes as others
	ad       bool     // the server is Active Directory
	contexts []string // all that the server holds

	unsearched map[string]string // of these, where entries could not be searched for, and why
}

func (a *Convert) Kind() string         { return "ldap.convert" }
func (a *Convert) Irreversible() string { return "" }
func (a *Convert) Stage(env *Env) error { return a.stage(env) }
func (a *Convert) BrokenOff() string {
	return "a part of the entries is converted; a resume converts the others, and a rollback takes it back; until then no server may use the directory"
}
func (a *Convert) Cost() Span    { return modifyPace.of(a.Entries) }
func (a *Convert) where() string { return strings.Join(a.URLs, " ") }

// Since implements Newcomer.
func (a *Convert) Since() string {
	var said []string
	if a.changed.n > 0 {
		said = append(said, "changed in the directory since it was read for its conversion, and kept under the old names: "+a.changed.String())
	}
	if a.moved.n > 0 {
		said = append(said, "moved in the directory after its conversion: "+a.moved.String())
	}
	return strings.Join(said, "; ")
}

func (a *Convert) Summary() string {
	return fmt.Sprintf("convert the directory %s below %s", a.where(), strings.Join(a.Bases, " and "))
}

func (a *Convert) Touches() []policy.Target {
	var targets []policy.Target
	for _, base := range a.Bases {
		targets = append(targets, policy.Target{Class: policy.LDAP, Name: base})
	}
	return targets
}

// identities are attributes that name an entry for good, whatever its DN; of a server's kind there is one.
var identities = []string{"entryUUID", "objectGUID", "nsUniqueId"}

// kept is what an entry was before it was converted; values are bytes.
type kept struct {
	DN       string              `json:"dn"`
	Identity string              `json:"identity,omitempty"` // "entryUUID=...", as a filter has it
	Values   map[string][][]byte `json:"values"`
	Whole    map[string][][]byte `json:"whole,omitempty"` // of an entry that is deleted and made again, all that it is made of
	First    string              `json:"first,omitempty"` // of such an entry, the identity that it had before
}

func keptOf(e host.Entry, touched directory.Touched) kept {
	return kept{DN: e.DN, Identity: identity(e), Values: raw(touched)}
}

func (k kept) touched() directory.Touched { return texts(k.Values) }

func identity(e host.Entry) string {
	for _, name := range identities {
		for have, values := range e.Attributes {
			if !strings.EqualFold(have, name) || len(values) == 0 {
				continue
			}
			if name != "objectGUID" {
				return name + "=" + values[0]
			}
			var escaped strings.Builder
			for _, b := range []byte(values[0]) {
				fmt.Fprintf(&escaped, `\%02x`, b)
			}
			return name + "=" + escaped.String()
		}
	}
	return ""
}

func (a *Convert) reads() []string {
	reads := append(a.Renaming.Reads(), identities...)
	if a.ad {
		reads = append(reads, "memberOf")
	}
	return reads
}

// search is how the directory is searched: where entries are changed, by the session that changes them. A domain's name
// stands for several servers, and what one was told the others know later.
type search func(req host.DirectorySearch, page func([]host.Entry) error) error

func by(env *Env, session host.Directory) search {
	return func(req host.DirectorySearch, page func([]host.Entry) error) error {
		return session.Search(env.Ctx, req, page)
	}
}

// each hands on the entries that have one of the old names, page by page.
func (a *Convert) each(search search, page func([]host.Entry) error) error {
	for _, base := range a.Bases {
		req := host.DirectorySearch{Base: base, Scope: "sub", Filter: a.Renaming.Search(), Attributes: a.reads()}
		err := search(req, func(entries []host.Entry) error {
			if a.ad { // one of the next page may be a copy of ours, which is gone again
				entries = slices.DeleteFunc(entries, func(e host.Entry) bool { return isCopy(e.DN) })
			}
			return page(entries)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Prepare counts what is to be converted, and refuses what cannot be.
func (a *Convert) Prepare(env *Env) (bool, error) {
	a.Entries, a.Classes, a.Unread, a.Trials, a.examples = 0, map[string]int64{}, nil, nil, nil
	conn, err := a.conn(env)
	if err != nil {
		return false, err
	}
	read := func(req host.DirectorySearch, page func([]host.Entry) error) error {
		return env.Host.SearchPages(env.Ctx, conn, req, page)
	}
	if err := a.lookAtServer(read); err != nil {
		return false, fmt.Errorf("%s: %w", a.Summary(), err)
	}
	var wrong few
	err = a.each(read, func(page []host.Entry) error {
		for _, e := range page {
			t := a.Renaming.Touched(e)
			to, err := a.Renaming.Convert(t)
			if err == nil {
				err = a.refuseRecreation(e)
			}
			if err != nil {
				wrong.add(e.DN + ": " + err.Error())
				continue
			}
			a.Entries++
			a.tally(e, t, to)
		}
		env.Progress(Progress{What: "look at " + a.where(), Done: a.Entries, Unit: "entries"})
		return nil
	})
	if err == nil && wrong.n > 0 {
		err = fmt.Errorf("%s cannot be converted: %s", counted(int64(wrong.n), "entry", "entries"), wrong.String())
	}
	if err != nil {
		return false, fmt.Errorf("%s: %w", a.Summary(), err)
	}
	return a.Entries > 0, nil
}

// trialEntry is an entry of a class.
type trialEntry struct {
	Class string `json:"class"`
	DN    string `json:"dn"`
}

// example is one converted entry of a class.
type example struct {
	class    string
	dn       string
	from, to directory.Touched
}

// tally counts an entry by its old classes, and keeps the first of each.
func (a *Convert) tally(e host.Entry, from, to directory.Touched) {
	class := "without an old class"
	for _, c := range from["objectclass"] {
		if a.Renaming.Classes[strings.ToLower(c)] != "" {
			class = strings.ToLower(c)
		}
	}
	if a.Classes[class]++; a.Classes[class] == 1 {
		a.examples = append(a.examples, example{class, e.DN, from, to})
		a.Trials = append(a.Trials, trialEntry{class, e.DN})
	}
	for _, name := range a.Renaming.Filters {
		for _, v := range from[name] {
			if _, err := a.Renaming.Filter(v); err != nil && len(a.Unread) < 10 {
				a.Unread = append(a.Unread, e.DN+": "+err.Error())
			}
		}
	}
}

// Detail shows the numbers, and of each class an entry as it was and will be.
func (a *Convert) Detail(*Env) (Detail, error) {
	d := Detail{Existing: true}
	for _, class := range slices.Sorted(maps.Keys(a.Classes)) {
		d.Lines = append(d.Lines, fmt.Sprintf("%s: %s", class, counted(a.Classes[class], "entry", "entries")))
	}
	for _, text := range a.Unread {
		d.Lines = append(d.Lines, "left as it is, because it cannot be read: "+text)
	}
	for _, x := range a.examples {
		d.Diff += fmt.Sprintf("@@ %s: dn: %s @@\n", x.class, x.dn)
		for _, v := range a.Renaming.Change(x.dn, x.from, x.to).Values {
			sign := "+"
			if v.Delete {
				sign = "-"
			}
			for _, value := range v.Values {
				d.Diff += fmt.Sprintf("%s%s\n", sign, directory.Line(v.Attribute, value))
			}
		}
	}
	return d, nil
}

// most is how often the directory is gone through: entries may come while it is.
const most = 5

func (a *Convert) Apply(env *Env) (Result, error) {
	conn, err := a.conn(env)
	if err != nil {
		return Result{}, err
	}
	session, err := env.Host.OpenDirectory(env.Ctx, conn)
	if err != nil {
		return Result{}, fmt.Errorf("%s: %w", a.Summary(), err)
	}
	defer session.Close()
	if err := a.lookAtServer(by(env, session)); err != nil {
		return Result{}, fmt.Errorf("%s: %w", a.Summary(), err)
	}
	if err := a.refill(env, session); err != nil {
		return Result{}, fmt.Errorf("%s: %w", a.Summary(), err)
	}
	if len(env.Marks) == 0 {
		if err := a.prove(env, session); err != nil {
			return Result{}, fmt.Errorf("%s: tried with one entry of each class: %w", a.Summary(), err)
		}
	}
	a.counts = 0
	for pass := range most {
		found := false
		err := a.each(by(env, session), func(page []host.Entry) error {
			found = true
			if err := a.convert(env, session, page); err != nil {
				return err
			}
			return a.note(env, session, a.madeAgain(page))
		})
		if err != nil {
			return Result{}, fmt.Errorf("%s: after %s: %w", a.Summary(), counted(a.counts, "entry", "entries"), err)
		}
		if !found {
			return Result{Summary: "converted " + counted(a.counts, "entry", "entries"), Values: map[string]any{"entries": a.counts}}, nil
		}
		if pass > 0 { // it was all converted once
			if err := env.Host.Sleep(env.Ctx, breather); err != nil {
				return Result{}, err
			}
		}
	}
	return Result{}, fmt.Errorf("%s: new entries with old names come again and again: find out which program writes them, stop it, and resume", a.Summary())
}

// prove converts one entry of each class, and takes that back: rights, the schema and overlays may stand in the way, and
// a half-converted directory is of no use to anybody.
func (a *Convert) prove(env *Env, session host.Directory) error {
	for _, x := range a.Trials {
		entry, err := a.find(env, session, x.DN, "")
		if err != nil {
			return err
		}
		if entry == nil {
			continue
		}
		if err := a.thereAndBack(env, session, *entry); err != nil {
			return fmt.Errorf("%s, the first entry of class %s: %w", entry.DN, x.Class, err)
		}
	}
	return nil
}

// thereAndBack converts an entry, and takes it back. What somebody changes meanwhile stays changed.
func (a *Convert) thereAndBack(env *Env, session host.Directory, e host.Entry) error {
	if err := a.convert(env, session, []host.Entry{e}); err != nil {
		return err
	}
	a.counts = 0
	was := keptOf(e, a.Renaming.Touched(e))
	if a.recreated(e) {
		was.Identity = "" // it has another one now
	}
	back, err := a.backTo(a.Renaming.Back(), was)
	if err != nil {
		return err
	}
	err = a.carryOut(env, session, []entryWork{back})
	a.changed, a.since = few{}, nil // it is about to be converted again
	return err
}

// convert converts the entries of a page.
func (a *Convert) convert(env *Env, session host.Directory, page []host.Entry) error {
	works := make([]entryWork, len(page))
	want := func(now host.Entry) (directory.Touched, error) { return a.Renaming.Convert(a.Renaming.Touched(now)) }
	for i, e := range page {
		from := a.Renaming.Touched(e)
		to, err := a.Renaming.Convert(from)
		if err != nil {
			return fmt.Errorf("%s: %w", e.DN, err)
		}
		works[i] = entryWork{dn: e.DN, from: from, to: to, want: want}
	}
	if err := a.keep(env, session, page, works); err != nil {
		return err
	}
	err := a.carryOut(env, session, works)
	a.counts += int64(len(page))
	env.Progress(Progress{What: "convert " + a.where(), Done: a.counts, Total: a.Entries, Unit: "entries"})
	return err
}

// keep puts what the entries of a page are into the store, and its name into the journal, both durably.
func (a *Convert) keep(env *Env, session host.Directory, page []host.Entry, works []entryWork) error {
	list := make([]kept, len(page))
	for i, e := range page {
		if list[i] = keptOf(e, works[i].from); a.recreated(e) {
			whole, err := a.whole(env, session, e.DN)
			if err != nil {
				return fmt.Errorf("%s: %w", e.DN, err)
			}
			list[i].Identity, list[i].First, list[i].Whole = "", list[i].Identity, raw(whole) // it gets another identity
		}
	}
	data, err := json.Marshal(list)
	if err != nil {
		return err
	}
	blob, err := env.Store.PutBytes(data)
	if err != nil {
		return err
	}
	return env.Mark(blob)
}

// entryWork is an entry that is to be brought from what it was seen to be to what is wanted.
type entryWork struct {
	dn       string
	identity string
	from, to directory.Touched
	want     func(now host.Entry) (directory.Touched, error) // of what it turns out to be
	whole    map[string][]string                             // of one that is made again, if it is not there
	// elsewhere is the DN to which somebody has moved an entry that is made again.
	elsewhere string
}

// changedMeanwhile are the answers to a change of an entry that is no longer what it was seen to be.
var changedMeanwhile = []uint16{ldap.LDAPResultNoSuchAttribute, ldap.LDAPResultAttributeOrValueExists, ldap.LDAPResultObjectClassViolation,
	ldap.LDAPResultConstraintViolation, ldap.LDAPResultNoSuchObject}

// carryOut has the changes of many entries made. An entry that is not what it was seen to be is read again, and tried
// again. The first error that stays is returned; what can be done beside it is done.
func (a *Convert) carryOut(env *Env, session host.Directory, works []entryWork) error {
	works, err := a.locate(env, session, works)
	if err != nil {
		return err
	}
	changes := make([]host.EntryChange, 0, len(works))
	var of, again []entryWork
	for _, w := range works {
		c := a.Renaming.Change(w.dn, w.from, w.to)
		switch {
		case w.elsewhere != "":
			again = append(again, w)
		case len(c.Values) == 0:
		case a.ad && c.Relax:
			again = append(again, w)
		default:
			c.Relax = c.Relax && !a.plain
			changes, of = append(changes, c), append(of, w)
		}
	}
	var first error
	for _, w := range again {
		err := a.recreate(env, session, w)
		if gone := (homeless{}); errors.As(err, &gone) { // on the way back: who took that away is not held up
			a.tellMoved(w.dn + ", which is not there, and is not added again because what held it is gone")
			err = nil
		}
		if err != nil && first == nil {
			first = fmt.Errorf("%s: %w", w.dn, err)
		}
	}
	for i, err := range a.send(env, session, changes) {
		if err != nil {
			err = a.again(env, session, of[i], err)
		}
		if err != nil && first == nil {
			first = fmt.Errorf("%s: %w", of[i].dn, err)
		}
	}
	return first
}

// tries is how often an entry is tried again, and how long a busy server is left alone between.
const (
	tries    = 5
	breather = 2 * time.Second
)

func (a *Convert) again(env *Env, session host.Directory, w entryWork, err error) error {
	for range tries {
		switch {
		case directory.Is(err, ldap.LDAPResultUnavailableCriticalExtension) && !a.plain:
			a.plain = true
		case directory.Is(err, ldap.LDAPResultBusy, ldap.LDAPResultUnavailable):
			if err := env.Host.Sleep(env.Ctx, breather); err != nil {
				return err
			}
		case !directory.Is(err, changedMeanwhile...) && !a.plain:
			return err
		}
		before := err
		if err = a.retry(env, session, w); err == nil {
			return nil
		}
		if err.Error() == before.Error() && !directory.Is(err, ldap.LDAPResultBusy, ldap.LDAPResultUnavailable) {
			return err
		}
	}
	return err
}

// retry reads an entry again and changes it. One that is gone needs no change.
func (a *Convert) retry(env *Env, session host.Directory, w entryWork) error {
	now, err := a.find(env, session, w.dn, w.identity)
	if err != nil || now == nil {
		return err
	}
	to, err := w.want(*now)
	if err != nil {
		return err
	}
	change := a.Renaming.Change(now.DN, a.Renaming.Touched(*now), to)
	if change.Relax = change.Relax && !a.plain; len(change.Values) == 0 {
		return nil
	}
	return a.send(env, session, []host.EntryChange{change})[0]
}

// find reads an entry by its DN, or wherever it has been moved to; nil if it is gone.
func (a *Convert) find(env *Env, session host.Directory, dn, identity string) (*host.Entry, error) {
	var found *host.Entry
	take := func(page []host.Entry) error {
		found = &page[0]
		return nil
	}
	filter := "(objectClass=*)"
	if identity != "" {
		filter = "(" + identity + ")"
	}
	err := session.Search(env.Ctx, host.DirectorySearch{Base: dn, Scope: "base", Filter: filter, Attributes: a.reads()}, take)
	if err != nil && !directory.Is(err, ldap.LDAPResultNoSuchObject) {
		return nil, err
	}
	if found != nil || identity == "" {
		return found, nil
	}
	for _, base := range slices.Concat(a.Bases, a.contexts) {
		err := session.Search(env.Ctx, host.DirectorySearch{Base: base, Scope: "sub", Filter: filter, Attributes: a.reads()}, take)
		if err != nil && (slices.Contains(a.Bases, base) || !a.passOver(base, err)) {
			return nil, err
		}
		if found != nil {
			return found, nil
		}
	}
	return nil, nil
}

// passOver tells whether a search may go on without one of the contexts beside the converted bases: what is there is
// another's, and has limits of its own. Where entries are made again, one that was only not found would be made twice.
func (a *Convert) passOver(base string, err error) bool {
	if directory.Is(err, elsewhere...) {
		return true
	}
	if code := directory.Code(err); a.ad || code == 0 || code >= ldap.ErrorNetwork {
		return false
	}
	if a.unsearched == nil {
		a.unsearched = map[string]string{}
	}
	a.unsearched[base] = err.Error()
	return true
}

// elsewhere are the answers of what a server holds beside the converted bases, and that is not this user's to see.
var elsewhere = []uint16{ldap.LDAPResultNoSuchObject, ldap.LDAPResultInsufficientAccessRights, ldap.LDAPResultReferral, ldap.LDAPResultUnwillingToPerform}

// pages reads what was kept of each page, the last first.
func (a *Convert) pages(env *Env, page func([]kept) error) error {
	for _, mark := range slices.Backward(env.Marks) {
		var blob struct {
			Blob
			remade
		}
		if err := json.Unmarshal(mark, &blob); err != nil {
			return err
		}
		if blob.Made != nil {
			continue
		}
		data, err := env.Store.Bytes(blob.Blob)
		if err != nil {
			return err
		}
		var list []kept
		if err := json.Unmarshal(data, &list); err != nil {
			return err
		}
		if err := page(list); err != nil {
			return err
		}
	}
	return nil
}

func (a *Convert) Undo(env *Env) error {
	if len(env.Marks) == 0 {
		return nil
	}
	conn, err := a.conn(env)
	if err != nil {
		return err
	}
	session, err := env.Host.OpenDirectory(env.Ctx, conn)
	if err != nil {
		return fmt.Errorf("take back: %s: %w", a.Summary(), err)
	}
	defer session.Close()
	if err := a.lookAtServer(by(env, session)); err != nil {
		return fmt.Errorf("take back: %s: %w", a.Summary(), err)
	}
	done, back, made := int64(0), a.Renaming.Back(), a.made(env)
	err = a.pages(env, func(page []kept) error {
		works := make([]entryWork, 0, len(page))
		for _, k := range page {
			w, err := a.backTo(back, k)
			if err != nil {
				return fmt.Errorf("%s: %w", k.DN, err)
			}
			if w.whole != nil {
				w.identity = made[k.DN]
			}
			works = append(works, w)
		}
		done += int64(len(page))
		env.Progress(Progress{What: "take back the conversion of " + a.where(), Done: done, Total: a.Entries, Unit: "entries"})
		return a.carryOut(env, session, works)
	})
	if err != nil {
		return fmt.Errorf("take back: %s: %w", a.Summary(), err)
	}
	return nil
}

// backTo is what brings an entry back to what it was. What somebody has changed since it was read stays changed, under the old
// names.
func (a *Convert) backTo(back *directory.Renaming, k kept) (entryWork, error) {
	was := k.touched()
	made, err := a.Renaming.Convert(was)
	if err != nil {
		return entryWork{}, err
	}
	want := func(now host.Entry) (directory.Touched, error) {
		return a.wanted(back, was, made, a.Renaming.Touched(now), now.DN)
	}
	return entryWork{dn: k.DN, identity: k.Identity, from: made, to: was, want: want, whole: texts(k.Whole)}, nil
}

func (a *Convert) wanted(back *directory.Renaming, was, made, now directory.Touched, dn string) (directory.Touched, error) {
	if a.takenBack(back, was, now) {
		return now, nil
	}
	want := maps.Clone(was)
	for key := range merged(now, made) {
		bare, options, _ := strings.Cut(key, ";")
		old := back.Attributes[bare]
		same := directory.Same(directory.Touched{key: now[key]}, directory.Touched{key: made[key]})
		if old == "" || same || directory.Same(directory.Touched{key: now[key]}, directory.Touched{key: was[key]}) {
			continue
		}
		a.tellChanged(dn, key)
		turned, err := back.Convert(directory.Touched{key: now[key]})
		if err != nil {
			return nil, err
		}
		name := strings.ToLower(old)
		if options != "" {
			name += ";" + options
		}
		if want[name] = turned[name]; len(turned[name]) == 0 {
			delete(want, name)
		}
	}
	a.added(back, was, made, now, want, dn)
	return want, nil
}

// added adds to what is wanted what somebody has added beside the conversion, when the entry had been read and was not
// converted yet: values under an old name, which a later pass found, and classes, which their attributes need.
func (a *Convert) added(back *directory.Renaming, was, made, now, want directory.Touched, dn string) {
	for _, key := range slices.Sorted(maps.Keys(now)) {
		bare, _, _ := strings.Cut(key, ";")
		for _, v := range now[key] {
			switch old := back.Classes[strings.ToLower(v)]; {
			case slices.Contains(was[key], v) || slices.Contains(want[key], v):
				continue
			case key != "objectclass" && a.Renaming.Attributes[bare] == "", key == "objectclass" && holds(made[key], v):
				continue
			case key == "objectclass" && old != "":
				if holds(was[key], old) {
					continue
				}
				a.tellChanged(dn, key+" "+v)
				v = old
			default:
				a.tellChanged(dn, key+" "+v)
			}
			if slices.Contains(a.Renaming.Single, bare) {
				want[key] = nil
			}
			want[key] = append(slices.Clone(want[key]), v)
		}
	}
}

// holds reports whether a class is among these.
func holds(classes []string, class string) bool {
	return slices.ContainsFunc(classes, func(c string) bool { return strings.EqualFold(c, class) })
}

func (a *Convert) tellChanged(dn, what string) {
	a.changed.add(dn + ": " + what)
	if a.since == nil {
		a.since = map[string]bool{}
	}
	a.since[dn] = true
}

// takenBack tells whether an entry has no new name that it had not before.
func (a *Convert) takenBack(back *directory.Renaming, was, now directory.Touched) bool {
	for key, values := range now {
		bare, _, _ := strings.Cut(key, ";")
		switch {
		case back.Attributes[bare] != "" && !directory.Same(directory.Touched{key: values}, directory.Touched{key: was[key]}):
			return false
		case key == "objectclass":
			for _, c := range values {
				if back.Classes[strings.ToLower(c)] != "" && !slices.Contains(was[key], c) {
					return false
				}
			}
		}
	}
	return true
}

func merged(a, b directory.Touched) map[string]bool {
	keys := map[string]bool{}
	for key := range a {
		keys[key] = true
	}
	for key := range b {
		keys[key] = true
	}
	return keys
}

// Differences compares each entry with what was kept of it.
func (a *Convert) Differences(env *Env) ([]string, error) {
	if len(env.Marks) == 0 {
		return nil, nil
	}
	conn, err := a.conn(env)
	if err != nil {
		return nil, err
	}
	session, err := env.Host.OpenDirectory(env.Ctx, conn)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	// The last page comes first: of what was kept twice, since a change was cut off half-way, the first time counts.
	differ := map[string]string{}
	var again few
	seen := map[string]bool{}
	err = a.pages(env, func(page []kept) error {
		for _, k := range page {
			now, err := a.find(env, session, k.DN, k.Identity)
			delete(differ, k.DN)
			switch {
			case err != nil:
				return err
			case now == nil:
				differ[k.DN] = k.DN + ": it is gone"
			case !directory.Same(a.Renaming.Touched(*now), k.touched()) && !a.since[now.DN]:
				differ[k.DN] = k.DN + ": it is not as before"
			case k.First != "" && identity(*now) != k.First && !seen[k.DN]: // tried first, it was kept twice
				seen[k.DN] = true
				again.add(k.DN)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var lines []string
	if len(differ) > 0 {
		var told few
		for _, dn := range slices.Sorted(maps.Keys(differ)) {
			told.add(differ[dn])
		}
		lines = append(lines, fmt.Sprintf("directory %s: %s", a.where(), told.String()))
	}
	for _, base := range slices.Sorted(maps.Keys(a.unsearched)) {
		lines = append(lines, fmt.Sprintf("directory %s: what is gone may have been moved to %q, which could not be searched: %s", a.where(), base, a.unsearched[base]))
	}
	if again.n > 0 {
		lines = append(lines, fmt.Sprintf("directory %s: made again, with another objectGUID, and without rights that were granted on the object itself: %s", a.where(), again.String()))
	}
	return lines, nil
}
