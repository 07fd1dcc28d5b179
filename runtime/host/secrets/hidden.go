package secrets

import (
	"bytes"
	"path"
	"regexp"
	"strings"
)

// Shortest is the length below which a secret's text is not searched for: it would match all over.
const Shortest = 4

// PasswordMap is the usual name of the file in which Postfix finds its passwords for other servers.
const PasswordMap = "/etc/postfix/sasl_passwd"

var passwordMap = regexp.MustCompile(`(?m)^\w+_password_maps[ \t]*=((?:.*\n[ \t])*.*)`)

// PasswordMaps are the files in which Postfix finds its passwords for other servers, whatever they are
// called, by the text of its main.cf. Each is read as PasswordMap is.
func PasswordMaps(mainCf string) []string {
	maps := []string{}
	for _, m := range passwordMap.FindAllStringSubmatch(mainCf, -1) {
		for _, word := range strings.FieldsFunc(m[1], func(r rune) bool { return strings.ContainsRune(" \t\n,", r) }) {
			_, file, _ := strings.Cut(word, ":")
			maps = append(maps, file)
		}
	}
	return maps
}

// Opaque reports whether a file is no text. Maps of Postfix and key stores may hold secrets that nobody
// finds; the keyrings of apt hold public keys.
func Opaque(name string, content []byte) bool {
	return bytes.Contains(content, []byte{0}) && !(strings.HasPrefix(name, "/etc/apt/") && path.Ext(name) == ".gpg")
}
