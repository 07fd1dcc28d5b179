package sim

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/sassoftware/go-rpmutils"

	"zcp2kopano/runtime/host"
)

// repoDir is where yum, dnf or zypper have their repositories.
func (h *Host) repoDir() string {
	if h.manager.Name == "zypper" {
		return "/etc/zypp/repos.d"
	}
	return "/etc/yum.repos.d"
}

// parseRepoFile reads a .repo file of yum or zypper: sections of "key = value", lists continued on
// lines that begin with a blank. Of several addresses of a repository the first one counts.
func (h *Host) parseRepoFile(file, text string) []repository {
	var list []repository
	values := map[string]string{}
	key := ""
	end := func() {
		address := values["baseurl"]
		if address == "" {
			address = values["mirrorlist"] + values["metalink"]
		}
		if words := strings.FieldsFunc(address, func(r rune) bool { return r == ' ' || r == ',' || r == '\n' }); len(words) > 0 && isEnabled(values["enabled"]) {
			r := newRepository(file, h.expandVariables(words[0]), "./")
			list = append(list, r)
		}
		values = map[string]string{}
	}
	for line := range strings.Lines(text) {
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "" || trimmed[0] == '#' || trimmed[0] == ';':
		case trimmed[0] == '[':
			end()
			key = ""
		case line[0] == ' ' || line[0] == '\t':
			values[key] += " " + trimmed
		default:
			name, value, _ := strings.Cut(trimmed, "=")
			key = strings.TrimSpace(name)
			values[key] = strings.TrimSpace(value)
		}
	}
	end()
	return list
}

func isEnabled(value string) bool {
	switch strings.ToLower(value) {
	case "0", "no", "false":
		return false
	}
	return true
}

// expandVariables puts in what yum and zypper know of the host.
func (h *Host) expandVariables(address string) string {
	version := h.facts.OSRelease["VERSION_ID"]
	return strings.NewReplacer("$releasever", version, "${releasever}", version, "$basearch", h.facts.Arch, "${basearch}", h.facts.Arch).Replace(address)
}

// readRPMRepository reads the index of a repository on this host, and the rpms that it names. Zypper
// also takes a plain directory of rpms.
func (h *Host) readRPMRepository(dir string) ([]*Package, error) {
	primary, err := h.primaryIndex(dir)
	if errors.Is(err, fs.ErrNotExist) && h.manager.Name == "zypper" {
		return h.readPackageDir(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot retrieve repository metadata: %w", err)
	}
	f, err := h.Open(primary)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := decompress(f, path.Ext(primary))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", primary, err)
	}
	defer data.Close()
	list, err := h.readPrimary(data, dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", primary, err)
	}
	return list, nil
}

// primaryIndex is the path of the list of packages that repomd.xml names.
func (h *Host) primaryIndex(dir string) (string, error) {
	text, err := h.readFile(path.Join(dir, "repodata/repomd.xml"))
	if err != nil {
		return "", err
	}
	var index struct {
		Data []struct {
			Type     string `xml:"type,attr"`
			Location struct {
				Href string `xml:"href,attr"`
			} `xml:"location"`
		} `xml:"data"`
	}
	if err := xml.Unmarshal(text, &index); err != nil {
		return "", fmt.Errorf("%s/repodata/repomd.xml: %w", dir, err)
	}
	for _, d := range index.Data {
		if d.Type == "primary" {
			return path.Join(dir, d.Location.Href), nil
		}
	}
	return "", fmt.Errorf("%s/repodata/repomd.xml names no list of packages", dir)
}

func (h *Host) readPrimary(r io.Reader, dir string) ([]*Package, error) {
	var list []*Package
	decoder := xml.NewDecoder(r)
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		start, ok := token.(xml.StartElement)
		if !ok || start.Name.Local != "package" {
			continue
		}
		var x primaryPackage
		if err := decoder.DecodeElement(&x, &start); err != nil {
			return nil, err
		}
		if p, err := h.packageFile(path.Join(dir, x.Location.Href)); err == nil {
			list = append(list, p)
			continue
		}
		p := x.pack()
		p.From = "package index " + dir
		h.completePayload(p)
		list = append(list, p)
	}
}

// primaryPackage is a package in the index of a repository.
type primaryPackage struct {
	Name    string `xml:"name"`
	Arch    string `xml:"arch"`
	Summary string `xml:"summary"`
	Version struct {
		Epoch   string `xml:"epoch,attr"`
		Version string `xml:"ver,attr"`
		Release string `xml:"rel,attr"`
	} `xml:"version"`
	Size struct {
		Package   int64 `xml:"package,attr"`
		Installed int64 `xml:"installed,attr"`
	} `xml:"size"`
	Location struct {
		Href string `xml:"href,attr"`
	} `xml:"location"`
	Format struct {
		Vendor     string         `xml:"vendor"`
		Source     string         `xml:"sourcerpm"`
		Requires   []primaryEntry `xml:"requires>entry"`
		Provides   []primaryEntry `xml:"provides>entry"`
		Conflicts  []primaryEntry `xml:"conflicts>entry"`
		Obsoletes  []primaryEntry `xml:"obsoletes>entry"`
		Recommends []primaryEntry `xml:"recommends>entry"`
	} `xml:"format"`
}

// primaryEntry is a dependency in the index of a repository.
type primaryEntry struct {
	Name    string `xml:"name,attr"`
	Flags   string `xml:"flags,attr"`
	Epoch   string `xml:"epoch,attr"`
	Version string `xml:"ver,attr"`
	Release string `xml:"rel,attr"`
}

func (x primaryPackage) pack() *Package {
	p := &Package{Format: RPM, FileSize: x.Size.Package, Package: host.Package{
		Name: x.Name, Arch: x.Arch, Summary: x.Summary, Origin: x.Format.Vendor, Source: rpmSource(x.Format.Source), SizeKiB: (x.Size.Installed + 1023) / 1024,
		Version: evr(&rpmutils.NEVRA{Epoch: x.Version.Epoch, Version: x.Version.Version, Release: x.Version.Release}),
		Depends: joinEntries(x.Format.Requires), Provides: joinEntries(x.Format.Provides), Conflicts: joinEntries(x.Format.Conflicts),
	}}
	if p.Source == "" {
		p.Source = p.Name
	}
	p.Obsoletes, p.Recommends = joinEntries(x.Format.Obsoletes), joinEntries(x.Format.Recommends)
	return p
}

var primarySenses = map[string]string{"LT": "<", "LE": "<=", "EQ": "=", "GE": ">=", "GT": ">"}

func joinEntries(list []primaryEntry) string {
	var all []string
	for _, e := range list {
		text := e.Name
		if sense := primarySenses[e.Flags]; sense != "" {
			number := e.Version
			if e.Epoch != "" && e.Epoch != "0" {
				number = e.Epoch + ":" + number
			}
			if e.Release != "" {
				number += "-" + e.Release
			}
			text += " " + sense + " " + number
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}
