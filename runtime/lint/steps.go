package lint

import (
	"go.starlark.net/syntax"

	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
)

// learn notes what the parameters of steps are, now that the runbook says what it gives them.
func (c *checker) learn(book *runbook.Runbook) {
	known := map[string]typ{}
	for _, p := range book.Params {
		known[p.Name] = typeOfParam(p)
	}
	for _, s := range book.All() {
		pos := stepPos(s)
		if c.steps[pos] == nil {
			c.steps[pos] = map[string]typ{}
		}
		for _, name := range s.Takes() {
			t, ok := known[name]
			if old, twice := c.steps[pos][name]; twice {
				t = t.or(old)
			}
			if ok {
				c.steps[pos][name] = t
			}
		}
	}
}

// stepPos is where a step's function stands: its module and line.
func stepPos(s *runbook.Step) place { return placeOf(s.Pos()) }

type place struct {
	label string
	line  int32
}

func placeOf(pos syntax.Position) place { return place{pos.Filename(), pos.Line} }

func typeOfParam(p *runbook.ParamSpec) typ {
	var t typ
	switch {
	case p.Secret:
		return is("secret")
	case p.Type == script.Int:
		t = is("int")
	case p.Type == script.Bool:
		t = is("bool")
	default:
		t = is("string")
	}
	if p.Default == nil && !p.Required {
		return t.or(is("NoneType"))
	}
	return t
}

// checkRunbook looks at what only the whole runbook tells.
func (c *checker) checkRunbook(main *module, book *runbook.Runbook) {}
