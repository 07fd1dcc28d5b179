package rpm

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"zcp2kopano/runtime/host"
)

// installedXML is what rpm 4.18 says of a package, shortened; the names are those of every rpm since 4.4.
const installedXML = `<rpmHeader>
  <rpmTag name="Sigmd5">
	<base64>CHiKhgvozranXnrAycd2bw==
</base64>
  </rpmTag>
  <rpmTag name="Name">
	<string>zarafa-server</string>
  </rpmTag>
  <rpmTag name="Version">
	<string>7.2.6</string>
  </rpmTag>
  <rpmTag name="Release">
	<string>1.1</string>
  </rpmTag>
  <rpmTag name="Epoch">
	<integer>2</integer>
  </rpmTag>
  <rpmTag name="Summary">
	<string>storage &lt;server&gt; &amp; more</string>
  </rpmTag>
  <rpmTag name="Installtime">
	<integer>1796008873</integer>
  </rpmTag>
  <rpmTag name="Os">
	<string>linux</string>
  </rpmTag>
  <rpmTag name="Arch">
	<string>noarch</string>
  </rpmTag>
  <rpmTag name="Sourcerpm">
	<string>zarafa-7.2.6-1.1.src.rpm</string>
  </rpmTag>
  <rpmTag name="Postin">
	<string>if [ $1 -eq 1 ] &amp;&amp; true; then
	echo "first"
fi</string>
  </rpmTag>
  <rpmTag name="Postinprog">
	<string>/bin/sh</string>
  </rpmTag>
  <rpmTag name="Requirename">
	<string>zarafa-common</string>
	<string>/bin/sh</string>
  </rpmTag>
  <rpmTag name="Requireversion">
	<string>7.2.6</string>
	<string/>
  </rpmTag>
  <rpmTag name="Requireflags">
	<integer>8</integer>
	<integer>1280</integer>
  </rpmTag>
  <rpmTag name="Filemodes">
	<integer>33184</integer>
	<integer>16877</integer>
	<integer>33261</integer>
	<integer>33188</integer>
	<integer>33188</integer>
	<integer>41471</integer>
  </rpmTag>
  <rpmTag name="Fileflags">
	<integer>17</integer>
	<integer>0</integer>
	<integer>0</integer>
	<integer>64</integer>
	<integer>2</integer>
	<integer>0</integer>
  </rpmTag>
  <rpmTag name="Fileusername">
	<string>zarafa</string>
	<string>root</string>
	<string>root</string>
	<string>root</string>
	<string>root</string>
	<string>root</string>
  </rpmTag>
  <rpmTag name="Filegroupname">
	<string>zarafa</string>
	<string>root</string>
	<string>root</string>
	<string>root</string>
	<string>root</string>
	<string>root</string>
  </rpmTag>
  <rpmTag name="Filedigests">
	<string>5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03</string>
	<string/>
	<string>5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03</string>
	<string/>
	<string>5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03</string>
	<string/>
  </rpmTag>
  <rpmTag name="Dirindexes">
	<integer>0</integer>
	<integer>1</integer>
	<integer>2</integer>
	<integer>0</integer>
	<integer>1</integer>
	<integer>2</integer>
  </rpmTag>
  <rpmTag name="Basenames">
	<string>server.cfg</string>
	<string>zarafa</string>
	<string>zarafa-server</string>
	<string>state</string>
	<string>README</string>
	<string>zarafa-admin</string>
  </rpmTag>
  <rpmTag name="Dirnames">
	<string>/etc/zarafa/</string>
	<string>/usr/share/</string>
	<string>/usr/sbin/</string>
  </rpmTag>
  <rpmTag name="Filelinktos">
	<string/>
	<string/>
	<string/>
	<string/>
	<string/>
	<string>zarafa-server</string>
  </rpmTag>
  <rpmTag name="Filedigestalgo">
	<integer>8</integer>
  </rpmTag>
</rpmHeader>
`

// dirDisk is a directory in the place of a machine's disk; all is root's.
type dirDisk string

func (d dirDisk) stat(path string, look func(string) (fs.FileInfo, error)) (host.Stat, error) {
	info, err := look(string(d) + path)
	if err != nil {
		return host.Stat{}, err
	}
	return host.Stat{Mode: info.Mode(), Size: info.Size(), Mtime: info.ModTime(), UID: info.Sys().(*syscall.Stat_t).Uid}, nil
}
func (d dirDisk) Lstat(path string) (host.Stat, error) { return d.stat(path, os.Lstat) }
func (d dirDisk) Stat(path string) (host.Stat, error)  { return d.stat(path, os.Stat) }
func (d dirDisk) Readlink(path string) (string, error) { return os.Readlink(string(d) + path) }
func (d dirDisk) Open(path string) (host.File, error) {
	f, err := os.Open(string(d) + path)
	return dirFile{file: f}, err
}
func (dirDisk) UserID(uint32) (host.User, error)   { return host.User{}, host.ErrNoAccount }
func (dirDisk) GroupID(uint32) (host.Group, error) { return host.Group{}, host.ErrNoAccount }

// dirFile can be read and closed, and nothing else.
type dirFile struct {
	host.File
	file *os.File
}

func (f dirFile) Read(b []byte) (int, error) { return f.file.Read(b) }
func (f dirFile) Close() error               { return f.file.Close() }

// TestRebuild builds a package file of what is installed, of which one file was edited, one is gone and one
// directory lies on another disk, and reads it back.
func TestRebuild(t *testing.T) {
	disk := t.TempDir()
	write := func(name, content string, mode fs.FileMode) {
		t.Helper()
		path := filepath.Join(disk, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("/etc/zarafa/server.cfg", "edited = yes\n", 0o600)
	write("/usr/sbin/zarafa-server", "hello\n", 0o755)
	write("/srv/share/x", "", 0o644)
	if err := os.MkdirAll(disk+"/usr/share", 0o755); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"/usr/share/zarafa": disk + "/srv/share", "/usr/sbin/zarafa-admin": "zarafa-server"} {
		if err := os.Symlink(target, disk+name); err != nil {
			t.Fatal(err)
		}
	}
	in, err := ParseInstalled(installedXML)
	if err != nil {
		t.Fatal(err)
	}
	work, err := os.CreateTemp(t.TempDir(), "payload")
	if err != nil {
		t.Fatal(err)
	}
	defer work.Close()
	var out bytes.Buffer
	if err := Rebuild(&out, in, dirDisk(disk), work); err != nil {
		t.Fatal(err)
	}
	got, err := ReadContents(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if got.Name != "zarafa-server" || got.Version != "2:7.2.6-1.1" || got.Summary != "storage <server> & more" ||
		got.Depends != "zarafa-common = 7.2.6, /bin/sh" || !slices.Equal(got.Scripts, []string{"post"}) {
		t.Errorf("read back: %+v", got.Package)
	}
	var paths []string
	for _, f := range got.Files {
		paths = append(paths, f.Path)
		if f.Path == "/etc/zarafa/server.cfg" && f.Mode.Perm() != 0o600 {
			t.Errorf("server.cfg has mode %v", f.Mode)
		}
	}
	slices.Sort(paths)
	if diff := cmp.Diff([]string{"/etc/zarafa/server.cfg", "/etc/zarafa/state", "/usr/sbin/zarafa-admin", "/usr/sbin/zarafa-server", "/usr/share/zarafa"}, paths); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if program, err := exec.LookPath("rpm"); err == nil { // the arbiter, where it is at hand
		file := filepath.Join(t.TempDir(), "x.rpm")
		if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"-K", file}, {"-qp", "--scripts", file}} {
			text, err := exec.Command(program, args...).Output()
			if err != nil || args[0] == "-K" && !strings.Contains(string(text), "digests OK") || args[0] == "-qp" && !strings.Contains(string(text), `echo "first"`) {
				t.Errorf("rpm %v: %s %v", args, text, err)
			}
		}
	}
}

// TestRebuildRefuses names what it cannot carry over.
func TestRebuildRefuses(t *testing.T) {
	more := func(text string) string { return strings.Replace(installedXML, "</rpmHeader>", text+"</rpmHeader>", 1) }
	for _, c := range []struct{ text, want string }{
		{"", "no package"},
		{installedXML + installedXML, "2 values of Name"},
		{more("<rpmTag name=\"Filetriggername\">\n<string>/usr/lib</string>\n</rpmTag>"), "triggers on files"},
		{more("<rpmTag name=\"Longfilesizes\">\n<integer>5000000000</integer>\n</rpmTag>"), "4 GiB"},
		{installedXML[:strings.Index(installedXML, "</string>")], "cut short"},
	} {
		if _, err := ParseInstalled(c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("want %q: %v", c.want, err)
		}
	}
	in, err := ParseInstalled(installedXML)
	if err != nil {
		t.Fatal(err)
	}
	disk := t.TempDir()
	if err := os.MkdirAll(disk+"/etc/zarafa/server.cfg", 0o755); err != nil {
		t.Fatal(err)
	}
	work, err := os.CreateTemp(disk, "payload")
	if err != nil {
		t.Fatal(err)
	}
	defer work.Close()
	if err := Rebuild(new(bytes.Buffer), in, dirDisk(disk), work); err == nil || !strings.Contains(err.Error(), "/etc/zarafa/server.cfg: something else") {
		t.Errorf("a directory in a file's place: %v", err)
	}
}
