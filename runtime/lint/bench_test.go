package lint_test

import (
	"context"
	"testing"

	"zcp2kopano/builtins"
	"zcp2kopano/runbooks"
	"zcp2kopano/runtime/lint"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
)

// What the checker costs beside the loading, for a site that has a copy of all stock runbooks.
func BenchmarkLint(b *testing.B) {
	opts := script.LoadOptions{Name: "../../runbooks/debian.star", Stock: runbooks.FS, Builtins: builtins.All()}
	b.Run("load", func(b *testing.B) {
		for b.Loop() {
			if _, err := runbook.Load(context.Background(), opts); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("lint and load", func(b *testing.B) {
		for b.Loop() {
			if _, found, err := lint.Run(context.Background(), opts); err != nil || len(found) > 0 {
				b.Fatal(found, err)
			}
		}
	})
}
