package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// systemdPath is the program that is the first process of a root with systemd.
const systemdPath = "/lib/systemd/systemd"

// Systemd has a root booted by systemd, with D-Bus and logind, in a control group of its own.
func Systemd() Option { return func(o *options) { o.systemd, o.base = true, baseSystemd } }

// withoutUse are units that look after a real machine: its kernel, devices, consoles and clock, and
// jobs that would run beside a test.
var withoutUse = []string{
	"apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer", "systemd-tmpfiles-clean.timer",
	"console-getty.service", "getty.target", "getty-static.service",
	"dev-hugepages.mount", "dev-mqueue.mount", "proc-sys-fs-binfmt_misc.automount", "sys-fs-fuse-connections.mount",
	"sys-kernel-config.mount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount",
	"kmod-static-nodes.service", "systemd-binfmt.service", // systemd-sysctl sees that /proc/sys is not to be written
	"systemd-firstboot.service", "systemd-hwdb-update.service", "systemd-machine-id-commit.service", "systemd-random-seed.service",
	"systemd-remount-fs.service", "systemd-udevd.service", "systemd-udev-trigger.service", "systemd-udevd-control.socket", "systemd-udevd-kernel.socket",
	"systemd-update-utmp.service", "systemd-update-utmp-runlevel.service", "systemd-ask-password-console.path", "systemd-ask-password-wall.path",
}

// generatorUsed is the one generator that makes units which these tests need: of init scripts. systemd runs all of
// them whenever it reads its units again, which every package's script makes it do several times.
const generatorUsed = "systemd-sysv-generator"

// maskGenerators makes systemd run no other generator.
func (r *Root) maskGenerators() error {
	const masks = "/etc/systemd/system-generators"
	there, err := os.ReadDir(r.Path("/lib/systemd/system-generators"))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(r.Path(masks), 0o755); err != nil {
		return err
	}
	for _, e := range there {
		if e.Name() == generatorUsed {
			continue
		}
		if err := os.Symlink("/dev/null", r.Path(masks+"/"+e.Name())); err != nil && !errors.Is(err, fs.ErrExist) { // as in an Image
			return err
		}
	}
	return nil
}

// needSystemd leaves a test out where systemd cannot be started.
func needSystemd(t testing.TB) {
	t.Helper()
	if parent, err := ownCgroup(); err != nil {
		leaveOut(t, []string{err.Error()})
	} else if err := unix.Access(parent, unix.W_OK); err != nil {
		leaveOut(t, []string{"the right to make control groups in " + parent})
	}
}

// bootSystemd starts systemd and waits until what all services need is up.
func (r *Root) bootSystemd() {
	r.t.Helper()
	needSystemd(r.t)
	if err := r.prepareSystemd(); err != nil {
		r.t.Fatal(err)
	}
	err := r.startSystemd()
	for try := 1; try < 3 && errors.Is(err, errInitEnded); try++ {
		r.t.Logf("systemd is begun once more: %v", err)
		r.halt()
		err = r.startSystemd()
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// errInitEnded says that the first process ended while the root was booting. systemd does so now and
// then on a busy machine, a moment after its start and without a word.
var errInitEnded = errors.New("systemd has ended")

// finishBoot starts all other services of a root with systemd.
func (r *Root) finishBoot() {
	r.t.Helper()
	r.Must("systemctl", "start", "default.target")
	if err := r.untilUp(); err != nil {
		r.t.Fatal(err)
	}
}

// startSystemd starts systemd and waits until it has come as far as it shall.
func (r *Root) startSystemd() error {
	if err := r.boot("systemd"); err != nil {
		return err
	}
	if err := r.untilUp(); err != nil {
		return err
	}
	select { // it may be up, and end all the same
	case <-r.ended:
		return fmt.Errorf("%w: %v", errInitEnded, r.init.ProcessState)
	case <-time.After(2 * time.Second):
		return nil
	}
}

// untilUp waits until systemd has no more to do.
func (r *Root) untilUp() error {
	var last Result
	for deadline := time.Now().Add(10 * time.Minute); time.Now().Before(deadline); time.Sleep(250 * time.Millisecond) {
		var err error
		last, err = r.finish(r.Command("systemctl", "is-system-running"))
		if err != nil { // a first process that ends has no namespaces any more, and still waits for all others to end
			select {
			case <-r.ended:
			case <-time.After(time.Minute):
			}
		}
		select {
		case <-r.ended:
			return fmt.Errorf("%w: %v", errInitEnded, r.init.ProcessState)
		default:
		}
		if err != nil {
			return err
		}
		switch strings.TrimSpace(last.Output) {
		case "running":
			return nil
		case "degraded":
			return fmt.Errorf("systemd has booted, but units failed:\n%s", r.Run("systemctl", "--no-pager", "--failed").Output)
		}
	}
	return fmt.Errorf("systemd does not come up: %s", last.Output)
}

// prepareSystemd gives systemd what it needs from the machine: a control group, terminals, /sys.
func (r *Root) prepareSystemd() error {
	var err error
	if r.cgroup, err = newCgroup(); err != nil {
		return err
	}
	var errs []error
	for _, unit := range withoutUse {
		if err := os.Symlink("/dev/null", r.Path("/etc/systemd/system/"+unit)); !errors.Is(err, fs.ErrExist) { // as in an Image
			errs = append(errs, err)
		}
	}
	errs = append(errs, r.maskGenerators())
	r.WriteFile("/etc/machine-id", "0123456789abcdef0123456789abcdef\n", 0o444)
	for _, dir := range []string{"/dev/pts", "/var/log/journal"} {
		errs = append(errs, os.RemoveAll(r.Path(dir)))
	}
	errs = append(errs,
		unix.Mknod(r.Path("/dev/tty"), unix.S_IFCHR|0o666, int(unix.Mkdev(5, 0))),
		os.Mkdir(r.Path("/dev/pts"), 0o755),
		unix.Mount("devpts", r.Path("/dev/pts"), "devpts", 0, "newinstance,mode=620,ptmxmode=666"),
		os.Symlink("pts/ptmx", r.Path("/dev/ptmx")))
	return errors.Join(errs...)
}

// systemdMain becomes the systemd of a root, whose directory is its one argument.
func systemdMain() {
	if err := enterSystemd(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "e2e: systemd:", err)
		os.Exit(1)
	}
	ready := os.NewFile(3, "ready")
	ready.WriteString("1")
	ready.Close()
	env := []string{"container=other", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	err := unix.Exec(systemdPath, []string{systemdPath, "--system", "--unit=basic.target", "--log-level=notice"}, env)
	fmt.Fprintln(os.Stderr, "e2e: systemd:", err)
	os.Exit(1)
}

// enterSystemd mounts what a container's manager mounts for its systemd: the control groups from its
// own on, and the kernel's settings to be read only.
func enterSystemd(root string) error {
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("control group namespace: %w", err)
	}
	if err := unix.Mount("sysfs", root+"/sys", "sysfs", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /sys: %w", err)
	}
	if err := unix.Mount("cgroup2", root+"/sys/fs/cgroup", "cgroup2", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /sys/fs/cgroup: %w", err)
	}
	if err := enter(root); err != nil {
		return err
	}
	if err := unix.Mount("/proc/sys", "/proc/sys", "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount /proc/sys: %w", err)
	}
	if err := unix.Mount("", "/proc/sys", "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("mount /proc/sys read-only: %w", err)
	}
	return nil
}
