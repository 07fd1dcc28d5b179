package runbooks_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/directory"
	"zcp2kopano/runtime/journal"
	"zcp2kopano/runtime/state"
	"zcp2kopano/runtime/story"
)

// sized is a host whose directory shows so many entries and no more.
type sized struct {
	host.Host
	limit int
}

func (s sized) SearchPages(ctx context.Context, conn host.DirectoryConn, req host.DirectorySearch, page func([]host.Entry) error) error {
	return s.Host.SearchPages(ctx, conn, req, func(entries []host.Entry) error {
		if s.limit > 0 && len(entries) > s.limit {
			return errors.Join(page(entries[:s.limit]), &directory.Error{Code: 4})
		}
		return page(entries)
	})
}

// TestDirectoryRunbook converts a directory once all servers are said to be stopped, and are.
func TestDirectoryRunbook(t *testing.T) {
	idle := func(text string) string {
		return strings.NewReplacer("active enabled pid=701", "enabled", "active enabled pid=720", "enabled", "active enabled pid=731", "enabled", "active enabled pid=744", "enabled").Replace(text)
	}
	for _, c := range []struct {
		name   string
		edit   func(string) string
		params map[string]string
		limit  int    // of entries that a search may find; 0 for none
		want   string // an inhibitor; empty for none
	}{
		{name: "as it should be", edit: idle, params: map[string]string{"stopped": "true"}},
		{name: "nobody says that they are stopped", edit: idle, want: "it is not said that all servers are stopped"},
		{name: "they run", params: map[string]string{"stopped": "true"}, want: "servers run on this host"},
		{name: "a part of it is shown", edit: idle, params: map[string]string{"stopped": "true"}, limit: 4, want: "the directory is not shown as a whole"},
		{name: "no such base", edit: idle, params: map[string]string{"stopped": "true", "base": "dc=other"}, want: "the directory does not answer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := stockHost(t, "debian8-zcp71-ldap.txtar", c.edit)
			params := map[string]string{"bind_dn": "cn=admin,dc=example,dc=net", "base": "dc=example,dc=net"}
			maps.Copy(params, c.params)
			var inhibitors []string
			verdict := engine.Execute(context.Background(), engine.Config{
				Mode: "simulate", ID: "simulate", Runbook: loadStock(t, "directory"), Params: params,
				Secrets: map[string]host.Secret{"bind_password": host.NewSecret("adminpw")},
				Host:    sized{h, c.limit}, HostLabel: "an example", Dir: "/var/lib/zcp2kopano/runs/simulate",
				Journal: journal.Memory("test", time.Now), Keeper: state.Memory(), Version: "test", Now: time.Now,
				Emit: func(e story.Event) {
					if e.Finding != nil && e.Finding.Severity == "inhibitor" {
						inhibitors = append(inhibitors, e.Finding.Title)
					}
				},
			})
			left, err := h.SearchDirectory(t.Context(), host.DirectoryConn{}, host.DirectorySearch{Base: "dc=example,dc=net", Scope: "sub", Filter: "(|(objectClass=zarafa-user)(zarafaAccount=*))"})
			if err != nil || (len(left) == 0) != (c.want == "") || (verdict.Code == exit.Done) != (c.want == "") {
				t.Errorf("%+v, %d entries left, %v, %q", verdict, len(left), err, inhibitors)
			}
			if c.want != "" && !slices.Contains(inhibitors, c.want) {
				t.Errorf("inhibitors %q, want %q", inhibitors, c.want)
			}
		})
	}
}
