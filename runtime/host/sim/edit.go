package sim

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Edits are what a test changes in a fixture: the same host, but for this.
type Edits struct {
	Replace   map[string]string // text, which must be there, to text
	Files     map[string]string // path to content
	Links     map[string]string // path to target
	Remove    []string          // paths
	Services  map[string]string // name to its words: "active enabled"; empty for a service that is not there
	Packages  map[string]string // name to what else its paragraph says; empty for a package that is not installed
	Available map[string]string // the same of packages that can be installed
	Answers   map[string]string // query to a line of columns, and rows
	Sections  map[string]string // title to text, in place of what the section says
}

// EditFixture is the text of a fixture with edits.
func EditFixture(text string, e Edits) (string, error) {
	for _, old := range slices.Sorted(maps.Keys(e.Replace)) {
		if !strings.Contains(text, old) {
			return "", fmt.Errorf("the fixture does not hold %q, which is to be replaced", old)
		}
		text = strings.ReplaceAll(text, old, e.Replace[old])
	}
	f := &editor{}
	f.comment, f.list = sections([]byte(text))
	for _, title := range slices.Sorted(maps.Keys(e.Sections)) {
		f.section(title).text = lineEnded(e.Sections[title])
	}
	for _, path := range e.Remove {
		if !f.remove(path) {
			return "", fmt.Errorf("the fixture has no %s, which is to be removed", path)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(e.Files)) {
		f.file(path, e.Files[path])
	}
	for _, path := range slices.Sorted(maps.Keys(e.Links)) {
		f.remove(path)
		tree := f.section("tree")
		tree.text += fmt.Sprintf("l root:root - - %s -> %s\n", quoteWord(path), quoteWord(e.Links[path]))
	}
	f.lines("services", e.Services)
	f.paragraphs("packages", e.Packages)
	f.paragraphs("available", e.Available)
	f.answers(e.Answers)
	return f.text(), nil
}

func lineEnded(text string) string {
	if text == "" || strings.HasSuffix(text, "\n") {
		return text
	}
	return text + "\n"
}

type editor struct {
	comment string
	list    []section
}

func (f *editor) text() string {
	var b strings.Builder
	b.WriteString(f.comment)
	for _, s := range f.list {
		fmt.Fprintf(&b, "-- %s --\n%s", s.title, s.text)
	}
	return b.String()
}

// section is the one of a title, which is there afterwards.
func (f *editor) section(title string) *section {
	for i := range f.list {
		if f.list[i].title == title {
			return &f.list[i]
		}
	}
	f.list = append(f.list, section{title: title})
	return &f.list[len(f.list)-1]
}

// remove takes a file out, and reports whether it was there.
func (f *editor) remove(path string) bool {
	left := slices.DeleteFunc(slices.Clone(f.list), func(s section) bool { return titlePath(s.title) == path })
	found := len(left) < len(f.list)
	f.list = left
	for i := range f.list {
		if f.list[i].title != "tree" {
			continue
		}
		var kept strings.Builder
		for line := range strings.Lines(f.list[i].text) {
			if treePath(line) == path {
				found = true
				continue
			}
			kept.WriteString(line)
		}
		f.list[i].text = kept.String()
	}
	return found
}

func titlePath(title string) string {
	words, err := splitWords(title)
	if err != nil || !strings.HasPrefix(words[0], "/") {
		return ""
	}
	return words[0]
}

// treePath is the path of a line of a tree, if that is absolute.
func treePath(line string) string {
	words, err := splitWords(line)
	if err != nil || len(words) < 5 || words[0] == "spread" || words[0] == "hardlink" || words[0] == "xattr" {
		return ""
	}
	return words[4]
}

// file writes a file; of one that was there, owner and mode stay.
func (f *editor) file(path, content string) {
	title := quoteWord(path)
	for _, s := range f.list {
		if titlePath(s.title) != path {
			continue
		}
		words, _ := splitWords(s.title)
		for _, w := range words[1:] {
			if w != "noeol" && w != "base64" && !strings.HasPrefix(w, "size=") && !strings.HasPrefix(w, "fill=") {
				title += " " + w
			}
		}
	}
	f.remove(path)
	if content != "" && !strings.HasSuffix(content, "\n") {
		title += " noeol"
	}
	f.list = append(f.list, section{title: title, text: lineEnded(content)})
}

// lines puts lines that begin with a name into a section.
func (f *editor) lines(title string, by map[string]string) {
	if len(by) == 0 {
		return
	}
	s := f.section(title)
	var kept strings.Builder
	for line := range strings.Lines(s.text) {
		words, err := splitWords(line)
		if err == nil {
			if _, edited := by[words[0]]; edited {
				continue
			}
		}
		kept.WriteString(line)
	}
	for _, name := range slices.Sorted(maps.Keys(by)) {
		if by[name] != "" {
			fmt.Fprintf(&kept, "%s %s\n", name, by[name])
		}
	}
	s.text = kept.String()
}

// paragraphs puts packages into a section.
func (f *editor) paragraphs(title string, by map[string]string) {
	if len(by) == 0 {
		return
	}
	s := f.section(title)
	var kept []string
	for paragraph := range strings.SplitSeq(s.text, "\n\n") {
		name := ""
		for line := range strings.Lines(paragraph) {
			if v, is := strings.CutPrefix(line, "Package:"); is {
				name = strings.TrimSpace(v)
			}
		}
		if _, edited := by[name]; !edited && strings.TrimSpace(paragraph) != "" {
			kept = append(kept, strings.Trim(paragraph, "\n")+"\n")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(by)) {
		if by[name] != "" {
			kept = append(kept, fmt.Sprintf("Package: %s\n%s", name, lineEnded(strings.TrimLeft(by[name], "\n"))))
		}
	}
	s.text = strings.Join(kept, "\n")
}

// answers puts recorded queries into the section of the database.
func (f *editor) answers(by map[string]string) {
	if len(by) == 0 {
		return
	}
	s := f.section("database")
	edited := map[string]bool{}
	for query := range by {
		edited[normalQuery(query)] = true
	}
	var kept strings.Builder
	passing := false
	for line := range strings.Lines(s.text) {
		if query, is := strings.CutPrefix(strings.TrimSpace(line), "? "); is {
			passing = edited[normalQuery(query)]
		}
		if !passing {
			kept.WriteString(line)
		}
		if strings.TrimSpace(line) == "" {
			passing = false
		}
	}
	for _, query := range slices.Sorted(maps.Keys(by)) {
		fmt.Fprintf(&kept, "\n? %s\n%s\n", query, lineEnded(strings.Trim(by[query], "\n")))
	}
	s.text = kept.String()
}
