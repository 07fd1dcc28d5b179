package rpm

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

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
func ReadContents(r io.ReaderAt, size int64) (*Contents, error) {
	h, at, err := installable(r, size)
	if err != nil {
		return nil, err
	}
	c := contentsOf(h)
	sizes, err := c.readFiles(h)
	if err != nil {
		return nil, fmt.Errorf("list of files: %w", err)
	}
	if err := c.readPayload(io.NewSectionReader(r, at, size-at), h, sizes); err != nil {
		return nil, fmt.Errorf("payload: %w", err)
	}
	return c, nil
}

// ReadFile reads what a package file says of itself. A dependency is met by each name that the file's directory may
// have for it.
func (System) ReadFile(r io.ReaderAt, size int64) (host.PackageFile, error) {
	h, _, err := installable(r, size)
	if err != nil {
		return host.PackageFile{}, err
	}
	c := contentsOf(h)
	p := host.PackageFile{Name: c.Name, Arch: c.Arch, Version: c.Version}
	for _, relation := range (System{}).ParseRelations(c.Depends) {
		var names []string
		for _, one := range relation.Possibilities {
			if !one.Substvar {
				names = append(names, one.Name)
			}
		}
		if len(names) > 0 {
			p.Needs = append(p.Needs, names)
		}
	}
	for _, relation := range (System{}).ParseRelations(c.Provides) {
		for _, one := range relation.Possibilities {
			p.Provides = append(p.Provides, one.Name)
		}
	}
	return p, nil
}

// installable reads the header of a package file that installs something.
func installable(r io.ReaderAt, size int64) (h header, payload int64, err error) {
	if h, payload, err = headers(r, size); err != nil {
		return nil, 0, err
	}
	if !h.has(tagSourceRPM) {
		return nil, 0, errors.New("a source package, which installs nothing")
	}
	for _, tag := range []uint32{tagName, tagVersion, tagRelease, tagArch} {
		if h.text(tag) == "" {
			return nil, 0, errHeader
		}
	}
	return h, payload, nil
}

func contentsOf(h header) *Contents {
	epoch := ""
	if list := h.numbers(tagEpoch); len(list) > 0 {
		epoch = strconv.FormatUint(list[0], 10)
	}
	c := &Contents{Package: host.Package{
		Name: h.text(tagName), Version: EVR(epoch, h.text(tagVersion)+"-"+h.text(tagRelease)), Arch: h.text(tagArch),
		Origin: h.text(tagVendor), Summary: h.text(tagSummary),
		Source:  SourceName(h.text(tagSourceRPM), h.text(tagName)),
		SizeKiB: int64((at(h.wide(tagSize, tagLongSize), 0)&math.MaxInt64 + 1023) / 1024),
	}}
	c.Depends = relations(h, tagRequireName, tagRequireFlags, tagRequireVersion)
	c.Provides = relations(h, tagProvideName, tagProvideFlags, tagProvideVersion)
	c.Conflicts = relations(h, tagConflictName, tagConflictFlags, tagConflictVersion)
	c.Obsoletes = relations(h, tagObsoleteName, tagObsoleteFlags, tagObsoleteVersion)
	c.Recommends = relations(h, tagRecommends, tagRecommendFlags, tagRecommendVersion)
	c.Scripts = scriptlets(h)
	return c
}

// relations writes dependencies as rpm prints them.
func relations(h header, names, flags, versions uint32) string {
	senses, numbers := h.numbers(flags), h.texts(versions)
	seen := map[string]bool{}
	var all []string
	for i, text := range h.texts(names) {
		if i < len(senses) && i < len(numbers) && numbers[i] != "" {
			text += " " + sense(senses[i]) + " " + numbers[i]
		}
		if !seen[text] {
			seen[text] = true
			all = append(all, text)
		}
	}
	return strings.Join(all, ", ")
}

func sense(flags uint64) string {
	text := ""
	for _, s := range []struct {
		bit  uint64
		sign string
	}{{1 << 1, "<"}, {1 << 2, ">"}, {1 << 3, "="}} {
		if flags&s.bit != 0 {
			text += s.sign
		}
	}
	return text
}

// scriptlets are the names of those that a package has.
func scriptlets(h header) []string {
	var scripts []string
	for _, s := range []struct {
		name string
		tags []uint32
	}{
		{"pretrans", []uint32{tagPretrans, tagPretransProg}}, {"pre", []uint32{tagPre, tagPreProg}},
		{"post", []uint32{tagPost, tagPostProg}}, {"preun", []uint32{tagPreun, tagPreunProg}},
		{"postun", []uint32{tagPostun, tagPostunProg}}, {"posttrans", []uint32{tagPosttrans, tagPosttransProg}},
		{"triggers", []uint32{tagTriggerScripts, tagFileTriggers, tagTransTriggers}},
	} {
		if slices.ContainsFunc(s.tags, h.has) {
			scripts = append(scripts, s.name)
		}
	}
	return scripts
}

// readFiles takes the list of files from the header: also those that have no content in the payload. It returns how
// much each has there.
func (c *Contents) readFiles(h header) ([]int64, error) {
	names, err := h.files()
	if err != nil {
		return nil, err
	}
	sizes, modes, mtimes := h.wide(tagFileSizes, tagLongFileSizes), h.numbers(tagFileModes), h.numbers(tagFileMtimes)
	flags, devices, inodes := h.numbers(tagFileFlags), h.numbers(tagFileDevices), h.numbers(tagFileInodes)
	digests, targets := h.texts(tagFileDigests), h.texts(tagFileLinkTos)
	users, groups := h.texts(tagFileUserName), h.texts(tagFileGroupName)
	firstName, lastName := map[[2]uint64]string{}, map[[2]uint64]int{} // device and inode number, for hard links
	packed := make([]int64, len(names))
	for i, name := range names {
		flag := at(flags, i)
		f := host.PackedFile{
			Path: path.Clean("/" + name), Mode: host.ModeOf(uint32(at(modes, i))), User: at(users, i), Group: at(groups, i),
			Size: int64(at(sizes, i) & math.MaxInt64), Target: at(targets, i), Digest: at(digests, i), Mtime: time.Unix(int64(uint32(at(mtimes, i))), 0),
			NoReplace: flag&fileNoReplace != 0, Ghost: flag&fileIsGhost != 0, MissingOK: flag&fileMissingOK != 0,
		}
		if !f.Mode.IsRegular() {
			f.Size = 0
		}
		packed[i] = f.Size + int64(len(f.Target))
		if id := [2]uint64{at(devices, i), at(inodes, i)}; f.Mode.IsRegular() && !f.Ghost && id[1] != 0 {
			f.Link = firstName[id]
			firstName[id] = cmp.Or(f.Link, f.Path)
			if last, again := lastName[id]; again {
				packed[last] = 0
			}
			lastName[id] = i
		}
		if flag&fileIsConfig != 0 {
			c.Conffiles = append(c.Conffiles, host.Conffile{Path: f.Path, MD5: f.Digest})
		}
		c.Files = append(c.Files, f)
	}
	c.Files = System{}.Owned(c.Files)
	return packed, nil
}

// Owned puts the files that a package owns in order. It owns what it lists, and nothing else.
func (System) Owned(files []host.PackedFile) []host.PackedFile {
	host.SortPacked(files)
	return slices.CompactFunc(files, func(a, b host.PackedFile) bool { return a.Path == b.Path })
}

// readPayload takes the contents of files. Of several names of a file only the last one has it.
func (c *Contents) readPayload(r io.Reader, h header, sizes []int64) error {
	if len(c.Files) == 0 {
		return nil
	}
	names, err := h.files()
	if err != nil {
		return err
	}
	archive, unpacked, err := openPayload(r, h, sizes)
	if err != nil {
		return err
	}
	defer unpacked.Close()
	for {
		m, err := archive.next()
		if err == io.EOF {
			_, err := io.Copy(io.Discard, archive.in) // the sum of what was unpacked stands behind it
			return err
		}
		if err != nil {
			return err
		}
		if m.index >= 0 {
			m.name = names[m.index]
		}
		i := host.FindPacked(c.Files, path.Clean("/"+m.name))
		if i < 0 {
			return fmt.Errorf("%q is not among the files of the package", m.name)
		}
		if f := c.Files[i]; !f.Mode.IsRegular() || m.size == 0 && f.Size > 0 || m.size > host.PackedContent {
			continue
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			return fmt.Errorf("%s: %w", c.Files[i].Path, err)
		}
		if link := c.Files[i].Link; link != "" {
			i = host.FindPacked(c.Files, link)
		}
		c.Files[i].Content = slices.Clip(content)
	}
}
