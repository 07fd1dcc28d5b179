package deb

import (
	"cmp"
	"testing"
)

func TestCompareLoose(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"d", "5", 1}, {"5", "d", -1}, {"1.0-1", "1.0-2", -1}, {"d-2", "d-1", 1}, {"1:1", "2", 1}} {
		if got := cmp.Compare(CompareLoose(c.a, c.b), 0); got != c.want {
			t.Errorf("%s and %s: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
