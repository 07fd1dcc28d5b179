package live

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/packagelock"
	"zcp2kopano/runtime/host/rpm"
)

// zypper is SUSE's front over rpm.
type zypper struct {
	m       *machine
	rpms    rpms
	extra   []string // options for a transaction
	scratch string   // the cache that they name; empty for the host's
	env     []string
}

// zypperOptions come before the command.
var zypperOptions = []string{"--non-interactive", "--no-refresh"}

// zypperInfos are exit codes of zypper(8) that tell of success and something else: updates are needed, a
// reboot is needed, zypper itself was renewed, a repository was passed over, a script of a package failed
// after its installation.
var zypperInfos = []int{100, 101, 102, 103, 106, 107}

func (z zypper) manager() (host.PackageManager, error) {
	version, err := z.rpms.frontVersion("zypper")
	return host.PackageManager{Name: "zypper", Version: version}, err
}

func (z zypper) pidFiles() []string { return []string{"/var/run/zypp.pid"} }

func (z zypper) repoDirs() []string { return rpm.ZypperRepoDirs }

func (z zypper) cache() string { return "/var/cache/zypp/packages" }

func (z zypper) lists() ([]repositoryList, error) {
	sections, err := z.rpms.repositories(z.repoDirs())
	if err != nil {
		return nil, err
	}
	return z.rawLists("/var/cache/zypp/raw", sections), nil
}

// rawLists finds each repository's directory in a cache; zypper names it as the repository.
func (z zypper) rawLists(cache string, sections []rpm.Section) []repositoryList {
	var lists []repositoryList
	for _, s := range sections {
		dir := cache + "/" + strings.ReplaceAll(s.ID, "/", "_")
		if z.m.files.exists(dir + "/repodata/repomd.xml") {
			lists = append(lists, repositoryList{s.ID, dir})
		}
	}
	return lists
}

func (z zypper) run(ctx context.Context, c command) (answer, error) { return z.watched(ctx, nil, c) }

func (z zypper) watched(ctx context.Context, w *host.PackageWatch, c command) (answer, error) {
	c.Env = slices.Concat(rpmEnv, z.env)
	return z.m.managePackages(ctx, w, nil, c, "zypper")
}

// words are the command of a transaction. An exclamation mark before a name asks for its removal.
func (z zypper) words(p rpmTransaction) []string {
	if len(p.install) == 0 {
		return append([]string{"remove", "--no-clean-deps"}, p.remove...)
	}
	words := []string{"install", "--auto-agree-with-licenses"}
	if p.options.NoRecommends {
		words = append(words, "--no-recommends")
	}
	if p.options.Downgrade {
		words = append(words, "--oldpackage")
	}
	for _, spec := range p.install {
		word := spec.name
		switch {
		case spec.file != "":
			word = spec.file
		case spec.version != "":
			word += "=" + spec.version
		}
		words = append(words, word)
	}
	for _, name := range p.remove {
		words = append(words, "!"+name)
	}
	return words
}

// options come before its command. A package file given by path is taken as it is, signed or not,
// as yum and dnf do. Before zypper had a switch for just that, its checks are off for the whole
// transaction.
func (z zypper) options(p rpmTransaction) ([]string, []string, error) {
	options := slices.Concat(zypperOptions, z.extra)
	words := z.words(p)
	if p.files() == 0 {
		return options, words, nil
	}
	help, err := z.run(context.Background(), command{Args: []string{"help", "install"}, Timeout: queryTimeout})
	if err != nil {
		return nil, nil, err
	}
	if strings.Contains(help.Stdout, "--allow-unsigned-rpm") {
		return options, append([]string{words[0], "--allow-unsigned-rpm"}, words[1:]...), nil
	}
	return append(options, "--no-gpg-checks"), words, nil
}

func (z zypper) solve(p rpmTransaction) (host.Solution, error) {
	options, words, err := z.options(p)
	if err != nil {
		return host.Solution{}, err
	}
	args := append(append(options, "--xmlout", words[0], "--dry-run"), words[1:]...)
	got, err := z.run(context.Background(), command{Args: args, Accept: zypperInfos})
	var failed *host.CommandError
	if err != nil && (!errors.As(err, &failed) || got.Code <= 0 || packagelock.Lost(err)) {
		return host.Solution{}, err
	}
	s, problem := parseZypperSolution(got.Stdout, z.m.rpmArch(), p.installed)
	if problem != nil {
		if err != nil && !errors.As(problem, new(*host.SolveError)) {
			return s, fmt.Errorf("%w (%w)", err, problem)
		}
		return s, problem
	}
	return s, err
}

// zypperStream is what zypper --xmlout says of a transaction.
type zypperStream struct {
	Messages []struct {
		Type string `xml:"type,attr"`
		Text string `xml:",chardata"`
	} `xml:"message"`
	Summary *struct {
		Download  int64            `xml:"download-size,attr"`
		Space     int64            `xml:"space-usage-diff,attr"`
		Changes   int              `xml:"packages-to-change,attr"`
		Install   []zypperSolvable `xml:"to-install>solvable"`
		Upgrade   []zypperSolvable `xml:"to-upgrade>solvable"`
		Downgrade []zypperSolvable `xml:"to-downgrade>solvable"`
		Reinstall []zypperSolvable `xml:"to-reinstall>solvable"`
		Change    []zypperSolvable `xml:"to-change-arch>solvable"`
		Vendor    []zypperSolvable `xml:"to-change-vendor>solvable"`
		Remove    []zypperSolvable `xml:"to-remove>solvable"`
	} `xml:"install-summary"`
	Prompts []struct {
		Description string `xml:"description"`
	} `xml:"prompt"`
}

type zypperSolvable struct {
	Type       string `xml:"type,attr"`
	Name       string `xml:"name,attr"`
	Edition    string `xml:"edition,attr"`
	EditionOld string `xml:"edition-old,attr"`
	Arch       string `xml:"arch,attr"`
	Repository string `xml:"repository,attr"`
}

func parseZypperSolution(out, machine string, installed map[string]host.Package) (host.Solution, error) {
	var s host.Solution
	var stream zypperStream
	d := xml.NewDecoder(strings.NewReader(out))
	d.Strict = false
	if err := d.Decode(&stream); err != nil && err != io.EOF {
		return s, fmt.Errorf("zypper --xmlout: %w", err)
	}
	if lines := stream.complaints(); len(lines) > 0 {
		return s, &host.SolveError{Summary: "zypper finds the transaction impossible", Lines: lines}
	}
	if stream.Summary == nil {
		return s, errors.New("zypper --xmlout shows no summary of the transaction")
	}
	t := stream.Summary
	shown := 0
	for _, list := range [][]zypperSolvable{t.Install, t.Upgrade, t.Downgrade, t.Reinstall, t.Change, t.Vendor, t.Remove} {
		shown += len(list)
	}
	if shown < t.Changes {
		return s, fmt.Errorf("zypper --xmlout shows %d of %d changes", shown, t.Changes)
	}
	add := func(to *[]host.Change, list []zypperSolvable, old bool) {
		for _, v := range list {
			if v.Type != "package" {
				continue
			}
			c := host.Change{Name: rpm.Name(v.Name, v.Arch, machine), Version: v.Edition, Origin: v.Repository}
			if c.Old = v.EditionOld; old && c.Old == "" {
				c.Old = installed[c.Name].Version
			}
			if !slices.Contains(*to, c) { // one that is upgraded to another vendor's is listed as both
				*to = append(*to, c)
			}
		}
	}
	add(&s.Install, t.Install, false)
	for _, list := range [][]zypperSolvable{t.Upgrade, t.Downgrade, t.Reinstall, t.Change, t.Vendor} {
		add(&s.Upgrade, list, true)
	}
	add(&s.Remove, t.Remove, false)
	s.Download, s.DiskDelta = t.Download, t.Space
	return s, nil
}

// complaints are the problems that zypper wants somebody to decide, and the errors, if it has got no
// further: with a summary they are of repositories that it did without.
func (s zypperStream) complaints() []string {
	var lines []string
	for _, m := range s.Messages {
		if m.Type == "error" && s.Summary == nil {
			lines = append(lines, strings.TrimSpace(m.Text))
		}
	}
	for _, p := range s.Prompts {
		for line := range strings.Lines(p.Description) {
			if line = strings.TrimSpace(line); line != "" {
				lines = append(lines, line)
			}
		}
	}
	return lines
}

func (z zypper) commit(ctx context.Context, p rpmTransaction, w *host.PackageWatch) (answer, error) {
	options, words, err := z.options(p)
	if err != nil {
		return answer{}, err
	}
	return z.watched(ctx, w, command{Args: append(options, words...), Accept: zypperInfos})
}

func (z zypper) refresh(ctx context.Context, ids []string, w *host.PackageWatch) error {
	got, err := z.watched(ctx, w, command{Args: append([]string{"--non-interactive", "refresh"}, ids...)})
	return zypperRefreshError(got, err)
}

// zypperTroubles mean that a repository was not read, or could not be trusted.
var zypperTroubles = []string{"Skipping repository", "have not been refreshed because", "Could not refresh", "Signature verification failed", "is unsigned", "is not signed", "is signed with an unknown key", "Problem retrieving", "Repository type can't be determined", "Valid metadata not found"}

func zypperRefreshError(got answer, err error) error {
	if packagelock.Lost(err) {
		return err
	}
	var troubles []string
	for line := range strings.Lines(got.Stdout + "\n" + got.Stderr) {
		if line = strings.TrimSpace(line); containsAny(line, zypperTroubles) {
			troubles = append(troubles, line)
		}
	}
	var failed *host.CommandError
	if len(troubles) == 0 || err != nil && (!errors.As(err, &failed) || got.Code <= 0) {
		return err
	}
	return fmt.Errorf("package lists: %s", strings.Join(troubles, "; "))
}

// probe runs in a root of its own below the scratch directory, whose database of rpm has the keys that
// the host trusts and those that the repository's files name.
func (z zypper) probe(ctx context.Context, s *scratch, probe host.RepositoryProbe) ([]repositoryList, error) {
	const root = "/root"
	sections, err := s.stageRepositories(probe, root)
	if err != nil {
		return nil, err
	}
	db := "--dbpath=" + s.path + root + "/var/lib/rpm"
	if err := z.rpms.keyDatabase(ctx, s, root[1:]+"/var/lib/rpm/", sections, db); err != nil {
		return nil, err
	}
	got, err := z.run(ctx, command{Args: []string{"--root", s.path + root, "--non-interactive", "refresh"}, Secrets: repositorySecrets(probe)})
	if err := zypperRefreshError(got, err); err != nil {
		return nil, err
	}
	lists := z.rawLists(s.path+root+"/var/cache/zypp/raw", sections)
	if len(lists) < len(sections) {
		return nil, fmt.Errorf("zypper read %d of %d repositories", len(lists), len(sections))
	}
	var demanding []rpm.Section
	for _, section := range sections {
		if checksPackages(section) {
			demanding = append(demanding, section)
		}
	}
	return lists, z.rpms.verifySamples(ctx, s, demanding, lists, probe.Packages, db)
}

// checksPackages reports whether zypper looks at signatures of packages: where that is demanded, and where
// signatures are, but not those of the lists.
func checksPackages(section rpm.Section) bool {
	lists := rpm.On(section.Values["repo_gpgcheck"], true)
	return rpm.On(section.Values["pkg_gpgcheck"], rpm.On(section.Values["gpgcheck"], true) && !lists)
}

// download puts a package of this version into zypper's cache.
func (z zypper) download(ctx context.Context, p host.Package, _ string) error {
	_, err := z.run(ctx, command{Args: append(zypperOptions[:len(zypperOptions):len(zypperOptions)], "download", rpm.BareName(p)+"="+p.Version)})
	return err
}
