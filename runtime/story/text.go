package story

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/exit"
)

// clean makes text from a host or a runbook safe for a terminal: control characters, which could
// move the cursor or change the screen, are shown as escapes.
func clean(s string) string {
	if !strings.ContainsFunc(s, unsafeRune) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unsafeRune(r) {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// unsafeRune is true for control characters, and for the marks that reorder text.
func unsafeRune(r rune) bool {
	return unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.Is(unicode.Bidi_Control, r) || r == utf8.RuneError
}

// Wrap breaks text into lines for a terminal.
func Wrap(text string, width int) []string { return wrap(text, width) }

// wrap breaks text into lines of at most width runes, and of one word where a word is longer: a path
// that the terminal breaks can still be copied. What stands between backquotes is one word: a command of
// which a part is copied does something else. Line feeds of the text stay.
func wrap(text string, width int) []string {
	var lines []string
	for _, paragraph := range strings.Split(strings.TrimRight(clean(text), "\n"), "\n") {
		lines = append(lines, wrapLine(paragraph, width)...)
	}
	return lines
}

func wrapLine(text string, width int) []string {
	var lines []string
	line, used := "", 0
	for _, word := range words(text) {
		n := utf8.RuneCountInString(word)
		if used > 0 && used+1+n > width {
			lines = append(lines, line)
			line, used = "", 0
		}
		if used > 0 {
			line += " "
			used++
		}
		line += word
		used += n
	}
	return append(lines, line)
}

// words splits text at blanks that do not stand between backquotes.
func words(text string) []string {
	var all []string
	open := false
	for _, field := range strings.Fields(text) {
		if open {
			all[len(all)-1] += " " + field
		} else {
			all = append(all, field)
		}
		if strings.Count(field, "`")%2 == 1 {
			open = !open
		}
	}
	if open { // nothing closes it: then it opens nothing
		return strings.Fields(text)
	}
	return all
}

// chop is wrap for a frame: what is too long for a line is cut, behind a slash where there is one.
func chop(text string, width int) []string {
	var lines []string
	for _, l := range wrap(text, width) {
		runes := []rune(l)
		for len(runes) > width {
			at := width
			for i := width; i > width/2; i-- {
				if runes[i-1] == '/' || runes[i-1] == ' ' {
					at = i
					break
				}
			}
			lines = append(lines, strings.TrimRight(string(runes[:at]), " "))
			runes = runes[at:]
		}
		lines = append(lines, string(runes))
	}
	return lines
}

// number writes 20000 as "20,000".
func number(n int64) string {
	if n < 0 {
		return "-" + number(-n)
	}
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// bytes writes a size with SI units: "6.1 GB".
func bytes(n int64) string {
	const units = "kMGTPE"
	if n < 1000 && n > -1000 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n)/1000, 0
	for (value >= 999.95 || value <= -999.95) && unit < len(units)-1 {
		value /= 1000
		unit++
	}
	return fmt.Sprintf("%.1f %cB", value, units[unit])
}

// amount says how large a tree is; empty if nothing is known.
func amount(files, size int64) string {
	var parts []string
	if files > 0 {
		parts = append(parts, count(int(files), "file"))
	}
	if size > 0 {
		parts = append(parts, bytes(size))
	}
	return strings.Join(parts, ", ")
}

// count writes "1 file", "2 files".
func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return number(int64(n)) + " " + noun
}

// duration rounds to what a person reads.
func duration(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// ProgressText says how far an action is: "dump zarafa: 1.2 GB of 4.0 GB (30 %), 55.0 MB/s, 51 seconds left, for 22s".
func ProgressText(e Event) string {
	p := e.Progress
	amounts := amountsOf(p)
	if part := partDone(p); part >= 0 && len(amounts) > 0 {
		amounts[len(amounts)-1] += fmt.Sprintf(" (%d %%)", int(100*part))
	}
	text := clean(p.What)
	if facts := nonEmpty(append(amounts, rateOf(p), leftOf(p), clean(p.Text))...); len(facts) > 0 {
		text += ": " + strings.Join(facts, ", ")
	}
	if since := sinceOf(e); since != "" {
		text += ", for " + since
	}
	return text
}

// amountsOf is how much is done: "12,000 of 50,000 files", "1.2 GB of 4.0 GB".
func amountsOf(p *action.Progress) []string {
	unit := " " + p.Unit
	if p.Unit == "bytes" {
		return nonEmpty(doneOf(bytes, p.Done, p.Total, p.AtMost))
	}
	amounts := nonEmpty(doneOf(number, p.Done, p.Total, p.AtMost))
	for i := range amounts {
		amounts[i] += unit
	}
	return append(amounts, nonEmpty(doneOf(bytes, p.Bytes, p.TotalBytes, p.AtMost))...)
}

func doneOf(show func(int64) string, done, total int64, atMost bool) string {
	of := " of "
	if atMost {
		of = " of at most "
	}
	switch {
	case total > 0:
		return show(done) + of + show(total)
	case done > 0:
		return show(done)
	}
	return ""
}

// partDone is between 0 and 1, by the bytes if they are counted; less than 0 if that is not known.
func partDone(p *action.Progress) float64 {
	switch {
	case p.TotalBytes > 0:
		return float64(min(p.Bytes, p.TotalBytes)) / float64(p.TotalBytes)
	case p.Total > 0:
		return float64(min(p.Done, p.Total)) / float64(p.Total)
	}
	return -1
}

// rateOf is how fast it advances: in bytes, where they are counted.
func rateOf(p *action.Progress) string {
	switch {
	case p.BytesRate > 0:
		return bytes(p.BytesRate) + "/s"
	case p.Rate > 0 && p.Unit == "bytes":
		return bytes(p.Rate) + "/s"
	case p.Rate > 0:
		return number(p.Rate) + " " + p.Unit + "/s"
	}
	return ""
}

func leftOf(p *action.Progress) string {
	if p.Left <= 0 {
		return ""
	}
	text := action.Span{Least: p.Left, Most: p.Left}.String() + " left"
	if p.AtMost {
		return "at most " + text
	}
	return text
}

// sinceOf is for how long it goes on, from the first second on.
func sinceOf(e Event) string {
	if e.Elapsed < time.Second {
		return ""
	}
	return e.Elapsed.Truncate(time.Second).String()
}

func nonEmpty(texts ...string) []string {
	return slices.DeleteFunc(slices.Clone(texts), func(s string) bool { return s == "" })
}

// verdictWord names how a run ended.
func verdictWord(v Verdict) string {
	if v.Until != "" {
		return "STOPPED AS ASKED"
	}
	switch v.Code {
	case exit.Done:
		return "OK"
	case exit.Inhibited:
		return "INHIBITED"
	case exit.Differs:
		return "DIFFERS FROM PLAN"
	case exit.RollbackIncomplete:
		return "ROLLBACK INCOMPLETE"
	case exit.Locked:
		return "LOCKED"
	case exit.Interrupted:
		return "INTERRUPTED"
	}
	return "FAILED"
}

// bookName is a runbook's name as the admin knows it: "debian" for "@stock//debian.star".
func bookName(label string) string {
	if _, name, ok := strings.Cut(label, "//"); ok {
		label = name
	}
	return strings.TrimSuffix(label, ".star")
}

// simulationBanner heads the report of a simulated run.
const simulationBanner = "SIMULATION: nothing on this machine is changed"
