package booktest

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"zcp2kopano/runtime/script"
)

// FileCoverage is what the tests have carried out of a file.
type FileCoverage struct {
	File   string `json:"file"`
	Lines  int    `json:"lines"` // on which a statement of a function begins
	Done   int    `json:"done"`  // of them, those that were carried out
	Missed string `json:"missed,omitempty"`

	source string
	times  map[int]int
}

// Percent is the share of the lines that were carried out.
func (f FileCoverage) Percent() float64 {
	if f.Lines == 0 {
		return 100
	}
	return 100 * float64(f.Done) / float64(f.Lines)
}

// CoverageOf sums the coverage up by file, the tests themselves left out, and in total.
func CoverageOf(c *script.Coverage) (files []FileCoverage, total FileCoverage) {
	for _, lines := range joined(c.Files()) {
		if IsTest(lines.Label) {
			continue
		}
		f := FileCoverage{File: strings.TrimPrefix(lines.Label, "//"), source: lines.Source, times: lines.Times}
		var missed []int
		for n := range strings.Count(lines.Source, "\n") + 1 {
			times, counts := lines.Times[n+1]
			switch {
			case !counts:
				continue
			case times > 0:
				f.Done++
			default:
				missed = append(missed, n+1)
			}
			f.Lines++
		}
		f.Missed = ranges(missed)
		files = append(files, f)
		total.Lines += f.Lines
		total.Done += f.Done
	}
	return files, total
}

// joined counts a module of the stock and a site's copy of it with the same text as one file.
func joined(all []script.LinesOf) []script.LinesOf {
	copies := map[string]script.LinesOf{}
	for _, lines := range all {
		copies[lines.Label] = lines
	}
	return slices.DeleteFunc(all, func(lines script.LinesOf) bool {
		name, ofStock := strings.CutPrefix(lines.Label, "@stock")
		own, is := copies[name]
		if !ofStock || !is || own.Source != lines.Source {
			return false
		}
		for line, times := range lines.Times {
			own.Times[line] += times
		}
		return true
	})
}

// ranges writes numbers down as "3, 7-9".
func ranges(numbers []int) string {
	var parts []string
	for i := 0; i < len(numbers); {
		j := i
		for j+1 < len(numbers) && numbers[j+1] == numbers[j]+1 {
			j++
		}
		if i == j {
			parts = append(parts, fmt.Sprint(numbers[i]))
		} else {
			parts = append(parts, fmt.Sprintf("%d-%d", numbers[i], numbers[j]))
		}
		i = j + 1
	}
	return strings.Join(parts, ", ")
}

// CoverageText writes the coverage as a table.
func CoverageText(w io.Writer, files []FileCoverage, total FileCoverage) error {
	width := len("total")
	for _, f := range files {
		width = max(width, len(f.File))
	}
	for _, f := range files {
		if f.Lines == 0 {
			continue
		}
		missed := ""
		if f.Missed != "" {
			missed = "  not: " + f.Missed
		}
		if _, err := fmt.Fprintf(w, "%-*s %5.1f %% of %4d lines%s\n", width, f.File, f.Percent(), f.Lines, missed); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "%-*s %5.1f %% of %4d lines\n", width, "total", total.Percent(), total.Lines)
	return err
}

//go:embed coverage.html
var coveragePage string

var coverageTemplate = template.Must(template.New("coverage").Parse(coveragePage))

type coverageLine struct {
	Number int
	Text   string
	Class  string // "done", "missed", or none for a line that does not count
	Times  string
}

type coverageFile struct {
	FileCoverage
	Source []coverageLine
}

// CoverageHTML writes the coverage as a page, with the texts of the files.
func CoverageHTML(w io.Writer, files []FileCoverage, total FileCoverage) error {
	var shown []coverageFile
	for _, f := range files {
		page := coverageFile{FileCoverage: f}
		for i, text := range strings.Split(strings.TrimSuffix(f.source, "\n"), "\n") {
			line := coverageLine{Number: i + 1, Text: text}
			if times, counts := f.times[i+1]; counts && times > 0 {
				line.Class, line.Times = "done", fmt.Sprintf("%d×", times)
			} else if counts {
				line.Class = "missed"
			}
			page.Source = append(page.Source, line)
		}
		shown = append(shown, page)
	}
	return coverageTemplate.Execute(w, map[string]any{"Files": shown, "Total": total})
}
