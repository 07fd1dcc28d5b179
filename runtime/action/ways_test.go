package action

import (
	"encoding/json"
	"slices"
	"testing"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/sim/simfs"
)

// TestWays removes the directories that led to a package's files, as far as nobody else has them or put anything there,
// and from half-way the rest of them.
func TestWays(t *testing.T) {
	h := newFake()
	for _, dir := range []string{
		"/etc", "/etc/kopano", "/etc/kopano/quotamail", "/usr", "/usr/share", "/usr/share/kopano", "/usr/share/kopano/locale",
		"/usr/share/doc", "/usr/share/doc/kopano", "/usr/share/doc/kopano/notes", "/usr/lib", "/usr/lib/others",
	} {
		must(t, h.Mkdir(dir, 0o755))
	}
	h.packages = map[string]host.Package{
		"kopano-monitor": {Name: "kopano-monitor", Version: "8.7", Status: "installed"}, "others": {Name: "others", Version: "1", Status: "installed"},
	}
	h.owned = map[string][]string{
		"kopano-monitor": {"/etc/kopano/quotamail/user.mail", "/usr/share/kopano/locale/x", "/usr/share/doc/kopano/README", "/usr/lib/others/plugin"},
		"others":         {"/usr/lib/others"},
	}
	h.manager = host.PackageManager{Name: "yum", Version: "3.4.3"}
	must(t, h.Mkdir("/usr/lib/empty", 0o755)) // before the package came, and leads to a file of its
	h.owned["kopano-monitor"] = append(h.owned["kopano-monitor"], "/usr/lib/empty/x")
	hollow := []string{"/usr/lib/empty"}
	must(t, h.Mkdir("/srv", 0o755)) // nobody has looked there before
	h.owned["kopano-monitor"] = append(h.owned["kopano-monitor"], "/srv/x", "/usr/lib/busy/x")
	must(t, h.Mkdir("/usr/lib/busy", 0o755))
	must(t, h.AddMount(simfs.Mount{Mount: host.Mount{Point: "/usr/lib/busy", Source: "x", Type: "ext4"}}))
	var marks []json.RawMessage
	env := newEnv(h)
	env.Mark = func(v any) error {
		data, err := json.Marshal(v)
		marks = append(marks, data)
		return err
	}
	must(t, noteWays(env, h.packages, []string{"kopano-monitor", "kopano-half-way"}))
	delete(h.packages, "kopano-monitor")
	must(t, h.Rmdir("/usr/share/kopano/locale")) // broken off here

	again := newEnv(h)
	again.Marks = marks
	for range 2 {
		must(t, clearWays(again, hollow))
	}
	for dir, stays := range map[string]bool{
		"/etc/kopano": false, "/usr/share/kopano": false, "/usr/share/doc/kopano": true, "/usr/lib/others": true, "/usr/share": true, "/usr/lib/empty": true, "/srv": true, "/usr/lib/busy": true,
	} {
		if _, err := h.Lstat(dir); (err == nil) != stays {
			t.Errorf("%s: %v", dir, err)
		}
	}
}

// TestWaysOfErased: the directories that led to a package that somebody has erased are known from when it came.
func TestWaysOfErased(t *testing.T) {
	h := newFake()
	for _, dir := range []string{"/etc/kopano", "/etc/kopano/quotamail", "/usr/share/kopano", "/usr/share/kopano/locale"} {
		must(t, h.PutDir(dir, 0o755, 0, 0))
	}
	h.manager = host.PackageManager{Name: "yum", Version: "3.4.3"}
	h.packages["kopano-monitor"] = host.Package{Name: "kopano-monitor", Version: "8.7", Status: "installed"}
	h.owned = map[string][]string{"kopano-monitor": {"/etc/kopano/quotamail/user.mail", "/usr/share/kopano/locale/x"}}
	var marks []json.RawMessage
	env := newEnv(h)
	env.Mark = func(v any) error {
		data, err := json.Marshal(v)
		marks = append(marks, data)
		return err
	}
	must(t, (&Commit{New: []string{"kopano-monitor"}}).noteBrought(env))
	delete(h.packages, "kopano-monitor")
	back := newEnv(h)
	back.Marks = marks
	must(t, clearWays(back, []string{"/usr/share/kopano"}))
	for dir, stays := range map[string]bool{"/etc/kopano": false, "/usr/share/kopano/locale": false, "/usr/share/kopano": true, "/etc": true} {
		if there, err := exists(h, dir); there != stays || err != nil {
			t.Errorf("%s: there %v, want %v (%v)", dir, there, stays, err)
		}
	}
}

// TestHollowWays finds the directories without a file below, where packages do not own their directories.
func TestHollowWays(t *testing.T) {
	h := newFake()
	for _, dir := range []string{"/etc", "/etc/a", "/usr", "/usr/lib", "/usr/lib/b", "/usr/lib/b/c", "/usr/share", "/usr/share/d"} {
		must(t, h.Mkdir(dir, 0o755))
	}
	must(t, h.Mkdir("/usr/lib/b/net", 0o755))
	must(t, h.AddMount(simfs.Mount{Mount: host.Mount{Point: "/usr/lib/b/net", Source: "server:/", Type: "nfs4"}}))
	must(t, h.Mkdir("/usr/lib/b/net/empty", 0o755))
	put(t, h, "/etc/file", "x", 0o644, 0, 0)
	put(t, h, "/usr/share/d/file", "x", 0o644, 0, 0)
	for manager, want := range map[string][]string{"yum": {"/etc/a", "/usr/lib/b/c"}, "apt": nil} {
		h.manager = host.PackageManager{Name: manager}
		got, _, err := hollowWays(newEnv(h))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v", manager, got, err)
		}
	}
}
