package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"zcp2kopano/runbooks"
	"zcp2kopano/runtime/booktest"
	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/script"
	"zcp2kopano/testdata/hosts"
)

// testFlags are what `test` can be told.
type testFlags struct {
	run      string
	parallel int
	seed     uint64
	update   bool
	junit    string
	coverage bool
	html     string
	atLeast  float64
}

func testCommand(a *app) *cobra.Command {
	var f testFlags
	cmd := &cobra.Command{
		Use:   "test [DIR]",
		Short: "Test runbooks by functions written in their own language",
		Long: `Run the tests of a directory of runbooks: functions test_* in its files *_test.star; the current
directory by default. A test builds a simulated host, carries a runbook or a step of it out on it, and
says what it wants to be so. Nothing on this machine is changed, but the files of --update, --junit and
--coverage-html. What a test can call is in "zcp2kopano doc test". The exit code is 1 if one fails.

Coverage counts the lines on which a statement of a function begins.`,
		Example: `  zcp2kopano test site
  zcp2kopano test site --run lmtp -v
  zcp2kopano test site --coverage --coverage-html coverage.html --junit tests.xml`,
		Args: maxArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.test(cmd, first(args), f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.run, "run", "", "only the tests whose name, FILE:FUNCTION, this `REGEXP` fits")
	flags.IntVar(&f.parallel, "parallel", runtime.GOMAXPROCS(0), "how many at the same time")
	flags.Uint64Var(&f.seed, "seed", 0, "another order of the tests for each `NUMBER`; 0 for that of the text")
	flags.BoolVar(&f.update, "update", false, "write the files that test.golden compares with")
	flags.StringVar(&f.junit, "junit", "", "write the results to this `FILE` as well, in the form of JUnit")
	flags.BoolVar(&f.coverage, "coverage", false, "show which lines of the runbooks the tests have carried out")
	flags.StringVar(&f.html, "coverage-html", "", "write that to this `FILE`, with the texts")
	flags.Float64Var(&f.atLeast, "coverage-at-least", 0, "fail if it is less than this `PERCENTAGE`")
	_ = cmd.MarkFlagFilename("junit", "xml")
	_ = cmd.MarkFlagFilename("coverage-html", "html")
	return cmd
}

func (a *app) test(cmd *cobra.Command, dir string, f testFlags) error {
	if dir == "" {
		dir = "."
	}
	opts, err := simOptions("")
	if err != nil {
		return err
	}
	c := booktest.Config{
		Dir: dir, Stock: runbooks.FS, Hosts: hosts.FS, Builtins: allBuiltins(), Sim: opts,
		Parallel: f.parallel, Seed: f.seed, Update: f.update,
	}
	if f.run != "" {
		if c.Run, err = regexp.Compile(f.run); err != nil {
			return fmt.Errorf("--run: %w", err)
		}
	}
	if f.coverage || f.html != "" || f.atLeast > 0 {
		c.Coverage = script.NewCoverage()
	}
	failed := 0
	c.Tell = func(r booktest.Result) {
		if len(r.Failures) > 0 {
			failed++
		}
		a.tellTest(dir, r)
	}
	results, err := booktest.Run(cmd.Context(), c)
	if err != nil {
		return fmt.Errorf("test: %w", err)
	}
	err = errors.Join(
		writeReport(f.junit, func(w io.Writer) error { return booktest.JUnit(w, results) }),
		a.tellTests(len(results), failed, f.seed),
	)
	if c.Coverage != nil {
		err = errors.Join(err, a.tellCoverage(c.Coverage, f))
	}
	if err == nil && failed > 0 {
		return ended{exit.Failed}
	}
	return err
}

// tellTest tells one result: of a test that passed only if asked.
func (a *app) tellTest(dir string, r booktest.Result) {
	if a.json {
		_ = json.NewEncoder(a.out).Encode(r)
		return
	}
	if len(r.Failures) == 0 {
		if a.verbose {
			fmt.Fprintf(a.out, "ok    %s (%.2f s)\n", r.Name(), r.Elapsed.Seconds())
		}
		return
	}
	fmt.Fprintf(a.out, "FAIL  %s\n", r.Name())
	for _, f := range r.Failures {
		if name, is := strings.CutPrefix(f.Pos, "//"); is {
			f.Pos = filepath.Join(dir, name)
		}
		fmt.Fprintln(a.out, indented(f.Text()))
	}
	for _, line := range r.Output {
		fmt.Fprintln(a.out, indented("printed: "+line))
	}
}

func indented(text string) string { return "      " + strings.ReplaceAll(text, "\n", "\n      ") }

func (a *app) tellTests(all, failed int, seed uint64) error {
	if a.json {
		return json.NewEncoder(a.out).Encode(map[string]any{"tests": all, "failed": failed, "seed": seed})
	}
	word := map[bool]string{true: "ok: ", false: "FAIL: "}[failed == 0]
	said := fmt.Sprintf("%s%d of %d tests passed", word, all-failed, all)
	if seed != 0 {
		said += fmt.Sprintf(" (in the order of seed %d)", seed)
	}
	_, err := fmt.Fprintln(a.out, said)
	return err
}

// tellCoverage shows the coverage, writes its page, and says whether it is enough.
func (a *app) tellCoverage(c *script.Coverage, f testFlags) error {
	files, total := booktest.CoverageOf(c)
	var err error
	switch {
	case a.json:
		err = json.NewEncoder(a.out).Encode(map[string]any{"coverage": files, "percent": math.Round(10*total.Percent()) / 10})
	case f.coverage:
		err = booktest.CoverageText(a.out, files, total)
	default:
		_, err = fmt.Fprintf(a.out, "coverage: %.1f %% of %d lines\n", total.Percent(), total.Lines)
	}
	err = errors.Join(err, writeReport(f.html, func(w io.Writer) error { return booktest.CoverageHTML(w, files, total) }))
	if err == nil && total.Percent() < f.atLeast {
		return fmt.Errorf("test: the coverage is %.1f %%, and is to be at least %.1f %%; --coverage lists the lines that no test carries out", total.Percent(), f.atLeast)
	}
	return err
}

// writeReport writes a file, if one is named.
func writeReport(name string, write func(io.Writer) error) error {
	if name == "" {
		return nil
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}
