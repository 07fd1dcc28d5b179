package live

import (
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/host"
)

// TestProbeTakesWhatAptReads has beside each file what apt passes over.
func TestProbeTakesWhatAptReads(t *testing.T) {
	h, dir := open(t)
	must(t, os.MkdirAll(dir+"/var/tmp", 0o755))
	write(t, dir, "/usr/share/keyrings/linked.gpg", "linked")
	for _, parts := range []string{"trusted.gpg.d", "sources.list.d", "preferences.d"} {
		parts = "/etc/apt/" + parts
		write(t, dir, parts+"/plain", "plain")
		must(t, os.Mkdir(dir+parts+"/directory", 0o755))
		must(t, os.Symlink("/usr/share/keyrings/linked.gpg", dir+parts+"/link"))
		must(t, os.Symlink("/usr/share/keyrings", dir+parts+"/link-to-directory"))
		must(t, os.Symlink("gone", dir+parts+"/dangling"))
		must(t, os.Symlink("loop", dir+parts+"/loop"))
		must(t, unix.Mkfifo(dir+parts+"/pipe", 0o644))
	}
	write(t, dir, "/etc/apt/trusted.gpg", "old")

	s, err := h.parts.m.files.newScratch("/var/tmp")
	must(t, err)
	defer s.remove()
	must(t, h.parts.packages.debs.stageProbe(s, host.RepositoryProbe{Files: []host.ConfigFile{
		{Path: "/etc/apt/trusted.gpg.d/plain", Content: host.NewSecret("renewed")},
	}}))
	must(t, h.parts.packages.debs.addOwnSources(s))
	var got []string
	for _, name := range []string{
		"trusted.gpg", "trusted.gpg.d/plain", "trusted.gpg.d/link", "sources.list.d/plain", "sources.list.d/link", "preferences.d/plain", "preferences.d/link",
	} {
		data, err := os.ReadFile(dir + s.path + "/etc/apt/" + name)
		must(t, err)
		got = append(got, string(data))
	}
	if want := []string{"old", "renewed", "linked", "plain", "linked", "plain", "linked"}; !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	for _, parts := range []string{"trusted.gpg.d", "sources.list.d", "preferences.d"} {
		entries, err := os.ReadDir(dir + s.path + "/etc/apt/" + parts)
		must(t, err)
		if len(entries) != 2 {
			t.Errorf("%s: %v", parts, entries)
		}
	}
}
