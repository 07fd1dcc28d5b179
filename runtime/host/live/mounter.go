package live

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"zcp2kopano/runtime/host"
)

// mountTimeout bounds mount and umount: a server of files that does not answer holds them up for ever.
const mountTimeout = 10 * time.Minute

// mounter mounts and unmounts by the system's own programs, which know fstab and the helpers of each type.
type mounter struct {
	m        *machine
	services services
}

// Mount has systemd read fstab first: by the unit of an old line it would take away again what is mounted.
func (h mounter) Mount(ctx context.Context, point string) error {
	if h.m.initName() == "systemd" {
		if err := h.services.init().reload(); err != nil {
			return err
		}
	}
	if err := h.tell(ctx, "mount", point); err != nil {
		return fmt.Errorf("mount %s: %w", point, err)
	}
	there, err := h.mounted(point)
	if err == nil && !there {
		err = fmt.Errorf("mount %s: mount(8) succeeded, and nothing is mounted there", point)
	}
	return err
}

// Unmount names who uses what it cannot unmount.
func (h mounter) Unmount(ctx context.Context, point string) error {
	if err := h.tell(ctx, "umount", point); err != nil {
		if users := h.users(point); len(users) > 0 {
			return fmt.Errorf("unmount %s: it is in use by %s; end them, then go on: %w", point, strings.Join(users, ", "), err)
		}
		return fmt.Errorf("unmount %s: %w", point, err)
	}
	there, err := h.mounted(point)
	if err == nil && there {
		err = fmt.Errorf("unmount %s: umount(8) succeeded, and something is still mounted there", point)
	}
	return err
}

func (h mounter) tell(ctx context.Context, program, point string) error {
	found, err := h.m.program(program)
	if err != nil {
		return err
	}
	_, err = h.m.run(ctx, command{Path: found, Args: []string{"--", point}, Timeout: mountTimeout})
	return err
}

func (h mounter) mounted(point string) (bool, error) {
	mounts, err := h.m.Mounts()
	for _, m := range mounts {
		if m.Point == point {
			return true, err
		}
	}
	return false, err
}

// users lists the processes that have a file or directory below a point open, work in it, or run from it.
func (h mounter) users(point string) []string {
	if h.m.files.chrooted() {
		point = path.Join(h.m.files.path, point)
	}
	pids, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var users []string
	for _, entry := range pids {
		dir := "/proc/" + entry.Name()
		if _, err := strconv.Atoi(entry.Name()); err != nil || !uses(dir, point) {
			continue
		}
		exe, err := os.Readlink(dir + "/exe")
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		users = append(users, fmt.Sprintf("process %s (%s)", entry.Name(), exe))
	}
	return users
}

func uses(dir, point string) bool {
	links := []string{dir + "/cwd", dir + "/root", dir + "/exe"}
	open, _ := os.ReadDir(dir + "/fd") // it may have ended, or belong to somebody else
	for _, fd := range open {
		links = append(links, dir+"/fd/"+fd.Name())
	}
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && (to == point || strings.HasPrefix(to, point+"/")) {
			return true
		}
	}
	return false
}

var _ host.MountWriter = mounter{}
