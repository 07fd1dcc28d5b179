package engine

import (
	"testing"

	"zcp2kopano/runtime/host"
)

// TestOrdinaryWordsStayInTheStory has passwords that are words of the product: a story of ***-server.cfg is spoilt,
// and tells the password.
func TestOrdinaryWordsStayInTheStory(t *testing.T) {
	words := map[string]bool{"presence": true, "zarafa": true}
	m := newMasker(nil, func() map[string]bool { return words })
	for _, s := range []string{"presence", "zarafa", "geheim"} {
		m.remember(host.NewSecret(s))
	}
	for in, want := range map[string]string{
		"move /etc/zarafa/presence.cfg":      "move /etc/zarafa/presence.cfg",
		"mysql_password = zarafa":            "mysql_password = ***",
		"server_auth_password = presence":    "server_auth_password = ***",
		"user zarafa is refused with geheim": "user zarafa is refused with ***",
		"/srv/geheim/x":                      "/srv/geheim/x",
	} {
		if got := m.mask(in); got != want {
			t.Errorf("%q is told as %q, want %q", in, got, want)
		}
		data := mustJSON([]string{in})
		if m.within(data) != (in != want) {
			t.Errorf("%s: a secret in it: %v", data, m.within(data))
		}
	}
}
