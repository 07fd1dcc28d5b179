package deb

import "testing"

// TestFate has what dpkg --force-confdef --force-confold does (deb-conffiles(5)); a and b are digests of two
// versions, x that of an edited file.
func TestFate(t *testing.T) {
	for _, c := range []struct {
		what, current string
		exists        bool
		was, shipped  string
		want          Fate
	}{
		{"first installation", "", false, NewConffile, "a", Place},
		{"deleted, same version", "", false, "a", "a", Drop},
		{"deleted, new version", "", false, "a", "b", Beside},
		{"untouched", "a", true, "a", "b", Place},
		{"edited, same version", "x", true, "a", "a", Drop},
		{"edited, new version", "x", true, "a", "b", Beside},
		{"edited to what is shipped now", "b", true, "a", "b", Place},
		{"of nobody so far", "x", true, NewConffile, "a", Beside},
		{"of nobody so far, and the same", "a", true, NewConffile, "a", Place},
		{"unknown content", "", true, "a", "b", Beside},
		{"unknown digests", "x", true, "", "", Beside},
	} {
		if got := FateOf(c.current, c.exists, c.was, c.shipped); got != c.want {
			t.Errorf("%s: %d, want %d", c.what, got, c.want)
		}
	}
}
