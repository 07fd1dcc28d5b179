package live

import (
	"context"
	"fmt"

	"zcp2kopano/runtime/host"
)

// ldapWriter changes directories: by sessions, and by the files of a server that is stopped.
type ldapWriter struct {
	client ldapClient
	m      *machine
	write  filesWriter
}

func (h ldapWriter) OpenDirectory(ctx context.Context, conn host.DirectoryConn) (host.Directory, error) {
	return h.client.OpenDirectory(ctx, conn)
}

// ExportDatabase runs slapcat. What it says on its standard output is the database, to its end or not: its exit status
// tells.
func (h ldapWriter) ExportDatabase(ctx context.Context, db host.DirectoryDatabase, path string) error {
	tool, err := h.m.program("slapcat")
	if err != nil {
		return err
	}
	f, err := h.write.Create(path, 0o600)
	if err != nil {
		return err
	}
	_, err = h.m.run(ctx, command{Path: tool, Args: slapdArgs(db), Stdout: f})
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = h.write.SyncDir(parent(path))
	}
	if err != nil {
		h.write.Unlink(path)
		return fmt.Errorf("export of the database %s to %s: %w", db.Suffix, path, err)
	}
	return nil
}

// CheckImport runs slapadd without writing.
func (h ldapWriter) CheckImport(ctx context.Context, db host.DirectoryDatabase, path string) error {
	return h.slapadd(ctx, db, "-u", "-l", path)
}

// ImportDatabase runs slapadd, in the quick way that a database without readers allows, and slapindex.
func (h ldapWriter) ImportDatabase(ctx context.Context, db host.DirectoryDatabase, path string) error {
	if err := h.slapadd(ctx, db, "-q", "-l", path); err != nil {
		return err
	}
	tool, err := h.m.program("slapindex")
	if err != nil {
		return err
	}
	if _, err := h.m.run(ctx, command{Path: tool, Args: append([]string{"-q"}, slapdArgs(db)...)}); err != nil {
		return fmt.Errorf("indexes of the database %s: %w", db.Suffix, err)
	}
	return nil
}

func (h ldapWriter) slapadd(ctx context.Context, db host.DirectoryDatabase, args ...string) error {
	tool, err := h.m.program("slapadd")
	if err != nil {
		return err
	}
	if _, err := h.m.run(ctx, command{Path: tool, Args: append(slapdArgs(db), args...)}); err != nil {
		return fmt.Errorf("import into the database %s: %w", db.Suffix, err)
	}
	return nil
}

// slapdArgs name a database to slapcat, slapadd and slapindex; -g keeps them from those that are glued below it.
func slapdArgs(db host.DirectoryDatabase) []string {
	config := "-f"
	if db.ConfigDir() {
		config = "-F"
	}
	return []string{config, db.Config, "-b", db.Suffix, "-g"}
}
