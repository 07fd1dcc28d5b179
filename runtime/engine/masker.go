package engine

import (
	"encoding/json"
	"slices"
	"sync"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/secrets"
	"zcp2kopano/runtime/script"
)

// masker keeps secrets and masks them in all that the run says.
type masker struct {
	keeper action.Secrets

	mu    sync.Mutex
	known *secrets.Known
}

var _ action.Secrets = (*masker)(nil)

// newMasker knows the secrets that an earlier process of the run has kept, and the words that are none.
func newMasker(keeper action.Secrets, ordinary func() map[string]bool) *masker {
	m := &masker{keeper: keeper, known: secrets.NewKnown(ordinary)}
	if kept, ok := keeper.(interface{ All() []host.Secret }); ok {
		for _, s := range kept.All() {
			m.remember(s)
		}
	}
	return m
}

// Put keeps a secret and remembers it for masking.
func (m *masker) Put(s host.Secret) (string, error) {
	m.remember(s)
	return m.keeper.Put(s)
}

// Get returns a kept secret.
func (m *masker) Get(ref string) (host.Secret, error) {
	s, err := m.keeper.Get(ref)
	m.remember(s)
	return s, err
}

func (m *masker) remember(s host.Secret) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known.Add(s.Reveal())
}

// mask masks the known secrets in a message, and what looks like one.
func (m *masker) mask(text string) string { return secrets.MaskText(m.maskKnown(script.Masked(text))) }

func (m *masker) maskKnown(text string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.known.Mask(text)
}

// within reports whether a secret stands in JSON text: a known one, or what looks like one.
func (m *masker) within(data json.RawMessage) bool {
	var v any
	return json.Unmarshal(data, &v) == nil && anyText(v, func(text string) bool { return m.mask(text) != text })
}

// anyText reports whether a test is true of a string in decoded JSON.
func anyText(v any, test func(string) bool) bool {
	switch v := v.(type) {
	case string:
		return test(v)
	case []any:
		return slices.ContainsFunc(v, func(item any) bool { return anyText(item, test) })
	case map[string]any:
		for name, item := range v {
			if test(name) || anyText(item, test) {
				return true
			}
		}
	}
	return false
}
