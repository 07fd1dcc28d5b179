package sim

import (
	"archive/tar"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/compression"
	"zcp2kopano/runtime/host/digest"
	"zcp2kopano/runtime/host/rpm"
)

// rpmFull is a package with all that a simulation reads of one.
var rpmFull = rpmSpec{
	name: "full", version: "7.2",
	tags: "Epoch: 2\nRequires: lib >= 1.0, /bin/sh\nProvides: full-api = 3\nConflicts: other < 2\nObsoletes: old <= 1\nRecommends: nice",
	files: []string{
		"%config(noreplace) %attr(0640,root,zarafa) /etc/full/a.cfg = " + strings.Repeat("setting = value\n", 200), "%config /etc/full/b.cfg = b",
		"%dir %attr(2750,zarafa,zarafa) /var/lib/full", "%ghost %config(noreplace) /etc/full/ghost.cfg", "%config(missingok) /etc/full/m.cfg = m",
		"/usr/lib/systemd/system/full.service = [Service]", "/usr/lib/full.so = ->full.so.1", "%attr(4755,root,root) /usr/bin/full = elf",
	},
	scripts: "%pre -p <lua>\nx = 1\n%preun -p <lua>\nx = 1\n%posttrans -p <lua>\nx = 1\n%triggerin -p <lua> -- other\nx = 1",
}

func TestReadRPM(t *testing.T) {
	needRPM(t)
	for name, payload := range map[string]string{"gzip": "w9.gzdio", "bzip2": "w9.bzdio", "xz": "w2.xzdio", "lzma": "w2.lzdio", "zstd": "w3.zstdio", "none": "w.ufdio"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := readRPMFile(t, rpmFull.build(t, "_binary_payload "+payload))
			got := map[string]string{
				"name": p.Name, "version": p.Version, "arch": p.Arch, "vendor": p.Origin, "source": p.Source, "obsoletes": p.Obsoletes,
				"conflicts": p.Conflicts, "recommends": p.Recommends, "scripts": strings.Join(p.Scripts, " "),
			}
			want := map[string]string{
				"name": "full", "version": "2:7.2-1", "arch": "noarch", "vendor": "Test", "source": "full", "obsoletes": "old <= 1",
				"conflicts": "other < 2", "recommends": "nice", "scripts": "pre preun posttrans triggers",
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
			for _, want := range []string{"lib >= 1.0", "/bin/sh"} {
				if !slices.Contains(strings.Split(p.Depends, ", "), want) {
					t.Errorf("requires %s, lacks %s", p.Depends, want)
				}
			}
			for _, want := range []string{"full-api = 3", "full = 2:7.2-1"} {
				if !slices.Contains(strings.Split(p.Provides, ", "), want) {
					t.Errorf("provides %s, lacks %s", p.Provides, want)
				}
			}
			checkFullFiles(t, p)
		})
	}
}

func checkFullFiles(t *testing.T, p *Package) {
	t.Helper()
	var lines []string
	for _, f := range p.Files {
		line := strings.Join([]string{f.Mode.String(), f.User + ":" + f.Group, f.Path, f.Target}, " ")
		if f.Mode.IsRegular() && !f.Ghost {
			if int64(len(f.Content)) != f.Size || digest.Of(f.Content, f.Digest) != f.Digest {
				t.Errorf("%s: %d bytes that are not those of the header", f.Path, len(f.Content))
			}
		}
		for word, on := range map[string]bool{" noreplace": f.NoReplace, " ghost": f.Ghost, " missingok": f.MissingOK} {
			if on {
				line += word
			}
		}
		if c := p.conffile(f.Path); c != nil {
			line += " config"
		}
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	want := []string{
		"-rw-r----- root:zarafa /etc/full/a.cfg noreplace config", "-rw-r--r-- root:root /etc/full/b.cfg config",
		"-rw-r--r-- root:root /etc/full/ghost.cfg noreplace ghost config", "-rw-r--r-- root:root /etc/full/m.cfg missingok config",
		"urwxr-xr-x root:root /usr/bin/full", "Lrwxrwxrwx root:root /usr/lib/full.so full.so.1",
		"-rw-r--r-- root:root /usr/lib/systemd/system/full.service", "dgrwxr-x--- zarafa:zarafa /var/lib/full",
	}
	for i, line := range lines {
		if words := strings.Fields(line); slices.Contains(words, "ghost") && slices.Contains(words, "noreplace") {
			slices.Sort(words[3:])
			lines[i] = strings.Join(append(words[:3], "noreplace", "ghost", "config"), " ")
		}
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("files, want -, got +:\n%s", diff)
	}
}

func TestDamagedRPM(t *testing.T) {
	needRPM(t)
	data, err := os.ReadFile(rpmFull.build(t, "_binary_payload w9.gzdio"))
	mustDo(t, err)
	for _, end := range []int{5, 95, 100, 500, len(data) / 2, len(data) - 20} {
		if _, err := ReadPackageFile(bytes.NewReader(data[:end]), int64(end), "test"); err == nil {
			t.Errorf("the first %d bytes are taken for a package", end)
		}
	}
	for at := 96; at < len(data); at += 7 {
		bad := bytes.Clone(data)
		bad[at] ^= 0xff
		_, _ = ReadPackageFile(bytes.NewReader(bad), int64(len(bad)), "test") // an error or not, but no panic
	}
}

// TestDebCompressions reads what dpkg-deb makes with each kind of compression.
func TestDebCompressions(t *testing.T) {
	needDpkg(t)
	d := madeDeb{name: "x", version: "1", conffiles: []string{"/etc/x"}, files: map[string]string{"/etc/x": strings.Repeat("some text ", 500), "/usr/lib/x": "->y"}}
	plain := d.build(t, t.TempDir())
	root := t.TempDir()
	if out, err := exec.Command("dpkg-deb", "-R", plain, root).CombinedOutput(); err != nil {
		t.Fatalf("dpkg-deb: %v\n%s", err, out)
	}
	for _, kind := range []string{"gzip", "xz", "zstd", "none"} {
		file := filepath.Join(t.TempDir(), kind+".deb")
		if out, err := exec.Command("dpkg-deb", "--root-owner-group", "-Z"+kind, "-b", root, file).CombinedOutput(); err != nil {
			t.Fatalf("dpkg-deb -Z%s: %v\n%s", kind, err, out)
		}
		p := readRPMFile(t, file)
		if f, ok := p.file("/etc/x"); !ok || string(f.Content) != d.files["/etc/x"] || len(p.Conffiles) != 1 {
			t.Errorf("%s: %+v", kind, p)
		}
	}
}

// TestOldDebCompressions reads what dpkg-deb made up to Debian 7, and no longer does.
func TestOldDebCompressions(t *testing.T) {
	for suffix, text := range map[string]string{
		".bz2":  "QlpoOTFBWSZTWfss58IAAAKRgEAAAgKMQCAAMQwBBk9HI8RJRdyRThQkPss58IA=",
		".lzma": "XQAAgAD//////////wA5m8ny51C4xeJdrPE1//+GcgAA",
	} {
		packed, err := base64.StdEncoding.DecodeString(text)
		mustDo(t, err)
		r, err := compression.Open(bytes.NewReader(packed), suffix)
		mustDo(t, err)
		var got bytes.Buffer
		if _, err := got.ReadFrom(r); err != nil || got.String() != "some text" {
			t.Errorf("%s: %q %v", suffix, got.String(), err)
		}
	}
	if _, err := compression.Open(strings.NewReader(""), ".Z"); !errors.Is(err, host.ErrUnsupported) {
		t.Errorf("an unknown compression: %v", err)
	}
}

// TestPackagesDirOfRPMs installs from a directory of rpms that the admin gives, onto a fixture.
func TestPackagesDirOfRPMs(t *testing.T) {
	needRPM(t)
	dir := fstest.MapFS{}
	common := rpmSpec{name: "kopano-common", version: "8.7", tags: "Requires: /bin/sh\nRequires: libc.so.6(GLIBC_2.4)(64bit)", scripts: "%pre -p <lua>\nx = 1",
		files: []string{"%dir %attr(0750,kopano,kopano) /var/lib/kopano", noReplace + "/etc/logrotate.d/kopano = weekly"}}
	server := rpmSpec{name: "kopano-server", version: "8.7", tags: "Requires: kopano-common = 8.7", scripts: "%post -p <lua>\nx = 1",
		files: []string{"%attr(0755,root,root) /usr/sbin/kopano-server = elf", "/usr/lib/systemd/system/kopano-server.service = [Service]\nExecStart=/usr/sbin/kopano-server"}}
	var files []string
	for _, s := range []rpmSpec{common, server} {
		data, err := os.ReadFile(s.build(t))
		mustDo(t, err)
		dir[s.name+".rpm"] = &fstest.MapFile{Data: data, Mode: 0o644}
		files = append(files, "/root/rpms/"+s.name+".rpm")
	}
	h := readHost(t, "rhel7", Options{PackagesDir: dir, PackagesPath: "/root/rpms"})
	mustDo(t, h.CommitPackages(t.Context(), host.Transaction{Install: files}, nil))
	user, err := h.User("kopano")
	mustDo(t, err)
	st, err := h.Lstat("/var/lib/kopano")
	if err != nil || st.UID != user.UID || st.Perm() != 0o750 {
		t.Errorf("/var/lib/kopano: %v of %d, %v; the user is %d", st.Mode, st.UID, err, user.UID)
	}
	if services, err := h.Services("kopano-*"); err != nil || len(services) != 1 || services[0].Name != "kopano-server" {
		t.Errorf("services %v %v", services, err)
	}
	if from := h.db.sources["kopano-common"]; from != "package file /root/rpms/kopano-common.rpm; what its scripts do: fixture" {
		t.Errorf("known from %q", from)
	}
	// What the fixture says of its scripts is all that "pre" does; it says so of "post" of the server too.
	for _, u := range h.Unpredicted() {
		if strings.Contains(u.What, "scriptlet") {
			t.Errorf("not simulated: %s", u.What)
		}
	}
}

// FuzzReadPackageFile reads damaged package files of either kind. What is in an rpm has a target of its own.
func FuzzReadPackageFile(f *testing.F) {
	f.Add([]byte("!<arch>\n"))
	f.Add([]byte(rpm.Magic))
	f.Add(smallDeb(f))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 2<<10 {
			return
		}
		_, _ = ReadPackageFile(bytes.NewReader(data), int64(len(data)), "fuzz")
	})
}

// smallDeb is a package file with nothing but its name in it, unpacked, so that what is changed in it is read.
func smallDeb(f *testing.F) []byte {
	var control, deb bytes.Buffer
	text := "Package: x\nVersion: 1\nArchitecture: all\n"
	w := tar.NewWriter(&control)
	mustDo(f, w.WriteHeader(&tar.Header{Name: "./control", Mode: 0o644, Size: int64(len(text)), Format: tar.FormatUSTAR}))
	_, err := w.Write([]byte(text))
	mustDo(f, err)
	mustDo(f, w.Flush())
	deb.WriteString("!<arch>\n")
	for _, member := range []struct{ name, content string }{{"debian-binary", "2.0\n"}, {"control.tar", control.String()}, {"data.tar", ""}} {
		fmt.Fprintf(&deb, "%-16s%-12d%-6d%-6d%-8s%-10d`\n%s", member.name, 0, 0, 0, "100644", len(member.content), member.content)
	}
	return deb.Bytes()
}
