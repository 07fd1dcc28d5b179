package main

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"zcp2kopano/cmd/e2e/fakepkg/service"
)

// ownAttachments makes the attachment directory, and makes it its user's if it belongs to somebody else,
// which only root can. What lies below is not looked at.
func ownAttachments(d *service.Daemon) error {
	if d.Settings["attachment_storage"] != "files" {
		return nil
	}
	dir := d.Settings["attachment_path"]
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("attachments: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("attachments: %w", err)
	}
	uid, gid, err := d.Own()
	if err != nil || info.Sys().(*syscall.Stat_t).Uid == uint32(uid) {
		return err
	}
	if err := os.Chown(dir, uid, gid); err != nil {
		return fmt.Errorf("attachments: change the owner: %w", err)
	}
	return nil
}

// checkAttachments refuses another kind of storage than the database's, makes the directories that
// attachments lie in, and tries to write into the topmost one.
func checkAttachments(d *service.Daemon, db *sql.DB) error {
	kind := d.Settings["attachment_storage"]
	var stored string
	err := db.QueryRow("SELECT value FROM settings WHERE name = 'attachment_storage'").Scan(&stored)
	switch {
	case err == nil && stored != kind:
		return fmt.Errorf("attachments are stored as %q, but %q is configured", stored, kind)
	case err != nil && !errors.Is(err, sql.ErrNoRows):
		return err
	}
	if _, err := db.Exec("REPLACE INTO settings (name, value) VALUES ('attachment_storage', ?)", kind); err != nil {
		return err
	}
	if kind != "files" {
		return nil
	}
	dir := d.Settings["attachment_path"]
	for i := range 10 {
		for j := range 20 {
			err := makeSlot(dir, i, j)
			if err != nil && d.Rereads { // only Kopano 8.7 cares
				return fmt.Errorf("attachments: %w", err)
			}
		}
	}
	probe := filepath.Join(dir, "testfile")
	if err := os.WriteFile(probe, nil, 0o644); err != nil {
		return fmt.Errorf("attachments: %w", err)
	}
	return os.Remove(probe)
}

func makeSlot(dir string, i, j int) error {
	for _, path := range []string{filepath.Join(dir, strconv.Itoa(i)), filepath.Join(dir, strconv.Itoa(i), strconv.Itoa(j))} {
		if err := os.Mkdir(path, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}
