package fs

import (
	"maps"
	"slices"
	"testing"
)

// A plan rests on what somebody changes of an entry, and not on what changes while a machine works.
func TestStatLasts(t *testing.T) {
	for kind, want := range map[string][]string{"file": {"links", "mode", "size", "type"}, "dir": {"mode", "type"}} {
		held := stat.Lasting(nil, map[string]any{"type": kind, "mode": "0644", "size": 7.0, "links": 1.0, "mtime": 1.0})
		if got := slices.Sorted(maps.Keys(held)); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", kind, got, want)
		}
	}
}
