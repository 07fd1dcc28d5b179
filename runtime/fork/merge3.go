package fork

import (
	"fmt"
	"strings"
)

// Names are what the sides of a conflict are called.
type Names struct{ Site, Base, Stock string }

// The marks of a conflict, as version control systems write them.
const (
	markSite  = "<<<<<<< "
	markBase  = "||||||| "
	markMid   = "======="
	markStock = ">>>>>>> "
)

// Marked is the first line of a text that is a mark of a conflict, counted from 1; 0 if there is none.
func Marked(text string) int {
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimRight(line, "\r\n")
		for _, mark := range []string{markSite, markBase, markStock} {
			if strings.HasPrefix(line, mark) {
				return n
			}
		}
	}
	return 0
}

// ConflictsIn are the marked places of a file, each with its name and line.
func ConflictsIn(name, text string) string {
	var b strings.Builder
	n, inside := 0, false
	for line := range strings.Lines(text) {
		n++
		if strings.HasPrefix(line, markSite) {
			inside = true
			fmt.Fprintf(&b, "%s:%d:\n", name, n)
		}
		if inside {
			b.WriteString(line)
		}
		if strings.HasPrefix(line, markStock) {
			inside = false
		}
	}
	return b.String()
}

// merge3 brings the change from base to stock into site, which has come from base as well, and tells how many places
// both have changed in different ways. There all three stand in the result, marked. A line that the site has added or
// changed is never left out.
func merge3(base, site, stock string, names Names) (merged string, conflicts int) {
	o, a, b := lines(base), lines(site), lines(stock)
	toA, toB := matches(o, a), matches(o, b)
	m := merger{names: names}
	i, j, k := 0, 0, 0
	for {
		// the next line of the base that both have kept
		next := i
		for next < len(o) && (toA[next] < 0 || toB[next] < 0) {
			next++
		}
		if next == len(o) {
			m.changed(o[i:], a[j:], b[k:])
			return m.text.String(), m.conflicts
		}
		m.changed(o[i:next], a[j:toA[next]], b[k:toB[next]])
		m.write(o[next : next+1])
		i, j, k = next+1, toA[next]+1, toB[next]+1
	}
}

type merger struct {
	names     Names
	text      strings.Builder
	conflicts int
}

func (m *merger) write(list []string) {
	for _, line := range list {
		m.text.WriteString(line)
	}
}

// changed merges what stands between two lines that all three have.
func (m *merger) changed(o, a, b []string) {
	switch {
	case same(a, o):
		m.write(b)
		return
	case same(b, o), same(a, b):
		m.write(a)
		return
	}
	// what both have at the begin and at the end is no part of the conflict
	from := 0
	for from < len(a) && from < len(b) && a[from] == b[from] {
		from++
	}
	m.write(a[:from])
	a, b = a[from:], b[from:]
	to := 0
	for to < len(a) && to < len(b) && a[len(a)-1-to] == b[len(b)-1-to] {
		to++
	}
	tail := a[len(a)-to:]
	m.conflicts++
	m.mark(markSite + m.names.Site)
	m.closed(a[:len(a)-to])
	m.mark(markBase + m.names.Base)
	m.closed(o)
	m.mark(markMid)
	m.closed(b[:len(b)-to])
	m.mark(markStock + m.names.Stock)
	m.write(tail)
}

func (m *merger) mark(text string) { m.text.WriteString(text + "\n") }

// closed writes lines, and ends the last one: a mark follows.
func (m *merger) closed(list []string) {
	m.write(list)
	if n := len(list); n > 0 && !strings.HasSuffix(list[n-1], "\n") {
		m.text.WriteString("\n")
	}
}

func same(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// lines are a text's lines, each with its end.
func lines(text string) []string {
	var list []string
	for line := range strings.Lines(text) {
		list = append(list, line)
	}
	return list
}

// matches pairs lines of two texts by their longest common subsequence: for each of the first, the number of its
// counterpart, or -1.
func matches(a, b []string) []int {
	to := make([]int, len(a))
	for i := range to {
		to[i] = -1
	}
	from := 0
	for from < len(a) && from < len(b) && a[from] == b[from] {
		to[from] = from
		from++
	}
	end := 0
	for end < len(a)-from && end < len(b)-from && a[len(a)-1-end] == b[len(b)-1-end] {
		to[len(a)-1-end] = len(b) - 1 - end
		end++
	}
	x, y := a[from:len(a)-end], b[from:len(b)-end]
	// length[i][j] is that of the longest common subsequence of x[i:] and y[j:]
	length := make([][]int32, len(x)+1)
	for i := range length {
		length[i] = make([]int32, len(y)+1)
	}
	for i := len(x) - 1; i >= 0; i-- {
		for j := len(y) - 1; j >= 0; j-- {
			if x[i] == y[j] {
				length[i][j] = length[i+1][j+1] + 1
			} else {
				length[i][j] = max(length[i+1][j], length[i][j+1])
			}
		}
	}
	for i, j := 0, 0; i < len(x) && j < len(y); {
		switch {
		case x[i] == y[j]:
			to[from+i] = from + j
			i, j = i+1, j+1
		case length[i+1][j] >= length[i][j+1]:
			i++
		default:
			j++
		}
	}
	return to
}
