// Package near finds the name that a misspelt one most likely means.
package near

import (
	"fmt"
	"strings"
)

// Question is "did you mean NAME?" for the nearest candidate within a third of the name's length
// (at least one edit), and empty if none is near.
func Question(name string, candidates []string) string {
	if best := Name(name, candidates); best != "" {
		return fmt.Sprintf("did you mean %s?", best)
	}
	return ""
}

// Hint is Question behind what is wrong: "; did you mean NAME?".
func Hint(name string, candidates []string) string {
	if question := Question(name, candidates); question != "" {
		return "; " + question
	}
	return ""
}

// HintOrList is Hint, or else lists the candidates.
func HintOrList(name string, candidates []string) string {
	if hint := Hint(name, candidates); hint != "" {
		return hint
	}
	if len(candidates) == 0 {
		return "; there is none"
	}
	return "; there are " + strings.Join(candidates, ", ")
}

// Name is the candidate that a misspelt name most likely means, empty if none is near.
func Name(name string, candidates []string) string {
	best, limit := "", max(1, len(name)/3)+1
	for _, c := range candidates {
		if d := editDistance(name, c); d < limit && c != name {
			best, limit = c, d
		}
	}
	return best
}

// editDistance counts insertions, deletions, substitutions and swaps of neighbours.
func editDistance(a, b string) int {
	before, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, prev, row = prev, row, before
	}
	return prev[len(b)]
}
