package runbook

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"zcp2kopano/runtime/script"
)

// Load reads, checks and evaluates a runbook and all that it loads. Errors are for script.ErrorInfoOf.
func Load(ctx context.Context, opts script.LoadOptions) (*Runbook, error) {
	rb, err := defined(script.Load(ctx, withCore(opts)))
	if err != nil {
		return nil, err
	}
	if err := rb.documented(); err != nil {
		return nil, err
	}
	return compared(ctx, rb, nil, opts)
}

// documented wants the parameters to say what they mean. The copy of a runbook that is kept with a run is loaded without:
// runs outlive versions of the program.
func (rb *Runbook) documented() error {
	for _, p := range rb.Params {
		if strings.TrimSpace(p.Doc) == "" {
			return rb.program.At(p.pos, fmt.Errorf("parameter %s has no doc", p.Name), "say what it means, for the admin who is to give it: doc = \"…\"")
		}
	}
	return nil
}

// LoadCopy loads a runbook from the copy kept with a run: modules by label. LoadOptions.Stock is only compared with.
func LoadCopy(ctx context.Context, label string, modules map[string]string, opts script.LoadOptions) (*Runbook, error) {
	rb, err := defined(script.LoadCopy(ctx, label, modules, withCore(opts)))
	return compared(ctx, rb, err, opts)
}

func withCore(opts script.LoadOptions) script.LoadOptions {
	opts.Builtins = slices.Concat(CoreBuiltins(), opts.Builtins)
	return opts
}

// ErrNoRunbook is what a module is that defines none.
var ErrNoRunbook = errors.New("no runbook: the module must end with runbook = define(...)")

// defined is the runbook that a module defines.
func defined(program *script.Program, err error) (*Runbook, error) {
	if err != nil {
		return nil, err
	}
	made, ok := program.Globals["runbook"].(*Runbook)
	if !ok {
		return nil, fmt.Errorf("%s: %w", program.Label, ErrNoRunbook)
	}
	rb := *made
	rb.Name, rb.program = program.Label, program
	if rb.Doc == "" {
		rb.Doc = program.Doc()
	}
	return &rb, nil
}

// Modules returns the source of every module that the runbook consists of, by label.
func (rb *Runbook) Modules() map[string]string { return rb.program.Modules() }

// Digest covers every module of the runbook.
func (rb *Runbook) Digest() string {
	sum := sha256.New()
	modules := rb.Modules()
	for _, label := range slices.Sorted(maps.Keys(modules)) {
		fmt.Fprintf(sum, "%s\x00%d\x00%s", label, len(modules[label]), modules[label])
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// Builtin is a builtin that the runbook can call; nil if there is none of that name.
func (rb *Runbook) Builtin(name string) *script.Builtin {
	for _, b := range rb.program.Builtins {
		if b.Name == name {
			return b
		}
	}
	return nil
}
