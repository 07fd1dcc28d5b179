package host

import (
	"errors"
	"io"
	"net/url"
	"path"
	"strings"
)

// Repository is a source of packages that is to be configured.
type Repository struct {
	Name       string // of its files
	URL        string
	Suite      string
	Components []string
	User       string
	Password   Secret
	Key        string // armoured text, a path, or a URL; "" for the keys that the host already trusts
	Trusted    bool   // packages are taken without a signature
	Priority   int64
}

// RepositorySetup is what configures a repository: files in the order in which they must be written, so that
// a source is never there before the key and the password that it needs.
type RepositorySetup struct {
	Dirs   []string // that must exist
	Files  []ConfigFile
	Source string   // the file that names the source, for a refresh
	Keys   []string // the fingerprints of the keys that it is to be signed by
}

// RepositoryHost is what a setup is made from: keys, and what is configured already.
type RepositoryHost interface {
	FileReader
	Downloader
}

// Source is a repository as a file of the package manager configures it.
type Source struct {
	File string // where
	URL  string // without user and password
	Path string // below the URL
}

// NewSource takes user and password out of an address.
func NewSource(file, uri, path string) Source {
	if u, err := url.Parse(uri); err == nil && u.User != nil {
		u.User = nil
		uri = u.String()
	}
	return Source{File: file, URL: strings.TrimSuffix(uri, "/"), Path: path}
}

// Dir is the directory of a repository on this host; empty if it is elsewhere.
func (s Source) Dir() string {
	for _, scheme := range []string{"file:", "copy:", "dir:"} {
		if rest, ok := strings.CutPrefix(s.URL, scheme); ok {
			return path.Join("/", strings.TrimPrefix(rest, "//"), s.Path)
		}
	}
	return ""
}

// ReadSmall reads a key or a file of settings, of which the first MiB counts.
func ReadSmall(files FileReader, name string) ([]byte, error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, 1<<20))
}

// PackageFile is what a package file says of itself.
type PackageFile struct {
	Path    string
	Name    string
	Arch    string
	Version string
	Needs   [][]string // of each dependency, the names that meet it
	// Provides are more names that it meets dependencies by; Debian's are not looked at.
	Provides []string
}

// PackageDirectory is a directory that may be a repository.
type PackageDirectory struct {
	Index  bool     // it has one
	Signed bool     // the index is
	Files  []string // names of package files
}

// WithoutURL is an error of net/url without the text that it is about, which may hold a password.
func WithoutURL(err error) error {
	var failed *url.Error
	if errors.As(err, &failed) {
		return failed.Err
	}
	return err
}
