package svc

import (
	"errors"
	"io"
	"io/fs"
	"syscall"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/script"
)

const (
	policyFile = action.PolicyFile
	policyKept = policyFile + ".zcp2kopano" // the host's own, while ours is there
	policyText = action.PolicyText
)

var holdStarts = &script.Builtin{
	Name: "svc.hold_starts",
	Doc: "Keeps packages from starting their services while they are installed.\n\n" +
		"On Debian and Ubuntu it puts " + policyFile + " in place, and keeps one that is there as " + policyKept + "; the policy " +
		"must allow both. Elsewhere there is nothing to do: with systemd, no package transaction of a run lets its packages start their " +
		"services, whatever their scripts want. svc.start works all the same. Take it back with svc.release_starts.",
	Result: "None",
	Effect: script.Change,
	Example: `
svc.hold_starts()
pkg.install(["kopano-server-packages"])
svc.release_starts()
`,
	Decide: func(c *script.Call) (script.Decision, error) {
		p := script.Decision{Result: starlark.None}
		s, err := look(c.View)
		if err != nil {
			return p, c.Errorf("%w", err)
		}
		switch {
		case !s.apt, s.ours:
			return p, nil
		case s.foreign && s.kept:
			return p, c.Errorf("%s is not of this program, and %s is there from an earlier run; remove the one that should not stay", policyFile, policyKept)
		case s.foreign:
			p.Actions = append(p.Actions, &action.Move{From: policyFile, To: policyKept})
		}
		p.Actions = append(p.Actions, &action.Write{Path: policyFile, Content: []byte(policyText), Mode: new(fs.FileMode(0o755))})
		return p, nil
	},
}

var releaseStarts = &script.Builtin{
	Name:   "svc.release_starts",
	Doc:    "Takes svc.hold_starts back: what was at " + policyFile + " before is there again.",
	Result: "None",
	Effect: script.Change,
	Example: `
svc.release_starts()
`,
	Decide: func(c *script.Call) (script.Decision, error) {
		p := script.Decision{Result: starlark.None}
		s, err := look(c.View)
		if err != nil {
			return p, c.Errorf("%w", err)
		}
		if s.apt && s.ours {
			p.Actions = append(p.Actions, &action.Remove{Path: policyFile})
		}
		if s.apt && s.kept && !s.foreign {
			p.Actions = append(p.Actions, &action.Move{From: policyKept, To: policyFile})
		}
		return p, nil
	},
}

// holding is what stands at policyFile and beside it.
type holding struct {
	apt     bool // the host has policy-rc.d at all
	ours    bool
	foreign bool // something else than ours is there
	kept    bool
}

func look(view host.View) (s holding, err error) {
	m, err := view.PackageManager()
	if err != nil || m.Name != "apt" {
		return s, err
	}
	s.apt = true
	if _, err := view.Lstat(policyKept); err == nil {
		s.kept = true
	} else if !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	if _, err := view.Lstat(policyFile); errors.Is(err, fs.ErrNotExist) {
		return s, nil
	} else if err != nil {
		return s, err
	}
	text, err := readAll(view, policyFile)
	if err != nil && !isNoneOfOurs(err) {
		return s, err
	}
	s.ours = err == nil && text == policyText
	s.foreign = !s.ours
	return s, nil
}

// isNoneOfOurs reports whether the error of reading a file says that it is not what this program writes.
// An error of the disk says nothing: the file could be ours, and would stay.
func isNoneOfOurs(err error) bool {
	for _, sign := range []error{host.ErrUnknown, host.ErrNotRegular, syscall.EISDIR, syscall.ELOOP, fs.ErrNotExist} {
		if errors.Is(err, sign) {
			return true
		}
	}
	return false
}

func readAll(view host.View, name string) (string, error) {
	f, err := view.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, 1<<16))
	return string(data), err
}
