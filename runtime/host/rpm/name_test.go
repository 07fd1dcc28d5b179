package rpm

import "testing"

func TestLockedName(t *testing.T) {
	for line, want := range map[string]string{
		"0:zarafa-server-7.2.6-1.el7.*": "zarafa-server", "zarafa-server-0:7.2.6-1.el7.*": "zarafa-server",
		"# comment": "", "": "", "!0:kernel-3.10-1.*": "", "zarafa*": "zarafa*",
	} {
		if got := LockedName(line); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}
