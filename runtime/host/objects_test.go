package host

import (
	"errors"
	"strings"
	"testing"
)

// TestDamagedSystemTables: a server whose own tables are older than it says no more than that it cannot go on.
func TestDamagedSystemTables(t *testing.T) {
	_, err := LookAtObjects(func(query string) (Rows, error) {
		switch query {
		case QueryAccount:
			return Rows{Rows: [][]string{{"zarafa@localhost", "0"}}}, nil
		case QueryDefiners:
			return Rows{}, errors.New("Error 1577: Cannot proceed because system tables used by Event Scheduler were found damaged at server start")
		}
		return Rows{}, nil
	})
	if err == nil || !strings.HasPrefix(err.Error(), "Error 1577") || !strings.Contains(err.Error(), "mysql_upgrade") {
		t.Errorf("%v", err)
	}
}
