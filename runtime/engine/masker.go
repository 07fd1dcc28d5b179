package engine

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
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
	known []string
}

var _ action.Secrets = (*masker)(nil)

// newMasker knows the secrets that an earlier process of the run has kept.
func newMasker(keeper action.Secrets) *masker {
	m := &masker{keeper: keeper}
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

// remember adds a secret. One that is too short to be searched for is still masked where a line of
// configuration names it.
func (m *masker) remember(s host.Secret) {
	text := s.Reveal()
	if len(text) < secrets.Shortest {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if slices.Index(m.known, text) < 0 {
		m.known = append(m.known, text)
	}
}

// mask masks the known secrets in a message, and what looks like one.
func (m *masker) mask(text string) string { return secrets.MaskText(m.maskKnown(script.Masked(text))) }

func (m *masker) maskKnown(text string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, secret := range m.known {
		text = strings.ReplaceAll(text, secret, secrets.Mask)
	}
	return text
}

// within reports whether a secret stands in JSON text: a known one, or what looks like one.
func (m *masker) within(data json.RawMessage) bool { return m.knownWithin(data) || looksSecret(data) }

func (m *masker) knownWithin(data json.RawMessage) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, secret := range m.known {
		quoted, _ := json.Marshal(secret)
		if bytes.Contains(data, quoted[1:len(quoted)-1]) {
			return true
		}
	}
	return false
}

func looksSecret(data json.RawMessage) bool {
	var v any
	return json.Unmarshal(data, &v) == nil && anyText(v, func(text string) bool { return secrets.MaskText(text) != text })
}

// anyText reports whether a test is true of a string in decoded JSON.
func anyText(v any, test func(string) bool) bool {
	switch v := v.(type) {
	case string:
		return test(v)
	case []any:
		return slices.ContainsFunc(v, func(item any) bool { return anyText(item, test) })
	case map[string]any:
		for _, item := range v {
			if anyText(item, test) {
				return true
			}
		}
	}
	return false
}
