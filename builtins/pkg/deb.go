package pkg

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
	"pault.ag/go/debian/dependency"
	"pault.ag/go/debian/version"
)

// control is what a Debian package file (deb(5)) says of itself.
type control struct {
	name    string
	arch    string
	version version.Version
	needs   [][]string // of each dependency, the names that satisfy it
}

// readDeb reads a package file's control information; the payload is not looked at.
func readDeb(r io.ReaderAt) (control, error) {
	name, member, err := controlMember(r)
	if err != nil {
		return control{}, err
	}
	archive, done, err := decompress(name, member)
	if err != nil {
		return control{}, err
	}
	defer done()
	files := tar.NewReader(archive)
	for {
		head, err := files.Next()
		if err == io.EOF {
			return control{}, errors.New("no Debian package: no control file")
		}
		if err != nil {
			return control{}, err
		}
		if path.Clean("/"+head.Name) == "/control" {
			return parseControl(io.LimitReader(files, 1<<20))
		}
	}
}

// controlMember finds control.tar in the ar archive that a package file is.
func controlMember(r io.ReaderAt) (string, io.Reader, error) {
	const magic, headerSize = "!<arch>\n", 60
	head := make([]byte, headerSize)
	if _, err := r.ReadAt(head[:len(magic)], 0); err != nil || string(head[:len(magic)]) != magic {
		return "", nil, errors.New("no Debian package")
	}
	for at := int64(len(magic)); ; {
		if _, err := r.ReadAt(head, at); err != nil {
			return "", nil, errors.New("no Debian package, or cut short: no control.tar")
		}
		size, err := strconv.ParseInt(strings.TrimSpace(string(head[48:58])), 10, 64)
		if err != nil || size < 0 {
			return "", nil, errors.New("damaged: an archive member without a size")
		}
		name := strings.TrimRight(strings.TrimSpace(string(head[:16])), "/")
		if strings.HasPrefix(name, "control.tar") {
			return name, io.NewSectionReader(r, at+headerSize, size), nil
		}
		at += headerSize + size + size%2
	}
}

func decompress(name string, r io.Reader) (plain io.Reader, done func(), err error) {
	none := func() {}
	switch ext := path.Ext(name); ext {
	case ".tar":
		return r, none, nil
	case ".gz":
		plain, err = gzip.NewReader(r)
		return plain, none, err
	case ".xz":
		plain, err = xz.NewReader(r)
		return plain, none, err
	case ".zst":
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, none, err
		}
		return z, z.Close, nil
	default:
		return nil, none, fmt.Errorf("its compression %s is not known", ext)
	}
}

// parseControl reads the fields that matter (Debian Policy 5.3); none of them is usually folded, but
// all may be.
func parseControl(r io.Reader) (control, error) {
	fields, last := map[string]string{}, ""
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t") {
			fields[last] += " " + strings.TrimSpace(line)
			continue
		}
		name, value, found := strings.Cut(line, ":")
		if found {
			last = strings.ToLower(name)
			fields[last] = strings.TrimSpace(value)
		}
	}
	if err := lines.Err(); err != nil {
		return control{}, err
	}
	c := control{name: fields["package"], arch: fields["architecture"]}
	if c.name == "" || c.arch == "" {
		return control{}, errors.New("no Debian package: its control file names no package")
	}
	var err error
	if c.version, err = version.Parse(fields["version"]); err != nil {
		return control{}, fmt.Errorf("version %q: %w", fields["version"], err)
	}
	for _, field := range []string{"pre-depends", "depends"} {
		if err := c.addNeeds(fields[field]); err != nil {
			return control{}, fmt.Errorf("%s: %w", field, err)
		}
	}
	return c, nil
}

func (c *control) addNeeds(text string) error {
	if text == "" {
		return nil
	}
	dep, err := dependency.Parse(text)
	if err != nil {
		return err
	}
	for _, relation := range dep.Relations {
		var names []string
		for _, possible := range relation.Possibilities {
			names = append(names, possible.Name)
		}
		c.needs = append(c.needs, names)
	}
	return nil
}
