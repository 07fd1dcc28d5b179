package live

import (
	"context"
	"io"
	"time"

	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/host"
)

const (
	traceTime  = 20 * time.Second // to ask the journal
	traceBytes = 64 << 10         // the end of a log that is looked at
)

// ServiceTrace reads the end of a service's log.
func (s services) ServiceTrace(ctx context.Context, name, file string) host.Trace {
	t := s.init().trace(ctx, name)
	if file == "" {
		return t
	}
	if end, err := s.m.files.endOfFile(file); err == nil {
		t.Log, t.Lines = file, lastLines(end)
	} else if t.Log == "" {
		t.Log = file
	}
	return t
}

// endOfFile reads the last bytes of a file that may belong to anybody: a FIFO in its place is not waited for.
func (s *space) endOfFile(name string) (string, error) {
	st, err := s.Stat(name)
	if err != nil {
		return "", err
	}
	if !st.IsRegular() {
		return "", unix.EINVAL
	}
	f, err := s.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data := make([]byte, min(st.Size, traceBytes))
	n, err := f.ReadAt(data, st.Size-int64(len(data)))
	if err == io.EOF {
		err = nil
	}
	return string(data[:n]), err
}

// lastLines are the last lines of a text that are not empty.
func lastLines(text string) []string {
	lines := fullLines(text)
	return lines[max(0, len(lines)-host.TraceLines):]
}
