package live

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"zcp2kopano/runtime/host"
)

// ports looks at ports of other hosts.
type ports struct{}

// portPatience is how long a host has to answer: one that lets nothing through answers never.
const portPatience = 5 * time.Second

// Answers connects, and says nothing.
func (ports) Answers(ctx context.Context, address string) (bool, error) {
	if err := host.CheckAddress(address); err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, portPatience, fmt.Errorf("no answer within %v", portPatience))
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	switch {
	case err == nil:
		return true, conn.Close()
	case errors.Is(err, syscall.ECONNREFUSED):
		return false, nil
	case context.Cause(ctx) != nil:
		err = context.Cause(ctx)
	}
	return false, fmt.Errorf("%s: %w", address, err)
}
