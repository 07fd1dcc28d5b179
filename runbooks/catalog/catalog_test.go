package catalog_test

import (
	"testing"

	"zcp2kopano/runbooks/catalog"
	"zcp2kopano/runtime/host/sim"
)

func TestCataloguesCanBeRead(t *testing.T) {
	names := map[string]bool{}
	for _, data := range catalog.Debian() {
		packages, err := sim.ParseCatalog(data)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range packages {
			names[p.Name] = true
		}
	}
	for _, name := range []string{"kopano-server-packages", "kopano-server", "zarafa-server"} {
		if !names[name] {
			t.Errorf("no catalogue knows %s", name)
		}
	}
}
