package live

import (
	"context"
	"sync"

	"golang.org/x/sys/unix"
	"golang.org/x/time/rate"
	"kernel.org/pub/linux/libs/security/libcap/psx"

	"zcp2kopano/runtime/host"
)

var _ host.Courteous = (*Host)(nil)

// Limiter implements host.Courteous. All that is moved by it shares the limit.
func (h *Host) Limiter(perSecond int64) func(ctx context.Context, bytes int) error {
	const part = 10 // of a second's bytes may be moved at once
	burst := int(max(perSecond/part, 1))
	limiter := rate.NewLimiter(rate.Limit(perSecond), burst)
	return func(ctx context.Context, bytes int) error {
		for bytes > 0 {
			some := min(bytes, burst)
			if err := limiter.WaitN(ctx, some); err != nil {
				return err
			}
			bytes -= some
		}
		return nil
	}
}

// ioprio_set(2): whose priority it is, and the classes, which stand above the level.
const (
	ioprioThread     = 1
	ioprioIdle       = 3 << 13
	ioprioBestEffort = 2<<13 | 7 // the least of those that are not idle
)

// GiveWay implements host.Courteous. The priority is each thread's own, and passed on to threads and processes that it
// begins. Schedulers of disks that know no priorities do not mind it; where it cannot be had, the work goes on without.
// Those that know them (CFQ, BFQ) let the idle class on only when nobody else wants the disk.
func (h *Host) GiveWay(idle bool) (end func()) {
	before, _, errno := unix.Syscall(unix.SYS_IOPRIO_GET, ioprioThread, 0, 0)
	if errno != 0 || !(idle && setPriority(ioprioIdle)) && !setPriority(ioprioBestEffort) {
		return func() {}
	}
	return sync.OnceFunc(func() { setPriority(before) })
}

// setPriority sets the priority at the disk of all threads of this process.
func setPriority(priority uintptr) bool {
	_, _, errno := psx.Syscall3(unix.SYS_IOPRIO_SET, ioprioThread, 0, priority)
	return errno == 0
}
