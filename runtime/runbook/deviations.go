package runbook

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"go.starlark.net/syntax"

	"zcp2kopano/runtime/policy"
	"zcp2kopano/runtime/script"
)

// Deviation is something in which a site's runbook differs from the stock runbook that it is made of.
type Deviation struct {
	Kind string   `json:"kind"` // "steps added", "permissions beyond stock", ...
	What []string `json:"what"`
}

func (d Deviation) String() string { return d.Kind + ": " + strings.Join(d.What, ", ") }

const (
	stockRoot = "@stock//"
	siteRoot  = "//"
)

// relative is a module's name without its root: the stock's and a site's copy of it have the same.
func relative(label string) string {
	return strings.TrimPrefix(strings.TrimPrefix(label, stockRoot), siteRoot)
}

// OfStock is the stock runbook that a site's is made of, by its file: "debian.star"; empty if there is none.
func (rb *Runbook) OfStock(stock fs.FS) string {
	if stock == nil || strings.HasPrefix(rb.Name, stockRoot) || rb.origin == "" {
		return ""
	}
	name := relative(rb.origin)
	if _, err := fs.Stat(stock, name); err != nil || path.Dir(name) != "." {
		return ""
	}
	return name
}

// compared adds to a site's runbook in what it differs from the program's stock.
func compared(ctx context.Context, rb *Runbook, err error, opts script.LoadOptions) (*Runbook, error) {
	if err != nil {
		return nil, err
	}
	name := rb.OfStock(opts.Stock)
	if name == "" {
		return rb, nil
	}
	stock, err := Load(ctx, script.LoadOptions{Name: stockRoot + name, Stock: opts.Stock, Builtins: opts.Builtins, Limits: opts.Limits})
	if err != nil {
		return nil, fmt.Errorf("the stock runbook %s, to compare with: %w", name, err)
	}
	rb.Deviations = rb.Against(stock)
	return rb, nil
}

// Against lists in what a runbook differs from the one that it is made of.
func (rb *Runbook) Against(stock *Runbook) []Deviation {
	var all []Deviation
	add := func(kind string, what []string) {
		if len(what) > 0 {
			all = append(all, Deviation{kind, what})
		}
	}
	rb.stepsAgainst(stock, add)
	rb.paramsAgainst(stock, add)
	add("permissions beyond stock", permissions(rb.Policy, stock.Policy))
	add("permissions of the stock that it does without", permissions(stock.Policy, rb.Policy))
	if !slices.Equal(rb.Systems, stock.Systems) {
		add("systems", rb.Systems)
	}
	add("word to the outside", rb.tellsAgainst(stock))
	add("other texts", rb.textsAgainst(stock))
	return all
}

func (rb *Runbook) stepsAgainst(stock *Runbook, add func(string, []string)) {
	theirs := map[string]*Step{}
	for _, s := range stock.All() {
		theirs[s.Name] = s
	}
	var added, replaced, changed, common []string
	before := ""
	for _, s := range rb.All() {
		old := theirs[s.Name]
		switch {
		case old == nil && before == "":
			added = append(added, s.Name+" (at the begin)")
		case old == nil:
			added = append(added, fmt.Sprintf("%s (after %s)", s.Name, before))
		case relative(s.file()) != relative(old.file()) || s.fn.Name() != old.fn.Name():
			replaced = append(replaced, fmt.Sprintf("%s (by %s of %s)", s.Name, s.fn.Name(), relative(s.file())))
		case rb.textOf(s) != stock.textOf(old):
			changed = append(changed, s.Name)
		}
		before = s.Name
		if old != nil {
			common = append(common, s.Name)
		}
	}
	var out, kept []string
	for _, s := range stock.All() {
		if slices.Contains(common, s.Name) {
			kept = append(kept, s.Name)
		} else {
			out = append(out, s.Name)
		}
	}
	add("steps added", added)
	add("steps left out", out)
	add("steps replaced", replaced)
	add("steps changed", changed)
	add("steps moved", moved(kept, common))
}

// moved are the names that stand elsewhere: those that are not in the longest order that both have.
func moved(was, is []string) []string {
	longest := make([][]string, len(is))
	var best []string
	for i, name := range is {
		for j := range i {
			if slices.Index(was, is[j]) < slices.Index(was, name) && len(longest[j]) > len(longest[i]) {
				longest[i] = longest[j]
			}
		}
		longest[i] = append(slices.Clone(longest[i]), name)
		if len(longest[i]) > len(best) {
			best = longest[i]
		}
	}
	return slices.DeleteFunc(slices.Clone(is), func(name string) bool { return slices.Contains(best, name) })
}

func (rb *Runbook) paramsAgainst(stock *Runbook, add func(string, []string)) {
	theirs := map[string]*ParamSpec{}
	for _, p := range stock.Params {
		theirs[p.Name] = p
	}
	var added, defaults, others, out []string
	for _, p := range rb.Params {
		old := theirs[p.Name]
		delete(theirs, p.Name)
		switch {
		case old == nil:
			added = append(added, p.Name)
			continue
		case p.DefaultText() != old.DefaultText():
			defaults = append(defaults, fmt.Sprintf("%s = %s (%s)", p.Name, quoted(p.DefaultText()), quoted(old.DefaultText())))
		}
		if p.Type != old.Type || p.Secret != old.Secret || p.Required != old.Required && old.DefaultText() == p.DefaultText() ||
			!slices.Equal(p.Choices, old.Choices) || p.RangeText() != old.RangeText() {
			others = append(others, p.Name)
		}
	}
	out = slices.Sorted(maps.Keys(theirs))
	add("parameters added", added)
	add("parameters left out", out)
	add("other defaults (the stock's)", defaults)
	add("parameters that take other values", others)
}

// tellsAgainst lists the functions that tell of a run's end, where the stock has none, or others.
func (rb *Runbook) tellsAgainst(stock *Runbook) []string {
	var tells []string
	for _, pair := range [][2]*Step{{rb.OnFailure, stock.OnFailure}, {rb.OnSuccess, stock.OnSuccess}} {
		mine, theirs := pair[0], pair[1]
		if mine != nil && (theirs == nil || mine.fn.Name() != theirs.fn.Name() || relative(mine.file()) != relative(theirs.file())) {
			tells = append(tells, mine.Name)
		}
	}
	return tells
}

func quoted(text string) string {
	if text == "" {
		return `""`
	}
	return text
}

// permissions are those of a policy that another has not.
func permissions(of, without policy.Policy) []string {
	var more []string
	for _, c := range classes {
		for _, entry := range of.Allow[c.class] {
			text := c.arg + " " + entry
			if !slices.Contains(without.Allow[c.class], entry) && !slices.Contains(more, text) {
				more = append(more, text)
			}
		}
	}
	return more
}

// textsAgainst lists the modules of the stock of which the runbook has a copy with another text.
func (rb *Runbook) textsAgainst(stock *Runbook) []string {
	if rb.program == nil || stock.program == nil {
		return nil
	}
	theirs := map[string]string{}
	for label, text := range stock.program.Modules() {
		theirs[relative(label)] = text
	}
	var other []string
	for label, text := range rb.program.Modules() {
		if old, is := theirs[relative(label)]; is && old != text {
			other = append(other, relative(label))
		}
	}
	slices.Sort(other)
	return other
}

// file is the module that defines the step's function.
func (s *Step) file() string { return s.fn.Position().Filename() }

// textOf is the text of the step's function; empty if it cannot be found.
func (rb *Runbook) textOf(s *Step) string {
	if rb.program == nil {
		return ""
	}
	source := rb.program.Modules()[s.file()]
	file, err := (&syntax.FileOptions{Set: true}).Parse(s.file(), source, 0)
	if err != nil {
		return ""
	}
	lines := strings.Split(source, "\n")
	text := ""
	syntax.Walk(file, func(n syntax.Node) bool {
		def, ok := n.(*syntax.DefStmt)
		if ok && def.Name.NamePos.Line == s.fn.Position().Line {
			from, to := def.Span()
			text = strings.Join(lines[from.Line-1:min(int(to.Line), len(lines))], "\n")
		}
		return text == ""
	})
	return text
}
