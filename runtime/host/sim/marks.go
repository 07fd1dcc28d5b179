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
func (h *Host) markAuto(tx host.Transaction, installed []*Package, had map[string]bool) {
	for _, p := range installed {
		now := h.installed(p.Name)
		if now == nil {
			continue
		}
		asked := slices.ContainsFunc(tx.Install, func(spec string) bool {
			name, _, _ := strings.Cut(spec, "=")
			return name == p.Name || path.IsAbs(spec) && h.packageFiles[spec] == p
		})
		now.Auto = !asked && (now.Auto || !had[p.Name])
	}
}

// MarkPackages sets the marks.
func (h *Host) MarkPackages(ctx context.Context, marks []host.PackageMark) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.awaitLock(ctx, nil); err != nil {
		return err
	}
	for _, m := range marks {
		p := h.installed(m.Name)
		if p == nil {
			return fmt.Errorf("package %s is not installed and cannot be marked", m.Name)
		}
		p.Held, p.Auto = m.Held, m.Auto
	}
	return nil
}

// SaveRemains makes files of declared size; the simulation keeps their content in memory.
func (h *Host) SaveRemains(ctx context.Context, names []string, dir string) (map[string]string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	files := map[string]string{}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		p := h.packages[name]
		if p == nil || p.Status != "config-files" {
			return nil, fmt.Errorf("package %s is not one that has left only its conffiles", name)
		}
		file := path.Join(dir, fmt.Sprintf("%s_%s_%s.remains", p.Name, strings.ReplaceAll(p.Version, ":", "%3a"), p.Arch))
		kept := p.clone()
		kept.FileSize = 1024
		if err := h.savePackage(file, kept); err != nil {
			return nil, err
		}
		files[name] = file
	}
	return files, nil
}

// RestoreRemains puts a record back into the database.
func (h *Host) RestoreRemains(ctx context.Context, file string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.awaitLock(ctx, nil); err != nil {
		return err
	}
	kept := h.packageFiles[file]
	if kept == nil || kept.Status != "config-files" {
		return fmt.Errorf("%s: %w", file, errors.Join(fs.ErrNotExist, host.ErrUnknown))
	}
	if now := h.packages[kept.Name]; now != nil && now.Status != "config-files" {
		return fmt.Errorf("package %s is %s: its former remains cannot be put in its place", kept.Name, now.Status)
	}
	h.record(kept.clone())
	return nil
}
