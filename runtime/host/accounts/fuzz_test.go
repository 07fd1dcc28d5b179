package accounts

import (
	"strings"
	"testing"
)

// FuzzTable reads the files of accounts.
func FuzzTable(f *testing.F) {
	f.Add("root:x:0:0:root:/root:/bin/sh\nzarafa:x:110:110::/:\n+::::::\n", "root:x:0:\nzarafa:x:110:a,b\n")
	f.Fuzz(func(t *testing.T, passwd, group string) {
		for _, u := range ParsePasswd(passwd) {
			if strings.ContainsAny(u.Name, ":\n") {
				t.Errorf("a user %q", u.Name)
			}
		}
		_, _ = NewTable(passwd, group).UserID(0)
		_ = ParseGroup(group)
	})
}
