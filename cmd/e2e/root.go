package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const hostname = "mail.example.org"

// Root is a Debian system of a test.
type Root struct {
	Dir string // where its / is, as the test sees it

	t      testing.TB
	layers string // what holds the overlay's layers
	image  Image  // that it began with
	kept   bool   // the layers outlive the root, as an Image
	rpm    bool   // a system of rpm packages
	init   *exec.Cmd
	ended  chan struct{} // closed when init has ended
	nsDir  string        // of init's namespaces
	cgroup *cgroup       // of a root with systemd
}

// Option changes how a root is made.
type Option func(*options)

type options struct {
	size    string
	overlay string
	systemd bool
	base    func() (string, error)
	image   Image
	ubuntu  string
	rpm     bool
}

// Size limits the root's file system ("64m"), to fill it up.
func Size(size string) Option { return func(o *options) { o.size = size } }

// NoRedirect makes rename of directories that come with the base tree fail with EXDEV, as between
// file systems.
func NoRedirect() Option { return func(o *options) { o.overlay = "redirect_dir=off" } }

// Ubuntu has a root say that it is a release of Ubuntu. What it is made of stays Debian's.
func Ubuntu(version string) Option { return func(o *options) { o.ubuntu = version } }

func made(opts []Option) options {
	o := options{size: "3g", overlay: "redirect_dir=on", base: baseSysV}
	for _, opt := range opts {
		opt(&o)
	}
	return o
}

// NewRoot makes a root with System V init and no services running, or one that systemd has booted: that of an
// Image without the services that start last, so that a database can be there before them (finishBoot). It
// vanishes with the test.
func NewRoot(t testing.TB, opts ...Option) *Root {
	t.Helper()
	o := made(opts)
	layers, err := os.MkdirTemp("", "root")
	if err != nil {
		t.Fatal(err)
	}
	r := &Root{t: t, layers: layers, Dir: filepath.Join(layers, "m"), image: o.image, rpm: o.rpm}
	t.Cleanup(r.destroy)
	if err := r.mount(base(t, o.base), o); err != nil {
		t.Fatal(err)
	}
	if o.image == "" { // which has its names
		r.WriteFile("/etc/hostname", hostname+"\n", 0o644)
		r.WriteFile("/etc/hosts", "127.0.0.1 localhost\n127.0.1.1 "+hostname+" mail\n", 0o644)
	}
	if o.ubuntu != "" {
		if err := os.Remove(r.Path("/etc/os-release")); err != nil { // a symlink
			t.Fatal(err)
		}
		r.WriteFile("/etc/os-release", fmt.Sprintf("NAME=\"Ubuntu\"\nID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"%[1]s\"\nPRETTY_NAME=\"Ubuntu %[1]s LTS\"\n", o.ubuntu), 0o644)
	}
	if o.systemd {
		r.bootSystemd()
		if o.image == "" {
			r.finishBoot()
		}
		return r
	}
	r.noteRunlevel()
	if err := r.boot("init"); err != nil {
		t.Fatal(err)
	}
	return r
}

// noteRunlevel writes down that the root is in runlevel 2, as a System V init does. Without it, packages
// do not start their services.
func (r *Root) noteRunlevel() {
	const size, runLevel = 384, 1 // of a record of utmp(5), and its type RUN_LVL
	record := make([]byte, size)
	record[0] = runLevel
	record[4], record[5] = '2', 'N' // in place of a process: the runlevel, and the one before
	copy(record[8:], "~")
	copy(record[40:], "~~")
	copy(record[44:], "runlevel")
	r.WriteFile("/run/utmp", string(record), 0o644)
}

func (r *Root) mount(base string, o options) error {
	if o.image != "" {
		base = string(o.image) + ":" + base
	}
	if err := unix.Mount("tmpfs", r.layers, "tmpfs", 0, "mode=755,size="+o.size); err != nil {
		return fmt.Errorf("mount tmpfs: %w", err)
	}
	upper, work := filepath.Join(r.layers, "u"), filepath.Join(r.layers, "w")
	for _, dir := range []string{upper, work, r.Dir} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	data := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s,xino=on,%s", base, upper, work, o.overlay)
	if err := unix.Mount("/dev/root", r.Dir, "overlay", 0, data); err != nil {
		return fmt.Errorf("mount overlay: %w", err)
	}
	for _, point := range []string{"/dev", "/run"} {
		if err := unix.Mount("tmpfs", r.Dir+point, "tmpfs", 0, "mode=755,size=64m"); err != nil {
			return fmt.Errorf("mount %s: %w", point, err)
		}
	}
	return errors.Join(r.devices(), os.Mkdir(r.Dir+"/run/lock", 0o1777))
}

func (r *Root) devices() error {
	var errs []error
	for name, minor := range map[string]uint32{"null": 3, "zero": 5, "full": 7, "random": 8, "urandom": 9} {
		path := filepath.Join(r.Dir, "dev", name)
		errs = append(errs, unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(1, minor))), os.Chmod(path, 0o666))
	}
	for name, target := range map[string]string{"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"} {
		errs = append(errs, os.Symlink(target, filepath.Join(r.Dir, "dev", name)))
	}
	return errors.Join(append(errs, os.Mkdir(r.Dir+"/dev/shm", 0o1777))...)
}

// boot starts the root's first process, in the role given.
func (r *Root) boot(as string) error {
	ready, report, err := os.Pipe()
	if err != nil {
		return err
	}
	defer ready.Close()
	r.init = exec.Command("/proc/self/exe", r.Dir)
	r.init.Env = []string{role + "=" + as}
	r.init.Stderr = os.Stderr
	r.init.ExtraFiles = []*os.File{report}
	r.init.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
	}
	if r.cgroup != nil {
		beginIn(r.init.SysProcAttr, r.cgroup.top)
	}
	err = r.init.Start()
	report.Close()
	if err != nil {
		return fmt.Errorf("start init: %w", err)
	}
	r.nsDir = fmt.Sprintf("/proc/%d/ns", r.init.Process.Pid)
	first, ended := r.init, make(chan struct{})
	r.ended = ended
	go func() {
		first.Wait()
		close(ended)
	}()
	if n, _ := ready.Read(make([]byte, 1)); n == 0 {
		return errors.New("init did not start")
	}
	return nil
}

// halt ends all processes of the root.
func (r *Root) halt() {
	if r.init != nil && r.init.Process != nil {
		r.init.Process.Kill()
		<-r.ended
		r.init = nil
	}
}

func (r *Root) destroy() {
	r.halt()
	if !r.kept {
		mounts := mountsBelow(r.layers)
		for i := len(mounts) - 1; i >= 0; i-- {
			unix.Unmount(mounts[i], unix.MNT_DETACH)
		}
		os.Remove(r.layers)
	}
	if err := r.cgroup.remove(); err != nil {
		r.t.Error(err)
	}
}

// mountsBelow lists mount points at or below dir, outermost first.
func mountsBelow(dir string) []string {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	var points []string
	for _, line := range strings.Split(string(data), "\n") {
		fields := strings.Fields(line)
		if len(fields) > 4 && (fields[4] == dir || strings.HasPrefix(fields[4], dir+"/")) {
			points = append(points, fields[4])
		}
	}
	return points
}

// Result is how a command ended.
type Result struct {
	Code   int
	Output string // of stdout and stderr
}

// environment is what every command gets.
var environment = []string{
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C",
	"DEBIAN_FRONTEND=noninteractive",
}

// Command is a command in the root, to be begun by Start. A name without a slash is looked up.
func (r *Root) Command(name string, args ...string) *exec.Cmd {
	cmd := &exec.Cmd{
		Path: r.lookPath(name), Args: append([]string{name}, args...), Env: environment, Dir: "/",
		SysProcAttr: &syscall.SysProcAttr{Chroot: r.Dir, Setpgid: true},
	}
	if r.cgroup != nil {
		beginIn(cmd.SysProcAttr, r.cgroup.side)
	}
	return cmd
}

func (r *Root) lookPath(name string) string {
	if strings.Contains(name, "/") {
		return name
	}
	for _, dir := range []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"} {
		if _, err := os.Lstat(r.Dir + dir + "/" + name); err == nil {
			return dir + "/" + name
		}
	}
	return "/usr/bin/" + name
}

// Start begins a command among the root's processes. Wait for it as for any other.
func (r *Root) Start(cmd *exec.Cmd) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: a thread that changed its namespaces is thrown away
		if err := r.join(); err != nil {
			started <- err
			return
		}
		started <- cmd.Start()
	}()
	return <-started
}

// join makes the children of this thread the root's.
func (r *Root) join() error {
	kinds := []string{"pid", "net", "uts", "ipc"}
	if r.cgroup != nil {
		kinds = append(kinds, "cgroup")
	}
	for _, kind := range kinds {
		ns, err := os.Open(filepath.Join(r.nsDir, kind))
		if errors.Is(err, fs.ErrNotExist) {
			select { // it has no namespaces any more, and still waits for all others to end
			case <-r.ended:
			case <-time.After(time.Minute):
			}
			return fmt.Errorf("%w: the root's first process: %v: %w", errInitEnded, r.init.ProcessState, err)
		}
		if err != nil {
			return err
		}
		err = unix.Setns(int(ns.Fd()), 0)
		ns.Close()
		if err != nil {
			return fmt.Errorf("join namespace %s: %w", kind, err)
		}
	}
	return nil
}

// hung is when something has taken so long that it will not end: it is there to end a test, not to time one. A busy
// machine takes minutes for what takes a second.
const hung = 25 * time.Minute

// Run runs a command to its end.
func (r *Root) Run(name string, args ...string) Result {
	r.t.Helper()
	return r.Finish(r.Command(name, args...))
}

// Finish starts a command, waits for it, and collects its output.
func (r *Root) Finish(cmd *exec.Cmd) Result {
	r.t.Helper()
	res, err := r.finish(cmd)
	if err != nil {
		r.t.Fatalf("%s: %v", cmd.Path, err)
	}
	return res
}

func (r *Root) finish(cmd *exec.Cmd) (Result, error) {
	out, err := os.CreateTemp(r.layers, "out") // a file, not a pipe: a daemon may keep it open
	if err != nil {
		return Result{}, err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := r.Start(cmd); err != nil {
		return Result{}, err
	}
	timer := time.AfterFunc(hung, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	cmd.Wait()
	data, err := os.ReadFile(out.Name())
	if !timer.Stop() {
		return Result{}, fmt.Errorf("it was killed, because it did not end in %s: %s", hung, data)
	}
	return Result{Code: cmd.ProcessState.ExitCode(), Output: string(data)}, err
}

// Must runs a command that has to succeed, and returns what it said.
func (r *Root) Must(name string, args ...string) string {
	r.t.Helper()
	res := r.Run(name, args...)
	if res.Code != 0 {
		r.t.Fatalf("%s %s: exit status %d\n%s", name, strings.Join(args, " "), res.Code, res.Output)
	}
	return res.Output
}

// Path is where a path of the root is for the test; symlinks on the way are the caller's care.
func (r *Root) Path(path string) string { return filepath.Join(r.Dir, path) }

// WriteFile writes a file of the root, with its missing directories.
func (r *Root) WriteFile(path, content string, mode fs.FileMode) {
	r.t.Helper()
	file := r.Path(path)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		r.t.Fatal(err)
	}
	// A child that is made meanwhile would have the file open for writing: a program could not be started.
	syscall.ForkLock.RLock()
	err := os.WriteFile(file, []byte(content), mode)
	syscall.ForkLock.RUnlock()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := os.Chmod(file, mode); err != nil {
		r.t.Fatal(err)
	}
}

// ReadFile reads a file of the root.
func (r *Root) ReadFile(path string) string {
	r.t.Helper()
	data, err := os.ReadFile(r.Path(path))
	if err != nil {
		r.t.Fatal(err)
	}
	return string(data)
}

// Edit replaces text in a file; it must be there.
func (r *Root) Edit(path string, oldnew ...string) {
	r.t.Helper()
	data := []byte(r.ReadFile(path))
	for i := 0; i+1 < len(oldnew); i += 2 {
		if !bytes.Contains(data, []byte(oldnew[i])) {
			r.t.Fatalf("%s has no %q", path, oldnew[i])
		}
		data = bytes.ReplaceAll(data, []byte(oldnew[i]), []byte(oldnew[i+1]))
	}
	info, err := os.Stat(r.Path(path))
	if err != nil {
		r.t.Fatal(err)
	}
	r.WriteFile(path, string(data), info.Mode().Perm())
}

// Chown gives a path to an account of the root.
func (r *Root) Chown(path, user, group string) {
	r.t.Helper()
	uid, gid := r.account("/etc/passwd", user), r.account("/etc/group", group)
	if err := os.Lchown(r.Path(path), uid, gid); err != nil {
		r.t.Fatal(err)
	}
}

func (r *Root) account(file, name string) int {
	r.t.Helper()
	for _, line := range strings.Split(r.ReadFile(file), "\n") {
		fields := strings.Split(line, ":")
		if len(fields) > 2 && fields[0] == name {
			id, err := strconv.Atoi(fields[2])
			if err != nil {
				r.t.Fatal(err)
			}
			return id
		}
	}
	r.t.Fatalf("%s has no %s", file, name)
	return 0
}

// Mount puts a new tmpfs of its own at path.
func (r *Root) Mount(path, size string) {
	r.t.Helper()
	if err := os.MkdirAll(r.Path(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", r.Path(path), "tmpfs", 0, "mode=755,size="+size); err != nil {
		r.t.Fatal(err)
	}
}

// MountListed puts a mount of its own at path that has a line in fstab, and outlives being unmounted.
func (r *Root) MountListed(path string) {
	r.t.Helper()
	const store = "/dev/mail" // no part of a state
	err := errors.Join(os.MkdirAll(r.Path(path), 0o755), os.MkdirAll(r.Path(store), 0o755))
	if err != nil {
		r.t.Fatal(err)
	}
	table := ""
	if _, err := os.Stat(r.Path("/etc/fstab")); err == nil {
		table = r.ReadFile("/etc/fstab")
	}
	r.WriteFile("/etc/fstab", table+store+" "+path+" none bind 0 0\n", 0o644)
	if err := unix.Mount(r.Path(store), r.Path(path), "", unix.MS_BIND, ""); err != nil {
		r.t.Fatal(err)
	}
}

// Bind shows a directory or file of the test machine in the root, read-only.
func (r *Root) Bind(outside, path string) {
	r.t.Helper()
	if err := os.MkdirAll(r.Path(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := unix.Mount(outside, r.Path(path), "", unix.MS_BIND, ""); err != nil {
		r.t.Fatal(err)
	}
	if err := unix.Mount("", r.Path(path), "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		r.t.Fatal(err)
	}
}

// Attachments makes n attachments below dir, in the layout of the server: number n is in
// (n%10)/((n/10)%20)/n, every third compressed, all owned by an account.
func (r *Root) Attachments(dir string, n int, owner string) {
	r.t.Helper()
	for i := 1; i <= n; i++ {
		name := strconv.Itoa(i)
		if i%3 == 0 {
			name += ".gz"
		}
		path := filepath.Join(dir, strconv.Itoa(i%10), strconv.Itoa(i/10%20), name)
		r.WriteFile(path, strings.Repeat(name+" ", 1+i%50), 0o640)
	}
	r.Must("chown", "-R", owner+":"+owner, dir)
}

// Processes lists the names of the root's processes but init's.
func (r *Root) Processes() []string {
	r.t.Helper()
	entries, err := os.ReadDir(r.Path("/proc"))
	if err != nil {
		r.t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		exe, err := os.Readlink(r.Path("/proc/" + e.Name() + "/exe"))
		if err == nil && e.Name() != "1" && e.Name() != "self" && e.Name() != "thread-self" {
			names = append(names, filepath.Base(exe))
		}
	}
	return names
}
