package host

import "testing"

func TestPackageNamesAreNoOptions(t *testing.T) {
	for _, bad := range []string{"", "-o", "--purge", "zarafa-*", "a b", "x;y", "../x", "a=", "a=-1"} {
		if err := CheckPackageNames([]string{bad}); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
	if err := CheckPackageNames([]string{"g++", "libc6:i386", "python-MAPI", "a=1:2.0~rc1-1", "/srv/x y.deb"}); err != nil {
		t.Error(err)
	}
}
