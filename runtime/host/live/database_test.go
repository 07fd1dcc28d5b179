package live

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"zcp2kopano/runtime/host"
)

func TestOptionFile(t *testing.T) {
	got := string(optionFile(host.DatabaseConn{User: "zarafa", Password: host.NewSecret("a\"b\\c#d"), Host: "db", Port: 3307}))
	want := "[client]\nuser=\"zarafa\"\npassword=\"a\\\"b\\\\c#d\"\nhost=\"db\"\nport=\"3307\"\nprotocol=\"tcp\"\n"
	if got != want {
		t.Errorf("got %q", got)
	}
}

func TestComplaintWithoutLooseOptions(t *testing.T) {
	const loose = "Warning: /usr/bin/mysqldump: unknown variable 'loose-column-statistics=0'\nWarning: /usr/bin/mysqldump: unknown variable 'loose-set-gtid-purged=OFF'"
	for said, want := range map[string]string{
		loose: "/usr/bin/mysqldump: exit status 2, and it did not say why: see that the database server still runs, and what its log says",
		loose + "\nmysqldump: Error 2013: Lost connection": "/usr/bin/mysqldump: exit status 2: mysqldump: Error 2013: Lost connection",
	} {
		err := withoutLoose(&host.CommandError{Path: "/usr/bin/mysqldump", Status: "exit status 2", Output: said})
		if err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
	}
	if err := withoutLoose(nil); err != nil {
		t.Error(err)
	}
}

func TestDumpScanner(t *testing.T) {
	dump := "-- MySQL dump\n\nCREATE TABLE `stores` (\n  `id` int\n);\nINSERT INTO `x` VALUES (0x" + strings.Repeat("AB", 100000) + ");\n" +
		"CREATE TABLE IF NOT EXISTS `odd``name` (\n\n-- Dump completed on 2026-01-01\n\n"
	for _, size := range []int{1, 7, 4096, len(dump)} {
		var out bytes.Buffer
		p, err := newPacker("none", &out)
		if err != nil {
			t.Fatal(err)
		}
		s := &dumpScanner{out: p}
		for rest := []byte(dump); len(rest) > 0; {
			n := min(size, len(rest))
			if _, err := s.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		s.finish()
		if !s.closed || s.bytes != int64(len(dump)) || out.String() != dump || !reflect.DeepEqual(s.tables, []string{"stores", "odd`name"}) {
			t.Errorf("pieces of %d: closed %v, %d bytes, tables %q", size, s.closed, s.bytes, s.tables)
		}
	}
	s := &dumpScanner{}
	s.Write([]byte("-- Dump completed\nINSERT INTO"))
	if s.finish(); s.closed {
		t.Error("a dump that goes on after the closing line counts as closed")
	}
}
