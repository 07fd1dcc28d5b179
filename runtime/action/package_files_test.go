package action

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
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

// A copy of a package file that is not what was looked at is not installed.
func TestTakenPackageFilesAreWhatWasTaken(t *testing.T) {
	s := scenario{setup: zarafaInstalled, act: func() Action {
		return &Commit{Tx: host.Transaction{Install: []string{"/root/zarafa-common_9.deb"}}}
	}}
	tr := s.prepared(t)
	for file := range tr.action(t).(*Commit).Taken {
		overwrite(t, tr.env, file, "another")
	}
	start := tr.state(t)
	if err := tr.apply(t); err == nil || !strings.Contains(err.Error(), "is not what was taken: its content is another") {
		t.Errorf("applied: %v", err)
	}
	sameState(t, "refused", tr.state(t), start)
}

// A package file that was given for the way back is read to its end: one that is damaged behind what it says of itself is
// none.
func TestOriginalsAreReadToTheirEnd(t *testing.T) {
	whole := debFile(t)
	for what, content := range map[string][]byte{"": whole, "data.tar.gz": append(bytes.Clone(whole[:len(whole)-40]), make([]byte, 40)...)} {
		h := newFake()
		must(t, h.PutDir("/var/lib/zcp2kopano", 0o700, 0, 0))
		put(t, h, "/root/zarafa-common_7_all.deb", string(content), 0o600, 0, 0)
		_, err := keepOriginal(newEnv(h), "/root/zarafa-common_7_all.deb", host.Package{Name: "zarafa-common", Version: "7", Arch: "all", Status: "installed"})
		if (err == nil) != (what == "") || err != nil && !strings.Contains(err.Error(), what) {
			t.Errorf("damaged %q: %v", what, err)
		}
	}
}

// debFile is a package file as deb(5) has it.
func debFile(t *testing.T) []byte {
	t.Helper()
	out := bytes.NewBufferString("!<arch>\n")
	for _, m := range []struct{ name, file, content string }{
		{"control.tar.gz", "control", "Package: zarafa-common\nVersion: 7\nArchitecture: all\n"},
		{"data.tar.gz", "etc/zarafa/main.cfg", strings.Repeat("as it is shipped\n", 100)},
	} {
		var data bytes.Buffer
		z := gzip.NewWriter(&data)
		w := tar.NewWriter(z)
		must(t, w.WriteHeader(&tar.Header{Name: m.file, Mode: 0o644, Size: int64(len(m.content))}))
		_, err := w.Write([]byte(m.content))
		must(t, errors.Join(err, w.Close(), z.Close()))
		fmt.Fprintf(out, "%-16s%-12d%-6d%-6d%-8s%-10d`\n%s", m.name, 0, 0, 0, "100644", data.Len(), data.Bytes())
		if data.Len()%2 != 0 {
			out.WriteByte('\n')
		}
	}
	return out.Bytes()
}
