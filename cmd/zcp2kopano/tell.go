package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"zcp2kopano/runtime/story"
)

// console is what a stream can show.
func (a *app) console(f *os.File) story.ConsoleOptions {
	terminal := term.IsTerminal(int(f.Fd()))
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		width = 0
	}
	return story.ConsoleOptions{
		Color:    terminal && !a.noColor && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb",
		Progress: terminal && os.Getenv("TERM") != "dumb",
		Verbose:  a.verbose,
		Width:    width,
	}
}

// teller tells a run on standard output and, if asked, in an HTML file.
type teller struct {
	file string
	html *reportFile
}

func (t *teller) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&t.file, "report", "", "write the story of the run to this HTML `FILE` as well")
	_ = cmd.MarkFlagFilename("report", "html")
}

// open begins the report's file, before anything else is done, and returns who listens to the run. An earlier one
// stays until this one is told to its end, or as far as it comes.
func (t *teller) open(a *app) (func(story.Event), error) {
	out := story.Console(a.out, a.console(a.out.file))
	if a.json {
		out = story.JSONLines(a.out)
	}
	if t.file == "" {
		return out, nil
	}
	f, err := createOut(t.file, latestOnly)
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	t.html = &reportFile{f: f}
	return story.Tee(story.HTML(t.html), out), nil
}

// close reports whether the report reached its file.
func (t *teller) close() error {
	if t.html == nil {
		return nil
	}
	if err := t.html.close(); err != nil {
		return fmt.Errorf("report %s: %w", t.file, err)
	}
	return nil
}

// drop gives the report up where nothing came to be told.
func (t *teller) drop() {
	if t.html != nil {
		t.html.f.Close()
	}
}

// reportFile remembers the first error: reports themselves never fail.
type reportFile struct {
	f   *outFile
	err error
}

var _ io.Writer = (*reportFile)(nil)

func (r *reportFile) Write(p []byte) (int, error) {
	n, err := r.f.Write(p)
	if r.err == nil {
		r.err = err
	}
	return n, err
}

func (r *reportFile) close() error {
	if r.err != nil {
		r.f.Close()
		return r.err
	}
	return r.f.Complete()
}
