package sim

import (
	"crypto/md5"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/sim/shell"
)

const (
	ucfState  = "/var/lib/ucf"
	ucfHashes = ucfState + "/hashfile"
)

// ucf is ucf(1) and ucfr(1): it looks after configuration files that a package makes, as dpkg does after conffiles. Where
// the files and what it noted of them decide, it is followed. Its notes, of which it keeps old ones, are left open.
func (m *machine) ucf(c shell.Command) (shell.Result, error) {
	f, ok := parseFlags(c.Args[1:], "p|purge n|no-action three-way debconf-ok debconf-template= sum-file= src-dir= state-dir= P|package= f|force v|verbose d Q")
	if !ok || len(f.rest) == 0 || f.on["n"] || f.given("state-dir") || f.given("P") {
		return notUnderstood()
	}
	state := shell.Path{Name: ucfState}
	m.leave("the records of ucf", "the simulation does not keep them", state)
	switch {
	case path.Base(c.Args[0]) == "ucfr":
		return done()
	case f.on["p"] && len(f.rest) == 1:
		return byErrno(m.noteUcf(at(c, f.rest[0]), ""))
	case len(f.rest) != 2:
		return notUnderstood()
	}
	from, to := at(c, f.rest[0]), at(c, f.rest[1])
	decided, err := m.placeByUcf(from, to)
	if err != nil {
		return byErrno(err)
	}
	if decided {
		return done()
	}
	return unknown("whether ucf replaces the file, an admin is asked or its history decides", shell.Path{Name: to, Aspect: "content"},
		shell.Path{Name: to + ".ucf-dist"}, shell.Path{Name: to + ".ucf-old"}, shell.Path{Name: to + ".ucf-new"})
}

// placeByUcf puts a new version in the place of a file that is not there yet, or that is still what ucf had put there. It
// leaves a file that is not of the last version, where that is the new one. Everything else is not decided.
func (m *machine) placeByUcf(from, to string) (decided bool, err error) {
	fresh, err := m.sumOf(from)
	if err != nil {
		return false, err
	}
	last, known, err := m.ucfNote(to)
	if err != nil || !known {
		return false, err
	}
	st, err := m.files.Lstat(to)
	switch {
	case errors.Is(err, fs.ErrNotExist) && last == "":
		return true, errors.Join(m.copy(from, to, copyOptions{keep: true}), m.noteUcf(to, fresh))
	case errors.Is(err, fs.ErrNotExist):
		return last == fresh, nil // deleted by somebody
	case err != nil || !st.IsRegular():
		return false, err
	}
	now, err := m.sumOf(to)
	switch {
	case err != nil:
		return false, err
	case last == fresh && last != "":
		return true, nil
	case now == last:
		content, err := m.files.readFile(from)
		return true, errors.Join(err, m.files.rewriteFile(to, content, 0o644), m.noteUcf(to, fresh))
	case now == fresh:
		return last != "" || !m.hasHistory(from), m.noteUcf(to, fresh)
	}
	return false, nil
}

// hasHistory reports whether a package tells the sums of former versions of a file.
func (m *machine) hasHistory(file string) bool {
	return m.files.exists(file+".md5sum") || m.files.exists(file+".md5sum.d")
}

func (m *machine) sumOf(name string) (string, error) {
	data, err := m.files.readFile(name)
	return fmt.Sprintf("%x", md5.Sum(data)), err
}

// ucfNote is the sum of the version of a file that was last seen; empty if there was none.
func (m *machine) ucfNote(name string) (sum string, known bool, err error) {
	data, err := m.files.readFile(ucfHashes)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", true, nil
	case errors.Is(err, host.ErrUnknown):
		return "", false, nil
	case err != nil:
		return "", false, err
	}
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[1] == name {
			sum = fields[0]
		}
	}
	return sum, true, nil
}

// noteUcf writes the sum of a file down, or forgets it.
func (m *machine) noteUcf(name, sum string) error {
	data, err := m.files.readFile(ucfHashes)
	if err != nil && (sum == "" || !errors.Is(err, fs.ErrNotExist)) {
		return nil // what is not known is left open anyway
	}
	var lines strings.Builder
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); len(fields) != 2 || fields[1] != name {
			lines.WriteString(line)
		}
	}
	if sum != "" {
		fmt.Fprintf(&lines, "%s  %s\n", sum, name)
	}
	if err := m.files.mkdirAll(ucfState); err != nil {
		return err
	}
	return m.files.rewriteFile(ucfHashes, []byte(lines.String()), 0o644)
}
