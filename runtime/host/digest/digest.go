// Package digest makes digests of the kinds that package databases record.
package digest

import (
	"crypto/md5"  // the digest of dpkg's conffile records, and of old rpms
	"crypto/sha1" // of rpms in between
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"strings"
)

// MD5 is what dpkg records of configuration files.
func MD5(content []byte) string {
	sum := md5.Sum(content)
	return hex.EncodeToString(sum[:])
}

// SHA256Like stands for a digest of the kind that rpm makes today.
var SHA256Like = strings.Repeat("0", 2*sha256.Size)

// Of is the digest of a content, of the same kind as another digest; empty where that is none.
func Of(content []byte, like string) string {
	switch len(like) / 2 {
	case md5.Size:
		return MD5(content)
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
