package pkg

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

// dearmour takes the ASCII armour (RFC 4880, 6.2) off a public key: every version of apt reads the
// binary form, only those since 1.4 the armoured one. Keys that are binary already are left alone.
// Several blocks become one keyring.
func dearmour(data []byte) ([]byte, error) {
	if len(data) > 0 && data[0]&0x80 != 0 { // the first bit of every packet (RFC 4880, 4.2)
		return data, nil
	}
	if bytes.Contains(data, []byte("PRIVATE KEY")) {
		return nil, errors.New("it is a private key; the repository's public key is needed")
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
	if keyring == nil {
		return nil, errors.New("it is no OpenPGP public key; is it a page that asks to log in?")
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
