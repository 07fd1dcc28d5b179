// Package packagelock waits for the lock of the package manager, on both kinds of host alike.
package packagelock

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"zcp2kopano/runtime/host"
)

// Patience says how long to wait for another user of the package manager, and how often to look.
type Patience struct{ Wait, Poll time.Duration }

// Usual is long enough for most that unattended upgrades have to do.
var Usual = Patience{Wait: 10 * time.Minute, Poll: time.Second}

// Host is what has the lock and the clock.
type Host interface {
	PackageLock() (*host.LockHolder, error)
	Now() time.Time
	Sleep(ctx context.Context, d time.Duration) error
}

// With does work that takes the lock itself. While another process holds it, it waits, tells for whom, and
// gives up after the patience, with a *HeldError.
func (p Patience) With(ctx context.Context, h Host, w *host.PackageWatch, work func() error) error {
	began := h.Now()
	deadline := began.Add(p.Wait)
	for {
		holder, err := h.PackageLock()
		if err != nil {
			return err
		}
		if holder == nil {
			if err = work(); !Lost(err) {
				return err
			}
			// Somebody came between; the next look tells who.
		}
		if h.Now().After(deadline) {
			return &HeldError{Holder: holder, Wait: p.Wait, Err: err}
		}
		if holder != nil {
			w.Doing(host.PackageWork{
				Doing: fmt.Sprintf("waiting for %s (process %d), which holds %s", holder.Command, holder.PID, holder.Path),
				For:   h.Now().Sub(began),
			})
		}
		if err := h.Sleep(ctx, p.Poll); err != nil {
			return err
		}
	}
}

// HeldError says that the patience ended before the lock was free.
type HeldError struct {
	Holder *host.LockHolder // nil if nobody held it whenever this program looked
	Wait   time.Duration
	Err    error // what the package manager said last, if it was tried
}

func (e *HeldError) Unwrap() error { return e.Err }

func (e *HeldError) Error() string {
	if e.Holder == nil {
		return fmt.Sprintf("the package manager is in use: %v", e.Err)
	}
	return fmt.Sprintf("the package manager is in use by %s (process %d), which held %s for more than %v; let it end, then go on",
		e.Holder.Command, e.Holder.PID, e.Holder.Path, e.Wait)
}

// lostTexts are how package managers say that another process has the lock.
var lostTexts = []string{
	"Could not get lock",
	"Unable to lock",
	"Unable to acquire the dpkg frontend lock",
	"is locked by another process",
	"was locked by another process",
	"holding the yum lock",
	"exit_on_lock",
	"System management is locked by",
	"can't create transaction lock",
}

// Lost reports whether a package manager's failure is that another process has the lock.
func Lost(err error) bool {
	var failed *host.CommandError
	if !errors.As(err, &failed) {
		return false
	}
	for _, text := range lostTexts {
		if strings.Contains(failed.Output, text) {
			return true
		}
	}
	return false
}
