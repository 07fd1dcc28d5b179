// Package directory is what is true of an LDAP directory on any host: what result codes mean, LDIF, filters as text,
// schemas, and how the names of one schema in entries become those of another.
package directory

import (
	"errors"
	"fmt"

	"github.com/go-ldap/ldap/v3"
)

// ActiveDirectory is among the supportedCapabilities of Microsoft's server, and of Samba's (MS-ADTS 3.1.1.3.4.3.1).
const ActiveDirectory = "1.2.840.113556.1.4.800"

// Error is why a server refused something.
type Error struct {
	Code uint16
	Text string // what the server said of it
}

// meanings are the result codes (RFC 4511, 4.1.9) in words, each with the next step.
var meanings = map[uint16]string{
	ldap.LDAPResultOperationsError:              "the server failed; its log says why",
	ldap.LDAPResultTimeLimitExceeded:            "Time Limit Exceeded: raise the server's time limit for this user (timelimit, olcTimeLimit), or index what the filter names",
	ldap.LDAPResultSizeLimitExceeded:            "Size Limit Exceeded: raise the server's size limit for this user (sizelimit, olcLimits)",
	ldap.LDAPResultStrongAuthRequired:           "the server wants an encrypted session: use ldaps:// or StartTLS",
	ldap.LDAPResultReferral:                     "the server refers to another one: connect to the server that may be written to",
	ldap.LDAPResultAdminLimitExceeded:           "an administrative limit of the server is exceeded: raise it for this user",
	ldap.LDAPResultUnavailableCriticalExtension: "the server does not know a control",
	ldap.LDAPResultConfidentialityRequired:      "the server wants an encrypted session: use ldaps:// or StartTLS",
	ldap.LDAPResultNoSuchAttribute:              "a value that was to be deleted is not there (any more)",
	ldap.LDAPResultUndefinedAttributeType:       "the server's schema does not know an attribute: add the schema",
	ldap.LDAPResultConstraintViolation:          "a value breaks a rule of the attribute, or of an overlay such as unique",
	ldap.LDAPResultAttributeOrValueExists:       "a value that was to be added is there already",
	ldap.LDAPResultInvalidAttributeSyntax:       "a value does not have the attribute's syntax",
	ldap.LDAPResultNoSuchObject:                 "no such object",
	ldap.LDAPResultInvalidCredentials:           "the user or the password is wrong",
	ldap.LDAPResultInsufficientAccessRights:     "the user lacks the right: give it write access, or bind as one who has it",
	ldap.LDAPResultBusy:                         "the server is busy: try again",
	ldap.LDAPResultUnavailable:                  "the server is shutting down or starting: try again when it runs",
	ldap.LDAPResultUnwillingToPerform:           "the server refuses: it may be a read-only replica, or its policy forbids it",
	ldap.LDAPResultObjectClassViolation:         "the entry would break the schema: an attribute that no class of it allows, or a missing one",
	ldap.LDAPResultNotAllowedOnNonLeaf:          "there are entries below it",
	ldap.LDAPResultEntryAlreadyExists:           "such an entry is there already",
	ldap.LDAPResultObjectClassModsProhibited:    "the server does not let an entry's structural class be changed",
	ldap.ErrorNetwork:                           "the connection broke: see that the server runs",
}

// Error puts the meaning before the server's own words.
func (e *Error) Error() string {
	meaning := meanings[e.Code]
	if meaning == "" {
		meaning = ldap.LDAPResultCodeMap[e.Code]
	}
	text := fmt.Sprintf("%s (LDAP result %d", meaning, e.Code)
	if e.Text != "" {
		text += ": " + e.Text
	}
	return text + ")"
}

// Explain says what a library's error means; others stay as they are.
func Explain(err error) error {
	var raw *ldap.Error
	if !errors.As(err, &raw) || raw.ResultCode >= ldap.ErrorNetwork && meanings[raw.ResultCode] == "" {
		return err
	}
	e := &Error{Code: raw.ResultCode}
	if raw.Err != nil {
		e.Text = raw.Err.Error()
	}
	return e
}

// Code is the result code of an error; 0 if no server gave one.
func Code(err error) uint16 {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

// Is tells whether an error has one of these codes.
func Is(err error, codes ...uint16) bool {
	code := Code(err)
	for _, c := range codes {
		if c == code && code != 0 {
			return true
		}
	}
	return false
}
