package booktest

import (
	"context"
	"io/fs"
	"syscall"
	"time"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/sim"
)

// breaker is a simulated host on which one change fails: the first of what the run's change number at does.
type breaker struct {
	*sim.Host
	at    int // the change that is to fail, counted from 1; 0 for none
	n     int // changes begun
	armed bool
}

var _ host.Host = (*breaker)(nil)

// change hears that a run begins with a change.
func (b *breaker) change() {
	b.n++
	b.armed = b.at > 0 && b.n == b.at
}

// fault fails if it is time to, once.
func (b *breaker) fault(op, path string) error {
	if !b.armed {
		return nil
	}
	b.armed, b.at = false, 0
	return &fs.PathError{Op: op, Path: path, Err: syscall.EIO}
}

func (b *breaker) file(op, path string) error { return b.fault(op, path) }

func (b *breaker) CommitPackages(ctx context.Context, tx host.Transaction, w *host.PackageWatch) error {
	if err := b.fault("commit", "packages"); err != nil {
		return err
	}
	return b.Host.CommitPackages(ctx, tx, w)
}

func (b *breaker) RefreshPackages(ctx context.Context, only []string, w *host.PackageWatch) error {
	if err := b.fault("refresh", "packages"); err != nil {
		return err
	}
	return b.Host.RefreshPackages(ctx, only, w)
}

func (b *breaker) StartService(ctx context.Context, name string) error {
	if err := b.fault("start", name); err != nil {
		return err
	}
	return b.Host.StartService(ctx, name)
}

func (b *breaker) StopService(ctx context.Context, name string, patience time.Duration) error {
	if err := b.fault("stop", name); err != nil {
		return err
	}
	return b.Host.StopService(ctx, name, patience)
}

func (b *breaker) ReloadService(ctx context.Context, name string) error {
	if err := b.fault("reload", name); err != nil {
		return err
	}
	return b.Host.ReloadService(ctx, name)
}

func (b *breaker) EnableService(name string) error {
	if err := b.fault("enable", name); err != nil {
		return err
	}
	return b.Host.EnableService(name)
}

func (b *breaker) DisableService(name string) error {
	if err := b.fault("disable", name); err != nil {
		return err
	}
	return b.Host.DisableService(name)
}

func (b *breaker) DumpDatabase(ctx context.Context, req host.DumpRequest, progress func(int64)) (host.DumpResult, error) {
	if err := b.fault("dump", "database"); err != nil {
		return host.DumpResult{}, err
	}
	return b.Host.DumpDatabase(ctx, req, progress)
}

func (b *breaker) RunProgram(ctx context.Context, req host.ProgramRequest) ([]string, error) {
	if err := b.fault("run", "program"); err != nil {
		return nil, err
	}
	return b.Host.RunProgram(ctx, req)
}
