package sim

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"zcp2kopano/runtime/host"
)

// declaration is a line of sysusers.d(5) or tmpfiles.d(5) in a package, which its postinst has a
// program of systemd carry out: what the package says of its users and directories itself.
type declaration struct {
	program string // "systemd-sysusers" or "systemd-tmpfiles"
	file    string // where it is declared
	words   []string
}

// declarationDirs are where packages keep declarations, by the program that carries them out.
var declarationDirs = map[string][]string{
	"systemd-sysusers": {"/usr/lib/sysusers.d", "/lib/sysusers.d"},
	"systemd-tmpfiles": {"/usr/lib/tmpfiles.d", "/lib/tmpfiles.d"},
}

// declarationsOf reads what a package declares, as far as its postinst has it carried out. Users come
// before the directories that they own.
func declarationsOf(p *Package, postinst string) []declaration {
	var all []declaration
	for _, program := range []string{"systemd-sysusers", "systemd-tmpfiles"} {
		if !strings.Contains(postinst, program) {
			continue
		}
		for _, f := range p.Files {
			if path.Ext(f.Path) == ".conf" && slices.Contains(declarationDirs[program], path.Dir(f.Path)) {
				all = append(all, parseDeclarations(program, f)...)
			}
		}
	}
	return all
}

func parseDeclarations(program string, f host.PackedFile) []declaration {
	var all []declaration
	for line := range strings.Lines(string(f.Content)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		words, err := splitWords(line)
		if err != nil {
			words = []string{line} // named among what is not simulated
		}
		all = append(all, declaration{program, f.Path, words})
	}
	return all
}

// word is a column; "-", which leaves it open, and a column that is not there give the default.
func (d declaration) word(i int, unset string) string {
	if i >= len(d.words) || d.words[i] == "-" || d.words[i] == "" {
		return unset
	}
	return d.words[i]
}

// declaresDir tells that the package itself says how a directory is made, and a catalogue need not.
func (p *Package) declaresDir(name string) bool {
	return slices.ContainsFunc(p.declared, func(d declaration) bool {
		return d.program == "systemd-tmpfiles" && path.Clean(d.word(1, "")) == name
	})
}

// carryOutDeclared does what a package declares of users and directories, where the machine has the
// program that would do it.
func (sc *scripts) carryOutDeclared(p *Package) error {
	for _, d := range p.declared {
		if !sc.files.hasProgram(d.program) {
			continue
		}
		done, err := sc.carryOut(d)
		if err != nil {
			return fmt.Errorf("%s of %s: %w", d.file, p.Name, err)
		}
		if !done {
			sc.unpredictDeclaration(p, d)
		}
	}
	return nil
}

func (sc *scripts) unpredictDeclaration(p *Package, d declaration) {
	sc.gaps.add(host.Unpredicted{
		What: fmt.Sprintf("%q in %s of %s", strings.Join(d.words, " "), d.file, p.Name),
		Why:  "of such files, a simulation carries out users, groups and directories with plain names",
	})
}

// carryOut reports whether it knows a kind of line.
func (sc *scripts) carryOut(d declaration) (done bool, err error) {
	name := d.word(1, "")
	if name == "" || strings.Contains(strings.Join(d.words, " "), "%") {
		return false, nil
	}
	switch {
	case d.program == "systemd-tmpfiles":
		return sc.declareDir(d, name)
	case d.words[0] == "u":
		return sc.declareUser(d, name)
	case d.words[0] == "g":
		return sc.declareGroup(name, d.word(2, ""))
	}
	return false, nil
}

// declareDir makes a directory, or gives the one that is there the owner and mode. What is made at
// boot only ("!") is not made now.
func (sc *scripts) declareDir(d declaration, name string) (done bool, err error) {
	kind, modifiers := d.words[0][:1], d.words[0][1:]
	if strings.Contains(modifiers, "!") {
		return true, nil
	}
	if !strings.Contains("dDvqQ", kind) || !path.IsAbs(name) {
		return false, nil
	}
	mode := strings.TrimLeft(d.word(2, "0755"), "~:")
	owner := d.word(3, "root") + ":" + d.word(4, "root")
	err = sc.effectDir(nil, Effect{Args: []string{path.Clean(name), mode, owner}})
	return true, err
}

func (sc *scripts) declareGroup(name, want string) (done bool, err error) {
	t, err := sc.accounts.table()
	if err != nil {
		return false, err
	}
	if _, ok := t.Group(name); ok {
		return true, nil
	}
	taken := func(id uint32) bool { _, used := t.GroupID(id); return used }
	gid, known, err := wanted(want, func(id uint32) bool { return !taken(id) }, func(id uint32) bool {
		_, user := t.UserID(id) // that of a user is left for the group of the same name
		return !user && !taken(id)
	})
	if err != nil || !known {
		return false, err
	}
	return true, sc.accounts.appendGroup(name, gid)
}

// declareUser makes a user with a group of the same name and number.
func (sc *scripts) declareUser(d declaration, name string) (done bool, err error) {
	t, err := sc.accounts.table()
	if err != nil {
		return false, err
	}
	if _, ok := t.User(name); ok {
		return true, nil
	}
	group, haveGroup := t.Group(name)
	free := func(id uint32) bool {
		_, user := t.UserID(id)
		g, taken := t.GroupID(id)
		return !user && (!taken || g.Name == name)
	}
	want := d.word(2, "")
	if want == "" && haveGroup && free(group.GID) {
		want = fmt.Sprint(group.GID)
	}
	uid, known, err := wanted(want, free, free)
	if err != nil || !known {
		return false, err
	}
	gid := uid
	if haveGroup {
		gid = group.GID
	} else if err := sc.accounts.appendGroup(name, gid); err != nil {
		return false, err
	}
	return true, sc.accounts.appendUser(newUser{
		name: name, uid: uid, gid: gid, gecos: d.word(3, ""), home: d.word(4, "/"), shell: d.word(5, "/usr/sbin/nologin"),
		shadow: fmt.Sprintf("!*:%d::::::", sc.accounts.today()),
	})
}

// wanted is the number that a line asks for if it can have it, else the first free one. Other forms
// ("UID:GID", the owner of a file) are not known.
func wanted(text string, canHave, isFree func(id uint32) bool) (id uint32, known bool, err error) {
	if text != "" {
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return 0, false, nil
		}
		if canHave(uint32(n)) {
			return uint32(n), true, nil
		}
	}
	id, ok := free(999, 100, isFree)
	if !ok {
		return 0, true, errors.New("no system account number is free between 100 and 999")
	}
	return id, true, nil
}
