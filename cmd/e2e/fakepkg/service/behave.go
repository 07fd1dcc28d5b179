package service

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"
)

// BehaviourDir holds a file a program, named as it is, with a line "name = value" for each thing in which
// it behaves differently.
const BehaviourDir = "/run/bed"

// Behaviour is how a daemon behaves beside what its configuration says.
type Behaviour struct {
	Refuses      bool          // its configuration, with exit status 255
	NeverListens bool          // lives, and opens no socket
	Silent       bool          // opens its sockets, and never answers
	NoSession    bool          // the server does not let it in
	Says         string        // an error in its log, once it is ready
	DiesAfter    time.Duration // from its start on, with exit status 255; 0 is never
	BeforeLock   time.Duration // in which signals are noted already, and no lock is there yet
	Upgrade      time.Duration // that the upgrade of a database lasts at least, in equal steps
	Retry        time.Duration // between two attempts at the database
	Stop         time.Duration // that a stop lasts
}

// readBehaviour reads a program's behaviour; without a file it is the usual one.
func readBehaviour(name string) (Behaviour, error) {
	b := Behaviour{Upgrade: 400 * time.Millisecond, Retry: 10 * time.Second}
	if name == "zarafa-server" {
		b.Stop = 2 * time.Second
	}
	file := BehaviourDir + "/" + name
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	} else if err != nil {
		return b, err
	}
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		name, value, _ := strings.Cut(line, "=")
		if err := b.set(strings.TrimSpace(name), strings.TrimSpace(value)); err != nil {
			return b, fmt.Errorf("%s: %q: %w", file, line, err)
		}
	}
	return b, nil
}

// Linger waits for as long as the daemon's behaviour says now: a test that takes a wait away ends it.
func (d *Daemon) Linger(wait func(Behaviour) time.Duration) {
	for begin, b := time.Now(), d.Behaviour; time.Since(begin) < wait(b); {
		time.Sleep(min(wait(b)-time.Since(begin), 50*time.Millisecond))
		if now, err := readBehaviour(d.Name()); err == nil { // else it is just being written
			b = now
		}
	}
}

func (b *Behaviour) set(name, value string) error {
	switches := map[string]*bool{"refuses": &b.Refuses, "never listens": &b.NeverListens, "silent": &b.Silent, "no session": &b.NoSession}
	if to, ok := switches[name]; ok && value == "yes" {
		*to = true
		return nil
	}
	if name == "says" {
		b.Says = value
		return nil
	}
	times := map[string]*time.Duration{"dies after": &b.DiesAfter, "before lock": &b.BeforeLock, "upgrade": &b.Upgrade, "retry": &b.Retry, "stop": &b.Stop}
	to, ok := times[name]
	if !ok {
		return errors.New("no such behaviour")
	}
	var err error
	*to, err = time.ParseDuration(value)
	return err
}
