package signkey

import (
	"crypto/sha1"
	"encoding/hex"
	"strings"
)

// Fingerprints are those of the primary keys of a keyring (version 4: RFC 4880, 12.2), as gpg prints them, without
// blanks. A key in a form that is not known here has none.
func Fingerprints(keyring []byte) []string {
	var found []string
	for len(keyring) > 0 {
		tag, body, rest, ok := packet(keyring)
		if !ok {
			return found
		}
		keyring = rest
		if tag != publicKey || len(body) == 0 || body[0] != 4 || len(body) > 0xffff {
			continue
		}
		sum := sha1.Sum(append([]byte{0x99, byte(len(body) >> 8), byte(len(body))}, body...))
		found = append(found, strings.ToUpper(hex.EncodeToString(sum[:])))
	}
	return found
}

// publicKey is the tag of a primary key's packet (RFC 4880, 4.3).
const publicKey = 6

// packet takes the first packet off (RFC 4880, 4.2). Partial lengths are for data only, never for keys.
func packet(data []byte) (tag byte, body, rest []byte, ok bool) {
	if len(data) < 2 || data[0]&0x80 == 0 {
		return 0, nil, nil, false
	}
	var head, size int
	if data[0]&0x40 == 0 {
		tag = data[0] >> 2 & 0x0f
		octets := 1 << (data[0] & 3)
		if octets > 4 || len(data) < 1+octets {
			return 0, nil, nil, false
		}
		head = 1 + octets
		size = number(data[1:head])
	} else {
		tag = data[0] & 0x3f
		switch first := int(data[1]); {
		case first < 192:
			head, size = 2, first
		case first < 224 && len(data) > 2:
			head, size = 3, (first-192)<<8+int(data[2])+192
		case first == 255 && len(data) > 5:
			head, size = 6, number(data[2:6])
		default:
			return 0, nil, nil, false
		}
	}
	if size < 0 || size > len(data)-head {
		return 0, nil, nil, false
	}
	return tag, data[head : head+size], data[head+size:], true
}

func number(octets []byte) int {
	n := 0
	for _, o := range octets {
		n = n<<8 | int(o)
	}
	return n
}
