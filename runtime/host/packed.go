package host

import (
	"cmp"
	"io/fs"
	"slices"
	"time"
)

// PackedFile is a path that a package brings, or owns.
type PackedFile struct {
	Path    string
	Mode    fs.FileMode // with the type
	User    string      // name or number; empty for root
	Group   string
	Size    int64
	Target  string // of a symlink
	Link    string // path of the file that this one is a hard link to
	Content []byte // nil where it is not known
	Mtime   time.Time
	Bare    bool // only the path is known: mode and size are guesses
	Approx  bool // Content is only like the real one

	NoReplace bool   // rpm: a configuration file that stays if it was edited
	Ghost     bool   // rpm: owned, and not in the package
	MissingOK bool   // rpm: not made again where it was deleted
	Digest    string // rpm: of the content that the package has
}

// PackedContent is the size up to which the content of a file in a package is kept in memory. Larger files keep
// their size.
const PackedContent = 4 << 20

// SortPacked sorts files by path, parents before children.
func SortPacked(files []PackedFile) {
	slices.SortFunc(files, func(a, b PackedFile) int { return cmp.Compare(a.Path, b.Path) })
}

// FindPacked finds a path among files that are sorted; -1 if it is not there.
func FindPacked(files []PackedFile, path string) int {
	i, ok := slices.BinarySearchFunc(files, path, func(f PackedFile, s string) int { return cmp.Compare(f.Path, s) })
	if !ok {
		return -1
	}
	return i
}
