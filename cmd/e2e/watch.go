package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"time"
)

// WatchProcesses looks at the arguments of all processes of the root, a hundred times a second, until the
// returned function is called; a secret among them is an error.
func (r *Root) WatchProcesses(secrets ...string) (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		told := map[string]bool{}
		for {
			for _, line := range r.commandLines() {
				for _, secret := range secrets {
					if strings.Contains(line, secret) && !told[line] {
						told[line] = true
						r.t.Errorf("arguments of a process show a secret: %q", line)
					}
				}
			}
			select {
			case <-end:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	return func() { close(end); <-ended }
}

func (r *Root) commandLines() []string {
	files, err := filepath.Glob(r.Path("/proc/[0-9]*/cmdline"))
	if err != nil {
		return nil
	}
	var lines []string
	for _, file := range files {
		if data, err := os.ReadFile(file); err == nil {
			lines = append(lines, strings.ReplaceAll(string(data), "\x00", " "))
		}
	}
	return lines
}
