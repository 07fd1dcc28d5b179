package sim

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"zcp2kopano/runtime/host"
)

// readDatabase reads the section "database": lines that begin with a keyword, and recorded queries.
// A query begins with "? ", the next line names the columns, and each row follows on a line of its
// own, values parted by " | ", until an empty line.
func (f *Fixture) readDatabase(s section) error {
	d := f.Database
	d.known = true
	lines := strings.Split(s.text, "\n")
	for i := 0; i < len(lines); i++ {
		line := strings.TrimSpace(lines[i])
		if line == "" || line[0] == '#' {
			continue
		}
		if query, ok := strings.CutPrefix(line, "? "); ok {
			end := i + 1
			for end < len(lines) && strings.TrimSpace(lines[end]) != "" {
				end++
			}
			rows, err := parseRows(lines[i+1 : end])
			if err != nil {
				return fmt.Errorf("line %d: %w", s.line+i, err)
			}
			d.record(query, rows)
			i = end
			continue
		}
		if err := d.readLine(line); err != nil {
			return fmt.Errorf("line %d: %w", s.line+i, err)
		}
	}
	slices.SortStableFunc(d.tables, func(a, b dbTable) int { return strings.Compare(a.name, b.name) })
	return nil
}

func (d *database) readLine(line string) error {
	key, value, _ := strings.Cut(line, " ")
	value = strings.TrimSpace(value)
	switch key {
	case "down":
		d.down = value
		if value == "" {
			return fmt.Errorf("down: say what a client is told")
		}
		return nil
	case "login":
		words, err := splitWords(value)
		if err != nil || len(words) != 2 {
			return fmt.Errorf("%q is not \"login USER PASSWORD\"", line)
		}
		d.user, d.password = words[0], words[1]
		return nil
	case "var":
		name, value, _ := strings.Cut(value, " ")
		if name == "" {
			return fmt.Errorf("%q is not \"var NAME VALUE\"", line)
		}
		d.variables[strings.ToLower(name)] = strings.TrimSpace(value)
		return nil
	case "table":
		return d.readTable(value)
	}
	return fmt.Errorf("unknown word %q; known are var, table, login, down, and ? before a query", key)
}

// readTable reads "NAME [ENGINE ROWS DATA INDEX COLLATION]".
func (d *database) readTable(value string) error {
	words, err := splitWords(value)
	if err != nil || len(words) != 1 && len(words) != 6 {
		return fmt.Errorf("%q is not \"table NAME\" or \"table NAME ENGINE ROWS DATA INDEX COLLATION\"", value)
	}
	t := dbTable{name: words[0], engine: "InnoDB", collation: "utf8_general_ci"}
	if len(words) == 6 {
		t.engine, t.collation = words[1], words[5]
		for i, to := range []*int64{&t.rows, &t.data, &t.index} {
			if *to, err = parseSize(words[2+i]); err != nil {
				return err
			}
		}
	}
	d.tables = append(d.tables, t)
	return nil
}

func parseRows(lines []string) (host.Rows, error) {
	if len(lines) == 0 {
		return host.Rows{}, fmt.Errorf("a query without an answer: the next line names the columns")
	}
	rows := host.Rows{Columns: splitRow(lines[0])}
	for _, line := range lines[1:] {
		values := splitRow(line)
		if len(values) != len(rows.Columns) {
			return rows, fmt.Errorf("a row of %d values for %d columns: %q", len(values), len(rows.Columns), line)
		}
		rows.Rows = append(rows.Rows, values)
	}
	return rows, nil
}

// emptyValue stands for the empty string, and for NULL, where a line would be empty.
const emptyValue = "''"

// splitRow parts a row at " | "; a value in double quotes is read as a Go string.
func splitRow(line string) []string {
	var values []string
	rest := strings.TrimSpace(line)
	for {
		value, after, more := strings.Cut(rest, " | ")
		if quoted, err := strconv.QuotedPrefix(rest); err == nil && rest[0] == '"' {
			value, _ = strconv.Unquote(quoted)
			after, more = strings.CutPrefix(strings.TrimSpace(rest[len(quoted):]), "|")
			after = strings.TrimSpace(after)
		} else if value = strings.TrimSpace(value); value == emptyValue {
			value = ""
		}
		values = append(values, value)
		if !more {
			return values
		}
		rest = strings.TrimSpace(after)
	}
}

func joinRow(values []string) string {
	words := make([]string, len(values))
	for i, v := range values {
		switch {
		case v == "":
			v = emptyValue
		case v == emptyValue, strings.HasPrefix(v, `"`), strings.Contains(v, "|"), strings.TrimSpace(v) != v, strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0xfffd }):
			v = strings.ReplaceAll(strconv.Quote(v), "|", `\x7c`)
		}
		words[i] = v
	}
	return strings.Join(words, " | ")
}

// write is the inverse of readDatabase.
func (d *database) write(out *strings.Builder) {
	if d.down != "" {
		fmt.Fprintf(out, "down %s\n", d.down)
	}
	if d.user != "" {
		fmt.Fprintf(out, "login %s %s\n", quoteWord(d.user), quoteWord(d.password))
	}
	for _, name := range slices.Sorted(maps.Keys(d.variables)) {
		fmt.Fprintf(out, "var %s %s\n", name, d.variables[name])
	}
	for _, t := range d.tables {
		fmt.Fprintf(out, "table %s %s %d %s %s %s\n", quoteWord(t.name), t.engine, t.rows, formatSize(t.data), formatSize(t.index), t.collation)
	}
	for _, query := range d.order {
		rows := d.answers[normalQuery(query)]
		fmt.Fprintf(out, "\n? %s\n%s\n", strings.ReplaceAll(strings.TrimSpace(query), "\n", " "), joinRow(rows.Columns))
		for _, r := range rows.Rows {
			fmt.Fprintln(out, joinRow(r))
		}
	}
}
