package runbook

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
	Title    string   `json:"title"`
	Reason   string   `json:"reason,omitempty"`
	Remedy   string   `json:"remedy,omitempty"`
	Step     string   `json:"step,omitempty"`
	Pos      string   `json:"pos,omitempty"`
}
