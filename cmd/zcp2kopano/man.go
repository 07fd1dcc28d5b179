package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// manCommand writes the manual page; make packages calls it.
func manCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:    "man",
		Short:  "Write the manual page",
		Hidden: true,
		Args:   noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return writeMan(a.out, cmd.Root())
		},
	}
}

// writeMan writes what the commands say of themselves, as man(7) has it.
func writeMan(w io.Writer, root *cobra.Command) error {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH ZCP2KOPANO 8 \"\" \"zcp2kopano %s\"\n", roff(version))
	fmt.Fprintf(&b, ".SH NAME\nzcp2kopano \\- %s\n", roff(root.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.nf\n")
	commands := root.Commands()
	for _, c := range commands {
		if c.IsAvailableCommand() {
			fmt.Fprintln(&b, roff(c.UseLine()))
		}
	}
	fmt.Fprintf(&b, ".fi\n.SH DESCRIPTION\n.nf\n%s\n.fi\n", roff(root.Long))
	manFlags(&b, root.PersistentFlags())
	fmt.Fprintf(&b, ".SH COMMANDS\n")
	for _, c := range commands {
		if !c.IsAvailableCommand() {
			continue
		}
		text := c.Long
		if text == "" {
			text = c.Short
		}
		fmt.Fprintf(&b, ".SS %s\n.nf\n%s\n.fi\n", roff(c.UseLine()), roff(text))
		manFlags(&b, c.LocalNonPersistentFlags())
		if c.Example != "" {
			fmt.Fprintf(&b, ".PP\nExamples:\n.PP\n.nf\n%s\n.fi\n", roff(c.Example))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func manFlags(b *strings.Builder, flags *pflag.FlagSet) {
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		name := strings.TrimSpace("\\fB\\-\\-" + roff(f.Name) + "\\fR " + roff(value))
		fmt.Fprintf(b, ".TP\n%s\n%s\n", name, roff(usage))
	})
}

// roff has a text stand for itself: a line that begins with a dot or a quote would be a request.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
