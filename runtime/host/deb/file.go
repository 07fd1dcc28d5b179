package deb

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"pault.ag/go/debian/dependency"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/compression"
)

// Member is a part of a package file, which is an ar archive (deb(5)): debian-binary, and two compressed tar
// archives, control.tar of what the package says of itself, data.tar of what it brings.
type Member struct {
	Name string
	Data *io.SectionReader
}

// Entry is a file in one of the two, with a clean absolute path.
type Entry struct {
	Path    string
	Header  *tar.Header
	Content io.Reader
}

// Members finds the parts of a package file. One that was reduced is filled up to the size of the whole one.
func Members(r io.ReaderAt, size int64) ([]Member, error) {
	const magic, headerSize = "!<arch>\n", 60
	head := make([]byte, headerSize)
	if _, err := r.ReadAt(head[:len(magic)], 0); err != nil || string(head[:len(magic)]) != magic {
		return nil, errors.New("no Debian package")
	}
	var members []Member
	for at := int64(len(magic)); at+headerSize <= size; {
		if _, err := r.ReadAt(head, at); err != nil {
			return nil, fmt.Errorf("no Debian package, or cut short: %w", err)
		}
		if head[0] == 0 {
			break
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(head[48:58])), 10, 64)
		if err != nil || n < 0 {
			return nil, errors.New("damaged: an archive member without a size")
		}
		if at+headerSize+n > size {
			return nil, errors.New("cut short: a part of it goes beyond the end of the file")
		}
		name := strings.TrimRight(strings.TrimSpace(string(head[:16])), "/")
		members = append(members, Member{name, io.NewSectionReader(r, at+headerSize, n)})
		at += headerSize + n + n%2
	}
	return members, nil
}

// IsPayload reports whether it is the part with what the package brings.
func (m Member) IsPayload() bool { return strings.HasPrefix(m.Name, "data.tar") }

// File is a package file.
type File struct{ control, payload *Member }

// controlLimit bounds a control file; no honest one comes near.
const controlLimit = 4 << 20

// OpenFile finds the two archives in a package file.
func OpenFile(r io.ReaderAt, size int64) (*File, error) {
	members, err := Members(r, size)
	if err != nil {
		return nil, err
	}
	var f File
	for i, m := range members {
		switch {
		case strings.HasPrefix(m.Name, "control.tar"):
			f.control = &members[i]
		case m.IsPayload():
			f.payload = &members[i]
		}
	}
	if f.control == nil {
		return nil, errors.New("no Debian package, or cut short: no control.tar")
	}
	return &f, nil
}

// Control calls do for each control file: control, conffiles, the maintainer scripts.
func (f *File) Control(do func(Entry) error) error { return f.control.Each(do) }

// Payload calls do for each file that the package brings.
func (f *File) Payload(do func(Entry) error) error {
	if f.payload == nil {
		return nil
	}
	return f.payload.Each(do)
}

// Paragraph is what the package says of itself.
func (f *File) Paragraph() (Paragraph, error) {
	var text []byte
	err := f.Control(func(e Entry) (err error) {
		if e.Path == "/control" {
			text, err = io.ReadAll(io.LimitReader(e.Content, controlLimit))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if text == nil {
		return nil, errors.New("no Debian package: no control file")
	}
	list := ParseControl(string(text))
	if len(list) != 1 || list[0].Get("Package") == "" || list[0].Get("Architecture") == "" {
		return nil, errors.New("no Debian package: its control file names no package")
	}
	return list[0], nil
}

// Each calls do for each entry of a compressed tar archive.
func (m Member) Each(do func(Entry) error) error {
	data, err := compression.Open(m.Data, path.Ext(m.Name))
	if err != nil {
		return fmt.Errorf("%s: %w", m.Name, err)
	}
	defer data.Close()
	archive := tar.NewReader(data)
	for {
		head, err := archive.Next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = do(Entry{path.Clean("/" + head.Name), head, archive})
		}
		if err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
	}
}

// ReadFile is what a package file says of itself. What it brings is not looked at.
func (System) ReadFile(r io.ReaderAt, size int64) (host.PackageFile, error) {
	f, err := OpenFile(r, size)
	if err != nil {
		return host.PackageFile{}, err
	}
	p, err := f.Paragraph()
	if err != nil {
		return host.PackageFile{}, err
	}
	file := host.PackageFile{Name: p.Get("Package"), Arch: p.Get("Architecture"), Version: p.Get("Version")}
	if err := (System{}).CheckVersion(file.Version); err != nil {
		return host.PackageFile{}, fmt.Errorf("version %q: %w", file.Version, err)
	}
	for _, field := range []string{"Pre-Depends", "Depends"} {
		needs, err := alternatives(p.Line(field))
		if err != nil {
			return host.PackageFile{}, fmt.Errorf("%s: %w", field, err)
		}
		file.Needs = append(file.Needs, needs...)
	}
	return file, nil
}

// CheckFile reads a package file to its end.
func (System) CheckFile(r io.ReaderAt, size int64) error {
	f, err := OpenFile(r, size)
	if err != nil {
		return err
	}
	if f.payload == nil {
		return errors.New("no Debian package, or cut short: no data.tar")
	}
	return f.Payload(func(Entry) error { return nil })
}

// alternatives are, of each dependency, the names that meet it.
func alternatives(depends string) ([][]string, error) {
	if depends == "" {
		return nil, nil
	}
	parsed, err := dependency.Parse(depends)
	if err != nil {
		return nil, err
	}
	var needs [][]string
	for _, relation := range parsed.Relations {
		var names []string
		for _, possible := range relation.Possibilities {
			names = append(names, possible.Name)
		}
		needs = append(needs, names)
	}
	return needs, nil
}
