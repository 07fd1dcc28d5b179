package release

import "testing"

func TestCompare(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want int
	}{
		{"8.7.20", "8.7.9", 1},
		{"8.7.9", "8.7.20", -1},
		{"8.7", "8.7.0", 0},
		{"8.7.0.0", "8.7", 0},
		{"8.7.0.0.0.0.0.1", "8.7", 1},
		{"9", "10", -1},
		{"10.2.4-MariaDB", "10.2.4", 0},
		{"5.5.62-0+deb8u1", "5.6", -1},
		{"8.x", "8.0", 0},
		{"", "0.0.1", -1},
		{"", "", 0},
		{"99999999999999999999.1", "8", 1},
	} {
		if got := compare(tc.a, tc.b); got > 0 != (tc.want > 0) || got < 0 != (tc.want < 0) {
			t.Errorf("%q and %q: %d, want %d", tc.a, tc.b, got, tc.want)
		}
	}
}

func TestShort(t *testing.T) {
	for version, want := range map[string]string{
		"8.7.20.0-0+1.1": "8.7.20", "1:8.7.20.0-0+1.1": "8.7.20", "3.5.12-1": "3.5.12", "8.4.5~1": "8.4.5~1", "8.7+git": "8.7", "8": "8", "": "",
	} {
		if got := short(version); got != want {
			t.Errorf("%q: %q, want %q", version, got, want)
		}
	}
}
