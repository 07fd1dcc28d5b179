package sim

import (
	"bytes"
	"regexp"
)

// secretPatterns find secrets in configuration files: the value is the second group.
var secretPatterns = []*regexp.Regexp{
	// name = value, name: value, in the forms of most configuration files
	regexp.MustCompile(`(?im)^([ \t;#]*[\w.-]*(?:passw(?:or)?d|passwd|secret|accesskey|sslkey_pass|bindpw|auth_token)[\w.-]*[ \t]*[=:][ \t]*)([^\s].*?)([ \t\r]*)$`),
	// define("NAME", "value") of PHP
	regexp.MustCompile(`(?i)(define\(\s*['"]\w*(?:passw(?:or)?d|secret)\w*['"]\s*,\s*['"])([^'"]+)(['"])`),
	// user:password@ in URLs
	regexp.MustCompile(`(\w+://[^\s/:@]+:)([^\s/@]+)(@)`),
	// machine ... login ... password ... of auth.conf
	regexp.MustCompile(`(?im)(\bpassword[ \t]+)([^\s=:]\S*)()[ \t\r]*$`),
}

// hideSecrets replaces secrets by placeholders of the same class of length: 4, 8, 16 or 32
// characters for at least as many.
func hideSecrets(content []byte) []byte {
	for _, p := range secretPatterns {
		content = p.ReplaceAllFunc(content, func(match []byte) []byte {
			m := p.FindSubmatch(match)
			return bytes.Join([][]byte{m[1], placeholder(len(m[2])), m[3]}, nil)
		})
	}
	return content
}

// HideSecrets replaces the secrets of a file's content as a snapshot does.
func HideSecrets(content []byte) []byte { return hideSecrets(bytes.Clone(content)) }

func placeholder(length int) []byte {
	n := 4
	for n < 32 && n*2 <= length {
		n *= 2
	}
	return bytes.Repeat([]byte("x"), n)
}

func holdsPrivateKey(content []byte) bool {
	return bytes.Contains(content, []byte("PRIVATE KEY-----"))
}
