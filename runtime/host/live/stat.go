package live

import (
	"time"

	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/host"
)

func statOf(st *unix.Stat_t) host.Stat {
	return host.Stat{
		Mode:  host.ModeOf(st.Mode),
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
