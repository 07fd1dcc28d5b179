package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/hosttest"
	"zcp2kopano/runtime/host/live"
	"zcp2kopano/runtime/host/sim"
)

// ServiceOutcomes are those of the same calls on the root, and on a simulation of it that began
// at the same state.
type ServiceOutcomes struct{ Real, Simulated []hosttest.ServiceOutcome }

// TellServices makes calls on the root's services, one after the other.
func (r *Root) TellServices(ops ...hosttest.ServiceOp) ServiceOutcomes {
	r.t.Helper()
	var outcomes ServiceOutcomes
	r.ask(question{Services: ops}, &outcomes)
	return outcomes
}

func answerServices(view host.View, ops []hosttest.ServiceOp) error {
	simulated, err := sim.FromView(view, sim.Options{})
	if err != nil {
		return err
	}
	defer simulated.Close()
	real, err := live.Open("/")
	if err != nil {
		return err
	}
	defer real.Close()
	var answer ServiceOutcomes
	for _, op := range ops { // the simulation reads the root while it is as it was
		answer.Simulated = append(answer.Simulated, op.On(simulated))
	}
	for _, op := range ops {
		answer.Real = append(answer.Real, op.On(real))
	}
	return json.NewEncoder(os.Stdout).Encode(answer)
}

// PutService gives the root what a case of the suite of services wants.
func (r *Root) PutService(c hosttest.ServiceCase) {
	r.t.Helper()
	for path, text := range c.Files {
		r.WriteFile(path, text, 0o755)
	}
	for _, name := range c.Programs {
		r.Must("cp", "/usr/bin/sleep", hosttest.ServiceProgram(name))
	}
	if c.Links == "" {
		return
	}
	r.Must("update-rc.d", c.ServiceName(), "defaults")
	links, err := filepath.Glob(r.Path("/etc/rc?.d/???" + c.ServiceName()))
	if err != nil {
		r.t.Fatal(err)
	}
	for _, link := range links {
		if level := filepath.Base(filepath.Dir(link))[2:3]; strings.Contains(c.Links, level) {
			continue
		}
		if err := os.Remove(link); err != nil {
			r.t.Fatal(err)
		}
	}
}
