package directory

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"zcp2kopano/runtime/host"
)

func rewrite(t *testing.T, text string) string {
	t.Helper()
	var out strings.Builder
	if _, err := oldToNew().Rewrite(&out, strings.NewReader(text)); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return out.String()
}

// TestRewrite renames in LDIF as it may be written, and leaves all else byte for byte.
func TestRewrite(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"an entry": {
			"version: 1\n# oldQuota: comment\n  objectClass: old-user\ndn: cn=oldQuota,dc=old-user\nobjectClass: top\nobjectClass: old-user\ncn: oldQuota\noldQuota: 1\nOLDALIASES;lang-de: old-user\ndescription: (oldQuota=1)\n\n\ndn: dc=b\ndc: b\n",
			"version: 1\n# oldQuota: comment\n  objectClass: old-user\ndn: cn=oldQuota,dc=old-user\nobjectClass: top\nobjectClass: new-user\ncn: oldQuota\nnewQuota: 1\nnewAliases;lang-de: old-user\ndescription: (oldQuota=1)\n\n\ndn: dc=b\ndc: b\n",
		},
		"folded": {
			"dn: cn=a\nobjectClass: old\n -user\noldAliases: a@example\n .org\noldQ\n uota: 1\nold\n Aliases;x\n -y: 2\n",
			"dn: cn=a\nobjectClass: new-user\nnewAliases: a@example\n .org\nnewQuota: 1\nnewAliases;x-y: 2\n",
		},
		"base64": {
			"dn:: Y249YQ==\nobjectClass:: b2xkLXVzZXI=\noldAliases:: b2xkUXVvdGE=\noldFilter:: KG9sZFF1b3RhPTEp\n",
			"dn:: Y249YQ==\nobjectClass: new-user\nnewAliases:: b2xkUXVvdGE=\nnewFilter: (newQuota=1)\n",
		},
		"filters": {
			"dn: cn=a\noldFilter: (&(objectClass=old-user)\n (oldQuota>=1)(cn=old-user))\nolDfilter: oldQuota no filter\n",
			"dn: cn=a\nnewFilter: (&(objectClass=new-user)(newQuota>=1)(cn=old-user))\nnewFilter: oldQuota no filter\n",
		},
		"operational": {
			"dn: cn=a\nobjectclass: Old-List\nstructuralObjectClass: old-list\nentryUUID: 1\n",
			"dn: cn=a\nobjectclass: new-list\nstructuralObjectClass: new-list\nentryUUID: 1\n",
		},
		"by number":   {"dn: cn=a\n1.2.3.4: 1\nobjectClass: 1.2.3.5\n", "dn: cn=a\nnewQuota: 1\nobjectClass: new-user\n"},
		"CRLF":        {"dn: cn=a\r\nobjectClass: old-user\r\noldQuota: 1\r\n\r\ndn: cn=b\r\ncn: b", "dn: cn=a\r\nobjectClass: new-user\r\nnewQuota: 1\r\n\r\ndn: cn=b\r\ncn: b"},
		"no newline":  {"dn: cn=a\nobjectClass: old-user", "dn: cn=a\nobjectClass: new-user"},
		"other names": {"dn: cn=a\noldQuotas: 1\nobjectClass: old-users\nxoldQuota: 1\n", "dn: cn=a\noldQuotas: 1\nobjectClass: old-users\nxoldQuota: 1\n"},
		"half converted": {
			"dn: cn=a\nobjectClass: top\nobjectClass: old-user\nobjectClass: new-user\noldAliases: b\noldAliases: a\nnewAliases: A\noldQuota: 1\nnewQuota: 1\ncn: a\n\ndn: cn=b\n",
			"dn: cn=a\nobjectClass: top\nobjectClass: new-user\nnewAliases: b\nnewAliases: a\nnewQuota: 1\ncn: a\n\ndn: cn=b\n",
		},
	} {
		if got := rewrite(t, c.text); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, c.want)
		}
		var out strings.Builder
		if _, err := oldToNew().Rewrite(&out, iotest.OneByteReader(strings.NewReader(c.text))); err != nil || out.String() != c.want {
			t.Errorf("%s, read in pieces: %v, %s", name, err, out.String())
		}
	}
}

// TestRewriteRefuses what it cannot do, and counts what it did.
func TestRewriteRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"dn: cn=a\nobjectClass: old-user\noldQuota: 1\nnewQuota: 2\n": `cn=a: newquota would have different values`,
		"dn: cn=a\nchangetype: modify\nadd: oldQuota\n":               "line 2: a change record",
		"dn: cn=a\n\ndn: cn=b\nobjectClass:: !\n":                     "line 4: objectClass: illegal base64",
		"dn: cn=a\nobjectClass:< file:///etc/shadow\n":                "line 2: objectClass: values from URLs",
		" oldQuota: 1\n": "line 1: it continues no line",
		"dn: cn=a\nobjectClass: old-user\nobjectClass: new-user\nnothing\n": "line 4",
	} {
		if _, err := oldToNew().Rewrite(&strings.Builder{}, strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	met, err := oldToNew().Rewrite(&strings.Builder{}, strings.NewReader("version: 1\n\ndn: a=b\n\ndn: a=c\nobjectClass: old-user\nobjectClass: old-list\n\n\ndn: a=d\noldFilter: old\n\n"))
	if err != nil || met.Entries != 3 || met.Changed != 2 || met.Classes["old-user"] != 1 || met.Classes["old-list"] != 1 || len(met.Unread) != 1 {
		t.Errorf("%+v, %v", met, err)
	}
}

// converted is what an entry becomes, by a table and nothing of the code under test but the renaming of filters.
func converted(e host.Entry) host.Entry {
	r := oldToNew()
	to := host.Entry{DN: e.DN, Attributes: map[string][]string{}}
	for _, name := range slices.Sorted(maps.Keys(e.Attributes)) {
		bare, options, optioned := strings.Cut(name, ";")
		key, named := strings.ToLower(bare), name
		if renamed := r.Attributes[key]; renamed != "" {
			if named = renamed; optioned {
				named += ";" + options
			}
		}
		for _, v := range e.Attributes[name] {
			switch {
			case key == "oldfilter":
				if renamed, err := r.Filter(v); err == nil {
					v = renamed
				}
			case key == "objectclass" || key == "structuralobjectclass":
				if renamed := r.Classes[strings.ToLower(v)]; renamed != "" {
					v = renamed
				}
			}
			addValue(&to, named, v)
		}
	}
	return to
}

// bothNames tells whether old and new names stand beside each other, or an attribute is named in two ways.
func bothNames(e host.Entry) bool {
	r, seen := oldToNew(), map[string]bool{}
	for name, values := range e.Attributes {
		bare, options, _ := strings.Cut(strings.ToLower(name), ";")
		if to := r.Attributes[bare]; to != "" {
			bare = strings.ToLower(to)
		}
		if seen[bare+";"+options] {
			return true
		}
		seen[bare+";"+options] = true
		classes := map[string]bool{}
		for _, v := range values {
			class := strings.ToLower(v)
			if to := r.Classes[class]; to != "" {
				class = to
			}
			if classes[class] {
				return true
			}
			classes[class] = true
		}
	}
	return false
}

func folded(e host.Entry) string {
	var lines []string
	for name, values := range e.Attributes {
		for _, v := range values {
			lines = append(lines, strings.ToLower(name)+"="+v)
		}
	}
	slices.Sort(lines)
	return e.DN + "\n" + strings.Join(lines, "\n")
}

// FuzzRewrite: what is rewritten is read as what the entries become, each for itself; rewritten again it stays the
// same; and entries that are written are read again as they were.
func FuzzRewrite(f *testing.F) {
	f.Add("dn: cn=a\nobjectClass: old-user\noldQuota: 1\noldAliases;x:: b2xk\n\n# c\n d\ndn: cn=b\nolD\n Filter: (oldQuota=1)\n")
	f.Add("version: 1\r\ndn:: Y249YQ==\r\nstructuralObjectClass: old-list\r\nnewQuota: 1\r\n\r\n")
	f.Add("dn: cn=a\nobjectClass: old-user\nobjectClass: new-user\noldAliases: a\nnewAliases: b\n")
	f.Fuzz(func(t *testing.T, text string) {
		before, err := ParseLDIF(text, 1)
		if err != nil {
			return
		}
		again, err := ParseLDIF(FormatLDIF(before), 1)
		if err != nil || len(again) != len(before) {
			t.Fatalf("%q is read, written, and read as %d entries, %v", text, len(again), err)
		}
		for i := range before {
			if folded(again[i]) != folded(before[i]) {
				t.Fatalf("%q is read, written, and read as %q", folded(before[i]), folded(again[i]))
			}
		}
		var once, twice strings.Builder
		if _, err := oldToNew().Rewrite(&once, strings.NewReader(text)); err != nil {
			if !strings.Contains(err.Error(), "would have different values") {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		after, err := ParseLDIF(once.String(), 1)
		if err != nil || len(after) != len(before) {
			t.Fatalf("%q becomes %q: %v", text, once.String(), err)
		}
		for i := range before {
			if got, want := folded(after[i]), folded(converted(before[i])); got != want && !bothNames(before[i]) {
				t.Fatalf("%q becomes %q, want %q", folded(before[i]), got, want)
			}
		}
		if _, err := oldToNew().Rewrite(&twice, strings.NewReader(once.String())); err != nil || twice.String() != once.String() {
			t.Fatalf("%q becomes %q, and that %q, %v", text, once.String(), twice.String(), err)
		}
	})
}

// TestSum is the same for the same entries in any order and form, and for no others.
func TestSum(t *testing.T) {
	sum := func(text string) string {
		s, err := SumOf(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		return s.String()
	}
	one := sum("dn: cn=a\ncn: a\nsn: long\n\ndn: cn=b\ncn: b\n")
	if same := sum("# comment\nversion: 1\n\n\ndn: cn=b\r\nCN:: Yg==\r\n\ndn: cn=a\nsn: lo\n ng\ncn: a"); same != one {
		t.Errorf("%s and %s", one, same)
	}
	for _, text := range []string{"", "dn: cn=a\ncn: a\nsn: long\n", "dn: cn=a\ncn: a\n\ndn: cn=b\ncn: b\nsn: long\n", "dn: cn=a\ncn: a\nsn: Long\n\ndn: cn=b\ncn: b\n"} {
		if sum(text) == one {
			t.Errorf("%q has the same sum", text)
		}
	}
	if s, err := SumOf(strings.NewReader("dn: cn=a\ncn: a\n\ndn: cn=a\ncn: a\n")); err != nil || s.Entries != 2 || s.String() == (Sum{}).String() {
		t.Errorf("%v, %v", s, err)
	}
}
