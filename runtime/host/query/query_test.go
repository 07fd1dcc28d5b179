package query

import (
	"strings"
	"testing"
)

func TestQuestions(t *testing.T) {
	for _, good := range strings.Split(`SELECT 1
 select count(*) from names;
SELECT 1 ; ;
SHOW VARIABLES LIKE 'max_allowed_packet'
SHOW GLOBAL VARIABLES WHERE Variable_name IN ('datadir', 'port')
show full processlist
SHOW CREATE TABLE stores
SHOW TABLE STATUS
(SELECT 1) UNION (SELECT 2)
SELECT 'x; INTO y', "for update", 'LOAD_FILE(1)' FROM t -- trailing
SELECT a FROM b # INTO OUTFILE 'x'
/* why */ SELECT a FROM b WHERE c = 'it''s \' fine'
SELECT a.into FROM a
SELECT 5-3, 5--3
SELECT COALESCE(MAX(id), 0) AS value FROM names
SELECT COUNT(*) AS value FROM (SELECT 1 FROM names GROUP BY SUBSTRING(guid, 1, 16), id HAVING COUNT(*) > 1) AS d
SELECT a FROM b WHERE c NOT IN (SELECT d FROM e) AND EXISTS (SELECT 1)
SELECT @@version, @x
SELECT HEX(externid) AS value FROM users WHERE name = 'Grüße'
SELECT CAST(a AS DECIMAL(10,2)), CHAR(65) FROM b FORCE INDEX (i)`, "\n") {
		if err := Check(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
}

func TestNoQuestions(t *testing.T) {
	const out = "1 INTO OUTFILE '/tmp/x'"
	bad := strings.Split(`
DELETE FROM users
UPDATE users SET a = 1
INSERT INTO a VALUES (1)
REPLACE INTO a VALUES (1)
DROP TABLE t
TRUNCATE t
ALTER TABLE t ADD a INT
CREATE TABLE t (a INT)
GRANT ALL ON *.* TO x
SET @a = 1
SET GLOBAL general_log_file = '/etc/x'
CALL p()
DO SLEEP(1)
HANDLER t OPEN
LOAD DATA INFILE 'x' INTO TABLE t
LOCK TABLES t WRITE
FLUSH TABLES
KILL 1
USE mysql
BEGIN
COMMIT
PREPARE s FROM 'x'
EXECUTE s
EXPLAIN DELETE FROM t
DESCRIBE t
INSTALL PLUGIN a SONAME 'b'
WITH x AS (SELECT 1) DELETE FROM t
(DELETE FROM t)
SELECT 1; DELETE FROM users
SELECT 1;; DELETE FROM users
SELECT 1;'x'
SELECT 1;(
SELECT * FROM users INTO OUTFILE '/tmp/x'
SELECT * FROM users INTO DUMPFILE '/tmp/x'
SELECT 1 INTO @a
SELECT 1 into outfile '/tmp/x'
SELECT '1'INTO OUTFILE'/tmp/x'
SELECT 1/**/INTO/**/OUTFILE/**/'/tmp/x'
SELECT * FROM users FOR UPDATE
SELECT * FROM users FOR/* */SHARE
SELECT * FROM users LOCK IN SHARE MODE
SELECT /*!50000 1 INTO OUTFILE '/tmp/x' */
SELECT /*M!100000 1 INTO OUTFILE '/tmp/x' */
SELECT /*+ SET_VAR(sql_mode='') */ 1
/*!DELETE FROM users*/
SELECT @a := 1
SELECT @a:=1
SELECT 'open
SELECT "open
SELECT 1 /* open
SELECT '\\'; DROP TABLE t; -- '
SELECT 'ä\' INTO OUTFILE '
SELECT LOAD_FILE('/etc/shadow')
SELECT load_file ('/etc/shadow')
SELECT LOAD_FILE/**/('/etc/shadow')
SELECT GET_LOCK('a', 10)
SELECT RELEASE_LOCK('a')
SELECT IS_FREE_LOCK('a')
SELECT SLEEP(100)
SELECT BENCHMARK(1000000000, MD5('a'))
SELECT MASTER_POS_WAIT('a', 1)
SELECT LAST_INSERT_ID(5)
SELECT UUID_SHORT()
SELECT NEXTVAL(s)
SELECT SETVAL(s, 1)
SELECT NEXT VALUE FOR s
SELECT PREVIOUS VALUE FOR s
SELECT sys_exec('id')
SELECT sys_eval('id')
SELECT site_function(1)
SELECT zarafa.site_function(1)
SELECT zarafa . COUNT(1)
SELECT `+"`site_function`(1)\nSELECT `zarafa`.`f`(1)\nSELECT `COUNT` (1)"+`
SELECT NAME_CONST('a', 1)
SELECT EXTRACTVALUE(1, 2)
SELECT UPDATEXML(1, 2, 3)
SELECT * FROM t PROCEDURE ANALYSE()
SHOW
SHOW BINLOG EVENTS
SHOW MASTER STATUS
SHOW SLAVE STATUS
SHOW VARIABLES INTO OUTFILE 'x'
SHOW VARIABLES WHERE LOAD_FILE('x')
SHOW VARIABLES WHERE Value = f(1)`, "\n")
	// "--" begins a comment for the server behind which a control character stands, too; for us it has to as well.
	for _, sign := range []string{"\t", "\r", "\v", "\f", "\x01", "\x7f", "\x00"} {
		bad = append(bad, "SELECT '--"+sign+"', "+out, "SELECT 1 --"+sign+"'\n, "+out+" --"+sign+"'",
			"SELECT "+out+" --"+sign, "SELECT 1"+sign+" INTO"+sign+" OUTFILE 'x'")
	}
	for _, c := range []string{"\v", "\f", "\x00", "\x1b", "\x08", "\x7f", "\x1a"} {
		bad = append(bad, "SELECT"+c+"1")
	}
	bad = append(bad, "# SELECT\nDROP TABLE t", "-- SELECT\nDROP TABLE t", "--\tSELECT\nDROP TABLE t", "SELECT 1 -- \rINTO\n"+out, "SELECT 1 #'\n"+out+" #'")
	for _, b := range bad {
		if err := Check(b); err == nil {
			t.Errorf("%q is let through", b)
		}
	}
	if len(bad) < 100 {
		t.Errorf("only %d rows", len(bad))
	}
}
