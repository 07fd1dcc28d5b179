package rpm

import (
	"compress/gzip"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"path"
	"slices"

	"zcp2kopano/runtime/host"
)

// Disk is where the files of installed packages lie.
type Disk interface {
	Lstat(path string) (host.Stat, error)
	Stat(path string) (host.Stat, error)
	Readlink(path string) (string, error)
	Open(path string) (host.File, error)
	UserID(uid uint32) (host.User, error)
	GroupID(gid uint32) (host.Group, error)
}

// Workspace is a file that is written and then read again.
type Workspace interface {
	io.ReadWriteSeeker
}

// Rebuild writes a package file of what is installed: what the database holds of the package, and its files as they
// are now, with digests computed anew. Files that are gone are left out. It is not signed. The payload goes through
// a workspace, because its sums stand before it.
func Rebuild(out io.Writer, in Installed, disk Disk, work Workspace) error {
	files, err := in.Files()
	if err != nil {
		return err
	}
	payload, err := packFiles(work, files, disk, in.SHA256())
	if err != nil {
		return err
	}
	main := newHeader{start: headerStart}
	if err := in.carry(&main); err != nil {
		return err
	}
	payload.list(&main)
	head := main.bytes()

	sums, err := sumsOf(head, payload, work)
	if err != nil {
		return err
	}
	lead := leadOf(in)
	for _, part := range [][]byte{lead, sums, head} {
		if _, err := out.Write(part); err != nil {
			return err
		}
	}
	if _, err := work.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err = io.Copy(out, work)
	return err
}

// CheckRebuild tells why Rebuild would fail: whatever that sees before it reads the files.
func CheckRebuild(in Installed, disk Disk) error {
	files, err := in.Files()
	if err != nil {
		return err
	}
	c := &archiver{disk: disk}
	for _, f := range files {
		if f.Ghost() {
			continue
		}
		now, err := c.onDisk(f)
		if err == nil && now != nil && now.Mode&typeBits == typeFile && now.Size > maxArchive {
			err = errTooLarge
		}
		if err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
	}
	return in.carry(&newHeader{start: headerStart})
}

// leadOf is the first part of a package file. Nobody reads more of it than that it is one, of a binary package.
func leadOf(in Installed) []byte {
	lead := make([]byte, 96)
	copy(lead, Magic)
	lead[4] = 3 // of the format
	binary.BigEndian.PutUint16(lead[8:], 1)
	copy(lead[10:75], in["Name"][0]+"-"+in["Version"][0]+"-"+in["Release"][0])
	binary.BigEndian.PutUint16(lead[76:], 1) // Linux
	binary.BigEndian.PutUint16(lead[78:], 5) // the sums are a header
	return lead
}

// sumsOf is the header with the sums of the other one and of the payload, filled up to eight bytes.
func sumsOf(head []byte, p *packed, work Workspace) ([]byte, error) {
	if _, err := work.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	all := md5.New()
	all.Write(head)
	n, err := io.Copy(all, work)
	if err != nil {
		return nil, err
	}
	one, two := sha1.Sum(head), sha256.Sum256(head)
	sums := newHeader{start: signaturesStart}
	sums.numbers(sumSize, []int64{int64(len(head)) + n})
	sums.binary(sumMD5, all.Sum(nil))
	sums.numbers(sumPayloadSize, []int64{p.archive})
	sums.strings(sumSHA1, []string{hex.EncodeToString(one[:])})
	sums.strings(sumSHA256, []string{hex.EncodeToString(two[:])})
	data := sums.bytes()
	return append(data, make([]byte, (8-len(data)%8)%8)...), nil
}

// packed is what was packed.
type packed struct {
	files   []InstalledFile
	archive int64  // bytes, not compressed
	digest  []byte // of it, compressed
}

// list puts the files and what is known of the payload into a header.
func (p *packed) list(h *newHeader) {
	text := func(t tag, of func(InstalledFile) string) {
		var values []string
		for _, f := range p.files {
			values = append(values, of(f))
		}
		h.strings(t, values)
	}
	number := func(t tag, of func(i int, f InstalledFile) int64) {
		var values []int64
		for i, f := range p.files {
			values = append(values, of(i, f))
		}
		h.numbers(t, values)
	}
	var dirs []string
	known := map[string]int64{}
	var total int64
	for _, f := range p.files {
		if dir := dirOf(f.Path); known[dir] == 0 {
			dirs = append(dirs, dir)
			known[dir] = int64(len(dirs))
		}
		if !f.Ghost() {
			total += f.Size
		}
	}
	h.strings(directoryNames, dirs)
	number(fileDirectories, func(_ int, f InstalledFile) int64 { return known[dirOf(f.Path)] - 1 })
	text(fileNames, func(f InstalledFile) string { return path.Base(f.Path) })
	number(fileSizes, func(_ int, f InstalledFile) int64 { return f.Size })
	number(fileModes, func(_ int, f InstalledFile) int64 { return int64(f.Mode) })
	number(fileDevices, func(_ int, f InstalledFile) int64 { return f.Device })
	number(fileTimes, func(_ int, f InstalledFile) int64 { return f.Time })
	text(fileDigests, func(f InstalledFile) string { return f.Digest })
	text(fileTargets, func(f InstalledFile) string { return f.Target })
	number(fileFlags, func(_ int, f InstalledFile) int64 { return f.Flags })
	text(fileUsers, func(f InstalledFile) string { return f.User })
	text(fileGroups, func(f InstalledFile) string { return f.Group })
	number(fileVerifyFlags, func(_ int, f InstalledFile) int64 { return f.VerifyFlags })
	number(fileSystems, func(int, InstalledFile) int64 { return 1 })
	number(fileInodes, func(i int, _ InstalledFile) int64 { return int64(i) + 1 })
	text(fileLanguages, func(f InstalledFile) string { return f.Lang })
	if slices.ContainsFunc(p.files, func(f InstalledFile) bool { return f.Color != 0 }) {
		number(fileColors, func(_ int, f InstalledFile) int64 { return f.Color })
	}
	if slices.ContainsFunc(p.files, func(f InstalledFile) bool { return f.Caps != "" }) {
		text(fileCaps, func(f InstalledFile) string { return f.Caps })
	}
	h.numbers(size, []int64{total})
	h.strings(payloadFormat, []string{"cpio"})
	h.strings(payloadCompressor, []string{"gzip"})
	h.strings(payloadFlags, []string{"1"})
	h.strings(payloadDigest, []string{hex.EncodeToString(p.digest)})
	h.numbers(payloadDigestKind, []int64{digestSHA256})
}

// dirOf is a path's directory as rpm writes it, with a slash at the end.
func dirOf(name string) string { dir, _ := path.Split(name); return dir }

// packFiles writes the payload: an archive of cpio in its form of 1990 ("newc"), compressed by gzip.
func packFiles(work io.Writer, files []InstalledFile, disk Disk, sha bool) (*packed, error) {
	p, digest := &packed{}, sha256.New()
	zip, err := gzip.NewWriterLevel(io.MultiWriter(work, digest), gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	c := &archiver{to: zip, disk: disk, newDigest: md5.New}
	if sha {
		c.newDigest = sha256.New
	}
	for _, f := range files {
		now, err := c.add(f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Path, err)
		}
		if now != nil {
			p.files = append(p.files, *now)
		}
	}
	if err := c.entry("TRAILER!!!", InstalledFile{}, 0); err != nil {
		return nil, err
	}
	if err := zip.Close(); err != nil {
		return nil, err
	}
	p.archive, p.digest = c.written, digest.Sum(nil)
	return p, nil
}

// archiver writes an archive of cpio.
type archiver struct {
	to        io.Writer
	disk      Disk
	newDigest func() hash.Hash
	written   int64
	inode     int64
}

// Bits of a mode's type, as in stat(2).
const (
	typeBits   = 0o170000
	typeDir    = 0o040000
	typeFile   = 0o100000
	typeLink   = 0o120000
	maxArchive = 1<<32 - 1
)

// add packs a path as it is on the disk now, and says what it is; nil if it is gone.
func (c *archiver) add(f InstalledFile) (*InstalledFile, error) {
	if f.Ghost() {
		c.inode++
		return &f, nil
	}
	now, err := c.onDisk(f)
	if err != nil || now == nil {
		return nil, err
	}
	switch now.Mode & typeBits {
	case typeFile:
		err = c.file(now)
	case typeLink:
		if err = c.entry("."+now.Path, *now, now.Size); err == nil {
			err = c.write([]byte(now.Target))
		}
	default:
		err = c.entry("."+now.Path, *now, 0)
	}
	return now, err
}

var errTooLarge = errors.New("it is larger than 4 GiB")

// file packs a regular file. One that grows or shrinks meanwhile is refused.
func (c *archiver) file(f *InstalledFile) error {
	if f.Size > maxArchive {
		return errTooLarge
	}
	in, err := c.disk.Open(f.Path)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := c.entry("."+f.Path, *f, f.Size); err != nil {
		return err
	}
	digest := c.newDigest()
	n, err := io.Copy(io.MultiWriter(c.to, digest), io.LimitReader(in, f.Size))
	c.written += n
	if err == nil && n != f.Size {
		err = errors.New("it has changed while it was read")
	}
	if err != nil {
		return err
	}
	f.Digest = hex.EncodeToString(digest.Sum(nil))
	return c.pad()
}

// entry writes the line of one path: fourteen numbers of eight hexadecimal digits, and the name.
func (c *archiver) entry(name string, f InstalledFile, size int64) error {
	links := 1
	if f.Mode&typeBits == typeDir {
		links = 2
	}
	if f.Path != "" {
		c.inode++
	}
	line := "070701"
	for _, n := range []int64{c.inode, int64(f.Mode), 0, 0, int64(links), f.Time, size, 0, 1, f.Device >> 8 & 0xff, f.Device & 0xff, int64(len(name) + 1), 0} {
		line += fmt.Sprintf("%08x", uint32(n))
	}
	return c.write([]byte(line + name + "\x00"))
}

// write writes bytes, and fills up to four.
func (c *archiver) write(data []byte) error {
	n, err := c.to.Write(data)
	c.written += int64(n)
	if err != nil {
		return err
	}
	return c.pad()
}

func (c *archiver) pad() error {
	n, err := c.to.Write(make([]byte, (4-c.written%4)%4))
	c.written += int64(n)
	return err
}
