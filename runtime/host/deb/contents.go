package deb

import (
	"archive/tar"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"zcp2kopano/runtime/host"
)

// Contents is what a package file says of itself, and what it brings.
type Contents struct {
	Control   string
	Scripts   map[string]string // text of the maintainer scripts by name
	Conffiles []string
	Files     []host.PackedFile
}

// ReadContents reads a package file (deb(5)) with its payload.
func ReadContents(r io.ReaderAt, size int64) (*Contents, error) {
	f, err := OpenFile(r, size)
	if err != nil {
		return nil, err
	}
	c := &Contents{Scripts: map[string]string{}}
	if err := f.Control(c.takeControl); err != nil {
		return nil, err
	}
	if c.Control == "" {
		return nil, errors.New("no Debian package: no control file")
	}
	if err := f.Payload(c.takeFile); err != nil {
		return nil, err
	}
	c.Files = System{}.Owned(c.Files)
	return c, nil
}

func (c *Contents) takeControl(e Entry) error {
	base := path.Base(e.Path)
	switch base {
	case "control", "conffiles", "preinst", "postinst", "prerm", "postrm":
	default:
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(e.Content, controlLimit))
	switch base {
	case "control":
		c.Control = strings.TrimSpace(string(text))
	case "conffiles":
		for line := range strings.Lines(string(text)) {
			if words := strings.Fields(line); len(words) > 0 && words[0] != "remove-on-upgrade" {
				c.Conffiles = append(c.Conffiles, words[0])
			}
		}
	default:
		c.Scripts[base] = string(text)
	}
	return err
}

func (c *Contents) takeFile(e Entry) error {
	head := e.Header
	f := host.PackedFile{Path: e.Path, Mode: head.FileInfo().Mode(), User: head.Uname, Group: head.Gname, Size: head.Size, Mtime: head.ModTime}
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
		if head.Size <= host.PackedContent {
			data, err := io.ReadAll(e.Content)
			if err != nil {
				return err
			}
			f.Content = slices.Clip(data)
		}
	}
	c.Files = append(c.Files, f)
	return nil
}

// Owned puts the files that a package owns in order, with the directories above them, as every package has them.
func (System) Owned(files []host.PackedFile) []host.PackedFile {
	seen := make(map[string]bool, len(files))
	for _, f := range files {
		seen[f.Path] = true
	}
	for i := range files {
		for dir := path.Dir(files[i].Path); !seen[dir]; dir = path.Dir(dir) {
			seen[dir] = true
			files = append(files, host.PackedFile{Path: dir, Mode: fs.ModeDir | 0o755, Bare: true})
			if dir == "/" {
				break
			}
		}
	}
	host.SortPacked(files)
	return files
}
