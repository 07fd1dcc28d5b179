package postfix

import "testing"

// TestEdit: continuation lines go with what they continue, also behind a comment, and nothing else changes.
func TestEdit(t *testing.T) {
	const before = "# head\nmyhostname = a\nvirtual_transport =\n  lmtp:127.0.0.1:2003\n\nsmtpd_restrictions = permit_mynetworks,\n# why\n\treject\nx=1\nx = 2\n"
	for _, tc := range []struct{ name, value, want string }{
		{"virtual_transport", "lmtp:[::1]:2003", "# head\nmyhostname = a\nvirtual_transport = lmtp:[::1]:2003\n\nsmtpd_restrictions = permit_mynetworks,\n# why\n\treject\nx=1\nx = 2\n"},
		{"smtpd_restrictions", "reject", "# head\nmyhostname = a\nvirtual_transport =\n  lmtp:127.0.0.1:2003\n\nsmtpd_restrictions = reject\n# why\nx=1\nx = 2\n"},
		{"virtual_transport", "lmtp:127.0.0.1:2003", before},
		{"x", "3", "# head\nmyhostname = a\nvirtual_transport =\n  lmtp:127.0.0.1:2003\n\nsmtpd_restrictions = permit_mynetworks,\n# why\n\treject\nx=1\nx = 3\n"},
		{"soft_bounce", "yes", before + "soft_bounce = yes\n"},
		{"mailbox_command", "", before + "mailbox_command =\n"},
	} {
		if got := with(before, tc.name, tc.value); got != tc.want {
			t.Errorf("%s = %s:\n%s\nwant\n%s", tc.name, tc.value, got, tc.want)
		}
	}
	if got := without(before, "x"); got != "# head\nmyhostname = a\nvirtual_transport =\n  lmtp:127.0.0.1:2003\n\nsmtpd_restrictions = permit_mynetworks,\n# why\n\treject\n" {
		t.Errorf("without x:\n%s", got)
	}
	if got := with("a = 1", "b", "2"); got != "a = 1\nb = 2\n" {
		t.Errorf("%q", got)
	}
	if got := without(with(before, "soft_bounce", "yes"), "soft_bounce"); got != before {
		t.Errorf("not as before:\n%s", got)
	}
}

func TestEntries(t *testing.T) {
	found := map[string]string{}
	for _, e := range entries(" lost\na = 1\r\n b\n# c\n\n\td\nno setting\n  of it\nempty =\n") {
		found[e.name] = e.value
	}
	if found["a"] != "1 b d" || found["empty"] != "" || len(found) != 3 {
		t.Errorf("%q", found)
	}
}
