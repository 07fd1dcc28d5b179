package main

import (
	"fmt"
	"path/filepath"
	"strings"
)

// packagesParam is the parameter of the stock runbooks that --packages sets.
const packagesParam = "packages_dir"

// setPackages makes the directory of downloaded packages known to the runbook.
func (p *params) setPackages(dir string) error {
	if dir == "" {
		return nil
	}
	for _, arg := range p.plain {
		if strings.HasPrefix(arg, packagesParam+"=") {
			return fmt.Errorf("--packages and --param %s say the same: give one of them", packagesParam)
		}
	}
	path, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	p.plain = append(p.plain, packagesParam+"="+path)
	return nil
}
