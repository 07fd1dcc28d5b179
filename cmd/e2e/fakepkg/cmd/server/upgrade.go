package main

import (
	"database/sql"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"zcp2kopano/cmd/e2e/fakepkg/service"
)

// step leads to a revision of the database. A statement cannot be taken back, so that a server which is
// killed behind it, and before the revision is noted, does it once more: those of 69 and 71 fail then.
type step struct {
	revision   int
	what       string
	statements []string
}

var steps = []step{
	{64, "versions get their micro number", []string{
		"ALTER TABLE versions ADD COLUMN micro int(11) unsigned NOT NULL DEFAULT 0 AFTER minor, DROP PRIMARY KEY, " +
			"ADD PRIMARY KEY (major, minor, micro, revision, databaserevision)"}},
	{65, "default in changes", []string{"ALTER TABLE changes MODIFY change_type int(11) unsigned NOT NULL DEFAULT 0"}},
	{66, "default in abchanges", []string{"ALTER TABLE abchanges MODIFY change_type int(11) unsigned NOT NULL DEFAULT 0"}},
	{67, "table clientupdatestatus goes", []string{"DROP TABLE IF EXISTS clientupdatestatus"}},
	{68, "types of numbers", []string{
		"ALTER TABLE hierarchy MODIFY COLUMN owner int(11) unsigned NOT NULL DEFAULT 0",
		"ALTER TABLE stores MODIFY COLUMN id int(11) unsigned NOT NULL AUTO_INCREMENT",
		"ALTER TABLE stores MODIFY COLUMN user_id int(11) unsigned NOT NULL DEFAULT 0",
		"ALTER TABLE stores MODIFY COLUMN company int(11) unsigned NOT NULL DEFAULT 0",
		"ALTER TABLE users MODIFY COLUMN id int(11) NOT NULL AUTO_INCREMENT",
		"ALTER TABLE users MODIFY COLUMN company int(11) NOT NULL DEFAULT 0"}},
	{69, "names become unique", []string{
		"ALTER TABLE names ADD UNIQUE INDEX gni (guid(16), nameid), ADD UNIQUE INDEX gns (guid(16), namestring), " +
			"DROP INDEX guidnameid, DROP INDEX guidnamestring"}},
	{70, "type of a guid in names", []string{"ALTER TABLE names CHANGE COLUMN guid guid binary(16) NOT NULL"}},
	{71, "file names in singleinstances", []string{"ALTER TABLE singleinstances ADD COLUMN filename varchar(255) DEFAULT NULL"}},
	{118, "nothing but a number", nil},
}

// upgradeUnderLock upgrades the database. Whoever is killed in it leaves the lock behind; a lock that is
// there is no reason to stop, and stays.
func (s *server) upgradeUnderLock(d *service.Daemon) error {
	s.upgrading.Store(true)
	defer s.upgrading.Store(false)
	lock := "/tmp/" + d.Product + "-upgrade-lock"
	f, err := os.OpenFile(lock, os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		d.Logf(service.Warning, "unable to place the upgrade lock: %v", err)
	} else {
		defer f.Close() // which is how one tells a live lock from a stale one
		defer os.Remove(lock)
	}
	if err := upgrade(d, s.db); err != nil {
		return fmt.Errorf("can't update the database: %w", err)
	}
	return nil
}

func upgrade(d *service.Daemon, db *sql.DB) error {
	stored, err := databaseVersion(db)
	if err != nil {
		return err
	}
	own := ownVersion(d, d.Schema)
	switch {
	case stored[4] > 0 && stored[4] < d.Oldest:
		return fmt.Errorf("schema %d is older than %d, the oldest that this server upgrades", stored[4], d.Oldest)
	case slices.Compare(stored[:], own[:]) > 0:
		return fmt.Errorf("database version (%s) is newer than the server version (%s)", stored, own)
	case stored == own:
		return nil
	}
	var todo []step
	for _, st := range steps {
		if st.revision > stored[4] && st.revision <= d.Schema {
			todo = append(todo, st)
		}
	}
	for _, st := range todo {
		if err := st.take(d, db, len(todo)); err != nil {
			return err
		}
	}
	if len(todo) == 0 {
		return noteVersion(d, db, d.Schema)
	}
	return nil
}

// take does a step, one of so many that share the time of an upgrade.
func (st step) take(d *service.Daemon, db *sql.DB, of int) error {
	d.Logf(service.Info, "Start: %s", st.what)
	for _, statement := range st.statements {
		if _, err := db.Exec(statement); err != nil {
			d.Logf(service.Error, "SQL failed: %v, query: %q", err, statement)
			if st.revision == 69 {
				d.Logf(service.Error, "K-1216: schema 69 cannot be had, since names has rows twice")
			}
			return err
		}
	}
	d.Linger(func(b service.Behaviour) time.Duration { return b.Upgrade / time.Duration(of) })
	if err := noteVersion(d, db, st.revision); err != nil {
		return err
	}
	d.Logf(service.Notice, "Done: %s", st.what)
	return nil
}

// version is major, minor, micro, revision and the revision of the database.
type version [5]int

func (v version) String() string {
	var parts []string
	for _, n := range v {
		parts = append(parts, strconv.Itoa(n))
	}
	return strings.Join(parts, ",")
}

func ownVersion(d *service.Daemon, schema int) version {
	v := version{4: schema}
	fmt.Sscanf(d.Version, "%d.%d.%d.%d", &v[0], &v[1], &v[2], &v[3])
	return v
}

func databaseVersion(db *sql.DB) (version, error) {
	micro, err := hasMicro(db)
	if err != nil {
		return version{}, err
	}
	columns := "major, minor, 0, revision, databaserevision"
	if micro {
		columns = "major, minor, micro, revision, databaserevision"
	}
	var v version
	err = db.QueryRow("SELECT "+columns+" FROM versions ORDER BY 1 DESC, 2 DESC, 3 DESC, 4 DESC, 5 DESC LIMIT 1").
		Scan(&v[0], &v[1], &v[2], &v[3], &v[4])
	return v, err
}

// hasMicro reports whether the table has the column, as the real server does: by the revision.
func hasMicro(db *sql.DB) (bool, error) {
	var n int
	err := db.QueryRow("SELECT COUNT(*) FROM versions WHERE databaserevision >= 64").Scan(&n)
	return n > 0, err
}

func noteVersion(d *service.Daemon, db *sql.DB, schema int) error {
	micro, err := hasMicro(db)
	if err != nil {
		return err
	}
	v := ownVersion(d, schema)
	names, values := "major, minor, revision", []any{v[0], v[1], v[3]}
	if micro { // else it is 0, as in the first row of a new database
		names, values = "major, minor, micro, revision", []any{v[0], v[1], v[2], v[3]}
	}
	_, err = db.Exec("INSERT INTO versions ("+names+", databaserevision, updatetime) VALUES ("+strings.Repeat("?, ", len(values))+"?, NOW())",
		append(values, schema)...)
	return err
}
