package live

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/fstab"
)

// Mounts reads the mount table as the kernel shows it to this process. For a host in a directory, it
// lists the mounts inside, and the one that the directory lies on as "/".
func (m *machine) Mounts() ([]host.Mount, error) {
	mounts, err := mountTable()
	if err != nil || !m.files.chrooted() {
		return mounts, err
	}
	return mountsBelow(mounts, m.files.path), nil
}

func mountTable() ([]host.Mount, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("mount table (is /proc mounted?): %w", err)
	}
	return parseMountinfo(data)
}

// parseMountinfo reads lines as proc(5) describes them:
//
//	36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
//
// There may be any number of optional fields before the "-".
func parseMountinfo(data []byte) ([]host.Mount, error) {
	var mounts []host.Mount
	for line := range bytes.Lines(data) {
		fields := strings.Fields(string(line))
		if len(fields) == 0 {
			continue
		}
		dash := 6
		for dash < len(fields) && fields[dash] != "-" {
			dash++
		}
		if len(fields) < dash+4 {
			return nil, fmt.Errorf("mount table: malformed line %q", bytes.TrimSpace(line))
		}
		device, err := parseDevice(fields[2])
		if err != nil {
			return nil, err
		}
		mounts = append(mounts, host.Mount{
			Point:    fstab.Unescape(fields[4]),
			Source:   fstab.Unescape(fields[dash+2]),
			Type:     fields[dash+1],
			Device:   device,
			ReadOnly: hasOption(fields[5], "ro") || hasOption(fields[dash+3], "ro"),
		})
	}
	return mounts, nil
}

func parseDevice(text string) (uint64, error) {
	major, minor, _ := strings.Cut(text, ":")
	a, err1 := strconv.ParseUint(major, 10, 32)
	b, err2 := strconv.ParseUint(minor, 10, 32)
	if err1 != nil || err2 != nil {
		return 0, fmt.Errorf("mount table: malformed device %q", text)
	}
	return unix.Mkdev(uint32(a), uint32(b)), nil
}

func hasOption(options, name string) bool {
	for option := range strings.SplitSeq(options, ",") {
		if option == name {
			return true
		}
	}
	return false
}

// mountsBelow is the mount table as a process with that root sees it.
func mountsBelow(mounts []host.Mount, root string) []host.Mount {
	var below []host.Mount
	var ground host.Mount // the last mount on the way to root is the one that root lies on
	rooted := false
	for _, m := range mounts {
		if m.Point == root || strings.HasPrefix(m.Point, root+"/") {
			m.Point = "/" + strings.TrimPrefix(strings.TrimPrefix(m.Point, root), "/")
			rooted = rooted || m.Point == "/"
			below = append(below, m)
			continue
		}
		if m.Point == "/" || strings.HasPrefix(root, m.Point+"/") {
			if len(m.Point) >= len(ground.Point) {
				ground = m
			}
		}
	}
	if !rooted {
		ground.Point = "/"
		below = append([]host.Mount{ground}, below...)
	}
	return below
}

// fileSystemType names the file system of a device. The mount table tells it exactly; the magic number
// of statfs(2) helps where the device is not listed (btrfs subvolumes).
func fileSystemType(device uint64, magic int64) string {
	mounts, _ := mountTable()
	for _, m := range mounts {
		if m.Device == device {
			return m.Type
		}
	}
	switch magic & 0xffffffff {
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs"
	case unix.EXT4_SUPER_MAGIC:
		return "ext4"
	case unix.XFS_SUPER_MAGIC:
		return "xfs"
	case unix.TMPFS_MAGIC:
		return "tmpfs"
	case unix.NFS_SUPER_MAGIC:
		return "nfs"
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlay"
	}
	return fmt.Sprintf("%#x", magic)
}
