package ldap

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/directory"
	"zcp2kopano/runtime/host/live"
)

// valueRange is how many values of an attribute Active Directory sends at once (MaxValRange, MS-ADTS 3.1.1.3.4.6).
// Samba sends all, so that a stand-in has to.
const valueRange = 1500

// domainController is a stand-in of Active Directory with some entries. Of more values than it sends at once it sends
// those of a range, and the attribute without values beside it; more than a range nobody gets, whatever is asked for.
type domainController struct {
	mu      sync.Mutex
	entries map[string]map[string][]string // by DN, then by attribute as the schema writes it
	ranges  int                            // how many answers were a part
	strange []string                       // requests that it does not know
}

// serve answers until the test ends.
func (d *domainController) serve(t *testing.T) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go d.talk(conn)
		}
	}()
	return "ldap://" + l.Addr().String()
}

func (d *domainController) talk(conn net.Conn) {
	defer conn.Close()
	for {
		p, err := ber.ReadPacket(conn)
		if err != nil {
			return
		}
		id, op := p.Children[0].Value.(int64), p.Children[1]
		d.mu.Lock()
		var answers []*ber.Packet
		switch op.Tag {
		case ldap.ApplicationUnbindRequest:
			d.mu.Unlock()
			return
		case ldap.ApplicationBindRequest:
			answers = append(answers, result(ldap.ApplicationBindResponse, 0))
		case ldap.ApplicationSearchRequest:
			answers = append(d.search(op), result(ldap.ApplicationSearchResultDone, 0))
		case ldap.ApplicationModifyRequest:
			answers = append(answers, result(ldap.ApplicationModifyResponse, d.modify(op)))
		default:
			d.strange = append(d.strange, fmt.Sprintf("operation %d", op.Tag))
			answers = append(answers, result(op.Tag+1, ldap.LDAPResultUnwillingToPerform))
		}
		d.mu.Unlock()
		for _, a := range answers {
			message := ber.NewSequence("message")
			message.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, "id"))
			message.AppendChild(a)
			if _, err := conn.Write(message.Bytes()); err != nil {
				return
			}
		}
	}
}

func result(tag ber.Tag, code int64) *ber.Packet {
	p := ber.Encode(ber.ClassApplication, ber.TypeConstructed, tag, nil, "result")
	p.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, code, "code"))
	p.AppendChild(octets(""))
	p.AppendChild(octets(""))
	return p
}

func octets(text string) *ber.Packet {
	return ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, text, "")
}

func textOf(p *ber.Packet) string { return string(p.ByteValue) }

func (d *domainController) search(op *ber.Packet) []*ber.Packet {
	base, scope := textOf(op.Children[0]), op.Children[1].Value.(int64)
	var asked []string
	for _, a := range op.Children[7].Children {
		asked = append(asked, textOf(a))
	}
	if base == "" && scope == ldap.ScopeBaseObject {
		return []*ber.Packet{d.entry("", map[string][]string{"supportedCapabilities": {directory.ActiveDirectory}}, asked)}
	}
	var found []*ber.Packet
	for _, dn := range slices.Sorted(maps.Keys(d.entries)) {
		inside := strings.EqualFold(dn, base) || scope == ldap.ScopeWholeSubtree && strings.HasSuffix(strings.ToLower(dn), ","+strings.ToLower(base))
		if inside && d.matches(op.Children[6], d.entries[dn]) {
			found = append(found, d.entry(dn, d.entries[dn], asked))
		}
	}
	return found
}

// matches knows the filters of a conversion: alternatives, values, and whether an attribute is there.
func (d *domainController) matches(f *ber.Packet, entry map[string][]string) bool {
	values := func(name string) []string {
		for have, list := range entry {
			if strings.EqualFold(have, name) {
				return list
			}
		}
		return nil
	}
	switch f.Tag {
	case ldap.FilterOr:
		return slices.ContainsFunc(f.Children, func(c *ber.Packet) bool { return d.matches(c, entry) })
	case ldap.FilterPresent:
		return len(values(f.Data.String())) > 0
	case ldap.FilterEqualityMatch:
		want := f.Children[1].Data.String()
		return slices.ContainsFunc(values(f.Children[0].Data.String()), func(v string) bool { return strings.EqualFold(v, want) })
	}
	d.strange = append(d.strange, fmt.Sprintf("filter %d", f.Tag))
	return false
}

// entry is an answer with the attributes that are asked for.
func (d *domainController) entry(dn string, attributes map[string][]string, asked []string) *ber.Packet {
	list := ber.NewSequence("attributes")
	add := func(name string, values []string) {
		a := ber.NewSequence("attribute")
		a.AppendChild(octets(name))
		set := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSet, nil, "values")
		for _, v := range values {
			set.AppendChild(octets(v))
		}
		a.AppendChild(set)
		list.AppendChild(a)
	}
	for name, values := range attributes {
		for _, want := range asked {
			bare, option, ranged := strings.Cut(want, ";range=")
			if !strings.EqualFold(bare, name) && want != "*" {
				continue
			}
			from := 0
			if ranged {
				first, last, _ := strings.Cut(option, "-")
				n, err := strconv.Atoi(first)
				if from = n; err != nil || last != "*" || n >= len(values) {
					d.strange = append(d.strange, want)
					continue
				}
			}
			part := values[from:min(from+valueRange, len(values))]
			switch {
			case !ranged && len(part) == len(values):
				add(name, values)
				continue
			case !ranged:
				add(name, nil)
			}
			d.ranges++
			end := fmt.Sprint(from + len(part) - 1)
			if from+len(part) == len(values) {
				end = "*"
			}
			add(fmt.Sprintf("%s;range=%d-%s", name, from, end), part)
		}
	}
	p := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchResultEntry, nil, "entry")
	p.AppendChild(octets(dn))
	p.AppendChild(list)
	return p
}

// modify carries a change out as a whole, and refuses values that are not there, or are there already.
func (d *domainController) modify(op *ber.Packet) int64 {
	dn := textOf(op.Children[0])
	entry := maps.Clone(d.entries[dn])
	if entry == nil {
		return ldap.LDAPResultNoSuchObject
	}
	for _, c := range op.Children[1].Children {
		kind, name := c.Children[0].Value.(int64), textOf(c.Children[1].Children[0])
		for have := range entry {
			if strings.EqualFold(have, name) {
				name = have
			}
		}
		there := map[string]bool{}
		for _, v := range entry[name] {
			there[strings.ToLower(v)] = true
		}
		var given []string
		for _, v := range c.Children[1].Children[1].Children {
			given = append(given, textOf(v))
		}
		switch {
		case strings.Contains(name, ";range="):
			d.strange = append(d.strange, "a change of "+name)
			return ldap.LDAPResultUndefinedAttributeType
		case kind == ldap.AddAttribute:
			for _, v := range given {
				if there[strings.ToLower(v)] {
					return ldap.LDAPResultAttributeOrValueExists
				}
			}
			entry[name] = append(slices.Clone(entry[name]), given...)
		case len(given) == 0:
			delete(entry, name)
		default:
			gone := map[string]bool{}
			for _, v := range given {
				if gone[strings.ToLower(v)] = true; !there[strings.ToLower(v)] {
					return ldap.LDAPResultNoSuchAttribute
				}
			}
			entry[name] = slices.DeleteFunc(slices.Clone(entry[name]), func(v string) bool { return gone[strings.ToLower(v)] })
		}
		if len(entry[name]) == 0 {
			delete(entry, name)
		}
	}
	d.entries[dn] = entry
	return ldap.LDAPResultSuccess
}

// TestConvertRanges converts an entry of which the server sends the values in parts, and a group beside it whose members
// it sends so; all of them are converted, taken back, and read.
func TestConvertRanges(t *testing.T) {
	const group, base = "CN=all,DC=example,DC=org", "DC=example,DC=org"
	var members, aliases []string
	for i := range 2*valueRange + 501 {
		members = append(members, fmt.Sprintf("CN=zarafa %d,DC=example,DC=org", i))
		aliases = append(aliases, fmt.Sprintf("zarafa%d@example.org", i))
	}
	start := map[string][]string{"objectClass": {"top", "group"}, "cn": {"all"}, "objectGUID": {"\xff\x00*()"}, "member": members, "zarafaAliases": aliases, "zarafaAccount": {"1"}}
	d := &domainController{entries: map[string]map[string][]string{base: {"objectClass": {"domain"}}, group: maps.Clone(start)}}
	conn := host.DirectoryConn{URLs: []string{d.serve(t)}, BindDN: "cn=admin", Password: host.NewSecret("s3cr3t!")}
	h, err := live.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	found, err := h.SearchDirectory(t.Context(), conn, host.DirectorySearch{Base: group, Scope: "base", Filter: "(objectClass=*)", Attributes: []string{"member"}})
	if err != nil || len(found) != 1 || !slices.Equal(found[0].Values("member"), members) {
		t.Fatalf("%d members, %v", len(found[0].Values("member")), err)
	}
	env := environment(h)
	a := conversion(t, conn)
	a.Bases = []string{base}
	if err := a.Stage(env); err != nil {
		t.Fatal(err)
	}
	if needed, err := a.Prepare(env); err != nil || !needed {
		t.Fatal(needed, err)
	}
	for _, round := range []string{"converted", "resumed"} {
		if _, err := a.Apply(env); err != nil {
			t.Fatal(round, err)
		}
		want := map[string][]string{"objectClass": start["objectClass"], "cn": {"all"}, "objectGUID": start["objectGUID"], "member": members, "kopanoAliases": aliases, "kopanoAccount": {"1"}}
		if now := d.entries[group]; !maps.EqualFunc(now, want, slices.Equal) {
			t.Fatalf("%s: %d aliases, %d old ones, %d members", round, len(now["kopanoAliases"]), len(now["zarafaAliases"]), len(now["member"]))
		}
	}
	if err := a.Undo(env); err != nil {
		t.Fatal(err)
	}
	if now := d.entries[group]; !maps.EqualFunc(now, start, slices.Equal) {
		t.Fatalf("taken back: %d aliases, %d new ones, %d members", len(now["zarafaAliases"]), len(now["kopanoAliases"]), len(now["member"]))
	}
	if d.ranges == 0 || len(d.strange) > 0 {
		t.Errorf("%d parts, and what it does not know: %q", d.ranges, d.strange)
	}
}
