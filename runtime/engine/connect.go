package engine

import (
	"context"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/trust"
	"zcp2kopano/runtime/policy"
	"zcp2kopano/runtime/story"
)

// connections are those of a run, and what may point to them. A runbook connects only to where the host's own
// configuration, the admin's parameters or its policy point: a name of the runbook's own would carry what it has read
// to anywhere.
type connections struct {
	mu    sync.Mutex
	told  map[string]bool // servers, as they are written
	tried map[string]bool // ports where nothing is sent
	files []string        // that the runbook has read: what of them is the host's configuration is judged when it matters
	inNow []string        // of files, those that the call in hand has read
	ours  []string        // paths that the run has changed, and where they lead
	// begunBy is the version that began a run which is resumed, if that one did not note what it read: nothing can be
	// judged by it then.
	begunBy string
	// unjournaled: the journal has its verdict, and nothing comes behind that.
	unjournaled bool
}

// manyFiles are more than a call opens that reads configuration.
const manyFiles = 64

// largestSource is what of a file is looked at: configuration is small.
const largestSource = 1 << 20

// opened notes a file that the runbook reads.
func (c *connections) opened(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.inNow) <= manyFiles && !slices.Contains(c.inNow, name) {
		c.inNow = append(c.inNow, name)
	}
}

// sources ends a call: the files that it has read, none if these were too many to be configuration.
func (c *connections) sources() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	read := c.inNow
	c.inNow = nil
	if len(read) > manyFiles {
		return nil
	}
	c.learn(read)
	return read
}

func (c *connections) learn(files []string) {
	for _, name := range files {
		if !slices.Contains(c.files, name) {
			c.files = append(c.files, name)
		}
	}
}

// changes notes what an action changes: what a run has written is no configuration of the host's.
func (r *Run) changes(a action.Action) {
	for _, t := range a.Touches() {
		if t.Class != policy.Path {
			continue
		}
		r.connections.ours = append(r.connections.ours, t.Name)
		if place, err := r.resolve(t.Name, true); err == nil && place != t.Name {
			r.connections.ours = append(r.connections.ours, place)
		}
	}
}

// learnSources brings back what a run knew that is resumed.
func (r *Run) learnSources(past *history) error {
	r.connections.learn(past.sources)
	if past.begun && past.info.Version != r.cfg.Version && past.unsourced() {
		r.connections.begunBy = past.info.Version
	}
	for _, p := range past.intents {
		a, err := p.action()
		if err != nil {
			return err
		}
		r.changes(a)
	}
	return nil
}

// Connect judges a connection before it is made, and tells of it the first time.
func (r *Run) Connect(s host.Server) error {
	r.connections.mu.Lock()
	defer r.connections.mu.Unlock()
	at := s.String()
	if r.connections.told[at] {
		return nil
	}
	why := r.pointsTo(s)
	if why == "" && r.connections.begunBy != "" {
		why = "not judged, since version " + r.connections.begunBy + " began the run and did not note which files it read"
	}
	if why == "" {
		return r.mayNotConnect(s)
	}
	r.connections.told[at] = true
	r.emit(story.Event{Kind: story.Connected, Text: at + ": " + why})
	if r.connections.unjournaled {
		return nil
	}
	_, err := r.cfg.Journal.AppendLazy("grant", grantRecord{Path: at, Why: why, Class: policy.Server})
	return err
}

// mayNotConnect names the files too that do name the server, each with why it does not count.
func (r *Run) mayNotConnect(s host.Server) error {
	passed := ""
	for _, name := range r.filesRead() {
		if not := r.notConfiguration(name); not != "" && s.NamedIn(r.sourceText(name)) {
			passed += fmt.Sprintf("; %s does, but %s", name, not)
		}
	}
	return fmt.Errorf("the runbook may not connect to %s: neither a parameter that was given, nor a file of this host's configuration that it has read, names it%s (allowed: %s); if that is meant, name it in a file of the configuration that the runbook reads and the run has not changed (a comment will do), add it to policy(servers = [...]) in define(), or with runbook.allowing(policy(...)) to a runbook that is built on another, which a run that has begun takes with resume --runbook FILE",
		s, passed, strings.Join(append([]string{"this host's usual ports"}, r.policy.Allow[policy.Server]...), ", "))
}

func (r *Run) filesRead() []string { return slices.Concat(r.connections.files, r.connections.inNow) }

// source is a text that may name servers.
type source struct{ label, text string }

// pointsTo says what points to a server; empty for nothing. Its port may stand in another place than its host.
func (r *Run) pointsTo(s host.Server) string {
	if s.Here() && s.Usual {
		return "this host"
	}
	if r.policy.Check([]policy.Target{{Class: policy.Server, Name: s.String()}}) == nil {
		return "the runbook's policy"
	}
	list := r.givenSources()
	for _, name := range r.filesRead() {
		if r.notConfiguration(name) == "" {
			list = append(list, source{"named in " + name, r.sourceText(name)})
		}
	}
	named := slices.IndexFunc(list, func(from source) bool { return s.NamedIn(from.text) })
	if named < 0 || !slices.ContainsFunc(list, func(from source) bool { return s.PortIn(from.text) }) {
		return ""
	}
	return list[named].label
}

// givenSources are the parameters.
func (r *Run) givenSources() (list []source) {
	for _, name := range slices.Sorted(maps.Keys(r.cfg.Params)) {
		list = append(list, source{"parameter " + name, r.cfg.Params[name]})
	}
	for _, name := range slices.Sorted(maps.Keys(r.cfg.Secrets)) {
		list = append(list, source{"parameter " + name, r.cfg.Secrets[name].Reveal()})
	}
	return list
}

// notConfiguration says why a file is none of the host's configuration; empty if it is: it lies in /etc, or nobody but
// root could exchange it, and the run has not changed it.
func (r *Run) notConfiguration(name string) string {
	place, err := action.Resolve(r.cfg.Host, name)
	if err != nil {
		return err.Error()
	}
	for _, own := range r.connections.ours {
		for _, at := range []string{name, place} {
			if at == own || strings.HasPrefix(at, own+"/") {
				return "the run has changed it"
			}
		}
	}
	if strings.HasPrefix(path.Clean(name), "/etc/") || strings.HasPrefix(place, "/etc/") {
		return ""
	}
	if err := trust.Check(r.cfg.Host, r.cfg.Trusted, name); err != nil {
		return "it lies outside /etc, and " + err.Error()
	}
	return ""
}

func (r *Run) sourceText(name string) string {
	f, err := r.cfg.Host.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, largestSource))
	if err != nil {
		return ""
	}
	return string(text)
}

// connectAll judges the servers of an action, or of a question.
func (r *Run) connectAll(servers []host.Server, err error) error {
	for _, s := range servers {
		if err == nil {
			err = r.Connect(s)
		}
	}
	return err
}

func (v reach) Query(ctx context.Context, conn host.DatabaseConn, query string) (host.Rows, error) {
	if err := v.run.Connect(conn.Server()); err != nil {
		return host.Rows{}, err
	}
	return v.View.Query(ctx, conn, query)
}

func (v reach) Revision(ctx context.Context, q host.RevisionQuery) (int64, error) {
	if err := v.run.Connect(q.Conn.Server()); err != nil {
		return 0, err
	}
	return v.View.Revision(ctx, q)
}

func (v reach) SearchDirectory(ctx context.Context, conn host.DirectoryConn, req host.DirectorySearch) ([]host.Entry, error) {
	if err := v.run.connectAll(conn.Servers()); err != nil {
		return nil, err
	}
	return v.View.SearchDirectory(ctx, conn, req)
}

func (v reach) SearchPages(ctx context.Context, conn host.DirectoryConn, req host.DirectorySearch, page func([]host.Entry) error) error {
	if err := v.run.connectAll(conn.Servers()); err != nil {
		return err
	}
	return v.View.SearchPages(ctx, conn, req, page)
}

func (v reach) Download(ctx context.Context, url, user string, password host.Secret) ([]byte, error) {
	if !strings.HasPrefix(url, "file:") {
		s, err := host.ServerAt(url)
		if err == nil {
			err = v.run.Connect(s)
		}
		if err != nil {
			return nil, err
		}
	}
	return v.View.Download(ctx, url, user, password)
}

// Answers tells of an address the first time that it is tried. It is not judged: nothing is sent there.
func (v reach) Answers(ctx context.Context, address string) (bool, error) {
	v.run.tries(address)
	return v.View.Answers(ctx, address)
}

func (r *Run) tries(address string) {
	r.connections.mu.Lock()
	defer r.connections.mu.Unlock()
	if !r.connections.tried[address] {
		r.connections.tried[address] = true
		r.emit(story.Event{Kind: story.Connected, Text: address + ": tried whether something answers there, nothing is sent"})
	}
}
