package script

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"zcp2kopano/runtime/host"
)

// NewRecord makes a struct with these fields; values as ToStarlark takes them.
func NewRecord(fields map[string]any) *starlarkstruct.Struct {
	dict := starlark.StringDict{}
	for name, v := range fields {
		dict[name] = ToStarlark(v)
	}
	return starlarkstruct.FromStringDict(starlarkstruct.Default, dict)
}

// ToStarlark converts Go data: nil, bool, integers, string, host.Secret, []string, []any,
// map[string]string, map[string]any (a dict, in order of key) and Starlark values themselves.
// It panics on another type: that is a programming error.
func ToStarlark(v any) starlark.Value {
	switch v := v.(type) {
	case nil:
		return starlark.None
	case starlark.Value:
		return v
	case bool:
		return starlark.Bool(v)
	case int:
		return starlark.MakeInt(v)
	case int64:
		return starlark.MakeInt64(v)
	case uint32:
		return starlark.MakeUint64(uint64(v))
	case uint64:
		return starlark.MakeUint64(v)
	case string:
		return starlark.String(v)
	case host.Secret:
		return SecretValue{Secret: v}
	case []string:
		list := make([]starlark.Value, len(v))
		for i, s := range v {
			list[i] = starlark.String(s)
		}
		return starlark.NewList(list)
	case []starlark.Value:
		return starlark.NewList(v)
	case []any:
		list := make([]starlark.Value, len(v))
		for i, e := range v {
			list[i] = ToStarlark(e)
		}
		return starlark.NewList(list)
	case map[string]string:
		dict := starlark.NewDict(len(v))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			_ = dict.SetKey(starlark.String(k), starlark.String(v[k]))
		}
		return dict
	case map[string]any:
		dict := starlark.NewDict(len(v))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			_ = dict.SetKey(starlark.String(k), ToStarlark(v[k]))
		}
		return dict
	}
	panic(fmt.Sprintf("ToStarlark: %T", v))
}

// SecretKeeper keeps secrets out of encoded values; action.Secrets has the same methods.
type SecretKeeper interface {
	Put(s host.Secret) (ref string, err error)
	Get(ref string) (host.Secret, error)
}

// Encode is a value's journal form: JSON, with what JSON lacks as a one-key object: {"tuple":
// [...]}, {"dict": [[k, v], ...]}, {"struct": {...}}, {"secret": ref, "shown": text}, {"int": "big"}, {"bytes": base64} for a string that is not UTF-8.
func Encode(v starlark.Value, secrets SecretKeeper) (any, error) {
	return encodeUpTo(DefaultLimits.Heap/valueShare, v, secrets)
}

// EncodeAnswer is Encode for what the host answered, which is as large as the site is: all users of a directory, for one.
func EncodeAnswer(v starlark.Value, secrets SecretKeeper) (any, error) {
	return encodeUpTo(DefaultLimits.Heap/answerShare, v, secrets)
}

func encodeUpTo(most uint64, v starlark.Value, secrets SecretKeeper) (any, error) {
	if most := int64(most); textSize(v, most) > most {
		return nil, tooLarge(most)
	}
	return encode(v, secrets)
}

func encode(v starlark.Value, secrets SecretKeeper) (any, error) {
	switch v := v.(type) {
	case starlark.NoneType:
		return nil, nil
	case starlark.Bool:
		return bool(v), nil
	case starlark.String:
		if text, err := openText(string(v)); err != nil || text != nil {
			return encodeSecret(text, err, secrets)
		}
		if !utf8.ValidString(string(v)) { // JSON would replace what it cannot hold
			return map[string]any{"bytes": []byte(v)}, nil
		}
		return string(v), nil
	case starlark.Int:
		if i, ok := v.Int64(); ok && i > -1<<53 && i < 1<<53 {
			return i, nil
		}
		return map[string]any{"int": v.String()}, nil
	case SecretValue:
		return encodeSecret(&v, nil, secrets)
	case *starlark.List:
		return encodeSequence(v, secrets)
	case starlark.Tuple:
		list, err := encodeSequence(v, secrets)
		return map[string]any{"tuple": list}, err
	case *starlark.Dict:
		pairs := make([]any, 0, v.Len())
		for _, item := range v.Items() {
			if holdsSecret(item[0]) {
				return nil, errSecretKey
			}
			pair, err := encodeSequence(item, secrets)
			if err != nil {
				return nil, err
			}
			pairs = append(pairs, pair)
		}
		return map[string]any{"dict": pairs}, nil
	case *starlarkstruct.Struct:
		fields := map[string]any{}
		for _, name := range v.AttrNames() {
			attr, err := v.Attr(name)
			if err != nil {
				return nil, err
			}
			if fields[name], err = encode(attr, secrets); err != nil {
				return nil, err
			}
		}
		return map[string]any{"struct": fields}, nil
	}
	return nil, fmt.Errorf("a %s cannot be kept in the journal; use None, bool, int, string, list, tuple, dict or struct", v.Type())
}

// encodeSecret keeps a secret, and beside it how it is shown.
func encodeSecret(v *SecretValue, err error, secrets SecretKeeper) (any, error) {
	if err != nil {
		return nil, err
	}
	ref, err := secrets.Put(v.Secret)
	encoded := map[string]any{"secret": ref}
	if v.shown != "" {
		encoded["shown"] = v.shown
	}
	return encoded, err
}

func encodeSequence(seq starlark.Sequence, secrets SecretKeeper) ([]any, error) {
	list := make([]any, 0, seq.Len())
	iter := seq.Iterate()
	defer iter.Done()
	var e starlark.Value
	for iter.Next(&e) {
		item, err := encode(e, secrets)
		if err != nil {
			return nil, err
		}
		list = append(list, item)
	}
	return list, nil
}

// Decode is the inverse of Encode.
func Decode(data json.RawMessage, secrets SecretKeeper) (starlark.Value, error) {
	if len(data) == 0 {
		return starlark.None, nil
	}
	switch data[0] {
	case 'n':
		return starlark.None, nil
	case 't', 'f':
		return starlark.Bool(data[0] == 't'), nil
	case '"':
		var s string
		err := json.Unmarshal(data, &s)
		return starlark.String(s), err
	case '[':
		list, err := decodeList(data, secrets)
		return starlark.NewList(list), err
	case '{':
		return decodeTagged(data, secrets)
	}
	var i int64
	err := json.Unmarshal(data, &i)
	return starlark.MakeInt64(i), err
}

func decodeList(data json.RawMessage, secrets SecretKeeper) ([]starlark.Value, error) {
	var raw []json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, err
	}
	list := make([]starlark.Value, len(raw))
	for i, item := range raw {
		v, err := Decode(item, secrets)
		if err != nil {
			return nil, err
		}
		list[i] = v
	}
	return list, nil
}

func decodeTagged(data json.RawMessage, secrets SecretKeeper) (starlark.Value, error) {
	var tagged struct {
		Int    *string                    `json:"int"`
		Bytes  []byte                     `json:"bytes"`
		Secret *string                    `json:"secret"`
		Shown  string                     `json:"shown"`
		Tuple  json.RawMessage            `json:"tuple"`
		Dict   []json.RawMessage          `json:"dict"`
		Struct map[string]json.RawMessage `json:"struct"`
	}
	if err := json.Unmarshal(data, &tagged); err != nil {
		return nil, err
	}
	switch {
	case tagged.Int != nil:
		i, ok := starlark.MakeInt(0), false
		if v, err := starlark.Call(&starlark.Thread{}, starlark.Universe["int"], starlark.Tuple{starlark.String(*tagged.Int)}, nil); err == nil {
			i, ok = v.(starlark.Int), true
		}
		if !ok {
			return nil, fmt.Errorf("journal: bad int %q", *tagged.Int)
		}
		return i, nil
	case tagged.Bytes != nil:
		return starlark.String(tagged.Bytes), nil
	case tagged.Secret != nil:
		s, err := secrets.Get(*tagged.Secret)
		return SecretValue{Secret: s, shown: tagged.Shown}, err
	case tagged.Tuple != nil:
		list, err := decodeList(tagged.Tuple, secrets)
		return starlark.Tuple(list), err
	case tagged.Struct != nil:
		dict := starlark.StringDict{}
		for name, raw := range tagged.Struct {
			v, err := Decode(raw, secrets)
			if err != nil {
				return nil, err
			}
			dict[name] = v
		}
		return starlarkstruct.FromStringDict(starlarkstruct.Default, dict), nil
	}
	dict := starlark.NewDict(len(tagged.Dict))
	for _, raw := range tagged.Dict {
		pair, err := decodeList(raw, secrets)
		if err != nil {
			return nil, err
		}
		if len(pair) != 2 {
			return nil, fmt.Errorf("journal: dict item of %d values", len(pair))
		}
		if err := dict.SetKey(pair[0], pair[1]); err != nil {
			return nil, err
		}
	}
	return dict, nil
}
