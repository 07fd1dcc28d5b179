package live

import (
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"sort"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"zcp2kopano/runtime/host"
)

// repositoryList is a repository and the directory that has its repomd.xml.
type repositoryList struct {
	ID  string
	Dir string
}

// repoSection is a repository's part of a .repo file.
type repoSection struct {
	ID     string
	Values map[string]string
}

func (s repoSection) enabled() bool { return isOn(s.Values["enabled"], true) }

// isOn reads a boolean as yum, dnf and zypper do.
func isOn(value string, otherwise bool) bool {
	switch strings.ToLower(value) {
	case "":
		return otherwise
	case "1", "yes", "true", "on":
		return true
	}
	return false
}

// parseRepoFile reads the ini-like format of yum.conf(5): a line that begins with a blank continues the
// value before.
func parseRepoFile(text string) []repoSection {
	var sections []repoSection
	var key string
	for line := range strings.Lines(text) {
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "", trimmed[0] == '#', trimmed[0] == ';':
		case trimmed[0] == '[' && strings.HasSuffix(trimmed, "]"):
			sections = append(sections, repoSection{ID: trimmed[1 : len(trimmed)-1], Values: map[string]string{}})
			key = ""
		case len(sections) == 0:
		case (line[0] == ' ' || line[0] == '\t') && key != "":
			sections[len(sections)-1].Values[key] += " " + trimmed
		default:
			name, value, found := strings.Cut(trimmed, "=")
			if !found {
				continue
			}
			key = strings.ToLower(strings.TrimSpace(name))
			sections[len(sections)-1].Values[key] = strings.TrimSpace(value)
		}
	}
	return sections
}

// repositories reads what is configured and enabled.
func (v *View) repositories(dirs []string) ([]repoSection, error) {
	var all []repoSection
	for _, dir := range dirs {
		entries, err := v.ReadDir(dir)
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
			data, err := v.readFile(dir + "/" + e.Name)
			if err != nil {
				return nil, err
			}
			for _, s := range parseRepoFile(string(data)) {
				if s.ID != "main" && s.enabled() {
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
func (v *View) offers(lists []repositoryList, names []string) (found []offer, unread []string, err error) {
	wanted := map[string]bool{}
	for _, name := range names {
		wanted[name] = true
	}
	machine := v.machine()
	for _, list := range lists {
		primary, err := v.primaryList(list.Dir)
		if errors.Is(err, errNoList) {
			unread = append(unread, list.ID)
			continue
		}
		if err == nil {
			err = readPrimary(primary, func(p primaryPackage) {
				o := p.offer(list.ID, machine)
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
		return compareEVR(found[i].Version, found[j].Version) > 0
	})
	return found, unread, nil
}

// primaryList opens the list that repomd.xml names "primary". The file itself lies beside repomd.xml or,
// with yum 3, one directory up.
func (v *View) primaryList(dir string) (io.ReadCloser, error) {
	for _, file := range []string{dir + "/repodata/repomd.xml", dir + "/repomd.xml"} {
		data, err := v.readFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		var index struct {
			Data []struct {
				Type     string `xml:"type,attr"`
				Location struct {
					Href string `xml:"href,attr"`
				} `xml:"location"`
			} `xml:"data"`
		}
		if err := xml.Unmarshal(data, &index); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		for _, d := range index.Data {
			if d.Type != "primary" {
				continue
			}
			f, err := v.Open(path.Dir(file) + "/" + path.Base(d.Location.Href))
			if errors.Is(err, fs.ErrNotExist) {
				return nil, errNoList
			}
			if err != nil {
				return nil, err
			}
			return decompress(f, d.Location.Href)
		}
	}
	return nil, errNoList
}

// decompress reads a list in the format that its name tells. The file is closed with it.
func decompress(f host.File, name string) (io.ReadCloser, error) {
	var r io.Reader
	var err error
	switch path.Ext(name) {
	case ".gz":
		r, err = gzip.NewReader(f)
	case ".xz":
		r, err = xz.NewReader(f)
	case ".zst":
		var d *zstd.Decoder
		if d, err = zstd.NewReader(f); err == nil {
			r = d.IOReadCloser()
		}
	case ".bz2":
		r = bzip2.NewReader(f)
	case ".xml":
		r = f
	default:
		err = fmt.Errorf("%s: unknown compression", name)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{r, f}, nil
}

// primaryPackage is an entry of primary.xml.
type primaryPackage struct {
	Name    string `xml:"name"`
	Arch    string `xml:"arch"`
	Version struct {
		Epoch string `xml:"epoch,attr"`
		Ver   string `xml:"ver,attr"`
		Rel   string `xml:"rel,attr"`
	} `xml:"version"`
	Size struct {
		Package   int64 `xml:"package,attr"`
		Installed int64 `xml:"installed,attr"`
	} `xml:"size"`
	Location struct {
		Href string `xml:"href,attr"`
	} `xml:"location"`
	Format struct {
		Requires struct {
			Entries []struct {
				Name  string `xml:"name,attr"`
				Flags string `xml:"flags,attr"`
				Epoch string `xml:"epoch,attr"`
				Ver   string `xml:"ver,attr"`
				Rel   string `xml:"rel,attr"`
			} `xml:"entry"`
		} `xml:"requires"`
	} `xml:"format"`
}

var senses = map[string]string{"EQ": "=", "LT": "<", "LE": "<=", "GT": ">", "GE": ">="}

func (p primaryPackage) offer(repository, machine string) offer {
	var requires strings.Builder
	for _, e := range p.Format.Requires.Entries {
		requires.WriteString(e.Name)
		if sense := senses[e.Flags]; sense != "" {
			version := e.Ver
			if e.Rel != "" {
				version += "-" + e.Rel
			}
			requires.WriteString(" " + sense + " " + rpmEVR(e.Epoch, version))
		}
		requires.WriteString(itemSeparator)
	}
	return offer{
		Name: rpmName(p.Name, p.Arch, machine), Arch: p.Arch, Version: rpmEVR(p.Version.Epoch, p.Version.Ver+"-"+p.Version.Rel),
		Depends: relationList(requires.String()), Download: p.Size.Package, Installed: p.Size.Installed, Repository: repository,
		Location: p.Location.Href,
	}
}

// readPrimary reads primary.xml entry by entry: the list of a distribution has tens of megabytes.
func readPrimary(r io.Reader, each func(primaryPackage)) error {
	d := xml.NewDecoder(r)
	for {
		token, err := d.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		start, ok := token.(xml.StartElement)
		if !ok || start.Name.Local != "package" {
			continue
		}
		var p primaryPackage
		if err := d.DecodeElement(&p, &start); err != nil {
			return err
		}
		each(p)
	}
}

// Candidates reads the lists that the front has fetched: nothing is asked, locked or written.
func (v rpms) Candidates(names []string) (map[string][]host.Candidate, error) {
	found := map[string][]host.Candidate{}
	if err := checkPackageNames(names); err != nil || len(names) == 0 {
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
		sort.SliceStable(all, func(i, j int) bool { return compareEVR(all[i].Version, all[j].Version) > 0 })
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
func (v *View) answerOffers(lists []repositoryList, names []string) (host.RepositoryAnswer, error) {
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
