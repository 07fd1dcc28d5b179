package directory

import (
	"strings"
	"testing"
)

func oldToNew() *Renaming {
	return &Renaming{
		Attributes: map[string]string{"oldquota": "newQuota", "oldaliases": "newAliases", "1.2.3.4": "newQuota", "oldfilter": "newFilter"},
		Classes:    map[string]string{"old-user": "new-user", "old-list": "new-list", "1.2.3.5": "new-user"},
		Spelled:    []string{"oldQuota", "oldAliases", "oldFilter"},
		Structural: []string{"old-list"}, Single: []string{"oldquota", "oldfilter"}, Filters: []string{"oldfilter"},
	}
}

// TestFilter renames attributes and classes, and nothing else; what it cannot read it leaves alone.
func TestFilter(t *testing.T) {
	for filter, want := range map[string]string{
		"(oldQuota=1)": "(newQuota=1)",
		"oldQuota=1":   "newQuota=1",
		" ( & ( OLDQUOTA = 1 )(!( cn=old-user )) ) ":    " ( & ( newQuota = 1 )(!( cn=old-user )) ) ",
		"&(oldQuota=1)(a=b)":                            "&(newQuota=1)(a=b)",
		"!(oldQuota=*)":                                 "!(newQuota=*)",
		"(|(oldQuota>=1)(oldQuota<=9)(oldQuota~=5))":    "(|(newQuota>=1)(newQuota<=9)(newQuota~=5))",
		"(oldAliases;lang-de=*oldAliases*)":             "(newAliases;lang-de=*oldAliases*)",
		"(oldQuota:integerMatch:=1)":                    "(newQuota:integerMatch:=1)",
		"(oldQuota:dn:2.5.13.5:=1)":                     "(newQuota:dn:2.5.13.5:=1)",
		"(:dn:2.5.13.5:=oldQuota)":                      "(:dn:2.5.13.5:=oldQuota)",
		"(1.2.3.4=1)":                                   "(newQuota=1)",
		"(objectClass=old-user)":                        "(objectClass=new-user)",
		"(objectclass= Old-User )":                      "(objectclass= new-user )",
		`(objectClass=old\2duser)`:                      "(objectClass=new-user)",
		"(objectClass=1.2.3.5)":                         "(objectClass=new-user)",
		"(structuralObjectClass=old-list)":              "(structuralObjectClass=new-list)",
		"(objectClass:objectIdentifierMatch:=old-user)": "(objectClass:objectIdentifierMatch:=new-user)",
		"(objectClass=old-*)":                           "(objectClass=old-*)",
		"(description=old-user oldQuota)":               "(description=old-user oldQuota)",
		"(memberOf=cn=old-user,dc=example)":             "(memberOf=cn=old-user,dc=example)",
		"(cn=oldQuota=1)":                               "(cn=oldQuota=1)",
		"(oldQuotas=1)":                                 "(oldQuotas=1)",
		"(&)":                                           "(&)",
	} {
		if got, err := oldToNew().Filter(filter); err != nil || got != want {
			t.Errorf("%s becomes %s, %v; want %s", filter, got, err, want)
		}
	}
	for _, bad := range []string{"", "(", "(oldQuota=1", "(oldQuota=1))", "(oldQuota)", "(&(oldQuota=1)", "(oldQuota=1)(a=b)", "(!oldQuota=1)", strings.Repeat("(!", 5000) + "(oldQuota=1)" + strings.Repeat(")", 5000)} {
		if got, err := oldToNew().Filter(bad); err == nil || got != bad {
			t.Errorf("%.40q becomes %.40q, %v", bad, got, err)
		}
	}
}

// FuzzFilter reads any filter without harm; one that is read has no old name left outside values, and is read again
// without a change.
func FuzzFilter(f *testing.F) {
	for _, seed := range []string{"(oldQuota=1)", `(&(objectClass=old\2duser)(!(oldAliases=*a*)))`, "oldQuota:x:=1", " ( | (a=b) ) "} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, filter string) {
		once, err := oldToNew().Filter(filter)
		if err != nil {
			if once != filter {
				t.Errorf("%q cannot be read, and becomes %q", filter, once)
			}
			return
		}
		twice, err := oldToNew().Filter(once)
		if err != nil || twice != once {
			t.Errorf("%q becomes %q, and that %q, %v", filter, once, twice, err)
		}
		back, err := oldToNew().Back().Filter(once)
		if err != nil || strings.Count(back, "(") != strings.Count(filter, "(") {
			t.Errorf("%q becomes %q, and back %q, %v", filter, once, back, err)
		}
	})
}
