package live

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"

	"zcp2kopano/runtime/host"
)

// logBytes is as much of a log as is read at once, and the longest line.
const logBytes = 1 << 20

// LogEnd marks the end of a service's file and of its journal.
func (s services) LogEnd(ctx context.Context, name, file string) host.LogMark {
	var mark host.LogMark
	if st, err := s.m.files.Stat(file); file != "" && err == nil {
		mark.Inode, mark.Size = st.Ino, st.Size
	}
	mark.Cursor = journalEnd(ctx, s.init(), name)
	return mark
}

// LogSince reads both: a daemon that may not write its file goes on in the journal.
func (s services) LogSince(ctx context.Context, name, file string, from host.LogMark) host.LogPart {
	part := host.LogPart{End: from}
	if file != "" {
		part.Lines, part.Seen = s.m.files.fileSince(file, &part.End)
	}
	lines, seen := journalSince(ctx, s.init(), name, &part.End)
	part.Lines, part.Seen = append(part.Lines, lines...), part.Seen || seen
	return part
}

// allOfIt stands for a cursor before the first entry, in a journal that is empty.
const allOfIt = "begin"

// journalEnd is the cursor where the journal ends; empty if it cannot be read.
func journalEnd(ctx context.Context, in initSystem, name string) string {
	_, cursor, err := in.logged(ctx, name, "")
	if err == nil && cursor == "" {
		return allOfIt
	}
	return cursor
}

// journalSince reads the journal behind a mark, and moves it. One that could not be marked is read from now on: what
// an earlier attempt has said in it is not of this start.
func journalSince(ctx context.Context, in initSystem, name string, mark *host.LogMark) ([]string, bool) {
	if mark.Cursor == "" {
		mark.Cursor = journalEnd(ctx, in, name)
		return nil, false
	}
	lines, cursor, err := in.logged(ctx, name, mark.Cursor)
	if err != nil {
		return nil, false
	}
	if cursor != "" {
		mark.Cursor = cursor
	}
	return lines, true
}

// fileSince reads the whole lines behind a mark, and moves it. A FIFO in the file's place is not waited for.
func (s *space) fileSince(name string, mark *host.LogMark) ([]string, bool) {
	st, err := s.Stat(name)
	if err != nil || !st.IsRegular() {
		return nil, false
	}
	if st.Ino != mark.Inode || st.Size < mark.Size {
		mark.Inode, mark.Size = st.Ino, 0
	}
	f, err := s.Open(name)
	if err != nil {
		return nil, false
	}
	defer f.Close()
	var lines []string
	for data := make([]byte, min(st.Size-mark.Size, logBytes)); ; {
		n, err := f.ReadAt(data[:min(st.Size-mark.Size, int64(len(data)))], mark.Size)
		if err != nil && err != io.EOF {
			return lines, false
		}
		end := bytes.LastIndexByte(data[:n], '\n') + 1
		if end == 0 && n == logBytes {
			end = n // a line without an end
		}
		if end == 0 {
			return lines, true
		}
		mark.Size += int64(end)
		lines = append(lines, fullLines(string(data[:end]))...)
	}
}

// fullLines are the lines of a text that are not empty.
func fullLines(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, " \t\r\n"); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// logged reads the journal of a unit behind a cursor. Without one it only says where the journal ends: that
// of all units, since the unit may have said nothing yet.
func (s systemd) logged(ctx context.Context, name, cursor string) (lines []string, end string, err error) {
	program, err := s.m.program("journalctl")
	if err != nil {
		return nil, "", err
	}
	args := []string{"--no-pager", "-q", "-o", "json"}
	switch cursor {
	case "":
		args = append(args, "-n", "1")
	case allOfIt:
		args = append(args, "-u", name+".service")
	default:
		args = append(args, "--after-cursor="+cursor, "-u", name+".service")
	}
	got, err := s.m.run(ctx, command{Path: program, Args: args, Timeout: traceTime})
	if err != nil {
		return nil, "", err
	}
	lines, end = journalLines(got.Stdout)
	return lines, end, nil
}

// journalLines reads entries in JSON. A message that is not UTF-8 comes as a list of its bytes.
func journalLines(out string) (lines []string, cursor string) {
	for entry := range strings.Lines(out) {
		var e struct {
			Message json.RawMessage `json:"MESSAGE"`
			Cursor  string          `json:"__CURSOR"`
		}
		if json.Unmarshal([]byte(entry), &e) != nil {
			continue
		}
		cursor = e.Cursor
		var text string
		if json.Unmarshal(e.Message, &text) != nil {
			var octets []int
			_ = json.Unmarshal(e.Message, &octets)
			for _, b := range octets {
				text += string([]byte{byte(b)})
			}
		}
		lines = append(lines, fullLines(strings.ToValidUTF8(text, "?"))...)
	}
	return lines, cursor
}

// logged knows nothing: there is no journal.
func (s sysv) logged(context.Context, string, string) ([]string, string, error) {
	return nil, "", host.ErrUnsupported
}
