package live

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"sort"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/compression"
	"zcp2kopano/runtime/host/rpm"
)

// repositoryList is a repository and the directory that has its repomd.xml.
type repositoryList struct {
	ID  string
	Dir string
}

// repositories reads what is configured and enabled.
func (v rpms) repositories(dirs []string) ([]rpm.Section, error) {
	var all []rpm.Section
	for _, dir := range dirs {
		entries, err := v.m.files.ReadDir(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if !strings.HasSuffix(e.Name, ".repo") {
				continue
			}
			data, err := v.m.files.readFile(dir + "/" + e.Name)
			if err != nil {
				return nil, err
			}
			for _, s := range rpm.ParseSections(string(data)) {
				if s.ID != "main" && s.Enabled() {
					all = append(all, s)
				}
			}
		}
	}
	return all, nil
}

// offer is a package in a repository's list.
type offer struct {
	Name, Arch, Version string
	Depends             string
	Download, Installed int64
	Repository          string
	Location            string // below the repository's address
}

// errNoList says that a repository's list is not at hand in a form that is read here.
var errNoList = errors.New("its list is not at hand")

// offers reads the lists of repositories. With names, only packages of these names.
func (v rpms) offers(lists []repositoryList, names []string) (found []offer, unread []string, err error) {
	wanted := map[string]bool{}
	for _, name := range names {
		wanted[name] = true
	}
	machine := v.m.rpmArch()
	for _, list := range lists {
		primary, err := v.primaryList(list.Dir)
		if errors.Is(err, errNoList) {
			unread = append(unread, list.ID)
			continue
		}
		if err == nil {
			err = rpm.ReadPrimary(primary, func(p rpm.Package) {
				o := offerOf(p, list.ID, machine)
				if o.Arch != "src" && (len(names) == 0 || wanted[o.Name]) {
					found = append(found, o)
				}
			})
			primary.Close()
		}
		if err != nil {
			return nil, nil, fmt.Errorf("list of repository %s in %s: %w", list.ID, list.Dir, err)
		}
	}
	sort.SliceStable(found, func(i, j int) bool {
		if found[i].Name != found[j].Name {
			return found[i].Name < found[j].Name
		}
		return rpm.Compare(found[i].Version, found[j].Version) > 0
	})
	return found, unread, nil
}

// primaryList opens the list that repomd.xml names "primary". The file itself lies beside repomd.xml or,
// with yum 3, one directory up.
func (v rpms) primaryList(dir string) (io.ReadCloser, error) {
	for _, file := range []string{dir + "/repodata/repomd.xml", dir + "/repomd.xml"} {
		data, err := v.m.files.readFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		primary, err := rpm.PrimaryLocation(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if primary == "" {
			continue
		}
		f, err := v.m.files.Open(path.Dir(file) + "/" + path.Base(primary))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, errNoList
		}
		if err != nil {
			return nil, err
		}
		return decompress(f, primary)
	}
	return nil, errNoList
}

// decompress reads a list in the format that its name tells. The file is closed with it.
func decompress(f host.File, name string) (io.ReadCloser, error) {
	r, err := compression.Open(f, path.Ext(name))
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return struct {
		io.Reader
		io.Closer
	}{r, closers{r, f}}, nil
}

type closers []io.Closer

func (c closers) Close() error {
	var errs []error
	for _, one := range c {
		errs = append(errs, one.Close())
	}
	return errors.Join(errs...)
}

func offerOf(p rpm.Package, repository, machine string) offer {
	var requires []string
	for _, e := range p.Format.Requires {
		requires = append(requires, e.String())
	}
	return offer{
		Name: rpm.Name(p.Name, p.Arch, machine), Arch: p.Arch, Version: rpm.EVR(p.Version.Epoch, p.Version.Version+"-"+p.Version.Release),
		Depends: rpm.JoinRelations(requires), Download: p.Size.Package, Installed: p.Size.Installed, Repository: repository,
		Location: p.Location.Href,
	}
}

// Candidates reads the lists that the front has fetched: nothing is asked, locked or written.
func (v rpms) Candidates(names []string) (map[string][]host.Candidate, error) {
	found := map[string][]host.Candidate{}
	if err := host.CheckPackageNames(names); err != nil || len(names) == 0 {
		return found, err
	}
	front, err := v.front()
	if err != nil {
		return nil, err
	}
	lists, err := front.lists()
	if err != nil {
		return nil, err
	}
	all, unread, err := v.offers(lists, names)
	if err != nil {
		return nil, err
	}
	if len(unread) > 0 {
		more, err := v.askYum(front, names, unread)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
		sort.SliceStable(all, func(i, j int) bool { return rpm.Compare(all[i].Version, all[j].Version) > 0 })
	}
	seen := map[string]bool{}
	for _, o := range all {
		if key := o.Name + "=" + o.Version; !seen[key] {
			seen[key] = true
			found[o.Name] = append(found[o.Name], host.Candidate{Version: o.Version, Origin: o.Repository, Depends: o.Depends})
		}
	}
	return found, nil
}

// answerOffers answers a probe from the lists that it fetched.
func (v rpms) answerOffers(lists []repositoryList, names []string) (host.RepositoryAnswer, error) {
	all, unread, err := v.offers(lists, names)
	if err != nil {
		return host.RepositoryAnswer{}, err
	}
	if len(lists) == 0 || len(unread) > 0 {
		return host.RepositoryAnswer{}, fmt.Errorf("the repository answers, but has no list of packages (primary.xml): %s", strings.Join(unread, ", "))
	}
	offers := map[string]string{}
	for _, o := range all { // newest first
		if offers[o.Name] == "" {
			offers[o.Name] = o.Version
		}
	}
	return answerProbe(names, offers), nil
}

// withoutKeys drops the settings of these names from a configuration file.
func withoutKeys(text string, names ...string) string {
	var b bytes.Buffer
	for line := range strings.Lines(text) {
		key, _, _ := strings.Cut(line, "=")
		if !contains(names, strings.ToLower(strings.TrimSpace(key))) {
			b.WriteString(line)
		}
	}
	return b.String()
}
