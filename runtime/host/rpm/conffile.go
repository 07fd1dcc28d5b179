package rpm

import (
	"slices"
	"strings"
)

// Leftovers are the endings that rpm gives to the other version of a configuration file.
var Leftovers = []string{".rpmnew", ".rpmorig", ".rpmsave"}

// IsLeftover tells by its name whether a file is one of those.
func IsLeftover(name string) bool {
	return slices.ContainsFunc(Leftovers, func(ending string) bool { return strings.HasSuffix(name, ending) })
}
