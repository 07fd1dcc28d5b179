package runbook_test

import (
	"strings"
	"testing"

	"zcp2kopano/runtime/script"
)

func TestGuardsAreChecked(t *testing.T) {
	for bad, say := range map[string]string{
		`guard("a b", locks = ["/x"], doing = "y")`:                  "not the name of a service",
		`guard("a", locks = [], doing = "y")`:                        "needs one at least",
		`guard("a", locks = ["/x"], doing = "y", asks = "gopher:x")`: "unknown protocol",
	} {
		files := stock(map[string]string{"demo.star": "runbook = define(steps = [], guards = [" + bad + "])\n"})
		if _, err := load(t, script.LoadOptions{Name: "demo", Stock: files}); err == nil || !strings.Contains(err.Message, say) {
			t.Errorf("%s: %+v; want %q", bad, err, say)
		}
	}
}
