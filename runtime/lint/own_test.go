package lint_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"zcp2kopano/builtins"
	"zcp2kopano/runbooks"
	"zcp2kopano/runtime/lint"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
)

const ownSurvey = `"""A site."""

def made():
    return struct(release = "7.2", colour = "red")

def survey():
    """Look around."""
    return RETURNS

def say(survey):
    """Say."""
    info("it is", str(survey.READS) + str(made()))

runbook = define(
    steps = [survey, say],
    results = {"survey": result("what there is", fields = {"release": "that runs"})},
)
`

// TestOwnResult: a survey of the site's own may return more than the runbook tells of, and later steps may read that;
// what it does not return is still a mistake.
func TestOwnResult(t *testing.T) {
	for _, tc := range []struct{ name, returns, reads, want string }{
		{"its own field", `struct(release = "7.2", colour = "red")`, "colour", ""},
		{"a field that is told of", `struct(release = "7.2", colour = "red")`, "release", ""},
		{"what another function makes", `made()`, "colour", ""},
		{"fields that nobody can know", `struct(release = "7.2", **json.decode("{}"))`, "colour", ""},
		{"a field of neither", `struct(release = "7.2", colour = "red")`, "colours", "did you mean colour?"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "site.star")
			text := strings.NewReplacer("RETURNS", tc.returns, "READS", tc.reads).Replace(ownSurvey)
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, found, err := lint.Run(t.Context(), script.LoadOptions{Name: name, Stock: runbooks.FS, Builtins: builtins.All()})
			if err != nil {
				t.Fatal(err)
			}
			var told []string
			for _, f := range found {
				told = append(told, f.Message+": "+f.Hint)
			}
			if ok := len(found) == 0; tc.want == "" && !ok || tc.want != "" && (len(told) != 1 || !strings.Contains(told[0], tc.want)) {
				t.Errorf("found %q, want %q", told, tc.want)
			}
		})
	}
}

// TestOverridable: of the inhibitors that a runbook tells, those are offered that have a key and can be overridden.
func TestOverridable(t *testing.T) {
	book, err := runbook.Load(t.Context(), script.LoadOptions{Name: "debian", Stock: runbooks.FS, Builtins: builtins.All()})
	if err != nil {
		t.Fatal(err)
	}
	keys := lint.Overridable(book.Modules())
	if !slices.IsSorted(keys) || len(keys) < 10 || len(slices.Compact(slices.Clone(keys))) != len(keys) {
		t.Errorf("keys %q", keys)
	}
	got := lint.Overridable(map[string]string{"//a.star": `
def look_around(key):
    inhibit("a", key = "b/second")
    inhibit("a", key = "b/final", final = True)
    inhibit("a", key = key, final = False)
    inhibit("No name, no 3 keys")
    inhibit("a", key = "b/first", final = False)
    inhibit("a %s" % key)
    warn("a", key = "b/warning")
`, "//broken.star": "def ("})
	if want := []string{"b/first", "b/second", "no-name-no-3-keys"}; !slices.Equal(got, want) {
		t.Errorf("keys %q, want %q", got, want)
	}
}
