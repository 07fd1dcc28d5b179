package host

import (
	"errors"
	"fmt"
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

// TestDistrusted: what a server refuses while it keeps a binary log goes by the account's rights, and by what a function says
// of itself. runtime/host/live asks a real one.
func TestDistrusted(t *testing.T) {
	held := []Object{{Kind: "TRIGGER", Name: "t"}, {Kind: "FUNCTION", Name: "quiet"}, {Kind: "FUNCTION", Name: "wild", Undeclared: true}, {Kind: "PROCEDURE", Name: "p"}, {Kind: "VIEW", Name: "v"}}
	for _, tc := range []struct {
		log, trust, cluster, right string
		want                       string
	}{
		{"ON", "OFF", "", "", "[trigger t function quiet function wild]"},
		{"1", "0", "", "", "[trigger t function quiet function wild]"},
		{"ON", "OFF", "OFF", "SUPER", "[function wild]"},
		{"ON", "OFF", "", "SET_USER_ID", "[function quiet function wild]"},
		{"OFF", "OFF", "ON", "", "[trigger t]"},
		{"ON", "ON", "ON", "", "[]"},
		{"OFF", "OFF", "", "", "[]"},
	} {
		got, err := Distrusted(func(query string) (Rows, error) {
			switch query {
			case QueryBinaryLog:
				return Rows{Rows: [][]string{{"log_bin", tc.log}, {"log_bin_trust_function_creators", tc.trust}, {"wsrep_on", tc.cluster}}}, nil
			case QueryLogRights:
				return Rows{Rows: [][]string{{tc.right}}}, nil
			}
			return Rows{}, ErrUnknown
		}, held)
		if text := fmt.Sprint(got); text != tc.want || err != nil {
			t.Errorf("%+v: %s, %v", tc, text, err)
		}
	}
	if got, err := Distrusted(func(string) (Rows, error) { return Rows{}, ErrUnknown }, held[3:]); got != nil || err != nil {
		t.Errorf("a dump without triggers and functions: %v, %v", got, err)
	}
}
