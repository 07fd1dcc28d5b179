package aside

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"sync"

	"zcp2kopano/runtime/host"
)

// Client asks the process aside.
type Client struct {
	mu   sync.Mutex
	in   *gob.Decoder
	out  *gob.Encoder
	stop func() // tells the process to leave off what it is at
}

var _ Readers = (*Client)(nil)

// NewClient asks by a pair of pipes. Where a question's context ends before the answer is there, stop is called.
func NewClient(from io.Reader, to io.Writer, stop func()) *Client {
	return &Client{in: gob.NewDecoder(from), out: gob.NewEncoder(to), stop: stop}
}

func ask[R, A any](ctx context.Context, c *Client, method string, argument A) (answer R, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return answer, err
	}
	q := question{Method: method}
	q.Deadline, _ = ctx.Deadline()
	got := box[R]{}
	defer context.AfterFunc(ctx, func() {
		if !errors.Is(ctx.Err(), context.DeadlineExceeded) { // of that it knows itself
			c.stop()
		}
	})()
	if err = c.out.Encode(q); err == nil {
		err = c.out.Encode(box[A]{Value: argument})
	}
	if err == nil {
		err = c.in.Decode(&got)
	}
	if err != nil {
		return answer, fmt.Errorf("%s: the process that asks for this one does not answer: %w", method, err)
	}
	return got.Value, got.Error.asError()
}

var always = context.Background()

// Locks says what keeps the process that answers, as far as that was tried; empty for nothing.
func (c *Client) Locks() (string, error) { return ask[string](always, c, "Locks", "") }

func (c *Client) PackageManager() (host.PackageManager, error) {
	return ask[host.PackageManager](always, c, "PackageManager", "")
}

func (c *Client) Packages() ([]host.Package, error) {
	return ask[[]host.Package](always, c, "Packages", "")
}

func (c *Client) PackageFiles(name string) ([]string, error) {
	return ask[[]string](always, c, "PackageFiles", name)
}

func (c *Client) Candidates(names []string) (map[string][]host.Candidate, error) {
	return ask[map[string][]host.Candidate](always, c, "Candidates", names)
}

func (c *Client) Solve(tx host.Transaction) (host.Solution, error) {
	return ask[host.Solution](always, c, "Solve", tx)
}

func (c *Client) PackageLock() (*host.LockHolder, error) {
	return ask[*host.LockHolder](always, c, "PackageLock", "")
}

func (c *Client) PackageAudit() ([]string, error) {
	return ask[[]string](always, c, "PackageAudit", "")
}

func (c *Client) Losses(names []string) (map[string]string, error) {
	return ask[map[string]string](always, c, "Losses", names)
}

func (c *Client) ProbeRepository(ctx context.Context, p host.RepositoryProbe) (host.RepositoryAnswer, error) {
	sent := probe{Packages: p.Packages, Tx: p.Tx}
	for _, f := range p.Files {
		sent.Files = append(sent.Files, file{f.Path, f.Content.Reveal(), f.Mode})
	}
	return ask[host.RepositoryAnswer](ctx, c, "ProbeRepository", sent)
}

func (c *Client) Services(pattern string) ([]host.Service, error) {
	return ask[[]host.Service](always, c, "Services", pattern)
}

func (c *Client) Processes() ([]host.Process, error) {
	return ask[[]host.Process](always, c, "Processes", "")
}

func (c *Client) Listeners() ([]host.Listener, error) {
	return ask[[]host.Listener](always, c, "Listeners", "")
}

func (c *Client) ServiceProcesses(name string) ([]host.Process, error) {
	return ask[[]host.Process](always, c, "ServiceProcesses", name)
}

func (c *Client) Ask(ctx context.Context, q host.Question) (string, error) {
	return ask[string](ctx, c, "Ask", q)
}

func (c *Client) ServiceLock(service string, paths []string) (*host.ServiceLock, error) {
	return ask[*host.ServiceLock](always, c, "ServiceLock", lockArgs{service, paths})
}

// ServiceTrace is empty where the process does not answer, as where there is nothing to tell.
func (c *Client) ServiceTrace(ctx context.Context, name, file string) host.Trace {
	got, _ := ask[host.Trace](ctx, c, "ServiceTrace", logArgs{Name: name, File: file})
	return got
}

// LogEnd is empty where the process does not answer.
func (c *Client) LogEnd(ctx context.Context, name, file string) host.LogMark {
	got, _ := ask[host.LogMark](ctx, c, "LogEnd", logArgs{Name: name, File: file})
	return got
}

// LogSince is empty where the process does not answer: no log was seen.
func (c *Client) LogSince(ctx context.Context, name, file string, from host.LogMark) host.LogPart {
	got, _ := ask[host.LogPart](ctx, c, "LogSince", logArgs{name, file, from})
	return got
}
