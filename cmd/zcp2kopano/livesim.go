package main

import "fmt"

// openSimulatedLive simulates this machine.
func openSimulatedLive(string) (*target, error) {
	return nil, fmt.Errorf("this machine cannot be simulated: use --host with a fixture")
}
