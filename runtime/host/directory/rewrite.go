package directory

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Rewritten is what a rewriting has met.
type Rewritten struct {
	Entries int64            `json:"entries"`
	Changed int64            `json:"changed"`
	Classes map[string]int64 `json:"classes,omitempty"` // changed entries, by old class
	Unread  []string         `json:"unread,omitempty"`  // filters that cannot be read, and stay as they are; the first of them
}

// Rewrite copies LDIF (RFC 2849) and gives the names in it their successors, as Convert does; and structuralObjectClass,
// which only files have. All else stays byte for byte. It holds one entry at a time.
func (r *Renaming) Rewrite(out io.Writer, in io.Reader) (Rewritten, error) {
	w := newRewriter(r, out)
	if err := eachRecord(in, 1, w.record); err != nil {
		return w.met, err
	}
	return w.met, w.out.Flush()
}

// lineKind is what a name at the begin of a line says of it.
type lineKind int

const (
	otherLine lineKind = iota
	dnLine
	changeLine
	classLine
	oldLine // an attribute that is renamed
	newLine // one that has its new name already
)

type lineName struct {
	kind lineKind
	old  string // an old attribute, in lower case
	to   string
}

// longestName is the most bytes that a name of interest has.
const longestName = 64

// rewriter rewrites the records of a file.
type rewriter struct {
	r     *Renaming
	out   *bufio.Writer
	met   Rewritten
	names map[string]lineName // by name in lower case
	begin firstBytes          // of these
	news  map[string]bool     // new classes, in lower case
	class firstBytes          // of old and new ones
	hits  []hit
	fresh bool // the record has a name that is new already
}

// firstBytes tells most other words from some at once: of these, by their first byte in any case, the lengths.
type firstBytes [256]uint64

func (f *firstBytes) add(word string) {
	for _, first := range []byte{strings.ToLower(word)[0], strings.ToUpper(word)[0]} {
		f[first] |= 1 << len(word)
	}
}

func (f *firstBytes) may(first byte, length int) bool { return f[first]&(1<<length) != 0 }

// hit is a line that is renamed; with a text, its whole text is another.
type hit struct {
	span
	name  lineName
	value string // what it has as value
	other bool   // which is not what it was
}

func newRewriter(r *Renaming, out io.Writer) *rewriter {
	w := &rewriter{r: r, out: bufio.NewWriterSize(out, fileBuffer), names: map[string]lineName{}, news: map[string]bool{}}
	w.met.Classes = map[string]int64{}
	for _, to := range r.Attributes {
		w.names[strings.ToLower(to)] = lineName{kind: newLine, to: to}
	}
	for old, to := range r.Attributes {
		w.names[old] = lineName{kind: oldLine, old: old, to: to}
	}
	for old, to := range r.Classes {
		w.news[strings.ToLower(to)] = true
		w.class.add(old)
		w.class.add(to)
	}
	w.names["dn"], w.names["changetype"] = lineName{kind: dnLine}, lineName{kind: changeLine}
	w.names["objectclass"] = lineName{kind: classLine, to: classAttribute}
	w.names["structuralobjectclass"] = lineName{kind: classLine, to: "structuralObjectClass"}
	for name := range w.names {
		w.begin.add(name)
	}
	return w
}

func (w *rewriter) record(rec *record) error {
	w.hits, w.fresh = w.hits[:0], false
	is := false
	for _, l := range rec.lines {
		if w.begin[rec.text[l.start]] == 0 {
			continue
		}
		name := w.look(rec, l)
		switch name.kind {
		case dnLine:
			is = true
		case changeLine:
			return fmt.Errorf("line %d: %w", rec.number(l), errChangeRecord)
		case newLine:
			w.fresh = true
		case classLine, oldLine:
			if err := w.take(rec, l, name); err != nil {
				return fmt.Errorf("line %d: %w", rec.number(l), err)
			}
		}
	}
	if is {
		w.met.Entries++
	}
	if len(w.hits) == 0 {
		_, err := w.out.Write(rec.text)
		return err
	}
	w.met.Changed++
	if w.fresh {
		return w.merge(rec)
	}
	return w.replace(rec)
}

// look says what a line's name means.
func (w *rewriter) look(rec *record, l span) lineName {
	raw := rec.text[l.start:min(l.end, l.start+longestName)]
	for i, c := range raw {
		switch {
		case c == ':' || c == ';':
			if !w.begin.may(raw[0], i) {
				return lineName{}
			}
			var lower [longestName]byte
			return w.names[string(lowered(lower[:i], raw))]
		case c == '\n': // the name itself is folded
			whole := rec.line(l)
			end := strings.IndexAny(whole, ":;")
			if end < 0 {
				return lineName{}
			}
			return w.names[strings.ToLower(whole[:end])]
		}
	}
	return lineName{}
}

// lowered fills bytes with others in lower case.
func lowered(to, from []byte) []byte {
	for i := range to {
		c := from[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		to[i] = c
	}
	return to
}

// take notes a line as one that is renamed, if it is.
func (w *rewriter) take(rec *record, l span, name lineName) error {
	if name.kind == oldLine && !slices.Contains(w.r.Filters, name.old) && w.r.Values[name.old] == nil {
		w.hits = append(w.hits, hit{span: l, name: name})
		return nil
	}
	if name.kind == classLine && w.otherClass(rec.raw(l)) {
		return nil
	}
	_, value, err := ldifLine(rec.line(l))
	if err != nil {
		return err
	}
	h := hit{span: l, name: name, value: value}
	if name.kind == oldLine {
		h.value = w.r.value(name.old, value)
		w.unread(rec, l, name, value)
	} else {
		class := strings.ToLower(value)
		to := w.r.Classes[class]
		if w.news[class] {
			w.fresh = true
		}
		if to == "" {
			return nil
		}
		if h.value = to; name.to == classAttribute {
			w.met.Classes[class]++
		}
	}
	h.other = h.value != value
	w.hits = append(w.hits, h)
	return nil
}

// otherClass tells, of a line as most are, at once that its class is neither an old nor a new one.
func (w *rewriter) otherClass(raw []byte) bool {
	at := bytes.IndexByte(raw, ':') + 1
	end := bytes.IndexByte(raw, '\n')
	if at == 0 || end != len(raw)-1 || end-at < 2 || raw[at] != ' ' || raw[at+1] == ' ' || end-at > longestName {
		return false
	}
	class := bytes.TrimRight(raw[at+1:end], "\r")
	if len(class) == 0 || !w.class.may(class[0], len(class)) {
		return true
	}
	var lower [longestName]byte
	class = lowered(lower[:len(class)], class)
	return w.r.Classes[string(class)] == "" && !w.news[string(class)]
}

func (w *rewriter) unread(rec *record, l span, name lineName, value string) {
	if !slices.Contains(w.r.Filters, name.old) || len(w.met.Unread) == 10 {
		return
	}
	if _, err := w.r.Filter(value); err != nil {
		w.met.Unread = append(w.met.Unread, fmt.Sprintf("line %d: %v", rec.number(l), err))
	}
}

// replace writes a record whose lines stay where they are.
func (w *rewriter) replace(rec *record) error {
	at := 0
	for _, h := range w.hits {
		if _, err := w.out.Write(rec.text[at:h.start]); err != nil {
			return err
		}
		if err := w.renamed(rec, h); err != nil {
			return err
		}
		at = h.end
	}
	_, err := w.out.Write(rec.text[at:])
	return err
}

// renamed writes one line under its new name.
func (w *rewriter) renamed(rec *record, h hit) (err error) {
	raw := rec.raw(h.span)
	end := bytes.IndexAny(raw, ":;\n")
	switch {
	case h.other:
		name, _, _ := strings.Cut(rec.line(h.span), ":")
		_, err = w.out.WriteString(Line(w.spelled(name, h.name), h.value) + lineEnd(raw))
	case h.name.kind == classLine:
		_, err = w.out.Write(raw)
	case raw[end] == '\n':
		name, rest, _ := strings.Cut(rec.line(h.span), ":")
		_, err = w.out.WriteString(w.spelled(name, h.name) + ":" + rest + lineEnd(raw))
	default:
		if _, err = w.out.WriteString(h.name.to); err == nil {
			_, err = w.out.Write(raw[end:])
		}
	}
	return err
}

// spelled is an attribute's new name with its options; that of classes is spelled as it was.
func (w *rewriter) spelled(description string, name lineName) string {
	bare, options, optioned := strings.Cut(description, ";")
	if name.kind == oldLine {
		bare = name.to
	}
	if optioned {
		bare += ";" + options
	}
	return bare
}

func lineEnd(raw []byte) string {
	switch {
	case bytes.HasSuffix(raw, []byte("\r\n")):
		return "\r\n"
	case bytes.HasSuffix(raw, []byte("\n")):
		return "\n"
	}
	return ""
}

// attributeLines are the lines of an attribute.
type attributeLines struct {
	key    string
	lines  []string
	values []string
	there  map[string]bool // of these, folded
}

// merge writes a record that has old and new names beside each other, as a conversion leaves it that was broken off:
// what becomes the same is there once, and the values of an attribute stand together.
func (w *rewriter) merge(rec *record) error {
	var all []*attributeLines
	end, dn := lineEnd(rec.raw(rec.lines[0])), ""
	for _, l := range rec.lines {
		line := rec.line(l)
		if i := slices.IndexFunc(w.hits, func(h hit) bool { return h.span == l }); i >= 0 {
			line = w.whole(line, w.hits[i])
		}
		name, value, err := ldifLine(line)
		if err != nil {
			return fmt.Errorf("line %d: %w", rec.number(l), err)
		}
		if strings.EqualFold(name, "dn") {
			dn = value
		}
		all = w.place(all, name, value, line)
	}
	for _, a := range all {
		bare, _, _ := strings.Cut(a.key, ";")
		if len(a.values) > 1 && w.r.single(bare) {
			return fmt.Errorf("%s: %s would have different values (%q), and there can be one only: delete the wrong one", dn, bare, a.values)
		}
		for _, line := range a.lines {
			if _, err := w.out.WriteString(line + end); err != nil {
				return err
			}
		}
	}
	_, err := w.out.Write(rec.text[rec.lines[len(rec.lines)-1].end:])
	return err
}

// whole is a line under its new name, in one piece.
func (w *rewriter) whole(line string, h hit) string {
	name, rest, _ := strings.Cut(line, ":")
	if h.other {
		return Line(w.spelled(name, h.name), h.value)
	}
	return w.spelled(name, h.name) + ":" + rest
}

// place puts a line to those of its attribute; one of a name that a renaming touches comes once.
func (w *rewriter) place(all []*attributeLines, name, value, line string) []*attributeLines {
	key := strings.ToLower(name)
	i := slices.IndexFunc(all, func(a *attributeLines) bool { return a.key == key })
	if i < 0 {
		i, all = len(all), append(all, &attributeLines{key: key})
	}
	a, bare := all[i], key
	if semi := strings.IndexByte(key, ';'); semi >= 0 {
		bare = key[:semi]
	}
	if kind := w.names[bare].kind; kind == classLine || kind == newLine {
		folded := Fold(value)
		if a.there[folded] {
			return all
		}
		if a.there == nil {
			a.there = map[string]bool{}
		}
		a.there[folded], a.values = true, append(a.values, value)
	}
	a.lines = append(a.lines, line)
	return all
}

// single tells whether an attribute of the new schema has one value at most.
func (r *Renaming) single(to string) bool {
	return slices.ContainsFunc(r.Single, func(old string) bool { return strings.EqualFold(r.Attributes[old], to) })
}
