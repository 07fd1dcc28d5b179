package live

import (
	"time"

	"zcp2kopano/runtime/host/packagelock"
)

// SetLockPatience shortens the wait for the package manager's lock.
func SetLockPatience(h *Host, d time.Duration) {
	*h.lockPatience = packagelock.Patience{Wait: d, Poll: d / 10}
}
