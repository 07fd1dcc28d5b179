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
	*sim.Host
}

func (h *hostValue) String() string        { return "<host>" }
func (h *hostValue) Type() string          { return "host" }
func (h *hostValue) Freeze()               {}
func (h *hostValue) Truth() starlark.Bool  { return true }
func (h *hostValue) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable type: host") }

// hosts are those of fixtures, which are built once and copied.
type hosts struct {
	mu   sync.Mutex
	made map[string]*made
}

type made struct {
	once sync.Once
	host *sim.Host
	err  error
}

// host is the host of a fixture's text.
func (s *suite) host(text string) (*sim.Host, error) {
	s.hosts.mu.Lock()
	m := s.hosts.made[text]
	if m == nil {
		m = &made{}
		s.hosts.made[text] = m
	}
	s.hosts.mu.Unlock()
	m.once.Do(func() {
		fixture, err := sim.ReadFixture([]byte(text))
		if err == nil {
			m.host, err = fixture.Host(s.Sim)
		}
		m.err = err
	})
	return m.host, m.err
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
	if text, err = sim.EditFixture(text, edits); err != nil {
		return nil, c.Errorf("%w", err)
	}
	h, err := t.suite.host(text)
	if err != nil {
		return nil, c.Errorf("%w", err)
	}
	return &hostValue{text, h}, nil
}

// hostOf is an argument that is a host, or a run, which has left one.
func hostOf(c *script.Call, name string) (*hostValue, error) {
	switch v := c.Value(name).(type) {
	case *hostValue:
		return v, nil
	case *runValue:
		return v.host, nil
	default:
		return nil, c.Errorf("argument %s: got %s, want a host or a run", name, v.Type())
	}
}
