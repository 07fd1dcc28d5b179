package live

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"

	"zcp2kopano/runtime/host"
)

func packedText(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestReadParallel: what mydumper writes is read to its end, rows are counted, and files that contradict each other
// are refused.
func TestReadParallel(t *testing.T) {
	const head = "/*!40101 SET NAMES binary*/;\n/*!40014 SET FOREIGN_KEY_CHECKS=0*/;\n"
	users := head + "INSERT INTO `users` VALUES\n(1,\"(a\\nb\"),\n(2,\"" + strings.Repeat("x(,", 300<<10) + "\");\nINSERT INTO `users` VALUES\n(3,NULL);\n"
	good := func() map[string]string {
		return map[string]string{
			"metadata":                       "Started dump at: 2026-01-01 00:00:00\nFinished dump at: 2026-01-01 00:00:09\n",
			"z-schema-create.sql.gz":         packedText(t, "CREATE DATABASE `z`;\n"),
			"z.users-schema.sql.gz":          packedText(t, head+"CREATE TABLE `users` (\n  `id` int\n) ENGINE=InnoDB;\n"),
			"z.users.00000.sql.gz":           packedText(t, users),
			"z.users.00001.sql.gz":           packedText(t, head+"INSERT INTO `users` VALUES\n(4,\"d\");\n"),
			"z.nothing-schema.sql.gz":        packedText(t, head+"CREATE TABLE `nothing` (\n  `id` int\n);\n"),
			"z.nothing.sql.gz":               packedText(t, ""),
			"z.v-schema.sql.gz":              packedText(t, head+"CREATE TABLE `v`(\n`id` int\n)ENGINE=MyISAM;\n"),
			"z.v-schema-view.sql.gz":         packedText(t, head+"DROP TABLE IF EXISTS `v`;\nCREATE VIEW `v` AS select 1;\n"),
			"z.users-schema-triggers.sql.gz": packedText(t, "CREATE TRIGGER tr BEFORE INSERT ON users FOR EACH ROW SET NEW.id = 1;\n"),
		}
	}
	newer := "# Started dump at: 2026-01-01\n[config]\nquote_character = BACKTICK\n\n[`z`.`users`]\nreal_table_name=users\nrows = 4\n\n[`z`.`nothing`]\nrows = 0\n# Finished dump at: 2026-01-01\n"
	read := func(files map[string]string) (map[string]int64, host.DumpResult, error) {
		root := t.TempDir()
		if err := os.Mkdir(filepath.Join(root, "d"), 0o700); err != nil {
			t.Fatal(err)
		}
		for name, text := range files {
			if err := os.WriteFile(filepath.Join(root, "d", name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		h, err := Open(root)
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		return h.DatabaseWriter.(databaseWriter).readParallel(t.Context(), "/d", nil)
	}
	rows, first, err := read(good())
	if err != nil || rows["users"] != 4 || len(rows) != 2 || !first.Closed || strings.Join(first.Tables, " ") != "nothing users" || strings.Join(first.Views, " ") != "v" || first.RawBytes < 900<<10 {
		t.Fatalf("rows %v, %+v, %v", rows, first, err)
	}
	if _, again, err := read(good()); err != nil || again.SHA256 != first.SHA256 {
		t.Errorf("the same files have another digest: %v", err)
	}
	for _, tc := range []struct {
		name, want string
		spoil      func(files map[string]string)
	}{
		{"newer metadata", "", func(f map[string]string) { f["metadata"] = newer }},
		{"a row too few", "the files have 3 rows of table users, and metadata says 4", func(f map[string]string) {
			f["metadata"] = newer
			delete(f, "z.users.00001.sql.gz")
		}},
		{"a table that metadata has", "the files have 0 rows of table lost", func(f map[string]string) { f["metadata"] = newer + "[`z`.`lost`]\nrows = 1\n" }},
		{"no end of a file", "unexpected EOF", func(f map[string]string) {
			f["z.users.00000.sql.gz"] = f["z.users.00000.sql.gz"][:len(f["z.users.00000.sql.gz"])-20]
		}},
		{"an empty file", "EOF", func(f map[string]string) { f["z.nothing.sql.gz"] = "" }},
		{"no end of a statement", "it ends within a statement", func(f map[string]string) {
			f["z.users.00001.sql.gz"] = packedText(t, head+"INSERT INTO `users` VALUES\n(4,\"d\"),\n")
		}},
		{"no file of a table's rows", "no file with the rows of table nothing (z.nothing.sql.gz)", func(f map[string]string) { delete(f, "z.nothing.sql.gz") }},
		{"no file of the rows of one that has some", "no file with the rows of table users", func(f map[string]string) {
			delete(f, "z.users.00000.sql.gz")
			delete(f, "z.users.00001.sql.gz")
		}},
		{"rows without their table", "nothing that makes it", func(f map[string]string) { delete(f, "z.users-schema.sql.gz") }},
	} {
		files := good()
		tc.spoil(files)
		_, result, err := read(files)
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
		if err == nil && result.SHA256 == first.SHA256 {
			t.Errorf("%s: the digest is that of other files", tc.name)
		}
	}
	unfinished := good()
	unfinished["metadata"] = "Started dump at: 2026-01-01 00:00:00\n"
	if _, result, err := read(unfinished); err != nil || result.Closed {
		t.Errorf("unfinished: %+v, %v", result, err)
	}
}
