package session

import (
	"fmt"
	"io"
	"os"
	"syscall"

	"zcp2kopano/runtime/state"
)

// eventsFile writes a run's events file. A line that the disk has no room for is left out, and the next one
// begins on a line of its own: the run is told as far as that goes, and does not depend on it.
type eventsFile struct {
	f    io.WriteCloser
	torn bool // the file does not end with a whole line
}

// openEvents opens the events file of a run to go on with it.
func openEvents(r state.Run) (*eventsFile, error) {
	f, err := os.OpenFile(r.Events(), os.O_RDWR|os.O_CREATE|os.O_APPEND|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", r.ID, err)
	}
	s := &eventsFile{f: f}
	if info, err := f.Stat(); err == nil && info.Size() > 0 {
		last := make([]byte, 1)
		_, err := f.ReadAt(last, info.Size()-1)
		s.torn = err == nil && last[0] != '\n'
	}
	return s, nil
}

// Write writes a line. It never fails, so that the next one is tried again.
func (s *eventsFile) Write(line []byte) (int, error) {
	text := line
	if s.torn {
		text = append([]byte{'\n'}, line...)
	}
	n, err := s.f.Write(text)
	s.torn = err != nil && (s.torn || n > 0)
	return len(line), nil
}

func (s *eventsFile) Close() error { return s.f.Close() }
