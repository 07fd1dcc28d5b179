package live

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/rpm"
)

// ProbeRepository reads the lists of a repository that is not configured yet, in a scratch directory.
func (v rpms) ProbeRepository(ctx context.Context, probe host.RepositoryProbe) (host.RepositoryAnswer, error) {
	front, err := v.front()
	if err != nil {
		return host.RepositoryAnswer{}, err
	}
	s, err := v.m.files.newScratch("/var/tmp", "/tmp")
	if err != nil {
		return host.RepositoryAnswer{}, err
	}
	defer s.remove()
	hide := func(err error) error {
		text := strings.ReplaceAll(err.Error(), s.path, "")
		return fmt.Errorf("probe of the repository: %s", mask(text, repositorySecrets(probe)))
	}
	lists, err := front.probe(ctx, s, probe)
	if err != nil {
		return host.RepositoryAnswer{}, hide(err)
	}
	answer, err := v.answerOffers(lists, probe.Packages)
	if err != nil {
		return answer, hide(err)
	}
	if probe.Tx == nil {
		return answer, nil
	}
	answer.Solution, err = v.solveProbed(ctx, front, s, lists, *probe.Tx)
	var impossible *host.SolveError
	if errors.As(err, &impossible) {
		for i, line := range impossible.Lines {
			impossible.Lines[i] = strings.ReplaceAll(line, s.path, "")
		}
		return answer, err
	}
	if err != nil {
		return answer, hide(err)
	}
	return answer, nil
}

// stageRepositories writes the repository's files below a directory of the scratch, where they also name
// each other, and returns what they configure. No file may excuse its repository from answering.
func (s *scratch) stageRepositories(probe host.RepositoryProbe, below string) ([]rpm.Section, error) {
	var sections []rpm.Section
	for _, f := range probe.Files {
		content := f.Content.Reveal()
		for _, other := range probe.Files {
			content = strings.ReplaceAll(content, other.Path, s.path+below+other.Path)
		}
		if strings.HasSuffix(f.Path, ".repo") {
			content = withoutKeys(content, "skip_if_unavailable")
			for _, section := range rpm.ParseSections(content) {
				if section.Enabled() {
					sections = append(sections, section)
				}
			}
		}
		if err := s.write(strings.TrimPrefix(below+f.Path, "/"), []byte(content)); err != nil {
			return nil, err
		}
	}
	if len(sections) == 0 {
		return nil, fmt.Errorf("its files configure no enabled repository")
	}
	return sections, nil
}

// keyDatabase makes a database of rpm below the scratch directory that has the keys that the host trusts
// and those that repositories name as theirs.
func (v rpms) keyDatabase(ctx context.Context, s *scratch, dir string, sections []rpm.Section, db string) error {
	if err := s.mkdirs(dir); err != nil {
		return err
	}
	if _, err := v.rpm(ctx, db, "--initdb"); err != nil {
		return err
	}
	if err := v.copyKeys(ctx, s, db); err != nil {
		return err
	}
	return v.importKeys(ctx, s, sections, db)
}

// importKeys imports the keys of repositories into the database of rpm that the options name.
func (v rpms) importKeys(ctx context.Context, s *scratch, sections []rpm.Section, options ...string) error {
	done := map[string]bool{}
	for _, section := range sections {
		for address := range strings.FieldsSeq(strings.ReplaceAll(section.Values["gpgkey"], ",", " ")) {
			if done[address] {
				continue
			}
			done[address] = true
			key, err := v.downloads.Download(ctx, address, section.Values["username"], host.NewSecret(section.Values["password"]))
			if err != nil {
				return fmt.Errorf("key of repository %s: %w", section.ID, err)
			}
			file := fmt.Sprintf("key%d", len(done))
			if err := s.write(file, key); err != nil {
				return err
			}
			if _, err := v.rpm(ctx, append(options[:len(options):len(options)], "--import", s.path+"/"+file)...); err != nil {
				return fmt.Errorf("key of repository %s, %s: %w", section.ID, address, err)
			}
		}
	}
	return nil
}

// copyKeys imports the keys that the host trusts into another database.
func (v rpms) copyKeys(ctx context.Context, s *scratch, db string) error {
	got, err := v.rpm(ctx, "-qa", "--qf", "%{DESCRIPTION}"+rpm.RecordSeparator, "gpg-pubkey")
	if err != nil {
		return err
	}
	for i, key := range strings.Split(got.Stdout, rpm.RecordSeparator) {
		if !strings.Contains(key, "BEGIN PGP PUBLIC KEY") {
			continue
		}
		file := fmt.Sprintf("host-key%d", i)
		if err := s.write(file, []byte(key)); err != nil {
			return err
		}
		if _, err := v.rpm(ctx, db, "--import", s.path+"/"+file); err != nil {
			return err
		}
	}
	return nil
}

// sampleLimit bounds the package that a probe fetches to look at its signature.
const sampleLimit = 64 << 20

// verifySamples sees that of each repository the smallest of the packages asked for is signed by a known
// key. The package manager would find out when it installs it, which may be long after something else
// was removed.
func (v rpms) verifySamples(ctx context.Context, s *scratch, sections []rpm.Section, lists []repositoryList, names []string, db string) error {
	if len(sections) == 0 || len(names) == 0 {
		return nil
	}
	offers, _, err := v.offers(lists, names)
	if err != nil {
		return err
	}
	for _, section := range sections {
		sample, found := smallest(offers, section.ID)
		if !found {
			continue
		}
		if err := v.verifySample(ctx, s, section, sample, db); err != nil {
			return err
		}
	}
	return nil
}

func smallest(offers []offer, repository string) (sample offer, found bool) {
	for _, o := range offers {
		if o.Repository == repository && (!found || o.Download < sample.Download) {
			sample, found = o, true
		}
	}
	return sample, found
}

// verifySample fetches a package and checks its signature. Of a repository whose address only the package
// manager can tell (a list of mirrors, variables) no package is fetched.
func (v rpms) verifySample(ctx context.Context, s *scratch, section rpm.Section, sample offer, db string) error {
	address, _, _ := strings.Cut(section.Values["baseurl"], " ")
	address = strings.Replace(address, "dir:", "file:", 1)
	if address == "" || strings.ContainsAny(address, "$?") || sample.Download > sampleLimit {
		return nil
	}
	data, err := v.downloads.downloadUpTo(ctx, sampleLimit, strings.TrimSuffix(address, "/")+"/"+sample.Location,
		section.Values["username"], host.NewSecret(section.Values["password"]))
	if err != nil {
		return err
	}
	const name = "sample.rpm"
	if err := s.write(name, data); err != nil {
		return err
	}
	got, err := v.rpm(ctx, db, "-K", s.path+"/"+name)
	said := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(got.Stdout), s.path+"/"+name+":"))
	// "digests signatures OK"; before rpm 4.14 "rsa sha1 (md5) pgp md5 OK"
	if err != nil || !containsAny(said, []string{"signatures OK", " pgp ", " gpg "}) {
		return fmt.Errorf("package %s of repository %s is not signed by a key that is known here: rpm says %q", sample.Name, section.ID, said)
	}
	return s.space.unlink(s.path + "/" + name)
}
