package live

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/deb"
)

func TestParseSolution(t *testing.T) {
	out := `NOTE: This is only a simulation!
Reading package lists...
Remv zarafa-client [7.2.6-10]
Purg zarafa-server [7.2.6.52189-10] [zarafa-spooler:amd64 ]
Inst kopano-server (8.7.0.0-1 Kopano:8.7/stable, Other:1/x [amd64]) []
Inst libc6 [2.36-8] (2.36-9 Debian:12.1/stable [amd64]) [libc-bin:amd64 ]
Inst local (1.0 [all])
Inst other:i386 (1:2.0~rc1 [i386])
Conf kopano-server (8.7.0.0-1 Kopano:8.7/stable [amd64])
`
	got, err := parseSolution(out)
	must(t, err)
	want := host.Solution{
		Install: []host.Change{
			{Name: "kopano-server", Version: "8.7.0.0-1", Origin: "Kopano:8.7/stable, Other:1/x"},
			{Name: "local", Version: "1.0"},
			{Name: "other:i386", Version: "1:2.0~rc1"},
		},
		Upgrade: []host.Change{{Name: "libc6", Version: "2.36-9", Old: "2.36-8", Origin: "Debian:12.1/stable"}},
		Remove: []host.Change{
			{Name: "zarafa-client", Version: "7.2.6-10"},
			{Name: "zarafa-server", Version: "7.2.6.52189-10", Purge: true},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if _, err := parseSolution("Remv something new in this line\n"); err == nil {
		t.Error("a removal that is not understood is passed over")
	}
}

func TestParseMadison(t *testing.T) {
	got := parseMadison(`     slapd | 2.5.13+dfsg-5 | http://deb.debian.org/debian bookworm/main amd64 Packages
     slapd | 2.5.13+dfsg-5 | http://mirror.example.org/debian bookworm/main amd64 Packages
     slapd | 2.4.59 | file:/repo ./ Packages
     slapd | 2.4.59 | file:/repo ./ Sources
`)
	want := map[string][]host.Candidate{"slapd": {
		{Version: "2.5.13+dfsg-5", Origin: "http://deb.debian.org/debian bookworm/main amd64"},
		{Version: "2.4.59", Origin: "file:/repo ./"},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
}

func TestUpdateError(t *testing.T) {
	cases := []struct {
		name, stderr string
		fails        bool
	}{
		{"fine", "", false},
		{"hint", "W: Target Packages (Packages) is configured multiple times in /etc/apt/sources.list:1\n", false},
		{"old lists, wrong key", "W: An error occurred during the signature verification. The repository is not updated and the previous index files will be used. GPG error: file:/repo ./ InRelease: NO_PUBKEY 12\nW: Some index files failed to download. They have been ignored, or old ones used instead.\n", true},
		{"gone", "W: Failed to fetch http://x/Release  Could not connect\n", true},
		{"unsigned", "E: The repository 'file:/repo ./ Release' is not signed.\n", true},
	}
	for _, c := range cases {
		err := updateError(answer{Stderr: c.stderr}, nil)
		if (err != nil) != c.fails {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	cancelled := errors.New("interrupted")
	if err := updateError(answer{Code: -1}, cancelled); err != cancelled {
		t.Errorf("cancelled: %v", err)
	}
}

func TestVersionAtLeast(t *testing.T) {
	for version, want := range map[string]bool{"0.9.7.9": false, "1.0.9.8.6": false, "1.0.1ubuntu2": false, "1.1": true, "1.2.35": true, "2.6.1": true} {
		if got := versionAtLeast(version, 1, 1); got != want {
			t.Errorf("%s: %v", version, got)
		}
	}
}

func TestProbeSecrets(t *testing.T) {
	probe := host.RepositoryProbe{Files: []host.ConfigFile{
		{Content: host.NewSecret("deb https://me:s3cr%21t@download.example.org/x ./\n")},
		{Content: host.NewSecret("machine download.example.org login me\n password t0p\n")},
	}}
	if got := repositorySecrets(probe); !reflect.DeepEqual(got, []string{"s3cr%21t", "t0p"}) {
		t.Errorf("got %q", got)
	}
}

// TestPassedOver refuses a solution without a package file that is not installed in that version.
func TestPassedOver(t *testing.T) {
	files := map[string]deb.Paragraph{"/srv/a.deb": {"package": "a", "version": "1:2", "architecture": "i386"}}
	installed := func(name, version string) map[string]host.Package {
		return map[string]host.Package{name: {Name: name, Version: version, Status: "installed"}}
	}
	for _, tc := range []struct {
		comes   []host.Change
		have    map[string]host.Package
		refused bool
	}{
		{nil, nil, true},
		{nil, installed("a", "1:1"), true},
		{nil, installed("a", "1:2"), false},
		{nil, installed("a:i386", "1:2"), false},
		{nil, map[string]host.Package{"a": {Name: "a", Version: "1:2", Status: "config-files"}}, true},
		{[]host.Change{{Name: "a", Version: "1:2"}}, nil, false},
		{[]host.Change{{Name: "a:i386", Version: "1:2", Old: "1:1"}}, installed("a:i386", "1:1"), false},
		{[]host.Change{{Name: "a", Version: "1:3"}}, nil, true},
	} {
		err := refusePassedOver(host.Solution{Upgrade: tc.comes}, tc.have, files)
		if (err != nil) != tc.refused || err != nil && !strings.Contains(err.Error(), "/srv/a.deb, which holds a 1:2") {
			t.Errorf("%+v: %v", tc, err)
		}
	}
}

// TestFailedHook takes nothing else that apt complains of for a failed hook.
func TestFailedHook(t *testing.T) {
	const hook, after = "E: Problem executing scripts DPkg::Post-Invoke 'etckeeper post-install'\n", "E: Sub-process returned an error code\n"
	for said, want := range map[string]string{
		"":           "",
		after:        "",
		hook + after: "DPkg::Post-Invoke 'etckeeper post-install'",
		"W: Failed to fetch file:/x\nE: Problem executing scripts APT::Update::Post-Invoke-Success 'cnf-update-db'\n" + after: "APT::Update::Post-Invoke-Success 'cnf-update-db'",
		"E: Problem executing scripts DPkg::Pre-Invoke 'false'\n" + after:                                                     "",
		"E: Sub-process /usr/bin/dpkg returned an error code (1)\n" + hook + after:                                            "",
		hook + after + "E: Could not read the list\n":                                                                         "",
	} {
		if got := failedHook(answer{Stderr: said}); got != want {
			t.Errorf("%q: %q", said, got)
		}
	}
}
