package sim

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/accounts"
)

// accountFiles are the accounts of the simulated files, and those that the machine below knows from elsewhere.
type accountFiles struct {
	files *files
	gaps  *gaps
	clock *clock
	below host.View

	mu     sync.Mutex
	cache  *accountTable
	former *accounts.Table
}

// accountTable is the parsed /etc/passwd and /etc/group, with the state of the files it was read from.
type accountTable struct {
	table         *accounts.Table
	passwd, group host.Stat
}

// accounts reads the simulated account files again if they changed.
func (ac *accountFiles) table() (*accounts.Table, error) {
	passwd, err := ac.files.Stat("/etc/passwd")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	group, err := ac.files.Stat("/etc/group")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	ac.mu.Lock()
	defer ac.mu.Unlock()
	if c := ac.cache; c != nil && sameFile(c.passwd, passwd) && sameFile(c.group, group) {
		return c.table, nil
	}
	passwdText, err := ac.files.readFile("/etc/passwd")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	groupText, err := ac.files.readFile("/etc/group")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	ac.cache = &accountTable{table: accounts.NewTable(string(passwdText), string(groupText)), passwd: passwd, group: group}
	return ac.cache.table, nil
}

// formerAccounts are those of the files of the machine below: one that the simulation lacks was deleted in it.
func (ac *accountFiles) formerAccounts() *accounts.Table {
	ac.mu.Lock()
	defer ac.mu.Unlock()
	if ac.former == nil {
		passwd, _ := readBelow(ac.below, "/etc/passwd")
		group, _ := readBelow(ac.below, "/etc/group")
		ac.former = accounts.NewTable(string(passwd), string(group))
	}
	return ac.former
}

func sameFile(a, b host.Stat) bool {
	return a.Ino == b.Ino && a.Dev == b.Dev && a.Size == b.Size && a.Ctime.Equal(b.Ctime) && a.Mtime.Equal(b.Mtime)
}

// User looks an account up in the simulated /etc/passwd, then on the machine below.
func (ac *accountFiles) User(name string) (host.User, error) {
	return lookup(ac, func(t *accounts.Table) (host.User, bool) { return t.User(name) },
		func(v host.View) (host.User, error) { return v.User(name) }, "user "+name)
}

// UserID is User by number.
func (ac *accountFiles) UserID(uid uint32) (host.User, error) {
	return lookup(ac, func(t *accounts.Table) (host.User, bool) { return t.UserID(uid) },
		func(v host.View) (host.User, error) { return v.UserID(uid) }, fmt.Sprintf("user with the number %d", uid))
}

// Group looks a group up in the simulated /etc/group, then on the machine below.
func (ac *accountFiles) Group(name string) (host.Group, error) {
	return lookup(ac, func(t *accounts.Table) (host.Group, bool) { return t.Group(name) },
		func(v host.View) (host.Group, error) { return v.Group(name) }, "group "+name)
}

// GroupID is Group by number.
func (ac *accountFiles) GroupID(gid uint32) (host.Group, error) {
	return lookup(ac, func(t *accounts.Table) (host.Group, bool) { return t.GroupID(gid) },
		func(v host.View) (host.Group, error) { return v.GroupID(gid) }, fmt.Sprintf("group with the number %d", gid))
}

func lookup[T any](ac *accountFiles, find func(*accounts.Table) (T, bool), below func(host.View) (T, error), what string) (T, error) {
	t, err := ac.table()
	if err != nil {
		var none T
		return none, err
	}
	if found, ok := find(t); ok {
		return found, nil
	}
	if ac.below != nil {
		if _, gone := find(ac.formerAccounts()); !gone {
			return below(ac.below) // accounts of LDAP or NIS, which the files do not have
		}
	}
	var none T
	return none, fmt.Errorf("%s: %w", what, host.ErrNoAccount)
}

// ownerIDs turns names or numbers into numbers; an empty name is root.
func (ac *accountFiles) ownerIDs(user, group string) (uid, gid uint32, err error) {
	if user != "" && user != "root" {
		if n, err := strconv.ParseUint(user, 10, 32); err == nil {
			uid = uint32(n)
		} else if u, err := ac.User(user); err == nil {
			uid = u.UID
		} else {
			return 0, 0, err
		}
	}
	if group != "" && group != "root" {
		if n, err := strconv.ParseUint(group, 10, 32); err == nil {
			gid = uint32(n)
		} else if g, err := ac.Group(group); err == nil {
			gid = g.GID
		} else {
			return 0, 0, err
		}
	}
	return uid, gid, nil
}

// today is the date as shadow(5) counts it.
func (ac *accountFiles) today() int64 { return ac.clock.Now().Unix() / int64(24*time.Hour/time.Second) }

func (ac *accountFiles) appendGroup(name string, gid uint32) error {
	if err := ac.appendAccount("/etc/gshadow", name+":!::\n"); err != nil {
		return err
	}
	return ac.appendAccount("/etc/group", fmt.Sprintf("%s:x:%d:\n", name, gid))
}

// appendUser adds an account. It is there once passwd names it, so that file comes last.
func (ac *accountFiles) appendUser(u newUser) error {
	line := fmt.Sprintf("%s:x:%d:%d:%s:%s:%s\n", u.name, u.uid, u.gid, u.gecos, u.home, u.shell)
	if err := ac.appendAccount("/etc/shadow", u.name+":"+u.shadow+"\n"); err != nil {
		return err
	}
	return ac.appendAccount("/etc/passwd", line)
}

func (ac *accountFiles) chownIfThere(name, owner string) error {
	if _, err := ac.files.Lstat(name); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return ac.chownByName(name, owner)
}

func (ac *accountFiles) chownTree(name, owner string) error {
	if err := ac.chownIfThere(name, owner); err != nil {
		return err
	}
	if st, err := ac.files.Lstat(name); err != nil || !st.IsDir() {
		return nil
	}
	entries, err := ac.files.ReadDir(name)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := ac.chownTree(path.Join(name, entry.Name), owner); err != nil {
			return err
		}
	}
	return nil
}

// chownByName sets "user:group", names or numbers.
func (ac *accountFiles) chownByName(name, owner string) error {
	user, group, _ := strings.Cut(owner, ":")
	uid, gid, err := ac.ownerIDs(user, group)
	if err != nil {
		return err
	}
	return ac.files.Lchown(name, int(uid), int(gid))
}

// editAccounts changes the lines of an account file, and keeps the former state in FILE-, as the shadow
// tools do: some always, some if there is something to change. A file that is not there stays away; the
// content of one that is not known stays open.
func (ac *accountFiles) editAccounts(file string, always bool, edit func(lines []string) []string) error {
	st, err := ac.files.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if file == "/etc/shadow" {
		for _, open := range []string{file, file + "-"} {
			ac.gaps.add(host.Unpredicted{What: "content of " + open, Why: "it has the day on which an account was changed", Path: open, Aspect: "content"})
		}
	}
	text, err := ac.files.readFile(file)
	if errors.Is(err, host.ErrUnknown) || errors.Is(err, fs.ErrPermission) {
		for _, open := range []string{file, file + "-"} {
			ac.gaps.add(host.Unpredicted{What: "content of " + open, Why: "its former content is not known", Path: open, Aspect: "content"})
		}
		return nil
	}
	if err != nil {
		return err
	}
	lines := strings.SplitAfter(string(text), "\n")
	if last := len(lines) - 1; lines[last] == "" {
		lines = lines[:last]
	} else {
		lines[last] += "\n"
	}
	fresh := strings.Join(edit(slices.Clone(lines)), "")
	if fresh == string(text) && !always {
		return nil
	}
	if err := ac.files.replaceFile(file+"-", text, st); err != nil {
		return err
	}
	if err := ac.files.Chtimes(file+"-", st.Mtime, st.Mtime); err != nil {
		return err
	}
	return ac.files.replaceFile(file, []byte(fresh), st)
}

// appendAccount adds a line for a name that has none: behind the others, but before those of NIS.
func (ac *accountFiles) appendAccount(file, line string) error {
	name, _, _ := strings.Cut(line, ":")
	return ac.editAccounts(file, false, func(lines []string) []string {
		if hasLine(lines, name) >= 0 {
			return lines
		}
		end := slices.IndexFunc(lines, func(l string) bool { return l[0] == '+' || l[0] == '-' })
		if end < 0 {
			end = len(lines)
		}
		return slices.Insert(lines, end, line)
	})
}

// setAccountField changes one field of a name's line.
func (ac *accountFiles) setAccountField(file, name string, field int, always bool, change func(string) string) error {
	return ac.editAccounts(file, always, func(lines []string) []string {
		if i := hasLine(lines, name); i >= 0 {
			fields := strings.Split(strings.TrimSuffix(lines[i], "\n"), ":")
			if field < len(fields) {
				fields[field] = change(fields[field])
			}
			lines[i] = strings.Join(fields, ":") + "\n"
		}
		return lines
	})
}

func (ac *accountFiles) removeAccount(file, name string) error {
	return ac.editAccounts(file, false, func(lines []string) []string {
		return slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, name+":") })
	})
}

// setMember adds a user to the members of a group, or takes it away.
func (ac *accountFiles) setMember(group, user string, in, always bool) error {
	change := func(text string) string {
		members := strings.FieldsFunc(text, func(r rune) bool { return r == ',' })
		members = slices.DeleteFunc(members, func(m string) bool { return m == user && !in })
		if in && !slices.Contains(members, user) {
			members = append(members, user)
		}
		return strings.Join(members, ",")
	}
	if err := ac.setAccountField("/etc/group", group, 3, always, change); err != nil {
		return err
	}
	return ac.setAccountField("/etc/gshadow", group, 3, always, change)
}

// JoinGroup is usermod(8) -a -G.
func (ac *accountFiles) JoinGroup(ctx context.Context, user, group string) error {
	return ac.member(ctx, user, group, true)
}

// LeaveGroup is gpasswd(1) -d.
func (ac *accountFiles) LeaveGroup(ctx context.Context, user, group string) error {
	return ac.member(ctx, user, group, false)
}

func (ac *accountFiles) member(ctx context.Context, user, group string, in bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, err := ac.User(user); err != nil {
		return err
	}
	if _, err := ac.Group(group); err != nil {
		return err
	}
	return ac.setMember(group, user, in, !in)
}

func (ac *accountFiles) freeUID(id uint32) bool {
	_, err := ac.UserID(id)
	return errors.Is(err, host.ErrNoAccount)
}

func (ac *accountFiles) freeGID(id uint32) bool {
	_, err := ac.GroupID(id)
	return errors.Is(err, host.ErrNoAccount)
}

// loginNumber is a free number as login.defs(5) has the shadow tools look for one.
func (ac *accountFiles) loginNumber(kind string, system bool, isFree func(uint32) bool, used func(*idRange)) (uint32, bool) {
	defs := ac.files.settings("/etc/login.defs")
	least := settingNumber(defs, kind+"_min", 1000)
	r := &idRange{low: least, high: settingNumber(defs, kind+"_max", 60000)}
	if system {
		r.low, r.high = settingNumber(defs, "sys_"+kind+"_min", 101), settingNumber(defs, "sys_"+kind+"_max", least-1)
	}
	if r.high < r.low || r.low == 0 {
		return 0, false
	}
	r.bottom, r.top = r.high+1, r.low-1
	used(r)
	switch {
	case system && r.bottom > r.low && isFree(r.bottom-1):
		return r.bottom - 1, true
	case system:
		return free(r.high, r.low, isFree)
	case r.top < r.high && isFree(r.top+1):
		return r.top + 1, true
	}
	return free(r.low, r.high, isFree)
}

// setGecos is chfn(1): fields that are not named keep what they had.
func (ac *accountFiles) setGecos(name string, fields map[string]string) error {
	return ac.setAccountField("/etc/passwd", name, 4, true, func(was string) string {
		parts := strings.SplitN(was, ",", 5)
		for len(parts) < 4 {
			parts = append(parts, "")
		}
		for i, option := range []string{"f", "r", "w", "h", "o"} {
			value, given := fields[option]
			if !given {
				continue
			}
			if i == len(parts) {
				parts = append(parts, "")
			}
			parts[i] = value
		}
		return strings.Join(parts, ",")
	})
}

// hasLine tells which line is that of a name; -1 if none is.
func hasLine(lines []string, name string) int {
	return slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, name+":") })
}

// idRange finds the lowest and the highest number in use.
type idRange struct{ low, high, bottom, top uint32 }

func (r *idRange) note(id uint32) {
	if id >= r.low && id <= r.high {
		r.bottom, r.top = min(r.bottom, id), max(r.top, id)
	}
}

func settingNumber(all map[string]string, name string, otherwise uint32) uint32 {
	if n, err := strconv.ParseUint(all[name], 0, 32); err == nil {
		return uint32(n)
	}
	return otherwise
}

// free finds a number between two, from the first on.
func free(first, last uint32, isFree func(uint32) bool) (uint32, bool) {
	step := uint32(1)
	if first > last {
		step = ^uint32(0) // downwards
	}
	for id := first; ; id += step {
		if isFree(id) {
			return id, true
		}
		if id == last {
			return 0, false
		}
	}
}

// newUser is an account to be added to the files.
type newUser struct {
	name, gecos, home, shell string
	uid, gid                 uint32
	shadow                   string // its fields behind the name
}
