package action

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"zcp2kopano/runtime/host"
)

// accountsKeeper keeps the account files.
type accountsKeeper struct {
	Accounts  []Preimage `json:"accounts,omitempty"`
	Overrides *Preimage  `json:"overrides,omitempty"` // dpkg's list of them; nil if there was none
}

// accountFiles are changed by the packages' scripts, which make accounts and never remove them.
var accountFiles = []string{"/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow"}

// unfinished are the names under which the tools write an account file, and the backup of one, before they rename
// it: one that is killed leaves it behind.
var unfinished = []string{"+", "-+"}

func (k *accountsKeeper) record(env *Env, _ *Commit, _ *found) error {
	names := slices.Clone(accountFiles)
	for _, name := range accountFiles {
		for _, ending := range unfinished {
			names = append(names, name+ending)
		}
	}
	for _, name := range names {
		p, err := env.Store.Save(name)
		if errors.Is(err, host.ErrUnknown) { // a simulated host may lack what root alone can read
			continue
		}
		if err != nil {
			return err
		}
		k.Accounts = append(k.Accounts, p)
	}
	p, err := env.Store.Save(overridesFile)
	if errors.Is(err, host.ErrUnknown) {
		return nil
	}
	if err == nil && p.Blob != nil {
		k.Overrides = &p
	}
	return err
}

// accountMark is what the account files were when the transaction had ended, by path.
type accountMark struct {
	Accounts map[string]string `json:"accounts"`
}

// ended notes how the scripts left the account files, so that restore can tell their changes from
// those that somebody else makes later.
func (k *accountsKeeper) ended(env *Env) error {
	now, err := k.digests(env)
	if err != nil || env.Mark == nil {
		return err
	}
	return env.Mark(accountMark{now})
}

func (k *accountsKeeper) digests(env *Env) (map[string]string, error) {
	digests := map[string]string{}
	for _, p := range k.Accounts {
		now, err := env.Store.sum(p.Path)
		if err != nil && !host.Absent(err) {
			return nil, err
		}
		digests[p.Path] = now
	}
	return digests, nil
}

// restore puts the account files back that nobody else has changed since.
func (k *accountsKeeper) restore(env *Env, _ *Commit) error {
	var left accountMark
	for _, m := range env.Marks {
		if err := json.Unmarshal(m, &left); err != nil {
			return err
		}
	}
	now, err := k.digests(env)
	if err != nil {
		return err
	}
	gone, err := k.newUsers(env)
	if err != nil {
		return err
	}
	if err := k.dropOverrides(env); err != nil {
		return err
	}
	for _, p := range k.Accounts {
		if then, known := left.Accounts[p.Path]; known && then != now[p.Path] {
			continue // compare tells
		}
		if p.Path == passwdFile {
			if err := clearRun(env, gone); err != nil {
				return err
			}
		}
		if err := env.Store.Restore(p); err != nil {
			return err
		}
	}
	return nil
}

func (k *accountsKeeper) compare(env *Env, _ *Commit) ([]string, error) {
	return compareAll(env, k.Accounts)
}

const passwdFile = "/etc/passwd"

// newUsers are the numbers of the users that restoring the account files takes away.
func (k *accountsKeeper) newUsers(env *Env) (map[uint32]bool, error) {
	at := slices.IndexFunc(k.Accounts, func(p Preimage) bool { return p.Path == passwdFile && p.Blob != nil })
	if at < 0 {
		return nil, nil
	}
	was, err := env.Store.Bytes(*k.Accounts[at].Blob)
	if err != nil {
		return nil, err
	}
	f, err := env.Host.Open(passwdFile)
	if host.Absent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	now, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	before, gone := userNumbers(was), map[uint32]bool{}
	for uid := range userNumbers(now) {
		if !before[uid] {
			gone[uid] = true
		}
	}
	return gone, nil
}

func userNumbers(passwd []byte) map[uint32]bool {
	all := map[uint32]bool{}
	for line := range strings.Lines(string(passwd)) {
		if fields := strings.Split(line, ":"); len(fields) > 2 {
			if uid, err := strconv.ParseUint(fields[2], 10, 32); err == nil {
				all[uint32(uid)] = true
			}
		}
	}
	return all
}

// runDir is where daemons have their sockets and pid files until the machine starts again.
const runDir = "/run"

// clearRun removes what daemons have left in /run for users that are gone: whoever gets the number next would
// own it. What holds more than sockets, pipes and pid files is left.
func clearRun(env *Env, gone map[uint32]bool) error {
	if len(gone) == 0 {
		return nil
	}
	entries, err := env.Host.ReadDir(runDir)
	if host.Absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := path.Join(runDir, e.Name)
		st, err := env.Host.Lstat(name)
		if host.Absent(err) || err == nil && !gone[st.UID] {
			continue
		}
		if err != nil {
			return err
		}
		passing := true
		err = eachItem(env, name, nil, func(_ host.DirReader, base string, it item) error {
			passing = passing && (isType(it.Mode, fs.ModeDir, fs.ModeSocket, fs.ModeNamedPipe) || strings.HasSuffix(base, ".pid") || strings.HasSuffix(base, ".lock"))
			return nil
		})
		if err == nil && passing {
			err = removePath(env.Host, name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
