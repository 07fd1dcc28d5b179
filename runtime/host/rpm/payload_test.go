package rpm

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// entry is one of an archive (cpio(5), "newc").
func entry(name, content string) string {
	pad := func(s string) string { return s + strings.Repeat("\x00", int(padding(int64(len(s))))) }
	head := "070701" + fmt.Sprintf("%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", 1, 0o100644, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name)+1, 0)
	return pad(head+name+"\x00") + pad(content)
}

// counted is one of an archive without metadata.
func counted(index int, content string) string {
	head := fmt.Sprintf("07070X%08x\x00\x00", index)
	return head + content + strings.Repeat("\x00", int(padding(int64(len(content)))))
}

func TestPayload(t *testing.T) {
	end := entry("TRAILER!!!", "")
	for name, c := range map[string]struct{ archive, want string }{
		"names":     {entry("./a", "one") + entry("./dir/b", "") + entry("./c", "three, four") + end, "./a=one ./dir/b= ./c=three, four"},
		"counted":   {counted(2, "three") + counted(0, "o") + end, "#2=three #0=o"},
		"nothing":   {end, ""},
		"cut":       {entry("./a", "one"), "./a=one unexpected EOF"},
		"cut short": {entry("./a", "one")[:115], "unexpected EOF"},
		"cut text":  {entry("./a", strings.Repeat("x", 100))[:150], "./a unexpected EOF"},
		"no cpio":   {"070702" + strings.Repeat("z", 200), "the archive is damaged"},
		"no magic":  {"hello, world", "the archive is damaged"},
		"index":     {counted(3, "x"), "the archive is damaged"},
		"long name": {"070701" + strings.Repeat("0", 8*11) + "00ffffff" + "00000000", "the archive is damaged"},
	} {
		p, unpacked, err := openPayload(strings.NewReader(c.archive), header{}, []int64{1, 2, 5})
		if err != nil {
			t.Fatal(err)
		}
		defer unpacked.Close()
		var got []string
		for {
			m, err := p.next()
			if err != nil {
				if err != io.EOF {
					got = append(got, err.Error())
				}
				break
			}
			if m.index >= 0 {
				m.name = fmt.Sprint("#", m.index)
			}
			content, err := io.ReadAll(p)
			if err != nil {
				got = append(got, m.name+" "+err.Error())
				break
			}
			got = append(got, m.name+"="+string(content))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// A header that claims anything is refused, or read without a panic, and never takes more than the file has.
func TestDamagedHeader(t *testing.T) {
	whole := madeRPM(t)
	if p, err := (System{}).ReadFile(bytes.NewReader(whole), int64(len(whole))); err != nil || p.Name != "a" || p.Version != "7:1-2" || p.Arch != "noarch" || fmt.Sprint(p.Needs) != "[[libb]]" {
		t.Fatalf("whole: %+v, %v", p, err)
	}
	for n := range whole {
		if _, err := (System{}).ReadFile(bytes.NewReader(whole[:n]), int64(n)); err == nil {
			t.Errorf("its first %d bytes are taken for a package", n)
		}
	}
	random := rand.New(rand.NewPCG(1, 1))
	for range 20000 {
		bad := bytes.Clone(whole)
		for range 1 + random.IntN(4) {
			bad[96+random.IntN(len(bad)-96)] = byte(random.Uint32() >> random.IntN(25))
		}
		_, _ = ReadContents(bytes.NewReader(bad), int64(len(bad)))
	}
}

// madeRPM is a package file with the least that one has.
func madeRPM(t testing.TB) []byte {
	t.Helper()
	type tag struct {
		number, kind uint32
		count        int
		data         string
	}
	text := func(number uint32, list ...string) tag {
		return tag{number, kindTexts, len(list), strings.Join(list, "\x00") + "\x00"}
	}
	number := func(n uint32, value byte) tag { return tag{n, kindInt32, 1, string([]byte{0, 0, 0, value})} }
	block := func(tags ...tag) string {
		var index, data string
		for _, tag := range tags {
			if tag.kind == kindInt32 {
				data += strings.Repeat("\x00", int(padding(int64(len(data)))))
			}
			index += big(tag.number) + big(tag.kind) + big(uint32(len(data))) + big(uint32(tag.count))
			data += tag.data
		}
		return "\x8e\xad\xe8\x01\x00\x00\x00\x00" + big(uint32(len(tags))) + big(uint32(len(data))) + index + data
	}
	return []byte(Magic + strings.Repeat("\x00", 92) + block() + block(
		text(tagName, "a"), text(tagVersion, "1"), text(tagRelease, "2"), text(tagArch, "noarch"), text(tagSourceRPM, "a-1-2.src.rpm"),
		number(tagEpoch, 7), text(tagRequireName, "libb", "rpmlib(CompressedFileNames)"), text(tagRequireVersion, "1", ""),
		tag{tagRequireFlags, kindInt32, 2, "\x00\x00\x00\x0c\x00\x00\x00\x00"}, text(tagBaseNames, "f"), text(tagDirNames, "/etc/"),
		number(tagDirIndexes, 0),
	))
}

func big(n uint32) string { return string([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}) }
