package session

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"zcp2kopano/runtime/state"
	"zcp2kopano/runtime/story"
)

// scarce is a file on a disk that has room for so many bytes.
type scarce struct {
	text string
	room int
}

func (s *scarce) Write(p []byte) (int, error) {
	n := min(len(p), s.room)
	s.text, s.room = s.text+string(p[:n]), s.room-n
	if n < len(p) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

func (s *scarce) Close() error { return nil }

// After a line for which there was no room the story goes on, with whole lines.
func TestStoryGoesOnAfterAFullDisk(t *testing.T) {
	disk := &scarce{room: 11}
	s := &eventsFile{f: disk}
	for _, line := range []string{"first\n", "second\n", "third\n"} {
		if n, err := s.Write([]byte(line)); n != len(line) || err != nil {
			t.Fatal(n, err)
		}
	}
	disk.room = 100
	_, _ = s.Write([]byte("fourth\n"))
	_, _ = s.Write([]byte("fifth\n"))
	if want := "first\nsecon\nfourth\nfifth\n"; disk.text != want {
		t.Errorf("got %q, want %q", disk.text, want)
	}
}

// A torn line of an earlier attempt does not swallow the first of the next.
func TestStoryBeginsOnALineOfItsOwn(t *testing.T) {
	r := state.Run{ID: "x", Path: t.TempDir()}
	for text, want := range map[string]string{"": "next\n", "whole\n": "whole\nnext\n", "to": "to\nnext\n"} {
		if err := os.WriteFile(r.Events(), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := openEvents(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = s.Write([]byte("next\n"))
		s.Close()
		if got, err := os.ReadFile(r.Events()); err != nil || string(got) != want {
			t.Errorf("after %q: %q, %v", text, got, err)
		}
	}
}

// Nobody reads how a run ended, and it is a long story: the run ends all the same.
func TestEndIsToldToNobody(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	defer write.Close()
	endTo(write, 10*time.Millisecond)(story.Event{Kind: story.Failed, Text: strings.Repeat("x", 1<<20)})
}
