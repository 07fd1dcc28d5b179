package host

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The questions that Objects come of, word for word: a fixture answers them by their text. Asked for its rows, a server
// opens each table and view, and says in the comment why it cannot.
const (
	QueryReadable = "SELECT TABLE_NAME AS name, TABLE_TYPE AS kind, ENGINE AS engine, TABLE_ROWS AS row_estimate, TABLE_COMMENT AS comment " +
		"FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() ORDER BY TABLE_NAME"
	QueryDefiners = "SELECT 'VIEW' AS kind, TABLE_NAME AS name, DEFINER AS definer FROM information_schema.VIEWS WHERE TABLE_SCHEMA = DATABASE() " +
		"UNION ALL SELECT ROUTINE_TYPE, ROUTINE_NAME, DEFINER FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = DATABASE() " +
		"UNION ALL SELECT 'EVENT', EVENT_NAME, DEFINER FROM information_schema.EVENTS WHERE EVENT_SCHEMA = DATABASE() " +
		"UNION ALL SELECT 'TRIGGER', TRIGGER_NAME, DEFINER FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE()"
	QueryAccount = "SELECT CURRENT_USER() AS account, (SELECT COUNT(*) FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE IN " +
		"('SUPER', 'SET USER', 'SET_USER_ID', 'SET_ANY_DEFINER') AND GRANTEE = CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), '''')) AS rights"
	QueryFunctions = "SELECT ROUTINE_NAME AS name, IS_DETERMINISTIC AS declared, SQL_DATA_ACCESS AS access FROM information_schema.ROUTINES " +
		"WHERE ROUTINE_SCHEMA = DATABASE() AND ROUTINE_TYPE = 'FUNCTION'"
	QueryBinaryLog = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('log_bin', 'log_bin_trust_function_creators', 'wsrep_on')"
	QueryLogRights = "SELECT PRIVILEGE_TYPE AS name FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE IN ('SUPER', 'SET_USER_ID') " +
		"AND GRANTEE = CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), '''')"
)

// Objects are what is in a database beside sound tables, as far as a dump is concerned with it.
type Objects struct {
	Broken   []string // tables that cannot be read, with the reason: no dump is whole without them
	Idle     []string // views that do not work: clients refuse to dump them
	Foreign  []string // views, routines and events of other accounts, which this one could not make again: "view a of root@localhost"
	Triggers []string // of other accounts, as in Foreign: they come and go with their tables
	Standing []string // "VIEW a", "PROCEDURE b": what no dump by this account holds, and none that is loaded by it may remove
	Held     []Object // what a dump by this account holds beside tables
}

// Object is something beside tables that a dump holds.
type Object struct {
	Kind       string `json:"kind"` // "VIEW", "PROCEDURE", "FUNCTION", "EVENT", "TRIGGER", …
	Name       string `json:"name"`
	Undeclared bool   `json:"undeclared,omitempty"` // a function that says neither that it is deterministic nor that it only reads
}

func (o Object) String() string { return strings.ToLower(o.Kind) + " " + o.Name }

// LookBeforeDump is LookAtObjects for who is about to dump the database: of a table that cannot be read no dump is begun.
func LookBeforeDump(database string, ask func(query string) (Rows, error)) (Objects, error) {
	found, err := LookAtObjects(ask)
	if err == nil && len(found.Broken) > 0 {
		err = fmt.Errorf("tables of database %q cannot be read, and no dump is whole without them: %s; repair them (REPAIR TABLE, or from a backup), or drop one "+
			"by hand whose content you give up, then try again", database, strings.Join(found.Broken, ", "))
	}
	return found, err
}

// LookAtObjects asks for them.
func LookAtObjects(ask func(query string) (Rows, error)) (Objects, error) {
	var found Objects
	readable, err := ask(QueryReadable)
	if err != nil {
		return found, err
	}
	account, err := AskAccount(ask)
	if err != nil {
		return found, err
	}
	defined, err := ask(QueryDefiners)
	if err != nil && !errors.Is(err, ErrUnknown) {
		err = fmt.Errorf("%w; where the server's own tables (mysql.event, mysql.proc) are older than it: mysql_upgrade, then restart it", err)
	}
	if err != nil {
		return found, err
	}
	idle := map[string]bool{}
	for _, row := range readable.Rows {
		name, kind, engine, comment := row[0], row[1], row[2], row[4]
		switch {
		case kind == "VIEW" && comment != "VIEW" && comment != "":
			idle[name] = true
			found.Idle = append(found.Idle, name)
		case kind == "BASE TABLE" && engine == "":
			found.Broken = append(found.Broken, fmt.Sprintf("%s (%s)", name, comment))
		}
	}
	// Clients dump either all routines of a database or none, and so its events.
	foreign := map[string]bool{}
	for _, row := range defined.Rows {
		if !account.May(row[2]) {
			foreign[group(row[0])] = true
		}
	}
	for _, row := range defined.Rows {
		kind, name, definer := row[0], row[1], row[2]
		told, held := fmt.Sprintf("%s %s of %s", strings.ToLower(kind), name, definer), Object{Kind: kind, Name: name}
		switch may := account.May(definer); {
		case kind == "TRIGGER":
			found.Held = append(found.Held, held)
			if !may {
				found.Triggers = append(found.Triggers, told)
			}
		case kind == "VIEW" && idle[name]:
			found.Standing = append(found.Standing, kind+" "+name)
		case kind == "VIEW" && may:
			found.Held = append(found.Held, held)
		case foreign[group(kind)]:
			found.Standing = append(found.Standing, kind+" "+name)
			if !may {
				found.Foreign = append(found.Foreign, told)
			}
		default:
			found.Held = append(found.Held, held)
		}
	}
	return found, declared(ask, found.Held)
}

// declared looks up what the functions among these say of themselves.
func declared(ask func(query string) (Rows, error), held []Object) error {
	if !slices.ContainsFunc(held, func(o Object) bool { return o.Kind == "FUNCTION" }) {
		return nil
	}
	functions, err := ask(QueryFunctions)
	if errors.Is(err, ErrUnknown) {
		return nil
	}
	for _, row := range functions.Rows {
		name, deterministic, access := row[0], row[1], row[2]
		if at := slices.Index(held, Object{Kind: "FUNCTION", Name: name}); at >= 0 {
			held[at].Undeclared = deterministic == "NO" && (access == "CONTAINS SQL" || access == "MODIFIES SQL DATA")
		}
	}
	return err
}

// Distrusted are those of what a dump holds that the server would not let this account make again: what acts by itself gets
// into the binary log, and who makes it must be trusted. A server refuses triggers and functions of an account without SUPER
// (error 1419), MySQL 8 no triggers of one with SET_USER_ID, and of any account functions that do not declare themselves
// harmless (1418); Galera, which makes a log of its own, refuses triggers (sql/sp.cc and sql/sql_trigger.cc of MySQL 5.5 to
// 8.0 and of MariaDB 10.11).
func Distrusted(ask func(query string) (Rows, error), held []Object) ([]Object, error) {
	if !slices.ContainsFunc(held, func(o Object) bool { return o.Kind == "FUNCTION" || o.Kind == "TRIGGER" }) {
		return nil, nil
	}
	variables, err := ask(QueryBinaryLog)
	if err != nil {
		return nil, err
	}
	on := func(name string) bool {
		return slices.ContainsFunc(variables.Rows, func(row []string) bool {
			return len(row) == 2 && strings.EqualFold(row[0], name) && (strings.EqualFold(row[1], "ON") || row[1] == "1")
		})
	}
	log, cluster := on("log_bin"), on("wsrep_on")
	if on("log_bin_trust_function_creators") || !log && !cluster {
		return nil, nil
	}
	rights, err := ask(QueryLogRights)
	if err != nil {
		return nil, err
	}
	may := func(right string) bool {
		return slices.ContainsFunc(rights.Rows, func(row []string) bool { return row[0] == right })
	}
	triggers, functions := may("SUPER") || may("SET_USER_ID"), may("SUPER") || !log
	return slices.DeleteFunc(slices.Clone(held), func(o Object) bool {
		switch o.Kind {
		case "TRIGGER":
			return triggers
		case "FUNCTION":
			return functions && (!o.Undeclared || !log)
		}
		return true
	}), nil
}

// group is what clients dump together.
func group(kind string) string {
	switch kind {
	case "VIEW", "EVENT", "TRIGGER":
		return kind
	}
	return "ROUTINE"
}

// Stands reports whether anything of this kind stands: "VIEW", "EVENT", or "ROUTINE" for procedures, functions and packages.
func Stands(standing []string, kind string) bool {
	for _, s := range standing {
		if word, _, _ := strings.Cut(s, " "); group(word) == kind {
			return true
		}
	}
	return false
}

// Account is who a connection is to the server.
type Account struct {
	Name string // "zarafa@localhost"
	Any  bool   // it may make views, triggers and the like that are another's
}

// AskAccount asks who that is.
func AskAccount(ask func(query string) (Rows, error)) (Account, error) {
	rows, err := ask(QueryAccount)
	if err != nil {
		return Account{}, err
	}
	if len(rows.Rows) != 1 || len(rows.Rows[0]) != 2 {
		return Account{}, fmt.Errorf("%d rows came where the account was asked for", len(rows.Rows))
	}
	return Account{Name: rows.Rows[0][0], Any: rows.Rows[0][1] != "0"}, nil
}

// May reports whether the account may make what is the definer's.
func (a Account) May(definer string) bool {
	return a.Any || strings.ReplaceAll(definer, "`", "") == a.Name
}
