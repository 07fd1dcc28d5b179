package live

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sort"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/deb"
	"zcp2kopano/runtime/host/secrets"
)

// probeConfig makes apt work in a scratch directory instead of its own places: configuration, lists and
// caches. Settings of the host (proxies) stay in force; its hooks do not run, and only lists of packages
// are fetched.
const probeConfig = `Dir::Etc "%[1]s/etc/apt/";
Dir::Etc::sourcelist "sources.list";
Dir::Etc::sourceparts "sources.list.d";
Dir::Etc::trusted "trusted.gpg";
Dir::Etc::trustedparts "trusted.gpg.d";
Dir::Etc::netrc "auth.conf";
Dir::Etc::netrcparts "auth.conf.d";
Dir::State::lists "%[1]s/lists/";
Dir::Cache "%[1]s/cache/";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Acquire::GzipIndexes "false";
Acquire::Retries "1";
Acquire::http::Timeout "30";
Acquire::https::Timeout "30";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
`

// ProbeRepository reads the lists of a repository that is not configured yet, in a scratch directory.
func (v debs) ProbeRepository(ctx context.Context, probe host.RepositoryProbe) (host.RepositoryAnswer, error) {
	s, err := v.m.files.newScratch("/var/tmp", "/tmp")
	if err != nil {
		return host.RepositoryAnswer{}, err
	}
	defer s.remove()
	if err := v.stageProbe(s, probe); err != nil {
		return host.RepositoryAnswer{}, fmt.Errorf("probe of the repository: %w", err)
	}
	if len(probe.Files) > 0 {
		if err := v.updateProbed(ctx, s, probe); err != nil {
			return host.RepositoryAnswer{}, err
		}
	}
	offers, err := v.readLists(s.path + "/lists")
	if err != nil {
		return host.RepositoryAnswer{}, err
	}
	answer := answerProbe(probe.Packages, offers)
	if probe.Tx != nil {
		answer.Solution, err = v.solveProbed(ctx, s, *probe.Tx)
	}
	return answer, err
}

// updateProbed fetches the lists of the probed repository.
func (v debs) updateProbed(ctx context.Context, s *scratch, probe host.RepositoryProbe) error {
	path, err := v.m.program("apt-get")
	if err != nil {
		return err
	}
	got, err := v.m.run(ctx, command{
		Path:    path,
		Args:    []string{"-q", "-c", s.path + "/apt.conf", "update"},
		Env:     aptEnv,
		Secrets: repositorySecrets(probe),
	})
	if err := updateError(got, err); err != nil {
		text := strings.ReplaceAll(err.Error(), s.path, "")
		return errors.New(mask(text, repositorySecrets(probe)))
	}
	return nil
}

// stageProbe writes the repository's files below the scratch directory, where they also name each
// other, beside the keys that the host trusts already.
func (v debs) stageProbe(s *scratch, probe host.RepositoryProbe) error {
	for _, dir := range []string{"etc/apt/sources.list.d/", "etc/apt/trusted.gpg.d/", "etc/apt/auth.conf.d/", "lists/partial/", "cache/archives/partial/"} {
		if err := s.mkdirs(dir); err != nil {
			return err
		}
	}
	if err := v.copyTrustedKeys(s); err != nil {
		return err
	}
	for _, f := range probe.Files {
		content := f.Content.Reveal()
		for _, other := range probe.Files {
			content = strings.ReplaceAll(content, other.Path, s.path+other.Path)
		}
		name := strings.TrimPrefix(f.Path, "/")
		err := s.write(name, []byte(content))
		if errors.Is(err, fs.ErrExist) { // a key that the host has, renewed
			if err = s.space.unlink(s.path + "/" + name); err == nil {
				err = s.write(name, []byte(content))
			}
		}
		if err != nil {
			return err
		}
	}
	return s.write("apt.conf", fmt.Appendf(nil, probeConfig, s.path))
}

// copyTrustedKeys leaves out a key that this process may not read: apt could not read it either, and does
// without.
func (v debs) copyTrustedKeys(s *scratch) error {
	names, err := v.m.files.filesIn(deb.TrustedDir)
	if err != nil {
		return err
	}
	for _, name := range append(names, deb.TrustedFile) {
		if err := v.m.files.copyInto(s, name); err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	return nil
}

// repositorySecrets finds the passwords in a repository's files.
func repositorySecrets(probe host.RepositoryProbe) []string {
	var found []string
	for _, f := range probe.Files {
		found = append(found, secrets.In(f.Path, f.Content.Reveal())...)
	}
	return found
}

// readLists reads the Packages files that apt fetched: the newest version of each package.
func (v debs) readLists(dir string) (map[string]string, error) {
	entries, err := v.m.files.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	offers := map[string]string{}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name, "_Packages") && e.Name != "Packages" {
			continue
		}
		data, err := v.m.files.readFile(dir + "/" + e.Name)
		if err != nil {
			return nil, err
		}
		for _, p := range deb.ParseControl(string(data)) {
			name, version := p.Get("Package"), p.Get("Version")
			if old, known := offers[name]; !known || deb.Compare(version, old) > 0 {
				offers[name] = version
			}
		}
	}
	return offers, nil
}

func answerProbe(wanted []string, offers map[string]string) host.RepositoryAnswer {
	a := host.RepositoryAnswer{Offers: map[string]string{}, Known: true}
	for _, name := range wanted {
		if v, offered := offers[name]; offered {
			a.Offers[name] = v
		} else {
			a.Missing = append(a.Missing, name)
		}
	}
	sort.Strings(a.Missing)
	return a
}
