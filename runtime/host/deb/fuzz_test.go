package deb

import (
	"strings"
	"testing"
	"zcp2kopano/runtime/host"
)

// FuzzControl reads what is written as paragraphs: dpkg's status, Packages, Release, and what dpkg-query prints.
func FuzzControl(f *testing.F) {
	f.Add("Package: a\nStatus: install ok installed\nVersion: 1\nConffiles:\n /etc/a 0123\n\nPackage: b\nDepends: a (>= 1) | c\n")
	f.Add("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nOrigin: x\nSHA256:\n 00 1 Packages\n-----BEGIN PGP SIGNATURE-----\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, p := range ParseControl(text) {
			_ = p.Get("package")
			_ = System{}.ParseRelations(p.Get("Depends"))
			_ = ParseConffiles(p.Get("Conffiles"))
		}
		_, _ = ParseStanzas(text, 1)
		_, _ = ParsePackages(text, "amd64")
		_ = ParseAuto(text)
		_ = System{}.Sources("/etc/apt/sources.list", text, host.Facts{})
	})
}

// FuzzReadFile reads damaged package files.
func FuzzReadFile(f *testing.F) {
	f.Add("!<arch>\ndebian-binary   0           0     0     100644  4         `\n2.0\n")
	f.Fuzz(func(t *testing.T, text string) {
		if p, err := (System{}).ReadFile(strings.NewReader(text), int64(len(text))); err == nil && p.Name == "" {
			t.Error("a package without a name")
		}
	})
}
