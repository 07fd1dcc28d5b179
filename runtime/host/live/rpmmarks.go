package live

import (
	"context"
	"fmt"

	"zcp2kopano/runtime/host"
)

// MarkPackages changes nothing: what keeps a package of rpm from an upgrade is the configuration of the
// front, and what came as a dependency is in the front's own history.
func (h rpmsWriter) MarkPackages(_ context.Context, marks []host.PackageMark) error {
	packages, err := h.rpms.packagesByName()
	if err != nil {
		return err
	}
	for _, m := range marks {
		switch p, known := packages[m.Name]; {
		case !known:
			return fmt.Errorf("package %s is not installed and cannot be marked", m.Name)
		case p.Held != m.Held || p.Auto != m.Auto:
			return fmt.Errorf("marks of package %s: %w", m.Name, host.ErrUnsupported)
		}
	}
	return nil
}

// SaveRemains has nothing to keep: a package of rpm that is removed is gone from the database.
func (h rpmsWriter) SaveRemains(_ context.Context, names []string, _ string) (map[string]string, error) {
	for _, name := range names {
		return nil, fmt.Errorf("package %s: rpm keeps no record of a removed package: %w", name, host.ErrUnsupported)
	}
	return nil, nil
}

// RestoreRemains has nowhere to put a record.
func (h rpmsWriter) RestoreRemains(_ context.Context, file string) error {
	return fmt.Errorf("%s: rpm keeps no record of a removed package: %w", file, host.ErrUnsupported)
}
