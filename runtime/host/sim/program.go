package sim

import (
	"context"
	"strings"
	"sync"

	"zcp2kopano/runtime/host"
)

// programs runs no programs.
type programs struct {
	mu    *sync.Mutex
	files *files
	gaps  *gaps
}

// RunProgram looks whether the program could be run, and puts what it does on the list of what the
// simulation does not know.
func (pr *programs) RunProgram(ctx context.Context, req host.ProgramRequest) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := host.CheckProgram(pr.files, req.Path); err != nil {
		return nil, err
	}
	pr.mu.Lock()
	defer pr.mu.Unlock()
	gap := host.Unpredicted{
		What:  "what " + strings.Join(append([]string{req.Path}, req.Args...), " ") + " does",
		Why:   "a simulation runs no program of the runbook's",
		Check: "the run checks its exit status, and keeps what it says",
	}
	pr.gaps.add(gap)
	for _, path := range req.Changes {
		gap.What, gap.Path = path+", which "+req.Path+" is said to change", path
		pr.gaps.add(gap)
	}
	return nil, nil
}
