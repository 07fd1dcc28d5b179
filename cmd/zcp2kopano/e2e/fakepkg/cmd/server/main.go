// Command server plays the groupware server: it opens the attachments, connects to the database and
// upgrades its schema at the first start.
package main

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-sql-driver/mysql"

	"zcp2kopano/cmd/zcp2kopano/e2e/fakepkg/service"
)

func main() { service.Main(prepare) }

func prepare(d *service.Daemon) error {
	if err := openAttachments(d); err != nil {
		return err
	}
	db, err := openDatabase(d)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := upgrade(d, db); err != nil {
		return fmt.Errorf("database: %w", err)
	}
	d.Logf("database %s, attachments %s, user plugin %s, user_safe_mode %s",
		d.Settings["mysql_database"], d.Settings["attachment_path"], d.Settings["user_plugin"], d.Settings["user_safe_mode"])
	return nil
}

// openAttachments opens every attachment for reading and writing, so that one wrong owner shows.
func openAttachments(d *service.Daemon) error {
	if d.Settings["attachment_storage"] != "files" {
		return nil
	}
	root := d.Settings["attachment_path"]
	if err := os.MkdirAll(root, 0o755); err != nil {
		return fmt.Errorf("attachments: %w", err)
	}
	root, err := filepath.EvalSymlinks(root)
	if err != nil {
		return fmt.Errorf("attachments: %w", err)
	}
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return fmt.Errorf("attachments: %w", err)
		}
		return f.Close()
	})
}

// openDatabase connects, and creates the database if there is none, as the real server does.
func openDatabase(d *service.Daemon) (*sql.DB, error) {
	s := d.Settings
	c := mysql.NewConfig()
	c.User, c.Passwd, c.Net, c.Addr = s["mysql_user"], s["mysql_password"], "tcp", s["mysql_host"]+":"+s["mysql_port"]
	if s["mysql_host"] == "localhost" {
		c.Net, c.Addr = "unix", s["mysql_socket"]
		if c.Addr == "" {
			c.Addr = "/var/run/mysqld/mysqld.sock"
		}
	}
	c.DBName = s["mysql_database"]
	db, err := sql.Open("mysql", c.FormatDSN())
	if err != nil {
		return nil, err
	}
	var refused *mysql.MySQLError
	if err := db.Ping(); errors.As(err, &refused) && refused.Number == unknownDatabase {
		return createDatabase(c)
	} else if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	return db, nil
}

// unknownDatabase is ER_BAD_DB_ERROR.
const unknownDatabase = 1049

func createDatabase(c *mysql.Config) (*sql.DB, error) {
	name := c.DBName
	c.DBName = ""
	db, err := sql.Open("mysql", c.FormatDSN())
	if err != nil {
		return nil, err
	}
	defer db.Close()
	if _, err := db.Exec("CREATE DATABASE `" + strings.ReplaceAll(name, "`", "``") + "`"); err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	c.DBName = name
	return sql.Open("mysql", c.FormatDSN())
}

// upgrade records the server's schema revision, the point from which an older server refuses.
func upgrade(d *service.Daemon, db *sql.DB) error {
	_, err := db.Exec("CREATE TABLE IF NOT EXISTS `versions` (`major` INT NOT NULL, `minor` INT NOT NULL, " +
		"`revision` INT NOT NULL, `databaserevision` INT NOT NULL, `updatetime` DATETIME NOT NULL, " +
		"PRIMARY KEY (`major`, `minor`, `revision`, `databaserevision`)) ENGINE=InnoDB")
	if err != nil {
		return err
	}
	var now sql.NullInt64
	if err := db.QueryRow("SELECT MAX(databaserevision) FROM versions").Scan(&now); err != nil {
		return err
	}
	switch {
	case now.Valid && now.Int64 > int64(d.Schema):
		return fmt.Errorf("schema %d is newer than this server's %d", now.Int64, d.Schema)
	case now.Valid && now.Int64 < int64(d.Oldest):
		return fmt.Errorf("schema %d is older than %d, the oldest that this server upgrades", now.Int64, d.Oldest)
	case now.Valid && now.Int64 == int64(d.Schema):
		return nil
	}
	var major, minor, revision int
	fmt.Sscanf(d.Version, "%d.%d.%d", &major, &minor, &revision)
	_, err = db.Exec("INSERT INTO versions VALUES (?, ?, ?, ?, NOW())", major, minor, revision, d.Schema)
	d.Logf("database upgraded to schema %d", d.Schema)
	return err
}
