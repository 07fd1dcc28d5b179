package sim_test

import (
	"strings"
	"testing"

	"zcp2kopano/runtime/host/sim"
)

const edited = `a comment
-- host --
hostname: x
-- packages --
Package: a
Version: 1

Package: b
Version: 2
-- services --
a active
b enabled
-- database --
var version 5
? SELECT 1
value
1

? select  2
value
2

-- /etc/a 0640 root:daemon noeol --
old
-- tree --
f0644 root:root 3 - /etc/b
d0755 root:root - - /etc/c
`

func TestEditFixture(t *testing.T) {
	for _, tc := range []struct {
		name    string
		edits   sim.Edits
		old, to string // what becomes of the text
		err     string
	}{
		{name: "nothing"},
		{name: "text", edits: sim.Edits{Replace: map[string]string{"hostname: x": "hostname: y"}}, old: "hostname: x", to: "hostname: y"},
		{name: "no such text", edits: sim.Edits{Replace: map[string]string{"hostname: z": ""}}, err: `does not hold "hostname: z"`},
		{name: "a package", edits: sim.Edits{Packages: map[string]string{"a": "Version: 3"}}, old: "Package: a\nVersion: 1\n\nPackage: b\nVersion: 2\n", to: "Package: b\nVersion: 2\n\nPackage: a\nVersion: 3\n"},
		{name: "no package", edits: sim.Edits{Packages: map[string]string{"a": ""}}, old: "Package: a\nVersion: 1\n\n", to: ""},
		{name: "services", edits: sim.Edits{Services: map[string]string{"a": "", "b": "active", "c": "failed"}}, old: "a active\nb enabled\n", to: "b active\nc failed\n"},
		{name: "an answer", edits: sim.Edits{Answers: map[string]string{"SELECT 2": "value\n3"}}, old: "? select  2\nvalue\n2\n\n", to: "\n\n? SELECT 2\nvalue\n3\n\n"},
		{name: "a file, owner and mode kept", edits: sim.Edits{Files: map[string]string{"/etc/a": "new\n"}}, old: "-- /etc/a 0640 root:daemon noeol --\nold\n", to: ""},
		{name: "a file of the tree", edits: sim.Edits{Remove: []string{"/etc/b"}}, old: "f0644 root:root 3 - /etc/b\n", to: ""},
		{name: "no such file", edits: sim.Edits{Remove: []string{"/etc/z"}}, err: "has no /etc/z"},
		{name: "a section", edits: sim.Edits{Sections: map[string]string{"host": "hostname: z"}}, old: "hostname: x", to: "hostname: z"},
		{name: "a link", edits: sim.Edits{Links: map[string]string{"/etc/b": "/etc/a"}}, old: "f0644 root:root 3 - /etc/b\nd0755 root:root - - /etc/c\n", to: "d0755 root:root - - /etc/c\nl root:root - - /etc/b -> /etc/a\n"},
	} {
		got, err := sim.EditFixture(edited, tc.edits)
		if tc.err != "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%s: error %v", tc.name, err)
			}
			continue
		}
		want := strings.Replace(edited, tc.old, tc.to, 1)
		if strings.HasPrefix(tc.name, "a file, owner") {
			want += "-- /etc/a 0640 root:daemon --\nnew\n"
		}
		if err != nil || squeezed(got) != squeezed(want) {
			t.Errorf("%s: %v\n%s\nwant\n%s", tc.name, err, got, want)
		}
	}
}

// squeezed is a text without its empty lines.
func squeezed(text string) string {
	for strings.Contains(text, "\n\n") {
		text = strings.ReplaceAll(text, "\n\n", "\n")
	}
	return text
}
