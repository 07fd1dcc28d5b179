package fork_test

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"zcp2kopano/runtime/fork"
)

// forked is a directory of files that came from a stock.
func forked(t interface {
	Helper()
	Fatal(...any)
}, dir string, stock, site fork.Texts) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	for name, text := range site {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := fork.Remember(dir, "1", stock); err != nil {
		t.Fatal(err)
	}
}

// merged merges a newer stock into a fork, and returns what became of it.
func merged(t *testing.T, base, site, stock fork.Texts) (*fork.Merge, fork.Texts) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "fork")
	forked(t, dir, base, site)
	m, err := fork.Prepare(dir, "2", stock)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Write(); err != nil {
		t.Fatal(err)
	}
	texts, err := fork.Stock(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	memory, err := fork.Recall(dir)
	if err != nil || memory.Version != "2" || !maps.Equal(memory.Texts, stock) {
		t.Errorf("the fork remembers %+v (%v)", memory, err)
	}
	return m, texts
}

func TestMergeOfFiles(t *testing.T) {
	const old, site, stock = "a\nb\nc\nd\ne\n", "a\nsite\nb\nc\nd\ne\n", "a\nb\nc\nd\nstock\n"
	for _, tc := range []struct {
		name             string
		base, site, come fork.Texts
		want             fork.Texts
		told             string // FILE: KIND
	}{
		{"nobody changed it", fork.Texts{"f.star": old}, fork.Texts{"f.star": old}, fork.Texts{"f.star": old}, fork.Texts{"f.star": old}, ""},
		{"the site changed it", fork.Texts{"f.star": old}, fork.Texts{"f.star": site}, fork.Texts{"f.star": old}, fork.Texts{"f.star": site}, ""},
		{"the stock changed it", fork.Texts{"f.star": old}, fork.Texts{"f.star": old}, fork.Texts{"f.star": stock}, fork.Texts{"f.star": stock}, "f.star: from the stock"},
		{"both changed it alike", fork.Texts{"f.star": old}, fork.Texts{"f.star": stock}, fork.Texts{"f.star": stock}, fork.Texts{"f.star": stock}, ""},
		{"both changed it", fork.Texts{"f.star": old}, fork.Texts{"f.star": site}, fork.Texts{"f.star": stock}, fork.Texts{"f.star": "a\nsite\nb\nc\nd\nstock\n"}, "f.star: merged"},
		{
			"both changed the same line", fork.Texts{"f.star": old}, fork.Texts{"f.star": "a\nb\nmine\nd\ne\n"}, fork.Texts{"f.star": "a\nb\ntheirs\nd\ne\n"},
			fork.Texts{"f.star": "a\nb\n<<<<<<< site\nmine\n||||||| stock 1\nc\n=======\ntheirs\n>>>>>>> stock 2\nd\ne\n"}, "f.star: conflict",
		},
		{
			"the same end without a line end", fork.Texts{"f.star": "a\nb"}, fork.Texts{"f.star": "a\nmine"}, fork.Texts{"f.star": "a\ntheirs"},
			fork.Texts{"f.star": "a\n<<<<<<< site\nmine\n||||||| stock 1\nb\n=======\ntheirs\n>>>>>>> stock 2\n"}, "f.star: conflict",
		},
		{"the stock has one more", fork.Texts{}, fork.Texts{}, fork.Texts{"lib/f.star": old}, fork.Texts{"lib/f.star": old}, "lib/f.star: added"},
		{"the site has one more", fork.Texts{}, fork.Texts{"site.star": site}, fork.Texts{}, fork.Texts{"site.star": site}, ""},
		{"both have one more of the same name", fork.Texts{}, fork.Texts{"f.star": "mine\n"}, fork.Texts{"f.star": "theirs\n"},
			fork.Texts{"f.star": "<<<<<<< site\nmine\n||||||| stock 1\n=======\ntheirs\n>>>>>>> stock 2\n"}, "f.star: conflict"},
		{"the stock removed it", fork.Texts{"f.star": old}, fork.Texts{"f.star": old}, fork.Texts{}, fork.Texts{}, "f.star: removed"},
		{"the stock removed what the site changed", fork.Texts{"f.star": old}, fork.Texts{"f.star": site}, fork.Texts{}, fork.Texts{"f.star": site}, "f.star: kept"},
		{"the site removed it", fork.Texts{"f.star": old}, fork.Texts{}, fork.Texts{"f.star": old}, fork.Texts{}, ""},
		{"the site removed what the stock changed", fork.Texts{"f.star": old}, fork.Texts{}, fork.Texts{"f.star": stock}, fork.Texts{}, "f.star: kept"},
		{"both removed it", fork.Texts{"f.star": old}, fork.Texts{}, fork.Texts{}, fork.Texts{}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m, got := merged(t, tc.base, tc.site, tc.come)
			if !maps.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			told := ""
			for _, f := range m.Files {
				told += f.File + ": " + f.Kind
			}
			if told != tc.told {
				t.Errorf("told %q, want %q", told, tc.told)
			}
			for name, text := range tc.site {
				if kept, err := os.ReadFile(filepath.Join(m.Dir, fork.BeforeMerge, name)); got[name] != text && (err != nil || string(kept) != text) {
					t.Errorf("%s is not kept as it was: %q, %v", name, kept, err)
				}
				if info, err := os.Stat(filepath.Join(m.Dir, name)); err == nil && info.Mode().Perm() != 0o600 {
					t.Errorf("%s has mode %o", name, info.Mode().Perm())
				}
			}
		})
	}
}

// edit changes random places of a text: each line that comes in is one of a kind.
func edit(t *rapid.T, who string, from []string) []string {
	var to []string
	n := 0
	fresh := func() {
		for range rapid.IntRange(0, 2).Draw(t, who+" new") {
			n++
			to = append(to, fmt.Sprintf("%s %d\n", who, n))
		}
	}
	for _, line := range from {
		switch rapid.IntRange(0, 9).Draw(t, who) {
		case 0: // left out
		case 1: // replaced
			fresh()
		case 2:
			fresh()
			to = append(to, line)
		default:
			to = append(to, line)
		}
	}
	fresh()
	return to
}

// TestMergeLosesNothing merges random edits: every line that the site has put in is there once, whatever the stock did,
// and every line that the stock has put in; the site's lines stay in their order; and it comes out the same each time.
func TestMergeLosesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "fork")
	rapid.Check(t, func(t *rapid.T) {
		var base []string
		for range rapid.IntRange(0, 12).Draw(t, "lines") {
			base = append(base, rapid.SampledFrom([]string{"a\n", "b\n", "c\n", "\n", "    return None\n"}).Draw(t, "line"))
		}
		site, stock := edit(t, "site", base), edit(t, "stock", base)
		one := func(lines []string) fork.Texts { return fork.Texts{"f.star": strings.Join(lines, "")} }
		forked(t, dir, one(base), one(site))
		var results []string
		for range 2 {
			m, err := fork.Prepare(dir, "2", one(stock))
			if err != nil {
				t.Fatal(err)
			}
			results = append(results, m.Result["f.star"])
			got := strings.SplitAfter(m.Result["f.star"], "\n")
			for who, lines := range map[string][]string{"site": site, "stock": stock} {
				mine := slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return !strings.HasPrefix(l, who) })
				there := slices.DeleteFunc(slices.Clone(got), func(l string) bool { return !strings.HasPrefix(l, who) })
				if !slices.Equal(mine, there) {
					t.Fatalf("lines of the %s: %q, want %q\n%s", who, there, mine, m.Result["f.star"])
				}
			}
			if marks := strings.Count(m.Result["f.star"], "<<<<<<< "); marks != m.Conflicts() || marks != strings.Count(m.Result["f.star"], ">>>>>>> ") {
				t.Fatalf("%d marks, %d conflicts", marks, m.Conflicts())
			}
			if (fork.Marked(m.Result["f.star"]) > 0) != (m.Conflicts() > 0) {
				t.Fatal("marks are not found")
			}
		}
		if results[0] != results[1] {
			t.Fatalf("%q, and then %q", results[0], results[1])
		}
		for name, c := range map[string]struct{ site, stock, want fork.Texts }{
			"an unchanged site":  {one(base), one(stock), one(stock)},
			"an unchanged stock": {one(site), one(base), one(site)},
			"the same change":    {one(site), one(site), one(site)},
		} {
			forked(t, dir, one(base), c.site)
			m, err := fork.Prepare(dir, "2", c.stock)
			if err != nil || m.Conflicts() > 0 || !maps.Equal(m.Result, c.want) {
				t.Fatalf("%s: %v, %d conflicts: %q, want %q", name, err, m.Conflicts(), m.Result, c.want)
			}
			if name != "an unchanged site" && len(m.Files) > 0 {
				t.Fatalf("%s: it tells %+v", name, m.Files)
			}
		}
	})
}

// A merge that was cut short after any of its writes can be begun again, and comes to the same.
func TestMergeCutShort(t *testing.T) {
	base := fork.Texts{"a.star": "1\n2\n3\n", "b.star": "1\n2\n3\n", "c.star": "x\n"}
	site := fork.Texts{"a.star": "0\n1\n2\n3\n", "b.star": "1\n2\n3\n", "c.star": "x\n"}
	stock := fork.Texts{"a.star": "1\n2\n3\n4\n", "b.star": "1\n2\n4\n", "d.star": "d\n"}
	_, want := merged(t, base, site, stock)
	for _, done := range []fork.Texts{
		{"a.star": want["a.star"], "b.star": site["b.star"], "c.star": "x\n"},
		{"a.star": want["a.star"], "b.star": want["b.star"], "c.star": "x\n"},
		{"a.star": want["a.star"], "b.star": want["b.star"]},
		{"a.star": want["a.star"], "b.star": want["b.star"], "d.star": "d\n"},
	} {
		if m, got := merged(t, base, done, stock); m.Conflicts() > 0 || !maps.Equal(got, want) {
			t.Errorf("after %q: %q, want %q", done, got, want)
		}
	}
	// between the two renames of what it remembers
	dir := filepath.Join(t.TempDir(), "fork")
	forked(t, dir, stock, want)
	if err := os.Rename(filepath.Join(dir, fork.Hidden), filepath.Join(dir, fork.Hidden+".new")); err != nil {
		t.Fatal(err)
	}
	if memory, err := fork.Recall(dir); err != nil || !maps.Equal(memory.Texts, stock) {
		t.Errorf("%+v, %v", memory, err)
	}
}

func TestMergeRefuses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "fork")
	texts := fork.Texts{"lib/f.star": "a\n"}
	prepare := func() error {
		_, err := fork.Prepare(dir, "2", texts)
		return err
	}
	forked(t, dir, texts, fork.Texts{"f.star": "a\n<<<<<<< site\n"})
	if err := prepare(); err == nil || !strings.Contains(err.Error(), "f.star:2: the mark of a conflict") {
		t.Error(err)
	}
	forked(t, dir, texts, texts)
	if err := os.WriteFile(filepath.Join(dir, fork.Hidden, "lib/f.star"), []byte("b\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := prepare(); err == nil || !strings.Contains(err.Error(), "somebody has changed it") {
		t.Error(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, fork.Hidden)); err != nil {
		t.Fatal(err)
	}
	if err := prepare(); err == nil || !strings.Contains(err.Error(), "does not remember") {
		t.Error(err)
	}
}

func TestTry(t *testing.T) {
	dir, try := filepath.Join(t.TempDir(), "fork"), t.TempDir()
	forked(t, dir, fork.Texts{}, fork.Texts{"site.star": "s\n", "tests/golden/x.txt": "golden\n", ".git/x.star": "no\n"})
	m, err := fork.Prepare(dir, "2", fork.Texts{"new.star": "n\n"})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Try(try); err != nil {
		t.Fatal(err)
	}
	var files []string
	err = fs.WalkDir(os.DirFS(try), ".", func(name string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			files = append(files, name)
		}
		return err
	})
	if want := []string{"new.star", "site.star", "tests/golden/x.txt"}; err != nil || !slices.Equal(files, want) {
		t.Errorf("%q, want %q (%v)", files, want, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "new.star")); err == nil {
		t.Error("the fork is written to")
	}
}

func TestChanges(t *testing.T) {
	got := fork.Changes(fork.Texts{"a": "1\n", "b": "2\n", "c": "3\n"}, fork.Texts{"b": "4\n", "c": "3\n", "d": "5\n"}, "stock", "site")
	want := []fork.Change{{"a", "left out", ""}, {"b", "changed", "--- stock/b\n+++ site/b\n@@ -1,1 +1,1 @@\n-2\n+4\n"}, {"d", "added", ""}}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// TestMergeKeepsOriginals: what a merge that was cut short has replaced stays kept until one has ended.
func TestMergeKeepsOriginals(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "fork")
	forked(t, dir, fork.Texts{"a.star": "a\n", "b.star": "b\n"}, fork.Texts{"a.star": "a\n", "b.star": "b\n"})
	merge := func(stock fork.Texts) error {
		m, err := fork.Prepare(dir, "2", stock)
		if err != nil {
			t.Fatal(err)
		}
		return m.Write()
	}
	kept := func(name string) string {
		data, err := os.ReadFile(filepath.Join(dir, fork.BeforeMerge, name))
		if err != nil {
			t.Error(err)
		}
		return string(data)
	}
	// x is a directory where a file is to come: the merge fails when a and b are done
	if err := os.Mkdir(filepath.Join(dir, "x.star"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := merge(fork.Texts{"a.star": "a 2\n", "b.star": "b 2\n", "x.star": "x\n"}); err == nil {
		t.Fatal("it has not failed")
	}
	if err := os.Remove(filepath.Join(dir, "x.star")); err != nil {
		t.Fatal(err)
	}
	if err := merge(fork.Texts{"a.star": "a 2\n", "b.star": "b 2\n", "x.star": "x\n"}); err != nil {
		t.Fatal(err)
	}
	if a, b := kept("a.star"), kept("b.star"); a != "a\n" || b != "b\n" {
		t.Errorf("kept: %q, %q", a, b)
	}
	// it has ended: the next keeps its own alone
	if err := merge(fork.Texts{"a.star": "a 2\n", "b.star": "b 4\n", "x.star": "x\n"}); err != nil {
		t.Fatal(err)
	}
	if b := kept("b.star"); b != "b 2\n" {
		t.Errorf("kept: %q", b)
	}
}
