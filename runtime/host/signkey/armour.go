// Package signkey gets the public keys that sign repositories, and knows their forms.
package signkey

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
)

const (
	armourBegin = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
	armourEnd   = "-----END PGP PUBLIC KEY BLOCK-----"
)

// dearmour takes the ASCII armour (RFC 4880, 6.2) off a public key. Several blocks become one keyring. What
// is neither armoured nor plainly something else is passed on as it is: the package manager is the
// judge of keys, and a probe asks it before anything is changed.
func dearmour(data []byte) ([]byte, error) {
	switch {
	case len(data) == 0:
		return nil, errors.New("it is empty")
	case bytes.HasPrefix(bytes.TrimSpace(data), []byte("<")):
		return nil, errors.New("it is a web page, not a key; does the page ask to log in?")
	case bytes.Contains(data, []byte("PGP PRIVATE KEY")):
		return nil, errors.New("it is a private key; the repository's public key is needed")
	case !bytes.Contains(data, []byte(armourBegin)):
		return data, nil
	}
	var keyring []byte
	rest := strings.ReplaceAll(string(data), "\r\n", "\n")
	for {
		_, block, found := strings.Cut(rest, armourBegin+"\n")
		if !found {
			break
		}
		body, after, found := strings.Cut(block, armourEnd)
		if !found {
			return nil, errors.New("it ends within its armour; was it cut short?")
		}
		key, err := decodeBlock(body)
		if err != nil {
			return nil, err
		}
		keyring, rest = append(keyring, key...), after
	}
	return keyring, nil
}

// decodeBlock decodes what stands between the armour's two lines: headers, a blank line, base64, and
// mostly a checksum.
func decodeBlock(body string) ([]byte, error) {
	lines := strings.Split(body, "\n")
	for i, line := range lines {
		if strings.TrimSpace(line) == "" {
			lines = lines[i+1:]
			break
		}
		if !strings.Contains(line, ": ") {
			lines = lines[i:]
			break
		}
	}
	var text, sum string
	for _, line := range lines {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "=") {
			sum = line[1:]
			break
		}
		text += line
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(key) == 0 || key[0]&0x80 == 0 {
		return nil, errors.New("its armour does not decode to a key")
	}
	if sum == "" {
		return key, nil
	}
	want, err := base64.StdEncoding.DecodeString(sum)
	if err != nil || len(want) != 3 {
		return nil, errors.New("its checksum is unreadable")
	}
	got := crc24(key)
	if got != uint32(want[0])<<16|uint32(want[1])<<8|uint32(want[2]) {
		return nil, errors.New("its checksum does not fit: it was changed or cut on the way")
	}
	return key, nil
}

// crc24 is the armour's checksum (RFC 4880, 6.1).
func crc24(data []byte) uint32 {
	crc := uint32(0xB704CE)
	for _, b := range data {
		crc ^= uint32(b) << 16
		for range 8 {
			crc <<= 1
			if crc&0x1000000 != 0 {
				crc ^= 0x1864CFB
			}
		}
	}
	return crc & 0xFFFFFF
}

// Armour puts a keyring into the form that rpm imports.
func Armour(keyring []byte) string {
	var b strings.Builder
	b.WriteString(armourBegin + "\n\n")
	text := base64.StdEncoding.EncodeToString(keyring)
	for len(text) > 64 {
		b.WriteString(text[:64] + "\n")
		text = text[64:]
	}
	sum := crc24(keyring)
	b.WriteString(text + "\n=" + base64.StdEncoding.EncodeToString([]byte{byte(sum >> 16), byte(sum >> 8), byte(sum)}) + "\n" + armourEnd + "\n")
	return b.String()
}
