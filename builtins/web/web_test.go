package web

import (
	"slices"
	"testing"

	"zcp2kopano/builtins/internal/builtintest"
)

func TestDirectories(t *testing.T) {
	h := builtintest.New(t, `
-- /etc/apache2/apache2.conf --
IncludeOptional sites-enabled/*.conf
Include /etc/apache2/none.conf
-- /etc/apache2/sites-enabled/a.conf --
DocumentRoot "/srv/a"
# DocumentRoot /srv/commented
Alias /push /srv/push
<Directory /srv/dir/*>
Alias /x ${VAR}/srv/variable
-- /etc/nginx/n.conf --
  root /srv/n;
  include ../apache2/apache2.conf;
-- /srv/a/x --
-- /srv/push/x --
-- /srv/dir/x --
-- /srv/n/x --
-- /srv/commented/x --
-- /srv/variable/x --
`, Builtins()).Host
	w := walk{view: h, read: map[string]bool{}, found: map[string]string{}}
	for _, file := range []string{"/etc/apache2/apache2.conf", "/etc/nginx/n.conf", "/etc/none"} {
		if err := w.file(file, 0); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for name := range w.found {
		got = append(got, name)
	}
	slices.Sort(got)
	if want := []string{"/push", "/srv/a", "/srv/dir", "/srv/n", "/srv/push"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if w.found["/srv/a"] != "/etc/apache2/sites-enabled/a.conf" {
		t.Error(w.found["/srv/a"])
	}
}
