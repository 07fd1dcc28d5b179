package action

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime/host"
)

func (h *fakeHost) MarkPackages(ctx context.Context, marks []host.PackageMark) error {
	for _, m := range marks {
		err := h.change(func() error {
			p := h.packages[m.Name]
			p.Held, p.Auto = m.Held, m.Auto
			h.packages[m.Name] = p
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (h *fakeHost) SaveRemains(ctx context.Context, names []string, dir string) (map[string]string, error) {
	files := map[string]string{}
	for _, name := range names {
		data, err := json.Marshal(h.packages[name])
		if err != nil {
			return nil, err
		}
		files[name] = path.Join(dir, name+".remains")
		if err := h.FS.Unlink(files[name]); err != nil && !host.Absent(err) {
			return nil, err
		}
		f, err := h.FS.Create(files[name], 0o600)
		if err != nil {
			return nil, err
		}
		if _, err := f.Write(data); err != nil {
			return nil, err
		}
		f.Close()
	}
	return files, nil
}

func (h *fakeHost) RestoreRemains(ctx context.Context, file string) error {
	f, err := h.FS.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	var p host.Package
	if err := json.NewDecoder(f).Decode(&p); err != nil {
		return err
	}
	return h.change(func() error { h.packages[p.Name] = p; return nil })
}

// Marks and remains of packages come back from every crash.
func TestCrashesOfMarks(t *testing.T) {
	setup := func(t tester, h *fakeHost) {
		zarafaInstalled(t, h)
		for name, change := range map[string]func(*host.Package){
			"zarafa-common": func(p *host.Package) { p.Held = true },
			"zarafa-server": func(p *host.Package) { p.Auto = true },
		} {
			p := h.packages[name]
			change(&p)
			h.packages[name] = p
		}
		for _, name := range []string{"zarafa-old", "kopano-common"} {
			h.packages[name] = host.Package{Name: name, Version: "6", Status: "config-files", Conffiles: []host.Conffile{{Path: "/etc/" + name + "/main.cfg", MD5: "0123"}}}
			must(t, h.PutDir("/etc/"+name, 0o755, 0, 0))
			put(t, h, "/etc/"+name+"/main.cfg", "left", 0o640, 0, 0)
		}
	}
	s := scenario{name: "marks", setup: setup, act: func() Action {
		return &Commit{Tx: host.Transaction{Remove: []string{"zarafa-server", "zarafa-common", "zarafa-old"}, Purge: true, Install: []string{"kopano-server"}}}
	}}
	s.crashes(t)
}

func (h *fakeHost) CheckDump(ctx context.Context, path, compression string, progress func(int64)) (host.DumpResult, error) {
	f, err := h.FS.Open(path)
	if err != nil {
		return host.DumpResult{}, err
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	made := h.dump
	made.Closed = strings.HasSuffix(string(data), "-- Dump completed")
	return made, err
}

func (h *fakeHost) LoadDatabase(ctx context.Context, req host.LoadRequest, progress func(int64)) error {
	content, ok := h.dumps[req.Path]
	if !ok {
		return errors.New("no such dump")
	}
	h.standing = req.Standing
	for _, now := range []string{"half empty", "empty", content[:1], content} {
		if err := h.change(func() error { h.content = now; return nil }); err != nil {
			return err
		}
	}
	return nil
}

// A restore that is cut short anywhere is done again, and never dumps the half-emptied database over
// what it is to keep.
func TestCrashesOfRestore(t *testing.T) {
	dump := func() Action {
		return &Dump{Connection: Connection{Database: "zarafa"}, Path: "/var/backups/z.sql.gz", Compression: "gzip"}
	}
	start := func() (*trial, *Restore) {
		s := scenario{act: dump, setup: func(t tester, h *fakeHost) {
			must(t, h.PutDir("/var/backups", 0o700, 0, 0))
			h.dump = host.DumpResult{RawBytes: 100, Bytes: 40, SHA256: "abc", Tables: []string{"users"}, Views: []string{"held"}, Closed: true, Standing: []string{"VIEW early"}}
			h.dumps, h.content = map[string]string{}, "zcp"
		}}
		tr := s.prepared(t)
		must(t, tr.apply(t))
		made, ok, err := tr.action(t).(*Dump).Dumped(tr.env)
		if !ok || err != nil {
			t.Fatalf("the dump is not known: %v", err)
		}
		tr.content = "upgraded"
		tr.fakeHost.dump.Standing = []string{"VIEW later", "VIEW held", "VIEW users"} // the dump holds two of them
		tr.env.Marks = nil
		return tr, &Restore{Dump: *tr.action(t).(*Dump), Made: made}
	}
	done := false
	for k := 1; !done; k++ {
		for mode := before; mode <= failure; mode++ {
			tr, a := start()
			_, err := a.Prepare(tr.env)
			must(t, err)
			tr.arm(k, mode)
			_, err = a.Apply(tr.env)
			done = tr.ops < k
			tr.arm(0, 0)
			if _, again := a.Apply(tr.env); again != nil {
				t.Fatalf("crash %d (mode %d, %v), then Apply: %v", k, mode, err, again)
			}
			if tr.content != "zcp" || tr.dumps["/var/backups/z-replaced.sql.gz"] != "upgraded" || tr.dumps["/var/backups/z.sql.gz"] != "zcp" {
				t.Errorf("crash %d (mode %d, %v): database %s, dumps %v", k, mode, err, tr.content, tr.dumps)
			}
			if !slices.Equal(tr.standing, []string{"VIEW early", "VIEW later"}) {
				t.Errorf("crash %d (mode %d, %v): left standing: %q", k, mode, err, tr.standing)
			}
		}
	}
}

// TestRestoreOfOthers refuses a dump that the account cannot load to its end, before anything is changed.
func TestRestoreOfOthers(t *testing.T) {
	s := scenario{act: func() Action {
		return &Dump{Connection: Connection{Database: "zarafa"}, Path: "/var/backups/z.sql.gz", Compression: "gzip"}
	}, setup: func(t tester, h *fakeHost) {
		must(t, h.PutDir("/var/backups", 0o700, 0, 0))
		h.dump = host.DumpResult{RawBytes: 100, Bytes: 40, SHA256: "abc", Tables: []string{"users"}, Closed: true, Definers: []string{"`zarafa`@`localhost`", "`root`@`%`"}}
	}}
	tr := s.prepared(t)
	must(t, tr.apply(t))
	restore := &Restore{Dump: *tr.action(t).(*Dump), Made: tr.fakeHost.dump}
	for rights, want := range map[string]string{"0": "of `root`@`%`, which zarafa@localhost may not make again", "1": ""} {
		tr.answers = map[string]host.Rows{host.QueryAccount: {Rows: [][]string{{"zarafa@localhost", rights}}}}
		_, err := restore.Prepare(tr.env)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "nothing was changed")) {
			t.Errorf("rights %s: %v", rights, err)
		}
	}
}

// TestRestoreBesideABinaryLog refuses a dump that the server would not load to its end, before anything is changed.
func TestRestoreBesideABinaryLog(t *testing.T) {
	s := scenario{act: func() Action {
		return &Dump{Connection: Connection{Database: "zarafa"}, Path: "/var/backups/z.sql.gz", Compression: "gzip"}
	}, setup: func(t tester, h *fakeHost) {
		must(t, h.PutDir("/var/backups", 0o700, 0, 0))
		h.dump = host.DumpResult{RawBytes: 100, Bytes: 40, SHA256: "abc", Tables: []string{"users"}, Closed: true}
	}}
	tr := s.prepared(t)
	must(t, tr.apply(t))
	tr.answers = map[string]host.Rows{
		host.QueryBinaryLog: {Rows: [][]string{{"log_bin", "ON"}, {"log_bin_trust_function_creators", "OFF"}}}, host.QueryLogRights: {},
	}
	for _, tc := range []struct {
		held []host.Object
		want string
	}{
		{[]host.Object{{Kind: "TRIGGER", Name: "seen"}, {Kind: "PROCEDURE", Name: "p"}, {Kind: "FUNCTION", Name: "f"}}, "(errors 1418 and 1419): trigger seen, function f; as its administrator SET GLOBAL log_bin_trust"},
		{[]host.Object{{Kind: "PROCEDURE", Name: "p"}}, ""},
	} {
		made := tr.fakeHost.dump
		made.Held = tc.held
		_, err := (&Restore{Dump: *tr.action(t).(*Dump), Made: made}).Prepare(tr.env)
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasSuffix(err.Error(), "nothing was changed")) {
			t.Errorf("%v: %v", tc.held, err)
		}
	}
}

// TestBeside tells of what was not in the dump where it is now, by what the database says.
func TestBeside(t *testing.T) {
	tr := scenario{act: func() Action { return &Dump{Path: "/z.sql"} }, setup: func(tester, *fakeHost) {}}.prepared(t)
	a, standing := &Restore{}, []string{"VIEW idle", "EVENT dropped"}
	for want, answers := range map[string]map[string]host.Rows{
		"not in the dump, and left as they are: view idle; not in the dump, and gone since it was made, by whoever dropped them: event dropped": {
			host.QueryDefiners: {Rows: [][]string{{"VIEW", "idle", "zarafa@localhost"}, {"VIEW", "other", "zarafa@localhost"}}},
		},
		"not in the dump, and not touched: event dropped, view idle": nil,
	} {
		tr.answers = answers
		if got := strings.Join(a.beside(tr.env, host.DatabaseConn{}, standing), "; "); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	for _, held := range []host.Object{{Kind: "VIEW", Name: "idle"}, {Kind: "EVENT", Name: "dropped"}} {
		made := host.DumpResult{Held: []host.Object{held}}
		if got := made.StandBeside(standing); len(got) != 1 || strings.Contains(got[0], held.Name) {
			t.Errorf("a dump that holds %s leaves standing %q", held, got)
		}
	}
}

// TestLoadTime holds the guess to what was seen: many small rows take as long as much content.
func TestLoadTime(t *testing.T) {
	for _, tc := range []struct {
		raw, rows int64
		took      time.Duration
		want      string
	}{
		{1 << 20, 100, 0, "a few seconds"},
		{1 << 30, 0, 0, "51 seconds to 9 minutes"},
		{300 << 20, 5_000_000, 0, "5 to 45 minutes"}, // took 5 minutes and 21 seconds
		{200 << 30, 0, 0, "3 to 29 hours"},
		{1 << 30, 0, 6 * time.Second, "51 seconds to 9 minutes, after a dump of what is there by then (the first took 6 seconds)"},
		{1 << 30, 0, 20 * time.Minute, "20 to 80 minutes, after a dump of what is there by then (the first took 20 minutes)"}, // of a machine that does other work
	} {
		if got := (&Dump{Rows: tc.rows}).LoadTime(host.DumpResult{RawBytes: tc.raw, Took: tc.took}); got != "loading takes "+tc.want {
			t.Errorf("%d bytes, %d rows: %s, want %s", tc.raw, tc.rows, got, tc.want)
		}
	}
}
