package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/script"
)

// The cause comes first, once and in one line; the command's words follow below.
func TestCauseComesFirst(t *testing.T) {
	for output, want := range map[string]string{
		"Reading package lists...\nE: Unable to locate package kopano-server\nE: and more":                                                                                   "install x: /usr/bin/apt-get: exit status 100: E: Unable to locate package kopano-server",
		"Selecting previously unselected package\nSetting up kopano-server\nadduser: The user exists\ndpkg: error processing package kopano-server\nErrors were encountered": "install x: /usr/bin/apt-get: exit status 100: dpkg: error processing package kopano-server",
		"first\nlast words": "install x: /usr/bin/apt-get: exit status 100: last words",
	} {
		err := fmt.Errorf("install x: %w", &host.CommandError{Path: "/usr/bin/apt-get", Status: "exit status 100", Output: output})
		info := script.ErrorInfoOf(err)
		if info.Message != want || strings.Join(info.Said, "\n") != output {
			t.Errorf("%q, and below %q; want %q", info.Message, info.Said, want)
		}
	}
	if info := script.ErrorInfoOf(&host.CommandError{Path: "/bin/x", Status: "exit status 1", Output: "one line"}); info.Message != "/bin/x: exit status 1: one line" || info.Said != nil {
		t.Errorf("%+v", info)
	}
}

// brokenHost is broken off by the admin while it stops a service.
type brokenHost struct {
	*dbHost
	breakOff func()
}

func (h *brokenHost) DumpDatabase(ctx context.Context, req host.DumpRequest, progress func(int64)) (host.DumpResult, error) {
	h.breakOff()
	return host.DumpResult{}, errors.Join(errors.New("mysqldump: signal: terminated"), ctx.Err())
}

// A run that is broken off says what it was about, and what that means.
func TestBrokenOffIsTold(t *testing.T) {
	s, db := newDatabaseScene(t)
	ctx, cancel := context.WithCancel(context.Background())
	rb := s.load(databaseScript)
	cfg := s.config(rb)
	cfg.Host = &brokenHost{db, cancel}
	v := engine.Execute(ctx, cfg)
	if v.Code != exit.Interrupted || !strings.Contains(v.Text, "dump database zarafa to /srv/a/zarafa.sql.zst was broken off: the unfinished dump is removed, and a resume makes a new one; `zcp2kopano resume`") {
		t.Errorf("%+v", v)
	}
}
