package engine

import (
	"strings"
	"testing"

	"zcp2kopano/runtime/action"
)

// TestActionsKeepTheirBytes refuses an action that could not be read back as it was.
func TestActionsKeepTheirBytes(t *testing.T) {
	for path, ok := range map[string]bool{
		"/etc/plain": true, "/etc/\ufffd": true, `/etc/\ufffd`: true, `/etc/\\ufffd`: true,
		"/etc/\xe4": false, "/etc/\\\xe4": false,
	} {
		_, err := encodeAction(&action.Symlink{Path: path, Target: "x"})
		if (err == nil) != ok {
			t.Errorf("%q: %v", path, err)
		}
		if err != nil && !strings.Contains(err.Error(), "not UTF-8") {
			t.Errorf("%q: %v", path, err)
		}
	}
}
