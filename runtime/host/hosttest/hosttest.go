// Package hosttest is the conformance suite that every kind of host must pass.
package hosttest

import "zcp2kopano/runtime/host"

// FS is the file half of a host.
type FS interface {
	host.FileReader
	host.FileWriter
}
