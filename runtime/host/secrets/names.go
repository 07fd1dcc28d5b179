// Package secrets knows what a secret looks like: by the name of its directive, and by the forms that
// it takes in the text of configuration files, scripts and messages. Whatever hides secrets asks here,
// so that a snapshot, a report and a runbook agree on what one is.
package secrets

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// roots in a name make its value a secret, wherever they stand; a last word of inert takes that back.
var roots = []string{"passw", "passphrase", "secret", "accesskey", "privatekeydata", "krb5key", "krbprincipalkey", "sambalm", "sambant"}

// last words of a name that make its value a secret.
var lastWord = regexp.MustCompile(`^(?:\w*pass|\w*pwd|pw|(?:bind|root|user|admin|db|my|ldap|sql|mysql|smtp|auth|key|cert)pw|` +
	`\w*token|jwt|\w*jwt|licen[cs]e|serial(?:number)?|private(?:lines|mac)|(?:api|auth|access|encryption|shared|preshared|licen[cs]e|signing|subscription)key|psk|\w*psk|credentials|requirepass|masterauth)$`)

// inert are last words of a name that say about a secret what everybody may know.
var inert = strings.Fields(`file files path dir directory attribute attr attrs type map maps length len min max size query scheme
	format filter policy encoding prompt program chat command script expire expires expiry expiration age history timeout change changes
	hint method methods mechanism mechanisms algo algorithm field column table url uri name user users service sync days count class
	module plugin backend store storage provider required allowed enabled passwords secrets passwordless`)

// lone are names that end like that of a secret and are none.
var lone = []string{"bypass", "compass", "trespass", "pwd", "oldpwd", "nopasswd", "nopass", "pampassword"}

// Name reports whether the value of a directive, variable, option or attribute is a secret.
func Name(name string) bool { return grade(name) != plain }

// How far a name makes its value a secret.
const (
	plain  = iota
	likely // unless the value is a path, a small number, or yes and no
	sure
)

func grade(name string) int {
	words := wordsOf(name)
	if len(words) == 0 || slices.Contains(lone, strings.Join(words, "")) {
		return plain
	}
	last := words[len(words)-1]
	pair := last
	if len(words) > 1 {
		pair = words[len(words)-2] + last
	}
	switch {
	case slices.Contains(inert, last):
		return plain
	case slices.ContainsFunc(roots, func(root string) bool { return strings.Contains(last, root) }),
		!slices.Contains(lone, last) && lastWord.MatchString(last), lastWord.MatchString(pair) && pair != last && !strings.HasSuffix(pair, "pass"):
		return sure
	case slices.ContainsFunc(roots, func(root string) bool { return strings.Contains(strings.Join(words, ""), root) }):
		return likely
	}
	return plain
}

// wordsOf parts a name at signs, blanks and capitals, and leaves out a number at its end.
func wordsOf(name string) []string {
	var words []string
	var word []rune
	end := func() {
		if len(word) > 0 {
			words = append(words, strings.ToLower(string(word)))
		}
		word = nil
	}
	lower := false
	for _, r := range name {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) || unicode.IsUpper(r) && lower {
			end()
		}
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			word = append(word, r)
		}
		lower = unicode.IsLower(r)
	}
	end()
	if n := len(words); n > 1 && strings.Trim(words[n-1], "0123456789") == "" {
		words = words[:n-1]
	}
	if n := len(words); n > 0 {
		words[n-1] = strings.TrimRight(words[n-1], "0123456789")
	}
	return slices.DeleteFunc(words, func(w string) bool { return w == "" })
}

var (
	// evident values of a likely name are no secrets.
	evident = regexp.MustCompile(`^(?i:yes|no|true|false|on|off|none|null|\d{1,4}|<?[\w-]*:?/[\w.@+:/-]*)$`)
	// expansion is a value that is found elsewhere.
	expansion = regexp.MustCompile("^(?:\\$\\{[^}]*\\}|\\$\\(.*\\)|`.*`|\\$[A-Z0-9_]+|%\\w|%\\{[^}]*\\}|@[A-Z_]+@|\\*\\*\\*|(?:\\w+=)?(?:FILE|VALUE|env:\\w+),?)$")
	// invitation is a value that packages ship to be replaced. Everybody knows it, and that it is the vendor's
	// default matters to a simulation.
	invitation = regexp.MustCompile(`^replace-with-[a-z-]+$`)
)

// held reports whether a value of a name of this grade is a secret.
func held(grade int, value string) bool {
	return value != "" && grade != plain && !expansion.MatchString(value) && !invitation.MatchString(value) && (grade == sure || !evident.MatchString(value))
}
