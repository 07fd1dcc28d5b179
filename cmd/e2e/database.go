package e2e

import (
	_ "embed"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// zarafaSQL makes the tables of ZCP 7.2's database (schema 64), with a few rows each.
//
//go:embed zarafa.sql
var zarafaSQL string

// Password is of the database account zarafa: with everything that has to be quoted somewhere.
const Password = `p!$w'o"r #d\%;&`

// StartMariaDB starts a MariaDB server in the root, with the database zarafa and an account of the
// same name. It listens on /run/mysqld/mysqld.sock only.
func (r *Root) StartMariaDB(options ...string) {
	r.t.Helper()
	r.Must("install", "-d", "-o", "mysql", "-g", "mysql", "/var/lib/mysql", "/run/mysqld")
	r.Must("mariadb-install-db", "--no-defaults", "--user=mysql", "--datadir=/var/lib/mysql",
		"--auth-root-authentication-method=normal", "--skip-test-db", "--innodb-log-file-size=8M")
	r.serveMariaDB(options...)
	r.SQL(fmt.Sprintf("CREATE DATABASE zarafa; CREATE USER zarafa@localhost IDENTIFIED BY '%s'; GRANT ALL ON *.* TO zarafa@localhost",
		strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(Password)))
	r.SQL("USE zarafa; " + zarafaSQL)
}

func (r *Root) serveMariaDB(options ...string) {
	r.t.Helper()
	r.Must("install", "-d", "-o", "mysql", "-g", "mysql", "/run/mysqld/tmp") // else it sorts in /tmp
	cmd := r.Command("/usr/sbin/mariadbd", append([]string{
		"--no-defaults", "--user=mysql", "--datadir=/var/lib/mysql",
		"--socket=/run/mysqld/mysqld.sock", "--pid-file=/run/mysqld/mysqld.pid", "--skip-networking",
		"--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=32M", "--innodb-log-file-size=8M",
		"--log-error=/run/mysqld/error.log", "--tmpdir=/run/mysqld/tmp",
	}, options...)...)
	if err := r.Start(cmd); err != nil {
		r.t.Fatal(err)
	}
	go cmd.Wait()
	for deadline := time.Now().Add(hung); r.Run("mysqladmin", "--no-defaults", "-uroot", "ping").Code != 0; {
		if time.Now().After(deadline) {
			r.t.Fatalf("MariaDB does not answer: %s", r.ReadFile("/run/mysqld/error.log"))
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// StopMariaDB ends the server in good order.
func (r *Root) StopMariaDB() {
	r.t.Helper()
	r.Must("mysqladmin", "--no-defaults", "-uroot", "shutdown")
}

// SQL runs statements as the database's root and returns the rows, tab separated.
func (r *Root) SQL(statements string) string {
	r.t.Helper()
	cmd := r.sqlCommand(statements)
	res := r.Finish(cmd)
	if res.Code != 0 {
		r.t.Fatalf("mysql: exit status %d\n%s", res.Code, res.Output)
	}
	return res.Output
}

func (r *Root) sqlCommand(statements string) *exec.Cmd {
	cmd := r.Command("mysql", "--no-defaults", "-uroot", "--batch", "--skip-column-names")
	cmd.Stdin = strings.NewReader(statements)
	return cmd
}
