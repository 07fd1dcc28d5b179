package host

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Check refuses a connection whose fields hold control characters: a line end in a name is how a text in one protocol
// becomes a command in another.
func (c DatabaseConn) Check() error {
	return noControls("database connection", map[string]string{
		"host": c.Host, "socket": c.Socket, "user": c.User, "password": c.Password.Reveal(), "database": c.Database,
	})
}

// Check refuses a connection whose fields hold control characters.
func (c DirectoryConn) Check() error {
	return noControls("LDAP connection", map[string]string{
		"URL": strings.Join(c.URLs, " "), "bind DN": c.BindDN, "password": c.Password.Reveal(),
	})
}

// Check refuses a search whose fields hold control characters; a filter has its escapes for them.
func (s DirectorySearch) Check() error {
	return noControls("LDAP search", map[string]string{
		"base": s.Base, "filter": s.Filter, "attributes": strings.Join(s.Attributes, " "),
	})
}

// Check refuses a repository whose user or password holds control characters: both become lines of a list of sources.
func (r Repository) Check() error {
	return noControls("repository", map[string]string{"user": r.User, "password": r.Password.Reveal()})
}

// noControls does not repeat what it refuses: it may be a secret.
func noControls(what string, fields map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if strings.ContainsFunc(fields[name], func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return fmt.Errorf("%s: the %s holds a control character, such as the end of a line; take it out", what, name)
		}
	}
	return nil
}
