package fs

import "testing"

// A plan rests on owners by name, and on the number where the host has no name for it.
func TestPlanRestsOnOwnersByName(t *testing.T) {
	held := stat.Lasting(nil, map[string]any{"type": "file", "owner": "kopano", "uid": 998.0, "group": "1001", "gid": 1001.0, "mtime": 5.0})
	if _, ok := held["uid"]; ok || held["gid"] != 1001.0 || held["owner"] != "kopano" || len(held) != 4 {
		t.Errorf("%v", held)
	}
}
