package rpm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
)

// header is one of a package file's: lists of numbers or texts, by tag. What a package file says is not to be trusted:
// every place in it is looked at before it is used, and what is not there is an empty list.
type header map[uint32]field

type field struct {
	kind  uint32
	count int
	data  []byte // from where it begins to the end of all data
}

// The kinds of fields (rpmTagType of rpm's headers).
const (
	kindInt16   = 3
	kindInt32   = 4
	kindInt64   = 5
	kindText    = 6
	kindTexts   = 8
	kindMessage = 9
)

// The tags that are read (rpmTag).
const (
	tagName             = 1000
	tagVersion          = 1001
	tagRelease          = 1002
	tagEpoch            = 1003
	tagSummary          = 1004
	tagSize             = 1009
	tagVendor           = 1011
	tagArch             = 1022
	tagPre              = 1023
	tagPost             = 1024
	tagPreun            = 1025
	tagPostun           = 1026
	tagOldFileNames     = 1027
	tagFileSizes        = 1028
	tagFileModes        = 1030
	tagFileMtimes       = 1034
	tagFileDigests      = 1035
	tagFileLinkTos      = 1036
	tagFileFlags        = 1037
	tagFileUserName     = 1039
	tagFileGroupName    = 1040
	tagSourceRPM        = 1044
	tagProvideName      = 1047
	tagRequireFlags     = 1048
	tagRequireName      = 1049
	tagRequireVersion   = 1050
	tagConflictFlags    = 1053
	tagConflictName     = 1054
	tagConflictVersion  = 1055
	tagTriggerScripts   = 1065
	tagPreProg          = 1085
	tagPostProg         = 1086
	tagPreunProg        = 1087
	tagPostunProg       = 1088
	tagObsoleteName     = 1090
	tagFileDevices      = 1095
	tagFileInodes       = 1096
	tagProvideFlags     = 1112
	tagProvideVersion   = 1113
	tagObsoleteFlags    = 1114
	tagObsoleteVersion  = 1115
	tagDirIndexes       = 1116
	tagBaseNames        = 1117
	tagDirNames         = 1118
	tagPayloadFormat    = 1124
	tagCompressor       = 1125
	tagPretrans         = 1151
	tagPosttrans        = 1152
	tagPretransProg     = 1153
	tagPosttransProg    = 1154
	tagLongFileSizes    = 5008
	tagLongSize         = 5009
	tagRecommends       = 5046
	tagRecommendVersion = 5047
	tagRecommendFlags   = 5048
	tagFileTriggers     = 5066
	tagTransTriggers    = 5076
)

// headerLimit bounds a header, listLimit a list in it. That of a kernel has about a MiB.
const (
	headerLimit = 32 << 20
	listLimit   = 1 << 20
)

var errHeader = errors.New("not a readable rpm: it ends within its header, or the header is damaged")

// headers reads the header of a package file, which comes behind a lead of fixed size and the header of its signatures.
// payload is where that begins.
func headers(r io.ReaderAt, size int64) (h header, payload int64, err error) {
	const lead = 96
	_, at, err := readHeader(r, lead, size)
	if err != nil {
		return nil, 0, err
	}
	return readHeader(r, (at+7)/8*8, size)
}

// readHeader reads the header at a place, and tells where it ends.
func readHeader(r io.ReaderAt, at, size int64) (h header, end int64, err error) {
	const intro, index = 16, 16
	head := make([]byte, intro)
	if _, err := r.ReadAt(head, at); err != nil || !bytes.HasPrefix(head, []byte{0x8e, 0xad, 0xe8, 0x01}) {
		return nil, 0, errHeader
	}
	entries, length := int64(binary.BigEndian.Uint32(head[8:])), int64(binary.BigEndian.Uint32(head[12:]))
	end = at + intro + entries*index + length
	if end > size || end-at > headerLimit {
		return nil, 0, errHeader
	}
	all := make([]byte, end-at-intro)
	if _, err := r.ReadAt(all, at+intro); err != nil && err != io.EOF {
		return nil, 0, fmt.Errorf("not a readable rpm: %w", err)
	}
	data := all[entries*index:]
	h = header{}
	for e := range slices.Chunk(all[:entries*index], index) {
		place, count := binary.BigEndian.Uint32(e[8:]), binary.BigEndian.Uint32(e[12:])
		if int64(place) > length || int64(count) > length || count > listLimit && isText(binary.BigEndian.Uint32(e[4:])) {
			return nil, 0, errHeader
		}
		h[binary.BigEndian.Uint32(e)] = field{binary.BigEndian.Uint32(e[4:]), int(count), data[place:]}
	}
	return h, end, nil
}

func (h header) has(tag uint32) bool {
	_, ok := h[tag]
	return ok
}

func isText(kind uint32) bool { return kind == kindText || kind == kindTexts || kind == kindMessage }

// texts are those of a field, as many as are whole.
func (h header) texts(tag uint32) []string {
	f := h[tag]
	if !isText(f.kind) {
		return nil
	}
	var list []string
	rest := f.data
	for range f.count {
		text, more, whole := bytes.Cut(rest, []byte{0})
		if !whole {
			return list
		}
		list, rest = append(list, string(text)), more
	}
	return list
}

// text is the first of a field.
func (h header) text(tag uint32) string {
	if list := h.texts(tag); len(list) > 0 {
		return list[0]
	}
	return ""
}

// numbers are those of a field, as many as are whole.
func (h header) numbers(tag uint32) []uint64 {
	f := h[tag]
	width := map[uint32]int{kindInt16: 2, kindInt32: 4, kindInt64: 8}[f.kind]
	if width == 0 {
		return nil
	}
	list := make([]uint64, min(f.count, len(f.data)/width))
	for i := range list {
		for _, b := range f.data[i*width : (i+1)*width] {
			list[i] = list[i]<<8 | uint64(b)
		}
	}
	return list
}

// wide are the numbers of a field, or of the one that takes its place where they are too large for it.
func (h header) wide(tag, long uint32) []uint64 {
	if h.has(long) {
		return h.numbers(long)
	}
	return h.numbers(tag)
}

// files are the paths of the package's files.
func (h header) files() ([]string, error) {
	names, dirs, indexes := h.texts(tagBaseNames), h.texts(tagDirNames), h.numbers(tagDirIndexes)
	if len(names) == 0 {
		return h.texts(tagOldFileNames), nil
	}
	if len(indexes) != len(names) {
		return nil, errHeader
	}
	for i, dir := range indexes {
		if dir >= uint64(len(dirs)) {
			return nil, errHeader
		}
		names[i] = path.Join(dirs[dir], names[i])
	}
	return names, nil
}

// at is the number at a place of a list, 0 behind its end.
func at[T any](list []T, i int) (v T) {
	if i < len(list) {
		v = list[i]
	}
	return v
}
