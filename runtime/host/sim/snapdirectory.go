package sim

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/directory"
	"zcp2kopano/runtime/host/secrets"
)

// directory writes the entries that searches found. A search of the fixture must find them again: so
// each has the attributes that the filter asks for, and the base of the search is there.
func (s *snapshot) directory() error {
	if len(s.o.Searches) == 0 {
		return nil
	}
	all := map[string]*host.Entry{}
	var order []string
	keep := func(e host.Entry) {
		key := strings.ToLower(e.DN)
		if all[key] == nil {
			all[key] = &host.Entry{DN: e.DN, Attributes: map[string][]string{}}
			order = append(order, key)
		}
		maps.Copy(all[key].Attributes, e.Attributes)
	}
	for _, search := range s.o.Searches {
		base := host.DirectorySearch{Base: search.Base, Scope: "base", Filter: "(objectClass=*)", Attributes: []string{"objectClass"}}
		if entries, err := s.view.SearchDirectory(s.ctx, s.o.Directory, base); err == nil && search.Base != "" {
			for _, e := range entries {
				keep(e)
			}
		}
		search.Attributes = withFilterAttributes(search)
		entries, err := s.view.SearchDirectory(s.ctx, s.o.Directory, search)
		if err != nil {
			return err
		}
		for _, e := range entries {
			keep(e)
		}
	}
	s.section("directory")
	var entries []host.Entry
	for _, key := range order {
		maps.DeleteFunc(all[key].Attributes, func(name string, _ []string) bool { return secrets.Name(name) })
		entries = append(entries, *all[key])
	}
	s.out.WriteString(directory.FormatLDIF(entries))
	return nil
}

// ports writes which ports of other hosts answered, and which were refused.
func (s *snapshot) ports() error {
	if len(s.o.Ports) == 0 {
		return nil
	}
	s.section("ports")
	for _, address := range slices.Sorted(maps.Keys(s.o.Ports)) {
		said := "refuses"
		if s.o.Ports[address] {
			said = "answers"
		}
		fmt.Fprintln(s.out, address, said)
	}
	return nil
}

var filterAttribute = regexp.MustCompile(`\(([A-Za-z][A-Za-z0-9.-]*)[^()=]*=`)

// withFilterAttributes are the attributes to ask for; none means all.
func withFilterAttributes(search host.DirectorySearch) []string {
	if len(search.Attributes) == 0 {
		return nil
	}
	names := append(slices.Clone(search.Attributes), "objectClass")
	for _, m := range filterAttribute.FindAllStringSubmatch(search.Filter, -1) {
		names = append(names, m[1])
	}
	return names
}
