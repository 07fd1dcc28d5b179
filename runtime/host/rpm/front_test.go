package rpm

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"zcp2kopano/runtime/host"
)

func TestSources(t *testing.T) {
	const file = "/etc/yum.repos.d/a.repo"
	text := "[a]\nbaseurl=http://user:word@one.example/$releasever/$basearch/,http://other.example\n" +
		"[b]\nenabled=0\nbaseurl=http://no.example\n[c]\nmirrorlist=http://list.example\n"
	facts := host.Facts{Arch: "x86_64", OSRelease: map[string]string{"VERSION_ID": "7"}}
	want := []host.Source{{File: file, URL: "http://one.example/7/x86_64", Path: "./"}, {File: file, URL: "http://list.example", Path: "./"}}
	if diff := cmp.Diff(want, (System{}).Sources(file, text, facts)); diff != "" {
		t.Error(diff)
	}
}

func TestFronts(t *testing.T) {
	for name, want := range map[string]string{"yum": "/etc/yum.repos.d/*.repo", "dnf": "/etc/yum.repos.d/*.repo", "zypper": "/etc/zypp/repos.d/*.repo"} {
		s := With(name)
		if program, failed := s.Program(); program != "/usr/bin/"+name || failed == "" || s.SourceFiles()[0] != want || len(s.OwnFiles()) == 0 {
			t.Errorf("%s: %s, %q, %q", name, program, failed, s.SourceFiles())
		}
	}
	if With("yum").Recommends() || !With("dnf").Recommends() || With("dnf").PlainDirectories() || !With("zypper").PlainDirectories() {
		t.Error("what the fronts can do is told by the wrong one")
	}
}
