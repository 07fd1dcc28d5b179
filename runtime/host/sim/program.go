package sim

import (
	"context"
	"strings"

	"zcp2kopano/runtime/host"
)

// RunProgram looks whether the program could be run, and puts what it does on the list of what the
// simulation does not know.
func (h *Host) RunProgram(ctx context.Context, req host.ProgramRequest) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := host.CheckProgram(h, req.Path); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	gap := host.Unpredicted{
		What:  "what " + strings.Join(append([]string{req.Path}, req.Args...), " ") + " does",
		Why:   "a simulation runs no program of the runbook's",
		Check: "the run checks its exit status, and keeps what it says",
	}
	h.unpredict(gap)
	for _, path := range req.Changes {
		gap.What, gap.Path = path+", which "+req.Path+" is said to change", path
		h.unpredict(gap)
	}
	return nil, nil
}
