package shell

import (
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// test is test(1), as POSIX has it, with -a, -o and parentheses.
func (in *interp) test(_ *syntax.Stmt, args []string) error {
	name, args := args[0], args[1:]
	if name == "[" {
		if len(args) == 0 || args[len(args)-1] != "]" {
			in.status = Status{Code: 2}
			return nil
		}
		args = args[:len(args)-1]
	}
	t := &tester{in: in, args: args}
	if len(args) == 0 {
		in.status = Status{Code: 1}
		return nil
	}
	result := t.or()
	if t.bad || len(t.args) > 0 {
		in.status = Status{Code: 2}
		return nil
	}
	in.status = result
	return nil
}

// tester goes through the words of a test.
type tester struct {
	in   *interp
	args []string
	bad  bool
	deep int
}

func (t *tester) next() string {
	if len(t.args) == 0 {
		t.bad = true
		return ""
	}
	word := t.args[0]
	t.args = t.args[1:]
	return word
}

func (t *tester) peek(i int) string {
	if i < len(t.args) {
		return t.args[i]
	}
	return ""
}

func (t *tester) or() Status {
	result := t.and()
	for !t.bad && t.peek(0) == "-o" {
		t.next()
		other := t.and()
		switch {
		case is(result) || is(other):
			result = Status{}
		case result.Unknown || other.Unknown:
			result = Status{Code: 1, Unknown: true}
		}
	}
	return result
}

func (t *tester) and() Status {
	result := t.not()
	for !t.bad && t.peek(0) == "-a" {
		t.next()
		other := t.not()
		switch {
		case isNot(result) || isNot(other):
			result = Status{Code: 1}
		case result.Unknown || other.Unknown:
			result = Status{Code: 1, Unknown: true}
		}
	}
	return result
}

func is(s Status) bool    { return !s.Unknown && s.Code == 0 }
func isNot(s Status) bool { return !s.Unknown && s.Code != 0 }

func (t *tester) not() Status {
	if t.deep++; t.deep > maxNest {
		t.bad = true
		return Status{Code: 2}
	}
	defer func() { t.deep-- }()
	if t.peek(0) == "!" && len(t.args) > 1 && !binary(t.peek(1)) {
		t.next()
		s := t.not()
		if !s.Unknown {
			s = truth(s.Code != 0)
		}
		return s
	}
	if t.peek(0) == "(" && len(t.args) > 2 && !binary(t.peek(1)) {
		t.next()
		s := t.or()
		if t.next() != ")" {
			t.bad = true
		}
		return s
	}
	return t.primary()
}

func binary(op string) bool {
	switch op {
	case "=", "==", "!=", "<", ">", "-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-nt", "-ot", "-ef":
		return true
	}
	return false
}

func (t *tester) primary() Status {
	if len(t.args) >= 3 && binary(t.args[1]) {
		a, op, b := t.next(), t.next(), t.next()
		return t.compare(a, op, b)
	}
	word := t.next()
	if len(word) == 2 && word[0] == '-' && len(t.args) > 0 && t.peek(0) != "-a" && t.peek(0) != "-o" && t.peek(0) != ")" {
		if s, ok := t.unary(word[1], t.peek(0)); ok {
			t.next()
			return s
		}
	}
	return truth(word != "")
}

func (t *tester) unary(op byte, operand string) (s Status, ok bool) {
	switch op {
	case 'n':
		return truth(operand != ""), true
	case 'z':
		return truth(operand == ""), true
	case 't':
		return Status{Code: 1, Unknown: true}, true
	}
	if strings.IndexByte("bcdefghkLOprsSuwxG", op) < 0 {
		return s, false
	}
	if operand == "" {
		return truth(false), true
	}
	yes, known := t.in.m.Test(op, t.in.path(operand))
	if !known {
		return Status{Code: 1, Unknown: true}, true
	}
	return truth(yes), true
}

func (t *tester) compare(a, op, b string) Status {
	switch op {
	case "=", "==":
		return truth(a == b)
	case "!=":
		return truth(a != b)
	case "<":
		return truth(a < b)
	case ">":
		return truth(a > b)
	case "-nt", "-ot", "-ef":
		yes, known := t.in.m.Same(op[1:], t.in.path(a), t.in.path(b))
		if !known {
			return Status{Code: 1, Unknown: true}
		}
		return truth(yes)
	}
	x, err1 := strconv.ParseInt(strings.TrimSpace(a), 10, 64)
	y, err2 := strconv.ParseInt(strings.TrimSpace(b), 10, 64)
	if err1 != nil || err2 != nil {
		t.bad = true
		return Status{Code: 2}
	}
	switch op {
	case "-eq":
		return truth(x == y)
	case "-ne":
		return truth(x != y)
	case "-lt":
		return truth(x < y)
	case "-le":
		return truth(x <= y)
	case "-gt":
		return truth(x > y)
	}
	return truth(x >= y)
}
