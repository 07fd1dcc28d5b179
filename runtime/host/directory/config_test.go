package directory

import (
	"slices"
	"strings"
	"testing"

	"zcp2kopano/runtime/host"
)

// TestWords renames attributes and classes where a configuration means them, and not in values.
func TestWords(t *testing.T) {
	for text, want := range map[string]string{
		"{1}to attrs=oldQuota,cn,OLDALIASES,@old-user by * read":       "{1}to attrs=newQuota,cn,newAliases,@new-user by * read",
		"to filter=(&(objectClass=old-user)(oldQuota=1)(cn=oldQuota))": "to filter=(&(objectClass=new-user)(newQuota=1)(cn=oldQuota))",
		`to dn.subtree="cn=old-user,ou=oldQuota,dc=example" by * none`: `to dn.subtree="cn=old-user,ou=oldQuota,dc=example" by * none`,
		"ldap:///ou=people?oldAliases,mail?sub?(objectClass=old-list)": "ldap:///ou=people?newAliases,mail?sub?(objectClass=new-list)",
		"oldAliases,mail eq,sub":                                          "newAliases,mail eq,sub",
		"oldAliasesX,xoldQuota,old-users eq":                              "oldAliasesX,xoldQuota,old-users eq",
		`syncrepl rid=1 provider=ldap://old-user attrs="oldQuota,*" type`: `syncrepl rid=1 provider=ldap://old-user attrs="newQuota,*" type`,
		`by set="this/oldAliases & user" write`:                           `by set="this/newAliases & user" write`,
		"by dnattr=oldAliases write":                                      "by dnattr=newAliases write",
		`(targetattr="oldQuota || cn")(targattrfilters="add=oldQuota:(oldQuota=1),del=oldAliases:(a=oldQuota)")(version 3.0; acl "cn=oldQuota"; allow (read) userdn="ldap:///cn=oldQuota,dc=x??sub?(oldAliases=*)";)`: `(targetattr="newQuota || cn")(targattrfilters="add=newQuota:(newQuota=1),del=newAliases:(a=oldQuota)")(version 3.0; acl "cn=oldQuota"; allow (read) userdn="ldap:///cn=oldQuota,dc=x??sub?(newAliases=*)";)`,
		"attribute=oldAliases":    "attribute=newAliases",
		"oldAliases;lang-de pres": "newAliases;lang-de pres",
	} {
		if got := oldToNew().Words(text); got != want {
			t.Errorf("%s\n becomes %s\n want    %s", text, got, want)
		}
	}
}

// TestIndexes keeps an index that a new name has already.
func TestIndexes(t *testing.T) {
	got := oldToNew().Indexes([]string{"objectClass eq", "oldQuota,oldAliases,mail eq", "newQuota eq,pres", "oldFilter pres", "newFilter pres"})
	if want := []string{"objectClass eq", "newAliases,mail eq", "newQuota eq,pres", "newFilter pres"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestConfigFile renames in the statements of a slapd.conf, and leaves its comments and its schema.
func TestConfigFile(t *testing.T) {
	const before = `# index oldQuota eq
include /etc/ldap/schema/oldQuota.schema
attributetype ( 1.2.3.4 NAME 'oldQuota'
	SYNTAX 1.3 )
access to attrs=userPassword,oldQuota
	by group="cn=old-user,dc=example" write
	by * read

database mdb
suffix "ou=oldQuota"
index	oldQuota,oldAliases	eq,sub
index oldQuota pres
index newQuota eq
overlay unique
unique_uri ldap:///?oldAliases?sub
`
	want := strings.NewReplacer("attrs=userPassword,oldQuota", "attrs=userPassword,newQuota", "index	oldQuota,oldAliases	eq,sub", "index newAliases eq,sub",
		"index oldQuota pres", "# index oldQuota pres", "?oldAliases?", "?newAliases?").Replace(before)
	if got := oldToNew().ConfigFile(before); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if again := oldToNew().ConfigFile(want); again != want {
		t.Errorf("once more it becomes\n%s", again)
	}
	if found := oldToNew().Mentions("f", before); len(found) != 4 || found[1].Text != "index	oldQuota,oldAliases	eq,sub" {
		t.Errorf("mentions %q", found)
	}
}

// TestEntryMentions finds old names in entries of a configuration, and shows no password.
func TestEntryMentions(t *testing.T) {
	r := oldToNew()
	for _, c := range []struct {
		attributes map[string][]string
		want       []Mention
	}{
		{map[string][]string{"olcSyncrepl": {`{0}rid=1 bindmethod=simple credentials="a secret" attrs="oldQuota"`}},
			[]Mention{{"cn=x,cn=config olcSyncrepl", `{0}rid=1 bindmethod=simple credentials=*** attrs="oldQuota"`, `{0}rid=1 bindmethod=simple credentials=*** attrs="newQuota"`}}},
		{map[string][]string{"olcRootPW": {"oldQuota"}, "olcSuffix": {"o=oldQuota"}, "description": {"oldQuota"}}, nil},
		{map[string][]string{"nsslapd-pluginarg0": {"attribute=oldAliases"}, "referint-membership-attr": {"member", "oldAliases"}},
			[]Mention{{"cn=x,cn=config nsslapd-pluginarg0", "attribute=oldAliases", "attribute=newAliases"}, {"cn=x,cn=config referint-membership-attr", "oldAliases", "newAliases"}}},
		{map[string][]string{"objectClass": {"top", "nsIndex"}, "cn": {"OLDQUOTA"}}, []Mention{{"cn=x,cn=config", "an index of OLDQUOTA", "one of newQuota beside it"}}},
		{map[string][]string{"objectClass": {"top"}, "cn": {"oldQuota"}}, nil},
	} {
		if got := r.EntryMentions(host.Entry{DN: "cn=x,cn=config", Attributes: c.attributes}); !slices.Equal(got, c.want) {
			t.Errorf("%q: %q", c.attributes, got)
		}
	}
	secret := r.Mentions("f", "syncrepl rid=1 credentials=hunter2 attrs=oldQuota\n")
	if len(secret) != 1 || secret[0].New != "syncrepl rid=1 credentials=*** attrs=newQuota" {
		t.Errorf("%q", secret)
	}
}

func TestDefinition(t *testing.T) {
	r := oldToNew()
	r.Numbers = map[string]string{"1.2.99": "1.2.100"}
	got := r.Definition("( 1.2.99.1.1 NAME 'oldQuota' DESC 'OLD: quota 1.2.999.1' SYNTAX 1.3.6 ) ( 1.2.99.2 NAME 'old-user' MUST cn MAY ( oldQuota $ oldAliases ) )")
	if want := "( 1.2.100.1.1 NAME 'newQuota' DESC 'OLD: quota 1.2.999.1' SYNTAX 1.3.6 ) ( 1.2.100.2 NAME 'new-user' MUST cn MAY ( newQuota $ newAliases ) )"; got != want {
		t.Errorf("got %s", got)
	}
}
