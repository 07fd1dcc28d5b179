package sim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"

	"zcp2kopano/runtime/host"
)

// A simulated service serves as soon as it is active, unless the fixture says otherwise. A service of a
// machine below that runs on as it was found is asked itself.

// Ask answers for a service that serves.
func (sv *services) Ask(ctx context.Context, q host.Question) (string, error) {
	sv.mu.Lock()
	state := sv.known[q.Service]
	below := sv.below != nil && state != nil && state.found
	sv.mu.Unlock()
	if below {
		return sv.askBelow(ctx, q)
	}
	sv.mu.Lock()
	defer sv.mu.Unlock()
	s, err := sv.service(q.Service)
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

// askBelow asks the service of the machine. The run may be able to ask what this process, which gave up its power, cannot.
func (sv *services) askBelow(ctx context.Context, q host.Question) (string, error) {
	line, err := sv.below.Ask(ctx, q)
	if errors.Is(err, host.ErrUnasked) && ctx.Err() == nil {
		sv.gaps.add(host.Unpredicted{What: fmt.Sprintf("whether %s answers: %v", q.Service, q), Why: err.Error(), Check: "a check or the run asks it"})
	}
	return line, err
}

// ServiceProcesses lists the processes that a service has in the simulation.
func (sv *services) ServiceProcesses(name string) ([]host.Process, error) {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	return sv.processesOf(name, sv.known[name]), nil
}

// ServiceLock knows of the locks that the fixture's services hold, of those of a machine below, and of
// files that lie there from an earlier time.
func (sv *services) ServiceLock(service string, paths []string) (*host.ServiceLock, error) {
	sv.mu.Lock()
	state := sv.known[service]
	below := sv.below != nil && state != nil && state.found
	sv.mu.Unlock()
	if below {
		return sv.below.ServiceLock(service, paths)
	}
	sv.mu.Lock()
	defer sv.mu.Unlock()
	if state != nil && state.active && state.upgrades && len(paths) > 0 {
		for _, p := range sv.processesOf(service, state) {
			return &host.ServiceLock{Path: paths[0], Since: p.Started, Holder: p}, nil
		}
	}
	for _, name := range paths {
		if st, err := sv.files.Lstat(path.Clean(name)); err == nil {
			return &host.ServiceLock{Path: name, Since: st.Mtime}, nil
		}
	}
	return nil, nil
}

// ServiceTrace knows where the log is, and nothing of what it says.
func (sv *services) ServiceTrace(_ context.Context, name, file string) host.Trace {
	t := host.Trace{Log: file}
	if file == "" && sv.system.facts.Init == "systemd" {
		t.Log = "journalctl -u " + name
	}
	return t
}

// LogEnd and LogSince know of no log: what a daemon would say is not simulated.
func (*services) LogEnd(context.Context, string, string) host.LogMark { return host.LogMark{} }

func (*services) LogSince(context.Context, string, string, host.LogMark) host.LogPart {
	return host.LogPart{}
}

// Revision tells what a service that runs has made of the database: one that was started here brings it to
// the target, and to what it was if that is not known.
func (sq *databaseServer) Revision(ctx context.Context, q host.RevisionQuery) (int64, error) {
	rows, err := sq.Query(ctx, q.Conn, q.Query)
	if err != nil {
		return 0, err
	}
	now, err := rows.Number()
	if err != nil {
		return 0, err
	}
	sq.mu.Lock()
	defer sq.mu.Unlock()
	state := sq.services.known[q.Service]
	if state == nil || !state.active || state.found || state.mute || q.Target <= now {
		return now, nil
	}
	rows.Rows = [][]string{{fmt.Sprint(q.Target)}}
	sq.data.changed[normalQuery(q.Query)] = rows
	return q.Target, nil
}
