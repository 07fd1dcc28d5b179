package sim

import (
	"context"
	"fmt"

	"zcp2kopano/runtime/host"
)

// ports are those of other hosts, which a simulation does not touch.
type ports struct {
	below host.View
	known map[string]bool
}

// Answers asks by the machine below, or goes by the fixture. A port that it does not have cannot be reached.
func (p *ports) Answers(ctx context.Context, address string) (bool, error) {
	if err := host.CheckAddress(address); err != nil {
		return false, err
	}
	if p.below != nil {
		return p.below.Answers(ctx, address)
	}
	answers, known := p.known[address]
	if !known {
		return false, fmt.Errorf("%s: no answer, as the fixture does not list it", address)
	}
	return answers, nil
}
