package secrets

import (
	"strings"
	"sync"
	"unicode"
)

// Known are secrets whose text is known. In free text they are masked where they stand as a word of their own:
// whoever masks "zarafa" in /etc/zarafa/server.cfg spoils the story, and gives the password away.
type Known struct {
	texts    []string
	ordinary func() map[string]bool // words that are no secret in free text, in small letters
}

// NewKnown knows no secret yet. Words are ordinary ones, of the product and of those who write about it: one that
// is a password as well is masked by its place alone (see MaskText and MaskFile).
func NewKnown(words func() map[string]bool) *Known { return &Known{ordinary: sync.OnceValue(words)} }

// Words adds the words of a text, in small letters, to a list of ordinary ones.
func Words(list map[string]bool, text string) {
	for _, word := range letters(text) {
		list[word] = true
	}
}

func letters(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) })
}

// Add adds a secret. One that is too short to be searched for is still masked where a line of configuration
// names it.
func (k *Known) Add(text string) {
	if len(text) < Shortest || k.isOrdinary(text) {
		return
	}
	for _, known := range k.texts {
		if known == text {
			return
		}
	}
	k.texts = append(k.texts, text)
}

// isOrdinary reports whether a text is made of ordinary words alone: presence, zarafa-server.
func (k *Known) isOrdinary(text string) bool {
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !strings.ContainsRune("-_./", r) }) {
		return false
	}
	words := letters(text)
	for _, word := range words {
		if !k.ordinary()[word] {
			return false
		}
	}
	return len(words) > 0
}

// Mask masks the known secrets in a text.
func (k *Known) Mask(text string) string {
	for _, secret := range k.texts {
		if strings.Contains(text, secret) {
			text = maskWord(text, secret)
		}
	}
	return text
}

// maskWord masks a secret where it stands as a word of its own. One that no word looks like is masked wherever it
// stands.
func maskWord(text, secret string) string {
	if unlikeAWord(secret) {
		return strings.ReplaceAll(text, secret, Mask)
	}
	var b strings.Builder
	done := 0
	for at := 0; ; {
		i := strings.Index(text[at:], secret)
		if i < 0 {
			return b.String() + text[done:]
		}
		from, to := at+i, at+i+len(secret)
		at = from + 1
		if begins(text[:from]) && ends(text[to:]) {
			b.WriteString(text[done:from] + Mask)
			done, at = to, to
		}
	}
}

// unlikeAWord reports whether a text holds letters, digits and signs in a mixture that only chance, or whoever
// thinks of a password, makes.
func unlikeAWord(text string) bool {
	changes, last := 0, 0
	for _, r := range text {
		kind := 1
		switch {
		case unicode.IsDigit(r):
			kind = 2
		case !unicode.IsLetter(r):
			kind = 3
		}
		if last != 0 && kind != last {
			changes++
		}
		last = kind
	}
	return len(text) >= 8 && changes >= 3 && strings.ContainsFunc(text, unicode.IsDigit)
}

// begins reports whether a word, or a value, can begin behind a text: not in a path, nor within another word.
func begins(before string) bool {
	return before == "" || strings.ContainsAny(before[len(before)-1:], " \t\r\n\"'`=:,;()[]{}<>|&?%!")
}

// ends reports whether one can end before a text.
func ends(after string) bool {
	if after == "" || strings.ContainsAny(after[:1], " \t\r\n\"'`:,;()[]{}<>|&@?!") {
		return true
	}
	return after[0] == '.' && (len(after) == 1 || strings.ContainsAny(after[1:2], " \t\r\n"))
}
