package sim

import (
	"cmp"
	"context"
	"fmt"
	"path"

	"zcp2kopano/runtime/host"
)

// A simulated service serves as soon as it is active, unless the fixture says otherwise. A service of a
// machine below that runs on as it was found is asked itself.

// Ask answers for a service that serves.
func (h *Host) Ask(ctx context.Context, q host.Question) (string, error) {
	h.mu.Lock()
	state := h.services[q.Service]
	below := h.below != nil && state != nil && state.found
	h.mu.Unlock()
	if below {
		return h.below.Ask(ctx, q)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	s, err := h.service(q.Service)
	switch err := cmp.Or(ctx.Err(), err); {
	case err != nil:
		return "", fmt.Errorf("%v: %w", q, err)
	case !s.Active:
		return "", fmt.Errorf("%v: connection refused", q)
	case state != nil && state.mute:
		return "", fmt.Errorf("%v: %w", q, host.ErrNeverAnswers)
	}
	return q.Expect, nil
}

// ServiceProcesses lists the processes that a service has in the simulation.
func (h *Host) ServiceProcesses(name string) ([]host.Process, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.processesOf(name, h.services[name]), nil
}

// ServiceLock knows of the locks that the fixture's services hold, of those of a machine below, and of
// files that lie there from an earlier time.
func (h *Host) ServiceLock(service string, paths []string) (*host.ServiceLock, error) {
	h.mu.Lock()
	state := h.services[service]
	below := h.below != nil && state != nil && state.found
	h.mu.Unlock()
	if below {
		return h.below.ServiceLock(service, paths)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if state != nil && state.active && state.upgrades && len(paths) > 0 {
		for _, p := range h.processesOf(service, state) {
			return &host.ServiceLock{Path: paths[0], Since: p.Started, Holder: p}, nil
		}
	}
	for _, name := range paths {
		if st, err := h.Lstat(path.Clean(name)); err == nil {
			return &host.ServiceLock{Path: name, Since: st.Mtime}, nil
		}
	}
	return nil, nil
}

// ServiceTrace knows where the log is, and nothing of what it says.
func (h *Host) ServiceTrace(_ context.Context, name, file string) host.Trace {
	t := host.Trace{Log: file}
	if file == "" && h.facts.Init == "systemd" {
		t.Log = "journalctl -u " + name
	}
	return t
}

// Revision tells what a service that runs has made of the database: one that was started here brings it to
// the target, and to what it was if that is not known.
func (h *Host) Revision(ctx context.Context, q host.RevisionQuery) (int64, error) {
	rows, err := h.Query(ctx, q.Conn, q.Query)
	if err != nil {
		return 0, err
	}
	now, err := rows.Number()
	if err != nil {
		return 0, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	state := h.services[q.Service]
	if state == nil || !state.active || state.found || state.mute || q.Target <= now {
		return now, nil
	}
	rows.Rows = [][]string{{fmt.Sprint(q.Target)}}
	h.database.changed[normalQuery(q.Query)] = rows
	return q.Target, nil
}
