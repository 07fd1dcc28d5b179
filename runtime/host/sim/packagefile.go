package sim

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
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

// reducedLimit is the size up to which a file in a package keeps its content when the package is reduced:
// configuration files, units and init scripts are below it.
const reducedLimit = 64 << 10

// reduceDeb makes a package file that tells a simulation what the whole one does, and takes little
// room: control data and scripts are as they are, and so is text; other content becomes as many NULs.
func reduceDeb(whole []byte) ([]byte, error) {
	members, err := deb.Members(bytes.NewReader(whole), int64(len(whole)))
	if err != nil {
		return nil, err
	}
	out := bytes.NewBufferString("!<arch>\n")
	for _, m := range members {
		name, data := m.Name, []byte(nil)
		if m.IsPayload() {
			name = "data.tar.gz"
			data, err = reduceTar(m)
		} else {
			data, err = io.ReadAll(m.Data)
		}
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(out, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", name, 0, 0, 0, "100644", len(data))
		out.Write(data)
		if len(data)%2 != 0 {
			out.WriteByte('\n')
		}
	}
	return out.Bytes(), nil
}

func reduceTar(m deb.Member) ([]byte, error) {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	t := tar.NewWriter(z)
	err := m.Each(func(e deb.Entry) error {
		head := e.Header
		if err := t.WriteHeader(head); err != nil || head.Typeflag != tar.TypeReg {
			return err
		}
		if head.Size <= reducedLimit {
			data, err := io.ReadAll(e.Content)
			if err != nil {
				return err
			}
			if !bytes.Contains(data, []byte{0}) {
				_, err = t.Write(data)
				return err
			}
		}
		_, err := io.CopyN(t, nuls{}, head.Size)
		return err
	})
	err = errors.Join(err, t.Close(), z.Close())
	return out.Bytes(), err
}

// nuls yields NULs without an end.
type nuls struct{}

func (nuls) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// packageFileLimit is how much of a package file that cannot be reduced a snapshot takes up.
const packageFileLimit = 32 << 20

// packed is what a snapshot keeps of a package file that the run has read; nil for another file, and for
// one that is too large.
func packed(name string, content []byte) []byte {
	for _, f := range formats {
		if f.IsFile(name) {
			return f.reduce(content)
		}
	}
	return nil
}
