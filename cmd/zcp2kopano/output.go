package main

import (
	"fmt"
	"os"
)

// output is standard output. It remembers the first error, because those who tell a run never fail:
// a full disk must not stop it, and must not go unnoticed either.
type output struct {
	file *os.File
	lost error
}

// Write writes, and remembers the first error.
func (o *output) Write(p []byte) (int, error) {
	n, err := o.file.Write(p)
	if o.lost == nil {
		o.lost = err
	}
	return n, err
}

// failure is the error of an output that did not come through whole.
func (o *output) failure() error {
	if o.lost == nil {
		return nil
	}
	return fmt.Errorf("the output is incomplete: %w", o.lost)
}
