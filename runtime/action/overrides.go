package action

import (
	"io"
	"slices"
	"strings"

	"zcp2kopano/runtime/host"
)

// overridesFile is dpkg's list of owners and modes that win over those of the packages: "USER GROUP MODE PATH". Where it
// names somebody who is gone, dpkg refuses all work. Scripts add to it, and a purge may leave what they added
// (Debian's kopano-common does).
const overridesFile = "/var/lib/dpkg/statoverride"

// dropOverrides takes the lines out of the list that name an account which was not there before, and so goes. What the
// list had before stays: its accounts may be those of a directory, which no account file knows.
func (k *accountsKeeper) dropOverrides(env *Env) error {
	users, err := k.namesBefore(env, passwdFile)
	if err != nil || users == nil {
		return err
	}
	groups, err := k.namesBefore(env, "/etc/group")
	if err != nil || groups == nil {
		return err
	}
	before, err := k.overridesBefore(env)
	if err != nil {
		return err
	}
	f, err := env.Host.Open(overridesFile)
	if host.Absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	var left strings.Builder
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) == 4 && !slices.Contains(before, strings.TrimSpace(line)) && !(known(users, fields[0]) && known(groups, fields[1])) {
			continue
		}
		left.WriteString(line)
	}
	if left.Len() == len(text) {
		return nil
	}
	p, err := env.Store.Save(overridesFile)
	if err != nil {
		return err
	}
	blob, err := env.Store.PutBytes([]byte(left.String()))
	if err != nil {
		return err
	}
	p.Blob = &blob
	return env.Store.Restore(p)
}

// overridesBefore are the lines that the list had.
func (k *accountsKeeper) overridesBefore(env *Env) ([]string, error) {
	if k.Overrides == nil {
		return nil, nil
	}
	text, err := env.Store.Bytes(*k.Overrides.Blob)
	if err != nil {
		return nil, err
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		lines = append(lines, strings.TrimSpace(line))
	}
	return lines, nil
}

// known reports whether a list has a name; a number, "#112", names nobody.
func known(names []string, name string) bool {
	return strings.HasPrefix(name, "#") || slices.Contains(names, name)
}

// namesBefore are the names that an account file had; nil if that is not known.
func (k *accountsKeeper) namesBefore(env *Env, file string) ([]string, error) {
	at := slices.IndexFunc(k.Accounts, func(p Preimage) bool { return p.Path == file && p.Blob != nil })
	if at < 0 {
		return nil, nil
	}
	text, err := env.Store.Bytes(*k.Accounts[at].Blob)
	if err != nil {
		return nil, err
	}
	var names []string
	for line := range strings.Lines(string(text)) {
		name, _, _ := strings.Cut(line, ":")
		names = append(names, name)
	}
	return names, nil
}
