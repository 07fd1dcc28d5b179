package sim

import (
	"slices"
	"strings"
	"sync"

	"zcp2kopano/runtime/host"
)

// gaps are what the simulation does not know.
type gaps struct {
	mu   sync.Mutex
	list []host.Unpredicted
	seen map[host.Unpredicted]bool
}

func newGaps() *gaps { return &gaps{seen: map[host.Unpredicted]bool{}} }

// add records one thing, once.
func (g *gaps) add(u host.Unpredicted) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.seen[u] {
		return
	}
	g.seen[u] = true
	g.list = append(g.list, u)
}

// all lists them in order of occurrence.
func (g *gaps) all() []host.Unpredicted {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.list)
}

func (g *gaps) forget() { g.list, g.seen = nil, map[host.Unpredicted]bool{} }

// Copied implements host.CopyWatcher.
func (h *Host) Copied(from, to string) {
	h.packages.copied(from, to)
	for _, u := range h.gaps.all() {
		rest, below := strings.CutPrefix(u.Path, from)
		if u.Path == "" || !below || rest != "" && rest[0] != '/' {
			continue
		}
		u.Path = to + rest
		h.gaps.add(u)
	}
}
