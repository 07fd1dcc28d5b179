package script

import (
	"regexp"
	"strings"
)

// Shape is what a declaration tells of a value: which types it may have, and of records the fields.
type Shape struct {
	Types  []string // names of types of the language, "NoneType" among them; nil if it can be anything
	Fields []string // of a struct; nil if they are not known
	Elem   *Shape   // of the elements of a list or tuple, of the values of a dict; nil if it is not known
}

// Shape is what Result says, in the words that all declarations use: "record(a, b), or None: what they mean".
func (b *Builtin) Shape() Shape { return ShapeOf(b.Result) }

// ShapeOf reads the first words of what is said of a value. What it does not understand can be anything.
func ShapeOf(text string) Shape {
	var all Shape
	for _, part := range alternatives(text) {
		one, ok := shapeOfOne(part)
		if !ok {
			return Shape{}
		}
		all.Types = append(all.Types, one.Types...)
		if one.Fields != nil {
			all.Fields = one.Fields
		}
		if one.Elem != nil {
			all.Elem = one.Elem
		}
	}
	return all
}

// wordsOfType are the types of the language as declarations call them.
var wordsOfType = map[string]string{
	"None": "NoneType", "bool": "bool", "int": "int", "float": "float", "string": "string", "bytes": "bytes",
	"secret": "secret", "list": "list", "tuple": "tuple", "dict": "dict", "set": "set", "range": "range",
	"runbook": "runbook", "param": "param", "policy": "policy", "guard": "guard", "struct": "struct", "record": "struct",
	"absolute path": "string", "name": "string", "path": "string",
}

var (
	recordWord = regexp.MustCompile(`^records?\(([a-z0-9_, ]+)\)`)
	ofWord     = regexp.MustCompile(`^(list|tuple|dict)s? of (.+)$`)
)

func shapeOfOne(text string) (Shape, bool) {
	text = strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(text), "a "), "an ")
	if m := recordWord.FindStringSubmatch(text); m != nil {
		return Shape{Types: []string{"struct"}, Fields: strings.Split(m[1], ", ")}, true
	}
	if text == "number" {
		return Shape{Types: []string{"int", "float"}}, true
	}
	if m := ofWord.FindStringSubmatch(text); m != nil {
		s := Shape{Types: []string{m[1]}}
		if elem, ok := shapeOfOne(m[2]); ok {
			s.Elem = &elem
		}
		return s, true
	}
	for _, word := range []string{text, strings.TrimSuffix(text, "s")} {
		if t, ok := wordsOfType[word]; ok {
			return Shape{Types: []string{t}}, true
		}
	}
	return Shape{}, false
}

// alternatives are the types that a text begins with, up to what explains them.
func alternatives(text string) []string {
	var parts []string
	depth, start := 0, 0
	for i := 0; i < len(text); i++ {
		rest := text[i:]
		switch {
		case text[i] == '(':
			depth++
		case text[i] == ')':
			depth--
		case depth > 0:
		case strings.HasPrefix(rest, ", or ") || strings.HasPrefix(rest, " or "):
			parts = append(parts, text[start:i])
			i = strings.Index(text[i:], "or ") + i + 2
			start = i + 1
		case text[i] == ':' || text[i] == ';' || text[i] == ',' || rest == ".":
			return append(parts, text[start:i])
		case strings.HasPrefix(rest, " (") || strings.HasPrefix(rest, " if "):
			return append(parts, text[start:i])
		}
	}
	return append(parts, text[start:])
}
