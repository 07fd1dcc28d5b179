package sim

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"
)

// Entry is a file of a fixture, or many like it.
type Entry struct {
	Path    string
	Mode    fs.FileMode // with the type
	User    string      // name or number; empty for root
	Group   string
	Size    int64
	Mtime   time.Time // zero for the fixture's time
	Target  string    // of a symlink
	Link    string    // the file of which this is another name
	Rdev    uint64
	Content []byte // nil where only the size is known
	Spread  *Spread
	Xattr   string // an extended attribute of the file at Path, with Content as its value
	Approx  bool   // of a payload: Content is only like the real one

	line int
}

// Spread stands for many files of a store that parts them by their number: file N is
// PATH/(N mod A)/((N / A) mod B)/N and a suffix, for a layout of AxB.
type Spread struct {
	Count  int
	Total  int64 // bytes of all files together
	A, B   int
	Suffix string
}

// name and size of file n, counted from 1. Sizes vary around the mean, the same ones each time.
func (s *Spread) name(n int) string {
	return strconv.Itoa(n%s.A) + "/" + strconv.Itoa(n/s.A%s.B) + "/" + strconv.Itoa(n) + s.Suffix
}

func (s *Spread) size(n int) int64 {
	mean := s.Total / int64(s.Count)
	if pair := n + n%2; pair > s.Count { // the last of an odd number
		return s.Total - mean*int64(s.Count-1)
	}
	swing := mean / 2 * int64(uint32(n+n%2)*2654435761>>24) / 256
	switch {
	case n%2 == 1:
		return mean - swing
	case n == s.Count:
		return s.Total - mean*int64(s.Count-1) + swing
	}
	return mean + swing
}

// fileTypes are the letters before a mode in a tree, as ls(1) shows them.
var fileTypes = map[byte]fs.FileMode{
	'f': 0, 'd': fs.ModeDir, 'l': fs.ModeSymlink, 'p': fs.ModeNamedPipe, 's': fs.ModeSocket,
	'b': fs.ModeDevice, 'c': fs.ModeDevice | fs.ModeCharDevice,
}

func typeLetter(mode fs.FileMode) byte {
	for letter, t := range fileTypes {
		if mode.Type() == t {
			return letter
		}
	}
	return 'f'
}

// readTree reads lines "TYPE+MODE USER:GROUP SIZE TIME PATH [-> TARGET]", "spread ...", "hardlink
// ..." and "xattr ...". A relative path is below the last directory that was named.
func (f *Fixture) readTree(s section) error {
	dir := "/"
	n := s.line - 1
	for line := range strings.Lines(s.text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		words, err := splitWords(line)
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		e, err := parseTreeLine(words, dir)
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		e.line = n
		if e.Mode.IsDir() {
			dir = e.Path
		}
		f.Entries = append(f.Entries, e)
	}
	return nil
}

func parseTreeLine(words []string, dir string) (Entry, error) {
	switch words[0] {
	case "spread":
		return parseSpread(words, dir)
	case "hardlink":
		if len(words) != 4 || words[2] != "->" {
			return Entry{}, fmt.Errorf("a hard link is \"hardlink PATH -> PATH\"")
		}
		e := Entry{}
		var err1, err2 error
		e.Path, err1 = absolute(words[1], dir)
		e.Link, err2 = absolute(words[3], dir)
		if err1 != nil || err2 != nil {
			return e, fmt.Errorf("a hard link is \"hardlink PATH -> PATH\"")
		}
		return e, nil
	case "xattr":
		if len(words) != 4 {
			return Entry{}, fmt.Errorf("an extended attribute is \"xattr NAME BASE64 PATH\"")
		}
		value, err := base64.StdEncoding.DecodeString(words[2])
		if err != nil {
			return Entry{}, fmt.Errorf("xattr %s: %w", words[1], err)
		}
		name, err := absolute(words[3], dir)
		return Entry{Path: name, Xattr: words[1], Content: value}, err
	}
	return parseEntry(words, dir)
}

func absolute(name, dir string) (string, error) {
	if !path.IsAbs(name) {
		name = dir + "/" + name
	}
	clean := path.Clean(name)
	if clean != name && clean != strings.TrimPrefix(name, "/") {
		return "", fmt.Errorf("%q is not a clean path; write %q", name, clean)
	}
	return clean, nil
}

func parseEntry(words []string, dir string) (Entry, error) {
	if len(words) != 5 && (len(words) != 7 || words[5] != "->") {
		return Entry{}, fmt.Errorf("%q is not \"TYPE+MODE USER:GROUP SIZE TIME PATH [-> TARGET]\"", strings.Join(words, " "))
	}
	e, err := parseOwned(words[0], words[1], words[3])
	if err != nil {
		return e, err
	}
	if e.Path, err = absolute(words[4], dir); err != nil {
		return e, err
	}
	if e.Mode&fs.ModeDevice != 0 {
		e.Rdev, err = strconv.ParseUint(words[2], 10, 64)
		return e, err
	}
	if words[2] != "-" {
		if e.Size, err = parseSize(words[2]); err != nil {
			return e, err
		}
	}
	if link := e.Mode&fs.ModeSymlink != 0; link != (len(words) == 7) {
		return e, fmt.Errorf("%s: a symlink, and nothing else, has a target", e.Path)
	} else if link {
		e.Target = words[6]
	}
	return e, nil
}

func parseOwned(mode, owner, mtime string) (e Entry, err error) {
	if mode == "" {
		return e, errors.New("the mode is empty")
	}
	t, known := fileTypes[mode[0]]
	if !known {
		return e, fmt.Errorf("%q does not begin with one of the types f, d, l, p, s, b, c", mode)
	}
	perm := fs.FileMode(0o777)
	if len(mode) > 1 {
		if perm, err = parsePerm(mode[1:]); err != nil {
			return e, err
		}
	} else if t != fs.ModeSymlink {
		return e, fmt.Errorf("%q lacks the mode behind the type", mode)
	}
	e.Mode = t | perm
	var ok bool
	if e.User, e.Group, ok = strings.Cut(owner, ":"); !ok || e.User == "" || e.Group == "" {
		return e, fmt.Errorf("%q is not USER:GROUP", owner)
	}
	if mtime != "-" {
		e.Mtime, err = time.Parse(time.RFC3339Nano, mtime)
	}
	return e, err
}

// parseSpread reads "spread COUNT TOTAL AxB MODE USER:GROUP TIME PATH [SUFFIX]".
func parseSpread(words []string, dir string) (Entry, error) {
	const form = "a spread is \"spread COUNT TOTAL AxB MODE USER:GROUP TIME PATH [SUFFIX]\""
	if len(words) != 8 && len(words) != 9 {
		return Entry{}, errors.New(form)
	}
	e, err := parseOwned(words[4], words[5], words[6])
	if err != nil {
		return e, err
	}
	if !e.Mode.IsRegular() {
		return e, fmt.Errorf("%s; its mode begins with f", form)
	}
	s := &Spread{}
	a, b, _ := strings.Cut(words[3], "x")
	var errs [4]error
	s.Count, errs[0] = strconv.Atoi(words[1])
	s.Total, errs[1] = parseSize(words[2])
	s.A, errs[2] = strconv.Atoi(a)
	s.B, errs[3] = strconv.Atoi(b)
	for _, err := range errs {
		if err != nil {
			return e, fmt.Errorf("%s: %w", form, err)
		}
	}
	if s.Count < 1 || s.Count > 50_000_000 || s.A < 1 || s.B < 1 || s.A > 1000 || s.B > 1000 {
		return e, fmt.Errorf("%s, at least 1 each, at most 50 million files in 1000x1000 directories", form)
	}
	if len(words) == 9 {
		s.Suffix = words[8]
	}
	if strings.Contains(s.Suffix, "/") {
		return e, fmt.Errorf("%s; a suffix has no slash", form)
	}
	e.Spread = s
	e.Path, err = absolute(words[7], dir)
	return e, err
}
