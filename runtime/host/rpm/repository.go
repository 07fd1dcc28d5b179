package rpm

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/signkey"
)

// Setup gathers what the files of a repository are made of, and its key, and writes them as yum, dnf and zypper
// read them.
func (s System) Setup(ctx context.Context, h host.RepositoryHost, _ string, r host.Repository) (host.RepositorySetup, error) {
	if path.Clean(r.Suite) != "." || len(r.Components) > 0 {
		return host.RepositorySetup{}, errors.New("repositories of rpm packages have neither suites nor components: give the URL of the directory that has repodata")
	}
	key, err := signkey.Fetch(ctx, h, r)
	if err != nil {
		return host.RepositorySetup{}, err
	}
	base, err := s.baseURL(r)
	if err != nil {
		return host.RepositorySetup{}, err
	}
	setup := host.RepositorySetup{Source: s.SourceFile(r.Name)}
	keyFile := ""
	if key != nil {
		if key[0]&0x80 == 0 { // every packet of OpenPGP begins with this bit
			return host.RepositorySetup{}, errors.New("the key: it is not a public key of OpenPGP")
		}
		setup.Keys = signkey.Fingerprints(key)
		keyFile = path.Join(s.on().keyDir, "RPM-GPG-KEY-"+r.Name)
		setup.Dirs = append(setup.Dirs, s.on().keyDir)
		setup.Files = append(setup.Files, host.ConfigFile{Path: keyFile, Content: host.NewSecret(signkey.Armour(key)), Mode: 0o644})
	}
	mode := uint32(0o644)
	if r.User != "" {
		mode = 0o600
	}
	setup.Files = append(setup.Files, host.ConfigFile{Path: setup.Source, Content: host.NewSecret(s.section(r, base, keyFile)), Mode: mode})
	return setup, nil
}

// section is the file of one repository (yum.conf(5), zypper(8)).
func (s System) section(r host.Repository, base, keyFile string) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("[%s]", r.Name)
	line("name=%s", r.Name)
	line("enabled=1")
	line("baseurl=%s", base)
	for _, setting := range s.on().settings {
		line("%s", setting)
	}
	line("gpgcheck=%d", map[bool]int{true: 0, false: 1}[r.Trusted])
	if r.Trusted {
		line("repo_gpgcheck=0")
	}
	if keyFile != "" {
		line("gpgkey=file://%s", keyFile)
	}
	if p := priority(r.Priority); p != 0 {
		line("priority=%d", p)
	}
	return b.String()
}

// The priority of a repository is 99 unless it says so; the lower, the more it is preferred (zypper(8), dnf.conf(5);
// yum 3 knows it by a plugin only). Priorities are given as those of apt, where 500 is usual.
const (
	aptUsual  = 500
	preferred = 90
	avoided   = 110
)

func priority(apt int64) int {
	switch {
	case apt == 0 || apt == aptUsual:
		return 0
	case apt > aptUsual:
		return preferred
	}
	return avoided
}

// baseURL is the address with user and password in it, each byte that means something to anybody percent-encoded:
// the fronts expand $ in every value, password= loses quotes, and ?credentials= outer blanks.
func (s System) baseURL(r host.Repository) (string, error) {
	u, err := url.Parse(r.URL)
	if err != nil {
		return "", host.WithoutURL(err)
	}
	if u.Scheme == "file" {
		if r.User != "" {
			return "", errors.New("a file: repository takes no user and password")
		}
		return s.on().local + "://" + path.Clean("/"+u.Path), nil
	}
	if r.User == "" {
		return r.URL, nil
	}
	if r.Password.Empty() {
		return "", errors.New("the password is empty")
	}
	scheme, rest, _ := strings.Cut(r.URL, "://")
	return scheme + "://" + percentEncode(r.User) + ":" + percentEncode(r.Password.Reveal()) + "@" + rest, nil
}

// percentEncode leaves only letters, digits and what RFC 3986 calls unreserved as it is.
func percentEncode(text string) string {
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
