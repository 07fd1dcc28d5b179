package main

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"zcp2kopano/runbooks"
	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/fork"
)

// command runs the program in this process, and returns its exit code and what it said.
func command(t *testing.T, args ...string) (code int, said string) {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	code = execute(args, stdio{in: os.Stdin, out: out, err: out, guarded: true})
	data, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	return code, string(data)
}

// olderFork is a fork of an older stock: of one that had other words where this program's has new ones. It has a
// test of its own instead of the stock's, which take long.
func olderFork(t *testing.T, file, words, older string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "site")
	if code, said := command(t, "fork", dir); code != exit.Done {
		t.Fatal(said)
	}
	stock, err := fork.Stock(runbooks.FS)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(stock[file], words) != 1 {
		t.Fatalf("%s does not have %q once", file, words)
	}
	old := maps.Clone(stock)
	old[file] = strings.Replace(stock[file], words, older, 1)
	if err := fork.Remember(dir, "0.9", old); err != nil {
		t.Fatal(err)
	}
	put(t, dir, file, old[file])
	for name := range stock {
		if strings.HasPrefix(name, "tests/") || strings.HasPrefix(name, "cookbook/") || name == "rhel.star" || name == "sles.star" || name == "directory.star" {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	put(t, dir, "site_test.star", "def test_a():\n    test.equal(1, 1)\n")
	return dir
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func edit(t *testing.T, dir, name, old, text string) {
	t.Helper()
	data := content(t, dir, name)
	if !strings.Contains(data, old) {
		t.Fatalf("%s does not have %q", name, old)
	}
	put(t, dir, name, strings.Replace(data, old, text, 1))
}

func content(t *testing.T, dir, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func has(t *testing.T, said string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(said, part) {
			t.Errorf("it does not say %q:\n%s", part, said)
		}
	}
}

const (
	mergedFile = "lib/verify.star"
	newWords   = `fail("ZCP packages are still installed: "`
	oldWords   = `fail("packages of ZCP are installed: "`
)

// TestMerge brings a newer stock into a fork with changes of its own, tried before.
func TestMerge(t *testing.T) {
	dir := olderFork(t, mergedFile, newWords, oldWords)
	edit(t, dir, mergedFile, "def _told(d):", "# ours\ndef _told(d):")
	code, said := command(t, "diff", dir)
	if code != exit.Done {
		t.Error(code)
	}
	has(t, said, "is a fork of the stock of 0.9", "other texts: "+mergedFile, "+# ours\n", "has changed since:\n  changed "+mergedFile, "next: zcp2kopano merge "+dir)

	before := content(t, dir, mergedFile)
	code, said = command(t, "merge", dir, "--dry-run")
	if code != exit.Done || content(t, dir, mergedFile) != before {
		t.Errorf("code %d, or it is written:\n%s", code, said)
	}
	has(t, said, "merged         "+mergedFile, "simulated      debian.star on fixture", "simulated      site.star", "tested         1 tests passed", "nothing is written")

	edit(t, dir, "site_test.star", "1, 1", "1, 2")
	code, said = command(t, "merge", dir)
	if code != exit.Failed || content(t, dir, mergedFile) != before {
		t.Errorf("code %d, or it is written:\n%s", code, said)
	}
	has(t, said, "got 1, want 2", "1 of 1 tests fail", "nothing is written")
	edit(t, dir, "site_test.star", "1, 2", "1, 1")

	if code, said = command(t, "merge", dir); code != exit.Done {
		t.Fatal(said)
	}
	has(t, content(t, dir, mergedFile), "# ours\n", newWords)
	if kept := content(t, dir, filepath.Join(fork.BeforeMerge, mergedFile)); kept != before {
		t.Errorf("what was replaced is not kept: %s", kept)
	}
	if _, err := os.Stat(filepath.Join(dir, "rhel.star")); err == nil {
		t.Error("what the site has left out came back")
	}
	code, said = command(t, "merge", dir)
	has(t, said, "nothing to merge")
	if code != exit.Done {
		t.Error(code)
	}
}

// TestMergeConflict writes a conflict only when told to, and refuses to go on while its marks are there.
func TestMergeConflict(t *testing.T) {
	dir := olderFork(t, mergedFile, newWords, oldWords)
	edit(t, dir, mergedFile, oldWords, `fail("look, there is ZCP: "`)
	before := content(t, dir, mergedFile)
	code, said := command(t, "merge", dir)
	if code != exit.Failed || content(t, dir, mergedFile) != before {
		t.Errorf("code %d, or it is written:\n%s", code, said)
	}
	has(t, said, "conflict       "+mergedFile, mergedFile+":", "<<<<<<< site\n", "look, there is ZCP", "1 conflicts", "--with-conflicts")
	code, said = command(t, "merge", dir, "--with-conflicts")
	if code != exit.Failed {
		t.Error(code)
	}
	has(t, said, "decide each of them")
	has(t, content(t, dir, mergedFile), "<<<<<<< site\n        fail(\"look, there is ZCP: \"", "||||||| stock 0.9\n        "+oldWords, "=======\n        "+newWords, ">>>>>>> stock "+version)
	if err := fork.Remember(dir, "0.9", fork.Texts{}); err != nil {
		t.Fatal(err)
	}
	code, said = command(t, "merge", dir)
	has(t, said, mergedFile, "mark of a conflict of an earlier merge")
	if code != exit.Failed {
		t.Error(code)
	}
}

// TestMergeThatBreaks does not write what cannot be loaded: the site calls what the stock has no more.
func TestMergeThatBreaks(t *testing.T) {
	dir := olderFork(t, mergedFile, "def look_at_result(", "def former_name():\n    return 1\n\ndef look_at_result(")
	edit(t, dir, "site.star", `load("//debian.star", stock = "runbook")`, "load(\"//debian.star\", stock = \"runbook\")\nload(\"//lib/verify.star\", \"former_name\")")
	if code, said := command(t, "simulate", filepath.Join(dir, "site.star")); code != exit.Done {
		t.Fatal(said)
	}
	code, said := command(t, "merge", dir)
	if code != exit.Failed {
		t.Error(code)
	}
	has(t, said, "site.star: //site.star:", "former_name", "nothing is written")
	has(t, content(t, dir, mergedFile), "def former_name")
	if code, said = command(t, "merge", dir, "--despite-failures"); code != exit.Done {
		t.Errorf("code %d: %s", code, said)
	}
	if strings.Contains(content(t, dir, mergedFile), "former_name") {
		t.Error("it is not written")
	}
}

// TestMergeOfOwnPreflight takes a site whose preflight refuses all servers but its own, and the parameters that a file
// gives of several runbooks; a preflight that fails is a failure.
func TestMergeOfOwnPreflight(t *testing.T) {
	dir := olderFork(t, mergedFile, newWords, oldWords)
	check := func(body string) {
		put(t, dir, "site.star", `"""Ours."""

load("//debian.star", stock = "runbook")

def ours(where):
    """Whether it is ours."""
    `+body+`

runbook = stock.with_params([param("where", default = "nowhere", doc = "where it is")]).before("survey", ours)
`)
	}
	params := filepath.Join(t.TempDir(), "all.params")
	put(t, filepath.Dir(params), "all.params", "where = Delft\nof_another_runbook = 1\n")

	check(`inhibit("it stands in " + where, "it is not ours")`)
	code, said := command(t, "merge", dir, "--dry-run", "--params", params)
	if code != exit.Done {
		t.Error(code)
	}
	has(t, said, "refused        site.star on fixture", "by its own preflight: it stands in Delft", "tested ")

	check(`return fs.exists("/etc/" + where).mode if where == "no" else None`)
	code, said = command(t, "merge", dir, "--dry-run")
	if code != exit.Failed {
		t.Error(code)
	}
	has(t, said, "site.star: //site.star:7:", "mode", "nothing is written")

	check(`inhibit("it stands in " + where, "it is not ours")`)
	edit(t, dir, "lib/plugins.star", "    plugin = server.get(", "    look(\"it\", int, [\"x\"])\n    plugin = server.get(")
	code, said = command(t, "merge", dir, "--dry-run")
	if code != exit.Failed {
		t.Error(code)
	}
	has(t, said, "debian.star, simulated on", "site.star, simulated on", "nothing is written")
}
