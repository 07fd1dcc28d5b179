package cfg

import (
	"fmt"
	"strconv"
	"strings"
)

// Version is a release of ZCP or Kopano Core: three numbers.
type Version [3]int

// ParseVersion reads the release out of a package version: "8.7.20", "7.2.6-52189",
// "2:10.0.7.389.b9b5e81-0+125.1", "8.7". An epoch and whatever follows the third number are ignored.
func ParseVersion(s string) (Version, error) {
	var v Version
	text := s
	if _, rest, ok := strings.Cut(text, ":"); ok {
		text = rest
	}
	parts := strings.FieldsFunc(text, func(r rune) bool { return r < '0' || r > '9' })
	if text == "" || text[0] < '0' || text[0] > '9' || len(parts) < 2 {
		return v, fmt.Errorf("version %q: want a release like 8.7.20", s)
	}
	for i := 0; i < len(parts) && i < 3; i++ {
		n, err := strconv.Atoi(parts[i])
		if err != nil {
			return v, fmt.Errorf("version %q: want a release like 8.7.20", s)
		}
		v[i] = n
	}
	return v, nil
}

func mustVersion(s string) Version {
	v, err := ParseVersion(s)
	if err != nil {
		panic(err)
	}
	return v
}

// String is "8.7.20".
func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]) }

// Less orders releases.
func (v Version) Less(w Version) bool {
	for i := range v {
		if v[i] != w[i] {
			return v[i] < w[i]
		}
	}
	return false
}

// AtLeast is the opposite of Less.
func (v Version) AtLeast(major, minor, patch int) bool {
	return !v.Less(Version{major, minor, patch})
}

// final is the release that a pre-release leads to: development builds carry a third number from 80
// on (8.6.81 became 8.7.0, 8.7.81 became 9.0.1).
func (v Version) final() Version {
	if v[2] < 80 {
		return v
	}
	if v[0] == 8 && v[1] >= 7 {
		return Version{9, 0, 1}
	}
	return Version{v[0], v[1] + 1, 0}
}
