package runbooks_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"

	"zcp2kopano/runbooks"
	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host/sim"
)

// rpmHosts are the shipped hosts whose packages are rpm's, with where each has its repositories.
var rpmHosts = map[string]string{"rhel7-zcp72.txtar": "/etc/yum.repos.d", "sles12-zcp72.txtar": "/etc/zypp/repos.d"}

// TestRPMLeavesNoPasswords has no file left that the removal made of an edited one: rpm has no purge.
func TestRPMLeavesNoPasswords(t *testing.T) {
	for name := range rpmHosts {
		for purge, left := range map[string]bool{"yes": false, "no": true} {
			h := stockHost(t, name, nil)
			if p := playStock(t, h, map[string]string{"purge": purge}); p.verdict.Code != exit.Done {
				t.Fatalf("%s, purge = %s: %s", name, purge, p.verdict.Text)
			}
			for _, file := range []string{"/etc/zarafa/server.cfg.rpmsave", "/etc/zarafa/gateway.cfg.rpmsave"} {
				_, err := h.Stat(file)
				if err != nil && !errors.Is(err, fs.ErrNotExist) {
					t.Fatal(err)
				}
				if there := err == nil; there != left {
					t.Errorf("%s, purge = %s: %s is there: %v", name, purge, file, there)
				}
			}
		}
	}
}

// TestRPMRepository is where each front reads it, in the directory that was asked for.
func TestRPMRepository(t *testing.T) {
	for name, dir := range rpmHosts {
		h := stockHost(t, name, nil)
		want := map[string]string{"rhel7-zcp72.txtar": "RHEL_7_PHP_71", "sles12-zcp72.txtar": "SLE_12_PHP7"}[name]
		if p := playStock(t, h, map[string]string{"repo_dir": want}); p.verdict.Code != exit.Done {
			t.Fatalf("%s: %s", name, p.verdict.Text)
		}
		text := readAll(t, h, dir+"/kopano.repo")
		if !strings.Contains(text, "baseurl=https://download.kopano.io/supported/core:/final/"+want+"/\n") {
			t.Errorf("%s: %s", name, text)
		}
		packages, err := h.Packages()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range packages {
			if p.Name == "php-mapi" && p.Origin != "Kopano" {
				t.Errorf("%s: php-mapi is of %s", name, p.Origin)
			}
		}
	}
}

// TestOldRPMSystems are refused, with the way that leads on.
func TestOldRPMSystems(t *testing.T) {
	for name, c := range map[string]struct{ from, to, finding string }{
		"rhel7-zcp72.txtar":  {`VERSION_ID="7"`, `VERSION_ID="6.10"`, "inhibitor: this program does not migrate RHEL and CentOS 6"},
		"sles12-zcp72.txtar": {`VERSION_ID="12.2"`, `VERSION_ID="11.4"`, "inhibitor: this program does not migrate SLES 11"},
	} {
		edited := func(text string) string {
			if !strings.Contains(text, c.from) {
				t.Fatalf("%s does not say %s", name, c.from)
			}
			return strings.Replace(text, c.from, c.to, 1)
		}
		p := playStock(t, stockHost(t, name, edited), nil)
		if p.verdict.Code != exit.Inhibited || !strings.Contains(strings.Join(p.serious, "\n"), c.finding) {
			t.Errorf("%s: %s; %v", name, p.verdict.Text, p.serious)
		}
	}
}

// TestNewerRPMSystems go the same way by their own managers: with a repository whose name is said to be a guess, or from files.
func TestNewerRPMSystems(t *testing.T) {
	for name, c := range map[string]struct {
		edits               []string
		manager, repository string
	}{
		"rhel7-zcp72.txtar": {[]string{
			"manager: yum 3.4.3", "manager: dnf 4.7.0", `VERSION_ID="7"`, `VERSION_ID="8.6"`, `ID="centos"`, `ID="rhel"`, `ID_LIKE="rhel fedora"`, `ID_LIKE="fedora"`,
			"CentOS Linux release 7.5.1804 (Core)", "Red Hat Enterprise Linux release 8.6 (Ootpa)", "kernel: 3.10.0-862.el7.x86_64", "kernel: 4.18.0-372.el8.x86_64",
		}, "dnf", "/etc/yum.repos.d/kopano.repo RHEL_8"},
		"sles12-zcp72.txtar": {[]string{`VERSION_ID="12.2"`, `VERSION_ID="15.3"`, "manager: zypper 1.13.45", "manager: zypper 1.14.46"}, "zypper", "/etc/zypp/repos.d/kopano.repo SLE_15"},
	} {
		h := stockHost(t, name, func(text string) string {
			for i := 0; i < len(c.edits); i += 2 {
				text = strings.Replace(text, c.edits[i], c.edits[i+1], 1)
			}
			return text
		})
		m, err := h.PackageManager()
		if err != nil || m.Name != c.manager {
			t.Fatalf("%s: %+v, %v", name, m, err)
		}
		p := playStock(t, h, nil)
		if p.verdict.Code != exit.Done || !slices.Contains(p.infos, "the name of the repository's directory is a guess") {
			t.Errorf("%s: %s; %q; %q", name, p.verdict.Text, p.serious, p.reasons)
			continue
		}
		file, dir, _ := strings.Cut(c.repository, " ")
		if text := readAll(t, h, file); !strings.Contains(text, "/final/"+dir+"/\n") {
			t.Errorf("%s: %s", name, text)
		}
	}
}

// TestLikeRHEL are systems that are made from RHEL, by what they say of themselves.
func TestLikeRHEL(t *testing.T) {
	for id, like := range map[string]string{"rocky": "rhel centos fedora", "ol": "fedora", "rhel": "fedora", "scientific": "rhel centos fedora"} {
		h := stockHost(t, "rhel7-zcp72.txtar", func(text string) string {
			text = strings.Replace(text, `ID="centos"`, `ID="`+id+`"`, 1)
			return strings.Replace(text, `ID_LIKE="rhel fedora"`, `ID_LIKE="`+like+`"`, 1)
		})
		if book := stockFor(t, h); book.Name != "@stock//rhel.star" {
			t.Errorf("%s gets the runbook %s", id, book.Name)
		}
	}
}

// TestLikeSLES are openSUSE's releases, by what they say of themselves, each with its directory of the repository.
func TestLikeSLES(t *testing.T) {
	for _, c := range []struct{ id, version string }{{"opensuse", "42.3"}, {"opensuse-leap", "15.3"}} {
		h := stockHost(t, "sles12-zcp72.txtar", func(text string) string {
			text = strings.Replace(text, "\nID=\"sles\"", "\nID=\""+c.id+"\"", 1)
			return strings.Replace(text, `VERSION_ID="12.2"`, `VERSION_ID="`+c.version+`"`, 1)
		})
		if book := stockFor(t, h); book.Name != "@stock//sles.star" {
			t.Errorf("%s gets the runbook %s", c.id, book.Name)
		}
		if p := playStock(t, h, nil); p.verdict.Code != exit.Done {
			t.Fatalf("%s: %s; %q", c.id, p.verdict.Text, p.serious)
		}
		if text := readAll(t, h, "/etc/zypp/repos.d/kopano.repo"); !strings.Contains(text, "/final/openSUSE_Leap_"+c.version+"/\n") {
			t.Errorf("%s: %s", c.id, text)
		}
	}
}

// TestLabels has the distribution's own tool label what has moved, where SELinux is active and the tool is there, and the
// way back label what it brings back.
func TestLabels(t *testing.T) {
	for name, want := range map[string][]string{
		"rhel7-zcp72.txtar": {
			"what /usr/sbin/restorecon -i -n -R /etc/zarafa does",
			"what /usr/sbin/restorecon -i -R /etc/kopano /var/lib/kopano /var/log/kopano /var/lib/kopano/attachments /var/lib/kopano/search does",
		},
		"sles12-zcp72.txtar": nil,
	} {
		h := stockHost(t, name, nil)
		if p := playStock(t, h, nil); p.verdict.Code != exit.Done {
			t.Fatalf("%s: %s", name, p.verdict.Text)
		}
		var got []string
		for _, gap := range h.Unpredicted() {
			if strings.Contains(gap.What, "restorecon") {
				got = append(got, gap.What)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: labels are restored by %q, want %q", name, got, want)
		}
	}
}

// TestFirewall names what opens the firewall for ZCP by its name.
func TestFirewall(t *testing.T) {
	for name, path := range map[string]string{
		"rhel7-zcp72.txtar": "/etc/firewalld/services/zarafa.xml", "sles12-zcp72.txtar": "/etc/sysconfig/SuSEfirewall2.d/services/zarafa",
	} {
		p := playStock(t, stockHost(t, name, func(text string) string { return text + "-- " + path + " --\nzarafa\n" }), nil)
		if want := "warning: " + path + " names zarafa"; !slices.Contains(p.serious, want) {
			t.Errorf("%s: no %q in %q", name, want, p.serious)
		}
	}
}

// TestPortLabels warns of a port that semanage was not told of, where SELinux is, and of nothing else.
func TestPortLabels(t *testing.T) {
	const local = "\n-- /etc/selinux/targeted/active/ports.local 0600 --\n# made by libsemanage\nportcon tcp %s system_u:object_r:pop_port_t:s0\n"
	for _, tc := range []struct {
		name, fixture, port string // that of ports.local
		want                bool
	}{
		{"not labelled", "rhel7-zcp72.txtar", "", true},
		{"labelled", "rhel7-zcp72.txtar", "1143", false},
		{"labelled in a range", "rhel7-zcp72.txtar", "1140-1150", false},
		{"another is labelled", "rhel7-zcp72.txtar", "1144", true},
		{"no SELinux", "sles12-zcp72.txtar", "", false},
	} {
		p := playStock(t, stockHost(t, tc.fixture, func(text string) string {
			text = strings.Replace(text, "-- /etc/zarafa/gateway.cfg --\n", "-- /etc/zarafa/gateway.cfg --\nimap_port = 1143\n", 1)
			if tc.port != "" {
				text += fmt.Sprintf(local, tc.port)
			}
			return text
		}), nil)
		if got := slices.Contains(p.serious, "warning: SELinux knows no label for port 1143"); got != tc.want {
			t.Errorf("%s: %q", tc.name, p.serious)
		}
	}
}

// TestAppArmorProfiles names profiles that let programs reach ZCP's files by name.
func TestAppArmorProfiles(t *testing.T) {
	p := playStock(t, stockHost(t, "sles12-zcp72.txtar", func(text string) string {
		return text + "-- /etc/apparmor.d/local/usr.sbin.dovecot --\n/var/lib/zarafa/** r,\n-- /etc/apparmor.d/usr.sbin.ntpd --\n/usr/sbin/ntpd {}\n"
	}), nil)
	if want := "warning: /etc/apparmor.d/local/usr.sbin.dovecot names zarafa"; !slices.Contains(p.serious, want) {
		t.Errorf("no %q in %q", want, p.serious)
	}
	if strings.Contains(strings.Join(p.serious, "\n"), "ntpd") {
		t.Errorf("%q", p.serious)
	}
}

func readAll(t *testing.T, h *sim.Host, name string) string {
	t.Helper()
	f, err := h.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestFamiliesSayTheSame has each family of systems answer what the others are asked.
func TestFamiliesSayTheSame(t *testing.T) {
	field := regexp.MustCompile(`(?m)^    (\w+) = `)
	var want []string
	for _, name := range []string{"debian", "rhel", "sles"} {
		text, err := fs.ReadFile(runbooks.FS, "lib/"+name+".star")
		if err != nil {
			t.Fatal(err)
		}
		_, value, found := strings.Cut(string(text), "\n"+strings.ToUpper(name)+" = struct(\n")
		if !found {
			t.Fatalf("lib/%s.star has no %s", name, strings.ToUpper(name))
		}
		var got []string
		for _, m := range field.FindAllStringSubmatch(value, -1) {
			got = append(got, m[1])
		}
		slices.Sort(got)
		if want == nil {
			want = got
		}
		if len(got) < 20 || !slices.Equal(got, want) {
			t.Errorf("%s says %v, Debian %v", name, got, want)
		}
	}
}
