package main

import "testing"

func TestLimitIsRead(t *testing.T) {
	for text, want := range map[string]limit{
		"50M": 50_000_000, "50m": 50_000_000, "200k": 200_000, "1G": 1_000_000_000, "4096": 4096, "none": 0, "4294967295G": 4294967295e9,
		"": -1, "M": -1, "0": -1, "-1": -1, "1.5M": -1, "50 M": -1, "50MB": -1, "5000000000": -1,
	} {
		var got limit = 7
		if err := got.Set(text); err != nil {
			got = -1
		}
		if got != want {
			t.Errorf("%q is %d, want %d", text, got, want)
		}
	}
}
