package fakepkg

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// epoch is the time of everything in a package, so that packages come out the same.
var epoch = time.Date(2016, time.August, 1, 12, 0, 0, 0, time.UTC)

// Write builds the package file (deb(5), format 2.0) in dir and returns its path.
func (p Package) Write(dir string) (string, error) {
	data, err := p.Deb()
	if err != nil {
		return "", fmt.Errorf("build %s: %w", p.Name, err)
	}
	file := filepath.Join(dir, p.FileName())
	return file, os.WriteFile(file, data, 0o644)
}

// Deb returns the package file's bytes.
func (p Package) Deb() ([]byte, error) {
	control, err := p.controlArchive()
	if err != nil {
		return nil, err
	}
	data, err := archive(p.payload(), gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	out.WriteString("!<arch>\n")
	arMember(&out, "debian-binary", []byte("2.0\n"))
	arMember(&out, "control.tar.gz", control)
	arMember(&out, "data.tar.gz", data)
	return out.Bytes(), nil
}

func arMember(out *bytes.Buffer, name string, data []byte) {
	fmt.Fprintf(out, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", name, epoch.Unix(), 0, 0, "100644", len(data))
	out.Write(data)
	if len(data)%2 == 1 {
		out.WriteByte('\n')
	}
}

func (p Package) controlArchive() ([]byte, error) {
	files := []File{
		{Path: "/control", Mode: 0o644, Content: []byte(p.control())},
		{Path: "/md5sums", Mode: 0o644, Content: p.md5sums()},
	}
	if len(p.Conffiles) > 0 {
		files = append(files, Text("/conffiles", p.Conffiles...))
	}
	for _, name := range []string{"preinst", "postinst", "prerm", "postrm"} {
		if script, ok := p.Scripts[name]; ok {
			files = append(files, Program("/"+name, []byte(misbehaving(p.Name, name, script))))
		}
	}
	return archive(files, gzip.BestSpeed)
}

// control is the control file, also the package's stanza in an index.
func (p Package) control() string {
	var b strings.Builder
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	field("Package", p.Name)
	field("Source", p.Source)
	field("Version", p.Version)
	field("Architecture", p.arch())
	field("Maintainer", p.Maintainer)
	field("Installed-Size", fmt.Sprint(p.installedKiB()))
	field("Pre-Depends", p.PreDepends)
	field("Depends", p.Depends)
	field("Recommends", p.Recommends)
	field("Conflicts", p.Conflicts)
	field("Breaks", p.Breaks)
	field("Replaces", p.Replaces)
	field("Provides", p.Provides)
	field("Section", p.Section)
	field("Priority", "optional")
	field("Description", p.Summary)
	return b.String()
}

// installedKiB counts as deb-substvars(5) says: file sizes rounded up, 1 KiB for anything else.
func (p Package) installedKiB() int {
	total := 0
	for _, f := range p.payload() {
		if f.Mode.IsRegular() {
			total += (len(f.Content) + 1023) / 1024
		} else {
			total++
		}
	}
	return total
}

func (p Package) md5sums() []byte {
	conffile := map[string]bool{}
	for _, path := range p.Conffiles {
		conffile[path] = true
	}
	var b bytes.Buffer
	for _, f := range p.payload() {
		if f.Mode.IsRegular() && !conffile[f.Path] {
			fmt.Fprintf(&b, "%x  %s\n", md5.Sum(f.Content), f.Path[1:])
		}
	}
	return b.Bytes()
}

// archive is a gzip-compressed tar of the files below "./".
func archive(files []File, level int) ([]byte, error) {
	var out bytes.Buffer
	zip, err := gzip.NewWriterLevel(&out, level)
	if err != nil {
		return nil, err
	}
	tw := tar.NewWriter(zip)
	for _, f := range append([]File{Dir("/", 0o755)}, files...) {
		if err := tw.WriteHeader(header(f)); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Path, err)
		}
		if _, err := io.Copy(tw, bytes.NewReader(f.Content)); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Path, err)
		}
	}
	if err := tw.Close(); err != nil {
		return nil, err
	}
	if err := zip.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func header(f File) *tar.Header {
	h := &tar.Header{
		Name: "." + f.Path, Mode: int64(f.Mode.Perm()), ModTime: epoch,
		Uname: "root", Gname: "root", Format: tar.FormatGNU, Typeflag: tar.TypeReg, Size: int64(len(f.Content)),
	}
	switch {
	case f.Mode.IsDir():
		h.Typeflag = tar.TypeDir
		h.Name = strings.TrimSuffix(h.Name, "/") + "/"
	case f.Mode&fs.ModeSymlink != 0:
		h.Typeflag, h.Linkname = tar.TypeSymlink, f.Target
	}
	return h
}
