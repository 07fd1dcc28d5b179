package action

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/diff"

	"zcp2kopano/runtime/host/secrets"
)

// unified is a unified diff in which secrets are masked. They are looked for in the whole texts: what
// a line is can depend on lines that a diff leaves out.
func unified(name, from string, old, content []byte) string {
	text := diff.Diff(from, old, name, content)
	_, text, _ = bytes.Cut(text, []byte("\n")) // the line "diff a b" says nothing that the next two do not
	return maskDiff(string(text), secrets.MaskFile(name, string(old)), secrets.MaskFile(name, string(content)))
}

// maskDiff puts the masked lines in the place of those that a diff shows.
func maskDiff(diff, old, content string) string {
	before, after := strings.Split(old, "\n"), strings.Split(content, "\n")
	var b strings.Builder
	i, j := -1, -1 // before the first hunk
	for line := range strings.Lines(diff) {
		at := hunk.FindStringSubmatch(line)
		switch {
		case at != nil:
			i, j = lineIndex(at[1]), lineIndex(at[2])
		case i < 0 || line[0] == '\\': // the header, and "No newline at end of file"
		case line[0] == '-':
			line = "-" + before[i] + "\n"
			i++
		case line[0] == '+':
			line = "+" + after[j] + "\n"
			j++
		default:
			line = " " + after[j] + "\n"
			i, j = i+1, j+1
		}
		b.WriteString(line)
	}
	return b.String()
}

// hunk is the line above a part of a diff: numbers of its first lines, 0 where there is none.
var hunk = regexp.MustCompile(`^@@ -(\d+),\d+ \+(\d+),\d+ @@`)

func lineIndex(number string) int {
	n, _ := strconv.Atoi(number)
	return max(n-1, 0)
}

func isText(content []byte) bool {
	return utf8.Valid(content) && !bytes.ContainsRune(content, 0)
}
