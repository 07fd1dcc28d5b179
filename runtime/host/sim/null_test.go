package sim

import (
	"io/fs"
	"testing"
)

// A symlink that masks a unit leads to a device, as on a machine.
func TestMaskedUnitLeadsToADevice(t *testing.T) {
	f, err := ReadFixture([]byte("-- host --\nhostname: x\n-- /etc/os-release --\nID=debian\nVERSION_ID=\"8\"\n-- /etc/systemd/system/x.service --\na unit\n"))
	if err != nil {
		t.Fatal(err)
	}
	h, err := f.Host(Options{})
	if err != nil {
		t.Fatal(err)
	}
	over, err := FromView(h, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, host := range map[string]*Host{"/etc/systemd/system/y.service": h, "/etc/systemd/system/z.service": over} {
		if err := host.Symlink("/dev/null", name); err != nil {
			t.Fatal(err)
		}
		if st, err := host.Stat(name); err != nil || st.Mode != fs.ModeDevice|fs.ModeCharDevice|0o666 || st.Rdev != 1<<8|3 {
			t.Errorf("%+v, %v", st, err)
		}
	}
}
