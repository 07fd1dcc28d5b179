package live

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"zcp2kopano/runtime/host"
)

// ExpelPackages has rpm erase packages, whatever needs them; one whose scriptlets fail goes without them.
func (h rpmsWriter) ExpelPackages(ctx context.Context, list []host.Change, keep string, w *host.PackageWatch) error {
	if err := host.CheckPackageNames(namesOf(list)); err != nil {
		return err
	}
	notes := &scriptNotes{h.write, keep}
	if err := h.turn.take(ctx, w, func() error { return nil }); err != nil || len(list) == 0 {
		return err
	}
	left, err := h.stillThere(list)
	if err != nil || len(left) == 0 {
		return err
	}
	erase := func(options ...string) error {
		return h.turn.take(ctx, w, func() error {
			args := append(append([]string{"-e", "--nodeps", "--allmatches"}, options...), left...)
			_, err := h.m.managePackages(ctx, w, notes, command{Args: args, Env: rpmEnv}, "rpm")
			return err
		})
	}
	if !notes.has(scriptlet) {
		failed := erase()
		var command *host.CommandError
		if failed != nil && (ctx.Err() != nil || !errors.As(failed, &command)) {
			return failed
		}
		if left, err = h.stillThere(list); err != nil || len(left) == 0 {
			return err
		}
	}
	for _, name := range left {
		if err := h.keepScriptlets(ctx, name, keep+"/"+name+".scripts"); err != nil {
			return err
		}
		w.Line(fmt.Sprintf("%s goes without its scriptlets, one of which failed or hung; they are kept as %s", name, keep+"/"+name+".scripts"))
	}
	return erase("--noscripts", "--notriggers")
}

func (h rpmsWriter) stillThere(list []host.Change) ([]string, error) {
	packages, err := h.rpms.packagesByName()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, c := range list {
		if _, known := packages[c.Name]; known {
			names = append(names, strings.TrimSuffix(c.Name, "."+packages[c.Name].Arch))
		}
	}
	return names, nil
}

// keepScriptlets writes down what a package's scriptlets are.
func (h rpmsWriter) keepScriptlets(ctx context.Context, name, file string) error {
	got, err := h.rpmWrite(ctx, nil, "-q", "--scripts", name)
	if err != nil {
		return err
	}
	if err := h.write.Unlink(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := h.write.Create(file, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte(got.Stdout))
	return errors.Join(err, f.Sync(), f.Close())
}
