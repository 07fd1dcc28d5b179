package directory

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"slices"
	"strings"
)

// Sum is what an LDIF file holds, whatever the order of its entries, and of the lines of each: two files with the same
// entries have the same.
type Sum struct {
	Entries int64
	digest  [4]uint64
}

// String is the sum's digest.
func (s Sum) String() string {
	return fmt.Sprintf("%016x%016x%016x%016x", s.digest[0], s.digest[1], s.digest[2], s.digest[3])
}

// SumOf reads LDIF to its end.
func SumOf(in io.Reader) (Sum, error) {
	var s Sum
	err := eachRecord(in, 1, func(rec *record) error {
		lines := make([]string, 0, len(rec.lines))
		for _, l := range rec.lines {
			name, value, err := ldifLine(rec.line(l))
			if err != nil {
				return fmt.Errorf("line %d: %w", rec.number(l), err)
			}
			if !strings.EqualFold(name, "version") {
				lines = append(lines, strings.ToLower(name)+"\x00"+value)
			}
		}
		if len(lines) > 0 {
			s.add(lines)
		}
		return nil
	})
	return s, err
}

// add counts an entry in: its digest is added to the others', so that their order does not matter.
func (s *Sum) add(lines []string) {
	slices.Sort(lines)
	hash := sha256.New()
	for _, l := range lines {
		fmt.Fprintf(hash, "%d:%s\n", len(l), l)
	}
	digest, carry := hash.Sum(nil), uint64(0)
	for i := range s.digest {
		s.digest[i], carry = bits.Add64(s.digest[i], binary.LittleEndian.Uint64(digest[8*i:]), carry)
	}
	s.Entries++
}
