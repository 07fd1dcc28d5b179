package sim

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
	"strconv"
	"strings"
	"time"

	"github.com/sassoftware/go-rpmutils"

	"zcp2kopano/runtime/host"
)

// rpmMagic begins every rpm (its "lead").
const rpmMagic = "\xed\xab\xee\xdb"

// readRPM reads an rpm: its header, which scriptlets it has, and its payload. Dependencies on what it
// provides itself are left in, as rpm shows them.
func readRPM(r io.ReaderAt, size int64, from string) (p *Package, err error) {
	defer func() {
		if recover() != nil { // the library trusts the offsets in the header
			p, err = nil, errors.New("not a readable rpm: its header is damaged")
		}
	}()
	if err := checkRPMHeaders(r, size); err != nil {
		return nil, err
	}
	pkg, err := rpmutils.ReadRpm(bufio.NewReader(io.NewSectionReader(r, 0, size)))
	if err != nil {
		return nil, fmt.Errorf("not a readable rpm: %w", err)
	}
	if !pkg.Header.HasTag(rpmutils.SOURCERPM) {
		return nil, errors.New("a source package, which installs nothing")
	}
	if p, err = rpmControl(pkg.Header); err != nil {
		return nil, err
	}
	p.From, p.FileSize, p.complete = from, size, true
	if err := rpmFiles(pkg.Header, p); err != nil {
		return nil, err
	}
	if err := rpmPayload(pkg, p); err != nil {
		return nil, fmt.Errorf("payload: %w", err)
	}
	return p, nil
}

// checkRPMHeaders makes sure that the two headers end within the file, before anything of the size that
// they claim is read.
func checkRPMHeaders(r io.ReaderAt, size int64) error {
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

func rpmControl(h *rpmutils.RpmHeader) (*Package, error) {
	id, err := h.GetNEVRA()
	if err != nil {
		return nil, fmt.Errorf("not a readable rpm: %w", err)
	}
	p := &Package{Format: RPM, Package: host.Package{
		Name: id.Name, Version: evr(id), Arch: id.Arch,
		Origin: rpmText(h, rpmutils.VENDOR), Summary: rpmText(h, rpmutils.SUMMARY), Source: rpmSource(rpmText(h, rpmutils.SOURCERPM)),
	}}
	if n, err := h.InstalledSize(); err == nil {
		p.SizeKiB = (n + 1023) / 1024
	}
	p.Source = cmp.Or(p.Source, p.Name)
	p.Depends = rpmRelations(h, rpmutils.REQUIRENAME, rpmutils.REQUIREFLAGS, rpmutils.REQUIREVERSION)
	p.Provides = rpmRelations(h, rpmutils.PROVIDENAME, rpmutils.PROVIDEFLAGS, rpmutils.PROVIDEVERSION)
	p.Conflicts = rpmRelations(h, rpmutils.CONFLICTNAME, rpmutils.CONFLICTFLAGS, rpmutils.CONFLICTVERSION)
	p.Obsoletes = rpmRelations(h, rpmutils.OBSOLETENAME, rpmutils.OBSOLETEFLAGS, rpmutils.OBSOLETEVERSION)
	p.Recommends = rpmRelations(h, tagRecommends, tagRecommendFlags, tagRecommendVersion)
	p.Scripts = rpmScripts(h)
	return p, nil
}

// evr writes a version as rpm's %{EVR}: the epoch only where there is one.
func evr(id *rpmutils.NEVRA) string {
	text := id.Version + "-" + id.Release
	if id.Epoch != "" && id.Epoch != "0" {
		text = id.Epoch + ":" + text
	}
	return text
}

func rpmText(h *rpmutils.RpmHeader, tag int) string {
	list, err := h.GetStrings(tag)
	if err != nil || len(list) == 0 {
		return ""
	}
	return list[0]
}

// rpmSource is the name in NAME-VERSION-RELEASE.src.rpm.
func rpmSource(file string) string {
	for range 2 {
		i := strings.LastIndexByte(file, '-')
		if i < 0 {
			return ""
		}
		file = file[:i]
	}
	return file
}

// rpmRelations writes dependencies as rpm prints them.
func rpmRelations(h *rpmutils.RpmHeader, names, flags, versions int) string {
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
			text += " " + rpmSense(senses[i]) + " " + numbers[i]
		}
		if !seen[text] {
			seen[text] = true
			all = append(all, text)
		}
	}
	return strings.Join(all, ", ")
}

func rpmSense(flags uint32) string {
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

func rpmScripts(h *rpmutils.RpmHeader) []string {
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

// rpmFiles takes the list of files from the header: also those that have no content in the payload.
func rpmFiles(h *rpmutils.RpmHeader, p *Package) error {
	list, err := h.GetFiles()
	if err != nil {
		return fmt.Errorf("list of files: %w", err)
	}
	firstName := map[[2]int]string{} // device and inode number to path, for hard links
	for _, info := range list {
		f := PackageFile{
			Path: path.Clean("/" + info.Name()), Mode: fileModeOf(uint32(info.Mode())), User: info.UserName(), Group: info.GroupName(),
			Size: info.Size(), Target: info.Linkname(), Digest: info.Digest(), Mtime: time.Unix(int64(info.Mtime()), 0),
			NoReplace: info.Flags()&rpmutils.RPMFILE_NOREPLACE != 0, Ghost: info.Flags()&rpmutils.RPMFILE_GHOST != 0,
			MissingOK: info.Flags()&rpmutils.RPMFILE_MISSINGOK != 0,
		}
		if !f.Mode.IsRegular() {
			f.Size = 0
		}
		if id := [2]int{info.Device(), info.Inode()}; f.Mode.IsRegular() && !f.Ghost && info.Inode() != 0 {
			f.Link = firstName[id]
			firstName[id] = cmp.Or(f.Link, f.Path)
		}
		if info.Flags()&rpmutils.RPMFILE_CONFIG != 0 {
			p.Conffiles = append(p.Conffiles, host.Conffile{Path: f.Path, MD5: f.Digest})
		}
		p.Files = append(p.Files, f)
	}
	p.setFiles(p.Files)
	return nil
}

// fileModeOf turns the mode of stat(2) into Go's.
func fileModeOf(mode uint32) fs.FileMode {
	perm, _ := parsePerm(strconv.FormatUint(uint64(mode&0o7777), 8))
	switch mode & 0o170000 {
	case 0o040000:
		return perm | fs.ModeDir
	case 0o120000:
		return perm | fs.ModeSymlink
	case 0o020000:
		return perm | fs.ModeDevice | fs.ModeCharDevice
	case 0o060000:
		return perm | fs.ModeDevice
	case 0o010000:
		return perm | fs.ModeNamedPipe
	case 0o140000:
		return perm | fs.ModeSocket
	}
	return perm
}

// rpmPayload takes the contents of files. Of several names of a file only the last one has it.
func rpmPayload(pkg *rpmutils.Rpm, p *Package) error {
	if len(p.Files) == 0 {
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
		f := p.at(path.Clean("/" + info.Name()))
		if f == nil || !f.Mode.IsRegular() || payload.IsLink() || info.Size() > contentLimit {
			continue
		}
		content, err := io.ReadAll(io.LimitReader(payload, info.Size()))
		if err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
		if f.Link != "" {
			f = p.at(f.Link)
		}
		f.Content = slices.Clip(content)
	}
}

// at is file, to be changed.
func (p *Package) at(name string) *PackageFile {
	i, ok := slices.BinarySearchFunc(p.Files, name, func(f PackageFile, s string) int { return cmp.Compare(f.Path, s) })
	if !ok {
		return nil
	}
	return &p.Files[i]
}
