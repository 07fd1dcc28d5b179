package live

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/packagelock"
)

// CommitPackages solves the transaction once more, refuses one that would remove more than it lists,
// carries it out and looks at the result: neither apt's foresight nor its exit code is taken on trust.
// It solves when nobody else is at work any more, because that one may change the packages.
func (h debsWriter) CommitPackages(ctx context.Context, tx host.Transaction, w *host.PackageWatch) error {
	var solution host.Solution
	err := h.turn.take(ctx, w, func() error {
		p, err := h.debs.pending(tx)
		if err != nil || p.empty() {
			return err
		}
		if solution, err = h.debs.solve(ctx, p); err != nil {
			return err
		}
		if err := tx.RefuseExtra(solution.Remove); err != nil {
			return err
		}
		return h.carryOut(ctx, p, w)
	})
	if err != nil {
		return err
	}
	if err := h.purgeLeft(ctx, tx, w); err != nil {
		return err
	}
	return h.verifyTransaction(tx, solution)
}

func (h debsWriter) carryOut(ctx context.Context, p debTransaction, w *host.PackageWatch) error {
	if len(p.remove)+len(p.install) > 0 {
		args := append([]string{"-o", "Dpkg::Use-Pty=0"}, append(p.options, aptConffiles()...)...)
		err := h.debs.withAptNames(p, func(command []string) error {
			got, err := h.debs.apt(ctx, w, append(args, command...)...)
			if hook := failedHook(got); err != nil && hook != "" {
				w.Warn(hookFailed + hook)
				return nil
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	if len(p.files) > 0 {
		return h.dpkg(ctx, w, append(append(keepConffiles[:2:2], "--install"), p.files...)...)
	}
	return nil
}

// failedHook is the command of the site's (apt.conf, DPkg::Post-Invoke and the like) whose failure was all that apt
// complains of; empty if it is anything else. apt calls it when its own work is done, which is looked at in any case: a
// backup of /etc that fails is no reason to stop half-way between two mail servers.
func failedHook(got answer) string {
	hook := ""
	for _, text := range complaints(got) {
		m := postInvoke.FindStringSubmatch(text)
		switch {
		case m != nil:
			hook = m[1]
		case text != "Sub-process returned an error code":
			return ""
		}
	}
	return hook
}

var postInvoke = regexp.MustCompile(`^Problem executing scripts ((?:DPkg::Post-Invoke|APT::Update::Post-Invoke(?:-Success)?) .*)$`)

const hookFailed = "a command of the site's, which apt calls when it is done, has failed: "

// purgeLeft purges what is removed but for its conffiles, by this transaction or before.
func (h debsWriter) purgeLeft(ctx context.Context, tx host.Transaction, w *host.PackageWatch) error {
	if !tx.Purge || len(tx.Remove) == 0 {
		return nil
	}
	packages, err := h.debs.packagesByName()
	if err != nil {
		return err
	}
	var left []string
	for _, name := range tx.Remove {
		if packages[name].Status == "config-files" {
			left = append(left, name)
		}
	}
	if len(left) == 0 {
		return nil
	}
	return h.turn.take(ctx, w, func() error {
		return h.dpkg(ctx, w, append([]string{"--purge"}, left...)...)
	})
}

func (h debsWriter) dpkg(ctx context.Context, w *host.PackageWatch, args ...string) error {
	_, err := h.m.managePackages(ctx, w, nil, command{Args: args, Env: aptEnv}, "dpkg")
	return err
}

func (h debsWriter) verifyTransaction(tx host.Transaction, s host.Solution) error {
	packages, err := h.debs.packagesByName()
	if err != nil {
		return err
	}
	var wrong []string
	for _, name := range tx.Remove {
		p, known := packages[name]
		if known && (tx.Purge || p.Status != "config-files") {
			wrong = append(wrong, fmt.Sprintf("%s is still %s", name, p.Status))
		}
	}
	for _, c := range append(s.Install[:len(s.Install):len(s.Install)], s.Upgrade...) {
		p := packages[c.Name]
		if !p.Installed() || p.Version != c.Version {
			wrong = append(wrong, strings.TrimSpace(fmt.Sprintf("%s %s is not installed but %s %s", c.Name, c.Version, p.Status, p.Version)))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("apt reports success, but %s; see /var/log/apt and /var/log/dpkg.log", strings.Join(wrong, ", "))
}

// RefreshPackages runs apt-get update: once for all sources, or once for each file given, leaving the
// lists of the others alone.
func (h debsWriter) RefreshPackages(ctx context.Context, only []string, w *host.PackageWatch) error {
	if len(only) == 0 {
		return h.turn.take(ctx, w, func() error { return h.debs.update(ctx, w) })
	}
	for _, path := range only {
		if !h.m.files.exists(path) {
			return fmt.Errorf("refresh the package lists of %s: no such file", path)
		}
		err := h.turn.take(ctx, w, func() error {
			return h.debs.update(ctx, w,
				"-o", "Dir::Etc::sourcelist="+path,
				"-o", "Dir::Etc::sourceparts=-",
				"-o", "APT::Get::List-Cleanup=0")
		})
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

func (v debs) update(ctx context.Context, w *host.PackageWatch, options ...string) error {
	// Error-Mode is known to apt 2.1 and later; before, failures are warnings and the exit code is 0.
	args := append([]string{"-q", "-o", "APT::Update::Error-Mode=any"}, options...)
	got, err := v.apt(ctx, w, append(args, "update")...)
	if packagelock.Lost(err) {
		return err
	}
	if hook := failedHook(got); err != nil && hook != "" {
		w.Warn(hookFailed + hook)
		err, got.Stderr = nil, errorLine.ReplaceAllString(got.Stderr, "") // of which the hook's are all
	}
	return updateError(got, err)
}

var errorLine = regexp.MustCompile(`(?m)^E: .*$`)

// updateTroubles are the warnings of apt-get update that mean that a repository was not read, or could
// not be trusted. With older lists at hand apt goes on with these and exits with 0.
var updateTroubles = []string{
	"Failed to fetch", "GPG error", "signature", "not signed", "NO_PUBKEY", "Hash Sum mismatch",
	"does not have a Release file", "no longer has a Release file", "index files failed to download",
	"were ignored, or old ones used", "Unable to", "Permission denied", "Release file",
}

func updateError(got answer, err error) error {
	var troubles []string
	for line := range strings.Lines(got.Stderr) {
		line = strings.TrimSpace(line)
		if text, ok := strings.CutPrefix(line, "E: "); ok {
			troubles = append(troubles, text)
		}
		if text, ok := strings.CutPrefix(line, "W: "); ok && containsAny(text, updateTroubles) {
			troubles = append(troubles, text)
		}
	}
	var failed *host.CommandError
	if len(troubles) == 0 || err != nil && (!errors.As(err, &failed) || got.Code <= 0) {
		return err
	}
	return fmt.Errorf("package lists: %s", strings.Join(troubles, "; "))
}

func containsAny(text string, parts []string) bool {
	for _, part := range parts {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// RepairPackages ends what an interrupted dpkg left: configurations and removals that were begun. Then it
// has apt complete dependencies as far as that takes no package away.
func (h debsWriter) RepairPackages(ctx context.Context, stay []string, w *host.PackageWatch) error {
	keep := func(ctx context.Context, w *host.PackageWatch) error { return h.wantAgain(ctx, stay) }
	repairs := []func(context.Context, *host.PackageWatch) error{h.endConfigurations, h.endRemovals, h.fixDependencies}
	if len(stay) > 0 {
		repairs = append([]func(context.Context, *host.PackageWatch) error{keep}, repairs...)
	}
	var broken []string
	var failed error
	for _, repair := range repairs {
		failed = h.turn.take(ctx, w, func() error { return repair(ctx, w) })
		var held *packagelock.HeldError
		if errors.As(failed, &held) || failed != nil && ctx.Err() != nil {
			return failed // who has the lock can still change what looks whole now
		}
		var err error
		if broken, err = h.debs.PackageAudit(); err != nil || len(broken) == 0 {
			return err
		}
	}
	if failed != nil {
		return fmt.Errorf("the package database is still broken (%s): %w", strings.Join(broken, "; "), failed)
	}
	return fmt.Errorf("the package database is still broken: %s", strings.Join(broken, "; "))
}

// wantAgain has dpkg want those of packages to be installed whose removal was begun.
func (h debsWriter) wantAgain(ctx context.Context, names []string) error {
	begun, err := h.debs.removalsBegun()
	if err != nil {
		return err
	}
	var selections strings.Builder
	for _, name := range slices.Concat(begun["deinstall"], begun["purge"]) {
		if slices.Contains(names, name) {
			fmt.Fprintf(&selections, "%s install\n", name)
		}
	}
	if selections.Len() == 0 {
		return nil
	}
	path, err := h.m.program("dpkg")
	if err != nil {
		return err
	}
	_, err = h.m.run(ctx, command{Path: path, Args: []string{"--set-selections"}, Env: aptEnv, Stdin: strings.NewReader(selections.String())})
	return err
}

func (h debsWriter) endConfigurations(ctx context.Context, w *host.PackageWatch) error {
	return h.dpkg(ctx, w, append(keepConffiles[:2:2], "--configure", "-a")...)
}

// endRemovals removes, or purges, the packages that dpkg was at removing: it configures none that are to
// go, and apt would end their removal only where it may remove anything.
func (h debsWriter) endRemovals(ctx context.Context, w *host.PackageWatch) error {
	begun, err := h.debs.removalsBegun()
	if err != nil {
		return err
	}
	for _, want := range []string{"deinstall", "purge"} {
		if len(begun[want]) == 0 {
			continue
		}
		option := map[string]string{"deinstall": "--remove", "purge": "--purge"}[want]
		if err := h.dpkg(ctx, w, append([]string{option}, begun[want]...)...); err != nil {
			return err
		}
	}
	return nil
}

func (v debs) removalsBegun() (map[string][]string, error) {
	out, err := v.m.ask("dpkg-query", "-W", "-f=${binary:Package} ${Status}\n")
	return removalsBegun(out), err
}

// removalsBegun reads lines of name, what is wanted, whether it needs a new installation, and what is. It
// returns the packages that are half-way to be gone, by what is wanted.
func removalsBegun(out string) map[string][]string {
	begun := map[string][]string{}
	for line := range strings.Lines(out) {
		words := strings.Fields(line)
		if len(words) != 4 {
			continue
		}
		switch words[3] {
		case "half-installed", "half-configured", "unpacked", "triggers-awaited", "triggers-pending":
			begun[words[1]] = append(begun[words[1]], words[0])
		}
	}
	return begun
}

func (h debsWriter) fixDependencies(ctx context.Context, w *host.PackageWatch) error {
	args := append([]string{"-y", "-q", "-o", "Dpkg::Use-Pty=0", "--no-remove"}, aptConffiles()...)
	_, err := h.debs.apt(ctx, w, append(args, "-f", "install")...)
	return err
}

// aptConffiles hands keepConffiles through apt.
func aptConffiles() []string {
	var args []string
	for _, option := range keepConffiles {
		args = append(args, "-o", "Dpkg::Options::="+option)
	}
	return args
}
