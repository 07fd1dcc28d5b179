package sim

import (
	"context"
	"slices"
	"strings"
	"testing"

	"zcp2kopano/runtime/host"
)

// preparing is a host whose kopano-server, by its unit or its init script, gives directories to kopano before it starts.
const preparing = `-- host --
init: INIT
-- passwd --
kopano:x:120:120::/var/lib/kopano:/usr/sbin/nologin
-- group --
kopano:x:120:
-- /usr/sbin/kopano-server 0755 size=1000 --
-- /var/lib/kopano/attachments/1 0644 --
a mail
`

func TestPreparesByUnit(t *testing.T) {
	start := func(t *testing.T, init, more string) (*Host, error) {
		t.Helper()
		f, err := ReadFixture([]byte(strings.Replace(preparing, "INIT", init, 1) + more))
		mustDo(t, err)
		h, err := f.Host(Options{})
		mustDo(t, err)
		t.Cleanup(func() { h.Close() })
		return h, h.StartService(context.Background(), "kopano-server")
	}
	unit := func(lines ...string) string {
		return "-- /lib/systemd/system/kopano-server.service --\n[Service]\n" + strings.Join(lines, "\n") + "\nExecStart=/usr/sbin/kopano-server -F\n"
	}
	owner := func(t *testing.T, h *Host, name string) uint32 {
		t.Helper()
		st, err := h.Stat(name)
		mustDo(t, err)
		return st.UID
	}
	open := func(h *Host, u host.Unpredicted) bool {
		return slices.ContainsFunc(h.Unpredicted(), func(o host.Unpredicted) bool {
			return o.Path == u.Path && o.Aspect == u.Aspect && strings.Contains(o.What, u.What)
		})
	}
	t.Run("unit", func(t *testing.T) {
		h, err := start(t, "systemd", unit("ExecStartPre=/bin/mkdir -p /var/run/kopano", "ExecStartPre=-/bin/chown kopano /var/lib/none",
			"ExecStartPre=/bin/chown kopano /var/lib/kopano", "ExecStartPre=/bin/mkdir -p /srv/kopano/more", "ExecStartPre=/bin/sh -c 'true'"))
		mustDo(t, err)
		if owner(t, h, "/var/lib/kopano") != 120 || owner(t, h, "/var/lib/kopano/attachments") != 0 || owner(t, h, "/srv/kopano/more") != 0 {
			t.Error("the unit's commands were not carried out, or more than they say")
		}
		if !open(h, host.Unpredicted{What: "/bin/sh -c 'true'"}) {
			t.Errorf("a program that is not run is not told: %v", h.Unpredicted())
		}
	})
	t.Run("a unit that fails", func(t *testing.T) {
		if _, err := start(t, "systemd", unit("ExecStartPre=/bin/chown kopano /var/lib/none")); err == nil || !strings.Contains(err.Error(), "/var/lib/none") {
			t.Errorf("the start: %v", err)
		}
	})
	t.Run("init script", func(t *testing.T) {
		h, err := start(t, "sysv", "-- /etc/init.d/kopano-server 0755 --\n#!/bin/sh\nDAEMON=/usr/sbin/kopano-server\n\tchown -R kopano /var/lib/kopano\n")
		mustDo(t, err)
		if owner(t, h, "/var/lib/kopano") != 0 || !open(h, host.Unpredicted{What: "init script", Path: "/var/lib/kopano", Aspect: "owner"}) {
			t.Errorf("what an init script may do is not left open: %v", h.Unpredicted())
		}
	})
}
