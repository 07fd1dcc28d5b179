package live

import "testing"

func TestLastWords(t *testing.T) {
	for _, c := range []struct {
		name, want string
		lines      []string
	}{
		{"the script's", "no luck", []string{"Setting up a (1) ...", "no luck", "dpkg: warning"}},
		{"before dpkg's line, which came by another pipe", "no luck", []string{"no luck", "Setting up a (1) ..."}},
		{"none", "", []string{"of another", "Unpacking a (1) ...", "Setting up a (1) ..."}},
	} {
		if got := lastWords(c.lines); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
