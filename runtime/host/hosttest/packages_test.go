package hosttest

import (
	"testing"

	"zcp2kopano/cmd/e2e/fakepkg"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/sim"
)

// deb builds a package that the suite wants.
func (p MadePackage) deb(t *testing.T) []byte {
	t.Helper()
	made := fakepkg.Package{
		Name: p.Name, Version: p.Version, Maintainer: "The Site <site@example.org>", Summary: "a part of the site",
		Depends: p.Depends, Conflicts: p.Conflicts, Conffiles: p.Conffiles,
	}
	for path, content := range p.Files {
		made.Files = append(made.Files, fakepkg.File{Path: path, Mode: 0o644, Content: []byte(content)})
	}
	data, err := made.Deb()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// hostOf is a simulated machine.
func hostOf(t *testing.T, fixture string) *sim.Host {
	t.Helper()
	f, err := sim.ReadFixture([]byte(fixture))
	if err != nil {
		t.Fatal(err)
	}
	h, err := f.Host(sim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// simulatedHost is a simulated machine with what the suites of packages and accounts want.
func simulatedHost(t *testing.T) host.Host {
	t.Helper()
	h := hostOf(t, "-- host --\nhostname: mail\n")
	put := func(path string, data []byte) {
		if err := h.Files().PutFile(path, data, 0o644, 0, 0, h.Now()); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range MadePackages {
		put(PackageDir+"/"+p.FileName(), p.deb(t))
	}
	for path, line := range map[string]string{"/etc/passwd": PasswdLine, "/etc/group": GroupLine} {
		old := &packageHelper{t, h}
		put(path, []byte(old.read(path)+line))
	}
	return h
}

func TestSimulatedPackages(t *testing.T) { Packages(t, simulatedHost) }

func TestSimulatedAccounts(t *testing.T) { Accounts(t, simulatedHost(t)) }
