package host

import (
	"io/fs"
	"testing"
)

func TestModes(t *testing.T) {
	for raw, mode := range map[uint32]fs.FileMode{
		0o100640: 0o640, 0o104755: 0o755 | fs.ModeSetuid, 0o042770: fs.ModeDir | 0o770 | fs.ModeSetgid, 0o041777: fs.ModeDir | 0o777 | fs.ModeSticky,
		0o120777: fs.ModeSymlink | 0o777, 0o010600: fs.ModeNamedPipe | 0o600, 0o140755: fs.ModeSocket | 0o755,
		0o060660: fs.ModeDevice | 0o660, 0o020620: fs.ModeDevice | fs.ModeCharDevice | 0o620,
	} {
		if got := ModeOf(raw); got != mode {
			t.Errorf("ModeOf(%o) is %v, want %v", raw, got, mode)
		}
		if got := RawMode(mode); got != raw {
			t.Errorf("RawMode(%v) is %o, want %o", mode, got, raw)
		}
		if got := PermBits(mode); got != raw&0o7777 {
			t.Errorf("PermBits(%v) is %o, want %o", mode, got, raw&0o7777)
		}
	}
}
