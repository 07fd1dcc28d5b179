package hosttest

import (
	"errors"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/sim/simfs"
)

// TestMountsLikeKernel plays the same operations across a small and a read-only tmpfs and across
// their simulations.
func TestMountsLikeKernel(t *testing.T) {
	box := newSandbox(t)
	const size, inodes = 16 << 10, 6
	sim := simfs.New(simfs.Options{TrustLinks: true, Mounts: []simfs.Mount{
		{Mount: host.Mount{Point: "/", Type: "tmpfs"}},
		{Mount: host.Mount{Point: "/small", Type: "tmpfs"},
			Budget: host.Statfs{Total: size, Free: size, Available: size, Inodes: inodes, FreeInodes: inodes - 1}},
		{Mount: host.Mount{Point: "/ro", Type: "tmpfs", ReadOnly: true}},
	}})
	if err := errors.Join(sim.PutFile("/ro/a", nil, 0o644, 0, 0, oldTime(1)), sim.PutDir("/ro/d", 0o755, 0, 0)); err != nil {
		t.Fatal(err)
	}
	box.do(func() {
		k := kernel{}
		err := errors.Join(
			k.Mkdir("/small", 0o755), k.Mkdir("/ro", 0o755),
			unix.Mount("tmpfs", "/small", "tmpfs", 0, fmt.Sprintf("size=%d,nr_inodes=%d,mode=755", size, inodes)),
			unix.Mount("tmpfs", "/ro", "tmpfs", 0, "mode=755"),
			k.Mknod("/ro/a", 0o644, 0), k.Mkdir("/ro/d", 0o755),
			unix.Mount("", "/ro", "", unix.MS_REMOUNT|unix.MS_RDONLY, "mode=755"),
		)
		if err != nil {
			t.Error(err)
		}
	})
	ops := []op{
		{name: "create", path: "/a"}, {name: "mkdir", path: "/dir"},
		{name: "rename", path: "/a", to: "/small/a"}, {name: "link", path: "/a", to: "/small/a"},
		{name: "rename", path: "/none", to: "/small/a"}, {name: "link", path: "/dir", to: "/small/a"},
		{name: "rename", path: "/small", to: "/x"}, {name: "rename", path: "/dir", to: "/small"},
		{name: "rename", path: "/small", to: "/dir"}, {name: "rename", path: "/small", to: "/small/x"},
		{name: "rmdir", path: "/small"}, {name: "unlink", path: "/small"}, {name: "mkdir", path: "/small"},
		{name: "readdir", path: "/small/.."}, {name: "lstat", path: "/small/../a"},
		// bytes: four blocks
		{name: "create", path: "/small/a"}, {name: "f.write", path: "x", num: 12000},
		{name: "f.seek", num: 20000}, {name: "f.write", path: "x", num: 10},
		{name: "f.write", path: "x", num: 9000}, {name: "f.write", path: "x", num: 9000}, {name: "f.stat"},
		{name: "create", path: "/small/b", slot: 1}, {name: "f.write", path: "x", num: 1, slot: 1},
		{name: "f.truncate", num: 0}, {name: "f.write", path: "x", num: 5000, slot: 1},
		{name: "unlink", path: "/small/b"}, {name: "f.seek", num: 0}, {name: "f.write", path: "x", num: 20000},
		{name: "f.close", slot: 1}, {name: "f.write", path: "x", num: 20000}, {name: "f.stat"},
		// inodes: five beside the root
		{name: "mkdir", path: "/small/d"}, {name: "symlink", path: "/small/l", to: "x"},
		{name: "mknod", path: "/small/f"}, {name: "create", path: "/small/g", slot: 1},
		{name: "create", path: "/small/h"}, {name: "mkdir", path: "/small/h"}, {name: "symlink", path: "/small/h", to: "x"},
		{name: "unlink", path: "/small/l"}, {name: "mkdir", path: "/small/h"}, {name: "rename", path: "/small/f", to: "/small/g"},
		{name: "mkdir", path: "/small/i"}, {name: "f.close", slot: 1}, {name: "mkdir", path: "/small/i"},
		// read-only
		{name: "create", path: "/ro/x"}, {name: "create", path: "/ro/a"}, {name: "openwrite", path: "/ro/a"}, {name: "open", path: "/ro/a"},
		{name: "mkdir", path: "/ro/x"}, {name: "mkdir", path: "/ro/a"}, {name: "unlink", path: "/ro/a"}, {name: "unlink", path: "/ro/none"},
		{name: "rmdir", path: "/ro/d"}, {name: "rmdir", path: "/ro/none"}, {name: "rename", path: "/ro/a", to: "/ro/x"},
		{name: "rename", path: "/ro/none", to: "/ro/x"}, {name: "rename", path: "/a", to: "/ro/x"}, {name: "link", path: "/ro/a", to: "/ro/x"},
		{name: "symlink", path: "/ro/x", to: "x"}, {name: "symlink", path: "/ro/a", to: "x"}, {name: "mknod", path: "/ro/x"},
		{name: "chmod", path: "/ro/a"}, {name: "lchown", path: "/ro/a"}, {name: "chtimes", path: "/ro/a"},
		{name: "setxattr", path: "/ro/a", to: "trusted.a"}, {name: "setxattr", path: "/ro/a", to: "bad"}, {name: "removexattr", path: "/ro/a", to: "trusted.a"},
		{name: "getxattr", path: "/ro/a", to: "trusted.a"}, {name: "chmod", path: "/ro/none"},
	}
	s, k := &player{fs: sim}, &player{fs: kernel{}}
	box.do(func() {
		for _, o := range ops {
			simAnswer, simErr := s.play(o)
			realAnswer, realErr := k.play(o)
			if simAnswer != realAnswer || !sameError(simErr, realErr) {
				t.Errorf("%v\n  simulated: %q %v\n  kernel:    %q %v", o, simAnswer, simErr, realAnswer, realErr)
			}
		}
		k.close()
	})
}
