package sim

import (
	"strings"
	"testing"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/hosttest"
)

// standardClasses are those of RFC 4519 and 4512 that the suite's entries have.
const standardClasses = `objectClasses: ( 2.5.6.0 NAME 'top' ABSTRACT MUST objectClass )
objectClasses: ( 0.9.2342.19200300.100.4.13 NAME 'domain' SUP top STRUCTURAL MUST dc )
objectClasses: ( 2.5.6.5 NAME 'organizationalUnit' SUP top STRUCTURAL MUST ou MAY description )
objectClasses: ( 2.5.6.6 NAME 'person' SUP top STRUCTURAL MUST ( sn $ cn ) MAY description )
attributeTypes: ( 2.5.4.0 NAME 'objectClass' EQUALITY objectIdentifierMatch )
attributeTypes: ( 0.9.2342.19200300.100.1.25 NAME ( 'dc' 'domainComponent' ) EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch SINGLE-VALUE )
attributeTypes: ( 2.5.4.11 NAME ( 'ou' 'organizationalUnitName' ) EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch )
attributeTypes: ( 2.5.4.3 NAME ( 'cn' 'commonName' ) EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch )
attributeTypes: ( 2.5.4.4 NAME ( 'sn' 'surname' ) EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch )
attributeTypes: ( 2.5.4.13 NAME 'description' EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch )
`

// TestDirectorySuite runs the suite of directories.
func TestDirectorySuite(t *testing.T) {
	schema := "dn: cn=Subschema\nobjectClass: subschema\n" + standardClasses
	for _, a := range hosttest.Attributes {
		schema += "attributeTypes: " + a + "\n"
	}
	for _, c := range hosttest.Classes {
		schema += "objectClasses: " + c + "\n"
	}
	h := hostOf(t, "-- host --\nhostname: h\n-- directory --\n"+strings.TrimSuffix(hosttest.DirectoryLDIF, "\n")+"\n"+schema)
	hosttest.Directory(t, h, host.DirectoryConn{})
}
