package sim

import (
	"crypto/md5"  // the digest of dpkg's conffile records, and of old rpms
	"crypto/sha1" // of rpms in between
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"strings"
)

func md5Of(content []byte) string {
	sum := md5.Sum(content)
	return hex.EncodeToString(sum[:])
}

// sha256Like stands for a digest of the kind that rpm makes today.
var sha256Like = strings.Repeat("0", 2*sha256.Size)

// digestOf is the digest of a content, of the same kind as another digest; empty where that is none.
func digestOf(content []byte, like string) string {
	switch len(like) / 2 {
	case md5.Size:
		return md5Of(content)
	case sha1.Size:
		sum := sha1.Sum(content)
		return hex.EncodeToString(sum[:])
	case sha256.Size:
		sum := sha256.Sum256(content)
		return hex.EncodeToString(sum[:])
	case sha512.Size384:
		sum := sha512.Sum384(content)
		return hex.EncodeToString(sum[:])
	case sha512.Size:
		sum := sha512.Sum512(content)
		return hex.EncodeToString(sum[:])
	}
	return ""
}
