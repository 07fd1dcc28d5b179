package live_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"zcp2kopano/cmd/e2e"
	"zcp2kopano/cmd/e2e/fakepkg"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/hosttest"
	"zcp2kopano/runtime/host/live"
	"zcp2kopano/runtime/host/sim"
)

// conforming is a root with what the suites of packages and accounts want.
func conforming(t *testing.T) (*e2e.Root, *live.Host) {
	t.Helper()
	r, h := debian(t)
	must(t, os.MkdirAll(r.Path(hosttest.PackageDir), 0o755))
	for _, p := range hosttest.MadePackages {
		made := fakepkg.Package{
			Name: p.Name, Version: p.Version, Maintainer: "The Site <site@example.org>", Summary: "a part of the site",
			Depends: p.Depends, Conflicts: p.Conflicts, Conffiles: p.Conffiles,
		}
		for path, content := range p.Files {
			made.Files = append(made.Files, fakepkg.File{Path: path, Mode: 0o644, Content: []byte(content)})
		}
		data, err := made.Deb()
		must(t, err)
		r.WriteFile(hosttest.PackageDir+"/"+p.FileName(), string(data), 0o644)
	}
	r.WriteFile("/etc/passwd", r.ReadFile("/etc/passwd")+hosttest.PasswdLine, 0o644)
	r.WriteFile("/etc/group", r.ReadFile("/etc/group")+hosttest.GroupLine, 0o644)
	return r, h
}

// simulated is a simulation over a root, which does not see what that changes.
func simulated(t *testing.T, r *e2e.Root) *sim.Host {
	t.Helper()
	view, err := live.OpenView(r.Dir)
	must(t, err)
	t.Cleanup(func() { view.Close() })
	h, err := sim.FromView(view, sim.Options{})
	must(t, err)
	t.Cleanup(func() { h.Close() })
	return h
}

// TestConformance has real dpkg, apt and account files, and the simulation over them, do the same. A fixture does
// it in hosttest.
func TestConformance(t *testing.T) {
	t.Parallel()
	for name, fresh := range map[string]func(t *testing.T) host.Host{
		"live":      func(t *testing.T) host.Host { _, h := conforming(t); return h },
		"simulated": func(t *testing.T) host.Host { r, _ := conforming(t); return simulated(t, r) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Run("packages", func(t *testing.T) { hosttest.Packages(t, fresh) })
			t.Run("accounts", func(t *testing.T) {
				h := fresh(t)
				hosttest.Accounts(t, h)
				hosttest.Membership(t, h)
			})
		})
	}
}

// TestConformanceMounts has mount(8) and umount(8), and the simulation over the same root, carry a mount elsewhere.
// One that is in use stays, and who uses it is named.
func TestConformanceMounts(t *testing.T) {
	t.Parallel()
	r, h := debian(t)
	r.MountListed("/srv/mail")
	r.WriteFile("/srv/mail/here", "mail", 0o600)
	must(t, os.MkdirAll(r.Path("/srv/other"), 0o755))
	over := simulated(t, r) // before anything changes
	t.Run("simulated", func(t *testing.T) { hosttest.Mounts(t, over, "/srv/mail", "/srv/other") })
	must(t, over.Close()) // it has directories open
	t.Run("live", func(t *testing.T) { hosttest.Mounts(t, h, "/srv/mail", "/srv/other") })

	f, err := os.Open(r.Path("/srv/mail/here"))
	must(t, err)
	defer f.Close()
	err = h.Unmount(t.Context(), "/srv/mail")
	if want := fmt.Sprintf("it is in use by process %d (", os.Getpid()); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
	if r.ReadFile("/srv/mail/here") != "mail" {
		t.Error("it is gone")
	}
}

// TestConformanceServices has init scripts do what the suite of services asks for, and the simulation over the same
// root. For systemd cmd/e2e does.
func TestConformanceServices(t *testing.T) {
	t.Parallel()
	r, h := debian(t)
	for _, c := range hosttest.SysvCases() {
		r.PutService(c)
	}
	over := simulated(t, r)
	for _, one := range []struct {
		name string
		h    host.Host
	}{{"the simulation", over}, {"init scripts", h}} { // the simulation reads the root while it is as it was
		for _, c := range hosttest.SysvCases() {
			t.Run(one.name+"/"+c.Name, func(t *testing.T) {
				var got []hosttest.ServiceOutcome
				for _, op := range c.Ops() {
					got = append(got, op.On(one.h))
				}
				c.Check(t, one.name, got)
			})
		}
	}
}

// TestConformanceDatabase asks a real MariaDB, and the simulation over it.
func TestConformanceDatabase(t *testing.T) {
	t.Parallel()
	r, h := debian(t)
	r.StartMariaDB()
	r.SQL("CREATE DATABASE site; USE site; " + hosttest.DatabaseSQL)
	conn := host.DatabaseConn{Host: "localhost", User: "zarafa", Password: host.NewSecret(e2e.Password), Database: "site"}
	over := simulated(t, r)
	t.Run("simulated", func(t *testing.T) { hosttest.Database(t, over, conn) })
	t.Run("live", func(t *testing.T) { hosttest.Database(t, h, conn) })

	r.SQL("CREATE USER site@localhost IDENTIFIED BY 'x'; GRANT ALL ON site.* TO site@localhost; USE site; " + hosttest.ObjectsSQL("site@localhost"))
	conn.User, conn.Password = "site", host.NewSecret("x")
	over = simulated(t, r)
	t.Run("simulated objects", func(t *testing.T) { hosttest.DatabaseObjects(t, over, conn) })
	t.Run("live objects", func(t *testing.T) { hosttest.DatabaseObjects(t, h, conn) })
	r.SQL("FLUSH TABLES")
	r.WriteFile("/var/lib/mysql/site/site_damaged.MYI", "no index", 0o660)
	over = simulated(t, r)
	t.Run("simulated damage", func(t *testing.T) { hosttest.DamagedDatabase(t, over, conn) })
	t.Run("live damage", func(t *testing.T) { hosttest.DamagedDatabase(t, h, conn) })
}
