package text

import "testing"

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 bytes", 999: "999 bytes", 1000: "1 kB", 1999999: "1 MB", 23456789: "23 MB", 5000000000: "5 GB", 2345678901234567: "2345 TB"} {
		if got := sizeOf(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}
