package sim

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/compression"
	"zcp2kopano/runtime/host/rpm"
)

// readRPMRepository reads the index of a repository on this host, and the rpms that it names; for zypper
// also a plain directory of rpms.
func (rs *repositories) readRPMRepository(dir string) ([]*Package, error) {
	primary, err := rs.primaryIndex(dir)
	if errors.Is(err, fs.ErrNotExist) && rs.system.of().PlainDirectories() {
		return rs.readPackageDir(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot retrieve repository metadata: %w", err)
	}
	f, err := rs.files.Open(primary)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := compression.Open(f, path.Ext(primary))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", primary, err)
	}
	defer data.Close()
	list, err := rs.readPrimary(data, dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", primary, err)
	}
	return list, nil
}

// primaryIndex is the path of the list of packages that repomd.xml names.
func (rs *repositories) primaryIndex(dir string) (string, error) {
	text, err := rs.files.readFile(path.Join(dir, "repodata/repomd.xml"))
	if err != nil {
		return "", err
	}
	primary, err := rpm.PrimaryLocation(text)
	if err != nil {
		return "", fmt.Errorf("%s/repodata/repomd.xml: %w", dir, err)
	}
	if primary == "" {
		return "", fmt.Errorf("%s/repodata/repomd.xml names no list of packages", dir)
	}
	return path.Join(dir, primary), nil
}

func (rs *repositories) readPrimary(r io.Reader, dir string) ([]*Package, error) {
	var list []*Package
	err := rpm.ReadPrimary(r, func(x rpm.Package) {
		p, err := rs.packageFile(path.Join(dir, x.Location.Href))
		if err != nil {
			p = packageOfIndex(x)
			p.From = "package index " + dir
			rs.completePayload(p)
		}
		list = append(list, p)
	})
	return list, err
}

func packageOfIndex(x rpm.Package) *Package {
	p := &Package{Format: RPM, FileSize: x.Size.Package, Package: host.Package{
		Name: x.Name, Arch: x.Arch, Summary: x.Summary, Origin: x.Format.Vendor, SizeKiB: (x.Size.Installed + 1023) / 1024,
		Version: rpm.EVR(x.Version.Epoch, x.Version.Version+"-"+x.Version.Release), Source: rpm.SourceName(x.Format.Source, x.Name),
		Depends: joinEntries(x.Format.Requires), Provides: joinEntries(x.Format.Provides), Conflicts: joinEntries(x.Format.Conflicts),
	}}
	p.Obsoletes, p.Recommends = joinEntries(x.Format.Obsoletes), joinEntries(x.Format.Recommends)
	return p
}

func joinEntries(list []rpm.Entry) string {
	var all []string
	for _, e := range list {
		all = append(all, e.String())
	}
	return strings.Join(all, ", ")
}
