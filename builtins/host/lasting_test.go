package host

import "testing"

// A plan rests on an account's name: which number it gets is up to the machine that makes it.
func TestPlanRestsOnNames(t *testing.T) {
	planned := user.Lasting(nil, map[string]any{"name": "kopano", "uid": 998, "gid": 998, "home": "/var/lib/kopano", "shell": "/bin/false"})
	real := user.Lasting(nil, map[string]any{"name": "kopano", "uid": 112, "gid": 119, "home": "/var/lib/kopano", "shell": "/usr/sbin/nologin"})
	if len(planned) != 1 || planned["name"] != real["name"] || len(real) != 1 {
		t.Errorf("%v and %v", planned, real)
	}
	members := group.Lasting(nil, map[string]any{"name": "kopano", "gid": 998, "members": []string{"www-data"}})
	if _, ok := members["gid"]; ok || len(members) != 2 {
		t.Errorf("%v", members)
	}
}
