package script

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"zcp2kopano/runtime/host"
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

// keeper keeps secrets as a run does.
type keeper map[string]host.Secret

func (k keeper) Put(s host.Secret) (string, error) {
	ref := fmt.Sprint(len(k))
	k[ref] = s
	return ref, nil
}
func (k keeper) Get(ref string) (host.Secret, error) { return k[ref], nil }

// TestSecretsInValues takes what a step made of a secret through the journal: no process after this one knows the
// tokens that this one gave out.
func TestSecretsInValues(t *testing.T) {
	pw := SecretValue{Secret: host.NewSecret("hunter2")}
	for text, shown := range map[string]string{pw.String(): "***", "password = " + pw.String(): "password = ***"} {
		k := keeper{}
		encoded, err := Encode(starlark.NewList([]starlark.Value{starlark.String(text)}), k)
		if err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(encoded)
		if err != nil || strings.Contains(string(data), "hunter2") || strings.Contains(string(data), pw.String()) {
			t.Errorf("journal: %s, %v", data, err)
		}
		back, err := Decode(data, k)
		if err != nil {
			t.Fatal(err)
		}
		got := back.(*starlark.List).Index(0).(SecretValue)
		if got.Secret.Reveal() != strings.ReplaceAll(text, pw.String(), "hunter2") || got.Shown() != shown {
			t.Errorf("%q came back as %q, shown as %q", text, got.Secret.Reveal(), got.Shown())
		}
	}
	dict := starlark.NewDict(1)
	_ = dict.SetKey(starlark.String(pw.String()), starlark.None)
	if _, err := Encode(dict, keeper{}); err == nil {
		t.Error("a secret was kept as the name of an item")
	}
}
