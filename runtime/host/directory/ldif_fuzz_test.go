package directory

import "testing"

// FuzzLDIF reads entries of a directory as text.
func FuzzLDIF(f *testing.F) {
	f.Add("dn: uid=a,dc=x\nuid: a\nuserPassword:: YQ==\ncn: one\n two\n\n# comment\ndn: dc=x\n")
	f.Fuzz(func(t *testing.T, text string) {
		_, _ = ParseLDIF(text, 1)
	})
}
