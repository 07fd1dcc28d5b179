package sim

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"

	"zcp2kopano/runtime/host"
)

// downloads are files from elsewhere.
type downloads struct {
	files  *files
	gaps   *gaps
	system *system

	known map[string][]byte // by URL
}

// Download reads file URLs from this host, and others from the fixture. A file that the fixture does
// not have is not known.
func (dl *downloads) Download(ctx context.Context, address, _ string, _ host.Secret) ([]byte, error) {
	const limit = 1 << 20
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("download: the address cannot be parsed")
	}
	if u.Scheme == "file" {
		content, err := dl.files.readFile(path.Clean(u.Path))
		if err == nil && len(content) > limit {
			return nil, fmt.Errorf("download %s: larger than 1 MiB", address)
		}
		return content, err
	}
	u.User = nil
	if content, ok := dl.known[u.String()]; ok {
		return slices.Clone(content), nil
	}
	dl.gaps.add(host.Unpredicted{
		What:  "content of " + u.String(),
		Why:   "a simulation downloads nothing; an empty file of the kind stands in for it",
		Check: "the run downloads it before anything is removed",
	})
	switch path.Ext(u.Path) {
	case ".key", ".asc", ".gpg":
		for _, dir := range dl.system.of().KeyDirs() {
			dl.gaps.add(host.Unpredicted{What: "content of keys in " + dir, Why: "keys are not downloaded", Path: dir + "/*", Aspect: "content"})
		}
		return []byte(standInKey), nil
	}
	return nil, nil
}

// standInKey has the form of a public key (RFC 4880), and is none.
const standInKey = `-----BEGIN PGP PUBLIC KEY BLOCK-----

mQAAbm90IGRvd25sb2FkZWQgaW4gYSBzaW11bGF0aW9u
-----END PGP PUBLIC KEY BLOCK-----
`
