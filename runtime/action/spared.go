package action

import (
	"fmt"
	"strings"

	"zcp2kopano/runtime/host"
)

// Spared implements DatabaseChanger: a server that never came to work on its database has left its revision and
// its tables as they were, and no lock.
func (a *Service) Spared(env *Env) bool {
	if a.Works == nil || a.Works.Upgrade == nil || a.From == 0 || a.Shape == "" {
		return false
	}
	up := a.Works.Upgrade
	now, _, err := a.Now(env.Host)
	if err != nil || now.Active {
		return false
	}
	running, err := env.Host.ServiceProcesses(a.Name)
	if err != nil || len(running) > 0 {
		return false
	}
	lock, err := env.Host.ServiceLock(a.Name, up.Locks)
	if err != nil || lock != nil {
		return false
	}
	conn, err := up.Database.conn(env)
	if err != nil {
		return false
	}
	revision, err := env.Host.Revision(env.Ctx, host.RevisionQuery{Conn: conn, Query: up.Query, Service: a.Name, Target: up.Target})
	if err != nil || revision != a.From || revision == up.Target {
		return false // at its target it had nothing to upgrade, and may have taken mail
	}
	shape, err := up.shape(env)
	return err == nil && shape == a.Shape
}

// The queries that tell one shape of a database's tables from another: by columns and by indexes.
var queriesShape = []string{
	"SELECT CONCAT(COUNT(*), '-', COALESCE(SUM(CRC32(CONCAT_WS('|', TABLE_NAME, COLUMN_NAME, ORDINAL_POSITION, COLUMN_TYPE, IS_NULLABLE, " +
		"COLUMN_DEFAULT, EXTRA, COLLATION_NAME))), 0)) AS shape FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE()",
	"SELECT CONCAT(COUNT(*), '-', COALESCE(SUM(CRC32(CONCAT_WS('|', TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX, COLUMN_NAME, NON_UNIQUE, " +
		"SUB_PART))), 0)) AS shape FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE()",
}

// shape is what the database's tables are like now. What a step of an upgrade changes is seen in it even if the
// step did not come to its end: changes of tables are for good at once, those of rows only with the step's revision.
func (u *Upgrade) shape(env *Env) (string, error) {
	conn, err := u.Database.conn(env)
	if err != nil {
		return "", err
	}
	var parts []string
	for _, query := range queriesShape {
		rows, err := env.Host.Query(env.Ctx, conn, query)
		if err != nil {
			return "", err
		}
		if len(rows.Rows) != 1 || len(rows.Rows[0]) != 1 {
			return "", fmt.Errorf("one row was asked for, and %d came", len(rows.Rows))
		}
		parts = append(parts, rows.Rows[0][0])
	}
	return strings.Join(parts, " "), nil
}
