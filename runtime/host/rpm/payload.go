package rpm

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"zcp2kopano/runtime/host/compression"
)

// payload reads the archive of a package file: an entry after the other (cpio(5), "newc"; of packages with large files
// a form without metadata, which counts the header's files).
type payload struct {
	in   *bufio.Reader
	size []int64 // of each of the header's files in the archive, for the form without metadata
	left int64   // of the entry in hand
	pad  int64
}

// suffixes are what compression calls what the header calls the payload's.
var suffixes = map[string]string{"gzip": ".gz", "bzip2": ".bz2", "xz": ".xz", "lzma": ".lzma", "zstd": ".zst", "uncompressed": ""}

// openPayload unpacks the archive. Where the header does not say how it is packed, its first bytes do.
func openPayload(r io.Reader, h header, size []int64) (*payload, io.Closer, error) {
	if format := h.text(tagPayloadFormat); format != "" && format != "cpio" {
		return nil, nil, fmt.Errorf("its format %q is not known", format)
	}
	in := bufio.NewReader(r)
	name := h.text(tagCompressor)
	if name == "" {
		name = "uncompressed"
		if head, err := in.Peek(2); err == nil && string(head) == "\x1f\x8b" {
			name = "gzip"
		}
	}
	suffix, known := suffixes[name]
	if !known {
		return nil, nil, fmt.Errorf("its compression %q is not known", name)
	}
	unpacked, err := compression.Open(in, suffix)
	if err != nil {
		return nil, nil, err
	}
	return &payload{in: bufio.NewReader(unpacked), size: size}, unpacked, nil
}

// member is an entry of the archive: by name, or with an index not below 0 one of the header's files.
type member struct {
	name  string
	index int
	size  int64
}

var errArchive = errors.New("the archive is damaged")

// nameLimit bounds a name in an archive, as PATH_MAX does.
const nameLimit = 4096

// next goes on to the next entry, and is io.EOF behind the last.
func (p *payload) next() (member, error) {
	if _, err := io.CopyN(io.Discard, p.in, p.left+p.pad); err != nil {
		return member{}, cut(err)
	}
	p.left, p.pad = 0, 0
	magic, err := p.take(6)
	if err != nil {
		return member{}, err
	}
	if magic == "07070X" {
		return p.counted()
	}
	if magic != "070701" && magic != "070702" {
		return member{}, errArchive
	}
	const fields, fileSize, nameSize = 13, 6, 11
	var values [fields]int64
	for i := range values {
		if values[i], err = p.hex(); err != nil {
			return member{}, err
		}
	}
	if values[nameSize] < 1 || values[nameSize] > nameLimit {
		return member{}, errArchive
	}
	name, err := p.take(values[nameSize] + padding(6+8*fields+values[nameSize]))
	if err != nil {
		return member{}, err
	}
	name, _, _ = strings.Cut(name, "\x00")
	if name == "TRAILER!!!" {
		return member{}, io.EOF
	}
	p.left = values[fileSize]
	p.pad = padding(p.left)
	return member{name: name, index: -1, size: p.left}, nil
}

// counted is the rest of an entry without metadata.
func (p *payload) counted() (member, error) {
	index, err := p.hex()
	if err != nil {
		return member{}, err
	}
	if _, err := p.take(padding(6 + 8)); err != nil {
		return member{}, err
	}
	if index >= int64(len(p.size)) {
		return member{}, errArchive
	}
	p.left = p.size[index]
	p.pad = padding(p.left)
	return member{index: int(index), size: p.left}, nil
}

// Read reads the content of the entry in hand.
func (p *payload) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	n, err := p.in.Read(b[:min(int64(len(b)), p.left)])
	p.left -= int64(n)
	return n, cut(err)
}

func (p *payload) take(n int64) (string, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(p.in, b)
	return string(b), cut(err)
}

func (p *payload) hex() (int64, error) {
	text, err := p.take(8)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(text, 16, 64)
	if err != nil || n < 0 {
		return 0, errArchive
	}
	return n, nil
}

// cut is the error where an archive ends before its last entry.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// padding is what fills up to a multiple of four.
func padding(n int64) int64 { return (4 - n%4) % 4 }
