package live

import (
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/host"
)

func statOf(st *unix.Stat_t) host.Stat {
	return host.Stat{
		Mode:  fileMode(st.Mode),
		UID:   st.Uid,
		GID:   st.Gid,
		Size:  st.Size,
		Nlink: uint64(st.Nlink),
		Ino:   st.Ino,
		Dev:   uint64(st.Dev),
		Rdev:  uint64(st.Rdev),
		Atime: time.Unix(st.Atim.Unix()),
		Mtime: time.Unix(st.Mtim.Unix()),
		Ctime: time.Unix(st.Ctim.Unix()),
	}
}

// fileMode spells the st_mode of inode(7) as package io/fs does.
func fileMode(bits uint32) fs.FileMode {
	mode := fs.FileMode(bits & 0o777)
	switch bits & unix.S_IFMT {
	case unix.S_IFDIR:
		mode |= fs.ModeDir
	case unix.S_IFLNK:
		mode |= fs.ModeSymlink
	case unix.S_IFIFO:
		mode |= fs.ModeNamedPipe
	case unix.S_IFSOCK:
		mode |= fs.ModeSocket
	case unix.S_IFBLK:
		mode |= fs.ModeDevice
	case unix.S_IFCHR:
		mode |= fs.ModeDevice | fs.ModeCharDevice
	}
	if bits&unix.S_ISUID != 0 {
		mode |= fs.ModeSetuid
	}
	if bits&unix.S_ISGID != 0 {
		mode |= fs.ModeSetgid
	}
	if bits&unix.S_ISVTX != 0 {
		mode |= fs.ModeSticky
	}
	return mode
}

// permBits and typeBits are the inverse of fileMode.
func permBits(mode fs.FileMode) uint32 {
	bits := uint32(mode.Perm())
	if mode&fs.ModeSetuid != 0 {
		bits |= unix.S_ISUID
	}
	if mode&fs.ModeSetgid != 0 {
		bits |= unix.S_ISGID
	}
	if mode&fs.ModeSticky != 0 {
		bits |= unix.S_ISVTX
	}
	return bits
}

func typeBits(mode fs.FileMode) uint32 {
	switch {
	case mode&fs.ModeDir != 0:
		return unix.S_IFDIR
	case mode&fs.ModeSymlink != 0:
		return unix.S_IFLNK
	case mode&fs.ModeNamedPipe != 0:
		return unix.S_IFIFO
	case mode&fs.ModeSocket != 0:
		return unix.S_IFSOCK
	case mode&fs.ModeCharDevice != 0:
		return unix.S_IFCHR
	case mode&fs.ModeDevice != 0:
		return unix.S_IFBLK
	}
	return unix.S_IFREG
}
