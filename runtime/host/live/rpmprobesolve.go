package live

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"zcp2kopano/runtime/host"
)

// solveProbed solves a transaction with the repository of a probe beside the host's own, whose lists are lent to it.
// What is to be removed counts as gone.
func (v rpms) solveProbed(ctx context.Context, front rpmFront, s *scratch, offered []repositoryList, tx host.Transaction) (host.Solution, error) {
	lists, err := front.lists()
	if err != nil {
		return host.Solution{}, err
	}
	beside, err := front.beside(s)
	if err != nil {
		return host.Solution{}, err
	}
	for _, list := range lists {
		if err := s.link(list.Dir, beside.cacheOf(list)); err != nil {
			return host.Solution{}, err
		}
	}
	p, err := v.pending(tx)
	if err != nil || p.empty() {
		return host.Solution{}, err
	}
	gone := p.remove
	if p.remove, err = v.withoutSuccessors(offered, p.remove); err != nil {
		return host.Solution{}, err
	}
	solution, err := v.solve(beside, p)
	isGone := func(c host.Change) bool { return slices.Contains(gone, c.Name) }
	solution.Remove = slices.DeleteFunc(solution.Remove, isGone)
	for _, c := range solution.Upgrade {
		if isGone(c) {
			c.Old = ""
			solution.Install = append(solution.Install, c)
		}
	}
	solution.Upgrade = slices.DeleteFunc(solution.Upgrade, isGone)
	return solution, err
}

// withoutSuccessors leaves out of what is to be removed the names that the repository offers, too. No front takes
// the order to remove a package and to install another of its name: here the one is replaced by the other, where
// anything asks for it.
func (v rpms) withoutSuccessors(offered []repositoryList, remove []string) ([]string, error) {
	offers, _, err := v.offers(offered, remove)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(remove), func(name string) bool {
		return slices.ContainsFunc(offers, func(o offer) bool { return o.Name == name })
	}), nil
}

// link has a path below the scratch lead to a directory of the host, unless something is there.
func (s *scratch) link(target, name string) error {
	if err := s.mkdirs(strings.TrimPrefix(name, s.path+"/")); err != nil {
		return err
	}
	if err := s.space.symlink(target, name); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// beside reads the repositories of the scratch, and behind them the host's.
func (y yum) beside(s *scratch) (rpmFront, error) {
	dirs := append([]string{s.path + y.repoDirs()[0]}, y.repoDirs()...)
	y.extra = []string{"--setopt=reposdir=" + strings.Join(dirs, ","), "--setopt=cachedir=" + s.path + "/cache"}
	y.scratch = s.path + "/cache"
	return y, nil
}

// cacheOf is where yum looks for the lists of a repository in a cache of its own.
func (y yum) cacheOf(list repositoryList) string { return y.scratch + "/" + path.Base(list.Dir) }

// beside reads the repositories of the scratch's root, where the host's are copied to.
func (z zypper) beside(s *scratch) (rpmFront, error) {
	const root = "/root"
	for _, dir := range z.repoDirs() {
		names, err := z.m.files.filesIn(dir)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			data, err := z.m.files.readFile(name)
			if err != nil {
				return nil, err
			}
			if err := s.write(root[1:]+name, data); err != nil && !errors.Is(err, fs.ErrExist) {
				return nil, err
			}
		}
	}
	if err := z.allowVendors(s); err != nil {
		return nil, err
	}
	z.scratch = s.path + root + "/var/cache/zypp"
	z.extra = []string{"--reposd-dir", s.path + root + z.repoDirs()[0], "--cache-dir", z.scratch}
	return z, nil
}

// allowVendors has zypper replace packages by those of another vendor. An installation after a removal, which is
// what is asked about, replaces nothing.
func (z *zypper) allowVendors(s *scratch) error {
	settings, err := z.m.files.readFile("/etc/zypp/zypp.conf")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	const name, key = "zypp.conf", "solver.allowVendorChange"
	text := withoutKeys(string(settings), strings.ToLower(key)) + "\n[main]\n" + key + " = true\n"
	z.env = []string{"ZYPP_CONF=" + s.path + "/" + name}
	return s.write(name, []byte(text))
}

// cacheOf is where zypper looks for the lists of a repository in a cache of its own.
func (z zypper) cacheOf(list repositoryList) string { return z.scratch + "/raw/" + path.Base(list.Dir) }
