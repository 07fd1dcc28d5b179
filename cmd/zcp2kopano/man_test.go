package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestManPage has every command in the manual page, and in it no request but those that are meant: a line of a help
// text that begins with a dot would vanish.
func TestManPage(t *testing.T) {
	root := newRoot(&app{})
	shown := slices.IndexFunc(root.Commands(), (*cobra.Command).IsAvailableCommand)
	root.Commands()[shown].Long += "\n.hidden line\n'another"
	var b strings.Builder
	if err := writeMan(&b, root); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, c := range root.Commands() {
		if is := strings.Contains(page, ".SS zcp2kopano "+c.Name()); is != c.IsAvailableCommand() {
			t.Errorf("%s is in the page: %v", c.Name(), is)
		}
	}
	requests := []string{".TH", ".SH", ".SS", ".TP", ".PP", ".nf", ".fi"}
	for line := range strings.Lines(page) {
		word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if line[0] == '.' && !slices.Contains(requests, word) || line[0] == '\'' {
			t.Errorf("a request that nobody meant: %q", line)
		}
	}
	if !strings.Contains(page, `\&.hidden line`) || !strings.Contains(page, `\fB\-\-param\fR NAME=VALUE`) {
		t.Errorf("page:\n%s", page)
	}
}
