package deb

// Fate is what dpkg does with the new version of a configuration file, with --force-confdef --force-confold.
type Fate int

const (
	Place  Fate = iota // it takes the place of what is there
	Drop               // it is deleted, and what is there stays
	Beside             // it is put beside what is there, as .dpkg-dist
)

// NewConffile is what the database has in place of a digest while it does not know a configuration file yet.
const NewConffile = "newconffile"

// FateOf decides between the file on the host and the new one of a package, from the digests that the former
// version (was) and the new one shipped. An untouched file is replaced, an edited one stays, and a deleted one
// stays deleted. A digest that is not known is empty.
func FateOf(current string, exists bool, was, shipped string) Fate {
	same := was == shipped && was != ""
	switch {
	case !exists && was == NewConffile:
		return Place
	case !exists && was == shipped:
		return Drop
	case !exists:
		return Beside
	case current != "" && (current == shipped || current == was):
		return Place
	case same:
		return Drop
	}
	return Beside
}
