package sim

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/deb"
	"zcp2kopano/runtime/host/digest"
	"zcp2kopano/runtime/host/rpm"
)

// ReadPackageFile reads a .deb or .rpm: what it says of itself, configuration files, which scripts it has, and
// its payload. From says where it was found, for the report.
func ReadPackageFile(r io.ReaderAt, size int64, from string) (*Package, error) {
	read := readDeb
	magic := make([]byte, len(rpm.Magic))
	if _, err := r.ReadAt(magic, 0); err == nil && string(magic) == rpm.Magic {
		read = readRPM
	}
	p, err := read(r, size)
	if err != nil {
		return nil, err
	}
	p.From, p.FileSize = from, size
	return p, nil
}

func readRPM(r io.ReaderAt, size int64) (*Package, error) {
	c, err := rpm.ReadContents(r, size)
	if err != nil {
		return nil, err
	}
	return &Package{
		Format: RPM, Package: c.Package, Recommends: c.Recommends, Obsoletes: c.Obsoletes,
		Scripts: c.Scripts, Files: c.Files, complete: true,
	}, nil
}

func readDeb(r io.ReaderAt, size int64) (*Package, error) {
	c, err := deb.ReadContents(r, size)
	if err != nil {
		return nil, err
	}
	list, err := parsePackages(c.Control, "", 1, Deb)
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	if len(list) != 1 {
		return nil, errors.New("control: not one package")
	}
	p := list[0]
	p.Scripts, p.texts, p.Files = slices.Sorted(maps.Keys(c.Scripts)), c.Scripts, c.Files
	p.declared = declarationsOf(p, p.texts["postinst"])
	for _, name := range c.Conffiles {
		f, ok := p.file(name)
		if !ok {
			continue
		}
		conffile := host.Conffile{Path: name}
		if f.Content != nil {
			conffile.MD5 = digest.MD5(f.Content)
		}
		p.Conffiles = append(p.Conffiles, conffile)
	}
	return p, nil
}
