package rpm

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/sassoftware/go-rpmutils"

	"zcp2kopano/runtime/host"
)

// Magic begins every package file (its "lead").
const Magic = "\xed\xab\xee\xdb"

// Contents is what a package file says of itself, and what it brings.
type Contents struct {
	host.Package
	Recommends, Obsoletes string
	Scripts               []string // names of the scriptlets that it has
	Files                 []host.PackedFile
}

// ReadContents reads a package file: its header, which scriptlets it has, and its payload. Dependencies on what
// it provides itself are left in, as rpm shows them.
func ReadContents(r io.ReaderAt, size int64) (c *Contents, err error) {
	defer func() {
		if recover() != nil { // the library trusts the offsets in the header
			c, err = nil, errors.New("not a readable rpm: its header is damaged")
		}
	}()
	if err := checkHeaders(r, size); err != nil {
		return nil, err
	}
	pkg, err := rpmutils.ReadRpm(bufio.NewReader(io.NewSectionReader(r, 0, size)))
	if err != nil {
		return nil, fmt.Errorf("not a readable rpm: %w", err)
	}
	if !pkg.Header.HasTag(rpmutils.SOURCERPM) {
		return nil, errors.New("a source package, which installs nothing")
	}
	if c, err = readHeader(pkg.Header); err != nil {
		return nil, err
	}
	if err := c.readFiles(pkg.Header); err != nil {
		return nil, err
	}
	if err := c.readPayload(pkg); err != nil {
		return nil, fmt.Errorf("payload: %w", err)
	}
	return c, nil
}

// checkHeaders makes sure that the two headers end within the file, before anything of the size that
// they claim is read.
func checkHeaders(r io.ReaderAt, size int64) error {
	const lead, intro = 96, 16
	at := int64(lead)
	for range 2 { // the signatures, and the header itself
		head := make([]byte, intro)
		if _, err := r.ReadAt(head, at); err != nil {
			return errors.New("not a readable rpm: it ends within its header")
		}
		entries, data := int64(binary.BigEndian.Uint32(head[8:])), int64(binary.BigEndian.Uint32(head[12:]))
		at += intro + entries*16 + data
		if at > size {
			return errors.New("not a readable rpm: it ends within its header")
		}
		at = (at + 7) / 8 * 8
	}
	return nil
}

// Tags that the library has no name for.
const (
	tagPretrans         = 1151
	tagPosttrans        = 1152
	tagPretransProg     = 1153
	tagPosttransProg    = 1154
	tagRecommends       = 5046
	tagRecommendVersion = 5047
	tagRecommendFlags   = 5048
	tagFileTriggers     = 5066
	tagTransTriggers    = 5076
)

func readHeader(h *rpmutils.RpmHeader) (*Contents, error) {
	id, err := h.GetNEVRA()
	if err != nil {
		return nil, fmt.Errorf("not a readable rpm: %w", err)
	}
	c := &Contents{Package: host.Package{
		Name: id.Name, Version: EVR(id.Epoch, id.Version+"-"+id.Release), Arch: id.Arch,
		Origin: headerText(h, rpmutils.VENDOR), Summary: headerText(h, rpmutils.SUMMARY),
		Source: SourceName(headerText(h, rpmutils.SOURCERPM), id.Name),
	}}
	if n, err := h.InstalledSize(); err == nil {
		c.SizeKiB = (n + 1023) / 1024
	}
	c.Depends = headerRelations(h, rpmutils.REQUIRENAME, rpmutils.REQUIREFLAGS, rpmutils.REQUIREVERSION)
	c.Provides = headerRelations(h, rpmutils.PROVIDENAME, rpmutils.PROVIDEFLAGS, rpmutils.PROVIDEVERSION)
	c.Conflicts = headerRelations(h, rpmutils.CONFLICTNAME, rpmutils.CONFLICTFLAGS, rpmutils.CONFLICTVERSION)
	c.Obsoletes = headerRelations(h, rpmutils.OBSOLETENAME, rpmutils.OBSOLETEFLAGS, rpmutils.OBSOLETEVERSION)
	c.Recommends = headerRelations(h, tagRecommends, tagRecommendFlags, tagRecommendVersion)
	c.Scripts = scriptlets(h)
	return c, nil
}

func headerText(h *rpmutils.RpmHeader, tag int) string {
	list, err := h.GetStrings(tag)
	if err != nil || len(list) == 0 {
		return ""
	}
	return list[0]
}

// headerRelations writes dependencies as rpm prints them.
func headerRelations(h *rpmutils.RpmHeader, names, flags, versions int) string {
	list, err := h.GetStrings(names)
	if err != nil {
		return ""
	}
	senses, err1 := h.GetUint32s(flags)
	numbers, err2 := h.GetStrings(versions)
	seen := map[string]bool{}
	var all []string
	for i, text := range list {
		if err1 == nil && err2 == nil && i < len(senses) && i < len(numbers) && numbers[i] != "" {
			text += " " + sense(senses[i]) + " " + numbers[i]
		}
		if !seen[text] {
			seen[text] = true
			all = append(all, text)
		}
	}
	return strings.Join(all, ", ")
}

func sense(flags uint32) string {
	text := ""
	for _, s := range []struct {
		bit  uint32
		sign string
	}{{rpmutils.RPMSENSE_LESS, "<"}, {rpmutils.RPMSENSE_GREATER, ">"}, {rpmutils.RPMSENSE_EQUAL, "="}} {
		if flags&s.bit != 0 {
			text += s.sign
		}
	}
	return text
}

// scriptlets are the names of those that a package has.
func scriptlets(h *rpmutils.RpmHeader) []string {
	var scripts []string
	for _, s := range []struct {
		name string
		tags []int
	}{
		{"pretrans", []int{tagPretrans, tagPretransProg}}, {"pre", []int{rpmutils.PREIN, rpmutils.PREINPROG}},
		{"post", []int{rpmutils.POSTIN, rpmutils.POSTINPROG}}, {"preun", []int{rpmutils.PREUN, rpmutils.PREUNPROG}},
		{"postun", []int{rpmutils.POSTUN, rpmutils.POSTUNPROG}}, {"posttrans", []int{tagPosttrans, tagPosttransProg}},
		{"triggers", []int{rpmutils.TRIGGERSCRIPTS, tagFileTriggers, tagTransTriggers}},
	} {
		if slices.ContainsFunc(s.tags, h.HasTag) {
			scripts = append(scripts, s.name)
		}
	}
	return scripts
}

// readFiles takes the list of files from the header: also those that have no content in the payload.
func (c *Contents) readFiles(h *rpmutils.RpmHeader) error {
	list, err := h.GetFiles()
	if err != nil {
		return fmt.Errorf("list of files: %w", err)
	}
	firstName := map[[2]int]string{} // device and inode number to path, for hard links
	for _, info := range list {
		f := host.PackedFile{
			Path: path.Clean("/" + info.Name()), Mode: fileMode(uint32(info.Mode())), User: info.UserName(), Group: info.GroupName(),
			Size: info.Size(), Target: info.Linkname(), Digest: info.Digest(), Mtime: time.Unix(int64(info.Mtime()), 0),
			NoReplace: info.Flags()&fileNoReplace != 0, Ghost: info.Flags()&fileIsGhost != 0, MissingOK: info.Flags()&fileMissingOK != 0,
		}
		if !f.Mode.IsRegular() {
			f.Size = 0
		}
		if id := [2]int{info.Device(), info.Inode()}; f.Mode.IsRegular() && !f.Ghost && info.Inode() != 0 {
			f.Link = firstName[id]
			firstName[id] = cmp.Or(f.Link, f.Path)
		}
		if info.Flags()&fileIsConfig != 0 {
			c.Conffiles = append(c.Conffiles, host.Conffile{Path: f.Path, MD5: f.Digest})
		}
		c.Files = append(c.Files, f)
	}
	c.Files = Owned(c.Files)
	return nil
}

// Owned puts the files that a package owns in order. It owns what it lists, and nothing else.
func Owned(files []host.PackedFile) []host.PackedFile {
	host.SortPacked(files)
	return slices.CompactFunc(files, func(a, b host.PackedFile) bool { return a.Path == b.Path })
}

// fileMode turns the mode of stat(2) into Go's.
func fileMode(mode uint32) fs.FileMode {
	m := fs.FileMode(mode & 0o777)
	for _, bit := range []struct {
		stat uint32
		mode fs.FileMode
	}{{0o4000, fs.ModeSetuid}, {0o2000, fs.ModeSetgid}, {0o1000, fs.ModeSticky}} {
		if mode&bit.stat != 0 {
			m |= bit.mode
		}
	}
	switch mode & 0o170000 {
	case 0o040000:
		return m | fs.ModeDir
	case 0o120000:
		return m | fs.ModeSymlink
	case 0o020000:
		return m | fs.ModeDevice | fs.ModeCharDevice
	case 0o060000:
		return m | fs.ModeDevice
	case 0o010000:
		return m | fs.ModeNamedPipe
	case 0o140000:
		return m | fs.ModeSocket
	}
	return m
}

// readPayload takes the contents of files. Of several names of a file only the last one has it.
func (c *Contents) readPayload(pkg *rpmutils.Rpm) error {
	if len(c.Files) == 0 {
		return nil
	}
	payload, err := pkg.PayloadReaderExtended()
	if err != nil {
		return err
	}
	for {
		info, err := payload.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		i := host.FindPacked(c.Files, path.Clean("/"+info.Name()))
		if i < 0 || !c.Files[i].Mode.IsRegular() || payload.IsLink() || info.Size() > host.PackedContent {
			continue
		}
		content, err := io.ReadAll(io.LimitReader(payload, info.Size()))
		if err != nil {
			return fmt.Errorf("%s: %w", c.Files[i].Path, err)
		}
		if link := c.Files[i].Link; link != "" {
			i = host.FindPacked(c.Files, link)
		}
		c.Files[i].Content = slices.Clip(content)
	}
}
