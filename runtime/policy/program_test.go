package policy

import (
	"strings"
	"testing"
)

// TestPrograms wants one program to be allowed by one path: no pattern, and nothing that runs others.
func TestPrograms(t *testing.T) {
	for entry, want := range map[string]string{
		"/usr/sbin/postmap": "", "postmap": "one absolute path", "/usr/sbin/*": "one absolute path", "/usr/sbin/../bin/x": "one absolute path", "": "one absolute path",
		"/bin/sh": "runs any command", "/usr/bin/env": "runs any command", "/usr/bin/sudo": "runs any command",
	} {
		var p Policy
		err := p.Grant(Program, entry)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", entry, err, want)
		}
	}
	p := Policy{Allow: map[Class][]string{Program: {"/usr/sbin/postmap"}, Path: {"/usr/sbin"}}}
	for name, ok := range map[string]bool{"/usr/sbin/postmap": true, "/usr/sbin/postfix": false, "/usr/sbin/postmap/x": false} {
		if err := p.Check([]Target{{Class: Program, Name: name}}); (err == nil) != ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
