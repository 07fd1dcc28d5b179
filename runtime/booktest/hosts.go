package booktest

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/host/sim"
	"zcp2kopano/runtime/script"
)

// hostValue is a simulated host, as a test has it. Nothing changes it: a run works on a copy.
type hostValue struct {
	text string // of its fixture; empty for a host that a run has left
	*made
}

func (h *hostValue) String() string        { return "<host>" }
func (h *hostValue) Type() string          { return "host" }
func (h *hostValue) Freeze()               {}
func (h *hostValue) Truth() starlark.Bool  { return true }
func (h *hostValue) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable type: host") }

// made is a host that is built when something first needs it: one of which others are made by edits may never be.
type made struct {
	once    sync.Once
	fixture *sim.Fixture
	opts    sim.Options
	built   *sim.Host
	err     error
}

// left is a host that there is already.
func left(h *sim.Host) *hostValue {
	m := &made{built: h}
	m.once.Do(func() {})
	return &hostValue{made: m}
}

func (m *made) host() (*sim.Host, error) {
	m.once.Do(func() { m.built, m.err = m.fixture.Host(m.opts) })
	return m.built, m.err
}

// hosts are those of whole fixtures, which many tests begin with.
type hosts struct {
	mu   sync.Mutex
	made map[string]*made
}

// host is the host of a fixture's text, to be kept if it is that of a file.
func (s *suite) host(text string, keep bool) (*hostValue, error) {
	s.hosts.mu.Lock()
	defer s.hosts.mu.Unlock()
	if m := s.hosts.made[text]; m != nil {
		return &hostValue{text, m}, nil
	}
	fixture, err := sim.ReadFixture([]byte(text))
	if err != nil {
		return nil, err
	}
	m := &made{fixture: fixture, opts: s.Sim}
	if keep {
		s.hosts.made[text] = m
	}
	return &hostValue{text, m}, nil
}

// fixture reads a fixture: a shipped one by its name, or a file of the directory that is tested, beside the test.
func (t *tester) fixture(name string) (string, error) {
	if data, err := fs.ReadFile(t.suite.Hosts, strings.TrimSuffix(name, ".txtar")+".txtar"); err == nil {
		return string(data), nil
	}
	beside := path.Join(path.Dir(t.file.name), name)
	data, err := fs.ReadFile(t.suite.root.FS(), beside)
	if err != nil {
		shipped, _ := fs.Glob(t.suite.Hosts, "*.txtar")
		return "", fmt.Errorf("no fixture %s: neither the file %s of the directory under test, nor shipped: %s",
			name, beside, strings.ReplaceAll(strings.Join(shipped, ", "), ".txtar", ""))
	}
	return string(data), nil
}

func makeHost(c *script.Call) (starlark.Value, error) {
	t, err := testing(c)
	if err != nil {
		return nil, err
	}
	text := ""
	switch from := c.Value("fixture").(type) {
	case starlark.String:
		if text = string(from); !strings.Contains(text, "\n") {
			text, err = t.fixture(text)
		}
	case *hostValue:
		if text = from.text; text == "" {
			err = fmt.Errorf("a host that a run has left cannot be edited; edit the one that it began with")
		}
	default:
		err = fmt.Errorf("fixture: got %s, want a name, the text of a fixture, or a host", from.Type())
	}
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	edits := sim.Edits{Remove: c.Strings("remove")}
	for name, to := range map[string]*map[string]string{
		"replace": &edits.Replace, "files": &edits.Files, "links": &edits.Links, "services": &edits.Services,
		"packages": &edits.Packages, "available": &edits.Available, "answers": &edits.Answers, "sections": &edits.Sections,
	} {
		if *to, err = c.Dict(name); err != nil {
			return nil, err
		}
	}
	edited, err := sim.EditFixture(text, edits)
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	_, named := c.Value("fixture").(starlark.String)
	h, err := t.suite.host(edited, named && edited == text)
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	return h, nil
}

// hostOf is the argument that is a host, or a run, which has left one.
func hostOf(c *script.Call) (*sim.Host, error) {
	var h *hostValue
	switch v := c.Value("host").(type) {
	case *hostValue:
		h = v
	case *runValue:
		h = v.host
	default:
		return nil, c.Errorf("argument host: got %s, want a host or a run", v.Type())
	}
	built, err := h.host()
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	return built, nil
}
