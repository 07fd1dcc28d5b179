package booktest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/starlark"

	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/script"
)

// program loads a file of tests with what it loads. Its functions can call what runbooks can, and what is here.
func (s *suite) program(ctx context.Context, name string) (*script.Program, error) {
	return script.Load(ctx, script.LoadOptions{
		Dir: s.Dir, Name: name, Stock: s.Stock, Coverage: s.Coverage,
		Builtins: slices.Concat(runbook.CoreBuiltins(), Builtins(), s.Builtins),
	})
}

// tester is a test at work: what its function calls arrives here.
type tester struct {
	suite    *suite
	file     *file
	prog     *script.Program
	ctx      context.Context
	failures []Failure
}

var _ script.Runner = (*tester)(nil)

// Context ends when the tests are to end.
func (t *tester) Context() context.Context { return t.ctx }

// CarryOut answers what is of tests, and refuses what is of runbooks: there is no host here.
func (t *tester) CarryOut(c *script.Call) (starlark.Value, error) {
	if strings.HasPrefix(c.Builtin.Name, "test.") {
		return c.Answer()
	}
	return nil, fmt.Errorf("%s works on a host, and a test has none of its own: call a function that does it by test.call(FUNCTION, HOST)", c.Builtin.Name)
}

// testing is the test that calls a builtin.
func testing(c *script.Call) (*tester, error) {
	t, ok := c.Runner().(*tester)
	if !ok {
		return nil, c.Errorf("it is for tests: functions test_* of files *_test.star, run by `zcp2kopano test`")
	}
	return t, nil
}

// fail notes that something is not as wanted; the test goes on.
func (t *tester) fail(c *script.Call, format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	if about := c.String("about"); about != "" {
		message = about + ": " + message
	}
	t.failures = append(t.failures, Failure{Pos: c.Pos(), Message: message})
}
