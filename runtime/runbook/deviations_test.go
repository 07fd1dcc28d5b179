package runbook

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"zcp2kopano/runtime/script"
)

const stockText = `"""Stock."""

load("lib/steps.star", "first", "second")

def third():
    """Third."""
    return 3

def fourth():
    """Fourth."""

runbook = define(
    systems = ["debian >= 8"],
    steps = [first, second, third, fourth],
    params = [param("speed", default = "slow", choices = ["slow", "fast"], doc = "how"), param("left", default = "x", doc = "it")],
    allow = policy(write = ["/etc/a", "/etc/b"], services = ["a"]),
)
`

const stepsText = `"""Steps."""

def first():
    """First."""

def second():
    """Second."""
`

// TestDeviations lists in what a site's runbook differs from the stock that it is made of.
func TestDeviations(t *testing.T) {
	stock := fstest.MapFS{"stock.star": {Data: []byte(stockText)}, "lib/steps.star": {Data: []byte(stepsText)}}
	const head = "\"\"\"Site.\"\"\"\n\nload(\"//stock.star\", stock = \"runbook\")\n\ndef own():\n    \"\"\"Own.\"\"\"\n\n"
	for _, tc := range []struct {
		name        string
		text        string
		old, change string // of the copy of the stock
		want        []string
	}{
		{name: "nothing", text: head + "runbook = stock"},
		{name: "a step more", text: head + `runbook = stock.after("second", own)`, want: []string{"steps added: own (after second)"}},
		{name: "a step more, at the begin", text: head + `runbook = stock.before("first", own)`, want: []string{"steps added: own (at the begin)"}},
		{name: "two steps less", text: head + `runbook = stock.without(["first", "third"])`, want: []string{"steps left out: first, third"}},
		{name: "another step", text: head + `runbook = stock.replace("third", own)`, want: []string{"steps replaced: third (by own of site.star)"}},
		{name: "a step with another text", text: head + "runbook = stock", old: "return 3", change: "return 4", want: []string{"steps changed: third", "other texts: stock.star"}},
		{
			name: "another order", text: head + "runbook = stock", old: "[first, second, third, fourth]", change: "[fourth, first, second, third]",
			want: []string{"steps moved: fourth", "other texts: stock.star"},
		},
		{name: "parameters", text: head + `runbook = stock.with_params([param("more", default = "", doc = "m"), param("left", default = "x", choices = ["x"], doc = "it")]).with_defaults({"speed": "fast"})`,
			want: []string{"parameters added: more", "other defaults (the stock's): speed = fast (slow)", "parameters that take other values: left"}},
		{name: "a parameter less", text: head + "runbook = stock", old: `, param("left", default = "x", doc = "it")`, change: "", want: []string{"parameters left out: left", "other texts: stock.star"}},
		{
			name: "permissions", text: head + `runbook = stock.allowing(policy(write = ["/srv/x", "/etc/a"], packages = ["munin-*"], databases = ["d"], ldap = ["dc=x"], programs = ["/usr/sbin/postmap"]))`,
			want: []string{"permissions beyond stock: write /srv/x, packages munin-*, databases d, ldap dc=x, programs /usr/sbin/postmap"},
		},
		{name: "permissions less", text: head + "runbook = stock", old: `, "/etc/b"], services = ["a"]`, change: "]", want: []string{"permissions of the stock that it does without: write /etc/b, services a", "other texts: stock.star"}},
		{name: "systems", text: head + "runbook = stock", old: "debian >= 8", change: "debian >= 7", want: []string{"systems: debian >= 7", "other texts: stock.star"}},
		{name: "of the program's stock", text: strings.Replace(head, "//stock.star", "@stock//stock.star", 1) + `runbook = stock.without("first")`, want: []string{"steps left out: first"}},
		{name: "made of nothing", text: "def own():\n    \"\"\"Own.\"\"\"\n\nrunbook = define(steps = [own])"},
	} {
		dir := t.TempDir()
		files := map[string]string{"site.star": tc.text + "\n", "lib/steps.star": stepsText, "stock.star": strings.Replace(stockText, tc.old, tc.change, 1)}
		for name, text := range files {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		book, err := Load(context.Background(), script.LoadOptions{Name: filepath.Join(dir, "site.star"), Stock: stock})
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		var got []string
		for _, d := range book.Deviations {
			got = append(got, d.String())
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
		if made := book.OfStock(stock); (made == "") != (tc.name == "made of nothing") {
			t.Errorf("%s: made of %q", tc.name, made)
		}
		// a run's copy of it is compared as well
		again, err := LoadCopy(context.Background(), book.Name, book.Modules(), script.LoadOptions{Stock: stock})
		if err != nil || !slices.EqualFunc(again.Deviations, book.Deviations, func(a, b Deviation) bool { return a.String() == b.String() }) {
			t.Errorf("%s: the copy differs in %v (%v)", tc.name, again, err)
		}
	}
}
