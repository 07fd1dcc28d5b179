package action

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"zcp2kopano/runtime/host"
)

// commitBefore is the journal form of richCommit as versions wrote it whose transaction of packages was one list of fields.
const commitBefore = "testdata/commit-before-keepers.json"

// richCommit is a transaction with something to record for every keeper.
func richCommit() scenario {
	setup := func(t tester, h *fakeHost) {
		zarafaInstalled(t, h)
		p := h.packages["zarafa-server"]
		p.Auto = true
		p.Conffiles = append(p.Conffiles, host.Conffile{Path: "/etc/init.d/zarafa-server", MD5: "a0df34b72375ce681c2f5ed87be8d671"})
		h.packages[p.Name], h.offers[p.Name+"="+p.Version] = p, p
		h.packages["zarafa-old"] = host.Package{Name: "zarafa-old", Version: "6", Status: "config-files"}
		for _, dir := range []string{"/etc/init.d", "/etc/kopano", "/etc/rc2.d", systemdDir + "/multi-user.target.wants"} {
			must(t, h.PutDir(dir, 0o755, 0, 0))
		}
		put(t, h, "/etc/init.d/zarafa-server", "script", 0o755, 0, 0)
		put(t, h, "/etc/kopano/b\xe4r", "of an earlier time", 0o640, 0, 0)
		for _, name := range []string{"/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow", PolicyFile} {
			put(t, h, name, "before", 0o644, 0, 0)
		}
		must(t, h.PutSymlink("/etc/rc2.d/S20zarafa-server", "../init.d/zarafa-server", 0, 0))
		must(t, h.PutSymlink(systemdDir+"/multi-user.target.wants/zarafa-server.service", "/lib/zarafa-server.service", 0, 0))
		h.services["zarafa-server"] = host.Service{Name: "zarafa-server", Kind: "systemd", Active: true, Enabled: true, Masked: true}
	}
	return scenario{name: "rich", setup: setup, act: func() Action {
		return &Commit{Patience: 7, Tx: host.Transaction{Remove: []string{"zarafa-server", "zarafa-common", "zarafa-old"}, Purge: true, Install: []string{"kopano-server"}}}
	}}
}

// A run that an earlier version has journaled can be resumed and rolled back: its record has all that this version
// needs, by the names that this version knows, and nothing else.
func TestCommitReadsItsOldJournalForm(t *testing.T) {
	old, err := os.ReadFile(commitBefore)
	must(t, err)
	s := richCommit()
	tr := s.prepared(t)
	start := tr.state(t)
	read, err := Decode(tr.kind, old)
	must(t, err)
	var was, is, now map[string]any
	must(t, json.Unmarshal(old, &was))
	must(t, json.Unmarshal(mustJSON(t, read), &is))
	must(t, json.Unmarshal(tr.data, &now))
	for name := range was {
		if !reflect.DeepEqual(was[name], is[name]) {
			t.Errorf("%s is read as\n%v, was\n%v", name, is[name], was[name])
		}
		if now[name] == nil && name != "missing" && name != "unrecorded" { // of which this host has none
			t.Errorf("%s is not recorded any more", name)
		}
	}
	if len(was) != 20 {
		t.Errorf("the old form has %d fields, of 20", len(was))
	}

	tr.data = old
	must(t, tr.apply(t))
	must(t, tr.undo(t))
	sameState(t, "Undo by the old form", tr.state(t), start)
	if _, err := Decode(tr.kind, json.RawMessage(strings.Replace(string(old), "{", `{"later": 1,`, 1))); err == nil {
		t.Error("a field of a later version is not refused")
	}
}
