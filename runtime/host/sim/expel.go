package sim

import (
	"context"
	"fmt"

	"zcp2kopano/runtime/host"
)

// ExpelPackages purges packages from whatever state they are in. Simulated scripts do not hang, and one that
// fails has met a fault of the host: it is not passed over.
func (pk *packages) ExpelPackages(ctx context.Context, list []host.Change, _ string, w *host.PackageWatch) error {
	pk.mu.Lock()
	defer pk.mu.Unlock()
	if err := pk.awaitLock(ctx, w); err != nil {
		return err
	}
	if err := pk.loadFiles(); err != nil {
		return err
	}
	if len(list) > 0 {
		pk.unpredictPackageFiles()
	}
	return pk.system.packager.expel(ctx, list, w)
}

func (ds *debs) expelOne(name string, w *host.PackageWatch) error {
	if half := ds.db.halfway[name]; half != nil { // dpkg knows what to take away once all is unpacked
		if err := ds.unpack(half); err != nil {
			return err
		}
	}
	p := ds.db.byName[name]
	if p == nil {
		return nil
	}
	if p.Status != "config-files" {
		w.Line(fmt.Sprintf("Removing %s (%s) ...", name, p.Version))
		if err := ds.removePackage(p); err != nil {
			return err
		}
	}
	if p = ds.db.byName[name]; p == nil {
		return nil
	}
	w.Line(fmt.Sprintf("Purging configuration files for %s (%s) ...", name, p.Version))
	return ds.purgePackage(p)
}

// expelRPM erases packages. A scriptlet cannot leave one half-way.
func (rs *rpms) expel(ctx context.Context, list []host.Change, w *host.PackageWatch) error {
	sol := &solution{}
	for _, c := range list {
		if rs.db.byName[c.Name] != nil {
			sol.remove = append(sol.remove, c.Name)
		}
	}
	return rs.commit(ctx, host.Transaction{}, sol, w)
}
