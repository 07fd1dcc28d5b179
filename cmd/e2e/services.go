package e2e

import (
	"context"
	"encoding/json"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/live"
	"zcp2kopano/runtime/host/sim"
)

// ServiceOp is one call of host.ServiceWriter: Do is "start", "stop", "enable", "disable", "mask",
// "unmask" or "reload".
type ServiceOp struct {
	Do, Name string
	Patience time.Duration // of a stop
}

// ServiceOutcome is how a call ended, and how the service was then.
type ServiceOutcome struct {
	Error     string
	State     string   // "active enabled", ...; "unknown"
	Processes int      // that run the service's program
	Links     []string // that start or mask services at boot
}

// ServiceOutcomes are those of the same calls on the root, and on a simulation of it that began
// at the same state.
type ServiceOutcomes struct{ Real, Simulated []ServiceOutcome }

// TellServices makes calls on the root's services, one after the other.
func (r *Root) TellServices(ops ...ServiceOp) ServiceOutcomes {
	r.t.Helper()
	var outcomes ServiceOutcomes
	r.ask(question{Services: ops}, &outcomes)
	return outcomes
}

func answerServices(view host.View, ops []ServiceOp) error {
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
		answer.Simulated = append(answer.Simulated, op.on(simulated))
	}
	for _, op := range ops {
		answer.Real = append(answer.Real, op.on(real))
	}
	return json.NewEncoder(os.Stdout).Encode(answer)
}

func (op ServiceOp) on(h host.Host) ServiceOutcome {
	var o ServiceOutcome
	if err := op.call(h); err != nil {
		o.Error = err.Error()
	}
	o.State = "unknown"
	list, err := h.Services(op.Name)
	if err != nil {
		o.State = err.Error()
	}
	for _, s := range list {
		o.State = stateWords(s)
	}
	processes, err := h.Processes()
	if err != nil {
		o.State += ", " + err.Error()
	}
	for _, p := range processes {
		if p.Name == op.Name {
			o.Processes++
		}
	}
	o.Links = bootLinks(h)
	return o
}

func (op ServiceOp) call(h host.Host) error {
	switch op.Do {
	case "start":
		return h.StartService(context.Background(), op.Name)
	case "stop":
		return h.StopService(context.Background(), op.Name, op.Patience)
	case "enable":
		return h.EnableService(op.Name)
	case "disable":
		return h.DisableService(op.Name)
	case "mask":
		return h.MaskService(op.Name)
	case "unmask":
		return h.UnmaskService(op.Name)
	}
	return h.ReloadServices()
}

func stateWords(s host.Service) string {
	var words []string
	for _, w := range []struct {
		is   bool
		word string
	}{{s.Active, "active"}, {s.Failed, "failed"}, {s.Enabled, "enabled"}, {s.Masked, "masked"}} {
		if w.is {
			words = append(words, w.word)
		}
	}
	if len(words) == 0 {
		return "-"
	}
	return strings.Join(words, " ")
}

// bootLinks are the symlinks in /etc that make services start or masked; the sequence number of an
// init script is left out.
func bootLinks(v host.View) []string {
	dirs := []string{"/etc/systemd/system"}
	if entries, err := v.ReadDir(dirs[0]); err == nil {
		for _, e := range entries {
			if e.Type.IsDir() {
				dirs = append(dirs, path.Join(dirs[0], e.Name))
			}
		}
	}
	for _, level := range "0123456S" {
		dirs = append(dirs, "/etc/rc"+string(level)+".d")
	}
	var links []string
	for _, dir := range dirs {
		entries, _ := v.ReadDir(dir)
		for _, e := range entries {
			target, err := v.Readlink(path.Join(dir, e.Name))
			if err != nil {
				continue
			}
			name := e.Name
			if strings.HasPrefix(dir, "/etc/rc") && len(name) > 3 {
				name = name[:1] + name[3:]
			}
			links = append(links, path.Join(dir, name)+" -> "+target)
		}
	}
	slices.Sort(links)
	return links
}
