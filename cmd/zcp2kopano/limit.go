package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// limit is a number of bytes a second as an admin writes it: 50M. 0 is none.
type limit int64

var limitUnits = map[string]limit{"K": 1e3, "M": 1e6, "G": 1e9}

func (l *limit) Type() string { return "rate" }

func (l *limit) String() string {
	if *l == 0 {
		return ""
	}
	return strconv.FormatInt(int64(*l), 10)
}

func (l *limit) Set(text string) error {
	if *l = 0; text == "none" {
		return nil
	}
	digits, unit := text, limit(1)
	for name, size := range limitUnits {
		if number, ok := strings.CutSuffix(strings.ToUpper(text), name); ok {
			digits, unit = number, size
		}
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil || n == 0 {
		return fmt.Errorf("it is no number of bytes a second; write 50M for 50 million, or none")
	}
	*l = limit(n) * unit
	return nil
}

func limitFlag(cmd *cobra.Command, l *limit) {
	cmd.Flags().Var(l, "limit", "as long as no service was stopped, copy and dump at most so many bytes a second: 50M; none lifts it")
	_ = cmd.RegisterFlagCompletionFunc("limit", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return []string{"20M", "50M", "100M", "none"}, cobra.ShellCompDirectiveNoFileComp
	})
}
