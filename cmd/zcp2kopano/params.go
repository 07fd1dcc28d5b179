package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/sim"
	"zcp2kopano/runtime/host/trust"
	"zcp2kopano/runtime/runbook"
)

// maxSecret bounds a secret's file; it is a password or a key.
const maxSecret = 64 << 10

// params are a runbook's parameters as the command line gives them.
type params struct {
	plain      []string
	secrets    []string
	files      []string
	filed      map[string]fileParam // what the files say
	overrides  []string
	distrusted []error      // files that somebody else could exchange
	meant      *sim.Fixture // what it says of the run is taken where nothing is given; nil for nothing
}

// complete adds what a snapshot says of the run that it was taken for. Of secrets it has no more than that
// they were given.
func (p *params) complete(book *runbook.Runbook, plain map[string]string, secrets map[string]host.Secret) {
	if p.meant == nil {
		return
	}
	for _, declared := range book.Params {
		value, meant := p.meant.Params[declared.Name]
		if _, given := plain[declared.Name]; meant && !given {
			plain[declared.Name] = value
		}
		if _, given := secrets[declared.Name]; !given && declared.Secret && slices.Contains(p.meant.Secrets, declared.Name) {
			secrets[declared.Name] = host.NewSecret("kept out of the snapshot")
		}
	}
}

func (p *params) flags(cmd *cobra.Command) {
	cmd.Flags().StringArrayVarP(&p.plain, "param", "p", nil, "set a parameter of the runbook: `NAME=VALUE` (repeatable)")
	cmd.Flags().StringArrayVar(&p.secrets, "secret", nil, "set a secret parameter: `NAME=FILE`, NAME=- for standard input, NAME=env:VARIABLE (repeatable)")
	cmd.Flags().StringArrayVar(&p.files, "params", nil, "take parameters from this `FILE`: lines of NAME = VALUE, of secrets NAME = FILE (repeatable: of a site, then of the server; a later one and --param win)")
	_ = cmd.MarkFlagFilename("params")
	_ = cmd.RegisterFlagCompletionFunc("param", completeParam)
	_ = cmd.RegisterFlagCompletionFunc("secret", completeSecret)
	cmd.Flags().StringArrayVar(&p.overrides, "override", nil, "go on in spite of an inhibitor: `KEY=REASON`; the key stands with the inhibitor, the reason in the journal (repeatable)")
	_ = cmd.RegisterFlagCompletionFunc("override", completeOverride)
}

// read returns what was given, by name.
func (p *params) read(stdin *os.File) (map[string]string, map[string]host.Secret, error) {
	plain := map[string]string{}
	for _, arg := range p.plain {
		name, value, ok := strings.Cut(arg, "=")
		if !ok || name == "" {
			// the text is not repeated: it may be a secret in the wrong place
			return nil, nil, fmt.Errorf("--param wants NAME=VALUE")
		}
		if _, twice := plain[name]; twice {
			return nil, nil, fmt.Errorf("--param %s is given twice", name)
		}
		plain[name] = value
	}
	secrets := map[string]host.Secret{}
	for _, arg := range p.secrets {
		name, source, ok := strings.Cut(arg, "=")
		if !ok || name == "" || source == "" {
			return nil, nil, fmt.Errorf("--secret wants NAME=FILE, NAME=- or NAME=env:VARIABLE")
		}
		if _, twice := secrets[name]; twice {
			return nil, nil, fmt.Errorf("--secret %s is given twice", name)
		}
		text, err := p.secretFrom(source, stdin)
		if err != nil {
			return nil, nil, fmt.Errorf("--secret %s: %w", name, err)
		}
		secrets[name] = host.NewSecret(text)
	}
	p.filed = map[string]fileParam{}
	for _, name := range p.files {
		if path, err := filepath.Abs(name); err == nil {
			p.judge(path)
		}
		if err := readParamsFile(name, p.filed); err != nil {
			return nil, nil, err
		}
	}
	return plain, secrets, nil
}

// secretFrom reads a secret, and notes if somebody else could exchange the file that holds it.
func (p *params) secretFrom(source string, stdin *os.File) (string, error) {
	if path, err := filepath.Abs(source); err == nil && source != "-" && !strings.HasPrefix(source, "env:") {
		p.judge(path)
	}
	return readSecret(source, stdin)
}

// judge notes a file that somebody else could exchange. One that cannot be looked at cannot be read either.
func (p *params) judge(path string) {
	var foreign *trust.Error
	if errors.As(trust.Check(trust.Here{}, trust.Ours(), path), &foreign) {
		p.distrusted = append(p.distrusted, foreign)
	}
}

// readOverrides returns what is overridden: why, by the key of the inhibitor.
func (p *params) readOverrides() (map[string]string, error) {
	overrides := map[string]string{}
	for _, arg := range p.overrides {
		key, reason, _ := strings.Cut(arg, "=")
		reason = strings.TrimSpace(reason)
		if !runbook.IsFindingKey(key) || reason == "" {
			return nil, fmt.Errorf("--override wants KEY=REASON: the key that stands with the inhibitor, and why it does not hold here")
		}
		if _, twice := overrides[key]; twice {
			return nil, fmt.Errorf("--override %s is given twice", key)
		}
		overrides[key] = reason
	}
	return overrides, nil
}

func readSecret(source string, stdin *os.File) (string, error) {
	if variable, ok := strings.CutPrefix(source, "env:"); ok {
		text, set := os.LookupEnv(variable)
		if !set {
			return "", fmt.Errorf("the environment has no variable %s", variable)
		}
		return text, nil
	}
	f := stdin
	if source != "-" {
		var err error
		if f, err = os.Open(source); err != nil {
			return "", fmt.Errorf("%w; it wants the name of a file that holds the secret", err)
		}
		defer f.Close()
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", err
	}
	if len(data) > maxSecret {
		return "", fmt.Errorf("longer than %d KiB", maxSecret>>10)
	}
	// files and pipes end in a line feed that does not belong to the secret
	return strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r"), nil
}

// askMissing asks on the terminal for required secrets that were not given.
func (a *app) askMissing(book *runbook.Runbook, secrets map[string]host.Secret) error {
	if !a.interactive() {
		return nil
	}
	for _, p := range book.Params {
		if _, given := secrets[p.Name]; given || !p.Secret || !p.Required {
			continue
		}
		fmt.Fprintf(a.err, "%s (%s): ", p.Name, p.Doc)
		text, err := term.ReadPassword(int(a.in.Fd()))
		fmt.Fprintln(a.err)
		if err != nil {
			return fmt.Errorf("asking for %s: %w", p.Name, err)
		}
		secrets[p.Name] = host.NewSecret(string(text))
	}
	return nil
}

func (a *app) interactive() bool {
	return term.IsTerminal(int(a.in.Fd())) && term.IsTerminal(int(a.err.Fd()))
}

// confirm asks for a full "yes". Any other word asks again; the end of input is a no.
func (a *app) confirm(question string) (bool, error) {
	if !a.interactive() {
		return false, fmt.Errorf("there is no terminal to ask on; add --yes if you are sure")
	}
	in := bufio.NewReader(a.in)
	for {
		fmt.Fprintf(a.err, "%s Type yes or no: ", question)
		line, err := in.ReadString('\n')
		switch strings.TrimSpace(strings.ToLower(line)) {
		case "yes":
			return true, nil
		case "no", "n":
			return false, nil
		}
		if err != nil {
			fmt.Fprintln(a.err)
			return false, nil
		}
	}
}
