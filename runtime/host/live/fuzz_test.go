package live

import (
	"strings"
	"testing"

	"zcp2kopano/runtime/host"
)

// FuzzMountinfo reads the kernel's table of mounts.
func FuzzMountinfo(f *testing.F) {
	f.Add("36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n")
	f.Add("1 0 0:1 / /a\\040b ro - tmpfs none rw\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		mounts, err := parseMountinfo([]byte(text))
		if lines := strings.Count(text, "\n") + 1; err == nil && len(mounts) > lines {
			t.Errorf("%d mounts in %d lines", len(mounts), lines)
		}
		_ = mountsBelow(mounts, "/a")
	})
}

// FuzzUnits reads what systemctl show prints.
func FuzzUnits(f *testing.F) {
	f.Add("Id=a.service\nNames=a.service b.service\nLoadState=loaded\nActiveState=active\nMainPID=7\nUnitFileState=enabled\n\nId=b.service\nLoadState=masked\n", "a")
	f.Add("\n\n=\nId=\n", "")
	f.Fuzz(func(t *testing.T, text, link string) {
		for _, s := range parseUnits(text, map[string]bool{link: true}) {
			if strings.ContainsAny(s.Name, "\n") || s.PID < 0 {
				t.Errorf("%+v", s)
			}
		}
	})
}

// FuzzSolutions reads what package managers answer.
func FuzzSolutions(f *testing.F) {
	f.Add("Inst a [1] (2 x:y [amd64])\nRemv b [1]\nPurg c [1]\nConf a (2 x [amd64])\n")
	f.Add("Removing:\n a  x86_64  1-1  @r  2 M\n\nTransaction Summary\nRemove 1 Package\n")
	f.Add("<?xml version='1.0'?>\n<stream><install-summary><to-install><solvable type=\"package\" name=\"a\" edition=\"1\" arch=\"noarch\"/></to-install></install-summary></stream>\n")
	f.Fuzz(func(t *testing.T, text string) {
		_, _ = parseSolution(text)
		_, _, _ = parseYumTable(text, "x86_64")
		_, _ = parseZypperSolution(text, "x86_64", map[string]host.Package{"a": {Name: "a"}})
		_ = parseMadison(text)
		_ = parseYumList(text, "x86_64")
		_ = parseUnmet(text)
		_ = parseOSRelease(text)
	})
}
