// Package runbooks holds the stock runbooks and the catalogue of packages, embedded in the program.
package runbooks

import "embed"

// FS is the root of @stock//: NAME.star, lib/*.star, their tests, cookbook/, and catalog/.
//
//go:embed *.star lib/*.star tests/*.star cookbook/*.star catalog/*.txtar
var FS embed.FS
