package script

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
	"go.starlark.net/syntax"
)

// One operation of the language can make a value of any size of two small ones, and no instruction comes between at
// which it could be stopped. So what can is measured before it is done: + * and %, the functions and methods that make
// texts and lists of others, and what a builtin is given.

// Shares of the heap that one value may take.
const (
	answerShare = 2  // what the host answers, which no runbook makes, and what hands it on: 256 MiB of 512
	valueShare  = 8  // what one operation makes: 64 MiB
	givenShare  = 32 // what one call of a builtin is given: 16 MiB
)

const (
	maxBits   = 1 << 16 // of a number
	maxDigits = 1 << 14 // of a number that is read
	maxDepth  = 1000    // of lists in lists that are told as text
)

// Bytes that elements take: those of a list, and of what is found by its hash.
const (
	perItem = 32
	perKey  = 128
)

// share is how much one value may take in a thread.
func share(thread *starlark.Thread, part uint64) int64 {
	if w, ok := thread.Local(watchKey).(*watch); ok {
		return int64(w.limits.Heap / part)
	}
	return int64(DefaultLimits.Heap / part)
}

// tooLarge says what would have been made.
func tooLarge(most int64) error {
	return fmt.Errorf("the result would be larger than %s; look for a string, list or number that grows", sizeText(most))
}

func sizeText(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}

// bound refuses a size above what one value may take.
func bound(thread *starlark.Thread, size func(most int64) int64) error {
	if most := share(thread, valueShare); size(most) > most {
		return tooLarge(most)
	}
	return nil
}

// times multiplies without going round.
func times(a, b int64) int64 {
	if a <= 0 || b <= 0 {
		return 0
	}
	if a > math.MaxInt64/b {
		return math.MaxInt64
	}
	return a * b
}

// plus adds without going round; neither is negative.
func plus(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// textSize is about how long a value is as text. It stops counting above most: a list that holds itself twice, and
// that again, is short to write and without end to read.
func textSize(v starlark.Value, most int64) int64 {
	m := &meter{most: most}
	m.add(v, 0)
	return m.sum
}

type meter struct{ sum, most int64 }

func (m *meter) add(v starlark.Value, depth int) {
	if m.sum > m.most {
		return
	}
	if depth > maxDepth {
		m.sum = math.MaxInt64
		return
	}
	m.sum = plus(m.sum, 4)
	switch v := v.(type) {
	case starlark.String:
		m.sum = plus(m.sum, int64(len(v)))
	case starlark.Bytes:
		m.sum = plus(m.sum, 4*int64(len(v)))
	case starlark.Int:
		m.sum = plus(m.sum, int64(v.BigInt().BitLen()/3))
	case *starlark.Dict:
		m.entries(v, depth)
	case *starlarkstruct.Struct:
		for _, name := range v.AttrNames() {
			if attr, err := v.Attr(name); err == nil {
				m.sum = plus(m.sum, int64(len(name)))
				m.add(attr, depth+1)
			}
		}
	case *starlark.List, starlark.Tuple, *starlark.Set:
		for item := range starlark.Elements(v.(starlark.Iterable)) {
			if m.add(item, depth+1); m.sum > m.most {
				return
			}
		}
	}
}

func (m *meter) entries(d *starlark.Dict, depth int) {
	for key, value := range starlark.Entries(d) {
		m.add(key, depth+1)
		if m.add(value, depth+1); m.sum > m.most {
			return
		}
	}
}

func textSizes(args starlark.Tuple, kwargs []starlark.Tuple, most int64) int64 {
	m := &meter{most: most}
	for _, v := range args {
		m.add(v, 0)
	}
	for _, kv := range kwargs {
		m.add(kv[1], 0)
	}
	return m.sum
}

// items is how many elements a value has, counted up to most.
func items(v starlark.Value, most int64) (n int64) {
	if s, ok := v.(starlark.Sequence); ok {
		return int64(s.Len())
	}
	iterable, ok := v.(starlark.Iterable)
	if !ok {
		return 0
	}
	for range starlark.Elements(iterable) {
		if n++; n > most {
			break
		}
	}
	return n
}

// listSize and hashSize are the sizes of a list, and of a set or dict, of what can be gone through.
func listSize(v starlark.Value, most int64) int64 { return times(perItem, items(v, most/perItem)) }
func hashSize(v starlark.Value, most int64) int64 { return times(perKey, items(v, most/perKey)) }

// measure is how large the result of a call may become; it need not count on above most.
type measure func(most int64, receiver starlark.Value, args starlark.Tuple, kwargs []starlark.Tuple) int64

func ofList(most int64, _ starlark.Value, args starlark.Tuple, _ []starlark.Tuple) (size int64) {
	for _, arg := range args {
		size = plus(size, listSize(arg, most))
	}
	return size
}

func ofHash(most int64, _ starlark.Value, args starlark.Tuple, _ []starlark.Tuple) (size int64) {
	for _, arg := range args {
		size = plus(size, hashSize(arg, most))
	}
	return size
}

// ofPairs makes a tuple of each element.
func ofPairs(most int64, receiver starlark.Value, args starlark.Tuple, kwargs []starlark.Tuple) int64 {
	return times(3, ofList(most, receiver, args, kwargs))
}

func ofText(most int64, _ starlark.Value, args starlark.Tuple, kwargs []starlark.Tuple) int64 {
	return textSizes(args, kwargs, most)
}

// ofJSON counts a character as six: \u0000.
func ofJSON(most int64, _ starlark.Value, args starlark.Tuple, kwargs []starlark.Tuple) int64 {
	return times(6, textSizes(args, kwargs, most))
}

// ofIndented has each element on a line of its own, behind all indents of what it is in.
func ofIndented(most int64, _ starlark.Value, args starlark.Tuple, kwargs []starlark.Tuple) int64 {
	size, indent, depth := ofJSON(most, nil, args, nil), int64(8), int64(8)
	for _, kv := range kwargs {
		if text, ok := starlark.AsString(kv[1]); ok {
			indent += int64(len(text))
		}
	}
	for _, arg := range args {
		if text, ok := starlark.AsString(arg); ok {
			depth += int64(strings.Count(text, "[") + strings.Count(text, "{"))
		}
	}
	return times(size, times(indent, min(depth, maxDepth)))
}

// ofParsed is what JSON means: "[]," is a list.
func ofParsed(_ int64, _ starlark.Value, args starlark.Tuple, _ []starlark.Tuple) int64 {
	text, _ := starlark.AsString(first(args))
	return times(48, int64(len(text)))
}

func first(args starlark.Tuple) starlark.Value {
	if len(args) == 0 {
		return starlark.None
	}
	return args[0]
}

// stringMethods are those that make much of little.
var stringMethods = map[string]measure{
	"join": func(most int64, receiver starlark.Value, args starlark.Tuple, _ []starlark.Tuple) (size int64) {
		if iterable, ok := first(args).(starlark.Iterable); ok {
			sep, _ := starlark.AsString(receiver)
			for item := range starlark.Elements(iterable) {
				text, _ := starlark.AsString(item)
				if size = plus(size, int64(len(sep)+len(text))); size > most {
					break
				}
			}
		}
		return size
	},
	"replace": func(_ int64, receiver starlark.Value, args starlark.Tuple, _ []starlark.Tuple) int64 {
		text, _ := starlark.AsString(receiver)
		if len(args) < 2 {
			return 0
		}
		from, _ := starlark.AsString(args[0])
		to, _ := starlark.AsString(args[1])
		return plus(int64(len(text)), times(int64(strings.Count(text, from)), int64(len(to))))
	},
	"format": func(most int64, receiver starlark.Value, args starlark.Tuple, kwargs []starlark.Tuple) int64 {
		text, _ := starlark.AsString(receiver)
		return plus(int64(len(text)), times(int64(strings.Count(text, "{")), textSizes(args, kwargs, most)))
	},
	"split":      ofParts,
	"rsplit":     ofParts,
	"splitlines": func(_ int64, r starlark.Value, _ starlark.Tuple, _ []starlark.Tuple) int64 { return partsSize(r, "\n") },
}

// ofParts counts white space, each of it, where no separator is given.
func ofParts(_ int64, receiver starlark.Value, args starlark.Tuple, _ []starlark.Tuple) int64 {
	sep, given := starlark.AsString(first(args))
	if !given || sep == "" {
		return plus(partsSize(receiver, " "), plus(partsSize(receiver, "\n"), partsSize(receiver, "\t")))
	}
	return partsSize(receiver, sep)
}

func partsSize(receiver starlark.Value, sep string) int64 {
	text, _ := starlark.AsString(receiver)
	return times(perItem, int64(strings.Count(text, sep)+1))
}

var (
	listMethods = map[string]measure{"extend": ofList}
	dictMethods = map[string]measure{"update": ofHash}
	setMethods  = map[string]measure{"update": ofHash, "union": ofHash, "symmetric_difference": ofHash}
)

// methods are the measures of methods, by the type that has them.
func methods(v starlark.Value) map[string]measure {
	switch v.(type) {
	case starlark.String:
		return stringMethods
	case *starlark.List:
		return listMethods
	case *starlark.Dict:
		return dictMethods
	case *starlark.Set:
		return setMethods
	}
	return nil
}

// functions are the measures of the language's functions.
var functions = map[string]measure{
	"list": ofList, "tuple": ofList, "sorted": ofList, "reversed": ofList, "bytes": ofList, "min": ofList, "max": ofList,
	"enumerate": ofPairs, "zip": ofPairs, "set": ofHash, "dict": ofHash,
	"str": ofText, "repr": ofText, "print": ofText, "fail": ofText,
	"json.encode": ofJSON, "json.encode_indent": ofIndented, "json.indent": ofIndented, "json.decode": ofParsed,
}

// bounded is a function that is measured before it is called.
func bounded(b *starlark.Builtin, size measure) *starlark.Builtin {
	return starlark.NewBuiltin(b.Name(), func(thread *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		err := bound(thread, func(most int64) int64 { return size(most, b.Receiver(), args, kwargs) })
		if err != nil {
			return nil, fmt.Errorf("%s: %w", b.Name(), err)
		}
		return b.CallInternal(thread, args, kwargs)
	})
}

// boundedFunctions are those of the language, and those that make it possible to go round the others.
func boundedFunctions() starlark.StringDict {
	names := starlark.StringDict{
		plusName: operation("sum", sumOf), timesName: operation("product", productOf), formatName: operation("formatting", formattingOf),
		methodName: boundMethod, giveName: given, showName: shown, factorName: factor,
		"getattr": starlark.NewBuiltin("getattr", getattr), "int": starlark.NewBuiltin("int", readInt),
	}
	for name, size := range functions {
		if b, ok := starlark.Universe[name].(*starlark.Builtin); ok {
			names[name] = bounded(b, size)
		}
	}
	return names
}

// getattr gives no method that is not measured.
func getattr(thread *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	v, err := starlark.Universe["getattr"].(*starlark.Builtin).CallInternal(thread, args, kwargs)
	if err != nil {
		return nil, err
	}
	return measured(v), nil
}

// readInt refuses numbers whose reading takes as long as the run.
func readInt(thread *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if text, ok := starlark.AsString(first(args)); ok && len(text) > maxDigits {
		return nil, fmt.Errorf("int: a number of %d digits is too long", len(text))
	}
	return starlark.Universe["int"].(*starlark.Builtin).CallInternal(thread, args, kwargs)
}

// Names of what a module calls in the place of operators. No source can write one.
const (
	plusName   = " plus"
	timesName  = " times"
	formatName = " format"
	methodName = " method"
	giveName   = " give"
	showName   = " show"
	factorName = " factor"
)

// hiddenNames are names that nobody is told.
var hiddenNames = []string{comparedName, markName, plusName, timesName, formatName, methodName, giveName, showName, factorName}

// operation is an operator that is measured first.
func operation(name string, of func(thread *starlark.Thread, x, y starlark.Value) (starlark.Value, error)) *starlark.Builtin {
	return starlark.NewBuiltin(name, func(thread *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
		return of(thread, args[0], args[1])
	})
}

// lengthOf is about what a text or list takes.
func lengthOf(v starlark.Value) int64 {
	switch v := v.(type) {
	case starlark.String:
		return int64(len(v))
	case starlark.Bytes:
		return int64(len(v))
	case starlark.Sequence:
		return times(perItem, int64(v.Len()))
	}
	return 0
}

func sumOf(thread *starlark.Thread, x, y starlark.Value) (starlark.Value, error) {
	if err := bound(thread, func(int64) int64 { return plus(lengthOf(x), lengthOf(y)) }); err != nil {
		return nil, err
	}
	return starlark.Binary(syntax.PLUS, x, y)
}

var errNumber = fmt.Errorf("the number would have more than %d bits; look for one that grows in a loop", maxBits)

func productOf(thread *starlark.Thread, x, y starlark.Value) (starlark.Value, error) {
	a, isNumber := x.(starlark.Int)
	b, areNumbers := y.(starlark.Int)
	if isNumber && areNumbers && a.BigInt().BitLen()+b.BigInt().BitLen() > maxBits {
		return nil, errNumber
	}
	n, of := a, y
	if areNumbers {
		n, of = b, x
	}
	count, fits := n.Int64()
	if !fits {
		count = math.MaxInt64
	}
	if err := bound(thread, func(int64) int64 { return times(count, lengthOf(of)) }); err != nil {
		return nil, err
	}
	return starlark.Binary(syntax.STAR, x, y)
}

func formattingOf(thread *starlark.Thread, x, y starlark.Value) (starlark.Value, error) {
	if text, ok := x.(starlark.String); ok {
		if err := bound(thread, func(most int64) int64 { return plus(int64(len(text)), textSize(y, most)) }); err != nil {
			return nil, err
		}
	}
	return starlark.Binary(syntax.PERCENT, x, y)
}

// given passes on what is added to something, or is spread out as arguments, if that is not too much.
var given = starlark.NewBuiltin("sum", func(thread *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
	err := bound(thread, func(most int64) int64 {
		if size := lengthOf(args[0]); size > 0 {
			return size
		}
		return listSize(args[0], most)
	})
	return args[0], err
})

// shown passes on what is to be told as text, if that is not too much.
var shown = starlark.NewBuiltin("formatting", func(thread *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
	return args[0], bound(thread, func(most int64) int64 { return textSize(args[0], most) })
})

// factor passes on a small number.
var factor = starlark.NewBuiltin("product", func(_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
	if i, ok := args[0].(starlark.Int); ok && i.BigInt().BitLen() > 8 || !ok && lengthOf(args[0]) > 0 {
		return nil, errors.New("*= takes a small number here; write it out: a[i] = a[i] * n")
	}
	return args[0], nil
})

// boundMethod is a method, measured.
var boundMethod = starlark.NewBuiltin("method", func(_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
	return measured(args[0]), nil
})

// measured is a value, or the measured one in its place where it is a method that makes much of little.
func measured(v starlark.Value) starlark.Value {
	if b, ok := v.(*starlark.Builtin); ok {
		if size := methods(b.Receiver())[b.Name()]; size != nil {
			return bounded(b, size)
		}
	}
	return v
}

// boundGrowth has what may grow measured, wherever a module does it.
func boundGrowth(file *syntax.File) {
	syntax.Walk(file, func(n syntax.Node) bool {
		switch n := n.(type) {
		case nil:
			return true
		case *syntax.AssignStmt:
			boundAssignment(n)
			n.RHS = boundExpr(n.RHS)
			return true
		case *syntax.CallExpr:
			if name, ok := n.Fn.(*syntax.Ident); ok && name.Name == methodName {
				return true // what it measures stays in it
			}
			for _, arg := range n.Args {
				if spread, ok := arg.(*syntax.UnaryExpr); ok && spread.Op == syntax.STAR {
					spread.X = hidden(spread.OpPos, giveName, spread.X)
				}
			}
		}
		replaceExprs(reflect.ValueOf(n).Elem(), boundExpr)
		return true
	})
}

// boundAssignment is of x += y and its like.
func boundAssignment(s *syntax.AssignStmt) {
	switch s.Op {
	case syntax.PLUS_EQ:
		if _, literal := s.RHS.(*syntax.Literal); !literal {
			s.RHS = hidden(s.OpPos, giveName, s.RHS)
		}
	case syntax.PERCENT_EQ:
		s.RHS = hidden(s.OpPos, showName, s.RHS)
	case syntax.STAR_EQ:
		name, ok := s.LHS.(*syntax.Ident)
		if !ok {
			s.RHS = hidden(s.OpPos, factorName, s.RHS)
			return
		}
		s.Op, s.RHS = syntax.EQ, hidden(s.OpPos, timesName, &syntax.Ident{NamePos: name.NamePos, Name: name.Name}, s.RHS)
	}
}

// boundExpr is what stands in the place of an expression that may grow.
func boundExpr(e syntax.Expr) syntax.Expr {
	switch e := e.(type) {
	case *syntax.BinaryExpr:
		_, left := e.X.(*syntax.Literal)
		_, right := e.Y.(*syntax.Literal)
		switch {
		case e.Op == syntax.PLUS && !left && !right: // with one it grows by what is written in the source
			return hidden(e.OpPos, plusName, e.X, e.Y)
		case e.Op == syntax.STAR:
			return hidden(e.OpPos, timesName, e.X, e.Y)
		case e.Op == syntax.PERCENT && !right:
			return hidden(e.OpPos, formatName, e.X, e.Y)
		}
	case *syntax.DotExpr:
		if isMeasured(e.Name.Name) {
			return hidden(e.Dot, methodName, e)
		}
	}
	return e
}

// isMeasured reports whether any type has a measured method of a name.
func isMeasured(name string) bool {
	return stringMethods[name] != nil || listMethods[name] != nil || dictMethods[name] != nil || setMethods[name] != nil
}

func hidden(pos syntax.Position, name string, args ...syntax.Expr) syntax.Expr {
	return &syntax.CallExpr{Fn: &syntax.Ident{NamePos: pos, Name: name}, Lparen: pos, Args: args, Rparen: pos}
}

// replaceExprs puts others in the place of the expressions that a node is made of.
func replaceExprs(node reflect.Value, with func(syntax.Expr) syntax.Expr) {
	expr := reflect.TypeFor[syntax.Expr]()
	for i := range node.NumField() {
		field := node.Field(i)
		switch {
		case !field.CanSet() || !field.CanInterface():
		case field.Type() == expr && !field.IsNil():
			field.Set(reflect.ValueOf(with(field.Interface().(syntax.Expr))))
		case field.Type() == reflect.SliceOf(expr):
			for j := range field.Len() {
				field.Index(j).Set(reflect.ValueOf(with(field.Index(j).Interface().(syntax.Expr))))
			}
		}
	}
}
