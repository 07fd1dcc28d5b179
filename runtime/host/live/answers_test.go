package live

import (
	"bytes"
	"context"
	"database/sql"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"zcp2kopano/runtime/host"
)

// packet is one of the protocol of MySQL, up to 16 MB: its length, its number and what it holds.
func packet(number byte, payload string) string {
	n := len(payload)
	return string([]byte{byte(n), byte(n >> 8), byte(n >> 16), number}) + payload
}

const (
	okPayload  = "\x00\x00\x00\x02\x00\x00\x00"
	eofPayload = "\xfe\x00\x00\x02\x00"
	greeting   = "\x0a5.5.0\x00\x01\x00\x00\x00saltsalt\x00\x09\xa2\x21\x02\x00\x08\x00\x15\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00saltsaltsalt\x00mysql_native_password\x00"
)

func column(name string) string {
	field := func(s string) string { return string([]byte{byte(len(s))}) + s }
	return field("def") + field("d") + field("t") + field("t") + field(name) + field(name) + "\x0c\x21\x00\x00\x01\x00\x00\xfd\x00\x00\x00\x00\x00"
}

// answer is what a server sends to a question about one column.
func answerOf(rows ...string) string {
	text := packet(1, "\x01") + packet(2, column("value")) + packet(3, eofPayload)
	number := byte(4)
	for _, row := range rows {
		text, number = text+packet(number, row), number+1
	}
	return text + packet(number, eofPayload)
}

// serveAnswer plays a server that takes the login and the three statements before the question, and answers that by
// what send writes.
func serveAnswer(c net.Conn, send func(io.Writer)) {
	defer c.Close()
	read := func() bool {
		head := make([]byte, 4)
		if _, err := io.ReadFull(c, head); err != nil {
			return false
		}
		_, err := io.CopyN(io.Discard, c, int64(head[0])|int64(head[1])<<8|int64(head[2])<<16)
		return err == nil
	}
	if _, err := io.WriteString(c, packet(0, greeting)); err != nil || !read() {
		return
	}
	number := byte(2) // of the answer to the login; to a statement it is the first
	for range 4 {
		if _, err := io.WriteString(c, packet(number, okPayload)); err != nil || !read() {
			return
		}
		number = 1
	}
	go func() { _, _ = io.Copy(io.Discard, c) }() // what it says behind that is heard, and not answered
	send(c)
}

// askPlayed puts a question to such a server, by the client's own settings.
func askPlayed(t testing.TB, most int64, send func(io.Writer)) (host.Rows, error) {
	cfg := database{}.mysqlConfig(host.DatabaseConn{Host: "played", Port: 3306, User: "u", Database: "d"})
	cfg.DialFunc = func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go serveAnswer(theirs, send)
		return ours, nil
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	return queryUpTo(ctx, db, "SELECT value FROM t", most)
}

// TestServerAnswers: what a server that is broken, or an attacker's, answers is an error or text, and no more of it than
// there may be. The client of MySQL panics at some of these, with locks held; that is caught, and an error, too.
func TestServerAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		sent string
		want []string // of the rows; nil for an error
	}{
		"as it is to be":                  {answerOf("\x02ab", "\x00"), []string{"ab", ""}},
		"NULL":                            {answerOf("\xfb", "\x011"), []string{"", "1"}},
		"control characters":              {answerOf("\x04\x00\x1b[m"), []string{"\x00\x1b[m"}},
		"no row":                          {answerOf(), []string{}},
		"a longer text than its packet":   {answerOf("\x7fab"), []string{}}, // as if it had left the row out, which it can do as well
		"a length without end":            {answerOf("\xfe\xff\xff\xff\xff\xff\xff\xff\x7fab"), nil},
		"cut off in the columns":          {answerOf("\x02ab")[:20], nil},
		"cut off in the rows":             {strings.TrimSuffix(answerOf("\x02ab"), packet(5, eofPayload)), nil},
		"more columns than are described": {packet(1, "\x7f") + packet(2, column("value")) + packet(3, eofPayload), nil},
		"packets out of order":            {packet(1, "\x01") + packet(7, column("value")), nil},
		"an error":                        {packet(1, "\xff\x15\x04#28000no"), nil},
		"a file is asked for":             {packet(1, "\xfb/etc/shadow"), nil},
		"nothing":                         {"", nil},
	} {
		t.Run(name, func(t *testing.T) {
			rows, err := askPlayed(t, largestAnswer, func(w io.Writer) { _, _ = io.WriteString(w, c.sent) })
			if c.want == nil {
				if err == nil || strings.Contains(err.Error(), "deadline") {
					t.Errorf("it is taken for %q (%v)", rows, err)
				}
				return
			}
			if err != nil || len(rows.Rows) != len(c.want) {
				t.Fatalf("%q, %v", rows, err)
			}
			for i, want := range c.want {
				if rows.Rows[i][0] != want {
					t.Errorf("row %d is %q, want %q", i, rows.Rows[i][0], want)
				}
			}
		})
	}
}

// TestAnswerWithoutEnd: a server that never ends its answer does not fill the memory.
func TestAnswerWithoutEnd(t *testing.T) {
	_, err := askPlayed(t, 1<<20, func(w io.Writer) {
		_, _ = io.WriteString(w, packet(1, "\x01")+packet(2, column("value"))+packet(3, eofPayload))
		row := "\xfd\x10\x27\x00" + strings.Repeat("x", 10_000)
		for number := byte(4); ; number++ {
			if _, err := io.WriteString(w, packet(number, row)); err != nil {
				return
			}
		}
	})
	if err == nil || !strings.Contains(err.Error(), "the answer is larger than") {
		t.Error(err)
	}
}

// FuzzServerAnswer reads what a server sends to a question.
func FuzzServerAnswer(f *testing.F) {
	f.Add([]byte(answerOf("\x02ab", "\xfb")))
	f.Add([]byte(packet(1, "\xff\x15\x04#28000no")))
	f.Add([]byte(packet(1, "\xfb/etc/shadow")))
	f.Fuzz(func(t *testing.T, sent []byte) {
		rows, err := askPlayed(t, 1<<20, func(w io.Writer) { _, _ = io.Copy(w, bytes.NewReader(sent)) })
		for _, row := range rows.Rows {
			if err == nil && len(row) != len(rows.Columns) {
				t.Errorf("a row of %d values for %d columns", len(row), len(rows.Columns))
			}
		}
	})
}
