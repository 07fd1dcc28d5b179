package directory

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// record is what stands between two empty lines of an LDIF file, the empty line after it included.
type record struct {
	text  []byte
	first int    // number of its first line
	lines []span // a line with those that continue it; comments are none
}

// span is a part of a record's text.
type span struct{ start, end int }

// raw is a line as it stands there, its end included.
func (rec *record) raw(l span) []byte { return rec.text[l.start:l.end] }

// line is a line in one piece, without its end.
func (rec *record) line(l span) string {
	raw := rec.raw(l)
	if bytes.IndexByte(raw, '\n') >= len(raw)-1 {
		return string(bytes.TrimRight(raw, "\r\n"))
	}
	var whole []byte
	for part := range bytes.Lines(raw) {
		if len(whole) > 0 || part[0] == ' ' {
			part = part[1:]
		}
		whole = append(whole, bytes.TrimRight(part, "\r\n")...)
	}
	return string(whole)
}

// number is the line's in the file.
func (rec *record) number(l span) int {
	return rec.first + bytes.Count(rec.text[:l.start], []byte("\n"))
}

// fileBuffer is how much of a file is read at once. A record that is larger has it grow.
const fileBuffer = 256 << 10

var errNothingContinued = errors.New("it continues no line")

// eachRecord reads LDIF, whose first line has a number, record by record; what each is given is gone when it returns.
func eachRecord(in io.Reader, first int, each func(*record) error) error {
	b := &recordBuffer{in: in, buf: make([]byte, 0, fileBuffer)}
	rec, number := record{first: first}, first
	const none, kept, comment = 0, 1, 2
	open := none // what a line that begins with a blank continues
	hand := func() error {
		if len(b.record()) == 0 {
			return nil
		}
		rec.text = b.record()
		if err := each(&rec); err != nil {
			return err
		}
		b.start, rec.lines, rec.first, open = b.at, rec.lines[:0], number, none
		return nil
	}
	for {
		line, err := b.next()
		if err == io.EOF {
			return hand()
		}
		if err != nil {
			return err
		}
		number++
		end := b.at - b.start
		switch {
		case line[0] == '\n' || line[0] == '\r' && len(bytes.TrimRight(line, "\r\n")) == 0:
			if err := hand(); err != nil {
				return err
			}
		case line[0] == ' ' && open == none:
			return fmt.Errorf("line %d: %w", number-1, errNothingContinued)
		case line[0] == ' ' && open == kept:
			rec.lines[len(rec.lines)-1].end = end
		case line[0] == ' ':
		case line[0] == '#':
			open = comment
		default:
			open, rec.lines = kept, append(rec.lines, span{end - len(line), end})
		}
	}
}

// recordBuffer reads lines, and holds those of a record together.
type recordBuffer struct {
	in        io.Reader
	buf       []byte
	start, at int // the record's begin, and that of the line after it
	ended     bool
}

// record is what was read of it so far.
func (b *recordBuffer) record() []byte { return b.buf[b.start:b.at] }

// next reads the next line; the last one may have no end.
func (b *recordBuffer) next() ([]byte, error) {
	for {
		end := bytes.IndexByte(b.buf[b.at:], '\n') + 1
		if end == 0 && b.ended {
			end = len(b.buf) - b.at
			if end == 0 {
				return nil, io.EOF
			}
		}
		if end > 0 {
			line := b.buf[b.at : b.at+end]
			b.at += end
			return line, nil
		}
		if err := b.fill(); err != nil {
			return nil, err
		}
	}
}

// fill reads more, behind what there is of the record.
func (b *recordBuffer) fill() error {
	if b.start > 0 {
		b.buf = b.buf[:copy(b.buf, b.buf[b.start:])]
		b.at, b.start = b.at-b.start, 0
	}
	if len(b.buf) == cap(b.buf) {
		b.buf = append(make([]byte, 0, 2*cap(b.buf)), b.buf...)
	}
	n, err := b.in.Read(b.buf[len(b.buf):cap(b.buf)])
	b.buf = b.buf[:len(b.buf)+n]
	if err == io.EOF {
		b.ended, err = true, nil
	}
	return err
}
