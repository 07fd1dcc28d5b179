package deb

import (
	"path"
	"slices"
	"strings"

	"zcp2kopano/runtime/host"
)

// SourceFiles are patterns of the names of files that configure repositories.
var SourceFiles = []string{SourcesFile, SourcesDir + "/*.list", SourcesDir + "/*.sources"}

// Sources reads the repositories of packages in a file of either format of sources.list(5), which apt tells
// apart by its name.
func (System) Sources(file, text string, _ host.Facts) []host.Source {
	if path.Ext(file) == ".sources" {
		return deb822Sources(file, text)
	}
	var list []host.Source
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), "deb")
		if !ok || rest == "" || rest[0] != ' ' && rest[0] != '\t' && rest[0] != '[' {
			continue
		}
		if rest = strings.TrimSpace(rest); strings.HasPrefix(rest, "[") {
			_, rest, _ = strings.Cut(rest, "]")
		}
		if words := strings.Fields(rest); len(words) >= 2 {
			list = append(list, host.NewSource(file, words[0], suitePath(words[1])))
		}
	}
	return list
}

func deb822Sources(file, text string) []host.Source {
	stanzas, err := ParseStanzas(text, 1)
	if err != nil {
		return nil
	}
	var list []host.Source
	for i := range stanzas {
		if strings.EqualFold(stanzas[i].Get("Enabled"), "no") || !slices.Contains(strings.Fields(stanzas[i].Get("Types")), "deb") {
			continue
		}
		for _, uri := range strings.Fields(stanzas[i].Get("URIs")) {
			for _, suite := range strings.Fields(stanzas[i].Get("Suites")) {
				list = append(list, host.NewSource(file, uri, suitePath(suite)))
			}
		}
	}
	return list
}

// suitePath is where the lists of a suite are; a suite that ends with a slash is the directory itself.
func suitePath(suite string) string {
	if strings.HasSuffix(suite, "/") {
		return path.Clean(suite)
	}
	return "dists/" + suite
}
