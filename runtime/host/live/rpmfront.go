package live

import (
	"context"
	"fmt"
	"path"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/rpm"
)

// rpmFront is the program over rpm that knows repositories: yum, dnf or zypper.
type rpmFront interface {
	manager() (host.PackageManager, error)
	// pidFiles name the process that holds the front's lock.
	pidFiles() []string
	// lists are the repositories that are configured and whose lists are at hand.
	lists() ([]repositoryList, error)
	// cache is where downloaded packages lie.
	cache() string
	solve(p rpmTransaction) (host.Solution, error)
	// commit carries a transaction out, and returns what was said.
	commit(ctx context.Context, p rpmTransaction, w *host.PackageWatch) (answer, error)
	// refresh rereads the lists of repositories; all that are enabled if none is named.
	refresh(ctx context.Context, ids []string, w *host.PackageWatch) error
	// probe fetches the lists of the repositories in a scratch directory and says where they are.
	probe(ctx context.Context, s *scratch, probe host.RepositoryProbe) ([]repositoryList, error)
	// beside is the front with the repositories of a probe's scratch directory beside the host's own.
	beside(s *scratch) (rpmFront, error)
	// cacheOf is where such a front looks for the lists of one of the host's.
	cacheOf(list repositoryList) string
	// download fetches a package into a directory, or into the cache.
	download(ctx context.Context, p host.Package, dir string) error
	// repoDirs hold the configuration of repositories.
	repoDirs() []string
}

// front chooses the program: zypper on SUSE, and where there is no other; else yum, which newer systems
// have as another name of dnf; else dnf.
func (v rpms) front() (rpmFront, error) {
	_, noZypper := v.m.program("zypper")
	program, noYum := v.m.program("yum", "dnf")
	switch {
	case noZypper == nil && (noYum != nil || v.m.isSUSE()):
		return zypper{m: v.m, rpms: v}, nil
	case noYum == nil:
		return yum{m: v.m, rpms: v, program: program}, nil
	}
	return nil, fmt.Errorf("a system of rpm packages without yum, dnf and zypper: %w", host.ErrUnsupported)
}

func (m *machine) isSUSE() bool {
	facts := m.osRelease()
	return containsAny(facts["ID"]+" "+facts["ID_LIKE"], []string{"suse", "sles", "sle_"})
}

// frontVersion asks rpm, which is silent and quick, or the program itself.
func (v rpms) frontVersion(program string) (string, error) {
	name := path.Base(program)
	if got, err := v.rpm(context.Background(), "-q", "--qf", "%{VERSION}\n", name); err == nil {
		if version, _, _ := strings.Cut(got.Stdout, "\n"); version != "" {
			return version, nil
		}
	}
	out, err := v.m.ask(name, "--version")
	if err != nil {
		return "", err
	}
	first, _, _ := strings.Cut(out, "\n") // "3.4.3", "zypper 1.13.58"
	words := strings.Fields(first)
	if len(words) == 0 {
		return "", fmt.Errorf("%s --version: no answer", program)
	}
	return words[len(words)-1], nil
}

// heldPackages are globs of names that yum's or dnf's versionlock, or a lock of zypper keeps as they are.
func (v rpms) heldPackages() []string {
	var held []string
	for _, file := range []string{"/etc/yum/pluginconf.d/versionlock.list", "/etc/dnf/plugins/versionlock.list"} {
		data, _ := v.m.files.readFile(file)
		for line := range strings.Lines(string(data)) {
			if name := rpm.LockedName(strings.TrimSpace(line)); name != "" {
				held = append(held, name)
			}
		}
	}
	data, _ := v.m.files.readFile("/etc/zypp/locks")
	for line := range strings.Lines(string(data)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "solvable_name:"); ok {
			held = append(held, strings.TrimSpace(name))
		}
	}
	return held
}

func matchesName(name string, globs []string) bool {
	for _, glob := range globs {
		if ok, _ := path.Match(glob, name); ok {
			return true
		}
	}
	return false
}
