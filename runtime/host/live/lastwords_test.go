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

func TestScriptCause(t *testing.T) {
	const begin, failure = "Setting up a (1) ...", "dpkg: error processing package a (--configure):\n installed a package post-installation script subprocess returned error exit status 3"
	const cause = "package a: its post-installation script (postinst) returned error exit status 3"
	for output, want := range map[string]string{
		begin + "\nno luck\n" + failure + "\nErrors were encountered while processing:\n a": cause + `; the last that was said before is "no luck"`,
		begin + "\n" + failure + "\nno luck\nErrors were encountered while processing:\n a": cause + `; the last that was said before is "no luck"`,
		begin + "\n" + failure + "\nErrors were encountered while processing:\n a":          cause,
		begin + "\n" + failure: cause,
		begin + "\nno luck\n" + failure + "\nErrors were encountered while processing:\n a\nof the site\nE: Sub-process":                      cause + `; the last that was said before is "no luck"`,
		begin + "\n" + failure + "\nErrors were encountered while processing:\n a\nno luck\nE: Sub-process":                                   cause + `; the last that was said before is "no luck"`,
		begin + "\n" + failure + "\nSetting up b (1) ...\nof another":                                                                         cause,
		failure + "\nErrors were encountered while processing:\n a\nSetting up b (1) ...\n" + begin + "\nno luck\nE: Sub-process":             cause + `; the last that was said before is "no luck"`,
		failure + "\nPreparing to unpack .../a_1_all.deb ...\nno luck\nSetting up b (1) ...\nof another":                                      cause + `; the last that was said before is "no luck"`,
		"Selecting previously unselected package a.\n(Reading database ... 5 files)\n" + begin + "\n" + failure + "\nno luck\nE: Sub-process": cause + `; the last that was said before is "no luck"`,
	} {
		if got := scriptCause(output); got != want {
			t.Errorf("%q:\n%s\nwant\n%s", output, got, want)
		}
	}
}
