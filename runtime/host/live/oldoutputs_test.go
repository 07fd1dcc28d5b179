package live

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/packagelock"
	"zcp2kopano/runtime/host/rpm"
)

// What old package managers say, by their sources: yum 3.4 (output.py, cli.py, yum/__init__.py), rpm 4.11.2 (lib/formats.c,
// lib/rpmprob.c, lib/rpmchecksig.c, lib/rpmscript.c) and zypper 1.13 (src/Summary.cc). Nobody has run them here; the inputs
// are made from what those write, with packages of our own.

// TestOldYumHeadings wants each heading that yum 3.4 gives to a part of its table to be known, and what may be anything not.
func TestOldYumHeadings(t *testing.T) {
	for heading, want := range map[string]string{
		"Installing": "install", "Installing for dependencies": "install",
		`Installing for group install "mail"`: "install", `Installing for group upgrade "mail"`: "install",
		"Updating": "upgrade", "Updating for dependencies": "upgrade", "Reinstalling": "upgrade", "Downgrading": "upgrade",
		"Removing": "remove", "Removing for dependencies": "remove",
		"Skipped (dependency problems)": "skip", "Not installed": "skip", "Not available": "skip",
		"Obsoleting": "",
	} {
		if got := meaningOf(heading + ":"); got != want {
			t.Errorf("%s: %q, want %q", heading, got, want)
		}
	}
}

// TestOldYumRefuses wants the words on which a transaction fails: also those that yum 3.4 puts in lines of their own.
func TestOldYumRefuses(t *testing.T) {
	for name, c := range map[string]struct{ out, want string }{
		"file conflict": {"Running transaction test\n\n\nTransaction check error:\n  file /usr/sbin/mapid from install of kopano-server-8.7.0-1.x86_64 conflicts with file from package site-1-1.noarch\n\n" +
			"Error Summary\n-------------\n\n", "conflicts with file from package site-1-1.noarch"},
		"full disk": {"\n\nTransaction check error:\n  installing package kopano-server-8.7.0-1.x86_64 needs 12MB on the / filesystem\n\nError Summary\n-------------\n" +
			"Disk Requirements:\n  At least 12MB more space needed on the / filesystem.\n\n", "needs 12MB on the / filesystem"},
		"protected": {"\n\nError: Trying to remove \"yum\", which is protected\n", "which is protected"},
		"unsigned":  {"\n\nPackage kopano-server-8.7.0-1.x86_64.rpm is not signed\n", ""},
	} {
		_, _, err := parseYumTable(c.out, "x86_64")
		var impossible *host.SolveError
		if c.want == "" && (err == nil || errors.As(err, &impossible)) || c.want != "" && (!errors.As(err, &impossible) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	held := &host.CommandError{Path: "/usr/bin/yum", Status: "exit status 1", Output: "Existing lock /var/run/yum.pid: another copy is running as pid 4711.\n" +
		"Another app is currently holding the yum lock; exiting as configured by exit_on_lock\n"}
	if !packagelock.Lost(fmt.Errorf("yum: %w", held)) {
		t.Error("yum's words for a lock that another process has are not known")
	}
}

// TestOldRPMScripts names the scriptlet that failed; of rpm 4.11 and 4.18.
func TestOldRPMScripts(t *testing.T) {
	const before, after = "%pre(kopano-server-8.7.0-1.x86_64) scriptlet failed, exit status 3", "%post(kopano-server-8.7.0-1.x86_64) scriptlet failed, signal 9"
	for out, want := range map[string]string{
		"  Installing : kopano-server-8.7.0-1.x86_64     1/1 \nno luck\nerror: " + before + "\nError in PREIN scriptlet in rpm package kopano-server-8.7.0-1.x86_64\n": before,
		"  Installing : kopano-server-8.7.0-1.x86_64     1/1 \nwarning: " + after + "\nNon-fatal POSTIN scriptlet failure in rpm package kopano-server\n":              after,
		"error: %prein(kopano-server-8.7.0-1.noarch) scriptlet failed, exit status 3\n":                                                                                "%prein(kopano-server-8.7.0-1.noarch) scriptlet failed, exit status 3",
		"Installed:\n  kopano-server.x86_64 0:8.7.0-1\n\nComplete!\n":                                                                                                  "",
	} {
		if got := scriptCause(out); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	wrong := errors.New("kopano-server 8.7.0-1 is not installed")
	for name, c := range map[string]struct {
		said  string
		back  bool
		wrong error
		want  []string
	}{
		"it keeps the package away":      {"error: " + before, false, wrong, []string{before + ": kopano-server 8.7.0-1 is not"}},
		"the package is there":           {"warning: " + after, false, nil, []string{after, "do by hand what it was to do, then resume"}},
		"the package is there, and back": {"warning: " + after, true, nil, nil},
		"of a package that has gone":     {"warning: %postun(zarafa-server-7.2.6-1.x86_64) scriptlet failed, exit status 1", false, nil, nil},
		"nothing failed":                 {"Complete!", false, nil, nil},
	} {
		err := scriptletFailed(c.said, host.Transaction{Downgrade: c.back}, c.wrong)
		if (err != nil) != (c.want != nil) {
			t.Errorf("%s: %v", name, err)
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), c.want[0]) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestOldRPMUnmet reads what rpm 4.11 says of requirements, of packages that are installed and of such as are not.
func TestOldRPMUnmet(t *testing.T) {
	got := parseUnmet("Unsatisfied dependencies for zarafa-ical-7.2.6-1.x86_64:\n    zarafa-common = 7.2.6 is needed by (installed) zarafa-ical-7.2.6-1.x86_64\n" +
		"    libical.so.0()(64bit) is needed by zarafa-ical-7.2.6-1.x86_64\n.......T.  c /etc/zarafa/ical.cfg\n")
	want := []string{"zarafa-common = 7.2.6 is needed by (installed) zarafa-ical-7.2.6-1.x86_64", "libical.so.0()(64bit) is needed by zarafa-ical-7.2.6-1.x86_64"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q", got)
	}
}

// TestOldRPMChecks judges a package file by what rpm says of its sums: 4.11 names each, 4.14 and later their kinds.
func TestOldRPMChecks(t *testing.T) {
	for said, whole := range map[string]bool{
		"/srv/a.rpm: sha1 md5 OK\n": true, "/srv/a.rpm: rsa sha1 (md5) pgp md5 OK\n": true, "/srv/a.rpm: digests OK\n": true,
		"/srv/a.rpm: sha1 MD5 NOT OK\n": false, "/srv/a.rpm: DIGESTS NOT OK\n": false, "": false,
	} {
		if saysWhole(said) != whole {
			t.Errorf("%q", said)
		}
	}
}

// TestOldRPMXML reads a package of rpm 4.11: it escapes three characters only, breaks base64 into lines, and has MD5 sums where
// the package was built with them.
func TestOldRPMXML(t *testing.T) {
	in, err := rpm.ParseInstalled("<rpmHeader>\n  <rpmTag name=\"Name\">\n\t<string>zarafa-client</string>\n  </rpmTag>\n" +
		"  <rpmTag name=\"Version\">\n\t<string>7.2.6</string>\n  </rpmTag>\n  <rpmTag name=\"Release\">\n\t<string>1</string>\n  </rpmTag>\n" +
		"  <rpmTag name=\"Arch\">\n\t<string>x86_64</string>\n  </rpmTag>\n" +
		"  <rpmTag name=\"Sigmd5\">\n\t<base64>q80BAgME\nBQYHCAk=\n</base64>\n  </rpmTag>\n" +
		"  <rpmTag name=\"Postin\">\n\t<string>[ \"$1\" = 1 ] &amp;&amp; echo 'it &lt;is&gt; \"new\"' || :</string>\n  </rpmTag>\n" +
		"  <rpmTag name=\"Filemodes\">\n\t<integer>33188</integer>\n  </rpmTag>\n  <rpmTag name=\"Fileflags\">\n\t<integer>17</integer>\n  </rpmTag>\n" +
		"  <rpmTag name=\"Fileusername\">\n\t<string>root</string>\n  </rpmTag>\n  <rpmTag name=\"Filegroupname\">\n\t<string>root</string>\n  </rpmTag>\n" +
		"  <rpmTag name=\"Filelinktos\">\n\t<string/>\n  </rpmTag>\n" +
		"  <rpmTag name=\"Filedigests\">\n\t<string>d41d8cd98f00b204e9800998ecf8427e</string>\n  </rpmTag>\n" +
		"  <rpmTag name=\"Dirindexes\">\n\t<integer>0</integer>\n  </rpmTag>\n  <rpmTag name=\"Basenames\">\n\t<string>client.cfg</string>\n  </rpmTag>\n" +
		"  <rpmTag name=\"Dirnames\">\n\t<string>/etc/zarafa/</string>\n  </rpmTag>\n</rpmHeader>\n")
	must(t, err)
	if got, want := in["Postin"], []string{`[ "$1" = 1 ] && echo 'it <is> "new"' || :`}; !reflect.DeepEqual(got, want) {
		t.Errorf("script %q", got)
	}
	files, err := in.Files()
	must(t, err)
	if in.SHA256() || len(files) != 1 || files[0].Path != "/etc/zarafa/client.cfg" || files[0].Digest != "d41d8cd98f00b204e9800998ecf8427e" {
		t.Errorf("sums of SHA-256: %v; files %+v", in.SHA256(), files)
	}
}

// TestOldZypper reads a summary of zypper 1.13: it counts no packages, names no repository, and lists once more what has no
// support.
func TestOldZypper(t *testing.T) {
	const head, foot = "<?xml version='1.0'?>\n<stream>\n<message type=\"info\">Loading repository data...</message>\n", "</stream>\n"
	got, err := parseZypperSolution(head+`<install-summary download-size="5120" space-usage-diff="-2048">
<to-upgrade>
<solvable type="package" name="libvmime" edition="1.0-1" arch="x86_64" edition-old="0.9-1" arch-old="x86_64" summary="mail"/>
</to-upgrade>
<to-install>
<solvable type="package" name="kopano-server" edition="8.7.0-1" arch="x86_64" summary="the &quot;server&quot;">
<description>It serves &lt;mail&gt;.</description></solvable>
</to-install>
<to-remove>
<solvable type="package" name="zarafa-server" edition="7.2.4-2.1" arch="x86_64"/>
<solvable type="pattern" name="mail" edition="12-1" arch="x86_64"/>
</to-remove>
<_unsupported>
<solvable type="package" name="kopano-server" edition="8.7.0-1" arch="x86_64"/>
</_unsupported>
</install-summary>
`+foot, "x86_64", nil)
	must(t, err)
	want := host.Solution{
		Install:  []host.Change{{Name: "kopano-server", Version: "8.7.0-1"}},
		Upgrade:  []host.Change{{Name: "libvmime", Version: "1.0-1", Old: "0.9-1"}},
		Remove:   []host.Change{{Name: "zarafa-server", Version: "7.2.4-2.1"}},
		Download: 5120, DiskDelta: -2048,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	// It has no word for "nothing": a summary with nothing in it changes nothing.
	if got, err := parseZypperSolution(head+"<install-summary download-size=\"0\" space-usage-diff=\"0\">\n</install-summary>\n"+foot, "x86_64", nil); err != nil || len(got.Install)+len(got.Remove) > 0 {
		t.Errorf("%+v, %v", got, err)
	}
}
