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
	"zcp2kopano/runtime/host/compression"
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
	members, err := readAr(r, size)
	if err != nil {
		return nil, err
	}
	var p *Package
	conffiles := ""
	for _, m := range members {
		if !strings.HasPrefix(m.name, "control.tar") {
			continue
		}
		if p, conffiles, err = readControl(m); err != nil {
			return nil, err
		}
	}
	if p == nil {
		return nil, errors.New("not a Debian package: no control.tar")
	}
	p.From, p.FileSize = from, size
	for _, m := range members {
		if strings.HasPrefix(m.name, "data.tar") {
			if err := readPayload(m, p); err != nil {
				return nil, err
			}
		}
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

// arMember is a member of an ar archive.
type arMember struct {
	name string
	data *io.SectionReader
}

func readAr(r io.ReaderAt, size int64) ([]arMember, error) {
	const magic, headerSize = "!<arch>\n", 60
	head := make([]byte, len(magic))
	if _, err := r.ReadAt(head, 0); err != nil || string(head) != magic {
		return nil, errors.New("not a Debian package: no ar archive")
	}
	var members []arMember
	for at := int64(len(magic)); at+headerSize <= size; {
		header := make([]byte, headerSize)
		if _, err := r.ReadAt(header, at); err != nil {
			return nil, fmt.Errorf("ar archive: %w", err)
		}
		if header[0] == 0 {
			break // a reduced package file, filled up to the size of the whole one
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(header[48:58])), 10, 64)
		if err != nil || n < 0 || at+headerSize+n > size {
			return nil, errors.New("ar archive: a member goes beyond the end of the file")
		}
		name := strings.TrimRight(strings.TrimSpace(string(header[:16])), "/")
		members = append(members, arMember{name, io.NewSectionReader(r, at+headerSize, n)})
		at += headerSize + n + n%2
	}
	return members, nil
}

// untar calls do for each entry of a compressed tar archive, with a clean absolute path.
func (m arMember) untar(do func(name string, head *tar.Header, content io.Reader) error) error {
	data, err := compression.Open(m.data, path.Ext(m.name))
	if err != nil {
		return fmt.Errorf("%s: %w", m.name, err)
	}
	defer data.Close()
	archive := tar.NewReader(data)
	for {
		head, err := archive.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		if err := do(path.Clean("/"+head.Name), head, archive); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
}

func readControl(m arMember) (p *Package, conffiles string, err error) {
	var scripts []string
	texts := map[string]string{}
	err = m.untar(func(name string, head *tar.Header, content io.Reader) error {
		switch base := path.Base(name); base {
		case "control", "conffiles":
			text, err := io.ReadAll(io.LimitReader(content, contentLimit))
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
			text, err := io.ReadAll(io.LimitReader(content, contentLimit))
			texts[base] = string(text)
			return err
		}
		return nil
	})
	if p != nil {
		p.Scripts, p.texts = scripts, texts
		p.Files = nil
	}
	return p, conffiles, err
}

func readPayload(m arMember, p *Package) error {
	err := m.untar(func(name string, head *tar.Header, content io.Reader) error {
		f := PackageFile{Path: name, Mode: head.FileInfo().Mode(), User: head.Uname, Group: head.Gname, Size: head.Size, Mtime: head.ModTime}
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
				data, err := io.ReadAll(content)
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
