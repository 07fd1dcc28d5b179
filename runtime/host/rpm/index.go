package rpm

import (
	"encoding/binary"
	"slices"
)

// newHeader is one of the two of a package file that is written: an index of tags, and their values behind it.
type newHeader struct {
	start   uint32 // the tag that stands before all others and covers them
	entries []newField
}

type newField struct {
	tag   uint32
	kind  kind
	count int
	data  []byte
}

// strings adds texts. Nothing is added of an empty list: a header knows no empty array.
func (h *newHeader) strings(t tag, values []string) {
	if len(values) == 0 {
		return
	}
	as := t.kind
	switch {
	case as == kindOneOrMore && len(values) == 1:
		as = kindText
	case as == kindOneOrMore:
		as = kindTexts
	}
	if as == kindText {
		values = values[:1]
	}
	var data []byte
	for _, v := range values {
		data = append(append(data, v...), 0)
	}
	h.entries = append(h.entries, newField{t.number, as, len(values), data})
}

// numbers adds integers.
func (h *newHeader) numbers(t tag, values []int64) {
	if len(values) == 0 {
		return
	}
	var data []byte
	for _, v := range values {
		switch t.kind {
		case kindInt16:
			data = binary.BigEndian.AppendUint16(data, uint16(v))
		default:
			data = binary.BigEndian.AppendUint32(data, uint32(v))
		}
	}
	h.entries = append(h.entries, newField{t.number, t.kind, len(values), data})
}

func (h *newHeader) binary(t tag, data []byte) {
	h.entries = append(h.entries, newField{t.number, t.kind, len(data), data})
}

var headerMagic = []byte{0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0}

// bytes is the header as it stands in the file.
func (h *newHeader) bytes() []byte {
	slices.SortStableFunc(h.entries, func(a, b newField) int { return int(a.tag) - int(b.tag) })
	count := len(h.entries) + 1
	var index, data []byte
	line := func(to []byte, tag uint32, as kind, offset, count int) []byte {
		to = binary.BigEndian.AppendUint32(to, tag)
		to = binary.BigEndian.AppendUint32(to, uint32(as))
		to = binary.BigEndian.AppendUint32(to, uint32(int32(offset)))
		return binary.BigEndian.AppendUint32(to, uint32(count))
	}
	for _, e := range h.entries {
		for width := map[kind]int{kindInt16: 2, kindInt32: 4}[e.kind]; width > 0 && len(data)%width != 0; {
			data = append(data, 0)
		}
		index = line(index, e.tag, e.kind, len(data), e.count)
		data = append(data, e.data...)
	}
	// What covers all: an entry whose value is the last, a copy of itself that says how far it goes back.
	index = append(line(nil, h.start, kindBytes, len(data), 16), index...)
	data = line(data, h.start, kindBytes, -16*count, 16)

	all := slices.Clone(headerMagic)
	all = binary.BigEndian.AppendUint32(all, uint32(count))
	all = binary.BigEndian.AppendUint32(all, uint32(len(data)))
	return append(append(all, index...), data...)
}
