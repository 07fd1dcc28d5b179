package runbooks_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"zcp2kopano/builtins"
	"zcp2kopano/runbooks"
	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/sim"
	"zcp2kopano/runtime/journal"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
	"zcp2kopano/runtime/state"
	"zcp2kopano/runtime/story"
	"zcp2kopano/testdata/hosts"
)

// evaluate is the value of an expression of a stock module's names, by way of JSON.
func evaluate(t *testing.T, module, names, expression string) any {
	t.Helper()
	file := filepath.Join(t.TempDir(), "probe.star")
	text := fmt.Sprintf("load(\"@stock//lib/%s\", %s)\n\ndef probe():\n    \"\"\"Probe.\"\"\"\n    info(\"value\", json.encode(%s), \"\")\n\nrunbook = define(steps = [probe])\n", module, names, expression)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	book, err := runbook.Load(context.Background(), script.LoadOptions{Name: file, Stock: runbooks.FS, Builtins: builtins.All()})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	var value any
	v := engine.Execute(context.Background(), engine.Config{
		Mode: "simulate", ID: "simulate", Runbook: book, Host: stockHost(t, hosts.Example, nil), HostLabel: "an example",
		Dir: "/var/lib/zcp2kopano/runs/simulate", Journal: journal.Memory("test", time.Now), Keeper: state.Memory(), Version: "test", Now: time.Now,
		Emit: func(e story.Event) {
			if e.Finding != nil {
				if err := json.Unmarshal([]byte(e.Finding.Reason), &value); err != nil {
					t.Fatal(err)
				}
			}
		},
	})
	if v.Code != exit.Done {
		t.Fatalf("%+v", v)
	}
	return value
}

// TestAnswers: what a daemon is asked follows from the configuration that it reads, and from its release's defaults.
func TestAnswers(t *testing.T) {
	for _, tc := range []struct {
		service, version, settings string
		answers, later             []string
		log                        string
	}{
		{"kopano-server", "8.7.20", `{}`, []string{"http+unix:/var/run/kopano/server.sock", "http+unix:/var/run/kopano/prio.sock", "http://127.0.0.1:236"}, nil, ""},
		{"kopano-server", "8.7.20", `{"server_pipe_enabled": "no", "server_listen": "10.1.2.3:236 *%eth0:1236 [::]:2236", "server_listen_tls": "*:237", "log_file": "/var/log/kopano/server.log"}`,
			[]string{"http://10.1.2.3:236", "http://[::1]:2236", "https://127.0.0.1:237"}, nil, "/var/log/kopano/server.log"},
		{"kopano-server", "8.7.20", `{"server_pipe_enabled": "no", "server_listen": "*", "log_method": "syslog", "log_file": "/var/log/x"}`, []string{"http://127.0.0.1:236"}, nil, ""},
		{"kopano-server", "8.4.5", `{"server_pipe_enabled": "no", "server_tcp_enabled": "yes", "server_bind": "fd00::1", "server_tcp_port": "1236"}`, []string{"http://[fd00::1]:1236"}, nil, ""},
		{"kopano-server", "8.4.5", `{"server_pipe_enabled": "no", "server_tcp_enabled": "yes", "server_bind_intf": "eth0"}`, nil, nil, ""},
		{"kopano-gateway", "8.7.20", `{"imap_listen": "*:143", "imaps_listen": "", "pop3_listen": "127.0.0.1:110", "pop3s_listen": "*:995"}`,
			[]string{"imap://127.0.0.1:143", "pop3://127.0.0.1:110", "pop3s://127.0.0.1:995"}, nil, ""},
		{"kopano-gateway", "8.4.5", `{"imap_enable": "YES", "imap_port": "143", "imaps_enable": "true", "imaps_port": "993", "pop3_enable": "no", "pop3s_enable": "no"}`,
			[]string{"imap://127.0.0.1:143"}, nil, ""},
		{"kopano-ical", "8.7.20", `{"ical_listen": "*:8080", "icals_listen": ""}`, []string{"http://127.0.0.1:8080"}, nil, ""},
		{"kopano-dagent", "8.7.20", `{"lmtp_listen": "*%lo:2003"}`, []string{"lmtp://127.0.0.1:2003"}, nil, ""},
		{"kopano-dagent", "8.4.5", `{"lmtp_port": "0"}`, nil, nil, ""},
		{"kopano-search", "8.7.20", `{"server_bind_name": "file:///var/run/kopano/search.sock"}`, nil, []string{"line+unix:/var/run/kopano/search.sock PROPS OK"}, ""},
		{"kopano-search", "8.7.20", `{"server_bind_name": "https://localhost:1238/"}`, nil, []string{"lines://localhost:1238 PROPS OK"}, ""},
		{"kopano-presence", "8.7.20", `{"server_bind": "127.0.0.1", "server_port": "1234"}`, []string{"http://127.0.0.1:1234"}, nil, ""},
		{"kopano-spooler", "8.7.20", `{}`, []string{"client+unix:/var/run/kopano/server.sock"}, nil, ""},
		{"kopano-spooler", "8.7.20", `{"server_socket": "file:///run/kopano/server.sock"}`, []string{"client+unix:/run/kopano/server.sock"}, nil, ""},
		{"kopano-spooler", "8.7.20", `{"server_socket": "https://mail.example.com:237/kopano"}`, []string{"client://mail.example.com:237"}, nil, ""},
		{"kopano-spooler", "8.7.20", `{"server_socket": "http://mail.example.com/"}`, nil, nil, ""},
		{"zarafa-spooler", "7.2.6", `{}`, nil, nil, ""}, // as the packages ship it: "default:" is not Kopano's socket
		{"zarafa-spooler", "7.2.6", `{"server_socket": "file:///var/run/zarafa"}`, []string{"client+unix:/var/run/zarafa"}, nil, ""},
		{"kopano-monitor", "8.7.20", `{}`, nil, nil, ""},
	} {
		call := fmt.Sprintf("works_by(%s, %q, %q)", tc.settings, tc.service, tc.version)
		got, _ := evaluate(t, "answers.star", `"works_by"`, call).(map[string]any)
		want := map[string]any{"answers": list(tc.answers), "later": list(tc.later), "log": tc.log}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", call, diff)
		}
	}
}

func list(texts []string) []any {
	all := []any{}
	for _, text := range texts {
		all = append(all, text)
	}
	return all
}

// TestFailures: lines as the real daemons write them, and what each means.
func TestFailures(t *testing.T) {
	const stops, warns, passes = "stops", "warns", ""
	for service, lines := range map[string]map[string]string{
		"kopano-server": {
			"Fri Nov 27 22:10:05 2026: [=======] Starting kopano-server version 8.7.20 (pid 7 uid 0)":             passes,
			"Fri Nov 27 22:10:05 2026: [warning] max_allowed_packet is smaller than 16M (1048576).":               passes,
			"Fri Nov 27 22:10:05 2026: [crit   ] Failed to load \"/usr/lib/kopano/libkcserver-ldap.so\": no file": stops,
			"Fri Nov 27 22:10:05 2026: [crit   ] user_safe_mode: Would delete user 7":                             warns,
			"Fri Nov 27 22:10:05 2026: [error  ] LDAP query in \"dc=x\" failed: y (result=0x01, z)":               warns,
		},
		"kopano-gateway": {
			"[error  ] Client disconnected":                                           passes,
			"[error  ] Error loading SSL context, POP3S and IMAPS will be disabled":   stops,
			"[error  ] Listening on *:143 failed: Address already in use":             stops,
			"Not enough permissions to append logfile '/x.log'. Reverting to stderr.": warns,
		},
		"kopano-spooler": {
			"[error  ] Unable to open admin session: network error (80040115)": passes,
			"[error  ] Unable to open admin session. Error 0x80040115":         passes,
			"[error  ] Unable to open admin session: logon failed (80040111)":  stops,
			"[warning] Server connection lost. Reconnecting in 3 seconds...":   passes,
			// Of one mail in the queue, whose user has no store.
			"[error  ] Unable to open default store of user: not found (8004010f)":            warns,
			"[error  ] Unable to open default store for system account: not found (8004010f)": stops,
			"[error  ] Unable to open default store for system account. Error 0x8004010F":     stops,
		},
		"kopano-monitor": {
			"[error  ] Unable to open an admin session: network error (80040115)": stops,
			"[error  ] Mailbox of user \"bob\" has exceeded its hard limit":       passes,
		},
		"kopano-search": {
			"2026-11-27 22:10:05,123 - search - INFO - starting incremental sync":           passes,
			"2026-11-27 22:10:05,123 - index0 - ERROR - Traceback (most recent call last):": warns,
		},
	} {
		rules, _ := evaluate(t, "failures.star", `"failures_of"`, fmt.Sprintf("failures_of(%q)", service)).(map[string]any)
		for line, want := range lines {
			got := passes
			for _, kind := range []string{"warns", "stops", "passes"} { // the first of the other way round counts
				for _, text := range rules[kind].([]any) {
					if regexp.MustCompile(text.(string)).MatchString(line) {
						got = strings.TrimPrefix(kind, "passes")
					}
				}
			}
			if got != want {
				t.Errorf("%s: %s: %q, want %q", service, line, got, want)
			}
		}
	}
}

// deaf is a host one of whose services does not answer.
type deaf struct {
	*sim.Host
	service string
}

func (d deaf) Ask(ctx context.Context, q host.Question) (string, error) {
	if q.Service == d.service {
		return "", fmt.Errorf("%v: no such file or directory", q)
	}
	return d.Host.Ask(ctx, q)
}

// TestSearchThatDoesNotAnswerYet: search opens its socket when its first index is built, which is told, and no fault. A
// daemon of which an answer is due is one.
func TestSearchThatDoesNotAnswerYet(t *testing.T) {
	run := func(service string) (v story.Verdict, infos []string) {
		t.Helper()
		v = engine.Execute(context.Background(), engine.Config{
			Mode: "simulate", ID: "simulate", Runbook: loadStock(t, "debian"), Host: deaf{stockHost(t, hosts.Example, nil), service}, HostLabel: "an example",
			Dir: "/var/lib/zcp2kopano/runs/simulate", Journal: journal.Memory("test", time.Now), Keeper: state.Memory(), Version: "test", Now: time.Now,
			Emit: func(e story.Event) {
				if e.Finding != nil && e.Finding.Severity == "info" {
					infos = append(infos, e.Finding.Title+": "+e.Finding.Remedy)
				}
			},
		})
		return v, infos
	}
	v, infos := run("kopano-search")
	told := slices.ContainsFunc(infos, func(text string) bool {
		return strings.HasPrefix(text, "kopano-search does not answer yet: its log says how far it is: ")
	})
	if v.Code != exit.Done || !told {
		t.Errorf("%+v; told: %q", v, infos)
	}
	if v, _ := run("kopano-spooler"); v.Code != exit.Failed || !strings.Contains(v.Text, "a connection that it holds to") {
		t.Errorf("%+v", v)
	}
}

// shut is a host on which this process may connect to no service of ZCP: a simulation has given up the power of root, and
// the priority socket of ZCP 7.2 belongs to the user that the server runs as.
type shut struct{ *sim.Host }

func (s shut) Ask(ctx context.Context, q host.Question) (string, error) {
	if strings.HasPrefix(q.Service, "zarafa-") {
		return "", fmt.Errorf("%v: %w: permission denied", q, host.ErrUnasked)
	}
	return s.Host.Ask(ctx, q)
}

// TestUnaskedIsNotIdle: of a daemon of ZCP that could not be asked nobody says that it does not work.
func TestUnaskedIsNotIdle(t *testing.T) {
	v := engine.Execute(context.Background(), engine.Config{
		Mode: "check", ID: "check", Runbook: loadStock(t, "debian"), Host: shut{stockHost(t, hosts.Example, nil)}, HostLabel: "an example",
		Dir: "/var/lib/zcp2kopano/runs/check", Journal: journal.Memory("test", time.Now), Keeper: state.Memory(), Version: "test", Now: time.Now,
		Emit: func(e story.Event) {
			if e.Finding != nil && strings.Contains(e.Finding.Title, "does not work") {
				t.Errorf("%s: %s", e.Finding.Title, e.Finding.Reason)
			}
		},
	})
	if v.Code != exit.Done {
		t.Errorf("%+v", v)
	}
}
