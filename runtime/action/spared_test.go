package action_test

import (
	"cmp"
	"context"
	"strings"
	"testing"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/host"
)

// shaped is a scripted host whose database has tables of this shape; one without shape cannot be asked for it.
type shaped struct {
	*scripted
	shape string
}

func (h *shaped) Query(ctx context.Context, conn host.DatabaseConn, query string) (host.Rows, error) {
	if !strings.Contains(query, "information_schema") {
		return h.scripted.Query(ctx, conn, query)
	}
	if h.shape == "" {
		return host.Rows{}, host.ErrUnknown
	}
	return host.Rows{Columns: []string{"shape"}, Rows: [][]string{{h.shape}}}, nil
}

// TestSpared: only what was seen to have done nothing has spared its database.
func TestSpared(t *testing.T) {
	for name, tc := range map[string]struct {
		target int64
		before func(h *shaped) // the start
		after  func(h *shaped) // the start has failed
		want   bool
	}{
		"it never ran":       {want: true},
		"a step has altered": {after: func(h *shaped) { h.shape = "121-8" }},
		"a step is done":     {after: func(h *shaped) { h.revision = func(int) int64 { return 65 } }},
		"a lock is left":     {after: func(h *shaped) { h.lock = func(int) *host.ServiceLock { return &host.ServiceLock{Path: lockPath} } }},
		"it runs": {after: func(h *shaped) {
			h.processes = func(int) []host.Process { return []host.Process{{PID: 7, Name: "server"}} }
		}},
		"the tables were hidden": {before: func(h *shaped) { h.shape = "" }, after: func(h *shaped) { h.shape = "120-7" }},
		"the tables are hidden":  {after: func(h *shaped) { h.shape = "" }},
		"nothing was to be done": {target: 64}, // so that it may have taken mail
	} {
		t.Run(name, func(t *testing.T) {
			h := &shaped{scripted: &scripted{Host: server(t, "server")}, shape: "120-7"}
			h.revision = func(int) int64 { return 64 }
			h.processes = func(int) []host.Process { return nil }
			if tc.before != nil {
				tc.before(h)
			}
			a := start(t, cmp.Or(tc.target, 118))
			a.NoReturn = "it upgrades the database"
			e := env(h, nil)
			if err := a.Stage(e); err != nil {
				t.Fatal(err)
			}
			if needed, err := a.Prepare(e); err != nil || !needed {
				t.Fatalf("needed %v (%v)", needed, err)
			}
			if tc.after != nil {
				tc.after(h)
			}
			var changer action.DatabaseChanger = a
			if got := changer.Spared(e); got != tc.want {
				t.Errorf("spared %v, want %v", got, tc.want)
			}
		})
	}
}
