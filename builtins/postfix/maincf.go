package postfix

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"
)

func absent(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) }

// entry is a logical line of main.cf: the lines from first up to end, without comments that follow its last one.
type entry struct {
	name, value string // no name: a line that sets nothing
	first, end  int
}

// entries parses main.cf as readlline(3) of Postfix does: comments and empty lines are dropped before lines are
// joined, and a line that begins with a blank continues the one before.
func entries(text string) []entry {
	var all []entry
	for i, line := range lines(text) {
		content := strings.TrimRight(line, "\r\n")
		trimmed := strings.TrimSpace(content)
		switch {
		case trimmed == "" || strings.HasPrefix(trimmed, "#"):
		case content[0] == ' ' || content[0] == '\t':
			if len(all) > 0 {
				last := &all[len(all)-1]
				last.value, last.end = strings.TrimSpace(last.value+" "+trimmed), i+1
			}
		default:
			name, value, found := strings.Cut(content, "=")
			if !found {
				name = ""
			}
			all = append(all, entry{strings.TrimSpace(name), strings.TrimSpace(value), i, i + 1})
		}
	}
	return all
}

// lines splits a text, each with its line feed.
func lines(text string) []string {
	all := strings.SplitAfter(text, "\n")
	return all[:len(all)-1+min(1, len(all[len(all)-1]))]
}

// with sets a name in the last place that sets it, or at the end. What was set last is what counts.
func with(text, name, value string) string {
	line := strings.TrimRight(name+" = "+value, " ") + "\n"
	all := entries(text)
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].name != name {
			continue
		}
		if all[i].value == value {
			return text
		}
		return splice(text, all[i], line)
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text + line
}

// without takes every setting of a name out.
func without(text, name string) string {
	all := entries(text)
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].name == name {
			text = splice(text, all[i], "")
		}
	}
	return text
}

// splice puts a line in the place of an entry; comments among its lines stay.
func splice(text string, e entry, line string) string {
	all := lines(text)
	kept := []string{line}
	for _, l := range all[e.first:e.end] {
		if strings.HasPrefix(strings.TrimSpace(l), "#") {
			kept = append(kept, l)
		}
	}
	return strings.Join(all[:e.first], "") + strings.Join(kept, "") + strings.Join(all[e.end:], "")
}
