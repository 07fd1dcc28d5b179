package sim

import (
	"errors"
	"fmt"
	"io/fs"
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
	do      func(h *Host, p *Package, e Effect) error
}{
	"system-group": {1, nil, checkAccount, effectCommand("groupadd", "--system")},
	"system-user":  {1, []string{"group", "home", "shell", "gecos"}, checkAccount, effectCommand("useradd", "--system")},
	"adduser":      {1, []string{"group", "home", "shell", "gecos"}, checkAccount, effectCommand("adduser", "--system", "--no-create-home")},
	"addgroup":     {1, nil, checkAccount, effectCommand("addgroup", "--system")},
	"dir":          {3, []string{"with"}, checkOwner, (*Host).effectDir},
	"chown":        {2, nil, checkOwner, (*Host).effectChown},
	"chown-tree":   {2, nil, checkOwner, (*Host).effectChownTree},
	"chmod":        {2, nil, checkOwner, (*Host).effectChmod},
	"copy":         {2, nil, checkFile, (*Host).effectCopy},
	"delete":       {1, nil, checkFile, (*Host).effectDelete},
	"enable":       {1, nil, checkService, func(h *Host, _ *Package, e Effect) error { return h.enableByPackage(e.Args[0]) }},
	"disable":      {1, nil, checkService, func(h *Host, _ *Package, e Effect) error { return h.disableByPackage(e.Args[0]) }},
	"mask":         {1, nil, checkService, func(h *Host, _ *Package, e Effect) error { return unitHelper{h}.mask(e.Args[0] + ".service") }},
	"start":        {1, nil, checkService, (*Host).effectStart},
	"stop":         {1, nil, checkService, (*Host).effectStop},
	"nothing-else": {0, nil, "", func(*Host, *Package, Effect) error { return nil }},
}

// What shows on the real host whether an assumed effect is so.
const (
	checkAccount = "the run looks the account up before it gives files to it"
	checkOwner   = "the run sets and verifies owners and modes of what it manages"
	checkFile    = "the run looks at the file before it changes it"
	checkService = "the run looks at the service before it starts or stops it"
)

// effectTimes are the scripts of a format. "purge" is postrm purge; "upgrade" is what preun and postun
// of rpm do when another version takes the package's place, while "preun" and "postun" are those of its
// end.
var effectTimes = map[Format][]string{
	Deb: {"preinst", "postinst", "prerm", "postrm", "purge"},
	RPM: {"pretrans", "pre", "post", "preun", "postun", "posttrans", "upgrade"},
}

// parseEffect reads "WHEN VERB ARGS...", for example "postinst dir /var/log/kopano 0750 kopano:kopano".
func parseEffect(line string, format Format) (Effect, error) {
	words, err := splitWords(line)
	if err != nil {
		return Effect{}, err
	}
	if times := effectTimes[format]; !slices.Contains(times, words[0]) || len(words) < 2 {
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

// effects carries out what is known of a script, and tells whether that is all it does.
func (h *Host) effects(p *Package, when string) (complete bool, err error) {
	for _, e := range p.Effects {
		if e.Verb == "nothing-else" {
			complete = complete || e.When == when
			continue
		}
		if e.When != when || e.Verb == "dir" && p.declaresDir(e.Args[0]) {
			continue
		}
		if err := effectVerbs[e.Verb].do(h, p, e); err != nil {
			return complete, fmt.Errorf("%s of %s: %s: %w", when, p.Name, e.Verb, err)
		}
	}
	return complete, nil
}

// effectCommand makes an account as a program would that a script calls, unless it is there.
func effectCommand(program string, args ...string) func(*Host, *Package, Effect) error {
	return func(h *Host, p *Package, e Effect) error {
		m, name := &machine{h: h, p: p}, e.Args[0]
		if isGroup := program == "groupadd" || program == "addgroup"; isGroup && m.hasGroup(name) || !isGroup && m.hasUser(name) {
			return nil
		}
		c := shell.Command{Args: slices.Concat([]string{program}, args), Umask: 0o022}
		if _, named := e.Opts["group"]; program == "adduser" && !named {
			c.Args = append(c.Args, "--group")
		}
		for _, option := range sortedKeys(e.Opts) {
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
func (h *Host) effectDir(_ *Package, e Effect) error {
	if program := e.Opts["with"]; program != "" && !h.hasProgram(program) && h.facts.Init != "systemd" {
		return nil
	}
	mode, err := parsePerm(e.Args[1])
	if err != nil {
		return err
	}
	if err := h.mkdirAll(path.Dir(e.Args[0])); err != nil {
		return err
	}
	if err := h.Mkdir(e.Args[0], mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := h.chownByName(e.Args[0], e.Args[2]); err != nil {
		return err
	}
	return h.Chmod(e.Args[0], mode)
}

// effectChown is chown: of what a symlink leads to.
func (h *Host) effectChown(_ *Package, e Effect) error {
	name, _ := h.conffilePath(e.Args[0])
	return h.chownIfThere(name, e.Args[1])
}

func (h *Host) chownIfThere(name, owner string) error {
	if _, err := h.Lstat(name); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return h.chownByName(name, owner)
}

// effectChownTree is chown -Rh: the tree below too, symlinks themselves.
func (h *Host) effectChownTree(_ *Package, e Effect) error {
	return h.chownTree(e.Args[0], e.Args[1])
}

func (h *Host) chownTree(name, owner string) error {
	if err := h.chownIfThere(name, owner); err != nil {
		return err
	}
	if st, err := h.Lstat(name); err != nil || !st.IsDir() {
		return nil
	}
	entries, err := h.ReadDir(name)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := h.chownTree(path.Join(name, entry.Name), owner); err != nil {
			return err
		}
	}
	return nil
}

func (h *Host) effectChmod(_ *Package, e Effect) error {
	mode, err := parsePerm(e.Args[1])
	if err != nil {
		return err
	}
	if err := h.Chmod(e.Args[0], mode); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// effectCopy copies a file of the package to where its script puts it, if nothing is there.
func (h *Host) effectCopy(p *Package, e Effect) error {
	from, to := e.Args[0], e.Args[1]
	if _, err := h.Lstat(to); err == nil {
		return nil
	}
	f, ok := p.file(from)
	if !ok {
		return fmt.Errorf("%s is not a file of the package", from)
	}
	if err := h.mkdirAll(path.Dir(to)); err != nil {
		return err
	}
	f.Path = to
	return h.writePackageFile(p, f, to)
}

func (h *Host) effectDelete(_ *Package, e Effect) error {
	return h.removeAll(e.Args[0])
}

func (h *Host) effectStart(p *Package, e Effect) error {
	name := e.Args[0]
	switch allowed, why := h.policyAllows(name, "start"); {
	case !allowed && why == "":
		return nil
	case !allowed:
		h.unpredict(host.Unpredicted{What: "start of " + name + " by the installation of " + p.Name, Why: why})
		return nil
	}
	if s, err := h.service(name); err == nil && s.Masked {
		return nil
	}
	return h.startService(name)
}

// effectStop leaves a service that does not stop at work. The scripts that debhelper and systemd's macros
// write for units go on without it; that for an init script gives up if the init script says that it failed.
func (h *Host) effectStop(p *Package, e Effect) error {
	name := e.Args[0]
	if allowed, _ := h.policyAllows(name, "stop"); !allowed {
		return nil
	}
	if s := h.services[name]; s != nil && s.active && s.stubborn {
		h.unpredict(host.Unpredicted{
			What: fmt.Sprintf("whether %s of %s fails because %s does not stop", e.When, p.Name, name),
			Why:  "maintainer scripts differ in this; the simulation goes on",
		})
		return nil
	}
	h.stopService(name)
	return nil
}

// policyAllows answers as invoke-rc.d(8) would with the host's /usr/sbin/policy-rc.d: a script that
// is nothing but an exit of 101 forbids. Of any other script the answer is not known, and the
// action is not carried out; why then says so.
func (h *Host) policyAllows(service, action string) (allowed bool, why string) {
	const policy = "/usr/sbin/policy-rc.d"
	text, err := h.readFile(policy)
	if errors.Is(err, fs.ErrNotExist) {
		return true, ""
	}
	if err != nil {
		return false, policy + " cannot be read: " + err.Error()
	}
	var commands []string
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "#") {
			commands = append(commands, line)
		}
	}
	if len(commands) == 1 {
		switch commands[0] {
		case "exit 101":
			return false, ""
		case "exit 0":
			return true, ""
		}
	}
	return false, fmt.Sprintf("%s is a program of its own; whether it lets %s %s is not known", policy, service, action)
}

// chownByName sets "user:group", names or numbers.
func (h *Host) chownByName(name, owner string) error {
	user, group, _ := strings.Cut(owner, ":")
	uid, gid, err := h.ownerIDs(user, group)
	if err != nil {
		return err
	}
	return h.Lchown(name, int(uid), int(gid))
}
