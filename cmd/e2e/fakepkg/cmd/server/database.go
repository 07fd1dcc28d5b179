package main

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"zcp2kopano/cmd/e2e/fakepkg/service"
)

// openDatabase connects, and creates the database if there is none, as the real server does.
func openDatabase(d *service.Daemon) (*sql.DB, error) {
	c := connection(d)
	db, err := connect(c)
	var refused *mysql.MySQLError
	if errors.Is(err, errEmpty) || errors.As(err, &refused) && refused.Number == unknownDatabase {
		return createDatabase(d, c)
	}
	for i := 1; err != nil && i < d.Attempts; i++ {
		d.Logf(service.Info, "unable to connect, trying again in %v", d.Behaviour.Retry)
		time.Sleep(d.Behaviour.Retry)
		db, err = connect(c)
	}
	if err != nil {
		return nil, fmt.Errorf("unable to connect to database: %w", err)
	}
	d.Logf(service.Notice, "connection to database '%s' succeeded", c.DBName)
	return db, nil
}

func connection(d *service.Daemon) *mysql.Config {
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
	c.Params = map[string]string{"sql_mode": "'STRICT_ALL_TABLES,NO_UNSIGNED_SUBTRACTION'"}
	return c
}

func connect(c *mysql.Config) (*sql.DB, error) {
	db, err := sql.Open("mysql", c.FormatDSN())
	if err != nil {
		return nil, err
	}
	var tables int
	err = db.QueryRow("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE()").Scan(&tables)
	if err == nil && tables == 0 {
		err = errEmpty
	}
	if err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

// errEmpty says that a database has no table, which is as if there were none.
var errEmpty = errors.New("the database is empty")

// unknownDatabase is ER_BAD_DB_ERROR.
const unknownDatabase = 1049

// newTables are those of a database that a server has made which are needed here.
var newTables = []string{
	"CREATE TABLE versions (major int(11) unsigned NOT NULL DEFAULT 0, minor int(11) unsigned NOT NULL DEFAULT 0, " +
		"micro int(11) unsigned NOT NULL DEFAULT 0, revision int(11) unsigned NOT NULL DEFAULT 0, " +
		"databaserevision int(11) unsigned NOT NULL DEFAULT 0, updatetime datetime NOT NULL, " +
		"PRIMARY KEY (major, minor, micro, revision, databaserevision))",
	"CREATE TABLE settings (name varchar(255) COLLATE utf8_bin NOT NULL, value blob NOT NULL, PRIMARY KEY (name))",
	"CREATE TABLE hierarchy (id int(11) unsigned NOT NULL AUTO_INCREMENT, parent int(11) unsigned DEFAULT 0, " +
		"type tinyint(4) unsigned NOT NULL DEFAULT 0, flags smallint(6) unsigned NOT NULL DEFAULT 0, " +
		"owner int(11) unsigned NOT NULL DEFAULT 0, PRIMARY KEY (id))",
	"CREATE TABLE singleinstances (instanceid int(11) unsigned NOT NULL AUTO_INCREMENT, hierarchyid int(11) unsigned NOT NULL DEFAULT 0, " +
		"tag smallint(6) unsigned NOT NULL DEFAULT 0, PRIMARY KEY (instanceid, hierarchyid, tag), UNIQUE KEY hkey (hierarchyid, tag))",
}

func createDatabase(d *service.Daemon, c *mysql.Config) (*sql.DB, error) {
	name := c.DBName
	c.DBName = ""
	db, err := sql.Open("mysql", c.FormatDSN())
	if err != nil {
		return nil, err
	}
	defer db.Close()
	if _, err := db.Exec("CREATE DATABASE IF NOT EXISTS `" + strings.ReplaceAll(name, "`", "``") + "` CHARACTER SET utf8"); err != nil {
		return nil, fmt.Errorf("create database: %w", err)
	}
	c.DBName = name
	if db, err = sql.Open("mysql", c.FormatDSN()); err != nil {
		return nil, err
	}
	for _, table := range newTables {
		if _, err := db.Exec(table + " ENGINE=InnoDB DEFAULT CHARSET=utf8"); err != nil {
			return nil, err
		}
	}
	return db, noteVersion(d, db, d.Schema)
}

// procedures are those that the server makes again at each start.
var procedures = []string{"GetProps(IN hid integer, IN mode integer)", "PrepareGetProps(IN hid integer)",
	"GetBestBody(hid integer, OUT bestbody integer)", "StreamObj(IN rootid integer, IN maxdepth integer, IN mode integer)"}

func makeProcedures(_ *service.Daemon, db *sql.DB) error {
	for _, p := range procedures {
		name, _, _ := strings.Cut(p, "(")
		for _, statement := range []string{"DROP PROCEDURE IF EXISTS " + name, "CREATE PROCEDURE " + p + " BEGIN SELECT 1; END"} {
			if _, err := db.Exec(statement); err != nil {
				return fmt.Errorf("stored procedures: %w", err)
			}
		}
	}
	return nil
}

// checkEngine refuses tables of another engine than InnoDB.
func checkEngine(d *service.Daemon, db *sql.DB) error {
	var table string
	err := db.QueryRow("SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND engine != 'InnoDB' LIMIT 1").Scan(&table)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("database table %s is not in InnoDB format", table)
}
