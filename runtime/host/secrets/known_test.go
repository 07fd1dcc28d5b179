package secrets

import "testing"

// TestKnown has texts with a secret that is known, S being where it is masked.
func TestKnown(t *testing.T) {
	words := map[string]bool{}
	Words(words, "presence zarafa kopano server dagent the")
	for _, c := range []struct{ secret, text, want string }{
		// what ships as a password, or is set as one, and is an ordinary word
		{"presence", "restart kopano-presence, presence.cfg", "restart kopano-presence, presence.cfg"},
		{"presence", "the presence server", "the presence server"},
		{"zarafa", "move /etc/zarafa/server.cfg", "move /etc/zarafa/server.cfg"},
		{"zarafa", "user zarafa, database zarafa", "user zarafa, database zarafa"},
		{"Zarafa", "Zarafa", "Zarafa"},
		{"zarafa-server", "stop zarafa-server", "stop zarafa-server"},
		{"kopano.the", "kopano.the", "kopano.the"},
		{"/etc/kopano", "at /etc/kopano/", "at /etc/kopano/"},
		// a word of no list: alone, and where a value can stand
		{"geheim", "geheim", "***"},
		{"geheim", "the password geheim is wrong", "the password *** is wrong"},
		{"geheim", "password = geheim", "password = ***"},
		{"geheim", "password=geheim", "password=***"},
		{"geheim", "pw:geheim", "pw:***"},
		{"geheim", `"geheim"`, `"***"`},
		{"geheim", "'geheim', `geheim` (geheim) [geheim] <geheim>", "'***', `***` (***) [***] <***>"},
		{"geheim", "https://u:geheim@example.org/", "https://u:***@example.org/"},
		{"geheim", "it is geheim. Or geheim; or geheim, or geheim!", "it is ***. Or ***; or ***, or ***!"},
		{"geheim", "ends with geheim.", "ends with ***."},
		{"geheim", "a\tgeheim\nb\ngeheim\n", "a\t***\nb\n***\n"},
		{"geheim", "+geheim", "+geheim"},
		{"geheim", "x=1&p=geheim&y=2", "x=1&p=***&y=2"},
		{"geheim", "geheimnis, ungeheim, geheim2, 2geheim, geheim_x, x_geheim", "geheimnis, ungeheim, geheim2, 2geheim, geheim_x, x_geheim"},
		{"geheim", "geheim-server /srv/geheim/x geheim/x geheim.cfg x-geheim x.geheim", "geheim-server /srv/geheim/x geheim/x geheim.cfg x-geheim x.geheim"},
		{"geheim", "geheim geheim geheim", "*** *** ***"},
		{"geheim", "geheimgeheim geheim", "geheimgeheim ***"},
		{"1234", "port 12345, 1234 users", "port 12345, *** users"},
		{"secret server", "a secret server runs", "a *** runs"},
		{"kopano2", "kopano2 kopano20", "*** kopano20"},
		// what only chance makes is masked wherever it stands
		{"a7!kQ2-zz", "mysqldump -pa7!kQ2-zz", "mysqldump -p***"},
		{"a7!kQ2-zz", "xa7!kQ2-zzx", "x***x"},
		// too short to be searched for
		{"abc", "abc", "abc"},
		{"", "abc", "abc"},
	} {
		k := NewKnown(func() map[string]bool { return words })
		k.Add(c.secret)
		k.Add(c.secret)
		if got := k.Mask(c.text); got != c.want {
			t.Errorf("%q in %q: %q, want %q", c.secret, c.text, got, c.want)
		}
	}
}
