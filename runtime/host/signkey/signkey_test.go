package signkey

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func TestDearmour(t *testing.T) {
	armoured, err := os.ReadFile("testdata/key.asc")
	if err != nil {
		t.Fatal(err)
	}
	binary, err := os.ReadFile("testdata/key.gpg")
	if err != nil {
		t.Fatal(err)
	}
	text := string(armoured)
	noSum := text[:strings.LastIndex(text, "\n=")] + "\n" + armourEnd + "\n"
	flip := strings.Index(text, "\n\n") + 60
	flipped := text[:flip] + string(text[flip]^1) + text[flip+1:]
	for _, c := range []struct{ name, in, want, problem string }{
		{"armoured", text, string(binary), ""},
		{"CRLF", strings.ReplaceAll(text, "\n", "\r\n"), string(binary), ""},
		{"headers", strings.Replace(text, armourBegin+"\n", armourBegin+"\nVersion: GnuPG v2.0.15 (GNU/Linux)\nComment: a\n", 1), string(binary), ""},
		{"text before", "the key:\n" + text, string(binary), ""},
		{"no checksum", noSum, string(binary), ""},
		{"two keys", text + text, string(binary) + string(binary), ""},
		{"binary", string(binary), string(binary), ""},
		{"unknown", "# not known\n", "# not known\n", ""},
		{"empty", "", "", "empty"},
		{"changed", flipped, "", "checksum"},
		{"cut", text[:len(text)/2], "", "cut short"},
		{"web page", "<!DOCTYPE html>\n<p>log in", "", "web page"},
		{"private", "-----BEGIN PGP PRIVATE KEY BLOCK-----\n", "", "private key"},
	} {
		got, err := dearmour([]byte(c.in))
		switch {
		case c.problem == "" && (err != nil || string(got) != c.want):
			t.Errorf("%s: %d bytes, %v; want %d bytes", c.name, len(got), err, len(c.want))
		case c.problem != "" && (err == nil || !strings.Contains(err.Error(), c.problem)):
			t.Errorf("%s: %v; want an error with %q", c.name, err, c.problem)
		}
	}
}

func TestArmour(t *testing.T) {
	binary, err := os.ReadFile("testdata/key.gpg")
	if err != nil {
		t.Fatal(err)
	}
	for _, keyring := range [][]byte{binary, binary[:96], binary[:97], binary[:1]} {
		got, err := dearmour([]byte(Armour(keyring)))
		if err != nil || string(got) != string(keyring) {
			t.Errorf("%d bytes came back as %d, %v", len(keyring), len(got), err)
		}
	}
}

func TestFingerprints(t *testing.T) {
	binary, err := os.ReadFile("testdata/key.gpg")
	if err != nil {
		t.Fatal(err)
	}
	const fingerprint = "3253832C1D16A414CAD04F36D9823A9A001564D2"
	newForm := func(body []byte) []byte {
		return append([]byte{0xc6, 255, 0, 0, byte(len(body) >> 8), byte(len(body))}, body...)
	}
	_, body, _, _ := packet(binary)
	for name, c := range map[string]struct {
		keyring []byte
		want    []string
	}{
		"one":               {binary, []string{fingerprint}},
		"two":               {slices.Concat(binary, binary), []string{fingerprint, fingerprint}},
		"new packets":       {newForm(body), []string{fingerprint}},
		"cut":               {binary[:20], nil},
		"not a key":         {[]byte("hello"), nil},
		"none":              {nil, nil},
		"longer than it is": {[]byte{0x99, 0xff, 0xff, 4}, nil},
	} {
		if got := Fingerprints(c.keyring); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestPrivate(t *testing.T) {
	for address, want := range map[string]bool{
		"https://example.org/key": true, "file:///srv/key": true, "http://127.0.0.1:80/key": true, "http://localhost/key": true,
		"http://example.org/key": false, "http://192.168.0.1/key": false,
	} {
		if got := private(address); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
}
