package live

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/rpm"
)

// What yum 3.4 of RHEL 7 says, in the forms of its listTransaction and its errors.

const yumInstall = `Loaded plugins: fastestmirror, langpacks
Loading mirror speeds from cached hostfile
Resolving Dependencies
--> Running transaction check
---> Package kopano-server.x86_64 0:8.7.0-1 will be installed
--> Processing Dependency: libkcserver.so.0()(64bit) for package: kopano-server-8.7.0-1.x86_64
--> Finished Dependency Resolution

Dependencies Resolved

================================================================================
 Package                  Arch       Version              Repository       Size
================================================================================
Installing:
 kopano-server            x86_64     8.7.0-1              kopano          1.2 M
     replacing  zarafa-old.x86_64 7.2.6-1
Updating:
 libvmime                 x86_64     1:0.9.2-2            base             20  
Installing for dependencies:
 kopano-a-rather-long-name-of-a-library-package
                          x86_64     8.7.0.20190702.1-1.el7
                                                          kopano           63 k
 libical                  i686       0.48-6.el7           base             63 k

Transaction Summary
================================================================================
Install  1 Package  (+2 Dependent packages)
Upgrade  1 Package

Total download size: 1.4 M
Exiting on user command
Your transaction was saved, rerun it with:
 yum load-transaction /tmp/yum_save_tx.2016-08-01.12-00.abcdef.yumtx
`

func TestParseYumTable(t *testing.T) {
	got, sizes, err := parseYumTable(yumInstall, "x86_64")
	must(t, err)
	want := host.Solution{
		Install: []host.Change{
			{Name: "kopano-server", Version: "8.7.0-1", Origin: "kopano"},
			{Name: "kopano-a-rather-long-name-of-a-library-package", Version: "8.7.0.20190702.1-1.el7", Origin: "kopano"},
			{Name: "libical.i686", Version: "0.48-6.el7", Origin: "base"},
		},
		Upgrade: []host.Change{{Name: "libvmime", Version: "1:0.9.2-2", Origin: "base"}},
		Remove:  []host.Change{{Name: "zarafa-old", Version: "7.2.6-1"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if sizes["libvmime"] != 20 || sizes["libical.i686"] != 63<<10 || sizes["kopano-server"] != 1258291 {
		t.Errorf("sizes %v", sizes)
	}

	remove := strings.NewReplacer("Installing:", "Removing:", "Installing for dependencies:", "Removing for dependencies:", "Updating:", "Removing for dependencies:").Replace(yumInstall)
	got, _, err = parseYumTable(remove, "x86_64")
	if err != nil || len(got.Remove) != 5 || len(got.Install)+len(got.Upgrade) != 0 {
		t.Errorf("removal: %+v %v", got, err)
	}
}

func TestParseYumTableRefuses(t *testing.T) {
	for name, c := range map[string]struct{ out, want string }{
		"missing name": {"No package nosuch available.\n" + yumInstall, "nosuch"},
		"dependency": {`--> Finished Dependency Resolution
Error: Package: zarafa-server-7.2.6-1.x86_64 (zcp)
           Requires: libicui18n.so.50()(64bit)
           Available: libicu-50.1.2-15.el7.x86_64 (base)
 You could try using --skip-broken to work around the problem
 You could try running: rpm -Va --nofiles --nodigest
`, "Requires: libicui18n.so.50()(64bit)"},
		"protected": {"Error: Trying to remove \"yum\", which is protected\n", "protected"},
		"dnf": {`Error: 
 Problem: conflicting requests
  - nothing provides no-such-library >= 3 needed by kopano-broken-8.7.0-1.noarch
(try to add '--skip-broken' to skip uninstallable packages)
`, "nothing provides no-such-library"},
		"skipped": {strings.Replace(yumInstall, "Updating:", "Skipped (dependency problems):", 1), "libvmime"},
	} {
		_, _, err := parseYumTable(c.out, "x86_64")
		var impossible *host.SolveError
		if !errors.As(err, &impossible) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What is not understood is not taken for nothing to do, nor is a repository that does not answer.
	for name, out := range map[string]string{
		"new heading": strings.Replace(yumInstall, "Updating:", "Swapping:", 1),
		"cut line":    strings.Replace(yumInstall, "libvmime                 x86_64     1:0.9.2-2 ", "libvmime ", 1),
		"silence":     "Loaded plugins: fastestmirror\n",
		"no answer":   "\n\n One of the configured repositories failed (Unknown),\nError: Cannot retrieve repository metadata (repomd.xml) for repository: base. Please verify its path and try again\n",
		"no mirror":   "\nError: Cannot find a valid baseurl for repo: base/7/x86_64\n",
	} {
		_, _, err := parseYumTable(out, "x86_64")
		if err == nil || errors.As(err, new(*host.SolveError)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s, _, err := parseYumTable("No Packages marked for removal\nError: Nothing to do\n", "x86_64"); err != nil || len(s.Remove) != 0 {
		t.Errorf("nothing to do: %+v %v", s, err)
	}
}

func TestYumRefreshError(t *testing.T) {
	failed := &host.CommandError{Path: "/usr/bin/yum", Status: "exit status 1"}
	for name, c := range map[string]struct {
		out  string
		err  error
		want string
	}{
		"fine":    {"Metadata Cache Created\n", nil, ""},
		"gone":    {"Error: Cannot retrieve repository metadata (repomd.xml) for repository: kopano. Please verify its path and try again\n", failed, "kopano"},
		"passed":  {"Ignoring repositories: kopano\nMetadata cache created.\n", nil, "kopano"},
		"unknown": {"", failed, "exit status 1"},
	} {
		err := refreshError(answer{Stdout: c.out, Code: 1}, c.err)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseYumList(t *testing.T) {
	got := parseYumList(`Available Packages
kopano-server.x86_64                 8.7.0-1                              kopano
kopano-a-rather-long-name-of-a-library-package.noarch
                                     1:8.7.0-1                            kopano
`, "x86_64")
	want := []offer{
		{Name: "kopano-server", Arch: "x86_64", Version: "8.7.0-1", Repository: "kopano"},
		{Name: "kopano-a-rather-long-name-of-a-library-package", Arch: "noarch", Version: "1:8.7.0-1", Repository: "kopano"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
}

func TestDuplicates(t *testing.T) {
	r := func(name, version, arch, provides string) rpm.Record {
		return rpm.Record{Package: host.Package{Name: name, Version: version, Arch: arch, Provides: provides}}
	}
	got := duplicates([]rpm.Record{
		r("glibc", "2.17-1", "x86_64", ""), r("glibc.i686", "2.17-1", "i686", ""),
		r("kernel", "3.10-1", "x86_64", "kernel = 3.10"), r("kernel", "3.10-2", "x86_64", "kernel = 3.10"),
		r("kmod-x", "1-1", "x86_64", "installonlypkg(kernel-module)"), r("kmod-x", "2-1", "x86_64", "installonlypkg(kernel-module)"),
		r("zarafa", "7.2.6-1", "x86_64", ""), r("zarafa", "7.2.7-1", "x86_64", ""),
	})
	if len(got) != 1 || got[0].Name != "zarafa" || got[0].Version != "7.2.6-1" || got[0].newer != "7.2.7-1" {
		t.Errorf("got %+v", got)
	}
}

func TestParseUnmet(t *testing.T) {
	got := parseUnmet("Unsatisfied dependencies for zarafa-server-7.2.6-1.x86_64:\n\tzarafa-common is needed by (installed) zarafa-server-7.2.6-1.x86_64\n\tlibx is needed by (installed) zarafa-server-7.2.6-1.x86_64\n" +
		"Unsatisfied dependencies for old-1-1: liby\n")
	want := []string{"zarafa-common is needed by (installed) zarafa-server-7.2.6-1.x86_64", "libx is needed by (installed) zarafa-server-7.2.6-1.x86_64", "Unsatisfied dependencies for old-1-1: liby"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestParseZypperSolution(t *testing.T) {
	head, foot := "<?xml version='1.0'?>\n<stream>\n<message type=\"info\">Resolving package dependencies...</message>\n", "</stream>\n"
	got, err := parseZypperSolution(head+`<install-summary download-size="19801" space-usage-diff="-78" packages-to-change="3">
<to-install>
<solvable type="package" name="kopano-server" edition="1:8.7.0-1" arch="x86_64" repository="Kopano" summary="x"><description>d &amp; e</description></solvable>
</to-install>
<to-downgrade>
<solvable type="package" name="libvmime" edition="0.9-1" arch="x86_64" edition-old="1.0-1" arch-old="x86_64"/>
</to-downgrade>
<to-remove>
<solvable type="package" name="zarafa-server" edition="7.2.6-1" arch="x86_64"/>
</to-remove>
</install-summary>
<prompt id="0"><text>Continue?</text><option default="1" value="y" desc="Yes"/></prompt>
`+foot, "x86_64", nil)
	must(t, err)
	want := host.Solution{
		Install: []host.Change{{Name: "kopano-server", Version: "1:8.7.0-1", Origin: "Kopano"}},
		Upgrade: []host.Change{{Name: "libvmime", Version: "0.9-1", Old: "1.0-1"}},
		Remove:  []host.Change{{Name: "zarafa-server", Version: "7.2.6-1"}}, Download: 19801, DiskDelta: -78,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	var impossible *host.SolveError
	_, err = parseZypperSolution(head+`<message type="error">No provider of &apos;nosuch&apos; found.</message>`+foot, "x86_64", nil)
	if !errors.As(err, &impossible) || !strings.Contains(err.Error(), "nosuch") {
		t.Errorf("missing: %v", err)
	}
	_, err = parseZypperSolution(head+"<prompt id=\"1\">\n<description>Problem: a requires b\n Solution 1: keep c\n</description>\n<text>Choose</text></prompt>"+foot, "x86_64", nil)
	if !errors.As(err, &impossible) || !strings.Contains(err.Error(), "a requires b") {
		t.Errorf("problem: %v", err)
	}
	for _, bad := range []string{"", head + foot, head + `<install-summary download-size="0" space-usage-diff="0" packages-to-change="1"><to-swap><solvable type="package" name="x"/></to-swap></install-summary>` + foot} {
		if _, err := parseZypperSolution(bad, "x86_64", nil); err == nil || errors.As(err, &impossible) {
			t.Errorf("%.60q: %v", bad, err)
		}
	}
}

// silentFront leaves out what it is asked for, and calls that success.
type silentFront struct{ rpmFront }

func (silentFront) solve(rpmTransaction) (host.Solution, error) {
	return host.Solution{Install: []host.Change{{Name: "site-base", Version: "1.0-1"}}}, nil
}

// TestFileThatIsPassedOver: a package file that yum, dnf or zypper leaves out without a word is named, and nothing begins.
func TestFileThatIsPassedOver(t *testing.T) {
	base := rpmSpec{name: "site-base", version: "1.0-1", file: "/srv/base.rpm"}
	mail := rpmSpec{name: "site-mail", version: "2.0-1", file: "/srv/kopano:8.7/mail.rpm"}
	if _, err := (rpms{}).solve(silentFront{}, rpmTransaction{install: []rpmSpec{base}}); err != nil {
		t.Error(err)
	}
	_, err := (rpms{}).solve(silentFront{}, rpmTransaction{install: []rpmSpec{base, mail}})
	var impossible *host.SolveError
	if !errors.As(err, &impossible) || !strings.Contains(err.Error(), "would not install site-mail 2.0-1 from /srv/kopano:8.7/mail.rpm") {
		t.Errorf("got %v", err)
	}
}

func TestOldReleaseFiles(t *testing.T) {
	got := parseRedHatRelease("Red Hat Enterprise Linux Server release 6.10 (Santiago)")
	if got["ID"] != "rhel" || got["VERSION_ID"] != "6.10" {
		t.Errorf("got %v", got)
	}
	if got := parseRedHatRelease("CentOS release 6.10 (Final)"); got["ID"] != "centos" || got["ID_LIKE"] != "rhel fedora" {
		t.Errorf("got %v", got)
	}
	got = parseSUSERelease("SUSE Linux Enterprise Server 11 (x86_64)\nVERSION = 11\nPATCHLEVEL = 4\n")
	if got["ID"] != "sles" || got["VERSION_ID"] != "11.4" || got["NAME"] != "SUSE Linux Enterprise Server 11" {
		t.Errorf("got %v", got)
	}
}

// TestZypperChangesVendor reads a package once that zypper lists twice: as upgraded, and as another vendor's.
func TestZypperChangesVendor(t *testing.T) {
	const one = `<solvable type="package" name="php-mapi" edition="8.7.0-1" edition-old="7.2.6-1" arch="noarch"/>`
	got, err := parseZypperSolution(`<stream><install-summary download-size="0" space-usage-diff="0" packages-to-change="1"><to-upgrade>`+one+
		`</to-upgrade><to-change-vendor>`+one+`</to-change-vendor></install-summary></stream>`, "x86_64", nil)
	if err != nil || len(got.Upgrade) != 1 || got.Upgrade[0].Old != "7.2.6-1" {
		t.Errorf("solution %+v, %v", got, err)
	}
}
