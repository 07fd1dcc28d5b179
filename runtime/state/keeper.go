package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"sync"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/host"
)

// Keeper keeps secrets by reference ("s1", "s2"), each value once, in a file of mode 0600 or in
// memory. Its methods may be called from several goroutines.
type Keeper struct {
	mu    sync.Mutex
	path  string   // empty for memory
	texts []string // of s1, s2, ...
}

var _ action.Secrets = (*Keeper)(nil)

// Memory is a Keeper for a simulated run: nothing is written.
func Memory() *Keeper { return &Keeper{} }

func openKeeper(path string) (*Keeper, error) {
	k := &Keeper{path: path}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return k, nil
	}
	if err != nil {
		return nil, fmt.Errorf("secrets: %w", err)
	}
	if err := json.Unmarshal(data, &k.texts); err != nil {
		// the decoder's message may quote the content
		return nil, fmt.Errorf("secrets: %s is damaged: not the list of strings that the program wrote", path)
	}
	return k, nil
}

// Put keeps a secret, durably, and returns its reference.
func (k *Keeper) Put(s host.Secret) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	text := s.Reveal()
	for i, known := range k.texts {
		if known == text {
			return ref(i), nil
		}
	}
	texts := append(k.texts[:len(k.texts):len(k.texts)], text)
	if k.path != "" {
		data, err := json.Marshal(texts)
		if err != nil {
			return "", err
		}
		if err := writeFile(k.path, data); err != nil {
			return "", fmt.Errorf("secrets: %w", err)
		}
	}
	k.texts = texts
	return ref(len(texts) - 1), nil
}

// Get returns a kept secret.
func (k *Keeper) Get(r string) (host.Secret, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, text := range k.texts {
		if ref(i) == r {
			return host.NewSecret(text), nil
		}
	}
	return host.Secret{}, fmt.Errorf("no secret %q is kept", r)
}

// All returns the kept secrets: what a resumed run must mask, beside those that it meets itself.
func (k *Keeper) All() []host.Secret {
	k.mu.Lock()
	defer k.mu.Unlock()
	var all []host.Secret
	for _, text := range k.texts {
		all = append(all, host.NewSecret(text))
	}
	return all
}

func ref(i int) string { return "s" + strconv.Itoa(i+1) }
