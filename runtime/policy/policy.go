// Package policy decides what a runbook may touch.
package policy

import (
	"fmt"
	"net"
	"path"
	"sort"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"zcp2kopano/runtime/host"
)

// Class is a kind of thing that a policy speaks of.
type Class string

// The classes. Path and Program targets are absolute paths; the others are names. A program is run, and not
// changed; of a group it is the members that change. A server is connected to: HOST:PORT, or the path of a socket.
const (
	Path     Class = "path"
	Package  Class = "package"
	Service  Class = "service"
	Database Class = "database"
	LDAP     Class = "ldap"
	Program  Class = "program"
	Group    Class = "group"
	Server   Class = "server"
)

// Target is one thing that an action changes.
type Target struct {
	Class Class  `json:"class"`
	Name  string `json:"name"`
	// Through is true of a path whose last name is followed if it is a symlink: what changes is where it leads.
	Through bool `json:"through,omitempty"`
}

// Policy is what a runbook may change, per class: for paths, the path itself and all below it, or a
// glob (path.Match, with all below a match); for programs the path, and no glob; for the others globs of
// names; for LDAP bases, the DN and all below it; for servers a host, with all its ports, or one of these.
//
// What a runbook may change is judged by the place where the change happens: see Judge.
type Policy struct {
	Allow map[Class][]string `json:"allow"`
	// State is where runs are kept, which no runbook reaches.
	State []string `json:"-"`
}

// untouchable is what no policy can allow, whatever its patterns: what is no file of a disk, what the machine
// starts from, and who may log in.
var untouchable = []string{
	"/proc", "/sys", "/dev", "/boot",
	"/etc/passwd", "/etc/passwd-", "/etc/group", "/etc/group-", "/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-",
	"/etc/subuid", "/etc/subuid-", "/etc/subgid", "/etc/subgid-", "/etc/sudoers", "/etc/sudoers.d",
}

// protected paths are never granted as a whole: a runbook names what it needs below them.
var protected = map[string]bool{
	"/": true, "/bin": true, "/boot": true, "/dev": true, "/etc": true, "/home": true, "/lib": true,
	"/lib64": true, "/proc": true, "/root": true, "/run": true, "/sbin": true, "/sys": true,
	"/tmp": true, "/usr": true, "/usr/bin": true, "/usr/lib": true, "/usr/local": true,
	"/usr/sbin": true, "/usr/share": true, "/var": true, "/var/lib": true, "/var/log": true,
	"/var/spool": true, "/var/cache": true, "/opt": true, "/srv": true, "/mnt": true, "/media": true,
}

// OfTheSystem reports whether a directory is the system's: neither a runbook nor a package has it to itself.
func OfTheSystem(dir string) bool { return protected[dir] }

// CheckEntry refuses a path entry that is relative, unclean, or a whole system directory.
func CheckEntry(class Class, entry string) error {
	if class == Program {
		return checkProgram(entry)
	}
	if class == Server {
		return checkServer(entry)
	}
	if class == Group && strings.ContainsAny(entry, `*?[\`) {
		return fmt.Errorf("policy: group %q: want one name, without patterns", entry)
	}
	if class == LDAP {
		if dn, err := ldap.ParseDN(entry); err != nil || len(dn.RDNs) == 0 {
			return fmt.Errorf("policy: %q is no DN of a base", entry)
		}
		return nil
	}
	if class != Path {
		if entry == "" {
			return fmt.Errorf("policy: empty %s entry", class)
		}
		return nil
	}
	switch {
	case !path.IsAbs(entry):
		return fmt.Errorf("policy: path %q is not absolute", entry)
	case path.Clean(entry) != entry:
		return fmt.Errorf("policy: path %q is not in its shortest form; write %q", entry, path.Clean(entry))
	case protected[entry]:
		return fmt.Errorf("policy: %s as a whole cannot be allowed; name the directories below it that the runbook changes", entry)
	}
	if _, err := path.Match(entry, "/"); err != nil {
		return fmt.Errorf("policy: path %q: %w", entry, err)
	}
	for dir := range protected {
		if ok, _ := path.Match(entry, dir); ok {
			return fmt.Errorf("policy: path %q: the pattern allows %s as a whole; name the directories below it that the runbook changes", entry, dir)
		}
	}
	if within := closest(untouchable, entry); within != "" {
		return fmt.Errorf("policy: path %q: %s cannot be allowed", entry, within)
	}
	return nil
}

// closest is the one of these paths that a path is, or lies below; "" for none.
func closest(paths []string, name string) string {
	for _, p := range paths {
		if name == p || strings.HasPrefix(name, p+"/") {
			return p
		}
	}
	return ""
}

// checkProgram refuses an entry that would allow more than one program.
func checkProgram(entry string) error {
	switch {
	case !path.IsAbs(entry) || path.Clean(entry) != entry || strings.ContainsAny(entry, `*?[\`):
		return fmt.Errorf("policy: program %q: want one absolute path, without patterns", entry)
	case host.IsShell(entry):
		return fmt.Errorf("policy: program %s runs any command: name the program that does the work", entry)
	}
	return nil
}

// checkServer refuses an entry that is no server, or more than one.
func checkServer(entry string) error {
	if strings.HasPrefix(entry, "/") && path.Clean(entry) == entry {
		return nil
	}
	name := entry
	if at, port, err := net.SplitHostPort(entry); err == nil {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return fmt.Errorf("policy: server %q: %q is no port", entry, port)
		}
		name = at
	}
	if name == "" || strings.ContainsAny(name, "*?[]/\\ \t@") || strings.Contains(name, ":") && net.ParseIP(name) == nil {
		return fmt.Errorf("policy: server %q: want a host, HOST:PORT, or the path of a socket, without patterns", entry)
	}
	return nil
}

// Grant adds an entry.
func (p *Policy) Grant(class Class, entry string) error {
	if err := CheckEntry(class, entry); err != nil {
		return err
	}
	if p.Allow == nil {
		p.Allow = map[Class][]string{}
	}
	p.Allow[class] = append(p.Allow[class], entry)
	return nil
}

// With is a policy that allows what either of the two does.
func (p Policy) With(more Policy) Policy {
	both := Policy{Allow: map[Class][]string{}, State: append(append([]string(nil), p.State...), more.State...)}
	for _, one := range []Policy{p, more} {
		for class, entries := range one.Allow {
			both.Allow[class] = append(both.Allow[class], entries...)
		}
	}
	return both
}

// Check returns nil if every target is allowed, and else an error that names the first that is not,
// what is allowed in its class, and the way out.
func (p *Policy) Check(targets []Target) error {
	for _, t := range targets {
		if err := p.reserved(t); err != nil {
			return err
		}
		if !p.allows(t) {
			allowed := append([]string(nil), p.Allow[t.Class]...)
			sort.Strings(allowed)
			verb := "change"
			switch t.Class {
			case Program:
				verb = "run"
			case Server:
				verb = "connect to"
			}
			return fmt.Errorf("the runbook's policy does not allow it to %s %s %s (allowed: %s); if that is meant, add it to policy(...) in define(), or with runbook.allowing(policy(...)) to a runbook that is built on another",
				verb, t.Class, t.Name, strings.Join(allowed, ", "))
		}
	}
	return nil
}

// reserved is an error for a path that no policy can allow.
func (p *Policy) reserved(t Target) error {
	if t.Class != Path {
		return nil
	}
	if within := closest(untouchable, t.Name); within != "" {
		return fmt.Errorf("no policy can allow a runbook to change path %s: %s is out of its reach", t.Name, within)
	}
	if protected[t.Name] {
		return fmt.Errorf("no policy can allow a runbook to change path %s: it is a directory of the system; change what lies below it", t.Name)
	}
	for _, state := range p.State {
		if closest([]string{state}, t.Name) != "" || closest([]string{t.Name}, state) != "" {
			return fmt.Errorf("no policy can allow a runbook to change path %s: the runs are kept at %s", t.Name, state)
		}
	}
	return nil
}

// Judge is Check, by the places where the changes happen: resolve follows the symlinks of a path, all of them or
// all but that of its last name. What is named has to be allowed, and where it leads.
func (p *Policy) Judge(targets []Target, resolve func(name string, last bool) (string, error)) error {
	if err := p.Check(targets); err != nil {
		return err
	}
	for _, t := range targets {
		if t.Class != Path {
			continue
		}
		place, err := resolve(t.Name, t.Through)
		if err != nil || place == t.Name {
			continue // what cannot be resolved cannot be changed either: the change says why
		}
		if err := p.Check([]Target{{Class: Path, Name: place}}); err != nil {
			return fmt.Errorf("%s leads to %s: %w", t.Name, place, err)
		}
	}
	return nil
}

// Places are the entries of a policy whose directories are symlinks, as they are when the run begins, with where
// they lead: what the admin has linked is allowed by its name. What a runbook links itself is not.
func (p *Policy) Places(resolve func(name string, last bool) (string, error)) map[string]string {
	places := map[string]string{}
	for _, entry := range p.Allow[Path] {
		fixed, rest := splitPattern(entry)
		place, err := resolve(fixed, true)
		if err != nil || place == fixed {
			continue
		}
		if place = path.Join(place, rest); CheckEntry(Path, place) == nil {
			places[entry] = place
		}
	}
	return places
}

// splitPattern parts an entry before the first name that is a pattern.
func splitPattern(entry string) (fixed, rest string) {
	names := strings.Split(entry, "/")
	for i, name := range names {
		if strings.ContainsAny(name, `*?[\`) {
			return "/" + path.Join(names[:i]...), path.Join(names[i:]...)
		}
	}
	return entry, ""
}

func (p *Policy) allows(t Target) bool {
	for _, entry := range p.Allow[t.Class] {
		switch t.Class {
		case Path:
			if path.Clean(t.Name) == t.Name && matchPath(entry, t.Name) {
				return true
			}
		case Program:
			if entry == t.Name {
				return true
			}
		case Server:
			at, _, err := net.SplitHostPort(t.Name)
			if strings.EqualFold(entry, t.Name) || err == nil && strings.EqualFold(entry, at) {
				return true
			}
		case LDAP:
			if below(entry, t.Name) {
				return true
			}
		default:
			if ok, _ := path.Match(entry, t.Name); ok {
				return true
			}
		}
	}
	return false
}

// below reports whether a DN is a base, or names what is below it.
func below(base, name string) bool {
	above, err1 := ldap.ParseDN(base)
	dn, err2 := ldap.ParseDN(name)
	return err1 == nil && err2 == nil && len(above.RDNs) > 0 && (above.EqualFold(dn) || above.AncestorOfFold(dn))
}

// matchPath reports whether name is the entry's match or lies below one.
func matchPath(entry, name string) bool {
	for {
		if entry == name {
			return true
		}
		if ok, _ := path.Match(entry, name); ok {
			return true
		}
		if name == "/" || name == "." {
			return false
		}
		name = path.Dir(name)
	}
}
