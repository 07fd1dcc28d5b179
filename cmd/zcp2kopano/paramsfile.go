package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/runbook"
)

// fileParam is a parameter as a file gives it.
type fileParam struct {
	value string
	where string // the file and the line
	dir   string // of the file
}

// readParamsFile reads lines of "name = value" into what earlier files said, which it overrides. Lines that begin
// with # are comments.
func readParamsFile(path string, into map[string]fileParam) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("--params: %w", err)
	}
	seen := map[string]bool{}
	for i, line := range strings.Split(string(data), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		where := fmt.Sprintf("%s:%d", path, i+1)
		name, value, ok := strings.Cut(line, "=")
		name = strings.TrimSpace(name)
		if !ok || name == "" {
			// the text is not repeated: it may be a secret in the wrong place
			return fmt.Errorf("%s: a line is NAME = VALUE; of a secret, NAME = FILE or NAME = env:VARIABLE", where)
		}
		if seen[name] {
			return fmt.Errorf("%s: parameter %s is given twice", where, name)
		}
		seen[name] = true
		into[name] = fileParam{strings.TrimSpace(value), where, filepath.Dir(path)}
	}
	return nil
}

// fill adds what files say of parameters that the command line does not give. Of a secret a file has no more than
// where it is: a name in it without a directory is beside the file.
func (p *params) fill(book *runbook.Runbook, plain map[string]string, secrets map[string]host.Secret) error {
	for _, name := range slices.Sorted(maps.Keys(p.filed)) {
		f := p.filed[name]
		i := slices.IndexFunc(book.Params, func(spec *runbook.ParamSpec) bool { return spec.Name == name })
		switch {
		case i < 0:
			return fmt.Errorf("%s: %w", f.where, book.NoParam(name))
		case book.Params[i].Secret:
			if err := p.fillSecret(name, f, secrets); err != nil {
				return err
			}
			continue
		}
		if _, given := plain[name]; given {
			continue
		}
		if err := book.CheckParam(name, f.value); err != nil {
			return fmt.Errorf("%s: %w", f.where, err)
		}
		plain[name] = f.value
	}
	return nil
}

// meantFor are the parameters of files that a runbook declares: a file may be of several runbooks.
func (p *params) meantFor(book *runbook.Runbook) *params {
	own := *p
	own.filed = map[string]fileParam{}
	for _, declared := range book.Params {
		if f, given := p.filed[declared.Name]; given {
			own.filed[declared.Name] = f
		}
	}
	return &own
}

func (p *params) fillSecret(name string, f fileParam, secrets map[string]host.Secret) error {
	if _, given := secrets[name]; given {
		return nil
	}
	source := f.value
	if source == "" || source == "-" {
		return fmt.Errorf("%s: parameter %s is a secret: name the file that holds it, or env:VARIABLE", f.where, name)
	}
	if !strings.HasPrefix(source, "env:") && !filepath.IsAbs(source) {
		source = filepath.Join(f.dir, source)
	}
	text, err := p.secretFrom(source, nil)
	if err != nil {
		return fmt.Errorf("%s: parameter %s: it is a secret, and not written here: %w", f.where, name, err)
	}
	secrets[name] = host.NewSecret(text)
	return nil
}
