package cfg

import (
	"strings"
	"testing"

	"zcp2kopano/runtime/host/sim/simtest"
)

// Parsing the table is what the first look at a directive costs.
func BenchmarkFacts(b *testing.B) {
	for b.Loop() {
		for row := range strings.SplitSeq(strings.TrimSuffix(factsTable, "\n"), "\n") {
			if cells := strings.Split(row, "\t"); len(cells) == 27 && cells[0] != "file" {
				parseDirective(cells)
			}
		}
	}
}

func BenchmarkTakeover(b *testing.B) {
	files := simtest.Files(b, shippedFiles(Version{7, 2, 6}))
	t := Takeover{Source: "/etc/zarafa", Original: "/etc/zarafa", Target: "/etc/kopano", Approach: "copy",
		From: Version{7, 2, 6}, To: Version{8, 7, 20}, LDAPSchema: "keep"}
	for b.Loop() {
		if _, err := t.Run(files); err != nil {
			b.Fatal(err)
		}
	}
}
