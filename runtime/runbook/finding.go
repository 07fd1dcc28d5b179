package runbook

import (
	"regexp"
	"strings"
)

// Severity of a finding.
type Severity string

// The severities, mildest first.
const (
	Info      Severity = "info"
	Warning   Severity = "warning"
	Inhibitor Severity = "inhibitor"
)

// Finding is a preflight result.
type Finding struct {
	Severity Severity `json:"severity"`
	Key      string   `json:"key,omitempty"` // which one it is, whatever its title says: "attachments/s3-prefix"
	Title    string   `json:"title"`
	Reason   string   `json:"reason,omitempty"`
	Remedy   string   `json:"remedy,omitempty"`
	Step     string   `json:"step,omitempty"`
	Pos      string   `json:"pos,omitempty"`

	Final      bool   `json:"final,omitempty"`      // an inhibitor that nobody can override: data would be lost
	Overridden string `json:"overridden,omitempty"` // an inhibitor that the admin has overridden: why
}

var (
	findingKey = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*(/[a-z0-9]+(-[a-z0-9]+)*)*$`)
	notOfKey   = regexp.MustCompile(`[^a-z0-9]+`)
)

// IsFindingKey reports whether a text can be the key of a finding.
func IsFindingKey(key string) bool { return findingKey.MatchString(key) }

// notLookedAt ends the title of what look() finds when the function that it calls fails.
const notLookedAt = " could not be looked at"

// FailedLook reports whether something could not be looked at, which says nothing of what is there.
func (f *Finding) FailedLook() bool { return strings.HasSuffix(f.Title, notLookedAt) }

// Name gives a finding that has no key one that is made of its title. It changes with that.
func (f *Finding) Name() {
	if f.Key == "" {
		f.Key = strings.Trim(notOfKey.ReplaceAllString(strings.ToLower(f.Title), "-"), "-")
	}
}

// Overrule makes a warning of an inhibitor that the admin has overridden, unless it is final.
func (f *Finding) Overrule(reasons map[string]string) {
	reason, asked := reasons[f.Key]
	switch {
	case f.Severity != Inhibitor || !asked:
	case f.Final:
		f.Remedy = strings.TrimPrefix(f.Remedy+"; it cannot be overridden: data would be lost", "; ")
	default:
		f.Severity, f.Overridden = Warning, reason
	}
}
