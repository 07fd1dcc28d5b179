package script

import (
	_ "embed"
	"fmt"
	"regexp"
	"strings"
	"sync"
)

//go:embed language.txt
var languageText string

// Language declares what a runbook can call that is the language's own: functions, struct, json, and the methods
// of strings, lists, dicts and sets ("string.split"). It is here to be explained and checked; what carries
// a call out is go.starlark.net.
var Language = sync.OnceValue(func() []*Builtin {
	var all []*Builtin
	for line := range strings.Lines(languageText) {
		all = append(all, parseDeclaration(strings.TrimSpace(line)))
	}
	return all
})

var declaration = regexp.MustCompile(`^([a-z._]+)\((.*?)\) -> ([^:]+): (.+)$`)

// parseDeclaration reads "name(a: type, b: type = default, /) -> result: doc".
func parseDeclaration(line string) *Builtin {
	m := declaration.FindStringSubmatch(line)
	if m == nil {
		panic("language.txt: " + line)
	}
	b := &Builtin{Name: m[1], Result: m[3], Doc: m[4], Effect: Pure}
	keyword := false
	for _, text := range strings.Split(m[2], ", ") {
		switch {
		case text == "":
		case text == "/":
			for i := range b.Params {
				b.Params[i].Positional = true
			}
		case text == "*":
			keyword = true
		case strings.HasPrefix(text, "*"):
			b.Params = append(b.Params, Param{Name: text, Type: Any, Rest: true, Optional: true, Doc: restDoc(text)})
			keyword = true
		default:
			p := parseParam(text)
			p.Keyword = keyword
			b.Params = append(b.Params, p)
		}
	}
	return b
}

func restDoc(name string) string {
	if strings.HasPrefix(name, "**") {
		return "any arguments with a name"
	}
	return "any number of arguments"
}

func parseParam(text string) Param {
	name, rest, typed := strings.Cut(text, ": ")
	kind, def, optional := strings.Cut(rest, " = ")
	if !typed {
		panic(fmt.Sprintf("language.txt: parameter %q has no type", text))
	}
	return Param{Name: name, Type: Type(kind), Default: def, Optional: optional, Doc: string(kind)}
}
