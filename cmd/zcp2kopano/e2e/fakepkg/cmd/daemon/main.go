// Command daemon plays every daemon but the server.
package main

import (
	"fmt"
	"os"

	"zcp2kopano/cmd/zcp2kopano/e2e/fakepkg/service"
)

func main() { service.Main(prepare) }

// prepare needs the search index to be writable, as the indexer does.
func prepare(d *service.Daemon) error {
	if d.Daemon != "search" {
		return nil
	}
	index := d.Settings["index_path"]
	if err := os.MkdirAll(index, 0o750); err != nil {
		return fmt.Errorf("search index: %w", err)
	}
	probe, err := os.CreateTemp(index, ".probe")
	if err != nil {
		return fmt.Errorf("search index: %w", err)
	}
	probe.Close()
	return os.Remove(probe.Name())
}
