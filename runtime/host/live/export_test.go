package live

import "time"

// SetLockPatience shortens the wait for the package manager's lock.
func SetLockPatience(h *Host, d time.Duration) { h.lockPatience, h.lockPoll = d, d/10 }
