package action

import (
	"io"
	"testing"
	"zcp2kopano/runtime/host"
)

const zarafaLog = "/var/log/zarafa/server.log"

// ownsItsLog is a server with two files that its package owns and has not brought, as rpm knows them, and one that is not
// there.
func ownsItsLog(t tester, h *fakeHost) {
	zarafaInstalled(t, h)
	put(t, h, zarafaLog, "of years", 0o640, 7, 7)
	must(t, h.PutSymlink("/var/log/zarafa/newest", "server.log", 7, 7))
	p := h.packages["zarafa-server"]
	p.Ghosts = []string{zarafaLog, "/var/log/zarafa/newest", "/var/log/zarafa/none", "/var/log/zarafa"}
	h.packages[p.Name], h.offers[p.Name+"="+p.Version] = p, p
}

func purgesServer(t *testing.T) *trial {
	for _, s := range scenarios {
		if s.name == "purge a package that owns its log" {
			return s.prepared(t)
		}
	}
	t.Fatal("no such scenario")
	return nil
}

// What a package owns without having brought it is there when it is gone, and nothing beside it.
func TestGhostsStay(t *testing.T) {
	tr := purgesServer(t)
	must(t, tr.apply(t))
	if got := read(t, tr.fakeHost, zarafaLog); got != "of years" {
		t.Errorf("the log holds %q", got)
	}
	list, err := tr.ReadDir("/var/log/zarafa")
	must(t, err)
	if len(list) != 2 {
		t.Errorf("beside it: %v", list)
	}
	st, err := tr.Lstat(zarafaLog)
	must(t, err)
	if st.Nlink != 1 || st.UID != 7 {
		t.Errorf("it has %d names, and is of %d", st.Nlink, st.UID)
	}
}

// A log that its daemon has begun anew after an interruption is set aside for the old one.
func TestGhostThatCameAgain(t *testing.T) {
	tr := purgesServer(t)
	a := tr.action(t).(*Commit)
	must(t, a.begins(tr.env))
	must(t, tr.Unlink(zarafaLog))
	put(t, tr.fakeHost, zarafaLog, "of today", 0o640, 7, 7)
	must(t, tr.apply(t))
	if got := read(t, tr.fakeHost, zarafaLog); got != "of years" {
		t.Errorf("the log holds %q", got)
	}
	if got := read(t, tr.fakeHost, tr.env.Store.Since()+zarafaLog); got != "of today" {
		t.Errorf("aside is %q", got)
	}
}

// What a package that is replaced owns is made again by its scripts, and is not put back as it was.
func TestGhostsOfAnUpgrade(t *testing.T) {
	tr := purgesServer(t)
	change := []host.Change{{Name: "zarafa-server"}}
	for _, c := range []struct {
		solution host.Solution
		want     int
	}{{host.Solution{Upgrade: change}, 0}, {host.Solution{Remove: change}, 1}} {
		var k ghostsKeeper
		must(t, k.record(tr.env, &Commit{Old: []host.Package{{Name: "zarafa-server", Ghosts: []string{zarafaLog}}}, Solution: c.solution}, nil))
		if len(k.Ghosts) != c.want {
			t.Errorf("%+v: %q is kept", c.solution, k.Ghosts)
		}
	}
}

// That it is gone is told.
func TestGhostThatIsMissing(t *testing.T) {
	tr := purgesServer(t)
	must(t, tr.apply(t))
	must(t, tr.undo(t))
	must(t, tr.Unlink(zarafaLog))
	lines, err := tr.action(t).(Comparer).Differences(tr.env)
	must(t, err)
	if len(lines) != 1 || lines[0] != zarafaLog+": is missing" {
		t.Errorf("differences: %q", lines)
	}
}

func read(t *testing.T, h *fakeHost, name string) string {
	t.Helper()
	f, err := h.Open(name)
	must(t, err)
	defer f.Close()
	text, err := io.ReadAll(f)
	must(t, err)
	return string(text)
}
