package script

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.starlark.net/starlark"
)

// taken is a builtin that is given things.
var taken = &Builtin{
	Name: "taken", Doc: "Takes anything.", Effect: Pure, Result: "None", Params: []Param{{Name: "x", Type: Any, Doc: "anything"}},
	Value: func(c *Call) (starlark.Value, error) { return starlark.None, nil },
}

// bombs are short to write, and large to carry out. B is a text of a million bytes, L a list of a hundred thousand
// numbers, T a tower: a list that holds another twice, and so on.
var bombs = map[string]string{
	// what makes texts
	"x * n":                  `"x" * 10000000000`,
	"n * x":                  `10000000000 * "x"`,
	"a long text * n":        `B * 1000`,
	"bytes * n":              `b"xx" * 1000000000`,
	"x + x":                  "x = B\nfor _ in range(30):\n    x = x + x",
	"x += x":                 "x = B\nfor _ in range(30):\n    x += x",
	"x += much":              "x = B\nfor _ in range(3000):\n    x += B",
	"x *= n":                 "x = B\nx *= 100000",
	"a[i] *= n":              "a = [B]\na[0] *= 100000",
	"a[i] *= x":              "a = [100000]\na[0] *= B",
	"%":                      `"%s%s%s%s%s%s%s%s%s%s%s%s" % (B, B, B, B, B, B, B, B, B, B, B, B)`,
	"% of a dict":            `"%(a)s" % {"a": T}`,
	"% of a tower":           `"%s" % T`,
	"%r of a tower":          `"%r" % (T,)`,
	"%= of a tower":          "x = \"%s\"\nx %= T",
	"format":                 `("{0}" * 1000).format(B)`,
	"format by name":         `("{a}" * 1000).format(a = B)`,
	"format of a tower":      `"{}".format(T)`,
	"join":                   `B.join(["x"] * 10000)`,
	"join of long texts":     `"".join([B] * 10000)`,
	"replace":                `B.replace("x", B)`,
	"replace of nothing":     `B.replace("", B)`,
	"a method of its own":    "f = B.replace\nf(\"x\", B)",
	"a method by getattr":    `getattr(B, "replace")("x", B)`,
	"a method in a list":     `[B.join][0](["x"] * 10000)`,
	"a method given on":      "def call(f):\n    return f([B] * 10000)\ncall(\"\".join)",
	"a lambda":               `(lambda s: s.replace("x", s))(B)`,
	"str of a tower":         `str(T)`,
	"repr of a tower":        `repr(T)`,
	"print of a tower":       `print(T)`,
	"fail of a tower":        `fail(T)`,
	"a tower in a struct":    `str(struct(a = T))`,
	"a tower of dicts":       "d = {}\nfor _ in range(60):\n    d = {1: d, 2: d}\nstr(d)",
	"a tower of tuples":      "d = ()\nfor _ in range(60):\n    d = (d, d)\nstr(d)",
	"json of a tower":        `json.encode(T)`,
	"json of text":           `json.encode(["\x01" * 100000] * 8)`,
	"indented json":          `json.encode_indent(L, indent = B)`,
	"json, indented":         `json.indent(json.encode(L), indent = B)`,
	"json, deep":             `json.indent("[" * 3000 + "]" * 3000, indent = " " * 1000)`,
	"json of many lists":     `json.decode("[" + "[]," * 300000 + "0]")`,
	"str of a deep list":     "d = []\nfor _ in range(100000):\n    d = [d]\nstr(d)",
	"json of a deep list":    "d = []\nfor _ in range(100000):\n    d = [d]\njson.encode(d)",
	"a default":              "def g(x = B * 1000):\n    return x\ng()",
	"a key":                  `{B * 1000: 1}`,
	"an element of a lookup": `L[len(B * 1000)]`,
	"a condition":            "if B * 1000:\n    pass",
	"a comprehension":        `[B * 1000 for _ in range(2)]`,
	"a filter":               `[x for x in L if B * 1000]`,
	"an argument":            `len(B * 1000)`,
	"a named argument":       `struct(a = B * 1000)`,
	"in a comparison":        `(B * 1000) == "x"`,
	"in a conditional":       `"a" if B * 1000 else "b"`,
	"in parentheses":         `((B) * (1000))`,
	"a sum of literals":      `("x" * 10000000) + "y"`,
	"in a list":              "[1,\n B * 1000]",
	"in a slice":             `B[:len(B * 1000)]`,
	"in a return":            "def g():\n    return B * 1000\ng()",
	"in another function":    "def g():\n    def h():\n        return B * 1000\n    return h\ng()()",
	// what makes lists
	"list * n":               `[0] * 1000000000`,
	"tuple * n":              `(0,) * 1000000000`,
	"a list that doubles":    "x = L\nfor _ in range(30):\n    x = x + x",
	"a list that extends":    "x = list(L)\nfor _ in range(30):\n    x.extend(list(x))",
	"extend by much":         "x = []\nx.extend(range(1000000000))",
	"+= by much":             "x = []\nx += range(1000000000)",
	"list":                   `list(range(1000000000))`,
	"tuple":                  `tuple(range(1000000000))`,
	"sorted":                 `sorted(range(1000000000))`,
	"sorted by a key":        `sorted(range(1000000000), key = len)`,
	"reversed":               `reversed(range(1000000000))`,
	"enumerate":              `enumerate(range(1000000000))`,
	"zip":                    `zip(range(1000000000), range(1000000000))`,
	"set":                    `set(range(1000000000))`,
	"set.union":              `set().union(range(1000000000))`,
	"set.update":             `set().update(range(1000000000))`,
	"dict":                   `dict(zip(range(1000000), range(1000000)))`,
	"dict.update":            `{}.update([(i, i) for i in range(100000)])`,
	"bytes":                  `bytes(range(1000000000))`,
	"split":                  `B.split("x")`,
	"rsplit":                 `B.rsplit("x")`,
	"split at blanks":        `("x " * 100000).split()`,
	"split at any white":     `("x\t" * 100000).split()`,
	"splitlines":             `("\n" * 100000).splitlines()`,
	"elements of a text":     `list(B.elems())`,
	"characters of a text":   `list(B.codepoints())`,
	"numbers of a text":      `list(B.codepoint_ords())`,
	"arguments":              `zip(*range(1000000000))`,
	"arguments of elements":  `max(*B.codepoints())`,
	"appended":               "x = []\nfor i in range(100000000):\n    x.append((i, i, i, i))",
	"a comprehension of all": `[(i, i) for i in range(100000000)]`,
	// numbers
	"a number that squares":   "n = 3\nfor _ in range(100):\n    n = n * n",
	"a number *= itself":      "n = 3\nfor _ in range(100):\n    n *= n",
	"an element *= a number":  "n = [3]\nfor _ in range(100):\n    n[0] *= 12345678901234567890",
	"a number of many digits": `int("9" * 1000000)`,
	"a shift":                 `1 << 100000000`,
	// what builtins are given
	"a text for a builtin":  `taken("x" * 500000)`,
	"a tower for a builtin": `taken(T)`,
	"texts for a builtin":   `taken([B] * 7)`,
}

// explode carries a bomb out, under a limit of 8 MiB: 1 for a value, 256 KiB for what a builtin is given. It returns how
// much was allocated.
func explode(t *testing.T, source string) (allocated uint64, err error) {
	t.Helper()
	old := die
	died := make(chan string, 1000)
	die = func(_ int, reason string) {
		select {
		case died <- reason:
		default:
		}
	}
	defer func() { die = old }()
	const head = `
def tower():
    t = []
    for _ in range(60):
        t = [t, t]
    return t

T = tower()
B = "x" * 130000
L = list(range(10000))

def bomb():
`
	if !strings.Contains(source, "\n") && !strings.HasPrefix(source, "fail") {
		source = "x = " + source
	}
	text := head + "    " + strings.ReplaceAll(source, "\n", "\n    ") + "\n\nbomb()\n"
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = LoadCopy(context.Background(), "//bomb.star", map[string]string{"//bomb.star": text},
		LoadOptions{Builtins: []*Builtin{taken}, Limits: Limits{Steps: 5_000_000, Time: time.Hour, Heap: 8 << 20}})
	runtime.ReadMemStats(&after)
	if len(died) > 0 {
		t.Errorf("the program would have ended itself: %s", <-died)
	}
	return after.TotalAlloc - before.TotalAlloc, err
}

// TestBombs wants each to be refused, and before it has taken what is not to be had.
func TestBombs(t *testing.T) {
	for name, source := range bombs {
		allocated, err := explode(t, source)
		if err == nil {
			t.Errorf("%s: it went off", name)
			continue
		}
		said := ErrorInfoOf(err)
		refused := false
		for _, words := range []string{"would be larger than", "what it is given is larger", "of memory", "would have more than", "is too long", "small number", "instructions", "shift count too large"} {
			refused = refused || strings.Contains(said.Message, words)
		}
		if !refused || !strings.HasPrefix(said.Pos, "//bomb.star:") {
			t.Errorf("%s: %s at %q", name, said.Message, said.Pos)
		}
		// A text that grows is garbage again and again, and how much of it there is depends on when it is collected.
		// Let go off, the smallest of them take many gigabytes.
		if allocated > 1<<30 {
			t.Errorf("%s: it took %d MiB before it was refused", name, allocated>>20)
		}
	}
}

// TestNoBombs has what runbooks do, which is to go on as ever.
func TestNoBombs(t *testing.T) {
	for source, want := range map[string]string{
		`"%s and %d" % ("a", 3)`: "a and 3", `"a" + "b" + "c"`: "abc", `[1] + [2]`: "[1, 2]", `(1,) + (2,)`: "(1, 2)", `3 * "ab"`: "ababab", `[0] * 3`: "[0, 0, 0]",
		`7 % 4`: "3", `2 * 3 + 4`: "10", `1.5 * 2`: "3.0", `"-".join(["a", "b"])`: "a-b", `"a,b".split(",")`: `["a", "b"]`, `" a  b ".split()`: `["a", "b"]`,
		`"{} {x}".format(1, x = 2)`: "1 2", `"aXa".replace("X", "y")`: "aya", `"a,b,c".split(",", 1)`: `["a", "b,c"]`, `int("12")`: "12", `int("0x1f", 0)`: "31",
		`sorted([3, 1], reverse = True)`: "[3, 1]", `dict([("a", 1)], b = 2)`: `{"a": 1, "b": 2}`, `list("abc".elems())`: `["a", "b", "c"]`, `max(*[1, 2])`: "2",
		`getattr("a,b", "split")(",")`: `["a", "b"]`, `getattr(struct(a = 1), "a")`: "1", `getattr(struct(a = 1), "b", 5)`: "5", `set([1]).union([2])`: "set([1, 2])",
		`json.decode(json.encode({"a": [1]}))`: `{"a": [1]}`, `json.indent("[1]", indent = " ")`: "[\n 1\n]", `hasattr("", "join")`: "True", `type("".join)`: "builtin_function_or_method",
		`(lambda *a, **k: [a, k])(*[1], **{"b": 2})`: `[(1,), {"b": 2}]`, `2 * 12345678901234567890`: "24691357802469135780",
	} {
		p, err := LoadCopy(context.Background(), "//x.star", map[string]string{"//x.star": "X = " + source + "\n"}, LoadOptions{})
		if err != nil {
			t.Errorf("%s: %s", source, ErrorInfoOf(err).Message)
			continue
		}
		got := p.Globals["X"].String()
		if text, ok := starlark.AsString(p.Globals["X"]); ok {
			got = text
		}
		if got != want {
			t.Errorf("%s: %s, want %s", source, got, want)
		}
	}
	for source, want := range map[string]string{
		"x = [1]\n    y = x\n    x += [2]\n    return y": "[1, 2]", "x = 2\n    x *= 3\n    return x": "6", "x = \"%d\"\n    x %= 3\n    return x": `"3"`,
		"x = [2]\n    x[0] *= 3\n    return x": "[6]", "x = {\"a\": 1}\n    x.update(b = 2)\n    return x": `{"a": 1, "b": 2}`, "x = 1\n    x += 2\n    return x": "3",
		"x = []\n    x.extend([1])\n    return x": "[1]", "a, b = [1], 2\n    a += [b]\n    return a": "[1, 2]",
	} {
		p, err := LoadCopy(context.Background(), "//x.star", map[string]string{"//x.star": "def f():\n    " + source + "\n\nX = f()\n"}, LoadOptions{})
		if err != nil {
			t.Errorf("%s: %s", source, ErrorInfoOf(err).Message)
		} else if got := p.Globals["X"].String(); got != want {
			t.Errorf("%s: %s, want %s", source, got, want)
		}
	}
	for source, want := range map[string]string{
		`"a" + 1`: "unknown binary op: string + int", `1 + "a" + B`: "undefined: B", `None.join([])`: "NoneType has no .join field or method", `"a".joyn([])`: "did you mean .join?",
		`"%d" % "a"`: "%d format requires integer: cannot convert", `[1] * "a"`: "unknown binary op: list * string", `"".join([1])`: "join: in list, want string, got int",
	} {
		_, err := LoadCopy(context.Background(), "//x.star", map[string]string{"//x.star": "X = " + source + "\n"}, LoadOptions{})
		if err == nil || !strings.Contains(ErrorInfoOf(err).Message+ErrorInfoOf(err).Hint, want) {
			t.Errorf("%s: %v, want %s", source, err, want)
		}
	}
}

// TestPassedOnAsItIs: a builtin that only hands on what it is given may be given much, and no tower.
func TestPassedOnAsItIs(t *testing.T) {
	passes := *taken
	passes.Passes = true
	const tower = "x = []\n    for _ in range(60):\n        x = [x, x]\n    taken(x)"
	for source, want := range map[string][2]bool{tower: {false, false}, `taken(["x" * 100000] * 20)`: {false, true}, `taken(["x" * 100000] * 60)`: {false, false}} {
		for i, b := range []*Builtin{taken, &passes} {
			_, err := LoadCopy(context.Background(), "//x.star", map[string]string{"//x.star": "def f():\n    " + source + "\n\nf()\n"},
				LoadOptions{Builtins: []*Builtin{b}, Limits: Limits{Steps: 5_000_000, Time: time.Hour, Heap: 8 << 20}})
			if (err == nil) != want[i] || err != nil && !strings.Contains(err.Error(), "what it is given is larger") {
				t.Errorf("%s, passes %v: %v", source, b.Passes, err)
			}
		}
	}
}

// TestAnswersAreLarge: all users of a large directory are more than a runbook may make by itself; a tower is refused of
// an answer, too.
func TestAnswersAreLarge(t *testing.T) {
	line := starlark.String(strings.Repeat("x", 1<<20))
	users := make([]starlark.Value, 240)
	for i := range users {
		users[i] = line
	}
	if _, err := EncodeAnswer(starlark.NewList(users), nil); err != nil {
		t.Error(err)
	}
	if _, err := Encode(starlark.NewList(users), nil); err == nil || !strings.Contains(err.Error(), "larger than 64 MiB") {
		t.Error(err)
	}
	if _, err := EncodeAnswer(starlark.NewList(append(users, users[:20]...)), nil); err == nil || !strings.Contains(err.Error(), "larger than 256 MiB") {
		t.Error(err)
	}
}

// TestNoTowerIsKept wants what a step returns to be measured before it goes to the journal.
func TestNoTowerIsKept(t *testing.T) {
	var tower starlark.Value = starlark.NewList(nil)
	for range 60 {
		tower = starlark.NewList([]starlark.Value{tower, tower})
	}
	if _, err := Encode(tower, nil); err == nil || !strings.Contains(err.Error(), "would be larger") {
		t.Error(err)
	}
	deep := starlark.Value(starlark.None)
	for range 100_000 {
		deep = starlark.Tuple{deep}
	}
	if _, err := Encode(deep, nil); err == nil || !strings.Contains(err.Error(), "would be larger") {
		t.Error(err)
	}
}
