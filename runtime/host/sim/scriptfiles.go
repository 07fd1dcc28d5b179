package sim

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/sim/shell"
)

const errIsDir = syscall.EISDIR

func isErrno(err error) bool {
	var errno syscall.Errno
	return errors.As(err, &errno)
}

// scriptCommands are the programs that maintainer scripts use and that a simulation knows.
var scriptCommands map[string]func(m *machine, c shell.Command) (shell.Result, error)

func init() {
	scriptCommands = map[string]func(m *machine, c shell.Command) (shell.Result, error){
		"mkdir": (*machine).mkdir, "install": (*machine).install, "rmdir": (*machine).rmdir, "rm": (*machine).rm,
		"chown": (*machine).chown, "chgrp": (*machine).chown, "chmod": (*machine).chmod,
		"ln": (*machine).ln, "mv": (*machine).mv, "cp": (*machine).cp, "touch": (*machine).touch,
		"cat": (*machine).cat, "readlink": (*machine).readlink, "dirname": (*machine).dirname, "basename": (*machine).basename,
		"cut": (*machine).cut, "grep": (*machine).grep, "sed": (*machine).sed,

		"getent": (*machine).getent, "id": (*machine).id,
		"adduser": (*machine).adduser, "addgroup": (*machine).adduser, "useradd": (*machine).useradd, "groupadd": (*machine).groupadd,
		"usermod": (*machine).usermod, "passwd": (*machine).passwd, "chfn": (*machine).chfn, "chsh": (*machine).chsh,
		"deluser": (*machine).deluser, "delgroup": (*machine).deluser, "userdel": (*machine).userdel, "groupdel": (*machine).groupdel,
		"gpasswd": (*machine).gpasswd,

		"deb-systemd-helper": (*machine).systemdHelper, "deb-systemd-invoke": (*machine).systemdInvoke, "systemctl": (*machine).systemctl,
		"update-rc.d": (*machine).updateRC, "invoke-rc.d": (*machine).invokeRC, "service": (*machine).serviceCommand,
		"systemd-tmpfiles": (*machine).declare, "systemd-sysusers": (*machine).declare,

		"dpkg": (*machine).dpkg, "dpkg-statoverride": (*machine).statoverride, "dpkg-maintscript-helper": (*machine).maintscriptHelper,
		"dpkg-trigger": (*machine).dpkgTrigger, "ldconfig": func(*machine, shell.Command) (shell.Result, error) { return done() },
		"ucf": (*machine).ucf, "ucfr": (*machine).ucf, "update-alternatives": (*machine).alternatives,
		"py3compile": (*machine).pycompile, "py3clean": (*machine).pycompile, "pycompile": (*machine).pycompile, "pyclean": (*machine).pycompile,
	}
}

// each carries something out for all operands; one that fails does not keep the others from it.
func each(names []string, do func(name string) error) (shell.Result, error) {
	status := 0
	for _, name := range names {
		r, err := byErrno(do(name))
		if err != nil {
			return r, err
		}
		status = max(status, r.Status.Code)
	}
	return ended(status)
}

func (m *machine) mkdir(c shell.Command) (shell.Result, error) {
	f, ok := parseFlags(c.Args[1:], "p|parents m|mode= v|verbose")
	if !ok || len(f.rest) == 0 {
		return notUnderstood()
	}
	mode, err := newMode(f.value["m"], fs.ModeDir|0o777&^c.Umask, c.Umask)
	if err != nil {
		return notUnderstood()
	}
	return each(f.rest, func(name string) error {
		return m.files.makeDir(at(c, name), f.on["p"], 0o777&^c.Umask|0o300, mode, f.given("m"))
	})
}

func (m *machine) install(c shell.Command) (shell.Result, error) {
	f, ok := parseFlags(c.Args[1:], "d|directory m|mode= o|owner= g|group= D p|preserve-timestamps v|verbose c T|no-target-directory t|target-directory=")
	if !ok || len(f.rest) == 0 || f.given("t") {
		return notUnderstood()
	}
	mode, err := newMode(f.value["m"], 0o755, 0)
	if err != nil {
		return notUnderstood()
	}
	uid, _, err1 := m.ownerOf(f.value["o"])
	_, gid, err2 := m.ownerOf(":" + f.value["g"])
	if err := errors.Join(err1, err2); err != nil {
		return byErrno(err)
	}
	if f.on["d"] {
		return each(f.rest, func(name string) error {
			name = at(c, name)
			if err := m.files.makeDir(name, true, 0o755, 0o755, true); err != nil {
				return err
			}
			return m.files.setOwner(name, uid, gid, mode)
		})
	}
	if len(f.rest) != 2 || f.on["p"] {
		return notUnderstood()
	}
	from, to := at(c, f.rest[0]), at(c, f.rest[1])
	if st, err := m.files.Stat(to); err == nil && st.IsDir() && !f.on["T"] {
		to = path.Join(to, path.Base(from))
	}
	if f.on["D"] {
		if err := m.files.makeDir(path.Dir(to), true, 0o755, 0o755, true); err != nil {
			return byErrno(err)
		}
	}
	if st, err := m.files.Stat(from); err != nil || !st.IsRegular() {
		return failed()
	}
	if err := m.files.Unlink(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return byErrno(err)
	}
	if err := m.copyContent(from, to, mode.Perm()); err != nil {
		return byErrno(err)
	}
	return byErrno(m.files.setOwner(to, uid, gid, mode))
}

// copyContent makes or fills a file. Of a content that nobody knows only the size is copied.
func (m *machine) copyContent(from, to string, mode fs.FileMode) error {
	st, err := m.files.Stat(from)
	if err != nil {
		return err
	}
	if st.Size <= host.PackedContent {
		data, err := m.files.readFile(from)
		if err == nil {
			return m.files.rewriteFile(to, data, mode)
		}
		if !errors.Is(err, host.ErrUnknown) {
			return err
		}
	}
	m.leave("content of "+to, "it is a copy of "+from+", whose content is not known", shell.Path{Name: to, Aspect: "content"})
	if err := m.files.Unlink(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return m.files.CreateSized(to, st.Size, mode)
}

// newMode is a mode as mkdir, install and chmod take it, of a file that has one.
func newMode(text string, now fs.FileMode, umask fs.FileMode) (fs.FileMode, error) {
	if text == "" {
		return now, nil
	}
	if text[0] >= '0' && text[0] <= '7' {
		n, err := strconv.ParseUint(text, 8, 12)
		if err != nil {
			return 0, err
		}
		mode := host.ModeOf(uint32(n))
		if now.IsDir() && len(text) < 5 {
			mode |= now & (fs.ModeSetuid | fs.ModeSetgid) // chmod(1) keeps them, if they are not spoken of
		}
		return now.Type() | mode, nil
	}
	mode := now
	for _, clause := range strings.Split(text, ",") {
		var err error
		if mode, err = symbolicMode(clause, mode, umask); err != nil {
			return 0, err
		}
	}
	return mode, nil
}

var modeClause = regexp.MustCompile(`^([ugoa]*)((?:[-+=](?:[rwxXst]*|[ugo]))+)$`)
var modeStep = regexp.MustCompile(`[-+=](?:[rwxXst]+|[ugo])?`)

func symbolicMode(clause string, mode, umask fs.FileMode) (fs.FileMode, error) {
	parts := modeClause.FindStringSubmatch(clause)
	if parts == nil {
		return 0, fmt.Errorf("mode %q is not known", clause)
	}
	who, masked := parts[1], fs.FileMode(0)
	if who == "" {
		who, masked = "a", umask
	}
	if strings.Contains(who, "a") {
		who = "ugo"
	}
	for _, step := range modeStep.FindAllString(parts[2], -1) {
		bits := modeBits(step[1:], who, mode) &^ masked
		switch step[0] {
		case '+':
			mode |= bits
		case '-':
			mode &^= bits
		case '=':
			clear := fs.FileMode(0)
			for _, w := range who {
				clear |= map[rune]fs.FileMode{'u': 0o700, 'g': 0o070, 'o': 0o007}[w] &^ masked
				if !mode.IsDir() {
					clear |= map[rune]fs.FileMode{'u': fs.ModeSetuid, 'g': fs.ModeSetgid}[w]
				}
			}
			mode = mode&^clear | bits
		}
	}
	return mode, nil
}

func modeBits(letters, who string, now fs.FileMode) fs.FileMode {
	shifts := map[rune]int{'u': 6, 'g': 3, 'o': 0}
	var bits fs.FileMode
	for _, l := range letters {
		var three fs.FileMode
		switch l {
		case 'r':
			three = 4
		case 'w':
			three = 2
		case 'x':
			three = 1
		case 'X':
			if now.IsDir() || now&0o111 != 0 {
				three = 1
			}
		case 'u', 'g', 'o':
			three = now.Perm() >> shifts[l] & 7
		case 't':
			bits |= fs.ModeSticky
		case 's':
			if strings.Contains(who, "u") {
				bits |= fs.ModeSetuid
			}
			if strings.Contains(who, "g") {
				bits |= fs.ModeSetgid
			}
		}
		for _, w := range who {
			bits |= three << shifts[w]
		}
	}
	return bits
}

func (m *machine) rmdir(c shell.Command) (shell.Result, error) {
	f, ok := parseFlags(c.Args[1:], "p|parents ignore-fail-on-non-empty v|verbose")
	if !ok {
		return notUnderstood()
	}
	return each(f.rest, func(name string) error {
		for name = at(c, name); ; name = path.Dir(name) {
			err := m.files.Rmdir(name)
			if f.on["ignore-fail-on-non-empty"] && (errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EEXIST) || errors.Is(err, syscall.EBUSY)) {
				return nil
			}
			if err != nil || !f.on["p"] || path.Dir(name) == "/" {
				return err
			}
		}
	})
}

func (m *machine) rm(c shell.Command) (shell.Result, error) {
	f, ok := parseFlags(c.Args[1:], "r R|recursive f|force d|dir v|verbose one-file-system preserve-root")
	if !ok || len(f.rest) == 0 && !f.on["f"] {
		return notUnderstood()
	}
	return each(f.rest, func(name string) error {
		name = at(c, name)
		if path.Clean(name) == "/" || path.Base(name) == "." || path.Base(name) == ".." {
			return &fs.PathError{Op: "rm", Path: name, Err: syscall.EBUSY}
		}
		st, err := m.files.Lstat(name)
		switch {
		case err != nil && f.on["f"] && host.Absent(err):
			return nil
		case err != nil:
			return err
		case !st.IsDir():
			return m.files.Unlink(name)
		case f.on["r"] || f.on["R"]:
			return m.files.removeAll(name)
		case f.on["d"]:
			return m.files.Rmdir(name)
		}
		return &fs.PathError{Op: "rm", Path: name, Err: errIsDir}
	})
}

// chown is chgrp too.
func (m *machine) chown(c shell.Command) (shell.Result, error) {
	f, ok := parseFlags(c.Args[1:], "R|recursive h|no-dereference f|silent|quiet v|verbose c|changes P dereference preserve-root")
	if !ok || len(f.rest) < 2 {
		return notUnderstood()
	}
	spec := f.rest[0]
	if path.Base(c.Args[0]) == "chgrp" {
		spec = ":" + spec
	}
	uid, gid, err := m.ownerOf(spec)
	if err != nil {
		return byErrno(err)
	}
	return each(f.rest[1:], func(name string) error {
		name = at(c, name)
		if f.on["R"] {
			return m.files.chownAll(name, uid, gid)
		}
		if !f.on["h"] {
			if name, err = m.files.follow(name); err != nil {
				return err
			}
		}
		return m.files.Lchown(name, uid, gid)
	})
}

// ownerOf reads "user", "user:", "user:group", ":group". What is not named is -1.
func (m *machine) ownerOf(spec string) (uid, gid int, err error) {
	uid, gid = -1, -1
	user, group, both := strings.Cut(spec, ":")
	if !both {
		if _, err := m.accounts.User(spec); err != nil && strings.Contains(spec, ".") {
			user, group, both = strings.Cut(spec, ".")
		}
	}
	if user != "" {
		id, _, err := m.accounts.ownerIDs(user, "")
		if err != nil {
			return 0, 0, err
		}
		uid = int(id)
	}
	switch {
	case group != "":
		_, id, err := m.accounts.ownerIDs("", group)
		if err != nil {
			return 0, 0, err
		}
		gid = int(id)
	case both && user != "":
		u, err := m.accounts.User(user)
		if err != nil {
			return 0, 0, err
		}
		gid = int(u.GID)
	}
	return uid, gid, nil
}

func (m *machine) chmod(c shell.Command) (shell.Result, error) {
	args := slices.Clone(c.Args[1:])
	for i, a := range args { // a mode can look like an option
		if strings.HasPrefix(a, "-") && modeClause.MatchString(a) && strings.Trim(a[1:], "Rfvc") != "" {
			args = append(append(slices.Clone(args[:i]), "--"), args[i:]...)
			break
		}
	}
	f, ok := parseFlags(args, "R|recursive f|silent|quiet v|verbose c|changes preserve-root")
	if !ok || len(f.rest) < 2 {
		return notUnderstood()
	}
	if _, err := newMode(f.rest[0], 0, c.Umask); err != nil {
		return notUnderstood()
	}
	return each(f.rest[1:], func(name string) error {
		name, err := m.files.follow(at(c, name))
		if err != nil {
			return err
		}
		return m.files.chmodAll(name, f.rest[0], c.Umask, f.on["R"])
	})
}

func (m *machine) ln(c shell.Command) (shell.Result, error) {
	f, ok := parseFlags(c.Args[1:], "s|symbolic f|force n|no-dereference T|no-target-directory v|verbose")
	if !ok || len(f.rest) != 2 {
		return notUnderstood()
	}
	target, link := f.rest[0], at(c, f.rest[1])
	if m.isDir(link, f.on["n"] || f.on["T"]) {
		link = path.Join(link, path.Base(target))
	}
	if f.on["f"] {
		if err := m.files.Unlink(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return byErrno(err)
		}
	}
	if f.on["s"] {
		return byErrno(m.files.Symlink(target, link))
	}
	target, err := m.files.follow(at(c, target))
	if err != nil {
		return byErrno(err)
	}
	return byErrno(m.files.Link(target, link))
}

// isDir reports whether a destination is a directory to put something into.
func (m *machine) isDir(name string, asIs bool) bool {
	look := m.files.Stat
	if asIs {
		look = m.files.Lstat
	}
	st, err := look(name)
	return err == nil && st.IsDir()
}

func (m *machine) mv(c shell.Command) (shell.Result, error) {
	f, ok := parseFlags(c.Args[1:], "f|force n|no-clobber T|no-target-directory v|verbose i")
	if !ok || len(f.rest) < 2 || f.on["i"] {
		return notUnderstood()
	}
	to, sources := at(c, f.rest[len(f.rest)-1]), f.rest[:len(f.rest)-1]
	into := !f.on["T"] && m.isDir(to, false)
	if len(sources) > 1 && !into {
		return failed()
	}
	var elsewhere []shell.Path
	r, err := each(sources, func(name string) error {
		from, to := at(c, name), to
		if into {
			to = path.Join(to, path.Base(from))
		}
		if _, err := m.files.Lstat(to); err == nil && f.on["n"] {
			return nil
		}
		err := m.files.Rename(from, to)
		if errors.Is(err, syscall.EXDEV) {
			elsewhere = append(elsewhere, shell.Path{Name: from}, shell.Path{Name: to})
			return nil
		}
		return err
	})
	if err == nil && len(elsewhere) > 0 {
		return unknown("it moves something to another file system", elsewhere...)
	}
	return r, err
}

func (m *machine) cp(c shell.Command) (shell.Result, error) {
	f, ok := parseFlags(c.Args[1:], "a|archive p f|force d r R|recursive P|no-dereference T|no-target-directory v|verbose n|no-clobber")
	if !ok || len(f.rest) < 2 {
		return notUnderstood()
	}
	to, sources := at(c, f.rest[len(f.rest)-1]), f.rest[:len(f.rest)-1]
	into := !f.on["T"] && m.isDir(to, false)
	if len(sources) > 1 && !into {
		return failed()
	}
	o := copyOptions{
		tree: f.on["a"] || f.on["r"] || f.on["R"], keep: f.on["a"] || f.on["p"],
		links: f.on["a"] || f.on["d"] || f.on["P"] || f.on["r"] || f.on["R"], never: f.on["n"], umask: c.Umask,
	}
	return each(sources, func(name string) error {
		from, to := at(c, name), to
		if into {
			to = path.Join(to, path.Base(from))
		}
		return m.copy(from, to, o)
	})
}

// copyOptions are those of cp(1).
type copyOptions struct {
	tree, keep, links, never bool
	umask                    fs.FileMode
}

func (m *machine) copy(from, to string, o copyOptions) error {
	look := m.files.Stat
	if o.links {
		look = m.files.Lstat
	}
	st, err := look(from)
	if err != nil {
		return err
	}
	there := false
	if _, err := m.files.Lstat(to); err == nil {
		there = true
	}
	switch {
	case there && o.never && !st.IsDir():
		return nil
	case st.IsSymlink():
		target, err := m.files.Readlink(from)
		if err != nil {
			return err
		}
		if there {
			if err := m.files.Unlink(to); err != nil {
				return err
			}
		}
		if err := m.files.Symlink(target, to); err != nil {
			return err
		}
	case st.IsDir() && !o.tree:
		return &fs.PathError{Op: "cp", Path: from, Err: errIsDir}
	case st.IsDir():
		if !there {
			if err := m.files.Mkdir(to, 0o700); err != nil {
				return err
			}
			if err := m.files.Chmod(to, st.Mode&^fs.ModeType&^o.umask); err != nil {
				return err
			}
		}
		entries, err := m.files.ReadDir(from)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := m.copy(path.Join(from, e.Name), path.Join(to, e.Name), o); err != nil {
				return err
			}
		}
	case st.IsRegular():
		if err := m.copyContent(from, to, st.Mode&0o777&^o.umask); err != nil {
			return err
		}
	default:
		m.leave("the copy of "+from, "it is not a regular file", shell.Path{Name: to})
		return nil
	}
	if !o.keep {
		return nil
	}
	if err := m.files.Lchown(to, int(st.UID), int(st.GID)); err != nil {
		return err
	}
	if !st.IsSymlink() {
		if err := m.files.Chmod(to, st.Mode&^fs.ModeType); err != nil {
			return err
		}
	}
	return m.files.Chtimes(to, st.Mtime, st.Mtime)
}

func (m *machine) touch(c shell.Command) (shell.Result, error) {
	f, ok := parseFlags(c.Args[1:], "c|no-create a m")
	if !ok {
		return notUnderstood()
	}
	return each(f.rest, func(name string) error {
		name = at(c, name)
		if _, err := m.files.Stat(name); err == nil {
			now := m.clock.Now()
			return m.files.Chtimes(name, now, now)
		}
		if f.on["c"] {
			return nil
		}
		return m.files.writeFile(name, nil, 0o666&^c.Umask)
	})
}

func (m *machine) cat(c shell.Command) (shell.Result, error) {
	if len(c.Args) == 1 {
		return shell.Result{Out: c.Stdin}, nil
	}
	var out shell.Text
	r, err := each(c.Args[1:], func(name string) error {
		t, err := m.ReadFile(at(c, name))
		out.S, out.Unknown = out.S+t.S, out.Unknown || t.Unknown
		return err
	})
	r.Out = out
	return r, err
}

func (m *machine) readlink(c shell.Command) (shell.Result, error) {
	f, ok := parseFlags(c.Args[1:], "f|canonicalize e|canonicalize-existing m|canonicalize-missing n|no-newline")
	if !ok || len(f.rest) != 1 {
		return notUnderstood()
	}
	name, end := at(c, f.rest[0]), "\n"
	if f.on["n"] {
		end = ""
	}
	if !f.on["f"] && !f.on["e"] && !f.on["m"] {
		target, err := m.files.Readlink(name)
		if err != nil {
			return failed()
		}
		return said(target + end)
	}
	return unanswered()
}

func (m *machine) dirname(c shell.Command) (shell.Result, error) {
	if len(c.Args) != 2 || strings.HasPrefix(c.Args[1], "-") {
		return unanswered()
	}
	name := strings.TrimRight(c.Args[1], "/")
	i := strings.LastIndexByte(name, '/')
	switch {
	case name == "" && c.Args[1] != "" || i == 0:
		return said("/\n")
	case i < 0:
		return said(".\n")
	}
	return said(strings.TrimRight(name[:i], "/") + "\n")
}

func (m *machine) basename(c shell.Command) (shell.Result, error) {
	if len(c.Args) < 2 || len(c.Args) > 3 || strings.HasPrefix(c.Args[1], "-") {
		return unanswered()
	}
	name := path.Base(c.Args[1])
	if len(c.Args) == 3 && name != c.Args[2] {
		name = strings.TrimSuffix(name, c.Args[2])
	}
	return said(name + "\n")
}

// cut takes columns of standard input.
func (m *machine) cut(c shell.Command) (shell.Result, error) {
	f, ok := parseFlags(c.Args[1:], "d|delimiter= f|fields= s|only-delimited")
	n, err := strconv.Atoi(f.value["f"])
	if !ok || err != nil || n < 1 || len(f.value["d"]) != 1 || len(f.rest) > 0 || c.Stdin.Unknown || f.on["s"] {
		return unanswered()
	}
	var out strings.Builder
	for line := range strings.Lines(c.Stdin.S) {
		line = strings.TrimSuffix(line, "\n")
		fields := strings.Split(line, f.value["d"])
		switch {
		case len(fields) == 1:
			out.WriteString(line)
		case n <= len(fields):
			out.WriteString(fields[n-1])
		}
		out.WriteByte('\n')
	}
	return said(out.String())
}

// plainPattern are patterns that mean the same to every kind of grep.
var plainPattern = regexp.MustCompile(`^\^?[A-Za-z0-9 _/:=#"'@,%&;<>~-]*\$?$`)

func (m *machine) grep(c shell.Command) (shell.Result, error) {
	f, ok := parseFlags(c.Args[1:], "q|quiet|silent s|no-messages F|fixed-strings E|extended-regexp e|regexp= i|ignore-case v|invert-match x|line-regexp")
	text := f.value["e"]
	if ok && text == "" && len(f.rest) > 0 {
		text, f.rest = f.rest[0], f.rest[1:]
	}
	if !ok || !plainPattern.MatchString(text) || len(f.rest) > 1 {
		return unanswered()
	}
	input := c.Stdin
	if len(f.rest) == 1 {
		var err error
		if input, err = m.ReadFile(at(c, f.rest[0])); err != nil {
			r, err := byErrno(err)
			r.Status.Code *= 2
			return r, err
		}
	}
	if input.Unknown {
		return unanswered()
	}
	if f.on["F"] {
		text = regexp.QuoteMeta(text)
	}
	if f.on["x"] {
		text = "^(?:" + text + ")$"
	}
	if f.on["i"] {
		text = "(?i)" + text
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return unanswered()
	}
	var out strings.Builder
	found := false
	for line := range strings.Lines(input.S) {
		if re.MatchString(strings.TrimSuffix(line, "\n")) == f.on["v"] {
			continue
		}
		found = true
		if !f.on["q"] {
			out.WriteString(strings.TrimSuffix(line, "\n") + "\n")
		}
	}
	r, _ := said(out.String())
	if !found {
		r.Status.Code = 1
	}
	return r, nil
}

// sed answers nothing; with -i it leaves the content of its files open.
func (m *machine) sed(c shell.Command) (shell.Result, error) {
	inPlace := false
	var leaves []shell.Path
	for _, a := range c.Args[1:] {
		inPlace = inPlace || strings.HasPrefix(a, "-i") || strings.HasPrefix(a, "--in-place")
		if st, err := m.files.Stat(at(c, a)); !strings.HasPrefix(a, "-") && err == nil && st.IsRegular() {
			leaves = append(leaves, shell.Path{Name: at(c, a), Aspect: "content"})
		}
	}
	if !inPlace {
		return unanswered()
	}
	return unknown("what it makes of the file is not known", leaves...)
}
