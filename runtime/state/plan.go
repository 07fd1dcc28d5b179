package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"zcp2kopano/runtime/engine"
)

// KeepPlan keeps the plan that the run is held to, if there is one.
func (r Run) KeepPlan(plan *engine.Plan) error {
	if plan == nil {
		return nil
	}
	data, err := json.Marshal(plan)
	if err != nil {
		return fmt.Errorf("run %s: plan: %w", r.ID, err)
	}
	return writeFile(r.planPath(), data)
}

// Plan returns the plan that the run is held to, nil without one.
func (r Run) Plan() (*engine.Plan, error) {
	data, err := os.ReadFile(r.planPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", r.ID, err)
	}
	plan := &engine.Plan{}
	if err := json.Unmarshal(data, plan); err != nil {
		return nil, fmt.Errorf("run %s: plan: %w", r.ID, err)
	}
	return plan, nil
}

func (r Run) planPath() string { return filepath.Join(r.Path, "plan.json") }
