//go:build ignore

// Command gen writes facts.tsv from two larger tables of directives.
//
//	go run gen.go DIR
//
// DIR holds directives.tsv and directives_shipped.tsv, which were extracted from the sources of ZCP
// 7.1.11, 7.2.0 and 7.2.6 and of every Kopano Core release from 8.0.0 to 11.0.2. The output keeps
// the columns that a conversion needs; a cell that repeats the one before it in its group is "^".
package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const header = `# Directives of ZCP 7.1/7.2 and Kopano Core 8.0..11.0, one a line, tab separated. "^" repeats the cell to its left.
# Sources: ZCP 7.1.11, 7.2.0 and 7.2.6; Kopano Core, all final releases 8.0.0..11.0.2: their option tables
# (code) and configuration files (shipped: "=v" active, "#=v" commented, "-" absent). Written by gen.go.
`

var columns = []string{
	"file", "daemon", "directive",
	"zcp7.1.11_shipped", "zcp7.2.0_shipped", "zcp7.2.6_shipped",
	"zcp7.1.11_code", "zcp7.2.0_code", "zcp7.2.6_code",
	"kopano8.0.0_code", "kopano8.3.0_code", "kopano8.5.0_code", "kopano8.7.0_code",
	"kopano9.1.0_code", "kopano10.1.1_code", "kopano11.0.2_code",
	"kopano8.0.0", "kopano8.3.0", "kopano8.5.0", "kopano8.7.0", "kopano9.1.0", "kopano10.1.1", "kopano11.0.2",
	"known_in_kopano_releases", "change", "replacement", "replacement_semantics",
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return fmt.Errorf("usage: go run gen.go DIR")
	}
	rows, err := read(filepath.Join(os.Args[1], "directives.tsv"))
	if err != nil {
		return err
	}
	shippedRows, err := read(filepath.Join(os.Args[1], "directives_shipped.tsv"))
	if err != nil {
		return err
	}
	shipped := map[string]map[string]string{}
	for _, row := range shippedRows {
		shipped[row["file"]+"\t"+row["directive"]] = row
	}
	var out strings.Builder
	out.WriteString(header)
	out.WriteString(strings.Join(columns, "\t") + "\n")
	for _, row := range rows {
		extra := shipped[row["file"]+"\t"+row["directive"]]
		cells := make([]string, len(columns))
		for i, c := range columns {
			v, ok := row[c]
			if !ok {
				v = extra[c]
			}
			if v == "" && i < 23 || v == "n/a" || v == "nofile" {
				v = "-"
			}
			cells[i] = v
		}
		for _, group := range [][2]int{{3, 6}, {6, 9}, {9, 16}, {16, 23}} {
			for i := group[1] - 1; i > group[0]; i-- {
				if cells[i] == cells[i-1] {
					cells[i] = "^"
				}
			}
		}
		out.WriteString(strings.Join(cells, "\t") + "\n")
	}
	return os.WriteFile("facts.tsv", []byte(out.String()), 0o644)
}

func read(path string) ([]map[string]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var names []string
	var rows []map[string]string
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		cells := strings.Split(s.Text(), "\t")
		if names == nil {
			names = cells
			continue
		}
		row := map[string]string{}
		for i, c := range cells {
			row[names[i]] = c
		}
		rows = append(rows, row)
	}
	return rows, s.Err()
}
