package rpm

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzReadContents reads damaged package files: an error or not, but no panic, and no more memory than they are worth.
func FuzzReadContents(f *testing.F) {
	whole := madeRPM(f)
	f.Add(whole)
	f.Add([]byte(Magic))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ReadContents(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		for _, file := range c.Files {
			if !strings.HasPrefix(file.Path, "/") || strings.Contains(file.Path, "/../") {
				t.Errorf("a file at %q", file.Path)
			}
		}
	})
}

// FuzzPrimary reads what a repository says of its packages.
func FuzzPrimary(f *testing.F) {
	f.Add(`<metadata><package type="rpm"><name>a</name><arch>noarch</arch><version epoch="0" ver="1" rel="2"/><location href="a.rpm"/></package></metadata>`)
	f.Fuzz(func(t *testing.T, text string) {
		_ = ReadPrimary(strings.NewReader(text), func(Package) {})
	})
}

// FuzzSections reads configuration of repositories.
func FuzzSections(f *testing.F) {
	f.Add("[a]\nname=a\nbaseurl=https://x/\n\ty\nenabled=0\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range ParseSections(text) {
			if strings.Contains(s.ID, "\n") {
				t.Errorf("%q", s.ID)
			}
			_ = s.Enabled()
		}
	})
}

// FuzzRecord reads what rpm says of a package.
func FuzzRecord(f *testing.F) {
	f.Add("a\x1f1", "x86_64")
	f.Fuzz(func(t *testing.T, text, machine string) {
		if r, err := ParseRecord(text, machine); err == nil && utf8.ValidString(text) && !utf8.ValidString(r.Package.Name) {
			t.Errorf("%q", r.Package.Name)
		}
		_ = System{}.ParseRelations(text)
	})
}
