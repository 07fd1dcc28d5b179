package deb

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"zcp2kopano/runtime/host"
)

func TestSources(t *testing.T) {
	const list, stanzas = "/etc/apt/sources.list", "/etc/apt/sources.list.d/a.sources"
	text := "# deb http://no.example x main\ndeb-src http://no.example x main\ndebian\n" +
		"deb [trusted=yes] https://user:word@one.example/debian/ jessie main # note\ndeb file:/srv/repo ./\n"
	want := []host.Source{
		{File: list, URL: "https://one.example/debian", Path: "dists/jessie"}, {File: list, URL: "file:/srv/repo", Path: "."},
	}
	if diff := cmp.Diff(want, (System{}).Sources(list, text, host.Facts{})); diff != "" {
		t.Error(diff)
	}
	if dir := want[1].Dir(); dir != "/srv/repo" || want[0].Dir() != "" {
		t.Errorf("directories %q, %q", want[0].Dir(), dir)
	}
	text = "Types: deb deb-src\nURIs: http://one.example http://two.example\nSuites: s\n\n" +
		"Types: deb-src\nURIs: http://no.example\nSuites: s\n\nEnabled: no\nTypes: deb\nURIs: http://no.example\nSuites: s\n"
	want = []host.Source{{File: stanzas, URL: "http://one.example", Path: "dists/s"}, {File: stanzas, URL: "http://two.example", Path: "dists/s"}}
	if diff := cmp.Diff(want, (System{}).Sources(stanzas, text, host.Facts{})); diff != "" {
		t.Error(diff)
	}
}
