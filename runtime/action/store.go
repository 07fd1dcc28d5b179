package action

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"path"

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
