package accounts

import "testing"

func TestTable(t *testing.T) {
	tab := NewTable("# c\nroot:x:0:0:root:/root:/bin/bash\n+::::::\nbad:x:no:0::/:/x\nzarafa:x:109:115::/var/lib/zarafa:/bin/false\ntwin:x:109:1::/:/x\n",
		"root:x:0:\nzarafa:x:115:www-data,postfix\nshort:x:1\n")
	if len(tab.Users()) != 3 || len(tab.Groups()) != 2 {
		t.Fatalf("got %v, %v", tab.Users(), tab.Groups())
	}
	if u, ok := tab.UserID(109); !ok || u.Name != "zarafa" || u.Home != "/var/lib/zarafa" {
		t.Errorf("uid 109 is %v; the first line must win", u)
	}
	if g, ok := tab.Group("zarafa"); !ok || g.GID != 115 || len(g.Members) != 2 {
		t.Errorf("group zarafa is %v", g)
	}
	if _, ok := tab.User("bad"); ok {
		t.Error("a line without a number is an account")
	}
	if g, ok := tab.GroupID(0); !ok || g.Members != nil {
		t.Errorf("group 0 is %v", g)
	}
}
