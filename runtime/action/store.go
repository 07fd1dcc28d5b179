package action

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"path"
	"sync"
	"syscall"

	"zcp2kopano/runtime/host"
)

// Store keeps contents and pre-images by digest, as files of mode 0600 in a directory of mode 0700
// on the host itself, so that a simulated run predicts the space that they take.
type Store struct {
	Host host.Host
	Dir  string // "/var/lib/zcp2kopano/runs/ID/backup"
	// Spare is what is to stay free on each file system that the run writes to; 0 on the way back.
	Spare uint64
}

// Blob names content in a Store.
type Blob struct {
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
}

// Put keeps what r yields. The content is durable when Put returns.
func (s *Store) Put(r io.Reader) (Blob, error) {
	return s.write(func(w io.Writer) error {
		_, err := io.Copy(w, r)
		return err
	})
}

// PutBytes is Put for content in memory; content that is there already is not written again.
func (s *Store) PutBytes(content []byte) (Blob, error) {
	if b := blobOf(content); s.has(b) {
		return b, nil
	}
	return s.Put(bytes.NewReader(content))
}

func blobOf(content []byte) Blob {
	sum := sha256.Sum256(content)
	return Blob{SHA256: hex.EncodeToString(sum[:]), Size: int64(len(content))}
}

// Open opens kept content for reading, from its begin to its end: there, content that is not what was
// kept is an error instead of io.EOF. What damaged content would replace is so still there.
func (s *Store) Open(b Blob) (host.File, error) {
	f, err := s.Host.Open(s.blobPath(b))
	if err != nil {
		return nil, fmt.Errorf("backup of the run: %w", err)
	}
	return &verified{File: f, sum: sha256.New(), want: b, path: s.blobPath(b)}, nil
}

type verified struct {
	host.File
	sum  hash.Hash
	size int64
	want Blob
	path string
}

func (v *verified) Read(p []byte) (int, error) {
	n, err := v.File.Read(p)
	v.sum.Write(p[:n])
	v.size += int64(n)
	if err == io.EOF && (v.size != v.want.Size || hex.EncodeToString(v.sum.Sum(nil)) != v.want.SHA256) {
		return n, fmt.Errorf("backup of the run: %s is damaged: its content is not what its name says; check the disk, or restore the file from a copy", v.path)
	}
	return n, err
}

// Bytes reads kept content whole.
func (s *Store) Bytes(b Blob) ([]byte, error) {
	f, err := s.Open(b)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// sum is the digest of a regular file on the host.
func (s *Store) sum(name string) (string, error) {
	dir, err := s.Host.OpenTree(path.Dir(name))
	if err != nil {
		return "", err
	}
	defer dir.Close()
	return digest(dir, path.Base(name))
}

// incoming is the name of content that is not all there yet. A run is one process, and keeps one
// thing at a time.
const incoming = "incoming"

// write keeps what fill writes.
func (s *Store) write(fill func(io.Writer) error) (Blob, error) {
	b, err := s.writeBlob(fill)
	if err != nil {
		return b, fmt.Errorf("backup of the run: %w", err)
	}
	return b, nil
}

func (s *Store) writeBlob(fill func(io.Writer) error) (Blob, error) {
	allowed := s.allow(s.Dir)
	if err := allowed.take(0, 0); err != nil {
		return Blob{}, err
	}
	dir, err := s.room("blobs")
	if err != nil {
		return Blob{}, err
	}
	defer dir.Close()
	if err := unlinkIfThere(dir, incoming); err != nil {
		return Blob{}, err
	}
	f, err := dir.Create(incoming, 0o600)
	if err != nil {
		return Blob{}, err
	}
	defer f.Close()
	w := &hashWriter{w: f, sum: sha256.New(), allowed: allowed}
	if err := fill(w); err != nil {
		_ = unlinkIfThere(dir, incoming) // it takes room, which may be what is short
		return Blob{}, err
	}
	if err := f.Sync(); err != nil {
		return Blob{}, err
	}
	b := Blob{SHA256: hex.EncodeToString(w.sum.Sum(nil)), Size: w.size}
	if s.has(b) {
		return b, dir.Unlink(incoming)
	}
	if err := dir.Rename(incoming, dir, b.SHA256); err != nil {
		return Blob{}, err
	}
	return b, dir.SyncSelf()
}

func (s *Store) blobPath(b Blob) string { return path.Join(s.Dir, "blobs", b.SHA256) }

func (s *Store) has(b Blob) bool {
	st, err := s.Host.Lstat(s.blobPath(b))
	return err == nil && st.IsRegular() && st.Size == b.Size
}

// room opens a directory of the store, and makes it first if it is not there.
func (s *Store) room(name string) (host.Dir, error) {
	where := path.Join(s.Dir, name)
	if err := mkdirAll(s.Host, where); err != nil {
		return nil, err
	}
	return s.Host.OpenTreeWrite(where)
}

type hashWriter struct {
	w    io.Writer
	sum  hash.Hash
	size int64

	allowed *allowance
}

func (h *hashWriter) Write(p []byte) (int, error) {
	if err := h.allowed.take(int64(len(p)), int64(len(p))); err != nil {
		return 0, err
	}
	n, err := h.w.Write(p)
	h.sum.Write(p[:n])
	h.size += int64(n)
	return n, err
}

// Spare is what a run leaves free on each file system that it writes to, but no more than a fiftieth of it: the way back
// writes, too, and so does what else works on the host. A way back may use it.
const Spare = 64 << 20

const sparePart = 50

// againAfter is how much may be written before it is looked again what is left: others write, too.
const againAfter = 16 << 20

// allowance is what may still be written to one file system. Nil allows all.
type allowance struct {
	files host.FileReader
	at    string // a path on it
	most  uint64 // to be spared

	mu   sync.Mutex
	left int64 // until it is looked again; below 0 at once
}

// allow is the allowance of the file system of a path, which need not exist yet; nil on the way back.
func (s *Store) allow(at string) *allowance {
	if s == nil || s.Spare == 0 {
		return nil
	}
	return &allowance{files: s.Host, at: at, most: s.Spare, left: -1}
}

// Room is an error if the file system of a path has less left than is to be spared, and so many bytes.
func (s *Store) Room(at string, need int64) error { return s.allow(at).take(need, need) }

// take counts what is written, and is an error if the file system has less left than is to be spared, and need.
func (a *allowance) take(written, need int64) error {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.left -= written; a.left >= 0 {
		return nil
	}
	st, at, err := statfsOf(a.files, a.at)
	if err != nil || st.Total == 0 {
		return nil // not every file system counts; who writes meets what else there is
	}
	spare := min(a.most, st.Total/sparePart)
	if uint64(need)+spare > st.Available {
		return fmt.Errorf("%w: the file system of %s has %s left, of which %s stay free for the way back and for others, and %s are to be written; free some space",
			syscall.ENOSPC, at, sizeOf(st.Available), sizeOf(spare), sizeOf(uint64(need)))
	}
	a.left = int64(min(againAfter, (st.Available-spare-uint64(need))/2))
	return nil
}

func sizeOf(n uint64) string {
	if n < 10e6 {
		return fmt.Sprintf("%d kB", n/1000)
	}
	return fmt.Sprintf("%d MB", n/1000000)
}

// statfsOf asks for the file system of a path, or of what is above it and there.
func statfsOf(files host.FileReader, at string) (st host.Statfs, there string, err error) {
	for {
		st, err = files.Statfs(at)
		if !errors.Is(err, fs.ErrNotExist) || at == "/" {
			return st, at, err
		}
		at = path.Dir(at)
	}
}
