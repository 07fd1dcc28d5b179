package runbooks_test

import (
	"slices"
	"strings"
	"testing"

	"zcp2kopano/runtime/exit"
	"zcp2kopano/testdata/hosts"
)

// TestStockStopsBefore has settings at which a daemon of Kopano would not start refused before anything is removed,
// with the place to correct; those of a daemon that nobody used are told.
func TestStockStopsBefore(t *testing.T) {
	const search = "-- /etc/zarafa/search.cfg --\n"
	gateway := "-- /etc/zarafa/gateway.cfg --\n"
	for _, tc := range []struct {
		name         string
		edits        []string
		want, reason string
	}{
		{"a host name to listen on", []string{gateway, gateway + "server_bind = mail.example.org\n"},
			"inhibitor: kopano-gateway would not start", "server_bind = mail.example.org is not a numeric address, and Kopano 8.7.20 takes no other; write the address, in /etc/zarafa/gateway.cfg:1"},
		{"the same of a daemon that nobody uses", []string{"-- passwd --\n", "-- /etc/zarafa/ical.cfg --\nserver_bind = mail.example.org\n-- passwd --\n"},
			"warning: kopano-ical would not start", "in /etc/zarafa/ical.cfg:1"},
		{"a boolean", []string{search, search + "index_attachments = maybe\n"}, "inhibitor: kopano-search would not start", "index_attachments = maybe"},
		{"a size", []string{search, search + "term_cache_size = 64 quarts\n"}, "inhibitor: kopano-search would not start", "a size with its unit, like 5M, in /etc/zarafa/search.cfg:1"},
		{"a number with a suffix", []string{search, search + "limit_results = 1k\n"}, "inhibitor: kopano-search would not start", "limit_results = 1k"},
		{"a level that is none", []string{search, search + "log_level = loud\n"}, "inhibitor: kopano-search would not start", "log_level = loud"},
		{"a size without a unit, which is mended", []string{search, search + "term_cache_size = 67108864\n"}, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := stockHost(t, hosts.Example, func(text string) string { return edited(t, text, tc.edits) })
			played := playStock(t, h, nil)
			code := exit.Done
			if strings.HasPrefix(tc.want, "inhibitor") {
				code = exit.Inhibited
			}
			if played.verdict.Code != code {
				t.Fatalf("code %d, want %d: %q", played.verdict.Code, code, played.serious)
			}
			if tc.want != "" && !slices.Contains(played.serious, tc.want) || tc.want == "" && strings.Contains(strings.Join(played.serious, "\n"), "would not start") {
				t.Errorf("no finding %q; there are %q", tc.want, played.serious)
			}
			if !strings.Contains(strings.Join(played.reasons, "\n"), tc.reason) {
				t.Errorf("no finding because %q; there are %q", tc.reason, played.reasons)
			}
		})
	}
}

// TestStockOpensKeys carries keys, certificates and keytabs from anywhere below /etc/zarafa, whatever names them:
// kopano can read them in the end, and it can run the site's scripts, but not those of ZCP.
func TestStockOpensKeys(t *testing.T) {
	const tree = "-- tree --\n"
	h := stockHost(t, hosts.Example, func(text string) string {
		return edited(t, text, []string{tree, "-- /etc/zarafa/search/privkey.pem 0600 --\nkey\n" +
			"-- /etc/zarafa/own/place/kerberos.keytab 0400 --\nkeytab\n" +
			"-- /etc/zarafa/own/unnamed 0600 --\n-----BEGIN PRIVATE KEY-----\n" +
			"-- /etc/zarafa/own/diary 0600 --\nnothing for a daemon\n" +
			"-- /etc/zarafa/userscripts/createuser.d/50mine 0700 --\n#!/bin/sh\n" +
			"-- /etc/zarafa/userscripts/createuser.d/00createstore 0755 --\n#!/bin/sh\nzarafa-admin --create-store \"$ZARAFA_USER\"\n" + tree})
	})
	if played := playStock(t, h, nil); played.verdict.Code != exit.Done {
		t.Fatalf("code %d: %q", played.verdict.Code, played.serious)
	}
	kopano, err := h.Group("kopano")
	if err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]uint32{
		"/etc/kopano/search/privkey.pem":                         0o640,
		"/etc/kopano/own/place/kerberos.keytab":                  0o640,
		"/etc/kopano/own/unnamed":                                0o640,
		"/etc/kopano/own/diary":                                  0o600,
		"/etc/kopano/userscripts/createuser.d/50mine":            0o750,
		"/etc/kopano/userscripts/createuser.d/00createstore.zcp": 0o640,
		"/etc/kopano/userscripts/createuser.zcp":                 0o640,
	} {
		st, err := h.Lstat(name)
		if err != nil || uint32(st.Mode.Perm()) != mode || st.UID != 0 || st.GID != kopano.GID {
			t.Errorf("%s: %v %d:%d (%v), want %o root:kopano", name, st.Mode, st.UID, st.GID, err, mode)
		}
	}
	if _, err := h.Lstat("/etc/kopano/userscripts/createuser.d/00createstore"); err == nil {
		t.Error("ZCP's script is in force")
	}
}

// TestStockUnixShadow has users of the plugin unix sign in afterwards as before: by the group of /etc/shadow, which
// the run can give to kopano, or not at all if ZCP could not either.
func TestStockUnixShadow(t *testing.T) {
	unix := []string{"user_plugin		= db", "user_plugin = unix\nuser_plugin_config = /etc/zarafa/unix.cfg"}
	shadow := func(mode, group string) []string {
		return []string{"-- passwd --\n", "-- /etc/shadow " + mode + " root:" + group + " --\nalice:x:17000:0:99999:7:::\n-- passwd --\n", "-- group --\n", "-- group --\nsignin:x:43:\n"}
	}
	const refused = "inhibitor: kopano may not read /etc/shadow"
	for _, tc := range []struct {
		name   string
		edits  []string
		params map[string]string
		want   string
		group  string // the line of the group in the end
	}{
		{"another plugin", shadow("0640", "signin"), nil, "", "signin:x:43:"},
		{"ZCP's user is in the group", append(slices.Concat(unix, shadow("0640", "signin")), "signin:x:43:", "signin:x:43:zarafa"), nil, refused, ""},
		{"kopano joins the group", append(slices.Concat(unix, shadow("0640", "shadow")), "signin:x:43:", "shadow:x:42:zarafa"), map[string]string{"shadow": "join"}, "", "shadow:x:42:zarafa,kopano"},
		{"kopano cannot join another group", append(slices.Concat(unix, shadow("0640", "signin")), "signin:x:43:", "signin:x:43:zarafa"), map[string]string{"shadow": "join"}, refused, ""},
		{"nothing to join for", shadow("0640", "shadow"), map[string]string{"shadow": "join"}, "", "signin:x:43:"},
		{"kopano is there too", append(slices.Concat(unix, shadow("0640", "signin")), "signin:x:43:", "signin:x:43:zarafa,kopano"), nil, "", "signin:x:43:zarafa,kopano"},
		{"by run_as_group", append(slices.Concat(unix, shadow("0640", "signin")), "server_name = Zarafa", "run_as_group = signin\nserver_name = Zarafa"), nil, "", "signin:x:43:"},
		{"ZCP could not either", slices.Concat(unix, shadow("0640", "signin")), nil, "", "signin:x:43:"},
		{"no group may", append(slices.Concat(unix, shadow("0600", "root")), "server_name = Zarafa", "run_as_user =\nserver_name = Zarafa", "1201 zarafa  ", "1201 root    "), nil, refused, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := stockHost(t, hosts.Example, func(text string) string {
				return edited(t, text, tc.edits)
			})
			played := playStock(t, h, tc.params)
			if got := slices.Contains(played.serious, refused); got != (tc.want == refused) {
				t.Fatalf("code %d: %q", played.verdict.Code, played.serious)
			}
			if tc.want == "" && played.verdict.Code != exit.Done {
				t.Fatalf("code %d: %s %q", played.verdict.Code, played.verdict.Text, played.serious)
			}
			if tc.group == "" {
				return
			}
			if groups := contentOf(t, h, "/etc/group"); !strings.Contains(groups, tc.group+"\n") {
				t.Errorf("no line %q in:\n%s", tc.group, groups)
			}
		})
	}
}

// TestStockRepairsNames has duplicate names in the database repaired by the release's own tool: after the dump, when
// Kopano is configured, and before its server starts.
func TestStockRepairsNames(t *testing.T) {
	h := stockHost(t, hosts.Example, func(text string) string {
		return edited(t, text, []string{"HAVING COUNT(*) > 1) AS d\nvalue\n0", "HAVING COUNT(*) > 1) AS d\nvalue\n3"})
	})
	played := playStock(t, h, map[string]string{"names": "repair"})
	if played.verdict.Code != exit.Done || !strings.Contains(played.verdict.NoReturn, "kopano-dbadm changes names") {
		t.Fatalf("code %d: %+v %q", played.verdict.Code, played.verdict, played.serious)
	}
	at := func(what string) int {
		return slices.IndexFunc(played.changes, func(c string) bool { return strings.HasPrefix(c, what) })
	}
	order := []int{at("dump database"), at("write /etc/kopano/server.cfg"), at("run /usr/sbin/kopano-dbadm k-1216"), at("start kopano-server")}
	if !slices.IsSorted(order) || order[0] < 0 {
		t.Errorf("order %v in %q", order, played.changes)
	}
	if !slices.Contains(played.infos, "kopano-dbadm may have left indexes") {
		t.Errorf("the index that it leaves is not told: %q", played.infos)
	}
}

// TestStockRepairNeedsItsTool: where the tool is not on offer, that is refused before anything is changed; where it is not in its
// package after all, the run stops before it and the server.
func TestStockRepairNeedsItsTool(t *testing.T) {
	twice := []string{"HAVING COUNT(*) > 1) AS d\nvalue\n0", "HAVING COUNT(*) > 1) AS d\nvalue\n3"}
	t.Run("not on offer", func(t *testing.T) {
		h := stockHost(t, hosts.Example, func(text string) string {
			return edited(t, text, append(twice, "-- tree --\n", "-- tree --\nd0755 root:root - - /srv/kopano\n"))
		})
		for _, name := range []string{"kopano-server", "kopano-dagent", "kopano-spooler", "kopano-gateway"} {
			putPackage(t, h, "/srv/kopano", name, "amd64", "libc6")
		}
		played := playStock(t, h, map[string]string{"names": "repair", "packages_dir": "/srv/kopano"})
		if played.verdict.Code != exit.Inhibited || !slices.Contains(played.serious, "inhibitor: duplicate names cannot be repaired") {
			t.Errorf("%+v %q", played.verdict, played.serious)
		}
	})
	t.Run("not in its package", func(t *testing.T) {
		h := stockHost(t, hosts.Example, func(text string) string {
			return edited(t, text, append(twice, "-- tree --\n", "-- available --\nPackage: kopano-utils\nVersion: 8.7.20.0-0+25.1\nArchitecture: amd64\nMaintainer: Kopano\n"+
				"Repository: *kopano.io/*\nDepends: kopano-client\nFiles:\n /usr/sbin/kopano-admin 0755 1K\n-- tree --\n"))
		})
		played := playStock(t, h, map[string]string{"names": "repair"})
		if played.verdict.Code != exit.Failed || !strings.Contains(played.verdict.Text, "/usr/sbin/kopano-dbadm") {
			t.Errorf("%+v %q", played.verdict, played.serious)
		}
		if slices.Contains(played.changes, "start kopano-server") || slices.ContainsFunc(played.changes, func(c string) bool { return strings.HasPrefix(c, "run ") }) {
			t.Errorf("it went on: %q", played.changes)
		}
	})
}

// TestStockTellsDuplicatesOnce: by the file that the admin edits, whichever it is, and with what to do.
func TestStockTellsDuplicatesOnce(t *testing.T) {
	for _, approach := range []string{"merge", "copy"} {
		h := stockHost(t, hosts.Example, func(text string) string {
			return edited(t, text, []string{
				"server_name = Zarafa\n", "server_name = Zarafa\n!include /srv/zarafa/extra.inc\n!include conf.d/more.cfg\nquota_warn = 1\nquota_warn = 2\n",
				"-- /etc/zarafa/gateway.cfg --\n", "-- /etc/zarafa/gateway.cfg --\nimap_max_messagesize = 1M\nimap_max_messagesize = 2M\n",
				"-- tree --\n", "-- /srv/zarafa/extra.inc --\nthreads = 4\nthreads = 5\n-- /etc/zarafa/conf.d/more.cfg --\nsync_lifetime = 100\nsync_lifetime = 101\n-- tree --\n",
			})
		})
		played := playStock(t, h, map[string]string{"config": approach})
		if played.verdict.Code != exit.Done {
			t.Fatalf("%s: %+v %q", approach, played.verdict, played.serious)
		}
		all := strings.Join(played.reasons, "\n")
		for _, want := range []string{
			"/etc/zarafa/server.cfg:", "/srv/zarafa/extra.inc:2: threads is set twice", "/etc/zarafa/conf.d/more.cfg:2: sync_lifetime is set twice", "/etc/zarafa/gateway.cfg:2: imap_max_messagesize is set twice",
		} {
			if n := strings.Count(all, want); n != 1 {
				t.Errorf("%s: told %d times: %s\n%s", approach, n, want, all)
			}
		}
		if n := strings.Count(all, "is set twice"); n != 4 || strings.Count(all, "take the other out") != 4 {
			t.Errorf("%s: %d duplicates are told, of 4\n%s", approach, n, all)
		}
	}
}
