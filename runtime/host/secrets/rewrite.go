package secrets

import (
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Mask is what stands for a secret where people read.
const Mask = "***"

// Placeholder stands for a secret in a snapshot: 4, 8, 16 or 32 times x, for at least as many
// characters. What has to be replaced once more stays as it is.
func Placeholder(secret string) string {
	n := 4
	for n < 32 && n*2 <= len(secret) {
		n *= 2
	}
	return strings.Repeat("x", n)
}

// Hide replaces the secrets of a file's text by placeholders. The file has as many lines as before,
// and reads as one of its format; that of a private key has the same size.
func Hide(name, text string) string { return rewrite(name, text, Placeholder) }

// MaskFile replaces the secrets of a file's text by ***, line by line.
func MaskFile(name, text string) string { return rewrite(name, text, masked) }

// In lists the secrets of a file's text, each once, but for private keys.
func In(name, text string) []string {
	var found []string
	rewrite(name, text, func(secret string) string {
		if secret != "" && !slices.Contains(found, secret) {
			found = append(found, secret)
		}
		return Mask
	})
	return found
}

// MaskText replaces the secrets that can be told in a message of any kind by ***. It may quote lines
// of files.
func MaskText(text string) string {
	if !hinted(text) {
		return text
	}
	w := &rewriter{with: masked, block: -1}
	return eachLine(text, func(line string) string {
		if out, ok := w.privateKey(line); ok || !hinted(line) {
			return out
		}
		if out, ok := w.assignment(line, quotedLine); ok {
			return out
		}
		return inline(line, masked, false)
	})
}

func masked(string) string { return Mask }

// hints is what a text with a secret has, in small letters: a quick test for most.
var hints = []string{"pass", "pw", "secret", "key", "token", "psk", "credential", "masterauth", "://", "$", "{", "krbprincipal", "sambalm", "sambant",
	" -p", " -u", " -w", " -s", "authorization", "identified", "static:", "jwt", "licen", "serial", "pdo", "mysqli", "_bind", "_open", "connect", "|", "private-"}

// hinted reports whether there may be a secret in a text.
func hinted(text string) bool {
	small := strings.ToLower(text)
	return slices.ContainsFunc(hints, func(hint string) bool { return strings.Contains(small, hint) })
}

// eachLine rewrites a text line by line; line ends stay.
func eachLine(text string, do func(line string) string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		body := strings.TrimRight(line, "\r\n")
		b.WriteString(do(body))
		b.WriteString(line[len(body):])
	}
	return b.String()
}

func rewrite(name, text string, with func(string) string) string {
	if publicFile.MatchString(path.Base(name)) {
		return text
	}
	w := &rewriter{with: with, kind: kindOf(name, text), code: codeOf(name, text), block: -1}
	return eachLine(literals(name, text, with), w.line)
}

// rewriter goes through a file's lines.
type rewriter struct {
	with  func(string) string
	kind  *regexp.Regexp // of files with a form of their own; its second group is the secret
	code  code
	inKey bool // within a private key
	goes  bool // the value of the last line was a secret, and can go on in this one

	continued bool   // it does: that line ended with a backslash
	block     int    // the lines that are indented deeper are a secret; -1 for none
	lines     int    // so many more lines are one
	here      string // where the text handed to chpasswd ends
}

// publicFile has words like passwd in another sense.
var publicFile = regexp.MustCompile(`^(?:passwd|group|nsswitch\.conf|services)-?$`)

// Files with a form of their own.
var (
	shadowFile  = regexp.MustCompile(`^([^:]+:)([^:*!][^:]+)(:.*)$`)
	mapFile     = regexp.MustCompile(`^([ \t]*#?[ \t]*\S+[ \t]+[^\s:]+:)(\S.*?)([ \t]*)$`) // host user:password
	colonFile   = regexp.MustCompile(`^([^\s:#]+:)([^:\s]+)(.*)$`)                         // user:password
	chapFile    = regexp.MustCompile(`^([^#\s]\S*[ \t]+\S+[ \t]+)("[^"]*"|\S+)(.*)$`)      // client server password
	pgpassFile  = regexp.MustCompile(`^((?:[^:#]*:){4})(.+)()$`)
	nothingElse = regexp.MustCompile(`^([ \t]*)([^#\s].*?)([ \t]*)$`)
	ldifFile    = regexp.MustCompile(`^([\w.;-]+::?[ \t]*)(\S.*?)([ \t]*)$`)
	fileKinds   = []struct{ base, kind *regexp.Regexp }{
		{regexp.MustCompile(`^g?shadow-?$`), shadowFile},
		{regexp.MustCompile(`^(?:chap|pap)-secrets`), chapFile},
		{regexp.MustCompile(`^\.?pgpass`), pgpassFile},
		{regexp.MustCompile(`(?i)^[^.]*(?:sasl|relay|smtp)[\w-]*(?:passw|auth|secret)`), mapFile},
		{regexp.MustCompile(`(?i)htpasswd|\.secrets$|^smbpasswd|passwd\.users$`), colonFile},
		{regexp.MustCompile(`(?i)\.(?:secret|pass|pw|passwd|password|passphrase)$|^(?:secret|password|passphrase)(?:\.txt)?$`), nothingElse},
		{regexp.MustCompile(`(?i)\.ldif$`), ldifFile},
	}
)

func kindOf(name, text string) *regexp.Regexp {
	base := path.Base(name)
	if strings.Contains(name, "/license/") || strings.Contains(name, "/licence/") || base == "license" {
		return nothingElse
	}
	for _, k := range fileKinds {
		if k.base.MatchString(base) {
			return k.kind
		}
	}
	if strings.HasPrefix(text, "dn: ") || strings.Contains(text, "\ndn: ") {
		return ldifFile
	}
	return nil
}

// code says how a file spells values.
type code int

const (
	config     code = iota // to the end of the line
	shell                  // a word of the shell
	program                // a literal in quotes
	postfix                // to the end of the line, and on in lines that begin with a blank
	quotedLine             // a line that a message quotes
)

var (
	shellFile   = regexp.MustCompile(`\.sh$|\.bash\w*$|/\.profile$|^/etc/(?:default|init\.d|sysconfig|cron[^/]*)/|^/etc/crontab$|^/var/spool/cron/`)
	programFile = regexp.MustCompile(`\.(?:php|inc|py|pl|pm|rb|js)$`)
)

func codeOf(name, text string) code {
	first, _, _ := strings.Cut(text, "\n")
	switch {
	case strings.HasPrefix(first, "#!") && strings.Contains(first, "sh"), shellFile.MatchString(name):
		return shell
	case strings.HasPrefix(first, "#!"), strings.HasPrefix(first, "<?"), programFile.MatchString(name):
		return program
	case strings.HasPrefix(name, "/etc/postfix/"):
		return postfix
	}
	return config
}

func (w *rewriter) line(line string) string {
	if out, ok := w.privateKey(line); ok {
		return out
	}
	if w.goes && line != "" && (line[0] == ' ' || line[0] == '\t') {
		value := strings.TrimLeft(line, " \t")
		return line[:len(line)-len(value)] + w.with(value)
	}
	w.goes = false
	if out, ok := w.goesOn(line); ok {
		return out
	}
	if out, ok := w.ownForm(line); ok {
		return out
	}
	if !hinted(line) {
		return line
	}
	if out, ok := w.assignment(line, w.code); ok {
		return out
	}
	if out, ok := w.blank(line); ok {
		return out
	}
	if m := assigns.FindStringSubmatch(line); m != nil && aboutNames.MatchString(m[2]) {
		return line
	}
	return inline(line, w.with, true)
}

var (
	blockBegins = regexp.MustCompile(`^([ \t]*(?:-[ \t]+)?)["']?([\w.-]+)["']?[ \t]*:[ \t]*[|>][-+0-9]*[ \t]*$`)
	puttyLines  = regexp.MustCompile(`^Private-Lines: (\d+)$`)
	hereText    = regexp.MustCompile(`\bchpasswd\b[^<]*<<-?[ \t]*['"]?(\w+)`)
	userAndPass = regexp.MustCompile(`^([ \t]*[^:\s]+:)(.+)$`)
)

// goesOn replaces the lines of a secret that has more than one, and notes where such a one begins.
func (w *rewriter) goesOn(line string) (string, bool) {
	indented := len(line) - len(strings.TrimLeft(line, " \t"))
	whole := func() (string, bool) { return line[:indented] + w.with(line[indented:]), true }
	switch {
	case w.continued:
		w.continued = strings.HasSuffix(line, `\`)
		return whole()
	case w.lines > 0:
		w.lines--
		return whole()
	case w.block >= 0 && strings.TrimSpace(line) == "":
		return line, true
	case w.block >= 0 && indented > w.block:
		return whole()
	case w.here != "" && strings.TrimSpace(line) == w.here:
		w.here = ""
		return line, true
	case w.here != "":
		if m := userAndPass.FindStringSubmatch(line); m != nil {
			return m[1] + w.with(m[2]), true
		}
		return line, true
	}
	w.block = -1
	if m := blockBegins.FindStringSubmatch(line); m != nil && grade(m[2]) != plain {
		w.block = len(m[1]) - len(strings.TrimLeft(m[1], " \t"))
		return line, true
	}
	if m := puttyLines.FindStringSubmatch(line); m != nil {
		w.lines, _ = strconv.Atoi(m[1])
		return line, true
	}
	if m := hereText.FindStringSubmatch(line); m != nil {
		w.here = m[1]
		return line, true
	}
	if m := assigns.FindStringSubmatch(line); m != nil && grade(lastPart(m[2])) != plain && strings.HasSuffix(m[4], `\`) {
		w.continued = true
		if value := strings.TrimRight(m[4], " \t\\"); value == "" {
			return line, true
		}
	}
	return "", false
}

// unknownValue is a line of a configuration file that gives a directive a value, in force or not.
var unknownValue = regexp.MustCompile(`^([ \t]*#?[ \t]*)([A-Za-z_][\w.-]*)([ \t]*=[ \t]*)(\S.*?)([ \t]*)$`)

// HideUnknown replaces the values of directives that are not known: nobody can tell whether they are secrets.
func HideUnknown(name, text string, known func(file, directive string) bool) string {
	return eachLine(text, func(line string) string {
		m := unknownValue.FindStringSubmatch(line)
		if m == nil || known(name, m[2]) {
			return line
		}
		return m[1] + m[2] + m[3] + Placeholder(m[4]) + m[5]
	})
}

// aboutNames are directives that say which attribute or column holds what.
var aboutNames = regexp.MustCompile(`(?i)(?:_attrs|_query|_filter)$`)

var (
	keyBegins = regexp.MustCompile(`-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----`)
	keyEnds   = regexp.MustCompile(`-----END [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----`)
)

// privateKey replaces the lines of a private key, each by as many characters.
func (w *rewriter) privateKey(line string) (string, bool) {
	switch begins, ends := keyBegins.FindStringIndex(line), keyEnds.FindStringIndex(line); {
	case begins != nil && ends != nil && begins[1] <= ends[0]: // in one line, as JSON has it
		return line[:begins[1]] + w.with(line[begins[1]:ends[0]]) + line[ends[0]:], true
	case begins != nil:
		w.inKey = true
		return line, true
	case ends != nil:
		w.inKey = false
		return line, true
	case !w.inKey || line == "":
		return line, w.inKey
	}
	if w.with("") == Mask {
		return Mask, true
	}
	return strings.Repeat("x", len(line)), true
}

func (w *rewriter) ownForm(line string) (string, bool) {
	if w.kind == nil {
		return "", false
	}
	m := w.kind.FindStringSubmatch(line)
	if m == nil {
		return "", false
	}
	if w.kind == ldifFile {
		if !Name(strings.TrimRight(m[1], ": \t")) {
			return line, true
		}
		w.goes = true
	}
	return m[1] + w.with(m[2]) + m[3], true
}

// assigns matches a line "name = value" with whatever may stand before the name: a comment sign,
// "export", the name of an array.
var (
	assigns = regexp.MustCompile(`^([ \t]*(?:[;#]+|//|--|-[ \t])?[ \t]*(?:(?:export|set|setenv|local|readonly|declare|my|our)[ \t]+)?)` +
		`([$@%]?[\w.\-/]+(?:(?: |->|::|\[)['"]?\w[\w.\-]*['"]?\]?)*)([ \t]*(?:=>|:=|::|=|:)[ \t]*)(\S.*?)([ \t]*)$`)
	inMessage = regexp.MustCompile(`^(.*?)([\w.\-]+)( += +)(\S.*?)([ \t]*)$`)
	literal   = regexp.MustCompile(`^(` + quoted + `)(.*)$`)
	shellWord = regexp.MustCompile(`^(` + quoted + `|[^\s"';|&<>)]+)(.*)$`)
	lineEnd   = regexp.MustCompile(`^(.*?[^;,])([;,]*)$`)
	bare      = regexp.MustCompile(`^([ \t]*(?:#[ \t]*)?)([A-Za-z][\w-]*)([ \t]+)(` + quoted + `|[^\s"'=:]\S*?)([ \t]*;?[ \t]*)$`)
	empty     = regexp.MustCompile(`^\s*([\w.\-]+)\s*=\s*$`)
)

// assignment replaces the value of a line "name = value" if the name is that of a secret.
func (w *rewriter) assignment(line string, code code) (string, bool) {
	pattern, mark := assigns, "=:"
	if code == quotedLine {
		pattern, mark = inMessage, "="
	}
	if !strings.ContainsAny(line, mark) {
		return "", false
	}
	m := pattern.FindStringSubmatch(line)
	if m == nil {
		if e := empty.FindStringSubmatch(line); code == postfix && e != nil && grade(e[1]) == sure {
			w.goes = true
			return line, true
		}
		return "", false
	}
	before, name, sign, value, after := m[1], m[2], m[3], m[4], m[5]
	words := strings.Count(name, " ") + 1
	if words > 1 && (code == shell || strings.Contains(sign, ":")) || words > 4 {
		return "", false
	}
	g := grade(lastPart(name))
	if g != plain && strings.HasPrefix(value, Mask) {
		return line, true
	}
	if g == plain || strings.HasPrefix(value, "=") || strings.HasPrefix(value, "~") {
		return "", false
	}
	value, rest, ok := cutValue(value, code)
	if !ok {
		return "", false
	}
	w.goes = code == postfix
	if code == shell || code == program {
		return before + name + sign + replaceValue(value, g, w.with) + inline(rest, w.with, true) + after, true
	}
	return before + name + sign + replaceAssigned(value, g, w.with) + rest + after, true
}

// lastPart is the name that an array or object is asked for: x_password of $config['x_password'].
func lastPart(name string) string {
	name = strings.TrimRight(name, `]'"`)
	if i := strings.LastIndexAny(name, `['">`); i >= 0 {
		return name[i+1:]
	}
	return name
}

// cutValue parts the value from what follows it in the line.
func cutValue(text string, code code) (value, rest string, ok bool) {
	pattern := lineEnd
	switch m := literal.FindStringSubmatch(text); {
	case m != nil && (code == program || strings.Trim(m[2], " \t;,)]}") == "" || strings.HasPrefix(strings.TrimLeft(m[2], " \t"), "#")):
		return m[1], m[2], true
	case code == program:
		return "", "", false
	case code == shell:
		pattern = shellWord
	}
	m := pattern.FindStringSubmatch(text)
	if m == nil {
		return text, "", true
	}
	return m[1], m[2], true
}

// replaceAssigned is replaceValue, but a value that begins with $ is taken for a variable only where
// it looks like one of the environment: a password can begin with $, too.
func replaceAssigned(value string, grade int, with func(string) string) string {
	open, inner, end := unquote(value)
	if !held(grade, inner) {
		return value
	}
	return open + with(inner) + end
}

// blank replaces the value of a line "name value", as ldap.conf has it.
func (w *rewriter) blank(line string) (string, bool) {
	m := bare.FindStringSubmatch(line)
	if m == nil || grade(m[2]) != sure || w.code == program || w.code == shell {
		return "", false
	}
	return m[1] + m[2] + m[3] + replaceAssigned(m[4], sure, w.with) + m[5], true
}
