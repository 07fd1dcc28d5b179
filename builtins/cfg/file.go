package cfg

import (
	"bytes"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"zcp2kopano/runtime/host/secrets"
)

// The daemons read lines into a buffer of 4096 bytes and keep 1023 bytes of a value
// (ECConfigImpl.cpp); what is longer would be cut without a word.
const (
	maxLine  = 4094
	maxValue = 1023
	maxFile  = 1 << 20
)

const blanks = " \t\r\n"

// File is one configuration file, kept byte for byte: an unchanged File renders to exactly what was
// parsed, and a change touches its own line only.
type File struct {
	Path  string // for messages
	dir   string // where relative includes count from; "" for the directory of Path
	lines []line
	floor int // index of the first line that counts for Get and Set: what is above, an include may overrule
	bom   bool
}

// line is one line. For a setting, name and value are what the daemon sees, and raw[start:end] is
// the value. For an include, name is "!include" or "!propmap" and value its argument.
type line struct {
	raw        string
	eol        string // "\n", "\r\n", or "" for a last line without one
	kind       kind
	name       string
	value      string
	start, end int
}

type kind int

const (
	other     kind = iota // blank, or without "=": ignored by the daemons
	comment               // "#" in column 0
	setting               // name = value
	directive             // "!" in column 0
)

// Setting is an active line "name = value". Line counts from 1.
type Setting struct {
	Name  string
	Value string
	Path  string
	Line  int
}

// Include is a line "!include FILE" or "!propmap FILE". Path is absolute: a relative FILE is taken
// from the directory of the file that names it, links resolved.
type Include struct {
	Kind string // "include" or "propmap"
	Arg  string
	Path string
	Line int
}

// Problem is something in a file that a daemon would refuse, ignore or misread. Line is 0 where the
// whole file is meant.
type Problem struct {
	Path string
	Line int
	Text string
	// Stops is the daemon that does not start because of it, "" if none; At is where the admin edits it, if that is
	// in another file: "/etc/zarafa/server.cfg:12".
	Stops, At string
}

// String is "path:line: text".
func (p Problem) String() string {
	if p.Line == 0 {
		return p.Path + ": " + p.Text
	}
	return fmt.Sprintf("%s:%d: %s", p.Path, p.Line, p.Text)
}

// Parse reads a configuration file as ECConfigImpl of ZCP and Kopano does: "#" in column 0 is a
// comment, "!" in column 0 a directive, "name = value" a setting with blanks around name and value
// removed; any other line is ignored. It fails on content that cannot be kept faithfully as text:
// bytes that are not UTF-8, NUL bytes, lines that the daemons would split.
func Parse(name string, data []byte) (*File, error) {
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s: %d bytes is too large for a configuration file (limit %d); check that it is one", name, len(data), maxFile)
	}
	f := &File{Path: name}
	if rest, ok := bytes.CutPrefix(data, []byte("\xef\xbb\xbf")); ok {
		f.bom, data = true, rest
	}
	for n := 1; len(data) > 0; n++ {
		raw, eol := cutLine(&data)
		switch {
		case strings.IndexByte(raw, 0) >= 0:
			return nil, fmt.Errorf("%s:%d: holds a NUL byte; it is not a configuration file, or it is damaged", name, n)
		case !utf8.ValidString(raw) && parseLine(raw, "").kind != comment:
			return nil, fmt.Errorf("%s:%d: not UTF-8; %s", name, n, recode(raw))
		case len(raw) > maxLine:
			return nil, fmt.Errorf("%s:%d: %d bytes in one line; the daemons split a line after %d bytes, shorten it", name, n, len(raw), maxLine)
		}
		f.lines = append(f.lines, parseLine(raw, eol))
	}
	return f, nil
}

// recode says how a line that is not UTF-8 becomes readable. The daemons take the bytes of a secret as they are: it
// would be another one afterwards.
func recode(raw string) string {
	const advice = "convert the file: iconv -f latin1 -t utf-8"
	if name := parseLine(raw, "").name; secrets.Name(name) {
		return "its bytes are the secret " + name + ", and " + advice + " would break it: give it another value first, of ASCII, here and where it is checked"
	}
	return advice
}

// cutLine takes the first line off data.
func cutLine(data *[]byte) (raw, eol string) {
	i := bytes.IndexByte(*data, '\n')
	if i < 0 {
		raw, *data = string(*data), nil
		return raw, ""
	}
	raw, eol = string((*data)[:i]), "\n"
	*data = (*data)[i+1:]
	if strings.HasSuffix(raw, "\r") {
		raw, eol = raw[:len(raw)-1], "\r\n"
	}
	return raw, eol
}

func parseLine(raw, eol string) line {
	l := line{raw: raw, eol: eol}
	switch {
	case raw == "":
		return l
	case raw[0] == '#':
		l.kind = comment
		return l
	case raw[0] == '!':
		l.kind = directive
		l.name = raw
		if i := strings.IndexAny(raw, " \t"); i >= 0 {
			l.name = raw[:i]
			l.start, l.end = trimmed(raw, i)
			l.value = raw[l.start:l.end]
		}
		return l
	}
	eq := strings.IndexByte(raw, '=')
	if eq < 0 || strings.Trim(raw[:eq], blanks) == "" {
		return l
	}
	l.kind = setting
	l.name = strings.Trim(raw[:eq], blanks)
	l.start, l.end = trimmed(raw, eq+1)
	l.value = raw[l.start:l.end]
	return l
}

// trimmed returns the bounds of raw[from:] without the blanks around it. Of an empty value the
// bounds lie after one blank at most, so that what is set there later stands as usual.
func trimmed(raw string, from int) (start, end int) {
	rest := raw[from:]
	value := strings.Trim(rest, blanks)
	if value == "" {
		if strings.HasPrefix(rest, " ") || strings.HasPrefix(rest, "\t") {
			return from + 1, from + 1
		}
		return from, from
	}
	start = from + strings.Index(rest, value)
	return start, start + len(value)
}

// Bytes renders the file.
func (f *File) Bytes() []byte {
	var b bytes.Buffer
	if f.bom {
		b.WriteString("\xef\xbb\xbf")
	}
	for _, l := range f.lines {
		b.WriteString(l.raw)
		b.WriteString(l.eol)
	}
	return b.Bytes()
}

// Get returns the value that counts: the last one.
func (f *File) Get(name string) (value string, ok bool) {
	if i := f.last(name); i >= 0 {
		return f.lines[i].value, true
	}
	return "", false
}

// Settings lists the active lines in order.
func (f *File) Settings() []Setting {
	var all []Setting
	for i, l := range f.lines {
		if l.kind == setting {
			all = append(all, Setting{l.name, l.value, f.Path, i + 1})
		}
	}
	return all
}

// Includes lists the files that the file names, in order.
func (f *File) Includes() []Include {
	var all []Include
	dir := f.dir
	if dir == "" {
		dir = path.Dir(f.Path)
	}
	for i, l := range f.lines {
		if l.kind != directive || l.value == "" || (l.name != "!include" && l.name != "!propmap") {
			continue
		}
		p := l.value
		if !path.IsAbs(p) {
			p = path.Join(dir, p)
		}
		all = append(all, Include{l.name[1:], l.value, path.Clean(p), i + 1})
	}
	return all
}

// Set gives a directive a value: in the last active line that has it, keeping the spacing; else in
// the last commented line "#name = value", which becomes active; else in a new line at the end. It
// returns the line's number.
func (f *File) Set(name, value string) (int, error) {
	if err := checkSetting(name, value); err != nil {
		return 0, fmt.Errorf("%s: %w", f.Path, err)
	}
	if i := f.last(name); i >= 0 {
		f.setValue(i, value)
		return i + 1, nil
	}
	if i := f.lastCommented(name); i >= 0 {
		f.lines[i] = parseLine(newLine(name, value), f.lines[i].eol)
		return i + 1, nil
	}
	return f.Append(name + " = " + value), nil
}

// SetAfter is Set for a directive that takes the place of others: a new line goes after the last
// line, active or commented, that names one of them.
func (f *File) SetAfter(name, value string, others ...string) (int, error) {
	if f.last(name) >= 0 || f.lastCommented(name) >= 0 {
		return f.Set(name, value)
	}
	if err := checkSetting(name, value); err != nil {
		return 0, fmt.Errorf("%s: %w", f.Path, err)
	}
	at := -1
	for i, l := range f.lines[f.floor:] {
		if l.kind == comment {
			l = parseLine(strings.TrimLeft(l.raw, "# \t"), "")
		}
		if l.kind == setting && slices.Contains(others, l.name) {
			at = f.floor + i
		}
	}
	if at < 0 {
		return f.Set(name, value)
	}
	f.insert(at+1, newLine(name, value))
	return at + 2, nil
}

// Append adds a line at the end, with the file's own line ending, and returns its number.
func (f *File) Append(raw string) int {
	f.insert(len(f.lines), strings.TrimRight(raw, blanks))
	return len(f.lines)
}

// Rename gives a directive another name in every active line and returns how many there were. Where
// the new name is set as well, the renamed lines come out as comments: the admin's own wins.
func (f *File) Rename(old, name string) (int, error) {
	if err := checkSetting(name, ""); err != nil {
		return 0, fmt.Errorf("%s: %w", f.Path, err)
	}
	if f.last(old) < 0 || old == name {
		return 0, nil
	}
	if f.last(name) >= 0 {
		return f.Drop(old, "replaced by "+name+", which is set"), nil
	}
	count := 0
	for i, l := range f.lines {
		if l.kind == setting && l.name == old {
			at := strings.Index(l.raw, old)
			f.lines[i] = parseLine(l.raw[:at]+name+l.raw[at+len(old):], l.eol)
			count++
		}
	}
	return count, nil
}

// Drop comments out every active line of a directive, each below a line with the reason, and returns
// how many there were.
func (f *File) Drop(name, reason string) int {
	count := 0
	for i := 0; i < len(f.lines); i++ {
		l := f.lines[i]
		if l.kind != setting || l.name != name {
			continue
		}
		f.dropLine(i, reason)
		count++
		i++
	}
	return count
}

// outweigh has everything that is set from now on stand behind the last include of the file: what that one says is the
// site's, or a package's, and may change. It reports whether there is an include.
func (f *File) outweigh() bool {
	for i, l := range f.lines {
		if l.kind == directive && l.name == "!include" && l.value != "" {
			f.floor = i + 1
		}
	}
	return f.floor > 0
}

// dropOutweighed comments out what is set again behind the last include, and has the whole file count again.
func (f *File) dropOutweighed() {
	for i := 0; i < f.floor; i++ {
		if l := f.lines[i]; l.kind == setting && f.last(l.name) >= 0 {
			f.dropLine(i, "set again behind what is included")
			i++
		}
	}
	f.floor = 0
}

// DropInclude comments out one include line (its number) below a line with the reason.
func (f *File) DropInclude(number int, reason string) {
	f.dropLine(number-1, reason)
}

func (f *File) dropLine(i int, reason string) {
	eol := f.lines[i].eol
	f.lines[i] = parseLine("#"+f.lines[i].raw, eol)
	f.insert(i, takenOut+oneLine(reason))
}

// takenOut begins the comment above a line that was commented out.
const takenOut = "# taken out: "

// SetInclude changes the argument of an include line (its number).
func (f *File) SetInclude(number int, arg string) {
	f.setValue(number-1, arg)
}

// Problems lists what a daemon would refuse, ignore or misread, in order of line.
func (f *File) Problems() []Problem {
	var all []Problem
	say := func(n int, format string, args ...any) {
		all = append(all, Problem{Path: f.Path, Line: n, Text: fmt.Sprintf(format, args...)})
	}
	if f.bom {
		say(1, "begins with a byte order mark; the daemons take it for a part of the first line")
	}
	if n := f.firstCRLF(); n > 0 {
		say(n, "lines end in CR LF (from here on, or mixed); the daemons accept it, and it is kept")
	}
	seen := map[string]int{}
	for i, l := range f.lines {
		n := i + 1
		switch l.kind {
		case setting:
			if strings.HasPrefix(l.name, "#") {
				say(n, "%q is not a comment: \"#\" counts in column 0 only", l.name)
				continue
			}
			if len(l.value) > maxValue {
				say(n, "%s: value of %d bytes; the daemons cut it after %d", l.name, len(l.value), maxValue)
			}
			if before, twice := seen[l.name]; twice {
				say(n, "%s is set twice, first in line %d; the last one counts: take the other out", l.name, before)
			}
			if hashInValue.MatchString(l.value) && !secrets.Name(l.name) {
				say(n, "%s: \"#\" and what follows are a part of the value: a comment is a line of its own", l.name)
			}
			seen[l.name] = n
		case directive:
			f.directiveProblem(l, n, say)
		case other:
			text := strings.Trim(l.raw, blanks)
			if strings.HasPrefix(text, "#") || text == "" || leftByM4.MatchString(text) {
				continue
			}
			say(n, "no \"=\": the daemons ignore the line")
		}
	}
	return all
}

// hashInValue is what looks like a comment behind a value.
var hashInValue = regexp.MustCompile(`(^|[ \t])#`)

// leftByM4 is what making ldap.openldap.cfg and its like from ldap.m4 (ZCP, kopano-core: installer/linux)
// can leave: lines of m4's own, which say nothing to a daemon and were never meant to.
var leftByM4 = regexp.MustCompile("^(dnl($|[ \\t#])|(define|undefine|ifdef|ifelse|divert|changequote|include)\\(|#line |[`'()]+$)")

func (f *File) directiveProblem(l line, n int, say func(int, string, ...any)) {
	switch {
	case l.name != "!include" && l.name != "!propmap":
		say(n, "unknown directive %s: the daemons ignore it", l.name)
	case l.value == "":
		say(n, "%s names no file", l.name)
	case l.name == "!propmap" && !path.IsAbs(l.value):
		say(n, "!propmap %s is relative to the directory in which the daemon starts; give the whole path", l.value)
	}
}

func (f *File) firstCRLF() int {
	for i, l := range f.lines {
		if l.eol == "\r\n" {
			return i + 1
		}
	}
	return 0
}

func (f *File) last(name string) int {
	for i := len(f.lines) - 1; i >= f.floor; i-- {
		if f.lines[i].kind == setting && f.lines[i].name == name {
			return i
		}
	}
	return -1
}

// lastCommented finds the last "#name = value". A line that Drop commented out is not meant.
func (f *File) lastCommented(name string) int {
	for i := len(f.lines) - 1; i >= f.floor; i-- {
		if f.lines[i].kind != comment || i > 0 && strings.HasPrefix(f.lines[i-1].raw, takenOut) {
			continue
		}
		l := parseLine(strings.TrimLeft(f.lines[i].raw, "# \t"), "")
		if l.kind == setting && l.name == name {
			return i
		}
	}
	return -1
}

func (f *File) setValue(i int, value string) {
	l := f.lines[i]
	raw := l.raw[:l.start] + value + l.raw[l.end:]
	if l.value == "" && value != "" && strings.HasSuffix(l.raw[:l.start], "=") {
		// "key =" becomes "key = value", "key=" becomes "key=value"
		if strings.HasSuffix(l.raw[:l.start], " =") {
			raw = l.raw[:l.start] + " " + value + l.raw[l.end:]
		}
	}
	f.lines[i] = parseLine(raw, l.eol)
}

// insert puts a line before index i. A last line without an end gets one.
func (f *File) insert(i int, raw string) {
	eol := "\n"
	if len(f.lines) > 0 && f.lines[0].eol != "" {
		eol = f.lines[0].eol
	}
	if i == len(f.lines) && i > 0 && f.lines[i-1].eol == "" {
		f.lines[i-1].eol = eol
	}
	if i < f.floor {
		f.floor++
	}
	f.lines = append(f.lines, line{})
	copy(f.lines[i+1:], f.lines[i:])
	f.lines[i] = parseLine(raw, eol)
}

func newLine(name, value string) string {
	return strings.TrimRight(name+" = "+value, blanks)
}

func checkSetting(name, value string) error {
	switch {
	case name == "" || strings.Trim(name, blanks) != name || strings.ContainsAny(name, "=\x00\r\n") || name[0] == '#' || name[0] == '!':
		return fmt.Errorf("%q cannot be the name of a directive", name)
	case strings.ContainsAny(value, "\x00\r\n"):
		return fmt.Errorf("%s: a value is one line without NUL bytes", name)
	case !utf8.ValidString(name + value):
		return fmt.Errorf("%s: the value is not UTF-8", name)
	case strings.Trim(value, blanks) != value:
		return fmt.Errorf("%s: the daemons remove blanks around a value; give it without", name)
	case len(value) > maxValue:
		return fmt.Errorf("%s: a value of %d bytes; the daemons cut it after %d", name, len(value), maxValue)
	case len(name)+len(value)+3 > maxLine:
		return fmt.Errorf("%s: the line would be longer than %d bytes", name[:40], maxLine)
	}
	return nil
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
