package live

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"zcp2kopano/runtime/host"
)

func TestParseOSRelease(t *testing.T) {
	got := parseOSRelease("# comment\nID=debian\nVERSION_ID=\"8\"\nPRETTY_NAME=\"Debian \\\"8\\\" \\$x\"\nNAME='a b'\nbroken\nEMPTY=\n")
	want := map[string]string{"ID": "debian", "VERSION_ID": "8", "PRETTY_NAME": `Debian "8" $x`, "NAME": "a b", "EMPTY": ""}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestFactsOfADirectory(t *testing.T) {
	h, dir := open(t)
	write(t, dir, "etc/hostname", "mail\n")
	write(t, dir, "etc/machine-id", "0123456789abcdef0123456789abcdef\n")
	write(t, dir, "usr/lib/os-release", "ID=debian\nVERSION_ID=\"8\"\n")
	must(t, os.Symlink("/usr/lib/os-release", filepath.Join(dir, "etc/os-release")))
	facts, err := h.Facts()
	must(t, err)
	if facts.Hostname != "mail" || facts.MachineID == "" || facts.OSRelease["VERSION_ID"] != "8" || facts.Init != "sysv" || facts.Kernel == "" {
		t.Errorf("facts %+v", facts)
	}
	must(t, os.MkdirAll(filepath.Join(dir, "run/systemd/system"), 0o755))
	write(t, dir, "sys/module/apparmor/parameters/enabled", "Y\n")
	facts, err = h.Facts()
	must(t, err)
	if facts.Init != "systemd" || facts.Security != "apparmor" {
		t.Errorf("facts %+v", facts)
	}
	write(t, dir, "sys/kernel/security/lsm", "lockdown,capability,selinux,bpf")
	if facts, _ = h.Facts(); facts.Security != "selinux" {
		t.Errorf("security %q", facts.Security)
	}
}

func TestAccounts(t *testing.T) {
	h, dir := open(t)
	write(t, dir, "etc/passwd", "root:x:0:0:root:/root:/bin/sh\nzarafa:x:107:112::/var/lib/zarafa:/bin/false\n+::::::\n")
	write(t, dir, "etc/group", "root:x:0:\nzarafa:x:112:alice,bob\n")
	u, err := h.User("zarafa")
	must(t, err)
	if u.UID != 107 || u.GID != 112 || u.Home != "/var/lib/zarafa" {
		t.Errorf("user %+v", u)
	}
	if u, err := h.UserID(107); err != nil || u.Name != "zarafa" {
		t.Errorf("user 107: %+v %v", u, err)
	}
	g, err := h.GroupID(112)
	must(t, err)
	if g.Name != "zarafa" || len(g.Members) != 2 {
		t.Errorf("group %+v", g)
	}
	if _, err := h.Group("kopano"); !errors.Is(err, host.ErrNoAccount) {
		t.Errorf("unknown group: %v", err)
	}
	if _, err := h.User("-x"); !errors.Is(err, host.ErrNoAccount) {
		t.Errorf("unknown user: %v", err)
	}
}

func TestAccountsOfThisMachine(t *testing.T) {
	v, err := OpenView("/")
	must(t, err)
	defer v.Close()
	if u, err := v.User("root"); err != nil || u.UID != 0 {
		t.Errorf("root: %+v %v", u, err)
	}
	if _, err := v.User("no-such-user-here"); !errors.Is(err, host.ErrNoAccount) {
		t.Errorf("unknown user: %v", err)
	}
	if _, err := v.GroupID(3999999999); !errors.Is(err, host.ErrNoAccount) {
		t.Errorf("unknown group: %v", err)
	}
}
