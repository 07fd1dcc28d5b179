package cfg

import (
	"regexp"
	"strings"
)

// pathRule rewrites a path of ZCP into the one that Kopano uses for the same thing. A rule matches a
// whole path, or, with tree, also everything below it.
type pathRule struct {
	from, to string
	tree     bool
}

// pathRules are tried in order; the first match wins. Sources: the default paths of ZCP 7.0..7.2.6
// and of Kopano Core 8.0..11.0 (option tables, init scripts, packages), manual 4.3.4 and 4.3.6.
var pathRules = []pathRule{
	{"/var/run/zarafad/zarafa-prio", "/var/run/kopano/prio.sock", false},
	{"/var/run/zarafad", "/var/run/kopano", true},
	{"/var/run/zarafa-prio", "/var/run/kopano/prio.sock", false},
	{"/var/run/zarafa-search", "/var/run/kopano/search.sock", false},
	{"/var/run/zarafa-licensed", "/var/run/kopano/licensed.sock", false},
	{"/var/run/zarafa", "/var/run/kopano/server.sock", false},
	{"/var/log/zarafa", "/var/log/kopano", true},
	{"/var/lib/zarafa/index", "/var/lib/kopano/search", true},
	{"/var/lib/zarafa", "/var/lib/kopano", true},
	{"/usr/share/zarafa-webapp", "/usr/share/kopano-webapp", true},
	{"/usr/share/zarafa-dagent", "/usr/share/kopano-dagent", true},
	{"/usr/share/zarafa-spooler", "/usr/share/kopano-spooler", true},
	{"/usr/share/zarafa", "/usr/share/kopano", true},
	{"/usr/lib/zarafa", "/usr/lib/kopano", true},
	{"/usr/lib64/zarafa", "/usr/lib64/kopano", true},
}

var (
	pidFile   = regexp.MustCompile(`^/var/run/zarafa-([a-z]+)\.pid$`)
	program   = regexp.MustCompile(`^/usr/(?:local/)?s?bin/zarafa-([a-z-]+)$`)
	webURL    = regexp.MustCompile(`^(https?://[^/\s]+)/zarafa/?$`)
	pathToken = regexp.MustCompile(`(^|[\s,;"'=]|file://|unix:)(/[^\s,;"']+)`)
)

// paths converts the paths in a value.
type paths struct {
	oldEtc, newEtc string
	moved          map[string]string // files from outside oldEtc, and where they are from now on
}

// convert rewrites every ZCP path and server URL in a value; what is no default path of ZCP stays.
func (p paths) convert(value string) string {
	words := strings.Split(value, " ")
	for i, w := range words {
		if m := webURL.FindStringSubmatch(w); m != nil {
			words[i] = m[1] + "/"
		}
	}
	return pathToken.ReplaceAllStringFunc(strings.Join(words, " "), func(s string) string {
		m := pathToken.FindStringSubmatch(s)
		return m[1] + p.one(m[2])
	})
}

// one converts a single path.
func (p paths) one(s string) string {
	if to := p.moved[s]; to != "" {
		return to
	}
	if below(s, p.oldEtc) {
		return rebaseText(s, p.oldEtc, p.newEtc)
	}
	full := s
	if strings.HasPrefix(s, "/run/") {
		full = "/var" + s
	}
	if m := pidFile.FindStringSubmatch(full); m != nil {
		return "/var/run/kopano/" + m[1] + ".pid"
	}
	if m := program.FindStringSubmatch(s); m != nil {
		return "/usr/sbin/kopano-" + m[1]
	}
	for _, r := range pathRules {
		if full == r.from || r.tree && below(full, r.from) {
			return rebaseText(full, r.from, r.to)
		}
	}
	return s
}

// rebaseText is rebase that keeps a closing slash.
func rebaseText(s, from, to string) string { return to + strings.TrimPrefix(s, from) }
