package deb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/signkey"
)

// apt is what a version of apt can do. The versions are those of apt's changelog and NEWS.
type apt struct {
	signedBy    bool // 1.1: a source names the key that signs it
	authParts   bool // 1.8 (Debian 10): /etc/apt/auth.conf.d
	httpsBuilt  bool // 1.5: https without the package apt-transport-https
	authScheme  bool // 1.9.5: an entry without a scheme counts for https only
	authLengths bool // before 1.5: names and passwords of at most 63 bytes, hosts without a port
}

func aptOf(v string) (apt, error) {
	if err := (System{}).CheckVersion(v); err != nil {
		return apt{}, fmt.Errorf("version %q of apt: %w", v, err)
	}
	since := func(first string) bool { return Compare(v, first+"~") >= 0 }
	return apt{
		signedBy: since("1.1"), authParts: since("1.8"), httpsBuilt: since("1.5"),
		authScheme: since("1.9.5"), authLengths: !since("1.5"),
	}, nil
}

// SourceFile is the file that names a repository.
func (System) SourceFile(name string) string { return path.Join(SourcesDir, name+".list") }

// Setup gathers what the files of a repository are made of, its key and the passwords that are there, and
// writes them as this version of apt reads them.
func (System) Setup(ctx context.Context, h host.RepositoryHost, aptVersion string, r host.Repository) (host.RepositorySetup, error) {
	a, err := aptOf(aptVersion)
	if err != nil {
		return host.RepositorySetup{}, err
	}
	if strings.HasPrefix(r.URL, "https:") && !a.httpsBuilt {
		if _, err := h.Stat("/usr/lib/apt/methods/https"); err != nil {
			return host.RepositorySetup{}, fmt.Errorf("apt %s cannot fetch https by itself: install apt-transport-https and ca-certificates first", aptVersion)
		}
	}
	key, err := signkey.Fetch(ctx, h, r)
	if err != nil {
		return host.RepositorySetup{}, err
	}
	old := ""
	if r.User != "" && !a.authParts {
		if old, err = readAuth(h); err != nil {
			return host.RepositorySetup{}, err
		}
	}
	setup, err := renderApt(a, r, key, old)
	setup.Keys = signkey.Fingerprints(key)
	return setup, err
}

func readAuth(files host.FileReader) (string, error) {
	data, err := host.ReadSmall(files, AuthFile)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(data), err
}

// renderApt makes the files of a repository. key is without armour; old is the content of auth.conf
// where that has to be edited.
func renderApt(a apt, r host.Repository, key []byte, old string) (host.RepositorySetup, error) {
	s := host.RepositorySetup{Source: System{}.SourceFile(r.Name)}
	add := func(name, content string, mode uint32) {
		s.Files = append(s.Files, host.ConfigFile{Path: name, Content: host.NewSecret(content), Mode: mode})
	}
	var options []string
	if r.Trusted {
		options = append(options, "trusted=yes")
	}
	if key != nil {
		dir := TrustedDir
		if a.signedBy {
			dir = KeyringsDir
			s.Dirs = append(s.Dirs, KeyringsDir)
			options = append(options, "signed-by="+path.Join(dir, r.Name+".gpg"))
		}
		add(path.Join(dir, r.Name+".gpg"), string(key), 0o644)
	}
	if r.User != "" {
		line, err := authLine(a, r)
		if err != nil {
			return host.RepositorySetup{}, err
		}
		if a.authParts {
			add(path.Join(AuthDir, r.Name+".conf"), line+"\n", 0o600)
		} else {
			add(AuthFile, replaceAuth(old, line), 0o600)
		}
	}
	if r.Priority != 0 {
		content, err := preferences(r)
		if err != nil {
			return host.RepositorySetup{}, err
		}
		add(path.Join(PreferencesDir, r.Name+".pref"), content, 0o644)
	}
	add(s.Source, sourceLine(r, options), 0o644)
	return s, nil
}

// sourceLine is the one-line form of sources.list(5).
func sourceLine(r host.Repository, options []string) string {
	words := []string{"deb"}
	if len(options) > 0 {
		words = append(words, "["+strings.Join(options, " ")+"]")
	}
	words = append(words, r.URL, r.Suite)
	return strings.Join(append(words, r.Components...), " ") + "\n"
}

// authLine is an entry of apt_auth.conf(5). The format has no quoting: a token is what stands between
// blanks, and is taken byte by byte.
func authLine(a apt, r host.Repository) (string, error) {
	u, err := url.Parse(r.URL)
	if err != nil {
		return "", host.WithoutURL(err)
	}
	if u.Scheme == "file" {
		return "", errors.New("a file: repository takes no user and password")
	}
	machine := u.Host
	switch {
	case u.Scheme == "http" && a.authScheme:
		machine = "http://" + u.Host
	case a.authLengths:
		machine = u.Hostname()
	}
	for _, token := range []struct{ what, text string }{{"user", r.User}, {"password", r.Password.Reveal()}} {
		switch {
		case token.text == "":
			return "", fmt.Errorf("the %s is empty", token.what)
		case strings.ContainsAny(token.text, " \t\r\n\v\f\x00"):
			return "", fmt.Errorf("the %s holds a blank or line break, which apt cannot take; download the packages and give their directory instead", token.what)
		case a.authLengths && len(token.text) > 63:
			return "", fmt.Errorf("the %s is longer than the 63 bytes that this version of apt takes; download the packages and give their directory instead", token.what)
		}
	}
	return fmt.Sprintf("machine %s login %s password %s", machine, r.User, r.Password.Reveal()), nil
}

// replaceAuth puts a line into auth.conf, in place of one for the same machine.
func replaceAuth(old, line string) string {
	machine := strings.Join(strings.Fields(line)[:2], " ")
	var kept []string
	for _, l := range strings.Split(old, "\n") {
		if words := strings.Fields(l); len(words) >= 6 && strings.Join(words[:2], " ") == machine {
			continue
		}
		kept = append(kept, l)
	}
	rest := strings.TrimRight(strings.Join(kept, "\n"), "\n")
	if rest != "" {
		rest += "\n"
	}
	return rest + line + "\n"
}

// preferences pins all that comes from the repository's host (apt_preferences(5)); files of this
// machine have the empty host.
func preferences(r host.Repository) (string, error) {
	u, err := url.Parse(r.URL)
	if err != nil {
		return "", host.WithoutURL(err)
	}
	return fmt.Sprintf("Package: *\nPin: origin \"%s\"\nPin-Priority: %d\n", u.Hostname(), r.Priority), nil
}
