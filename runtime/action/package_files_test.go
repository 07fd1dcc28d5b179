package action

import (
	"strings"
	"testing"

	"zcp2kopano/runtime/host"
)

// A kept package file that is not what was kept is not installed: its scripts would run as root.
func TestKeptPackageFilesAreWhatWasKept(t *testing.T) {
	for what, spoil := range map[string]func(*testing.T, *trial, string){
		"altered": func(t *testing.T, tr *trial, file string) { overwrite(t, tr.env, file, "another") },
		"missing": func(t *testing.T, tr *trial, file string) { must(t, tr.Unlink(file)) },
	} {
		t.Run(what, func(t *testing.T) {
			s := scenario{setup: zarafaInstalled, act: func() Action {
				return &Commit{Tx: host.Transaction{Remove: []string{"zarafa-server", "zarafa-common"}, Purge: true}}
			}}
			tr := s.prepared(t)
			must(t, tr.apply(t))
			a := tr.action(t).(*Commit)
			if len(a.Files) == 0 {
				t.Fatal("no package file was kept")
			}
			for _, file := range a.Files {
				spoil(t, tr, file)
			}
			err := tr.undo(t)
			if err == nil || !strings.Contains(err.Error(), "is not what was kept") || !strings.Contains(err.Error(), "put a good copy of it there") {
				t.Errorf("undone: %v", err)
			}
		})
	}
}
