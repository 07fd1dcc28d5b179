package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/trust"
	"zcp2kopano/runtime/journal"
	"zcp2kopano/runtime/runbook"
	"zcp2kopano/runtime/story"
)

// planFile is where a simulation keeps its plan.
type planFile struct {
	path string
	f    *outFile
	key  string
}

// open makes the file before the simulation begins: afterwards the process may not be able to. Where no
// plan can be made of this host, none is begun. Of this machine, digests in it are made with a key that stays in the
// state directory; who cannot write there, or has a description of a machine, does with the plan's own salt.
func (p *planFile) open(a *app, h *target) error {
	if p.path == "" {
		return nil
	}
	if err := engine.CanPlan(h.Host); err != nil {
		return fmt.Errorf("plan %s: %w", p.path, err)
	}
	f, err := createOut(p.path, newOnly)
	if err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	p.f = f
	if h.real && os.Geteuid() == 0 {
		if p.key, err = a.dir().Key(); err != nil {
			f.Close()
			return fmt.Errorf("plan %s: %w", p.path, err)
		}
	}
	return nil
}

// drop gives the file up if no plan was kept.
func (p *planFile) drop() {
	if p.f != nil {
		p.f.Close()
	}
}

// keep writes the plan of a simulation that succeeded.
func (p *planFile) keep(v story.Verdict, h host.Host, book *runbook.Runbook, plain map[string]string, secrets map[string]host.Secret, log *journal.Log) error {
	if p.f == nil {
		return nil
	}
	defer p.f.Close()
	if v.Code != exit.Done {
		return nil
	}
	_, records, damage, err := journal.Read(bytes.NewReader(log.Bytes()))
	if err != nil {
		return fmt.Errorf("plan %s: %w", p.path, err)
	}
	if damage != nil {
		return fmt.Errorf("plan %s: %w", p.path, damage)
	}
	cfg := engine.Config{Host: h, Runbook: book, Params: plain, Secrets: secrets, Version: version}
	plan, err := engine.NewPlan(cfg, records, rand.Text(), p.key)
	if err != nil {
		return fmt.Errorf("plan %s: %w", p.path, err)
	}
	data, err := json.MarshalIndent(plan, "", " ")
	if err != nil {
		return fmt.Errorf("plan %s: %w", p.path, err)
	}
	if _, err := p.f.Write(append(data, '\n')); err != nil {
		return fmt.Errorf("plan %s: %w", p.path, err)
	}
	return p.f.Complete()
}

// readTrusted reads a file that root is going to go by: it has to belong to root or to who called the
// program, and nobody else may write to it. It is the file itself that counts, not the way to it: in a
// directory that others may write to, or behind a symbolic link, they can only put a file of their own,
// which is refused.
func readTrusted(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a FIFO must not keep the program waiting
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	owner := info.Sys().(*syscall.Stat_t).Uid
	switch {
	case !info.Mode().IsRegular():
		return nil, errors.New("it is not a regular file")
	case !trust.Ours().Has(owner):
		return nil, fmt.Errorf("it belongs to user %d, who could have changed it; a plan has to belong to root or to you", owner)
	case info.Mode().Perm()&0o022 != 0:
		return nil, fmt.Errorf("others may write to it (mode %04o): simulate again with --plan, and let nobody else write to the new one", info.Mode().Perm())
	}
	return io.ReadAll(f)
}

// readPlan reads the plan that a run is held to; nil without one. A plan is carried out once: a run that
// changed something has used it up, and one that was refused, or ended, before that has not.
func (a *app) readPlan(path string) (*engine.Plan, error) {
	if path == "" {
		return nil, nil
	}
	data, err := readTrusted(path)
	if err != nil {
		return nil, fmt.Errorf("plan %s: %w", path, err)
	}
	plan := &engine.Plan{}
	if err := json.Unmarshal(data, plan); err != nil {
		return nil, fmt.Errorf("plan %s is not a plan, or the simulation that was to write it failed: %w", path, err)
	}
	if err := a.dir().GiveKey(plan); err != nil {
		return nil, err
	}
	if plan.Keyed && plan.Key == "" {
		return nil, fmt.Errorf("plan %s: %w", path, engine.ErrNoKey)
	}
	all, err := a.dir().Statuses()
	if err != nil {
		return nil, err
	}
	for _, s := range all {
		used, err := s.Run.Plan()
		if err != nil {
			return nil, err
		}
		if used != nil && used.Salt == plan.Salt && s.Touched() {
			return nil, fmt.Errorf("plan %s was carried out before, by run %s (%s); simulate again with --plan, and look at the new plan", path, s.ID, s.Phase)
		}
	}
	return plan, nil
}
