package cfg

import (
	"bytes"
	"strings"
	"testing"

	"zcp2kopano/runtime/host/sim/simfs"
	"zcp2kopano/runtime/host/sim/simtest"

	"pgregory.net/rapid"
)

func parse(t *testing.T, text string) *File {
	t.Helper()
	f, err := Parse("/etc/zarafa/server.cfg", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestSet(t *testing.T) {
	for _, c := range []struct{ what, old, name, value, want string }{
		{"in place", "a = 1\n", "a", "2", "a = 2\n"},
		{"spacing stays", "a\t=\t 1  \nb=1\n", "a", "2", "a\t=\t 2  \nb=1\n"},
		{"no spacing", "a=1", "a", "22", "a=22"},
		{"the last line", "a = 1\n#\na = 2\n", "a", "3", "a = 1\n#\na = 3\n"},
		{"empty value", "a =\n", "a", "x", "a = x\n"},
		{"empty value, blank kept", "a = \n", "a", "x", "a = x\n"},
		{"empty value, no blanks", "a=\n", "a", "x", "a=x\n"},
		{"to an empty value", "a = 1\n", "a", "", "a = \n"},
		{"a comment becomes active", "# doc\n#a = 1\nb = 2\n", "a", "7", "# doc\na = 7\nb = 2\n"},
		{"a spaced comment too", "# a = 1\n", "a", "7", "a = 7\n"},
		{"the last comment", "#a = 1\n#a = 2\n", "a", "7", "#a = 1\na = 7\n"},
		{"prose is no such comment", "# set a = 1 to begin\n", "a", "7", "# set a = 1 to begin\na = 7\n"},
		{"new", "b = 1\n", "a", "7", "b = 1\na = 7\n"},
		{"new after a last line without end", "b = 1", "a", "7", "b = 1\na = 7\n"},
		{"new in an empty file", "", "a", "7", "a = 7\n"},
		{"CR LF stays", "b = 1\r\na = 1\r\n", "a", "7", "b = 1\r\na = 7\r\n"},
		{"CR LF for a new line", "b = 1\r\n", "a", "7", "b = 1\r\na = 7\r\n"},
		{"a longer name is another", "ab = 1\n", "a", "7", "ab = 1\na = 7\n"},
		{"an indented # is no comment", " #a = 1\n", "a", "7", " #a = 1\na = 7\n"},
		{"a value may hold = and #", "a = x\n", "a", "(b=1) #c", "a = (b=1) #c\n"},
		{"byte order mark", "\xef\xbb\xbfa = 1\n", "a", "2", "\xef\xbb\xbfa = 2\n"},
	} {
		f := parse(t, c.old)
		if _, err := f.Set(c.name, c.value); err != nil {
			t.Errorf("%s: %v", c.what, err)
		}
		if got := string(f.Bytes()); got != c.want {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
		if v, ok := f.Get(c.name); !ok || v != c.value {
			t.Errorf("%s: reads back %q", c.what, v)
		}
	}
}

func TestSetAfter(t *testing.T) {
	f := parse(t, "x = 1\nport = 2\n\ny = 3\n")
	if line, err := f.SetAfter("listen", "*:2", "port", "bind"); err != nil || line != 3 {
		t.Errorf("line %d, %v", line, err)
	}
	if got := string(f.Bytes()); got != "x = 1\nport = 2\nlisten = *:2\n\ny = 3\n" {
		t.Errorf("%q", got)
	}
}

func TestSetRefuses(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"", "x", "cannot be the name"},
		{"#a", "x", "cannot be the name"},
		{"!include", "x", "cannot be the name"},
		{"a=b", "x", "cannot be the name"},
		{" a", "x", "cannot be the name"},
		{"a", "x\ny", "one line"},
		{"a", "x\x00", "NUL"},
		{"a", "x\xff", "not UTF-8"},
		{"a", " x", "blanks"},
		{"a", strings.Repeat("x", 1024), "1024 bytes"},
		{strings.Repeat("n", 5000), "x", "longer than"},
	} {
		f := parse(t, "a = 1\n")
		if _, err := f.Set(c.name, c.value); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.20q = %.20q: %v, want %q", c.name, c.value, err, c.want)
		}
		if string(f.Bytes()) != "a = 1\n" {
			t.Errorf("%.20q: the file changed", c.name)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"a = 1\nb = \xe4\n":                    "server.cfg:2: not UTF-8",
		"a = 1\x00\n":                          "server.cfg:1: holds a NUL byte",
		"\n\na = " + strings.Repeat("x", 5000): "server.cfg:3: 5004 bytes in one line",
		strings.Repeat("# comment\n", 1<<17):   "too large",
	} {
		if _, err := Parse("/etc/zarafa/server.cfg", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.30q: %v, want %q", text, err, want)
		}
	}
}

func TestGetAsTheDaemonsDo(t *testing.T) {
	f := parse(t, "a = 1\na=2\n  b\t= x y \t\n#c = 1\n #d = 1\ne\n= f\ng = $HOME\nh = \"q\" # no comment\n!include x.cfg\n!propmap /p.cfg\n")
	for name, want := range map[string]string{"a": "2", "b": "x y", "#d": "1", "g": "$HOME", "h": `"q" # no comment`} {
		if got, ok := f.Get(name); !ok || got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	for _, name := range []string{"c", "d", "e", "", "!include"} {
		if got, ok := f.Get(name); ok {
			t.Errorf("%q is %q, want it unset", name, got)
		}
	}
	inc := f.Includes()
	if len(inc) != 2 || inc[0].Path != "/etc/zarafa/x.cfg" || inc[0].Kind != "include" || inc[1].Path != "/p.cfg" || inc[1].Kind != "propmap" {
		t.Errorf("includes: %v", inc)
	}
}

func TestRenameAndDrop(t *testing.T) {
	f := parse(t, "# old\nold  = 1\n#old = 2\nold=3\n")
	if n, err := f.Rename("old", "fresh"); n != 2 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if got := string(f.Bytes()); got != "# old\nfresh  = 1\n#old = 2\nfresh=3\n" {
		t.Errorf("%q", got)
	}
	f = parse(t, "old = 1\nfresh = 2\n")
	if _, err := f.Rename("old", "fresh"); err != nil {
		t.Error(err)
	}
	if v, _ := f.Get("fresh"); v != "2" {
		t.Errorf("fresh = %q: the renamed one must not win", v)
	}
	f = parse(t, "a = 1\r\nb = 2\r\na = 3")
	if n := f.Drop("a", "not known\nany more"); n != 2 {
		t.Errorf("%d", n)
	}
	want := "# taken out: not known any more\r\n#a = 1\r\nb = 2\r\n# taken out: not known any more\r\n#a = 3"
	if got := string(f.Bytes()); got != want {
		t.Errorf("%q", got)
	}
	if _, err := f.Set("a", "4"); err != nil {
		t.Error(err)
	}
	if got := string(f.Bytes()); got != want+"\r\na = 4\r\n" {
		t.Errorf("a dropped line came back: %q", got)
	}
}

func TestProblems(t *testing.T) {
	f := parse(t, "\xef\xbb\xbfa = 1\r\n  # b = 2\r\nnonsense\r\na = 2\r\n!inclde x\r\n!include\r\n!propmap rel.cfg\r\nl = "+strings.Repeat("x", 1500)+"\r\n\r\n   \r\n")
	var got []string
	for _, p := range f.Problems() {
		got = append(got, p.String())
	}
	all := strings.Join(got, "\n")
	for _, want := range []string{
		":1: begins with a byte order mark", ":1: lines end in CR LF", ":2: \"# b\" is not a comment", ":3: no \"=\"",
		":4: a is set twice, first in line 1", ":5: unknown directive !inclde", ":6: !include names no file",
		":7: !propmap rel.cfg is relative", ":8: l: value of 1500 bytes",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no problem %q in\n%s", want, all)
		}
	}
	if len(got) != 9 {
		t.Errorf("%d problems:\n%s", len(got), all)
	}
	if p := parse(t, "dnl m4 defines:\n`'\ndefine(`S', `ifelse(TYPE,`OPENLDAP',$1,$2)')\n# made by m4\nldap_host = a\n").Problems(); len(p) != 0 {
		t.Errorf("what m4 left is reported: %v", p)
	}
	if p := parse(t, "# fine\n\na = 1\n!include x.cfg\n").Problems(); len(p) != 0 {
		t.Errorf("%v", p)
	}
}

func TestTree(t *testing.T) {
	view := simtest.Files(t, map[string]string{
		"/c/server.cfg":    "a = top\n!include sub/one.cfg\nb = top\n!include /c/two.cfg\n!include sub/one.cfg\n",
		"/c/sub/one.cfg":   "a = one\nb = one\n!include three.cfg\n!include ../server.cfg\n",
		"/c/sub/three.cfg": "c = three\n",
		"/c/two.cfg":       "d = two\n!include gone.cfg\n",
	})
	tree, err := LoadTree(view, "/c/server.cfg", nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a": "one", "b": "top", "c": "three", "d": "two"} {
		if s, _ := tree.Get(name); s.Value != want {
			t.Errorf("%s = %q, want %q", name, s.Value, want)
		}
	}
	if len(tree.Problems) != 1 || !strings.Contains(tree.Problems[0].String(), "/c/two.cfg:2: !include: /c/gone.cfg does not exist") {
		t.Errorf("%v", tree.Problems)
	}
	if err := tree.Set("a", "mine"); err != nil {
		t.Fatal(err)
	}
	if s, _ := tree.Get("a"); s.Value != "mine" {
		t.Errorf("a later include overrules: %q", s.Value)
	}
	if got := string(tree.Top.Bytes()); !strings.HasSuffix(got, "\na = mine\n") {
		t.Errorf("%q", got)
	}
}

func TestLoadErrors(t *testing.T) {
	below := simtest.Files(t, map[string]string{"/c/d/x": "", "/c/secret.cfg": "a = 1"})
	if err := simfs.Afero(below).Chmod("/c/secret.cfg", 0o600); err != nil {
		t.Fatal(err)
	}
	view := simfs.New(simfs.Options{Lower: below, User: &simfs.Credentials{UID: 1000, GIDs: []uint32{1000}}})
	for name, want := range map[string]string{
		"/c/d":          "/c/d is a directory",
		"/c/secret.cfg": "cannot be read; run as root",
		"/c/none":       "/c/none does not exist",
	} {
		if _, err := Load(view, name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Bytes in are bytes out; a set directive changes one line at most and reads back.
func checkFile(t interface{ Fatalf(string, ...any) }, data []byte, name, value string) {
	f, err := Parse("/f", data)
	if err != nil {
		return
	}
	if !bytes.Equal(f.Bytes(), data) {
		t.Fatalf("%q renders to %q", data, f.Bytes())
	}
	f.Problems()
	f.Includes()
	before := append([]line(nil), f.lines...)
	at, err := f.Set(name, value)
	if err != nil {
		if !bytes.Equal(f.Bytes(), data) {
			t.Fatalf("a refused change changed the file")
		}
		return
	}
	if got, ok := f.Get(name); !ok || got != value {
		t.Fatalf("%q: %q set to %q reads %q", data, name, value, got)
	}
	again, err := Parse("/f", f.Bytes())
	if err != nil {
		return // the line may have become too long
	}
	if got, ok := again.Get(name); !ok || got != value {
		t.Fatalf("%q: %q set to %q is read again as %q", data, name, value, got)
	}
	for i, l := range f.lines {
		if i+1 != at && l.raw != before[i].raw {
			t.Fatalf("%q: line %d changed, not only %d", data, i+1, at)
		}
	}
}

func FuzzFile(f *testing.F) {
	f.Add([]byte("a = 1\n#b = 2\n"), "b", "3")
	f.Add([]byte("\xef\xbb\xbfa=1\r\n!include x\r\n"), "c", "")
	f.Add([]byte("a =\n a = \t\n= b\n#"), "a", "x # y")
	f.Add([]byte("a\v=1\r\r\n"), "a", "\v")
	f.Fuzz(func(t *testing.T, data []byte, name, value string) { checkFile(t, data, name, value) })
}

func TestFileProperty(t *testing.T) {
	piece := rapid.SampledFrom([]string{"a", "b", "=", " = ", "#", "!include ", "!propmap", "\n", "\r\n", "\r", "\t", " ", "x y", "$V", "ä", "\xef\xbb\xbf"})
	rapid.Check(t, func(t *rapid.T) {
		data := strings.Join(rapid.SliceOfN(piece, 0, 60).Draw(t, "data"), "")
		name := rapid.SampledFrom([]string{"a", "b", "x y", "c"}).Draw(t, "name")
		value := rapid.SampledFrom([]string{"", "1", "v = w", "#"}).Draw(t, "value")
		checkFile(t, []byte(data), name, value)
	})
}

// Bytes that are not UTF-8 are carried in comments; where a value has them, what to do depends on whether it is a
// secret, whose bytes the daemons take as they are.
func TestLatin1(t *testing.T) {
	const text = "# gr\xfc\xdfe\nthreads = 8\n"
	f, err := Parse("server.cfg", []byte(text))
	if err != nil || string(f.Bytes()) != text {
		t.Errorf("%q, %v", f.Bytes(), err)
	}
	_, err = Parse("server.cfg", []byte("server_name = gr\xfc\xdfe\n"))
	if err == nil || !strings.HasSuffix(err.Error(), "convert the file: iconv -f latin1 -t utf-8") {
		t.Error(err)
	}
	_, err = Parse("server.cfg", []byte("mysql_password = gr\xfc\xdfe\n"))
	if err == nil || !strings.Contains(err.Error(), "its bytes are the secret mysql_password") {
		t.Error(err)
	}
	r := takeOver(t, map[string]string{"/etc/zarafa/server.cfg": text}, "copy", "7.2.6", "8.7.20")
	if got := string(r.Files[0].Content); !strings.HasPrefix(got, "# gr\xfc\xdfe\n") {
		t.Errorf("%q", got)
	}
}

// Small things that would be wrong, or told wrongly.
func TestSmallThings(t *testing.T) {
	r := takeOver(t, map[string]string{
		"/etc/zarafa/server.cfg":  "server_tcp_port =\nuser_plugin = ldap\nuser_plugin_config = /etc/zarafa/ldap.cfg\nserver_name = mail # of the house\nthreads = 1\nthreads = 2\n",
		"/etc/zarafa/ldap.cfg":    "ldap_host = l.example.org\nldap_port =\n",
		"/etc/zarafa/server.cfg~": "", "/etc/zarafa/dagent.cfg.bak": "", "/etc/zarafa/license/base": "x",
	}, "copy", "7.2.6", "9.1.0")
	for _, c := range [][3]string{{"server.cfg", "server_listen", "*:236"}, {"ldap.cfg", "ldap_uri", "ldap://l.example.org:389"}} {
		if got, _ := value(t, r, c[0], c[1]); got != c[2] {
			t.Errorf("%s = %q, want %q", c[1], got, c[2])
		}
	}
	if len(r.Others) != 0 {
		t.Errorf("carried: %v", r.Others)
	}
	all := ""
	for _, p := range r.Problems {
		all += p.String() + "\n"
	}
	for _, want := range []string{"server_tcp_port is empty: taken for 236", "ldap_port is empty: taken for 389",
		"/etc/zarafa/server.cfg:4: server_name: \"#\" and what follows are a part of the value",
		"/etc/zarafa/server.cfg:6: threads is set twice, first in line 5; the last one counts: take the other out"} {
		if strings.Count(all, want) != 1 {
			t.Errorf("told %d times: %s\n%s", strings.Count(all, want), want, all)
		}
	}
	for _, n := range r.Notes {
		if strings.HasSuffix(n.Reason, "with the default ") {
			t.Errorf("%s", n)
		}
	}
}
