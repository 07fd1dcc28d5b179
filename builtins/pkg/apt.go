package pkg

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"path"
	"strings"

	"pault.ag/go/debian/version"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/script"
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
	have, err := version.Parse(v)
	if err != nil {
		return apt{}, fmt.Errorf("version %q of apt: %w", v, err)
	}
	since := func(text string) bool {
		want, err := version.Parse(text + "~")
		return err == nil && version.Compare(have, want) >= 0
	}
	return apt{
		signedBy: since("1.1"), authParts: since("1.8"), httpsBuilt: since("1.5"),
		authScheme: since("1.9.5"), authLengths: !since("1.5"),
	}, nil
}

// Where apt keeps its configuration.
const (
	aptKeyrings    = "/etc/apt/keyrings"
	aptTrusted     = "/etc/apt/trusted.gpg.d"
	aptSources     = "/etc/apt/sources.list.d"
	aptPreferences = "/etc/apt/preferences.d"
	aptAuth        = "/etc/apt/auth.conf"
	aptAuthParts   = "/etc/apt/auth.conf.d"
)

// prepareApt gathers what the files are made of: key, existing passwords; and renders them.
func prepareApt(c *script.Call, v string, r repo) (setup, error) {
	a, err := aptOf(v)
	if err != nil {
		return setup{}, err
	}
	if strings.HasPrefix(r.url, "https:") && !a.httpsBuilt {
		if _, err := c.View.Stat("/usr/lib/apt/methods/https"); err != nil {
			return setup{}, fmt.Errorf("apt %s cannot fetch https by itself: install apt-transport-https and ca-certificates first", v)
		}
	}
	key, err := fetchKey(c, r)
	if err != nil {
		return setup{}, err
	}
	old := ""
	if r.user != "" && !a.authParts {
		if old, err = readAuth(c.View); err != nil {
			return setup{}, err
		}
	}
	return renderApt(a, r, key, old)
}

// fetchKey returns the repository's key without armour, nil if it has none.
func fetchKey(c *script.Call, r repo) ([]byte, error) {
	var data []byte
	var err error
	switch {
	case r.key == "":
		return nil, nil
	case strings.HasPrefix(strings.TrimSpace(r.key), armourBegin):
		data = []byte(r.key)
	case path.IsAbs(r.key):
		data, err = readSmall(c.View, r.key)
	case sameHost(r.key, r.url):
		data, err = c.View.Download(c.Context(), r.key, r.user, r.password)
	default: // a password is for the host that it was given for
		data, err = c.View.Download(c.Context(), r.key, "", host.Secret{})
	}
	if err != nil {
		return nil, fmt.Errorf("the key: %w", err)
	}
	key, err := dearmour(data)
	if err != nil {
		return nil, fmt.Errorf("the key: %w", err)
	}
	return key, nil
}

func sameHost(a, b string) bool {
	x, errX := url.Parse(a)
	y, errY := url.Parse(b)
	return errX == nil && errY == nil && x.Scheme == y.Scheme && x.Host == y.Host
}

func readSmall(view host.View, name string) ([]byte, error) {
	f, err := view.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, 1<<20))
}

func readAuth(view host.View) (string, error) {
	data, err := readSmall(view, aptAuth)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(data), err
}

// renderApt makes the files of a repository. key is without armour; old is the content of auth.conf
// where that has to be edited.
func renderApt(a apt, r repo, key []byte, old string) (setup, error) {
	s := setup{source: path.Join(aptSources, r.name+".list")}
	add := func(name, content string, mode uint32) {
		s.files = append(s.files, host.ConfigFile{Path: name, Content: host.NewSecret(content), Mode: mode})
	}
	var options []string
	if r.trusted {
		options = append(options, "trusted=yes")
	}
	if key != nil {
		dir := aptTrusted
		if a.signedBy {
			dir = aptKeyrings
			s.dirs = append(s.dirs, aptKeyrings)
			options = append(options, "signed-by="+path.Join(dir, r.name+".gpg"))
		}
		add(path.Join(dir, r.name+".gpg"), string(key), 0o644)
	}
	if r.user != "" {
		line, err := authLine(a, r)
		if err != nil {
			return setup{}, err
		}
		if a.authParts {
			add(path.Join(aptAuthParts, r.name+".conf"), line+"\n", 0o600)
		} else {
			add(aptAuth, replaceAuth(old, line), 0o600)
		}
	}
	if r.priority != 0 {
		content, err := preferences(r)
		if err != nil {
			return setup{}, err
		}
		add(path.Join(aptPreferences, r.name+".pref"), content, 0o644)
	}
	add(s.source, sourceLine(r, options), 0o644)
	return s, nil
}

// sourceLine is the one-line form of sources.list(5).
func sourceLine(r repo, options []string) string {
	words := []string{"deb"}
	if len(options) > 0 {
		words = append(words, "["+strings.Join(options, " ")+"]")
	}
	words = append(words, r.url, r.suite)
	return strings.Join(append(words, r.components...), " ") + "\n"
}

// authLine is an entry of apt_auth.conf(5). The format has no quoting: a token is what stands between
// blanks, and is taken byte by byte.
func authLine(a apt, r repo) (string, error) {
	u, err := url.Parse(r.url)
	if err != nil {
		return "", withoutURL(err)
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
	for _, token := range []struct{ what, text string }{{"user", r.user}, {"password", r.password.Reveal()}} {
		switch {
		case token.text == "":
			return "", fmt.Errorf("the %s is empty", token.what)
		case strings.ContainsAny(token.text, " \t\r\n\v\f\x00"):
			return "", fmt.Errorf("the %s holds a blank or line break, which apt cannot take; download the packages and give their directory instead", token.what)
		case a.authLengths && len(token.text) > 63:
			return "", fmt.Errorf("the %s is longer than the 63 bytes that this version of apt takes; download the packages and give their directory instead", token.what)
		}
	}
	return fmt.Sprintf("machine %s login %s password %s", machine, r.user, r.password.Reveal()), nil
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
func preferences(r repo) (string, error) {
	u, err := url.Parse(r.url)
	if err != nil {
		return "", withoutURL(err)
	}
	return fmt.Sprintf("Package: *\nPin: origin \"%s\"\nPin-Priority: %d\n", u.Hostname(), r.priority), nil
}
