package engine

import (
	"encoding/json"
	"testing"

	"zcp2kopano/runtime/host/sim"
	"zcp2kopano/runtime/runbook"
)

// FuzzPlan reads damaged plans, and asks of each whether it is for this machine, and how a run departs from it.
func FuzzPlan(f *testing.F) {
	for _, seed := range []string{
		`{"format":2,"program":"1","made":"2024-01-01T00:00:00Z","machine_id":"m","runbook":"r","modules":"d","params":{"a":"b"},"salt":"s","calls":[{"builtin":"fs.write","pos":"a:1:1","args":{"path":"/x"},"actions":[{"kind":"fs.write","data":{"blob":{"sha256":"keyed:00","size":1}}}],"found":[null,{"/x":{"exists":true}}]}]}`,
		`{"format":1}`, `{"calls":[{"args":[[[[1]]],{}],"result":"x"}]}`, `null`,
	} {
		f.Add([]byte(seed))
	}
	fixture, err := sim.ReadFixture([]byte("-- host --\nhostname: a\nmachine-id: 0123456789abcdef0123456789abcdef\n"))
	if err != nil {
		fixture, err = sim.ReadFixture([]byte("-- host --\nhostname: a\n"))
	}
	if err != nil {
		f.Fatal(err)
	}
	h, err := fixture.Host(sim.Options{})
	if err != nil {
		f.Fatal(err)
	}
	cfg := Config{Host: h, Runbook: &runbook.Runbook{Name: "r"}, Params: map[string]string{"a": "b"}}
	f.Fuzz(func(t *testing.T, data []byte) {
		var p Plan
		if json.Unmarshal(data, &p) != nil {
			return
		}
		_ = p.Check(cfg)
		for _, c := range p.Calls {
			if told := departures(c.Args, c.Args); told != "" {
				t.Errorf("%s departs from itself: %s", c.Args, told)
			}
			_ = departures(c.Args, c.Result)
			for _, a := range c.Actions {
				_ = departures(a.Data, cover(a.Data, p.Salt))
			}
		}
	})
}
