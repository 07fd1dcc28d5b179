package sim

import (
	"cmp"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"zcp2kopano/runtime/host/sim/shell"
)

const (
	alternativesAdmin = "/var/lib/dpkg/alternatives"
	alternativesDir   = "/etc/alternatives"
)

// alternative is a name that stands for one of several files, as update-alternatives(1) keeps it. Slaves are
// names that go along with it.
type alternative struct {
	name    string
	auto    bool
	link    string
	slaves  []slaveLink
	choices []choice
}

type slaveLink struct{ name, link string }

type choice struct {
	path     string
	priority int
	slaves   map[string]string // files by the slave's name
}

// parseAlternative reads what dpkg keeps of a name: its state, its link, the slaves, and the choices.
func parseAlternative(name, text string) (*alternative, bool) {
	lines := strings.Split(text, "\n")
	next := func() (line string) {
		if len(lines) > 0 {
			line, lines = lines[0], lines[1:]
		}
		return line
	}
	a := &alternative{name: name, auto: next() == "auto", link: next()}
	for {
		slave := next()
		if slave == "" {
			break
		}
		a.slaves = append(a.slaves, slaveLink{slave, next()})
	}
	for {
		c := choice{path: next(), slaves: map[string]string{}}
		if c.path == "" {
			return a, a.link != "" && len(a.choices) > 0
		}
		var err error
		if c.priority, err = strconv.Atoi(next()); err != nil {
			return nil, false
		}
		for _, s := range a.slaves {
			c.slaves[s.name] = next()
		}
		a.choices = append(a.choices, c)
	}
}

func (a *alternative) text() string {
	var b strings.Builder
	state := "manual"
	if a.auto {
		state = "auto"
	}
	b.WriteString(state + "\n" + a.link + "\n")
	for _, s := range a.slaves {
		b.WriteString(s.name + "\n" + s.link + "\n")
	}
	b.WriteString("\n")
	for _, c := range a.choices {
		b.WriteString(c.path + "\n" + strconv.Itoa(c.priority) + "\n")
		for _, s := range a.slaves {
			b.WriteString(c.slaves[s.name] + "\n")
		}
	}
	return b.String() + "\n"
}

func (a *alternative) choice(file string) *choice {
	i := slices.IndexFunc(a.choices, func(c choice) bool { return c.path == file })
	if i < 0 {
		return nil
	}
	return &a.choices[i]
}

// best has the highest priority; of several, the first.
func (a *alternative) best() *choice {
	var best *choice
	for i, c := range a.choices {
		if best == nil || c.priority > best.priority {
			best = &a.choices[i]
		}
	}
	return best
}

// alternatives is update-alternatives(1). What an admin has bent by hand is left open.
func (m *machine) alternatives(c shell.Command) (shell.Result, error) {
	var words []string
	for _, word := range c.Args[1:] {
		if !slices.Contains([]string{"--quiet", "--verbose", "--skip-auto"}, word) {
			words = append(words, word)
		}
	}
	if len(words) > 0 && slices.Contains([]string{"--display", "--query", "--list", "--get-selections"}, words[0]) {
		return unanswered()
	}
	if len(words) < 2 {
		return notUnderstood()
	}
	action, args := words[0], words[1:]
	name := args[0]
	if action == "--install" && len(args) > 1 {
		name = args[1]
	}
	a, known := m.alternative(name)
	takes := map[string]int{"--set": 2, "--remove": 2, "--auto": 1, "--remove-all": 1}
	switch {
	case !known:
		return openAlternative(a, words)
	case action == "--install":
		return m.installAlternative(a, words)
	case takes[action] != len(args):
		return openAlternative(a, words)
	case action == "--remove" && a == nil:
		return done()
	}
	if a == nil {
		return ended(2)
	}
	switch action {
	case "--set":
		if a.choice(args[1]) == nil {
			return ended(2)
		}
		a.auto = false
		return byErrno(m.takeAlternative(a, args[1]))
	case "--auto":
		a.auto = true
	case "--remove-all":
		return byErrno(m.dropAlternative(a))
	case "--remove":
		return m.removeChoice(a, args[1])
	}
	return byErrno(m.takeAlternative(a, a.best().path))
}

// openAlternative leaves all links open that a call names, and those of what is kept of the name.
func openAlternative(a *alternative, words []string) (shell.Result, error) {
	var leaves []shell.Path
	add := func(link, name string) {
		leaves = append(leaves, shell.Path{Name: link}, shell.Path{Name: path.Join(alternativesDir, name)})
	}
	if a != nil {
		add(a.link, a.name)
		for _, s := range a.slaves {
			add(s.link, s.name)
		}
	}
	for i, word := range words {
		switch {
		case (word == "--install" || word == "--slave") && i+2 < len(words):
			add(words[i+1], words[i+2])
		case (word == "--remove" || word == "--remove-all" || word == "--set" || word == "--auto") && i+1 < len(words):
			leaves = append(leaves, shell.Path{Name: path.Join(alternativesDir, words[i+1])})
		}
	}
	if len(leaves) == 0 {
		return notUnderstood()
	}
	return unknown("which alternative is taken is not worked out: its links are not as update-alternatives makes them", leaves...)
}

// alternative is what is kept of a name; nil if nothing is. What becomes of it is not known if the links are none
// that update-alternatives made.
func (m *machine) alternative(name string) (a *alternative, known bool) {
	now, linkErr := m.files.Readlink(path.Join(alternativesDir, name))
	text, err := m.files.readFile(path.Join(alternativesAdmin, name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, linkErr != nil
	case err != nil:
		return nil, false
	}
	a, known = parseAlternative(name, string(text))
	if !known || linkErr != nil || a.choice(now) == nil || a.auto && a.choice(now).priority != a.best().priority {
		return a, false
	}
	to, err := m.files.Readlink(a.link)
	return a, err == nil && to == path.Join(alternativesDir, name)
}

// installAlternative is --install LINK NAME FILE PRIORITY [--slave LINK NAME FILE]...
func (m *machine) installAlternative(a *alternative, words []string) (shell.Result, error) {
	if len(words) < 5 || (len(words)-5)%4 != 0 {
		return ended(2)
	}
	link, name, file := words[1], words[2], words[3]
	priority, err := strconv.Atoi(words[4])
	if err != nil || !m.files.exists(file) {
		return ended(2)
	}
	fresh := a == nil
	if fresh {
		a = &alternative{name: name, auto: true, link: link}
	}
	now, _ := m.files.Readlink(path.Join(alternativesDir, name))
	c := choice{path: file, priority: priority, slaves: map[string]string{}}
	odd := a.link != link || fresh && m.isThere(link)
	for rest := words[5:]; len(rest) > 0; rest = rest[4:] {
		if rest[0] != "--slave" {
			return ended(2)
		}
		slave := slaveLink{rest[2], rest[1]}
		at := slices.IndexFunc(a.slaves, func(s slaveLink) bool { return s.name == slave.name })
		switch {
		case at < 0:
			odd = odd || m.isThere(slave.link) || m.isThere(path.Join(alternativesDir, slave.name))
			a.slaves = append(a.slaves, slave)
		default:
			odd = odd || a.slaves[at].link != slave.link
		}
		c.slaves[slave.name] = rest[3]
	}
	if odd {
		return openAlternative(a, words)
	}
	if former := a.choice(file); former != nil {
		*former = c
	} else {
		a.choices = append(a.choices, c)
	}
	if a.auto || fresh {
		now = a.best().path
	}
	return byErrno(m.takeAlternative(a, now))
}

// removeChoice takes a file from a name; where it was the one that was taken by hand, the best is taken.
func (m *machine) removeChoice(a *alternative, file string) (shell.Result, error) {
	now, err := m.files.Readlink(path.Join(alternativesDir, a.name))
	if err != nil || a.choice(file) == nil {
		return done()
	}
	a.choices = slices.DeleteFunc(a.choices, func(c choice) bool { return c.path == file })
	if len(a.choices) == 0 {
		return byErrno(m.dropAlternative(a))
	}
	if a.auto || now == file {
		a.auto, now = true, a.best().path
	}
	return byErrno(m.takeAlternative(a, now))
}

// takeAlternative has the links of a name lead to a choice, and writes the name's state.
func (m *machine) takeAlternative(a *alternative, file string) error {
	c := a.choice(file)
	if err := m.linkTo(path.Join(alternativesDir, a.name), file); err != nil {
		return err
	}
	if err := m.linkTo(a.link, path.Join(alternativesDir, a.name)); err != nil {
		return err
	}
	for _, s := range a.slaves {
		at := path.Join(alternativesDir, s.name)
		if target := c.slaves[s.name]; target != "" && m.files.exists(target) {
			if err := errors.Join(m.linkTo(at, target), m.linkTo(s.link, at)); err != nil {
				return err
			}
			continue
		}
		if err := m.unlinkAlternative(s.link, at); err != nil {
			return err
		}
	}
	a.slaves = slices.DeleteFunc(a.slaves, func(s slaveLink) bool {
		return !slices.ContainsFunc(a.choices, func(c choice) bool { return c.slaves[s.name] != "" })
	})
	slices.SortFunc(a.slaves, func(x, y slaveLink) int { return cmp.Compare(x.name, y.name) })
	slices.SortFunc(a.choices, func(x, y choice) int { return cmp.Compare(x.path, y.path) })
	if err := m.files.mkdirAll(alternativesAdmin); err != nil {
		return err
	}
	return m.files.rewriteFile(path.Join(alternativesAdmin, a.name), []byte(a.text()), 0o644)
}

// dropAlternative removes all links of a name, and what is kept of it.
func (m *machine) dropAlternative(a *alternative) error {
	err := m.unlinkAlternative(a.link, path.Join(alternativesDir, a.name))
	for _, s := range a.slaves {
		err = errors.Join(err, m.unlinkAlternative(s.link, path.Join(alternativesDir, s.name)))
	}
	if err != nil {
		return err
	}
	return m.files.Unlink(path.Join(alternativesAdmin, a.name))
}

func (m *machine) linkTo(name, target string) error {
	if now, err := m.files.Readlink(name); err == nil {
		if now == target {
			return nil
		}
		if err := m.files.Unlink(name); err != nil {
			return err
		}
	}
	if err := m.files.mkdirAll(path.Dir(name)); err != nil {
		return err
	}
	return m.files.Symlink(target, name)
}

// unlinkAlternative removes a link and the one in /etc/alternatives that it leads to, as far as they are there.
func (m *machine) unlinkAlternative(link, at string) error {
	for _, name := range []string{link, at} {
		if _, err := m.files.Readlink(name); err != nil {
			continue
		}
		if err := m.files.Unlink(name); err != nil {
			return err
		}
	}
	return nil
}

func (m *machine) isThere(name string) bool {
	_, err := m.files.Lstat(name)
	return err == nil
}
