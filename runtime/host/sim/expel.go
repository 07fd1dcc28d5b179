package sim

import (
	"context"
	"fmt"

	"zcp2kopano/runtime/host"
)

// ExpelPackages purges packages from whatever state they are in. Simulated scripts do not hang, and one that
// fails has met a fault of the host: it is not passed over.
func (h *Host) ExpelPackages(ctx context.Context, list []host.Change, _ string, w *host.PackageWatch) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.awaitLock(ctx, w); err != nil {
		return err
	}
	if err := h.loadFiles(); err != nil {
		return err
	}
	if h.format() == RPM {
		return h.expelRPM(ctx, list, w)
	}
	if len(list) > 0 {
		h.unpredictPackageFiles()
	}
	for _, c := range list {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := h.expel(c.Name, w); err != nil {
			return fmt.Errorf("purging %s: %w", c.Name, err)
		}
	}
	return nil
}

func (h *Host) expel(name string, w *host.PackageWatch) error {
	if half := h.halfway[name]; half != nil { // dpkg knows what to take away once all is unpacked
		if err := h.unpack(half); err != nil {
			return err
		}
	}
	p := h.packages[name]
	if p == nil {
		return nil
	}
	if p.Status != "config-files" {
		w.Line(fmt.Sprintf("Removing %s (%s) ...", name, p.Version))
		if err := h.removePackage(p); err != nil {
			return err
		}
	}
	if p = h.packages[name]; p == nil {
		return nil
	}
	w.Line(fmt.Sprintf("Purging configuration files for %s (%s) ...", name, p.Version))
	return h.purgePackage(p)
}

// expelRPM erases packages. A scriptlet cannot leave one half-way.
func (h *Host) expelRPM(ctx context.Context, list []host.Change, w *host.PackageWatch) error {
	pl := &plan{}
	for _, c := range list {
		if h.packages[c.Name] != nil {
			pl.remove = append(pl.remove, c.Name)
		}
	}
	return h.commitRPM(ctx, pl, w.Line)
}
