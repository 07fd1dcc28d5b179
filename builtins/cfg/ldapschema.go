package cfg

import (
	"maps"
	"slices"
	"strings"

	"zcp2kopano/builtins/internal/schema"
)

// toKopano gives the names of ZCP's LDAP schema those of Kopano's. No server's socket stands in an ldap.cfg.
var toKopano = schema.ToKopano("")

// kopanoSchema gives a value of ldap.cfg, or of the properties' map, the names of the Kopano schema where the directive
// is for names: a filter, a list of classes, an attribute. DNs, URLs and passwords stay, and so do a site's own
// attributes that begin with "zarafa": the directory's conversion leaves them, too.
func kopanoSchema(name, value string) string {
	switch {
	case strings.HasSuffix(name, "_search_filter"):
		if renamed, err := toKopano.Filter(value); err == nil {
			return renamed
		}
		return value // the server cannot read it either; see tellUnreadFilters
	case strings.HasSuffix(name, "_type_attribute_value"):
		return eachName(value, toKopano.Classes)
	case strings.HasSuffix(name, "_attribute"), strings.HasPrefix(strings.ToLower(name), "0x"):
		return eachName(value, toKopano.Attributes)
	}
	return value
}

// eachName renames the names of a comma list; the blanks between them stay.
func eachName(list string, renamed map[string]string) string {
	names := strings.Split(list, ",")
	for i, name := range names {
		bare := strings.TrimSpace(name)
		if to := renamed[strings.ToLower(bare)]; to != "" {
			names[i] = strings.Replace(name, bare, to, 1)
		}
	}
	return strings.Join(names, ",")
}

// tellUnreadFilters tells of filters that stay as they are.
func (c *conversion) tellUnreadFilters(top *File) {
	for _, name := range slices.Sorted(maps.Keys(c.old)) {
		value := c.old[name]
		if !strings.HasSuffix(name, "_search_filter") || strings.TrimSpace(value) == "" {
			continue
		}
		if _, err := toKopano.Filter(value); err != nil {
			c.problem(top, 0, "%s stays as it is: %v; give it the names of the Kopano schema by hand", name, err)
		}
	}
}
