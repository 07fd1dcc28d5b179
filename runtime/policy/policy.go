// Package policy decides what a runbook may touch.
package policy

import (
	"fmt"
	"path"
	"sort"
	"strings"

	"zcp2kopano/runtime/host"
)

// Class is a kind of thing that a policy speaks of.
type Class string

// The classes. Path and Program targets are absolute paths; the others are names. A program is run, and not
// changed.
const (
	Path     Class = "path"
	Package  Class = "package"
	Service  Class = "service"
	Database Class = "database"
	LDAP     Class = "ldap"
	Program  Class = "program"
)

// Target is one thing that an action changes.
type Target struct {
	Class Class  `json:"class"`
	Name  string `json:"name"`
}

// Policy is what a runbook may change, per class: for paths, the path itself and all below it, or a
// glob (path.Match, with all below a match); for programs the path, and no glob; for the others globs of
// names; for LDAP bases, the DN and all below it.
type Policy struct {
	Allow map[Class][]string `json:"allow"`
}

// protected paths are never granted as a whole: a runbook names what it needs below them.
var protected = map[string]bool{
	"/": true, "/bin": true, "/boot": true, "/dev": true, "/etc": true, "/home": true, "/lib": true,
	"/lib64": true, "/proc": true, "/root": true, "/run": true, "/sbin": true, "/sys": true,
	"/tmp": true, "/usr": true, "/usr/bin": true, "/usr/lib": true, "/usr/local": true,
	"/usr/sbin": true, "/usr/share": true, "/var": true, "/var/lib": true, "/var/log": true,
	"/var/spool": true, "/var/cache": true, "/opt": true, "/srv": true, "/mnt": true, "/media": true,
}

// OfTheSystem tells whether a directory is the system's: neither a runbook nor a package has it to itself.
func OfTheSystem(dir string) bool { return protected[dir] }

// CheckEntry refuses a path entry that is relative, unclean, or a whole system directory.
func CheckEntry(class Class, entry string) error {
	if class == Program {
		return checkProgram(entry)
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
	return nil
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
	both := Policy{Allow: map[Class][]string{}}
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
		if !p.allows(t) {
			allowed := append([]string(nil), p.Allow[t.Class]...)
			sort.Strings(allowed)
			verb := "change"
			if t.Class == Program {
				verb = "run"
			}
			return fmt.Errorf("the runbook's policy does not allow it to %s %s %s (allowed: %s); if that is meant, add it to policy(...) in define(), or with runbook.allowing(policy(...)) to a runbook that is built on another",
				verb, t.Class, t.Name, strings.Join(allowed, ", "))
		}
	}
	return nil
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
		case LDAP:
			dn, base := strings.ToLower(t.Name), strings.ToLower(entry)
			if dn == base || strings.HasSuffix(dn, ","+base) {
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
