package script

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"

	starlarkjson "go.starlark.net/lib/json"
	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
	"go.starlark.net/syntax"

	"zcp2kopano/runtime/host"
)

// SecretValue is a secret as a runbook sees it, or a text that holds one. It prints masked, has no attributes
// and is not compared; a builtin that takes a text or a secret gets it whole.
//
// What the language makes a string of (str, %, format, join) gets a token instead: it can be put into other
// text, tells nothing, and is opened where an argument may be a secret. No other argument may hold one.
type SecretValue struct {
	Secret host.Secret
	shown  string // the text around it, with *** for the secret; "" if there is none
}

var (
	_ starlark.Comparable = SecretValue{}
	_ starlark.HasBinary  = SecretValue{}
)

// Shown is the text as everybody may see it.
func (s SecretValue) Shown() string {
	if s.shown == "" {
		return "***"
	}
	return s.shown
}

// String is a token for the text.
func (s SecretValue) String() string { return tokens.of(s) }

// Type is the name of the type in a runbook.
func (SecretValue) Type() string { return "secret" }

// Freeze does nothing: a secret cannot change.
func (SecretValue) Freeze() {}

// Truth reports whether there is a text.
func (s SecretValue) Truth() starlark.Bool { return starlark.Bool(!s.Secret.Empty()) }

// Hash refuses: a hash would tell about the text.
func (SecretValue) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable type: secret") }

var errCompared = errors.New("a secret is not compared with anything; `if password:` asks whether there is one")

// CompareSameType refuses: an answer would tell about the text. With values of another type, see guardComparisons.
func (SecretValue) CompareSameType(syntax.Token, starlark.Value, int) (bool, error) {
	return false, errCompared
}

// Binary joins a secret and a string, or two secrets, with +.
func (s SecretValue) Binary(op syntax.Token, y starlark.Value, side starlark.Side) (starlark.Value, error) {
	other, ok := y.(SecretValue)
	if text, isText := y.(starlark.String); isText {
		opened, err := openText(string(text))
		if err != nil {
			return nil, err
		}
		if opened == nil {
			opened = &SecretValue{Secret: host.NewSecret(string(text)), shown: string(text)}
		}
		other, ok = *opened, true
	}
	switch {
	case op != syntax.PLUS || !ok:
		return nil, nil
	case side == starlark.Right:
		return other.and(s), nil
	}
	return s.and(other), nil
}

func (s SecretValue) and(next SecretValue) SecretValue {
	return SecretValue{host.NewSecret(s.Secret.Reveal() + next.Secret.Reveal()), s.joinShown() + next.joinShown()}
}

// joinShown is what is shown of a part: nothing of a part that is empty.
func (s SecretValue) joinShown() string {
	if s.Secret.Empty() {
		return ""
	}
	return s.Shown()
}

// SecretText is a text with the secrets that the tokens in it stand for.
func SecretText(text string) (SecretValue, error) {
	opened, err := openText(text)
	if opened == nil && err == nil {
		opened = &SecretValue{Secret: host.NewSecret(text)}
	}
	if err != nil {
		return SecretValue{}, err
	}
	return *opened, nil
}

// A token is 16 signs of cuneiform, which no text of a mail server has, and which all that the language does
// to a text leaves as they are.
const (
	tokenSigns = 16
	signBytes  = 4
	firstSign  = 0x12000
	signs      = 256
	signPrefix = "\xf0\x92" // of the encoding of each
)

// tokens are those that this process has given out.
var tokens = tokenTable{values: map[string]SecretValue{}, names: map[[2]string]string{}}

type tokenTable struct {
	mu     sync.Mutex
	values map[string]SecretValue
	names  map[[2]string]string
}

func (t *tokenTable) of(s SecretValue) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := [2]string{s.Secret.Reveal(), s.shown}
	if name, ok := t.names[key]; ok {
		return name
	}
	random := make([]byte, tokenSigns)
	_, _ = rand.Read(random) // never fails
	var name strings.Builder
	for _, b := range random {
		name.WriteRune(firstSign + rune(b))
	}
	t.names[key], t.values[name.String()] = name.String(), s
	return name.String()
}

// replace puts something in the place of each token, and reports whether there was one, or a piece of one.
func (t *tokenTable) replace(text string, with func(SecretValue) string) (replaced string, found, pieces bool) {
	if !strings.Contains(text, signPrefix) {
		return text, false, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	var b strings.Builder
	for rest := text; rest != ""; {
		at := strings.Index(rest, signPrefix)
		if at < 0 {
			b.WriteString(rest)
			break
		}
		b.WriteString(rest[:at])
		rest = rest[at:]
		if len(rest) >= tokenSigns*signBytes {
			if s, ok := t.values[rest[:tokenSigns*signBytes]]; ok {
				b.WriteString(with(s))
				rest, found = rest[tokenSigns*signBytes:], true
				continue
			}
		}
		n := min(signBytes, len(rest))
		if t.pieceAt(rest) {
			pieces = true
		}
		b.WriteString(rest[:n])
		rest = rest[n:]
	}
	return b.String(), found, pieces
}

// pieceAt reports whether a text begins with two neighbouring signs of a token.
func (t *tokenTable) pieceAt(text string) bool {
	if len(text) < 2*signBytes {
		return false
	}
	for name := range t.values {
		if i := strings.Index(name, text[:2*signBytes]); i >= 0 && i%signBytes == 0 {
			return true
		}
	}
	return false
}

var errPiece = errors.New("it holds a piece of what str() made of a secret, which means nothing; give the secret as a whole")

// openText is a text with the secrets in the place of their tokens; nil for one that has none.
func openText(text string) (*SecretValue, error) {
	whole, found, pieces := tokens.replace(text, func(s SecretValue) string { return s.Secret.Reveal() })
	if pieces {
		return nil, errPiece
	}
	if !found {
		return nil, nil
	}
	return &SecretValue{host.NewSecret(whole), Masked(text)}, nil
}

// Masked is a text with what may be seen of secrets in the place of their tokens.
func Masked(text string) string {
	masked, _, _ := tokens.replace(text, SecretValue.Shown)
	return masked
}

// errSecretKey refuses what would be a name.
var errSecretKey = errors.New("a name in it is a secret; a secret can only be a value")

// wayWithSecrets is what works where a secret does not.
const wayWithSecrets = "a secret can only be given where one is asked for, as the content of fs.write and the values of cfg.set, " +
	"alone or within a text: secret.text(\"login %s\", pw), or \"login \" + pw"

// open puts secrets in the place of their tokens where the parameter may hold some, and refuses them elsewhere.
func (p *Param) open(v starlark.Value) (starlark.Value, error) {
	switch p.Type {
	case SecretT, Text, Data, Dict, Any:
		return openValue(v)
	}
	if holdsSecret(v) {
		return nil, fmt.Errorf("got a secret, want %s: %s", p.Type, wayWithSecrets)
	}
	return v, nil
}

// openValue does so in all that a value is made of.
func openValue(v starlark.Value) (starlark.Value, error) {
	if s, ok := v.(starlark.String); ok {
		opened, err := openText(string(s))
		if opened == nil || err != nil {
			return v, err
		}
		return *opened, nil
	}
	if !holdsToken(v) {
		return v, nil
	}
	switch v := v.(type) {
	case *starlark.List:
		items, err := openAll(v)
		return starlark.NewList(items), err
	case starlark.Tuple:
		return openTuple(v)
	case *starlark.Dict:
		return openDict(v)
	case *starlarkstruct.Struct:
		fields := starlark.StringDict{}
		for _, name := range v.AttrNames() {
			attr, err := v.Attr(name)
			if err != nil {
				return nil, err
			}
			if fields[name], err = openValue(attr); err != nil {
				return nil, err
			}
		}
		return starlarkstruct.FromStringDict(v.Constructor(), fields), nil
	}
	return nil, errSecretKey
}

func openTuple(v starlark.Tuple) (starlark.Value, error) {
	items, err := openAll(v)
	return starlark.Tuple(items), err
}

func openAll(v starlark.Sequence) ([]starlark.Value, error) {
	items := make([]starlark.Value, 0, v.Len())
	for item := range starlark.Elements(v) {
		opened, err := openValue(item)
		if err != nil {
			return nil, err
		}
		items = append(items, opened)
	}
	return items, nil
}

func openDict(v *starlark.Dict) (starlark.Value, error) {
	dict := starlark.NewDict(v.Len())
	for _, item := range v.Items() {
		value, err := openValue(item[1])
		if err != nil {
			return nil, err
		}
		if holdsSecret(item[0]) {
			return nil, errSecretKey
		}
		if err := dict.SetKey(item[0], value); err != nil {
			return nil, err
		}
	}
	return dict, nil
}

// holdsSecret reports whether a value is or holds a secret, a token, or a piece of one.
func holdsSecret(v starlark.Value) bool { return holds(v, true) }

func holdsToken(v starlark.Value) bool { return holds(v, false) }

func holds(v starlark.Value, secrets bool) bool {
	switch v := v.(type) {
	case SecretValue:
		return secrets
	case starlark.String:
		_, found, pieces := tokens.replace(string(v), SecretValue.Shown)
		return found || pieces
	case starlark.Bytes:
		return holds(starlark.String(v), secrets)
	case *starlarkstruct.Struct:
		for _, name := range v.AttrNames() {
			if attr, err := v.Attr(name); err == nil && holds(attr, secrets) {
				return true
			}
		}
	case *starlark.Dict:
		for _, item := range v.Items() {
			if holds(item[0], secrets) || holds(item[1], secrets) {
				return true
			}
		}
	case starlark.Sequence:
		for item := range starlark.Elements(v) {
			if holds(item, secrets) {
				return true
			}
		}
	}
	return false
}

// jsonModule is the language's json, without a way for secrets: their characters would have to be escaped.
func jsonModule() *starlarkstruct.Module {
	members := starlark.StringDict{}
	for name, member := range starlarkjson.Module.Members {
		members[name] = bounded(starlark.NewBuiltin("json."+name, func(thread *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			for _, kv := range kwargs {
				args = append(args[:len(args):len(args)], kv[1])
			}
			if holdsSecret(args) {
				return nil, fmt.Errorf("json.%s: got a secret: %s", name, wayWithSecrets)
			}
			return starlark.Call(thread, member, args[:len(args)-len(kwargs)], kwargs)
		}), functions["json."+name])
	}
	return &starlarkstruct.Module{Name: "json", Members: members}
}

// comparedName is the name of compared in a module: one that no source can write.
const comparedName = " compared"

// compared returns what is compared, and refuses a secret.
var compared = starlark.NewBuiltin("comparison", func(_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
	switch args[0].(type) {
	case SecretValue, starlark.String:
		if holdsSecret(args[0]) {
			return nil, errCompared
		}
	}
	return args[0], nil
})

// guardComparisons has compared look at what ==, != and in compare. The language calls values of different
// types different, without asking them: `password == "x"` would be False whatever the password is.
func guardComparisons(file *syntax.File) {
	syntax.Walk(file, func(n syntax.Node) bool {
		if e, ok := n.(*syntax.BinaryExpr); ok {
			switch e.Op {
			case syntax.EQL, syntax.NEQ:
				e.X, e.Y = guarded(e.X), guarded(e.Y)
			case syntax.IN, syntax.NOT_IN:
				e.X = guarded(e.X)
			}
		}
		return true
	})
}

func guarded(e syntax.Expr) syntax.Expr {
	switch e.(type) {
	case *syntax.Literal, *syntax.ListExpr, *syntax.TupleExpr, *syntax.DictExpr:
		return e
	}
	start, end := e.Span()
	return &syntax.CallExpr{Fn: &syntax.Ident{NamePos: start, Name: comparedName}, Lparen: start, Args: []syntax.Expr{e}, Rparen: end}
}
