package sim

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"zcp2kopano/runtime/host"
)

const sysusers = `# type name id gecos home
g hadoop - -
u! locked - "Locked one" /var/lib/kopano
u kopano - "Kopano services" /var/lib/kopano
u fixed 411 - - /bin/sh
u groupware - - -
u taken 3 "its number is taken"
`

const tmpfiles = `d /var/lib/kopano 0750 kopano kopano -
d /run/kopano/ - - kopano 10d
D /var/log/kopano 02770 root kopano -
d! /run/at-boot 0755 root root -
d /etc/there 0711 fixed - -
`

const declaredPasswd, declaredGroup = "root:x:0:0:root:/root:/bin/bash\nsys:x:3:3:sys:/dev:/usr/sbin/nologin\nold:x:999:5:::\n", "root:x:0:\nsys:x:3:\ngroupware:x:812:\ntop:x:998:\n"

// TestDeclaredLikeSystemd lets systemd's own programs and the simulation carry out the same
// declarations, and compares accounts and directories.
func TestDeclaredLikeSystemd(t *testing.T) {
	needDpkg(t, "systemd-sysusers", "systemd-tmpfiles")
	users := strings.ReplaceAll(sysusers, "u! locked - \"Locked one\" /var/lib/kopano\n", "") // systemd 257
	d := madeDeb{
		name: "declares", version: "1", scripts: []string{"postinst"},
		postinst: "systemd-sysusers declares.conf\nsystemd-tmpfiles --create declares.conf\n",
		files:    map[string]string{"usr/lib/sysusers.d/declares.conf": users, "usr/lib/tmpfiles.d/declares.conf": tmpfiles},
	}
	root := t.TempDir()
	for name, content := range map[string]string{
		"etc/passwd": declaredPasswd, "etc/group": declaredGroup, "usr/lib/sysusers.d/declares.conf": users, "usr/lib/tmpfiles.d/declares.conf": tmpfiles,
		"etc/there/x": "", "run/x": "", "var/lib/x": "", "var/log/x": "",
	} {
		mustDo(t, os.MkdirAll(filepath.Join(root, filepath.Dir(name)), 0o755))
		mustDo(t, os.WriteFile(filepath.Join(root, name), []byte(content), 0o644))
	}
	for _, args := range [][]string{{"systemd-sysusers", "--root=" + root, "declares.conf"}, {"systemd-tmpfiles", "--root=" + root, "--create", "declares.conf"}} {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Env = []string{"LC_ALL=C"}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	h := installDeclared(t, d, "-- /usr/bin/systemd-sysusers 0755 --\nx\n-- /usr/bin/systemd-tmpfiles 0755 --\nx\n")
	for _, file := range []string{"/etc/passwd", "/etc/group"} {
		real, err := os.ReadFile(root + file)
		mustDo(t, err)
		simulated, err := h.files.readFile(file)
		mustDo(t, err)
		if string(real) != string(simulated) {
			t.Errorf("%s is\n%sand simulated\n%s", file, real, simulated)
		}
	}
	for _, dir := range []string{"/var/lib/kopano", "/run/kopano", "/var/log/kopano", "/run/at-boot", "/etc/there"} {
		if is, want := describeSim(h, dir), describeReal(root+dir); is != want {
			t.Errorf("%s is %s, simulated %s", dir, want, is)
		}
	}
}

func describeReal(name string) string {
	info, err := os.Stat(name)
	if err != nil {
		return "missing"
	}
	st := info.Sys().(*syscall.Stat_t)
	return fmt.Sprint(info.Mode(), st.Uid, st.Gid)
}

func describeSim(h *Host, name string) string {
	st, err := h.Lstat(name)
	if err != nil {
		return "missing"
	}
	return fmt.Sprint(st.Mode, st.UID, st.GID)
}

// installDeclared installs a package over a small host.
func installDeclared(t *testing.T, d madeDeb, more string) *Host {
	t.Helper()
	h := hostOf(t, "-- host --\nbase: none\n-- /etc/passwd --\n"+declaredPasswd+"-- /etc/group --\n"+declaredGroup+
		"-- tree --\nd0755 root:root - - /etc/there\nd0755 root:root - - /run\nd0755 root:root - - /var/lib\nd0755 root:root - - /var/log\n"+more)
	file := d.build(t, t.TempDir())
	r, err := os.Open(file)
	mustDo(t, err)
	defer r.Close()
	st, err := r.Stat()
	mustDo(t, err)
	p, err := ReadPackageFile(r, st.Size(), "package file")
	mustDo(t, err)
	mustDo(t, h.files.PutSized("/x.deb", 1, 0o644, 0, 0, h.Now()))
	h.repositories.packageFiles["/x.deb"] = p
	mustDo(t, h.CommitPackages(context.Background(), host.Transaction{Install: []string{"/x.deb"}}, nil))
	return h
}

// TestDeclaredOnlyWhereCarriedOut: without systemd's programs, or a script that calls them, nothing of
// it is done; what is not known of such files is said.
func TestDeclaredOnlyWhereCarriedOut(t *testing.T) {
	needDpkg(t)
	files := map[string]string{"usr/lib/sysusers.d/a.conf": "u kopano - -\n", "usr/lib/tmpfiles.d/a.conf": "d /run/kopano\nL /run/%H - - - - /x\nd\n\"\n"}
	programs := "-- /bin/systemd-sysusers 0755 --\nx\n-- /bin/systemd-tmpfiles 0755 --\nx\n"
	cases := map[string]struct {
		postinst, more string
		want           bool
	}{
		"all there":   {"systemd-sysusers a.conf || true; systemd-tmpfiles --create a.conf || true\n", programs, true},
		"no programs": {"systemd-sysusers a.conf || true; systemd-tmpfiles --create a.conf || true\n", "", false},
		"no call":     {"exit 0\n", programs, false},
	}
	for name, c := range cases {
		h := installDeclared(t, madeDeb{name: "a", version: "1", scripts: []string{"postinst"}, postinst: c.postinst, files: files}, c.more)
		_, err := h.User("kopano")
		if is := err == nil; is != c.want || describeSim(h, "/run/kopano") != "missing" != c.want {
			t.Errorf("%s: user %v, directory %s", name, err, describeSim(h, "/run/kopano"))
		}
		said := fmt.Sprint(h.Unpredicted())
		for _, line := range []string{`L /run/%H`, `"d" in /usr/lib/tmpfiles.d/a.conf`} {
			if strings.Contains(said, line) != c.want {
				t.Errorf("%s: %s is said to be not simulated: %v", name, line, !c.want)
			}
		}
	}
}
