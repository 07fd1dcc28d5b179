// Package booktest tests runbooks by functions written in their own language: test_* in files *_test.star. A test
// builds a simulated host, carries a runbook or one step of it out on it, and compares what comes of that with what it
// wants. Nothing here touches this machine but the files of the tests.
package booktest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"zcp2kopano/runtime/host/sim"
	"zcp2kopano/runtime/script"
)

// Config says what is tested, and how.
type Config struct {
	Dir      string // its *_test.star files are the tests
	Stock    fs.FS  // root of @stock//
	Hosts    fs.FS  // shipped fixtures: NAME.txtar
	Builtins []*script.Builtin
	Sim      sim.Options

	Run      *regexp.Regexp // which tests, by "lib/mail_test.star:test_lmtp"; nil for all
	Parallel int            // at the same time; 1 if less
	Seed     uint64         // of their order; 0 for that of the text
	Update   bool           // golden files are written instead of compared
	Coverage *script.Coverage

	// Tell, if given, hears of each test as it ends, one at a time.
	Tell func(Result)
}

// Result is how a test ended.
type Result struct {
	File     string        `json:"file"`
	Test     string        `json:"test"`
	Doc      string        `json:"doc,omitempty"`
	Failures []Failure     `json:"failures,omitempty"`
	Output   []string      `json:"output,omitempty"` // of print()
	Elapsed  time.Duration `json:"elapsed_ns"`
}

// Name is how a test is called, and chosen.
func (r Result) Name() string { return r.File + ":" + r.Test }

// Failure is something that was not as wanted.
type Failure struct {
	Pos     string `json:"pos,omitempty"`
	Message string `json:"message"`
	Source  string `json:"source,omitempty"`
	Hint    string `json:"hint,omitempty"`
}

// file is a file of tests.
type file struct {
	suite *suite
	name  string
	once  sync.Once
	prog  *script.Program
	err   error
}

// one is a test to be run.
type one struct {
	file *file
	name string
}

// suite is one run of tests.
type suite struct {
	Config
	root  *os.Root
	hosts hosts
}

// Run runs the tests of a directory. Results are in order of file and text. It is an error if there is no test.
func Run(ctx context.Context, c Config) ([]Result, error) {
	root, err := os.OpenRoot(c.Dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	s := &suite{Config: c, root: root}
	s.hosts.made = map[string]*made{}
	all, err := s.tests()
	if err != nil {
		return nil, err
	}
	results := make([]Result, len(all))
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	if c.Seed != 0 {
		rand.New(rand.NewPCG(c.Seed, 0)).Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	}
	s.each(ctx, order, func(i int) Result {
		results[i] = s.run(ctx, all[i])
		return results[i]
	})
	return results, ctx.Err()
}

// each does the work of a list, several at a time.
func (s *suite) each(ctx context.Context, list []int, do func(int) Result) {
	todo := make(chan int)
	var workers sync.WaitGroup
	var telling sync.Mutex
	for range max(1, s.Parallel) {
		workers.Go(func() {
			for i := range todo {
				r := do(i)
				telling.Lock()
				if s.Tell != nil {
					s.Tell(r)
				}
				telling.Unlock()
			}
		})
	}
	for _, i := range list {
		if ctx.Err() != nil {
			break
		}
		todo <- i
	}
	close(todo)
	workers.Wait()
}

// tests finds the tests of the directory by reading: a file is loaded when one of its tests is run.
func (s *suite) tests() ([]one, error) {
	var all []one
	files := 0
	err := fs.WalkDir(s.root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && strings.HasPrefix(e.Name(), ".") && name != ".":
			return fs.SkipDir
		case !e.Type().IsRegular() || path.Ext(name) != ".star":
			return nil
		}
		source, err := fs.ReadFile(s.root.FS(), name)
		if err != nil {
			return err
		}
		if !IsTest(name) {
			if s.Coverage != nil {
				return s.Coverage.Add("//"+name, string(source))
			}
			return nil
		}
		files++
		f := &file{suite: s, name: name}
		names, err := testsIn(name, source)
		if err != nil {
			names = []string{""} // loading it tells what is wrong
		}
		for _, test := range names {
			if s.Run == nil || s.Run.MatchString(name+":"+test) {
				all = append(all, one{f, test})
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if files == 0 {
		return nil, fmt.Errorf("%w in %s; `zcp2kopano fork DIR` brings some along", ErrNone, s.Dir)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no test in %s fits; tests are functions test_* in files *_test.star, named FILE:FUNCTION", s.Dir)
	}
	return all, nil
}

// ErrNone is that a directory has no tests.
var ErrNone = errors.New("no file *_test.star")

// IsTest reports whether a file is one of tests, by its name.
func IsTest(name string) bool { return strings.HasSuffix(name, "_test.star") }

// testsIn lists the functions of a file that are tests.
func testsIn(name string, source []byte) ([]string, error) {
	parsed, err := (&syntax.FileOptions{Set: true}).Parse(name, source, 0)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, stmt := range parsed.Stmts {
		if def, ok := stmt.(*syntax.DefStmt); ok && strings.HasPrefix(def.Name.Name, "test_") {
			names = append(names, def.Name.Name)
		}
	}
	return names, nil
}

// load loads a file of tests, and with it what that loads, once.
func (f *file) load(ctx context.Context) (*script.Program, error) {
	f.once.Do(func() {
		f.prog, f.err = f.suite.program(ctx, f.name)
	})
	return f.prog, f.err
}

func (s *suite) run(ctx context.Context, what one) Result {
	start := time.Now()
	t := &tester{suite: s, file: what.file, ctx: ctx}
	r := Result{File: what.file.name, Test: what.name}
	prog, err := what.file.load(ctx)
	if err == nil {
		fn, ok := prog.Globals[what.name].(*starlark.Function)
		if !ok {
			err = fmt.Errorf("%s is no function", what.name)
		} else {
			r.Doc = script.Dedent(fn.Doc())
			t.prog = prog.Afresh()
			_, err = t.prog.Call(ctx, t, fn, nil, nil, func(_, text string) { r.Output = append(r.Output, text) })
		}
	}
	if err != nil {
		info := script.ErrorInfoOf(err)
		t.failures = append(t.failures, Failure{Pos: info.Pos, Message: info.Message, Source: info.Source, Hint: info.Hint})
	}
	r.Failures = slices.Clone(t.failures)
	r.Elapsed = time.Since(start)
	return r
}
