package live

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/rpm"
)

// SavePackages keeps an .rpm of each installed package: the one in the front's cache, or one that a
// repository still offers in this very version, or one built anew from the database and the files on disk. The
// last kind holds configuration files as they are now, and is not signed.
func (h rpmsWriter) SavePackages(ctx context.Context, names []string, dir string, w *host.PackageWatch) (files, missing map[string]string, err error) {
	if err := host.CheckPackageNames(names); err != nil {
		return nil, nil, err
	}
	front, err := h.rpms.front()
	if err != nil {
		return nil, nil, err
	}
	packages, err := h.rpms.packagesByName()
	if err != nil {
		return nil, nil, err
	}
	if err := h.m.files.removeLeftovers(dir); err != nil {
		return nil, nil, err
	}
	files, missing = map[string]string{}, map[string]string{}
	for i, name := range names {
		p, known := packages[name]
		if !known {
			missing[name] = "it is not installed"
			continue
		}
		done := w.During(fmt.Sprintf("keeping package %s (%d of %d)", name, i+1, len(names)))
		path, err := h.savePackage(ctx, front, p, dir)
		done()
		switch {
		case err == nil:
			files[name] = path
		case ctx.Err() != nil, isErrno(err, unix.ENOSPC), isErrno(err, unix.EROFS):
			return files, missing, err
		default:
			missing[name] = err.Error()
		}
	}
	return files, missing, h.write.SyncDir(dir)
}

func (h rpmsWriter) savePackage(ctx context.Context, front rpmFront, p host.Package, dir string) (string, error) {
	target := dir + "/" + rpm.FileName(p)
	if h.rpms.isRPMOf(target, p) {
		return target, nil // kept before
	}
	for _, path := range []string{target, target + partSuffix} {
		if err := h.m.files.unlink(path); err != nil && !isErrno(err, unix.ENOENT) {
			return "", err // what lies there is cut short or not the package
		}
	}
	if err := h.takeCached(front, p, target); err == nil || !errors.Is(err, errNotCached) {
		return target, err
	}
	s, err := h.m.files.newScratch(dir)
	if err != nil {
		return "", err
	}
	defer s.remove()
	failed := h.turn.take(ctx, nil, func() error { return front.download(ctx, p, s.path) })
	if ctx.Err() != nil {
		return "", failed
	}
	if err := h.takeFrom(s.path, p, target); err == nil || !errors.Is(err, errNotCached) {
		return target, err
	}
	if err := h.takeCached(front, p, target); err == nil || !errors.Is(err, errNotCached) {
		return target, err
	}
	return target, h.rebuild(ctx, p, s, target)
}

var errNotCached = errors.New("no package file of this version")

// takeCached copies a package from the front's cache.
func (h rpmsWriter) takeCached(front rpmFront, p host.Package, target string) error {
	for _, dir := range h.rpms.cacheDirs(front) {
		if err := h.takeFrom(dir, p, target); !errors.Is(err, errNotCached) {
			return err
		}
	}
	return errNotCached
}

// cacheDirs are where a front may have packages lie.
func (v rpms) cacheDirs(front rpmFront) []string {
	return append([]string{front.cache()}, v.m.files.below(front.cache(), 5)...)
}

// takeFrom copies a package from a directory.
func (h rpmsWriter) takeFrom(dir string, p host.Package, target string) error {
	file := h.rpms.fileIn(dir, p)
	if file == "" {
		return errNotCached
	}
	return h.write.copyFile(file, target)
}

// fileIn finds a package in a directory, where it may have a name of the repository's choice; empty if it is not there.
func (v rpms) fileIn(dir string, p host.Package) string {
	entries, err := v.m.files.ReadDir(dir)
	if err != nil {
		return ""
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name, ".rpm") || !strings.HasPrefix(e.Name, rpm.BareName(p)+"-") {
			continue
		}
		if file := dir + "/" + e.Name; v.isRPMOf(file, p) {
			return file
		}
	}
	return ""
}

// isRPMOf reports whether a file is a whole package of this name, version and architecture.
func (v rpms) isRPMOf(path string, p host.Package) bool {
	if st, err := v.m.files.Lstat(path); err != nil || !st.IsRegular() {
		return false
	}
	header, err := v.rpmFile(path)
	return err == nil && header.Package.Name == p.Name && header.Package.Version == p.Version && header.Package.Arch == p.Arch
}
