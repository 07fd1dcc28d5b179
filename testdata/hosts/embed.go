// Package hosts holds the fixture hosts that are shipped with the program.
package hosts

import "embed"

// FS holds the fixtures, NAME.txtar each.
//
//go:embed *.txtar
var FS embed.FS

// Example is the host that is simulated where none is named.
const Example = "debian8-zcp72.txtar"
