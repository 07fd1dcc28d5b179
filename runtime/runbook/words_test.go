package runbook_test

import (
	"strings"
	"testing"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/runbook"
)

// A rollback has a runbook without a program: it masks all secrets that it is given, also those that are made of words.
func TestSecretsWithoutAProgram(t *testing.T) {
	rollback := &runbook.Runbook{Name: "ZCP to Kopano"}
	known := rollback.KnownSecrets(map[string]host.Secret{"password": host.NewSecret("correct-horse/battery.staple")})
	if got := known.Mask("it is correct-horse/battery.staple"); strings.Contains(got, "horse") {
		t.Errorf("got %q", got)
	}
}
