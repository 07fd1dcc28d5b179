// Package ldap tests the conversion of a directory against a real OpenLDAP server.
package ldap

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/live"
)

// The schema of ZCP (and of Kopano, with the other prefix and OID): which attributes are numbers, which have one value,
// and what the classes allow.
const (
	numbers = "QuotaOverride QuotaWarn QuotaSoft QuotaHard Admin SharedStoreOnly Account Hidden SecurityGroup HttpPort SslPort ContainsPublic ResourceCapacity"
	singles = "ResourceType UserServer SystemAdmin FilePath Filter Base"
	lists   = "SendAsPrivilege Aliases EnabledFeatures ViewPrivilege AdminPrivilege"
)

var classes = map[string]string{
	"user":         "AUXILIARY MUST cn MAY ( QuotaOverride $ QuotaWarn $ QuotaSoft $ QuotaHard $ SendAsPrivilege $ Admin $ SharedStoreOnly $ ResourceType $ ResourceCapacity $ Account $ Hidden $ Aliases $ UserServer $ EnabledFeatures )",
	"contact":      "AUXILIARY MUST ( cn $ uidNumber ) MAY ( SendAsPrivilege $ Hidden $ Aliases $ Account )",
	"group":        "AUXILIARY MUST cn MAY ( Account $ Hidden $ mail $ Aliases $ SecurityGroup $ SendAsPrivilege )",
	"company":      "AUXILIARY MUST ou MAY ( Account $ Hidden $ ViewPrivilege $ AdminPrivilege $ SystemAdmin $ QuotaOverride $ QuotaWarn )",
	"server":       "AUXILIARY MUST cn MAY ( Account $ Hidden $ HttpPort $ SslPort $ FilePath $ ContainsPublic )",
	"addresslist":  "STRUCTURAL MUST cn MAY ( Account $ Hidden $ Filter $ Base )",
	"dynamicgroup": "STRUCTURAL MUST cn MAY ( Account $ Hidden $ mail $ Aliases $ Filter $ Base )",
}

// schema writes the definitions with a prefix, below an OID.
func schema(prefix, oid string) string {
	var b strings.Builder
	n := 0
	for kind, names := range map[string]string{"27 SINGLE-VALUE": numbers, "15 SINGLE-VALUE": singles, "15": lists} {
		rule := "caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch"
		if strings.HasPrefix(kind, "27") {
			rule = "integerMatch"
		}
		syntax, rest, _ := strings.Cut(kind, " ")
		for name := range strings.FieldsSeq(names) {
			n++
			fmt.Fprintf(&b, "attributetype ( %s.1.%d NAME '%s%s' EQUALITY %s SYNTAX 1.3.6.1.4.1.1466.115.121.1.%s %s )\n", oid, n, prefix, name, rule, syntax, rest)
		}
	}
	for name, definition := range classes {
		n++
		for attribute := range strings.FieldsSeq(numbers + " " + singles + " " + lists) {
			definition = strings.ReplaceAll(definition, " "+attribute+" ", " "+prefix+attribute+" ")
		}
		fmt.Fprintf(&b, "objectclass ( %s.2.%d NAME '%s-%s' SUP top %s )\n", oid, n, prefix, name, definition)
	}
	return b.String()
}

// ownConn is how the host of a server reaches it.
var ownConn = host.DirectoryConn{URLs: []string{"ldapi://%2Fldapi"}, BindDN: "cn=admin,dc=example,dc=org", Password: host.NewSecret("s3cr3t!")}

// slapd starts a server with both schemas and these entries, on a socket inside a new host.
func slapd(t testing.TB, ldif string) (*live.Host, host.DirectoryConn) {
	t.Helper()
	h, conn, _ := slapdIn(t, ldif, unsynced)
	return h, conn
}

// unsynced has a database not wait for its disk.
const unsynced = "dbnosync"

// slapdIn is slapd with a setting of its database, and tells which directory the host is.
func slapdIn(t testing.TB, ldif, setting string) (*live.Host, host.DirectoryConn, string) {
	t.Helper()
	program := "/usr/sbin/slapd"
	if _, err := os.Stat(program); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("slapd is not installed")
		}
		t.Skip("slapd is not installed")
	}
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if err := os.Mkdir(filepath.Join(dir, "db"), 0o700); err != nil {
		t.Fatal(err)
	}
	config := write("slapd.conf", fmt.Sprintf(`include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/nis.schema
%s%smodulepath /usr/lib/ldap
moduleload back_mdb
sizelimit unlimited
database mdb
maxsize 1073741824
%s
suffix "dc=example,dc=org"
rootdn "cn=admin,dc=example,dc=org"
rootpw "s3cr3t!"
directory %s/db
`, schema("zarafa", "1.3.6.1.4.1.4203.666.80"), schema("kopano", "1.3.6.1.4.1.4203.666.81"), setting, dir))
	add := exec.Command(program, "-T", "add", "-q", "-f", config, "-l", write("init.ldif", ldif))
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("slapadd: %v: %s", err, out)
	}
	socket := strings.ReplaceAll(filepath.Join(dir, "ldapi"), "/", "%2F")
	cmd := exec.Command(program, "-d", "0", "-f", config, "-h", "ldapi://"+socket)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	h, err := live.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	for { // if it never answers, the test never ends
		if session, err := h.OpenDirectory(t.Context(), ownConn); err == nil {
			session.Close()
			return h, ownConn, dir
		}
		time.Sleep(20 * time.Millisecond)
	}
}
