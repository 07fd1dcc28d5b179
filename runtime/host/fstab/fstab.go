// Package fstab reads and changes the table of file systems by the syntax of fstab(5).
package fstab

import (
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"zcp2kopano/runtime/host"
)

// Path is where the table is.
const Path = "/etc/fstab"

// Entry is a line of the table.
type Entry struct {
	Source  string // as it is written: /dev/sdb1, UUID=..., server:/export
	Point   string
	Type    string
	Options []string

	line int
}

// Has reports whether an option is set, alone or with a value.
func (e Entry) Has(option string) bool {
	for _, o := range e.Options {
		if name, _, _ := strings.Cut(o, "="); name == option {
			return true
		}
	}
	return false
}

// limit is more than any table has.
const limit = 1 << 20

// Read is the table of a host.
func Read(files host.FileReader) (string, error) {
	f, err := files.Open(Path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && len(data) > limit {
		err = fmt.Errorf("%s is longer than %d bytes; is it the right file?", Path, limit)
	}
	return string(data), err
}

// Parse reads the lines that mount something at a directory.
func Parse(text string) []Entry {
	var all []Entry
	for i, line := range strings.Split(text, "\n") {
		f := strings.Fields(line)
		if len(f) < 3 || strings.HasPrefix(f[0], "#") {
			continue
		}
		e := Entry{Source: Unescape(f[0]), Point: Unescape(f[1]), Type: f[2], line: i}
		if !path.IsAbs(e.Point) {
			continue // swap
		}
		e.Point = path.Clean(e.Point)
		if len(f) > 3 {
			e.Options = strings.Split(Unescape(f[3]), ",")
		}
		all = append(all, e)
	}
	return all
}

// At is the line of a point; none is an error, and so are several, of which mount(8) takes one.
func At(text, point string) (Entry, error) {
	var found []Entry
	for _, e := range Parse(text) {
		if e.Point == point {
			found = append(found, e)
		}
	}
	switch len(found) {
	case 0:
		return Entry{}, fmt.Errorf("%s has no line for %s", Path, point)
	case 1:
		return found[0], nil
	}
	return Entry{}, fmt.Errorf("%s has %d lines for %s; leave one", Path, len(found), point)
}

// Moved is the table with another point in the line of a point. All else stays as it is written.
func Moved(text, from, to string) (string, error) {
	e, err := At(text, from)
	if err != nil {
		return "", err
	}
	for _, other := range Parse(text) {
		if other.Point == to {
			return "", fmt.Errorf("%s has a line for %s already", Path, to)
		}
	}
	lines := strings.Split(text, "\n")
	lines[e.line] = withPoint(lines[e.line], to)
	return strings.Join(lines, "\n"), nil
}

// withPoint puts a point into the second field of a line.
func withPoint(line, point string) string {
	const blanks = " \t"
	start := len(line) - len(strings.TrimLeft(line, blanks))
	start += strings.IndexAny(line[start:], blanks)
	start += len(line[start:]) - len(strings.TrimLeft(line[start:], blanks))
	end := start + strings.IndexAny(line[start:], blanks)
	return line[:start] + escape(point) + line[end:]
}

// Unescape undoes the \040 form of blanks, tabs, newlines and backslashes, which the kernel's mount table has, too.
func Unescape(text string) string {
	if !strings.Contains(text, `\`) {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+3 < len(text) {
			if n, err := strconv.ParseUint(text[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

func escape(text string) string {
	return strings.NewReplacer(`\`, `\134`, " ", `\040`, "\t", `\011`, "\n", `\012`).Replace(text)
}
