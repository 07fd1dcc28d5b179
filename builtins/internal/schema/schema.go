// Package schema is what ZCP's LDAP schema calls classes and attributes, and what Kopano's does.
package schema

import (
	_ "embed"
	"slices"
	"strings"

	"zcp2kopano/runtime/host/directory"
)

//go:embed schema.tsv
var table string

// Name is a class or an attribute of ZCP's schema, and of Kopano's. They have the same definition, but for names
// and OIDs (installer/ldap/zarafa.schema of ZCP 7.2.6, kopano.schema of kopano-core 8.0.0 to 11.0.2).
type Name struct {
	Class                bool
	Zarafa, Kopano, oid  string
	single, isStructural bool
}

// Names are those of the schema as OpenLDAP and others have it.
var Names = readTable()

func readTable() []Name {
	var list []Name
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if cells[0] == "kind" {
			continue
		}
		list = append(list, Name{cells[0] == "class", cells[1], cells[2], cells[3], cells[4] == "yes", cells[5] == "yes"})
	}
	return list
}

// filterAttribute and socketAttribute are attributes whose values are converted, too: the first are filters, the second
// the socket of a server, where it is one that ZCP had (manual 4.4.2).
const (
	filterAttribute = "zarafafilter"
	socketAttribute = "zarafafilepath"
)

var zarafaSockets = []string{"/var/run/zarafad/server.sock", "/var/run/zarafa-server.sock", "/var/run/zarafa", "/run/zarafad/server.sock", "/run/zarafa"}

// ActiveDirectory are the names as the schema for Active Directory has them.
func ActiveDirectory() []Name {
	list := slices.DeleteFunc(slices.Clone(Names), func(n Name) bool { return n.Class })
	for name, structural := range adClasses {
		list = append(list, Name{Class: true, Zarafa: "zarafa" + name, Kopano: "kopano" + name, isStructural: structural})
	}
	slices.SortFunc(list, func(a, b Name) int { return strings.Compare(a.Zarafa, b.Zarafa) })
	return list
}

// adClasses are the classes whose names have no dash in the schema for Active Directory (ldap.active-directory.cfg of
// ZCP 7.2.6: zarafaAddresslist, zarafaDynamicGroup). Those that say what an entry is for good are marked.
var adClasses = map[string]bool{"User": false, "Contact": false, "Group": false, "Company": false, "Server": false, "Addresslist": true, "DynamicGroup": true}

// ToKopano is the renaming of ZCP's schema to Kopano's; servers get a socket.
func ToKopano(socket string) directory.Renaming {
	r := directory.Renaming{
		Attributes: map[string]string{}, Classes: map[string]string{}, Filters: []string{filterAttribute},
		Values:  map[string]map[string]string{socketAttribute: {}},
		Numbers: map[string]string{"1.3.6.1.4.1.26278": "1.3.6.1.4.1.47732"},
	}
	for _, n := range Names {
		key := strings.ToLower(n.Zarafa)
		if n.Class {
			r.Classes[key], r.Classes[n.oid] = n.Kopano, n.Kopano
			if n.isStructural {
				r.Structural = append(r.Structural, key)
			}
			continue
		}
		r.Attributes[key], r.Attributes[n.oid] = n.Kopano, n.Kopano
		r.Spelled = append(r.Spelled, n.Zarafa)
		if n.single {
			r.Single = append(r.Single, key)
		}
	}
	for name, structural := range adClasses {
		key := strings.ToLower("zarafa" + name)
		if r.Classes[key] = "kopano" + name; structural {
			r.Structural = append(r.Structural, key)
		}
	}
	slices.Sort(r.Structural)
	for _, old := range zarafaSockets {
		for _, form := range []string{old, "file://" + old} {
			r.Values[socketAttribute][form] = socket
		}
	}
	return r
}
