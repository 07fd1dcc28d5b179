// Package release is the runbooks' module release: it compares the numbers of releases, such as 8.7.20.
// It knows nothing of package versions with epochs and revisions but how to cut them down to these.
package release

import (
	"strconv"
	"strings"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/script"
)

// Builtins lists the module's functions.
func Builtins() []*script.Builtin { return []*script.Builtin{atLeast, below, of} }

var versions = []script.Param{
	{Name: "version", Type: script.String, Doc: "numbers with points between them; \"\" is older than any"},
	{Name: "other", Type: script.String, Doc: "what to compare it with"},
}

var atLeast = &script.Builtin{
	Name:   "release.at_least",
	Doc:    "Checks whether a version is the same as another one, or newer.\n\nVersions are compared number by number; a version ends at what is not a number, and a missing number is 0.",
	Params: versions,
	Result: "bool",
	Effect: script.Pure,
	Example: `
if not release.at_least("8.7.20", "8.7"):
    fail("8.7.20 is newer than 8.7")
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		return starlark.Bool(compare(c.String("version"), c.String("other")) >= 0), nil
	},
}

var below = &script.Builtin{
	Name:   "release.below",
	Doc:    "Checks whether a version is older than another one; see release.at_least.",
	Params: versions,
	Result: "bool",
	Effect: script.Pure,
	Example: `
if not release.below("8.7.9", "8.7.20"):
    fail("8.7.9 is older than 8.7.20")
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		return starlark.Bool(compare(c.String("version"), c.String("other")) < 0), nil
	},
}

var of = &script.Builtin{
	Name:   "release.of",
	Doc:    "Cuts a package's version down to the first three numbers of its release.",
	Params: []script.Param{{Name: "version", Type: script.String, Doc: "version of a package"}},
	Result: "string, \"\" for \"\"",
	Effect: script.Pure,
	Example: `
if release.of("1:8.7.20.0-0+1.1") != "8.7.20":
    fail("neither epoch nor revision is part of a release")
`,
	Value: func(c *script.Call) (starlark.Value, error) { return starlark.String(short(c.String("version"))), nil },
}

// compare compares two versions number by number.
func compare(a, b string) int {
	left, right := numbers(a), numbers(b)
	for i := range max(len(left), len(right)) {
		if d := at(left, i) - at(right, i); d != 0 {
			return d
		}
	}
	return 0
}

func at(numbers []int, i int) int {
	if i < len(numbers) {
		return numbers[i]
	}
	return 0
}

// numbers are the numbers that the parts of a version begin with; 0 for a part that begins with none.
func numbers(version string) []int {
	var out []int
	for part := range strings.SplitSeq(version, ".") {
		digits := part[:len(part)-len(strings.TrimLeft(part, "0123456789"))]
		n, _ := strconv.Atoi(digits) // none is 0
		out = append(out, n)
	}
	return out
}

func short(version string) string {
	if i := strings.LastIndexByte(version, ':'); i >= 0 {
		version = version[i+1:]
	}
	if i := strings.IndexAny(version, "-+"); i >= 0 {
		version = version[:i]
	}
	parts := strings.Split(version, ".")
	return strings.Join(parts[:min(3, len(parts))], ".")
}
