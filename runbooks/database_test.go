package runbooks_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/sim"
	"zcp2kopano/runtime/journal"
	"zcp2kopano/runtime/state"
	"zcp2kopano/runtime/story"
	"zcp2kopano/testdata/hosts"
)

// moody is a host whose database answers otherwise from some step on.
type moody struct {
	*sim.Host
	answer func(query string) (value string, err error) // "" and nil: as ever
}

func (m *moody) Query(ctx context.Context, conn host.DatabaseConn, query string) (host.Rows, error) {
	if m.answer != nil {
		if value, err := m.answer(query); value != "" || err != nil {
			return host.Rows{Columns: []string{"value"}, Rows: [][]string{{value}}}, err
		}
	}
	return m.Host.Query(ctx, conn, query)
}

// TestDatabaseIsAskedAgain lets the database die, or be exchanged, after the survey: nothing is removed
// any more that it would take to go back, and no server is started on it.
func TestDatabaseIsAskedAgain(t *testing.T) {
	gone := func(string) (string, error) { return "", errors.New("connection refused") }
	answers := func(part, value string) func(string) (string, error) {
		return func(query string) (string, error) {
			if strings.Contains(query, part) {
				return value, nil
			}
			return "", nil
		}
	}
	for _, tc := range []struct {
		from   string
		answer func(string) (string, error)
		want   string // of the verdict; empty for success
		never  string // a change that must not be made
	}{
		{"remove_zcp", gone, "the database does not answer any more", "purge libical0"},
		{"remove_zcp", answers("server_guid", "FFEEDDCCBBAA99887766554433221100"), "another database answers", "purge libical0"},
		{"remove_zcp", answers("databaserevision", "63"), "has schema 63, and had 64", "purge libical0"},
		{"remove_zcp", answers("databaserevision", "118"), "has schema 118, and had 64", "purge libical0"},
		{"start_kopano", gone, "the database does not answer any more", "start kopano-server"},
		{"start_kopano", answers("server_guid", "FFEEDDCCBBAA99887766554433221100"), "another database answers", "start kopano-server"},
		{"start_kopano", answers("databaserevision", "63"), "has schema 63, and had 64", "start kopano-server"},
		{"start_kopano", answers("databaserevision", "118"), "", ""}, // after rollback --to start_kopano and resume
	} {
		m := &moody{Host: stockHost(t, hosts.Example, nil)}
		var changes []string
		v := engine.Execute(context.Background(), engine.Config{
			Mode: "simulate", ID: "simulate", Runbook: loadStock(t, "debian"), Host: m, HostLabel: "an example",
			Dir: "/var/lib/zcp2kopano/runs/simulate", Journal: journal.Memory("test", time.Now), Keeper: state.Memory(), Version: "test", Now: time.Now,
			Emit: func(e story.Event) {
				if e.Kind == story.StepBegin && e.Step == tc.from {
					m.answer = tc.answer
				}
				if e.Kind == story.ChangeBegin {
					changes = append(changes, e.Text)
				}
			},
		})
		if tc.want == "" {
			if v.Code != exit.Done {
				t.Errorf("%s: code %d: %s", tc.from, v.Code, v.Text)
			}
			continue
		}
		if v.Code != exit.Failed || !strings.Contains(v.Text, "failed in step "+tc.from) || !strings.Contains(v.Text, tc.want) {
			t.Errorf("%s, %q: code %d: %s", tc.from, tc.want, v.Code, v.Text)
		}
		for _, change := range changes {
			if strings.HasPrefix(change, tc.never) {
				t.Errorf("%s, %q: it did %s", tc.from, tc.want, change)
			}
		}
	}
}
