package state

import (
	"crypto/rand"
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
	return plan, Dir{filepath.Dir(filepath.Dir(r.Path))}.GiveKey(plan)
}

// GiveKey gives a plan the key that its digests were made with, as far as it is here.
func (d Dir) GiveKey(plan *engine.Plan) error {
	if !plan.Keyed {
		return nil
	}
	key, err := os.ReadFile(d.keyPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil // to be told where the plan is gone by
	}
	if err != nil {
		return fmt.Errorf("key of plans: %w", err)
	}
	plan.Key = string(key)
	return nil
}

// Key is the key of the digests in plans, which is made if there is none. What is known only by its digest, such as a
// short password, can be guessed by who has the key.
func (d Dir) Key() (string, error) {
	if err := d.Prepare(); err != nil {
		return "", err
	}
	draft := d.keyPath() + "." + rand.Text()
	if err := writeFile(draft, []byte(rand.Text()+rand.Text())); err != nil {
		return "", fmt.Errorf("key of plans: %w", err)
	}
	defer os.Remove(draft)
	if err := os.Link(draft, d.keyPath()); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("key of plans: %w", err)
	}
	key, err := os.ReadFile(d.keyPath())
	if err != nil {
		return "", fmt.Errorf("key of plans: %w", err)
	}
	return string(key), syncDir(d.Path)
}

func (d Dir) keyPath() string { return filepath.Join(d.Path, "key") }

func (r Run) planPath() string { return filepath.Join(r.Path, "plan.json") }
