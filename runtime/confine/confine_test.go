package confine_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/confine"
	"zcp2kopano/runtime/confine/confinetest"
)

// The locks cannot be undone, so a child process tries to write under them.
func TestReadOnly(t *testing.T) {
	if os.Getenv("CONFINE_TEST_ATTEMPT") != "" {
		if err := confine.Attempt(os.Stdout, os.Getenv("CONFINE_TEST_ASKING") != ""); err != nil {
			fmt.Println("the attempt fails:", err)
		}
		os.Exit(0)
	}
	if dir := os.Getenv("CONFINE_TEST_DIR"); dir != "" {
		try(dir)
		return
	}
	for kernel := range confinetest.Kernels {
		t.Run(kernel, func(t *testing.T) { testKernel(t, kernel) })
	}
}

// TestAsking: what asks the package manager may keep its caches, and sees other processes, but neither mounts nor
// changes the kernel, on any kernel; what is in force is told as it is.
func TestAsking(t *testing.T) {
	if kernel := os.Getenv("CONFINE_TEST_KERNEL"); kernel != "" {
		if err := confinetest.Pretend(confinetest.Kernels[kernel]); err != nil {
			fmt.Println("cannot pretend:", err)
		}
		os.Setenv("CONFINE_TEST_ATTEMPT", "1")
		fmt.Println(confine.Asking("-test.run", "^TestReadOnly$"))
		file := filepath.Join(t.TempDir(), "cache")
		fmt.Println("writes:", os.WriteFile(file, []byte("x"), 0o600), os.Chown(file, 1, 1))
		_, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", os.Getppid()))
		fmt.Println("sees:", err)
		return
	}
	for kernel := range confinetest.Kernels {
		cmd := exec.Command("/proc/self/exe", "-test.run", "^TestAsking$", "-test.v")
		cmd.Env = append(os.Environ(), "CONFINE_TEST_ASKING=1", "CONFINE_TEST_KERNEL="+kernel)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", kernel, err, out)
		}
		want := "kept from mounting and changing the kernel by capabilities, seccomp (tried)\n"
		if kernel == bare {
			want = "kept from mounting and changing the kernel by capabilities (tried); not in force: seccomp"
		}
		wants := []string{want, "writes: <nil>"}
		if capable(t, unix.CAP_CHOWN) {
			wants = append(wants, "writes: <nil> <nil>")
		}
		if capable(t, unix.CAP_SYS_PTRACE) { // a container may lack it
			wants = append(wants, "sees: <nil>")
		}
		for _, want := range wants {
			if !strings.Contains(string(out), want) {
				t.Errorf("%s: missing %q in\n%s", kernel, want, out)
			}
		}
	}
}

// capable reports whether this process has a capability, which what it starts can keep.
func capable(t *testing.T, capability int) bool {
	t.Helper()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		t.Fatal(err)
	}
	return sets[capability/32].Effective&(1<<(capability%32)) != 0
}

// bare is a kernel that has nothing but capabilities.
const bare = "with nothing"

// says is what is told of each kernel.
var says = map[string][]string{
	"this one":       {"seccomp: <nil>", "kept from writing by Landlock, capabilities, seccomp (tried)"},
	"of 2020":        {"seccomp: <nil>", "kept from writing by capabilities, seccomp (tried); not in force: Landlock"},
	"of Debian 2015": {"seccomp: <nil>", "kept from writing by capabilities, seccomp (tried); not in force: Landlock"},
	bare: {"kept from writing by nothing but the program itself: a program that it starts could open a file for writing (tried); in force: capabilities; not in force: Landlock",
		"a child chowns: exit status 1"},
}

func testKernel(t *testing.T, kernel string) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := describe(t, dir)
	cmd := exec.Command("/proc/self/exe", "-test.run", "^TestReadOnly$", "-test.v")
	cmd.Env = append(os.Environ(), "CONFINE_TEST_DIR="+dir, "CONFINE_TEST_KERNEL="+kernel)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
	if after := describe(t, dir); after != before {
		t.Errorf("before %s, after %s", before, after)
	}
	for _, want := range append([]string{"read: before", "capabilities: <nil>", "a child reads: before"}, says[kernel]...) {
		if !strings.Contains(string(out), want) {
			t.Errorf("missing: %s", want)
		}
	}
	if strings.Contains(string(out), "WRITES") {
		t.Error("a way to write is open")
	}
	if without := strings.Contains(string(out), "Landlock: the kernel has no Landlock"); kernel != "this one" && !without {
		t.Error("Landlock is said to be in force, and is not there")
	}
}

func try(dir string) {
	file := filepath.Join(dir, "file")
	if err := confinetest.Pretend(confinetest.Kernels[os.Getenv("CONFINE_TEST_KERNEL")]); err != nil {
		fmt.Println("cannot pretend:", err)
	}
	os.Setenv("CONFINE_TEST_ATTEMPT", "1")
	locks := confine.ReadOnly("-test.run", "^TestReadOnly$")
	os.Unsetenv("CONFINE_TEST_ATTEMPT")
	for _, lock := range locks.All {
		fmt.Printf("%s: %v\n", lock.Name, lock.Err)
	}
	fmt.Println(locks)
	if os.Getenv("CONFINE_TEST_KERNEL") != bare { // files of root's own can be written to there, and that is what it says
		for _, way := range confinetest.Writes(dir) {
			fmt.Println(way, "WRITES")
		}
	}
	data, err := os.ReadFile(file)
	fmt.Printf("read: %s %v\n", data, err)
	cat := exec.Command("/bin/cat", file)
	cat.Stderr = os.Stderr // else it is /dev/null, opened for writing
	out, err := cat.Output()
	fmt.Printf("a child reads: %s %v\n", out, err)
	chown := exec.Command("/bin/chown", "1", file)
	chown.Stdout, chown.Stderr = os.Stderr, os.Stderr
	fmt.Printf("a child chowns: %v\n", chown.Run())
}

func describe(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		var data []byte
		if info.Mode().IsRegular() {
			data, _ = os.ReadFile(filepath.Join(dir, e.Name()))
		}
		all = append(all, fmt.Sprint(e.Name(), info.Mode(), info.ModTime().UnixNano(), string(data)))
	}
	return strings.Join(all, "; ")
}
