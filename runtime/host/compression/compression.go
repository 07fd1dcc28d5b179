// Package compression reads what packages and their indexes are packed with.
package compression

import (
	"compress/bzip2"
	"compress/gzip"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"

	"zcp2kopano/runtime/host"
)

// Open reads what a file with that suffix holds: the kinds of compression that package files and
// the indexes of repositories have. Without a suffix of compression it is read as it is.
func Open(r io.Reader, suffix string) (io.ReadCloser, error) {
	switch suffix {
	case "", ".tar", ".xml":
		return io.NopCloser(r), nil
	case ".gz":
		return gzip.NewReader(r)
	case ".bz2":
		return io.NopCloser(bzip2.NewReader(r)), nil
	case ".xz":
		return noClose(xz.NewReader(r))
	case ".lzma":
		return noClose(lzma.NewReader(r))
	case ".zst":
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	}
	return nil, fmt.Errorf("compression %s is %w", suffix, host.ErrUnsupported)
}

func noClose[R io.Reader](r R, err error) (io.ReadCloser, error) {
	if err != nil {
		return nil, err
	}
	return io.NopCloser(r), nil
}
