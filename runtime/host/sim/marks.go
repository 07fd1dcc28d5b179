package sim

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"zcp2kopano/runtime/host"
)

// markAuto notes what came as a dependency, as apt does: what was asked for is not automatic any more,
// and what was there keeps its mark.
func (ds *debs) markAuto(tx host.Transaction, installed []*Package, had map[string]bool) {
	for _, p := range installed {
		now := ds.db.installed(p.Name)
		if now == nil {
			continue
		}
		asked := slices.ContainsFunc(tx.Install, func(spec string) bool {
			name, _, _ := strings.Cut(spec, "=")
			return name == p.Name || path.IsAbs(spec) && ds.repositories.packageFiles[spec] == p
		})
		now.Auto = !asked && (now.Auto || !had[p.Name])
	}
}

// MarkPackages sets the marks.
func (pk *packages) MarkPackages(ctx context.Context, marks []host.PackageMark) error {
	pk.mu.Lock()
	defer pk.mu.Unlock()
	if err := pk.awaitLock(ctx, nil); err != nil {
		return err
	}
	for _, m := range marks {
		p := pk.db.installed(m.Name)
		if p == nil {
			return fmt.Errorf("package %s is not installed and cannot be marked", m.Name)
		}
		p.Held, p.Auto = m.Held, m.Auto
	}
	return nil
}

// SaveRemains makes files of declared size; the simulation keeps their content in memory.
func (pk *packages) SaveRemains(ctx context.Context, names []string, dir string) (map[string]string, error) {
	pk.mu.Lock()
	defer pk.mu.Unlock()
	files := map[string]string{}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		p := pk.db.byName[name]
		if p == nil || p.Status != "config-files" {
			return nil, fmt.Errorf("package %s is not one that has left only its conffiles", name)
		}
		file := path.Join(dir, fmt.Sprintf("%s_%s_%s.remains", p.Name, strings.ReplaceAll(p.Version, ":", "%3a"), p.Arch))
		kept := p.clone()
		kept.FileSize = 1024
		if err := pk.savePackage(file, kept); err != nil {
			return nil, err
		}
		files[name] = file
	}
	return files, nil
}

// RestoreRemains puts a record back into the database.
func (pk *packages) RestoreRemains(ctx context.Context, file string) error {
	pk.mu.Lock()
	defer pk.mu.Unlock()
	if err := pk.awaitLock(ctx, nil); err != nil {
		return err
	}
	kept := pk.repositories.packageFiles[file]
	if kept == nil || kept.Status != "config-files" {
		return fmt.Errorf("%s: %w", file, errors.Join(fs.ErrNotExist, host.ErrUnknown))
	}
	if now := pk.db.byName[kept.Name]; now != nil && now.Status != "config-files" {
		return fmt.Errorf("package %s is %s: its former remains cannot be put in its place", kept.Name, now.Status)
	}
	pk.db.record(kept.clone())
	return nil
}
