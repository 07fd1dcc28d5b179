package booktest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/manifest"
	"zcp2kopano/runtime/host/sim"
	"zcp2kopano/runtime/journal"
	"zcp2kopano/runtime/near"
	"zcp2kopano/runtime/policy"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
	"zcp2kopano/runtime/state"
	"zcp2kopano/runtime/story"
)

// runDir is the directory of a run on its host.
const runDir = "/var/lib/zcp2kopano/runs/test"

// runValue is what came of a run.
type runValue struct {
	fields starlark.StringDict
	host   *hostValue // as it was left
	after  *sim.Host  // that
	before *sim.Host
	config engine.Config
	log    *journal.Log
}

var _ starlark.HasAttrs = (*runValue)(nil)

func (r *runValue) String() string        { return fmt.Sprintf("<run: %s>", r.fields["text"]) }
func (r *runValue) Type() string          { return "run" }
func (r *runValue) Freeze()               { r.fields.Freeze() }
func (r *runValue) Truth() starlark.Bool  { return true }
func (r *runValue) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable type: run") }
func (r *runValue) AttrNames() []string   { return slices.Sorted(maps.Keys(r.fields)) }

func (r *runValue) Attr(name string) (starlark.Value, error) {
	if v, ok := r.fields[name]; ok {
		return v, nil
	}
	return nil, fmt.Errorf("a run has no %s%s", name, near.HintOrList(name, r.AttrNames()))
}

// teller gathers what a run tells.
type teller struct {
	changes, output, granted, steps, skipped []string
	findings                                 []starlark.Value
	serious, titles                          []string
	unknown                                  []string
	told                                     bytes.Buffer
	console                                  func(story.Event)
	at                                       func() // hears of each change before it is made
}

func (t *teller) tell(e story.Event) {
	t.console(e)
	switch e.Kind {
	case story.StepBegin:
		t.steps = append(t.steps, e.Step)
	case story.StepSkipped:
		t.skipped = append(t.skipped, e.Step)
	case story.ChangeBegin:
		t.changes = append(t.changes, e.Step+": "+e.Text)
		t.at()
	case story.Output:
		t.output = append(t.output, e.Text)
	case story.Granted:
		t.granted = append(t.granted, e.Text)
	case story.UnpredictedIs:
		t.unknown = append(t.unknown, e.Unpredicted.What+": "+e.Unpredicted.Why)
	case story.FindingFound:
		f := e.Finding
		t.findings = append(t.findings, script.NewRecord(map[string]any{
			"severity": string(f.Severity), "key": f.Key, "title": f.Title, "reason": f.Reason, "remedy": f.Remedy,
			"step": f.Step, "final": f.Final, "overridden": f.Overridden,
		}))
		t.titles = append(t.titles, string(f.Severity)+": "+f.Title)
		if f.Severity != runbook.Info {
			t.serious = append(t.serious, string(f.Severity)+": "+f.Title)
		}
	}
}

// order is what a test asks for.
type order struct {
	mode    string
	book    *runbook.Runbook
	results map[string]starlark.Value
	until   string
	failAt  int
}

// carryOut carries a runbook out on a copy of a host.
func (t *tester) carryOut(c *script.Call, o order) (*runValue, error) {
	before, err := hostOf(c)
	if err != nil {
		return nil, err
	}
	plain, err := c.Dict("params")
	if err != nil {
		return nil, err
	}
	given, err := c.Dict("secrets")
	if err != nil {
		return nil, err
	}
	overrides, err := c.Dict("overrides")
	if err != nil {
		return nil, err
	}
	secrets := map[string]host.Secret{}
	for name, text := range given {
		secrets[name] = host.NewSecret(text)
	}
	o.book = o.book.Within(t.prog)
	if err := engine.CheckUntil(o.book, o.until); err != nil {
		return nil, c.Errorf("%w", err)
	}
	after := before.Clone()
	breaker := &breaker{Host: after, at: o.failAt}
	after.Files().Watch(breaker.file, nil)
	told := &teller{at: breaker.change}
	told.console = story.Console(&told.told, story.ConsoleOptions{})
	r := &runValue{host: left(after), after: after, before: before, log: journal.Memory("test", after.Now)}
	r.config = engine.Config{
		Mode: o.mode, ID: "test", Runbook: o.book, Params: plain, Secrets: secrets, Overrides: overrides, Results: o.results,
		Host: breaker, HostLabel: "of a test", Dir: runDir, Until: o.until, Journal: r.log, Keeper: state.Memory(),
		Version: "test", Now: after.Now, Stop: make(chan struct{}), Emit: told.tell,
	}
	v := engine.Execute(t.ctx, r.config)
	after.Files().Watch(nil, nil)
	if o.failAt > 0 && breaker.at > 0 {
		return nil, c.Errorf("fail_at: there is no change %d, the run has %d", o.failAt, v.Changes)
	}
	r.fields = starlark.StringDict{
		"code": starlark.MakeInt(v.Code), "text": starlark.String(v.Text), "host": r.host,
		"changes": script.ToStarlark(told.changes), "output": script.ToStarlark(told.output), "granted": script.ToStarlark(told.granted),
		"steps": script.ToStarlark(told.steps), "skipped": script.ToStarlark(told.skipped),
		"findings": starlark.NewList(told.findings), "titles": script.ToStarlark(told.titles), "serious": script.ToStarlark(told.serious),
		"not_simulated": script.ToStarlark(told.unknown), "no_return": starlark.String(v.NoReturn),
		"story": starlark.String(told.told.String()), "results": starlarkstruct.FromStringDict(starlarkstruct.Default, o.results),
	}
	return r, nil
}

func runBook(mode string) func(*script.Call) (starlark.Value, error) {
	return func(c *script.Call) (starlark.Value, error) {
		t, err := testing(c)
		if err != nil {
			return nil, err
		}
		book, err := bookOf(c)
		if err != nil {
			return nil, err
		}
		o := order{mode: mode, book: book, results: map[string]starlark.Value{}}
		if mode != "check" {
			o.until, o.failAt = c.String("until"), int(c.Int("fail_at", 0))
		}
		return t.carryOut(c, o)
	}
}

func bookOf(c *script.Call) (*runbook.Runbook, error) {
	book, ok := c.Value("runbook").(*runbook.Runbook)
	if !ok {
		return nil, c.Errorf("argument runbook: got %s, want a runbook: load(\"//site.star\", \"runbook\")", c.Value("runbook").Type())
	}
	return book, nil
}

func runOf(c *script.Call) (*runValue, error) {
	r, ok := c.Value("run").(*runValue)
	if !ok {
		return nil, c.Errorf("argument run: got %s, want a run", c.Value("run").Type())
	}
	return r, nil
}

func runStep(c *script.Call) (starlark.Value, error) {
	t, err := testing(c)
	if err != nil {
		return nil, err
	}
	book, err := bookOf(c)
	if err != nil {
		return nil, err
	}
	if book, err = book.Alone(c.String("step")); err != nil {
		return nil, c.Errorf("%w", err)
	}
	results, err := values(c, "results")
	if err != nil {
		return nil, err
	}
	return t.carryOut(c, order{mode: "run", book: book, results: results, failAt: int(c.Int("fail_at", 0))})
}

// values are a dict's values by name.
func values(c *script.Call, name string) (map[string]starlark.Value, error) {
	named := map[string]starlark.Value{}
	dict, ok := c.Value(name).(*starlark.Dict)
	if !ok {
		return named, nil
	}
	for _, item := range dict.Items() {
		key, ok := starlark.AsString(item[0])
		if !ok {
			return nil, c.Errorf("argument %s: name %s is not a string", name, item[0])
		}
		named[key] = item[1]
	}
	return named, nil
}

// anything is what a function that is called by itself may change: what no policy forbids.
var anything = policy.Policy{Allow: map[policy.Class][]string{
	policy.Path:    {"/etc/*", "/var/*/*", "/usr/*/*", "/srv/*", "/opt/*", "/root/*", "/home/*"},
	policy.Package: {"*"}, policy.Service: {"*"}, policy.Database: {"*"},
}}

func callFunction(c *script.Call) (starlark.Value, error) {
	t, err := testing(c)
	if err != nil {
		return nil, err
	}
	fn, ok := c.Value("function").(*starlark.Function)
	if !ok {
		return nil, c.Errorf("argument function: got %s, want a function defined with def", c.Value("function").Type())
	}
	allow := anything
	if c.Has("allow") {
		if allow, ok = runbook.PolicyOf(c.Value("allow")); !ok {
			return nil, c.Errorf("argument allow: got %s, want a policy()", c.Value("allow").Type())
		}
	}
	var args starlark.Tuple
	if list, ok := c.Value("args").(starlark.Sequence); ok {
		args = slices.Collect(starlark.Elements(list))
	}
	named, err := values(c, "named")
	if err != nil {
		return nil, err
	}
	book := runbook.Calling(fn, args, allow, c.Bool("looks", false))
	r, err := t.carryOut(c, order{mode: "run", book: book, results: named})
	if err != nil {
		return nil, err
	}
	r.fields["result"] = starlark.None
	if v, ended := named[fn.Name()]; ended {
		r.fields["result"] = v
	}
	return r, nil
}

// undone rolls a run back, and compares the host with what it was.
func undone(c *script.Call) (starlark.Value, error) {
	t, err := testing(c)
	if err != nil {
		return nil, err
	}
	r, err := runOf(c)
	if err != nil {
		return nil, err
	}
	_, records, damage, err := journal.Read(bytes.NewReader(r.log.Bytes()))
	if err = errors.Join(err, asError(damage)); err != nil {
		return nil, c.Errorf("%w", err)
	}
	after := r.after.Clone()
	cfg := r.config
	log, _, _, err := journal.OpenMemory(r.log.Bytes(), after.Now)
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	cfg.Mode, cfg.Host, cfg.Journal, cfg.Previous, cfg.Now, cfg.Until = "rollback", after, log, records, after.Now, ""
	cfg.Emit = nil
	if v := engine.Rollback(t.ctx, cfg, ""); v.Code != exit.Done {
		t.fail(c, "the run is not undone: exit code %d: %s%s", v.Code, v.Text, listed(v.Left))
		return starlark.False, nil
	}
	var states [2]*manifest.Manifest
	for i, h := range []host.View{r.before.Clone(), after} {
		if states[i], err = manifest.Take(h, manifest.Options{Ignore: manifest.Volatile}); err != nil {
			return nil, c.Errorf("%w", err)
		}
	}
	if diffs := manifest.Unexcused(manifest.Compare(states[0], states[1], after.Unpredicted())); len(diffs) > 0 {
		t.fail(c, "the host is not as it was before the run:\n%s", manifest.Table(diffs, "before", "undone"))
		return starlark.False, nil
	}
	return starlark.True, nil
}

func asError(damage *journal.Damage) error {
	if damage == nil {
		return nil
	}
	return damage
}

func listed(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return "\n  " + strings.Join(lines, "\n  ")
}
