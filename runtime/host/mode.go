package host

import (
	"io/fs"
	"syscall"
)

// The special permission bits of inode(7), and package io/fs's.
var specialBits = [...]struct {
	raw  uint32
	mode fs.FileMode
}{{syscall.S_ISUID, fs.ModeSetuid}, {syscall.S_ISGID, fs.ModeSetgid}, {syscall.S_ISVTX, fs.ModeSticky}}

// ModeOf spells an st_mode of inode(7), or permission bits of chmod(1) alone, as package io/fs does.
func ModeOf(raw uint32) fs.FileMode {
	mode := fs.FileMode(raw & 0o777)
	for _, special := range specialBits {
		if raw&special.raw != 0 {
			mode |= special.mode
		}
	}
	switch raw & syscall.S_IFMT {
	case syscall.S_IFDIR:
		mode |= fs.ModeDir
	case syscall.S_IFLNK:
		mode |= fs.ModeSymlink
	case syscall.S_IFIFO:
		mode |= fs.ModeNamedPipe
	case syscall.S_IFSOCK:
		mode |= fs.ModeSocket
	case syscall.S_IFBLK:
		mode |= fs.ModeDevice
	case syscall.S_IFCHR:
		mode |= fs.ModeDevice | fs.ModeCharDevice
	}
	return mode
}

// RawMode is the st_mode of inode(7), with the type. It is ModeOf backwards.
func RawMode(mode fs.FileMode) uint32 {
	bits := PermBits(mode)
	switch mode.Type() {
	case fs.ModeDir:
		return bits | syscall.S_IFDIR
	case fs.ModeSymlink:
		return bits | syscall.S_IFLNK
	case fs.ModeNamedPipe:
		return bits | syscall.S_IFIFO
	case fs.ModeSocket:
		return bits | syscall.S_IFSOCK
	case fs.ModeDevice:
		return bits | syscall.S_IFBLK
	case fs.ModeDevice | fs.ModeCharDevice:
		return bits | syscall.S_IFCHR
	}
	return bits | syscall.S_IFREG
}

// PermBits are the permissions as chmod(1) takes them: 0o1777 for a sticky directory of all.
func PermBits(mode fs.FileMode) uint32 {
	bits := uint32(mode.Perm())
	for _, special := range specialBits {
		if mode&special.mode != 0 {
			bits |= special.raw
		}
	}
	return bits
}
