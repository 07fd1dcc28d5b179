package directory

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// Filter gives the names in a filter (RFC 4515) their successors: attributes, and the classes that it compares
// objectClass or structuralObjectClass with. All else stays byte for byte, blanks included; so does the want of outer
// parentheses, as configuration files have it. A filter that cannot be read is an error.
func (r *Renaming) Filter(text string) (string, error) {
	f := &filterText{r: r, text: text}
	f.blanks()
	if f.at < len(f.text) && f.text[f.at] != '(' {
		f.inside()
	} else {
		f.filter()
	}
	f.blanks()
	if f.err == nil && f.at < len(f.text) {
		f.err = fmt.Errorf("%q is too much", f.text[f.at:])
	}
	if f.err != nil {
		return text, fmt.Errorf("filter %q: %w", text, f.err)
	}
	return f.out.String(), nil
}

// filterText is a filter that is read from its begin to its end, and written anew.
type filterText struct {
	r    *Renaming
	text string
	at   int
	out  strings.Builder
	err  error
	deep int
}

// deepest is how far filters may be nested.
const deepest = 1000

func (f *filterText) fail(format string, args ...any) {
	if f.err == nil {
		f.err = fmt.Errorf(format, args...)
	}
}

func (f *filterText) blanks() {
	for f.at < len(f.text) && strings.IndexByte(" \t\r\n", f.text[f.at]) >= 0 {
		f.out.WriteByte(f.text[f.at])
		f.at++
	}
}

// take copies one character, which must be there.
func (f *filterText) take(c byte) {
	if f.err != nil {
		return
	}
	if f.at >= len(f.text) || f.text[f.at] != c {
		f.fail("a %q is missing at byte %d", c, f.at)
		return
	}
	f.out.WriteByte(c)
	f.at++
}

func (f *filterText) filter() {
	if f.deep++; f.deep > deepest {
		f.fail("it is nested too deep")
	}
	f.take('(')
	f.blanks()
	f.inside()
	f.take(')')
	f.deep--
}

// inside is what stands between parentheses.
func (f *filterText) inside() {
	if f.err != nil || f.at >= len(f.text) {
		f.fail("it ends early")
		return
	}
	switch f.text[f.at] {
	case '&', '|':
		f.take(f.text[f.at])
		f.blanks()
		for f.err == nil && f.at < len(f.text) && f.text[f.at] == '(' {
			f.filter()
			f.blanks()
		}
	case '!':
		f.take('!')
		f.blanks()
		f.filter()
		f.blanks()
	default:
		f.item()
	}
}

// item is a comparison: attribute, options, matching rule, operator, value.
func (f *filterText) item() {
	end := strings.IndexAny(f.text[f.at:], "()")
	if end < 0 {
		end = len(f.text) - f.at
	}
	item := f.text[f.at : f.at+end]
	name, value, ok := strings.Cut(item, "=")
	if !ok {
		f.fail("%q compares nothing", item)
		return
	}
	f.at += end
	attribute, operator := strings.TrimRight(name, "<>~"), ""
	operator = name[len(attribute):]
	attribute, rule := cutRule(attribute)
	f.out.WriteString(f.r.description(attribute))
	f.out.WriteString(rule + operator + "=")
	if operator == "" && comparesClass(attribute) && !strings.ContainsRune(value, '*') {
		value = f.r.classValue(value)
	}
	f.out.WriteString(value)
}

// cutRule parts an attribute from ":dn:rule:".
func cutRule(description string) (attribute, rule string) {
	if i := strings.IndexByte(description, ':'); i >= 0 {
		return description[:i], description[i:]
	}
	return description, ""
}

func comparesClass(attribute string) bool {
	switch strings.ToLower(strings.TrimSpace(attribute)) {
	case "objectclass", "structuralobjectclass", "2.5.4.0", "2.5.21.9":
		return true
	}
	return false
}

// description renames an attribute, and leaves its options and the blanks around it.
func (r *Renaming) description(text string) string {
	name, options, _ := strings.Cut(text, ";")
	bare := strings.TrimSpace(name)
	to, ok := r.Attributes[strings.ToLower(bare)]
	if !ok || bare == "" {
		return text
	}
	renamed := strings.Replace(name, bare, to, 1)
	if len(name) < len(text) {
		renamed += ";" + options
	}
	return renamed
}

// classValue renames a class that a filter names; its characters may be escaped.
func (r *Renaming) classValue(text string) string {
	bare := strings.TrimSpace(text)
	plain, err := unescape(bare)
	to, ok := r.Classes[strings.ToLower(strings.TrimSpace(plain))]
	if err != nil || !ok {
		return text
	}
	return strings.Replace(text, bare, to, 1)
}

// unescape reads the \XX of a filter's value.
func unescape(text string) (string, error) {
	var plain strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			plain.WriteByte(text[i])
			continue
		}
		if i+3 > len(text) {
			return "", fmt.Errorf("%q ends in an escape", text)
		}
		b, err := hex.DecodeString(text[i+1 : i+3])
		if err != nil {
			return "", err
		}
		plain.Write(b)
		i += 2
	}
	return plain.String(), nil
}
