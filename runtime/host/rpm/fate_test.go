package rpm

import (
	"io/fs"
	"testing"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/digest"
)

// held is a host with a file of a content, or with none.
type held struct{ content *string }

func (h held) Lstat(string) (host.Stat, error) {
	if h.content == nil {
		return host.Stat{}, fs.ErrNotExist
	}
	return host.Stat{Mode: 0o644}, nil
}

func (h held) Is(s Side, _ host.Stat) (bool, error) {
	return s.Shipped() == digest.Of([]byte(*h.content), digest.SHA256Like), nil
}

// sideWith is a package's file of a content, a configuration file or not.
func sideWith(content string, config, noReplace bool) Side {
	const path = "/etc/a.cfg"
	s := Side{File: host.PackedFile{Path: path, Mode: 0o644, Content: []byte(content), NoReplace: noReplace}}
	if config {
		s.Conffiles = []host.Conffile{{Path: path}}
	}
	return s
}

// TestFate has the rows of rpm's own table for configuration files (rpmfilesDecideFate, rpmfilesConfigConflict).
func TestFate(t *testing.T) {
	has := func(text string) held { return held{&text} }
	one := []Side{sideWith("1", true, true)}
	for _, c := range []struct {
		what  string
		here  held
		comes Side
		had   []Side
		want  Fate
	}{
		{"first installation", held{}, sideWith("1", true, true), nil, Create},
		{"over what no package owned", has("x"), sideWith("1", true, false), nil, Backup},
		{"over what no package owned, noreplace", has("x"), sideWith("1", true, true), nil, AltName},
		{"over the same", has("1"), sideWith("1", true, true), nil, Create},
		{"no configuration file", has("x"), sideWith("1", false, false), nil, Create},
		{"untouched", has("1"), sideWith("2", true, true), one, Create},
		{"edited, same version", has("x"), sideWith("1", true, true), one, Skip},
		{"edited, new version", has("x"), sideWith("2", true, false), one, Save},
		{"edited, new version, noreplace", has("x"), sideWith("2", true, true), one, AltName},
		{"edited, no configuration file any more", has("x"), sideWith("2", false, false), one, Save},
		{"deleted", held{}, sideWith("2", true, true), one, Create},
	} {
		if got, err := FateOf(c.here, c.comes, c.had); got != c.want || err != nil {
			t.Errorf("%s: %d, %v, want %d", c.what, got, err, c.want)
		}
	}
	ghost, missing := sideWith("1", true, false), sideWith("2", true, false)
	ghost.File.Ghost, missing.File.MissingOK = true, true
	if got, err := FateOf(has("x"), ghost, nil); got != Skip || err != nil {
		t.Errorf("ghost: %d, %v", got, err)
	}
	if got, err := FateOf(held{}, missing, one); got != Skip || err != nil {
		t.Errorf("deleted for good: %d, %v", got, err)
	}
	if got, err := FateOfOld(has("x"), one[0]); got != Save || err != nil {
		t.Errorf("removed, edited: %d, %v", got, err)
	}
	if got, err := FateOfOld(has("1"), one[0]); got != Erase || err != nil {
		t.Errorf("removed: %d, %v", got, err)
	}
	if got := AltName.Beside("/etc/a.cfg"); got != "/etc/a.cfg.rpmnew" {
		t.Error(got)
	}
}
