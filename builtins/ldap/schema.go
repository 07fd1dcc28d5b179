package ldap

import (
	_ "embed"
	"strings"

	"zcp2kopano/runtime/host/directory"
)

//go:embed schema.tsv
var schemaTable string

// schemaName is a class or an attribute of ZCP's schema, and of Kopano's. They have the same definition, but for names
// and OIDs (installer/ldap/zarafa.schema of ZCP 7.2.6, kopano.schema of kopano-core 8.0.0 to 11.0.2).
type schemaName struct {
	class                bool
	zarafa, kopano, oid  string
	single, isStructural bool
}

var schemaNames = readSchemaTable()

func readSchemaTable() []schemaName {
	var list []schemaName
	for line := range strings.Lines(schemaTable) {
		cells := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if cells[0] == "kind" {
			continue
		}
		list = append(list, schemaName{cells[0] == "class", cells[1], cells[2], cells[3], cells[4] == "yes", cells[5] == "yes"})
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

// ToKopano is the renaming of ZCP's schema to Kopano's; servers get a socket.
func ToKopano(socket string) directory.Renaming {
	r := directory.Renaming{
		Attributes: map[string]string{}, Classes: map[string]string{}, Filters: []string{filterAttribute},
		Values:  map[string]map[string]string{socketAttribute: {}},
		Numbers: map[string]string{"1.3.6.1.4.1.26278": "1.3.6.1.4.1.47732"},
	}
	for _, n := range schemaNames {
		key := strings.ToLower(n.zarafa)
		if n.class {
			r.Classes[key], r.Classes[n.oid] = n.kopano, n.kopano
			if n.isStructural {
				r.Structural = append(r.Structural, key)
			}
			continue
		}
		r.Attributes[key], r.Attributes[n.oid] = n.kopano, n.kopano
		r.Spelled = append(r.Spelled, n.zarafa)
		if n.single {
			r.Single = append(r.Single, key)
		}
	}
	for _, old := range zarafaSockets {
		for _, form := range []string{old, "file://" + old} {
			r.Values[socketAttribute][form] = socket
		}
	}
	return r
}
