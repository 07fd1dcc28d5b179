package rpm

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseSections(t *testing.T) {
	got := ParseSections("# x\n[kopano]\nname = Kopano\nBaseURL=http://a/\n        http://b/\nenabled=0\n\n[b]\ngpgkey=file:///k\n")
	want := []Section{
		{"kopano", map[string]string{"name": "Kopano", "baseurl": "http://a/ http://b/", "enabled": "0"}},
		{"b", map[string]string{"gpgkey": "file:///k"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	for value, want := range map[string]bool{"": true, "1": true, "Yes": true, "on": true, "0": false, "no": false, "off": false, "maybe": false} {
		if got := (Section{Values: map[string]string{"enabled": value}}).Enabled(); got != want {
			t.Errorf("enabled=%s is %v", value, got)
		}
	}
}

func TestPrimary(t *testing.T) {
	where, err := PrimaryLocation([]byte(`<repomd><data type="other"/><data type="primary"><location href="repodata/p.xml.gz"/></data></repomd>`))
	if err != nil || where != "repodata/p.xml.gz" {
		t.Errorf("primary is at %q, %v", where, err)
	}
	if where, err := PrimaryLocation([]byte("<repomd/>")); err != nil || where != "" {
		t.Errorf("no primary: %q, %v", where, err)
	}
	if _, err := PrimaryLocation([]byte("<repomd")); err == nil {
		t.Error("half a repomd.xml was read")
	}
	var texts []string
	err = ReadPrimary(strings.NewReader(`<metadata><package><name>a</name><version epoch="0" ver="1" rel="2"/><format><requires>
		<entry name="b" flags="GE" epoch="1" ver="3" rel="4"/><entry name="/bin/sh"/><entry name="c" flags="EQ" epoch="0" ver="5"/></requires></format></package></metadata>`),
		func(p Package) {
			for _, e := range p.Format.Requires {
				texts = append(texts, e.String())
			}
		})
	if want := "b >= 1:3-4, /bin/sh, c = 5"; err != nil || strings.Join(texts, ", ") != want {
		t.Errorf("%v: %q, want %q", err, texts, want)
	}
}
