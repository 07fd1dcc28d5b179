package live

import (
	"context"
	"errors"
	"fmt"
	"os"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/rpm"
)

// rebuild builds a package file of what is installed, and installs it in an empty root: only what rpm itself unpacks,
// sums and all, is a way back.
func (h rpmsWriter) rebuild(ctx context.Context, p host.Package, s *scratch, target string) error {
	err := h.buildInstalled(ctx, p, s, target+partSuffix)
	if err == nil {
		err = h.tryInstall(ctx, s, target+partSuffix)
	}
	if err == nil {
		return h.write.Rename(target+partSuffix, target)
	}
	h.write.Unlink(target + partSuffix)
	if ctx.Err() != nil {
		return err
	}
	return notRebuilt(err)
}

func notRebuilt(err error) error {
	return fmt.Errorf("it is neither in the cache nor offered by a repository, and cannot be built anew from what is installed: %w", err)
}

// installedDisk is the disk, and who its owners are.
type installedDisk struct {
	*space
	accountReader
}

func (h rpmsWriter) buildInstalled(ctx context.Context, p host.Package, s *scratch, target string) error {
	installed, err := h.rpms.recorded(ctx, p)
	if err != nil {
		return err
	}
	payload := s.path + "/payload"
	if err := s.write("payload", nil); err != nil {
		return err
	}
	work, err := h.write.OpenWrite(payload)
	if err != nil {
		return err
	}
	defer h.write.Unlink(payload)
	defer work.Close()
	out, err := h.write.Create(target, 0o600)
	if err != nil {
		return err
	}
	err = rpm.Rebuild(out, installed, installedDisk{h.m.files, accountReader{h.m}}, work)
	if err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}

// recorded is all that the database holds of a package.
func (v rpms) recorded(ctx context.Context, p host.Package) (rpm.Installed, error) {
	got, err := v.rpm(ctx, "-q", "--xml", "--", rpm.FullName(p))
	if err != nil {
		return nil, err
	}
	return rpm.ParseInstalled(got.Stdout)
}

// tryInstall installs a package file in an empty root, without its scripts and what it depends on.
func (h rpmsWriter) tryInstall(ctx context.Context, s *scratch, file string) error {
	const root = "root"
	if err := s.mkdirs(root + "/var/lib/rpm/x"); err != nil {
		return err
	}
	tried := &scratch{h.m.files, s.path + "/" + root}
	defer tried.remove()
	_, err := h.rpms.rpm(ctx, "--root", tried.path, "--dbpath", "/var/lib/rpm", "-i", "--nodeps", "--noscripts", "--notriggers", "--nosignature", "--", file)
	if err == nil {
		return nil
	}
	if _, gone := h.m.files.Lstat(file); errors.Is(gone, os.ErrNotExist) {
		return gone
	}
	return fmt.Errorf("rpm does not install what was built: %w", err)
}
