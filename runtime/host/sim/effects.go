package sim

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/sim/shell"
)

// Effect is one thing that a maintainer script is known to do. A maintainer script is a program and
// is never run; what a catalogue says of it is carried out, all else is reported as not simulated.
type Effect struct {
	When string   // one of effectTimes
	Verb string   // a key of effectVerbs
	Args []string // without the options
	Opts map[string]string
}

// effectVerbs are the known verbs with the number of their arguments. Each takes the options named.
var effectVerbs = map[string]struct {
	args    int
	options []string
	check   string // what shows later whether an assumed effect is so
	do      func(sc *scripts, p *Package, e Effect) error
}{
	"system-group": {1, nil, checkAccount, effectCommand("groupadd", "--system")},
	"system-user":  {1, []string{"group", "home", "shell", "gecos"}, checkAccount, effectCommand("useradd", "--system")},
	"adduser":      {1, []string{"group", "home", "shell", "gecos"}, checkAccount, effectCommand("adduser", "--system", "--no-create-home")},
	"addgroup":     {1, nil, checkAccount, effectCommand("addgroup", "--system")},
	"dir":          {3, []string{"with"}, checkOwner, (*scripts).effectDir},
	"chown":        {2, nil, checkOwner, (*scripts).effectChown},
	"chown-tree":   {2, nil, checkOwner, (*scripts).effectChownTree},
	"chmod":        {2, nil, checkOwner, (*scripts).effectChmod},
	"copy":         {2, nil, checkFile, (*scripts).effectCopy},
	"delete":       {1, nil, checkFile, (*scripts).effectDelete},
	"enable":       {1, nil, checkService, func(sc *scripts, _ *Package, e Effect) error { return sc.system.packager.enable(e.Args[0]) }},
	"disable":      {1, nil, checkService, func(sc *scripts, _ *Package, e Effect) error { return sc.system.packager.disable(e.Args[0]) }},
	"preset":       {1, nil, checkService, (*scripts).effectPreset},
	"mask": {1, nil, checkService, func(sc *scripts, _ *Package, e Effect) error {
		return unitHelper{sc.services}.mask(e.Args[0] + ".service")
	}},
	"start":        {1, nil, checkService, (*scripts).effectStart},
	"stop":         {1, nil, checkService, (*scripts).effectStop},
	"nothing-else": {0, nil, "", func(*scripts, *Package, Effect) error { return nil }},
}

// What shows on the real host whether an assumed effect is so.
const (
	checkAccount = "the run looks the account up before it gives files to it"
	checkOwner   = "the run sets and verifies owners and modes of what it manages"
	checkFile    = "the run looks at the file before it changes it"
	checkService = "the run looks at the service before it starts or stops it"
)

// parseEffect reads "WHEN VERB ARGS...", for example "postinst dir /var/log/kopano 0750 kopano:kopano".
func parseEffect(line string, format Format) (Effect, error) {
	words, err := splitWords(line)
	if err != nil {
		return Effect{}, err
	}
	if times := format.effectTimes(); !slices.Contains(times, words[0]) || len(words) < 2 {
		return Effect{}, fmt.Errorf("%q does not begin with one of %s and a verb", line, strings.Join(times, ", "))
	}
	e := Effect{When: words[0], Verb: words[1], Opts: map[string]string{}}
	verb, ok := effectVerbs[e.Verb]
	if !ok {
		return e, fmt.Errorf("%q: unknown verb %q", line, e.Verb)
	}
	for _, w := range words[2:] {
		name, value, isOption := strings.Cut(w, "=")
		if isOption && slices.Contains(verb.options, name) {
			e.Opts[name] = value
			continue
		}
		e.Args = append(e.Args, w)
	}
	if len(e.Args) != verb.args {
		return e, fmt.Errorf("%q: %s takes %d arguments, not %d", line, e.Verb, verb.args, len(e.Args))
	}
	return e, nil
}

func (e Effect) String() string {
	words := []string{e.When, e.Verb}
	for _, a := range e.Args {
		words = append(words, quoteWord(a))
	}
	for _, name := range effectVerbs[e.Verb].options {
		if value, ok := e.Opts[name]; ok {
			words = append(words, quoteWord(name+"="+value))
		}
	}
	return strings.Join(words, " ")
}

// effects carries out what is known of a script, and reports whether that is all it does.
func (sc *scripts) effects(p *Package, when string) (complete bool, err error) {
	for _, e := range p.Effects {
		if e.Verb == "nothing-else" {
			complete = complete || e.When == when
			continue
		}
		if e.When != when || e.Verb == "dir" && p.declaresDir(e.Args[0]) {
			continue
		}
		if err := effectVerbs[e.Verb].do(sc, p, e); err != nil {
			return complete, fmt.Errorf("%s of %s: %s: %w", when, p.Name, e.Verb, err)
		}
	}
	return complete, nil
}

// effectCommand makes an account as a program would that a script calls, unless it is there.
func effectCommand(program string, args ...string) func(*scripts, *Package, Effect) error {
	return func(sc *scripts, p *Package, e Effect) error {
		m, name := &machine{scripts: sc, p: p}, e.Args[0]
		if isGroup := program == "groupadd" || program == "addgroup"; isGroup && m.hasGroup(name) || !isGroup && m.hasUser(name) {
			return nil
		}
		c := shell.Command{Args: slices.Concat([]string{program}, args), Umask: 0o022}
		if _, named := e.Opts["group"]; program == "adduser" && !named {
			c.Args = append(c.Args, "--group")
		}
		for _, option := range slices.Sorted(maps.Keys(e.Opts)) {
			flag := "--" + map[string]string{"group": "gid", "home": "home", "shell": "shell", "gecos": "comment"}[option]
			if program == "adduser" && option == "group" {
				flag = "--ingroup"
			}
			c.Args = append(c.Args, flag, e.Opts[option])
		}
		c.Args = append(c.Args, name)
		r, err := scriptCommands[program](m, c)
		if err == nil && (r.Unknown || r.Status.Code != 0) {
			return &host.CommandError{Path: "/usr/sbin/" + program, Status: fmt.Sprintf("exit status %d", r.Status.Code), Output: program + ": " + name + " cannot be added"}
		}
		return err
	}
}

// effectDir makes a directory, or gives the one that is there the owner and mode; with a program of systemd
// that is named, where the host has it.
func (sc *scripts) effectDir(_ *Package, e Effect) error {
	if program := e.Opts["with"]; program != "" && !sc.files.hasProgram(program) && sc.system.facts.Init != "systemd" {
		return nil
	}
	mode, err := parsePerm(e.Args[1])
	if err != nil {
		return err
	}
	if err := sc.files.mkdirAll(path.Dir(e.Args[0])); err != nil {
		return err
	}
	if err := sc.files.Mkdir(e.Args[0], mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := sc.accounts.chownByName(e.Args[0], e.Args[2]); err != nil {
		return err
	}
	return sc.files.Chmod(e.Args[0], mode)
}

// effectChown is chown: of what a symlink leads to.
func (sc *scripts) effectChown(_ *Package, e Effect) error {
	name, _ := sc.files.conffilePath(e.Args[0])
	return sc.accounts.chownIfThere(name, e.Args[1])
}

// effectChownTree is chown -Rh: the tree below too, symlinks themselves.
func (sc *scripts) effectChownTree(_ *Package, e Effect) error {
	return sc.accounts.chownTree(e.Args[0], e.Args[1])
}

func (sc *scripts) effectChmod(_ *Package, e Effect) error {
	mode, err := parsePerm(e.Args[1])
	if err != nil {
		return err
	}
	if err := sc.files.Chmod(e.Args[0], mode); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// effectCopy copies a file of the package to where its script puts it, if nothing is there.
func (sc *scripts) effectCopy(p *Package, e Effect) error {
	from, to := e.Args[0], e.Args[1]
	if _, err := sc.files.Lstat(to); err == nil {
		return nil
	}
	f, ok := p.file(from)
	if !ok {
		return fmt.Errorf("%s is not a file of the package", from)
	}
	if err := sc.files.mkdirAll(path.Dir(to)); err != nil {
		return err
	}
	f.Path = to
	return sc.unpacker.writePackageFile(p, f, to)
}

func (sc *scripts) effectDelete(_ *Package, e Effect) error {
	return sc.files.removeAll(e.Args[0])
}

// effectPreset is systemctl preset: the distribution's and the site's presets decide. Those of RHEL and SUSE enable no service
// that they do not know, so a fixture without any enables none.
func (sc *scripts) effectPreset(_ *Package, e Effect) error {
	unit := e.Args[0] + ".service"
	if sc.system.facts.Init != "systemd" || !sc.services.hasPresets() && sc.services.below == nil || !sc.services.presetEnables(unit) {
		return nil
	}
	return unitHelper{sc.services}.preset(unit)
}

func (sc *scripts) effectStart(p *Package, e Effect) error {
	name := e.Args[0]
	switch allowed, why := sc.services.policyAllows(name, "start"); {
	case !allowed && why == "":
		return nil
	case !allowed:
		sc.gaps.add(host.Unpredicted{What: "start of " + name + " by the installation of " + p.Name, Why: why})
		return nil
	}
	if s, err := sc.services.service(name); err == nil && s.Masked {
		return nil
	}
	if err := sc.services.startService(name); !errors.Is(err, errUnmet) {
		return err
	}
	return nil
}

// effectStop leaves a service that does not stop at work. The scripts that debhelper and systemd's macros
// write for units go on without it; that for an init script gives up if the init script says that it failed.
func (sc *scripts) effectStop(p *Package, e Effect) error {
	name := e.Args[0]
	if allowed, _ := sc.services.policyAllows(name, "stop"); !allowed {
		return nil
	}
	if s := sc.services.known[name]; s != nil && s.active && s.stubborn {
		sc.gaps.add(host.Unpredicted{
			What: fmt.Sprintf("whether %s of %s fails because %s does not stop", e.When, p.Name, name),
			Why:  "maintainer scripts differ in this; the simulation goes on",
		})
		return nil
	}
	sc.services.stopService(name)
	return nil
}
