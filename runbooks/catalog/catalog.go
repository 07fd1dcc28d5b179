// Package catalog holds what a simulation knows of the packages of Kopano Core and ZCP where neither
// package files nor an index of packages tells it: a text archive for each generation, in the form of
// testdata/hosts/README.md.
package catalog

import (
	"embed"
	"io/fs"
)

//go:embed *.txtar
var files embed.FS

// Debian returns the catalogues for Debian and Ubuntu, newest packages first.
func Debian() [][]byte {
	var all [][]byte
	for _, name := range []string{"kopano-8.7.txtar", "kopano-8.4.txtar", "zcp.txtar"} {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			panic(err) // embedded above
		}
		all = append(all, data)
	}
	return all
}
