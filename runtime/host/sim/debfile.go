package sim

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/deb"
)

// contentLimit is the size up to which the content of a file in a package is kept in memory. Larger
// files keep their size.
const contentLimit = 4 << 20

// ReadPackageFile reads a .deb or .rpm: what it says of itself, configuration files, which scripts it
// has, and its payload. From says where it was found, for the report.
func ReadPackageFile(r io.ReaderAt, size int64, from string) (*Package, error) {
	magic := make([]byte, len(rpmMagic))
	if _, err := r.ReadAt(magic, 0); err == nil && string(magic) == rpmMagic {
		return readRPM(r, size, from)
	}
	return readDeb(r, size, from)
}

// readDeb reads a Debian binary package (deb(5)).
func readDeb(r io.ReaderAt, size int64, from string) (*Package, error) {
	f, err := deb.OpenFile(r, size)
	if err != nil {
		return nil, err
	}
	p, conffiles, err := readControl(f)
	if err != nil {
		return nil, err
	}
	p.From, p.FileSize = from, size
	if err := readPayload(f, p); err != nil {
		return nil, err
	}
	p.declared = declarationsOf(p, p.texts["postinst"])
	for line := range strings.Lines(conffiles) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "remove-on-upgrade" {
			continue
		}
		if f, ok := p.file(words[0]); ok {
			c := host.Conffile{Path: f.Path}
			if f.Content != nil {
				c.MD5 = md5Of(f.Content)
			}
			p.Conffiles = append(p.Conffiles, c)
		}
	}
	return p, nil
}

func readControl(file *deb.File) (p *Package, conffiles string, err error) {
	var scripts []string
	texts := map[string]string{}
	err = file.Control(func(e deb.Entry) error {
		switch base := path.Base(e.Path); base {
		case "control", "conffiles":
			text, err := io.ReadAll(io.LimitReader(e.Content, contentLimit))
			if err != nil {
				return err
			}
			if base == "conffiles" {
				conffiles = string(text)
				return nil
			}
			list, err := parsePackages(string(bytes.TrimSpace(text)), "", 1, Deb)
			if err != nil {
				return fmt.Errorf("control: %w", err)
			}
			if len(list) != 1 {
				return errors.New("control: not one package")
			}
			p = list[0]
		case "preinst", "postinst", "prerm", "postrm":
			scripts = append(scripts, base)
			text, err := io.ReadAll(io.LimitReader(e.Content, contentLimit))
			texts[base] = string(text)
			return err
		}
		return nil
	})
	if err == nil && p == nil {
		err = errors.New("no Debian package: no control file")
	}
	if err != nil {
		return nil, "", err
	}
	p.Scripts, p.texts = scripts, texts
	p.Files = nil
	return p, conffiles, nil
}

func readPayload(file *deb.File, p *Package) error {
	err := file.Payload(func(e deb.Entry) error {
		head := e.Header
		f := PackageFile{Path: e.Path, Mode: head.FileInfo().Mode(), User: head.Uname, Group: head.Gname, Size: head.Size, Mtime: head.ModTime}
		if f.User == "" {
			f.User = strconv.Itoa(head.Uid)
		}
		if f.Group == "" {
			f.Group = strconv.Itoa(head.Gid)
		}
		switch head.Typeflag {
		case tar.TypeSymlink:
			f.Target = head.Linkname
		case tar.TypeLink:
			f.Link = path.Clean("/" + head.Linkname)
		case tar.TypeReg:
			if head.Size <= contentLimit {
				data, err := io.ReadAll(e.Content)
				if err != nil {
					return err
				}
				f.Content = slices.Clip(data)
			}
		}
		p.Files = append(p.Files, f)
		return nil
	})
	p.Files = withParents(p.Files)
	return err
}
