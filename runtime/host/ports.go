package host

import (
	"context"
	"fmt"
	"net"
	"strconv"
)

// PortReader looks at ports of other hosts.
type PortReader interface {
	// Answers tells whether something accepts TCP connections at "HOST:PORT"; false is that host's own word that nothing
	// does. It is an error if there is none: the name is not known, or no answer comes in a few seconds.
	Answers(ctx context.Context, address string) (bool, error)
}

// CheckAddress refuses what is not "HOST:PORT", with the port as a number.
func CheckAddress(address string) error {
	name, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if number, err := strconv.ParseUint(port, 10, 16); err != nil || number == 0 || name == "" {
		return fmt.Errorf("%q is not HOST:PORT", address)
	}
	return nil
}
