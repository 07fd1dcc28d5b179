package script

import (
	"encoding/json"
	"testing"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
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
		encoded, err := Encode(v, nil)
		if err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(encoded)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Decode(data, nil)
		if err != nil {
			t.Fatal(err)
		}
		if same, err := starlark.Equal(v, back); err != nil || !same {
			t.Errorf("%q came back as %q (%v)", v, back, err)
		}
	}
}
