package booktest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"zcp2kopano/runtime/near"
	"zcp2kopano/runtime/script"
)

// equal compares two values.
func equal(c *script.Call) (starlark.Value, error) {
	t, err := testing(c)
	if err != nil {
		return nil, err
	}
	got, want := c.Value("got"), c.Value("want")
	same, err := starlark.Equal(got, want)
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	if !same {
		t.fail(c, "%s", difference(got, want))
	}
	return starlark.Bool(same), nil
}

// difference shows how two values differ: one line where that is enough, and else a diff of their parts.
func difference(got, want starlark.Value) string {
	if got.Type() != want.Type() {
		return fmt.Sprintf("got %s (%s), want %s (%s)", got, got.Type(), want, want.Type())
	}
	g, w := parts(got), parts(want)
	if strings.Count(g, "\n") <= 1 && strings.Count(w, "\n") <= 1 {
		return fmt.Sprintf("got %s, want %s", got, want)
	}
	text := string(diff.Diff("want", []byte(w), "got", []byte(g)))
	_, text, _ = strings.Cut(text, "\n") // "diff want got" says nothing that the next two lines do not
	return "it differs:\n" + strings.TrimRight(text, "\n")
}

// parts is a value as text, a line for each part.
func parts(v starlark.Value) string {
	var lines []string
	switch v := v.(type) {
	case starlark.String:
		if v == "" || strings.HasSuffix(string(v), "\n") {
			return string(v)
		}
		return string(v) + "\n"
	case *starlark.Dict:
		for _, item := range v.Items() {
			lines = append(lines, fmt.Sprintf("%s: %s", item[0], item[1]))
		}
		slices.Sort(lines)
	case *starlarkstruct.Struct:
		for _, name := range v.AttrNames() {
			attr, _ := v.Attr(name)
			lines = append(lines, fmt.Sprintf("%s = %s", name, attr))
		}
	case starlark.Sequence:
		for e := range starlark.Elements(v) {
			lines = append(lines, e.String())
		}
	default:
		lines = append(lines, v.String())
	}
	if len(lines) == 0 {
		return ""
	}
	return strings.Join(lines, "\n") + "\n"
}

func isTrue(c *script.Call) (starlark.Value, error) {
	t, err := testing(c)
	if err != nil {
		return nil, err
	}
	ok := bool(c.Value("condition").Truth())
	if !ok {
		t.fail(c, "got %s, want something true", c.Value("condition"))
	}
	return starlark.Bool(ok), nil
}

// holds looks for something in a text, or in the texts of a list.
func holds(wanted bool) func(*script.Call) (starlark.Value, error) {
	return func(c *script.Call) (starlark.Value, error) {
		t, err := testing(c)
		if err != nil {
			return nil, err
		}
		texts, err := textsOf(c.Value("got"))
		if err != nil {
			return nil, c.Errorf("argument got: %w", err)
		}
		part := c.String("part")
		found := slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(text, part) })
		switch {
		case found == wanted:
		case wanted:
			t.fail(c, "%q is not in it%s:%s", part, closest(part, texts), listed(texts))
		default:
			t.fail(c, "%q is in it:%s", part, listed(slices.DeleteFunc(texts, func(text string) bool { return !strings.Contains(text, part) })))
		}
		return starlark.Bool(found == wanted), nil
	}
}

func closest(part string, texts []string) string {
	if hint := near.Hint(part, texts); hint != "" {
		return hint
	}
	return ""
}

// textsOf is a text, or the texts of a list or of the keys of a dict.
func textsOf(v starlark.Value) ([]string, error) {
	if s, ok := v.(starlark.String); ok {
		return []string{string(s)}, nil
	}
	iterable, ok := v.(starlark.Iterable)
	if !ok {
		return nil, fmt.Errorf("got %s, want a text or a list", v.Type())
	}
	texts := []string{}
	for e := range starlark.Elements(iterable) {
		if s, ok := e.(starlark.String); ok {
			texts = append(texts, string(s))
		} else {
			texts = append(texts, e.String())
		}
	}
	return texts, nil
}

// finding looks for a finding of a run.
func finding(c *script.Call) (starlark.Value, error) {
	t, err := testing(c)
	if err != nil {
		return nil, err
	}
	r, err := runOf(c)
	if err != nil {
		return nil, err
	}
	want, reason := c.String("title"), c.String("reason")
	titles, _ := textsOf(r.fields["titles"])
	found := -1
	for i, title := range titles {
		if !strings.Contains(title, want) {
			continue
		}
		found = i
		if text := field(r, i, "reason"); strings.Contains(text, reason) {
			return r.fields["findings"].(*starlark.List).Index(i), nil
		}
	}
	if found >= 0 {
		t.fail(c, "%s: its reason does not hold %q: %s", titles[found], reason, field(r, found, "reason"))
		return starlark.None, nil
	}
	t.fail(c, "no finding %q; the run ended with code %s: %s%s", want, r.fields["code"], string(r.fields["text"].(starlark.String)), listed(titles))
	return starlark.None, nil
}

func field(r *runValue, i int, name string) string {
	v, err := r.fields["findings"].(*starlark.List).Index(i).(*starlarkstruct.Struct).Attr(name)
	if err != nil {
		return ""
	}
	text, _ := starlark.AsString(v)
	return text
}

// golden compares a text with what a file beside the test holds, or writes it down.
func golden(c *script.Call) (starlark.Value, error) {
	t, err := testing(c)
	if err != nil {
		return nil, err
	}
	text := ""
	switch v := c.Value("got").(type) {
	case starlark.String:
		text = string(v)
	case *runValue:
		text = string(v.fields["story"].(starlark.String))
	default:
		return nil, c.Errorf("argument got: got %s, want a text or a run", v.Type())
	}
	name := c.String("file")
	if !fs.ValidPath(name) {
		return nil, c.Errorf("argument file: %q is no path below the directory of the test", name)
	}
	name = path.Join(path.Dir(t.file.name), name)
	if t.suite.Update {
		if err := t.suite.write(name, text); err != nil {
			return nil, c.Errorf("%w", err)
		}
		return starlark.True, nil
	}
	want, err := fs.ReadFile(t.suite.root.FS(), name)
	if errors.Is(err, fs.ErrNotExist) {
		t.fail(c, "there is no %s; `zcp2kopano test --update` writes it", name)
		return starlark.False, nil
	}
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	if string(want) == text {
		return starlark.True, nil
	}
	shown := string(diff.Diff(name, want, "now", []byte(text)))
	_, shown, _ = strings.Cut(shown, "\n")
	t.fail(c, "it is not as in %s; read the difference, and if it is right: zcp2kopano test --update\n%s", name, strings.TrimRight(shown, "\n"))
	return starlark.False, nil
}

// write writes a golden file.
func (s *suite) write(name, text string) error {
	if err := s.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, text)
	return errors.Join(err, f.Close())
}
