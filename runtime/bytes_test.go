package runtime

import (
	"strings"
	"testing"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"zcp2kopano/runtime/action"
)

// TestValuesKeepTheirBytes takes strings that JSON would change through the journal's form.
func TestValuesKeepTheirBytes(t *testing.T) {
	dict := starlark.NewDict(1)
	if err := dict.SetKey(starlark.String("gr\xfc\xdfe"), starlark.String("\xff\x00\xfe")); err != nil {
		t.Fatal(err)
	}
	for _, v := range []starlark.Value{
		starlark.String(""), starlark.String("plain"), starlark.String("\u2028<&>\ufffd\x00"), starlark.String("latin1 \xe4\n"), starlark.String("\xff"),
		starlark.Tuple{starlark.String("\xc3"), starlark.String("\xa4")},
		starlark.NewList([]starlark.Value{starlark.String("\xed\xa0\x80"), dict}),
		starlarkstruct.FromStringDict(starlarkstruct.Default, starlark.StringDict{"path": starlark.String("/srv/\xe4")}),
	} {
		encoded, err := encodeValue(v, nil)
		if err != nil {
			t.Fatal(err)
		}
		back, err := decodeValue(mustJSON(encoded), nil)
		if err != nil {
			t.Fatal(err)
		}
		if same, err := starlark.Equal(v, back); err != nil || !same {
			t.Errorf("%q came back as %q (%v)", v, back, err)
		}
	}
}

// TestActionsKeepTheirBytes refuses an action that could not be read back as it was.
func TestActionsKeepTheirBytes(t *testing.T) {
	for path, ok := range map[string]bool{
		"/etc/plain": true, "/etc/\ufffd": true, `/etc/\ufffd`: true, `/etc/\\ufffd`: true,
		"/etc/\xe4": false, "/etc/\\\xe4": false,
	} {
		_, err := encodeAction(&action.Symlink{Path: path, Target: "x"})
		if (err == nil) != ok {
			t.Errorf("%q: %v", path, err)
		}
		if err != nil && !strings.Contains(err.Error(), "not UTF-8") {
			t.Errorf("%q: %v", path, err)
		}
	}
}
