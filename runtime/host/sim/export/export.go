// Package export copies files of a simulated host into a directory of this machine.
//
// Two processes do it. One has the simulated host, and reads; it may have given up all power to write.
// The other was started before that, holds the directory, and writes there what the first one sends: a
// tar stream of directories and regular files. Both know only an afero.Fs.
//
// What cannot be had in a directory of somebody else is told in a manifest, in the format of mtree(5):
// owners, symlinks, devices. No symlink is made, so that nothing in the directory leads out of it.
package export

import (
	"archive/tar"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"strings"

	"github.com/spf13/afero"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/directory"
	"zcp2kopano/runtime/host/secrets"
)

// Manifest is the name of the manifest in the directory, and Entries that of the changed entries of an LDAP directory.
const (
	Manifest = "manifest.mtree"
	Entries  = "directory.ldif"
)

// searched is the size up to which a file is searched for secrets. A larger one may hold any.
const searched = 16 << 20

// Source is the host that is read.
type Source struct {
	Files afero.Fs
	// User and Group name an owner; empty for one without a name.
	User, Group func(id uint32) string
}

// Options say what is sent.
type Options struct {
	Paths       []string       // absolute; each with all that is below it
	Known       *secrets.Known // masked where they stand as a word of their own; nil for none
	WithSecrets bool           // leave secrets in
	Entries     []host.Entry   // of an LDAP directory, as they would be
	Title       string         // of the manifest
}

// Summary is what was sent.
type Summary struct {
	Files   int      // written, whole or with secrets masked
	Masked  int      // of these, with secrets masked
	Listed  int      // told in the manifest alone, files that are left out included
	Left    []string // files that are left out, each with the reason
	Missing []string // paths where nothing is
}

// Send writes files of a host to a stream that Receive reads.
func Send(w io.Writer, from Source, o Options) (Summary, error) {
	s := &sender{from: from, o: o, tar: tar.NewWriter(w)}
	fmt.Fprintf(&s.manifest, "#mtree\n# %s\n", strings.ReplaceAll(o.Title, "\n", " "))
	for _, name := range o.Paths {
		if err := s.tree(name); err != nil {
			return s.sum, err
		}
	}
	if len(o.Entries) > 0 {
		s.entries()
	}
	s.file(Manifest, 0o600, s.manifest.Bytes())
	return s.sum, cmp.Or(s.err, s.tar.Close())
}

type sender struct {
	from     Source
	o        Options
	tar      *tar.Writer
	maps     []string // files of Postfix with passwords
	mapsRead bool
	manifest bytes.Buffer
	sum      Summary
	err      error // of the stream
}

// entries sends those of the directory as LDIF, without attributes that hold passwords unless these are wanted.
func (s *sender) entries() {
	list := make([]host.Entry, len(s.o.Entries))
	for i, e := range s.o.Entries {
		list[i] = host.Entry{DN: e.DN, Attributes: maps.Clone(e.Attributes)}
		if !s.o.WithSecrets {
			maps.DeleteFunc(list[i].Attributes, func(name string, _ []string) bool { return secrets.Name(name) })
		}
	}
	text := directory.FormatLDIF(list)
	if !s.o.WithSecrets {
		text = s.mask(Entries, text)
	}
	s.err = cmp.Or(s.err, s.file(Entries, 0o600, []byte(text)))
}

func (s *sender) tree(name string) error {
	if _, err := lstat(s.from.Files, name); errors.Is(err, fs.ErrNotExist) {
		s.sum.Missing = append(s.sum.Missing, name)
		return nil
	}
	return afero.Walk(s.from.Files, name, func(name string, info os.FileInfo, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // gone by now
		case errors.Is(err, host.ErrUnknown):
			s.leave(name, "the simulation does not know it")
			return nil
		case err != nil:
			return err
		}
		return s.entry(name, info)
	})
}

func lstat(files afero.Fs, name string) (os.FileInfo, error) {
	if l, ok := files.(afero.Lstater); ok {
		info, _, err := l.LstatIfPossible(name)
		return info, err
	}
	return files.Stat(name)
}

func (s *sender) entry(name string, info os.FileInfo) error {
	switch {
	case info.IsDir():
		s.line(name, info)
		if name == "/" {
			return nil
		}
		return s.header(&tar.Header{Typeflag: tar.TypeDir, Name: strings.TrimPrefix(name, "/") + "/", Mode: 0o700})
	case info.Mode().IsRegular():
		return s.regular(name, info)
	case info.Mode()&fs.ModeSymlink != 0:
		link, err := s.readlink(name)
		if err != nil {
			return err
		}
		s.sum.Listed++
		s.line(name, info, "link="+escape(link))
	default:
		s.sum.Listed++
		s.line(name, info)
	}
	return nil
}

func (s *sender) readlink(name string) (string, error) {
	reader, ok := s.from.Files.(afero.LinkReader)
	if !ok {
		return "", fmt.Errorf("%s: this file system does not read symlinks", name)
	}
	return reader.ReadlinkIfPossible(name)
}

// regular sends a file, with secrets masked unless they are wanted.
func (s *sender) regular(name string, info os.FileInfo) error {
	if info.Size() > searched {
		return s.large(name, info)
	}
	content, err := afero.ReadFile(s.from.Files, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // gone by now
	case errors.Is(err, host.ErrUnknown):
		s.leave(name, "the simulation does not know its content")
		s.line(name, info, size(info))
		return nil
	case err != nil:
		return err
	case secrets.Opaque(name, content):
		return s.opaque(name, info, content)
	}
	masked := s.mask(name, string(content))
	if masked == string(content) {
		s.line(name, info, size(info))
		return s.file(name, info.Mode().Perm(), content)
	}
	if s.o.WithSecrets {
		s.line(name, info, size(info))
		return s.file(name, 0o600, content)
	}
	s.sum.Masked++
	fmt.Fprintf(&s.manifest, "# secrets are masked in this one:\n")
	s.line(name, info) // without its size, which tells how long they are
	return s.file(name, 0o600, []byte(masked))
}

// opaque sends what is no text, in which nobody finds secrets, only if these are wanted.
func (s *sender) opaque(name string, info os.FileInfo, content []byte) error {
	if !s.o.WithSecrets {
		s.leave(name, "it is not text, and may hold secrets")
	}
	s.line(name, info, size(info))
	if !s.o.WithSecrets {
		return nil
	}
	return s.file(name, 0o600, content)
}

// large sends a file piece by piece.
func (s *sender) large(name string, info os.FileInfo) error {
	s.line(name, info, size(info))
	if !s.o.WithSecrets {
		s.leave(name, "it is too large to be searched for secrets")
		return nil
	}
	f, err := s.from.Files.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := s.header(regularHeader(name, 0o600, info.Size())); err != nil {
		return err
	}
	if _, err = io.CopyN(s.tar, f, info.Size()); errors.Is(err, io.EOF) {
		return fmt.Errorf("%s became shorter while it was read", name)
	}
	s.sum.Files++
	return err
}

// mask masks what looks like a secret, and those that are known.
func (s *sender) mask(name, text string) string {
	if !s.mapsRead {
		main, _ := afero.ReadFile(s.from.Files, "/etc/postfix/main.cf") // without it there are none
		s.maps, s.mapsRead = secrets.PasswordMaps(string(main)), true
	}
	for _, m := range s.maps {
		if m == name {
			name = secrets.PasswordMap
		}
	}
	text = secrets.MaskFile(name, text)
	if s.o.Known != nil {
		text = s.o.Known.Mask(text)
	}
	return text
}

// leave notes a file that is not sent.
func (s *sender) leave(name, why string) {
	s.sum.Listed++
	s.sum.Left = append(s.sum.Left, name+": "+why)
	fmt.Fprintf(&s.manifest, "# left out: %s: %s\n", escape(name), why)
}

func (s *sender) file(name string, perm fs.FileMode, content []byte) error {
	if name != Manifest {
		s.sum.Files++
	}
	if err := s.header(regularHeader(name, perm, int64(len(content)))); err != nil {
		return err
	}
	_, err := s.tar.Write(content)
	return err
}

func regularHeader(name string, perm fs.FileMode, size int64) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeReg, Name: strings.TrimPrefix(name, "/"), Mode: int64(perm), Size: size}
}

func (s *sender) header(h *tar.Header) error { return s.tar.WriteHeader(h) }

// Receive writes what Send sends below a file system's root, and reports whether anything came.
func Receive(r io.Reader, below afero.Fs) (came bool, err error) {
	stream := tar.NewReader(r)
	for {
		h, err := stream.Next()
		if err == io.EOF {
			return came, nil
		}
		if err != nil {
			return came, err
		}
		came = true
		if err := receive(h, stream, below); err != nil {
			return came, err
		}
	}
}

func receive(h *tar.Header, content io.Reader, below afero.Fs) error {
	name := path.Clean(h.Name)
	if !fs.ValidPath(name) {
		return fmt.Errorf("%q leads out of the directory", h.Name)
	}
	if h.Typeflag == tar.TypeDir {
		return below.MkdirAll(name, 0o700)
	}
	if h.Typeflag != tar.TypeReg {
		return fmt.Errorf("%s is neither a file nor a directory", name)
	}
	if err := below.MkdirAll(path.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := below.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return below.Chmod(name, fs.FileMode(h.Mode).Perm())
}
