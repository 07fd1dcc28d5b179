package ldap

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"zcp2kopano/builtins"
	"zcp2kopano/runbooks"
	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/sim"
	"zcp2kopano/runtime/journal"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
	"zcp2kopano/runtime/state"
	"zcp2kopano/runtime/story"
)

// findings are those of a simulation of directory.star over this machine, whose directory is at conn.
func findings(t *testing.T, h host.Host, conn host.DirectoryConn) []string {
	t.Helper()
	book, err := runbook.Load(t.Context(), script.LoadOptions{Name: "directory", Stock: runbooks.FS, Builtins: builtins.All()})
	if err != nil {
		t.Fatal(err)
	}
	over, err := sim.FromView(withPackages{h}, sim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer over.Close()
	var told []string
	engine.Execute(t.Context(), engine.Config{
		Mode: "simulate", ID: "simulate", Runbook: book, Host: over, HostLabel: "this machine", Dir: "/var/lib/zcp2kopano/runs/simulate",
		Params:  map[string]string{"url": conn.URLs[0], "bind_dn": conn.BindDN, "base": "dc=example,dc=org", "stopped": "true"},
		Secrets: map[string]host.Secret{"bind_password": conn.Password},
		Journal: journal.Memory("test", time.Now), Keeper: state.Memory(), Version: "test", Now: time.Now,
		Emit: func(e story.Event) {
			if e.Finding != nil {
				told = append(told, fmt.Sprintf("%s: %s: %s", e.Finding.Severity, e.Finding.Title, e.Finding.Reason))
			}
		},
	})
	return told
}

// tells fails unless one finding begins with begin, and no other is on replication.
func tells(t *testing.T, what string, told []string, begin, reason string) {
	t.Helper()
	about := slices.DeleteFunc(slices.Clone(told), func(f string) bool { return !strings.Contains(f, "replica") })
	if len(about) != 1 || !strings.HasPrefix(about[0], begin) || !strings.Contains(about[0], reason) {
		t.Errorf("of %s it is told %q, want %q because of %q; all: %q", what, about, begin, reason, told)
	}
}

// same waits until a replica has what its provider has.
func same(t *testing.T, provider, consumer *server) map[string]string {
	t.Helper()
	want := contents(t, provider, provider.conn)
	for begun := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if found, err := consumer.SearchDirectory(t.Context(), consumer.conn, host.DirectorySearch{Base: "dc=example,dc=org", Scope: "base", Filter: "(objectClass=*)"}); err == nil && len(found) == 1 {
			if maps.Equal(contents(t, consumer, consumer.conn), want) {
				return want
			}
		}
		if time.Since(begun) > 5*time.Minute {
			check(t, "the replica", contents(t, consumer, consumer.conn), nil, isNew)
			t.Fatal("the replica does not get what its provider has")
		}
	}
}

// TestReplicas has one real server replicate another: each is told what it is, the replica takes no change, and it has
// the provider's entries as they are converted and as they are taken back, once both know the new schema.
func TestReplicas(t *testing.T) {
	want := users(30)
	provider := zarafaOnly(t, "cn=config", ldifOf(want), "overlay syncprov")
	url := provider.conn.URLs[0]
	consumer := zarafaOnly(t, "cn=config", "",
		fmt.Sprintf(`syncrepl rid=1 provider=%s type=refreshAndPersist searchbase=dc=example,dc=org bindmethod=simple binddn="cn=admin,dc=example,dc=org" credentials="s3cr3t!" retry="1 +"`, url),
		"updateref "+url)
	provider.start()
	consumer.start()
	start := same(t, provider, consumer)
	check(t, "replicated", start, want, isOld)

	tells(t, "the provider", findings(t, provider, provider.conn), "warning: the directory's server may have replicas", "syncprov")
	tells(t, "the replica", findings(t, consumer, consumer.conn), "inhibitor: the directory's server is a replica", "takes its entries from")
	// One who may not read the configuration is told by what is numbered.
	hidden := provider.conn
	hidden.BindDN, hidden.Password = "cn=zarafa-user,dc=example,dc=org", host.NewSecret("reader")
	sent(t, provider, provider.conn, host.EntryChange{DN: hidden.BindDN, Add: map[string][]string{
		"objectClass": {"person"}, "cn": {"zarafa-user"}, "sn": {"reader"}, "userPassword": {"reader"}}})
	tells(t, "the provider, to whom may not read its configuration", findings(t, provider, hidden), "warning: the directory's server may have replicas", "contextCSN")
	sent(t, provider, provider.conn, host.EntryChange{DN: hidden.BindDN, Delete: true})
	start = same(t, provider, consumer)

	for _, s := range []*server{consumer, provider} { // the schema comes to the replicas first
		env := environment(s)
		env.Store.Dir = s.path("store")
		s.configure(env)
	}
	env := environment(consumer)
	env.Store.Dir = consumer.path("store")
	if _, err := prepared(t, env, consumer.conn)().Apply(env); err == nil || !strings.Contains(err.Error(), "refers to another one") {
		t.Errorf("the replica's answer to its conversion: %v", err)
	}
	if now := contents(t, consumer, consumer.conn); !maps.Equal(now, start) {
		check(t, "the replica, after it took no change", now, want, isOld)
	}
	env = environment(provider)
	env.Store.Dir = provider.path("store")
	conversion := prepared(t, env, provider.conn)
	if _, err := conversion().Apply(env); err != nil {
		t.Fatal(err)
	}
	check(t, "converted, at the replica", same(t, provider, consumer), want, isNew)
	if err := conversion().Undo(env); err != nil {
		t.Fatal(err)
	}
	if now := same(t, provider, consumer); !maps.Equal(now, start) {
		check(t, "taken back, at the replica", now, want, isOld)
		t.Error("entries were exchanged")
	}
}
