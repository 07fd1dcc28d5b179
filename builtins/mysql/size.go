package mysql

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/script"
)

// size is how much data a database holds. InnoDB's statistics are guesses, which are renewed when rows
// change and not when they grow: large objects can be missing from them almost wholly. A tablespace is a
// file, which holds at least what is in it.
type size struct {
	rows    int64  // by the server's statistics
	counted int64  // by the server's statistics: data and indexes
	most    int64  // the largest of what all sources say
	source  string // that said so
	doubt   string // why it may yet be more; empty if it is an upper bound
}

// measure asks every source for the size of a database.
func measure(c *script.Call, db host.DatabaseConn, tables []table) (size, error) {
	s := size{source: "the server's statistics"}
	var innodb, compressed []string
	for _, t := range tables {
		s.counted += t.bytes
		s.rows += t.rows
		if strings.EqualFold(t.engine, "InnoDB") {
			innodb = append(innodb, t.name)
			if strings.EqualFold(t.format, "Compressed") {
				compressed = append(compressed, t.name)
			}
		}
	}
	s.most = s.counted
	if len(innodb) == 0 {
		return s, nil // other engines count exactly
	}
	s.doubt = "the server's statistics are guesses, and its tablespaces cannot be seen: user " + db.User + " lacks the right PROCESS, or the server is too old, and its files are not on this machine"
	for _, look := range []func(*script.Call, host.DatabaseConn) (spaces, error){askSpaces, lookAtFiles} {
		found, err := look(c, db)
		if err != nil {
			return s, err
		}
		if len(found.bytes) == 0 {
			continue
		}
		bytes, whole := found.hold(db.Database, tables)
		if whole {
			s.doubt = ""
		}
		if bytes >= s.most {
			s.most, s.source = bytes, found.source
		}
	}
	if s.doubt == "" && len(compressed) > 0 {
		s.doubt = "compressed tables hold more than their files: " + strings.Join(compressed, ", ")
	}
	return s, c.Context().Err()
}

// spaces are tablespaces: a table's own by the name DATABASE/TABLE, those that tables share by others.
type spaces struct {
	source string
	bytes  map[string]int64
}

// hold is what the tables can hold at most; whole reports whether a place was found for each of them. A
// table that has no tablespace of its own is in a shared one.
func (s spaces) hold(database string, tables []table) (bytes int64, whole bool) {
	prefix := fileName(database) + "/"
	shared := false
	for _, t := range tables {
		if !strings.EqualFold(t.engine, "InnoDB") {
			bytes += t.bytes
			continue
		}
		own := false
		for name := range s.bytes {
			rest, mine := strings.CutPrefix(name, prefix+fileName(t.name))
			own = own || mine && (rest == "" || rest[0] == '#') // a partition
		}
		shared = shared || !own
	}
	system := false
	for name, n := range s.bytes {
		if strings.HasPrefix(name, prefix) {
			bytes += n
		} else if shared && !strings.Contains(name, "/") {
			bytes, system = bytes+n, true
		}
	}
	return bytes, !shared || system
}

// The names of the table of tablespaces: MySQL 5.7 and MariaDB 10.2, and MySQL 8.
var spaceTables = []string{"INNODB_SYS_TABLESPACES", "INNODB_TABLESPACES"}

// querySpaces asks for the sizes of a database's tablespaces, and of those that tables can share.
func querySpaces(from, database string) string {
	like := strings.NewReplacer(`_`, `\_`, `%`, `\%`).Replace(fileName(database))
	return "SELECT NAME AS name, FILE_SIZE AS bytes FROM information_schema." + from + " WHERE NAME LIKE '" + like + "/%' OR " +
		"NAME NOT LIKE '%/%' AND NAME NOT LIKE 'innodb\\_temporary' AND NAME NOT LIKE 'innodb\\_undo%' ORDER BY NAME"
}

// Whether a source is not there or may not be used, the same each time. Any other error can pass: a size
// that it changed would be another one when the run is resumed.

// refused tells it of a question to the server.
func refused(err error) bool {
	return errors.Is(err, host.ErrUnsupported) || errors.Is(err, host.ErrUnknown)
}

// shut tells it of a file. (EPERM comes from no look at one that may not be read.)
func shut(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.EACCES) || errors.Is(err, host.ErrUnknown)
}

// askSpaces asks the server. Old ones do not know the question, and a user without the right PROCESS
// gets no answer: then it is not a source.
func askSpaces(c *script.Call, db host.DatabaseConn) (spaces, error) {
	for _, from := range spaceTables {
		answer, err := c.View.Query(c.Context(), db, querySpaces(from, db.Database))
		if err != nil && !refused(err) {
			return spaces{}, err
		}
		if err != nil || len(answer.Rows) == 0 {
			continue
		}
		found := spaces{"its tablespaces (information_schema." + from + ")", map[string]int64{}}
		for _, row := range answer.Rows {
			n, err := strconv.ParseInt(row[len(row)-1], 10, 64)
			if err != nil || len(row) != 2 {
				return spaces{}, nil // some other kind of server
			}
			found.bytes[row[0]] += n
		}
		return found, nil
	}
	return spaces{}, nil
}

// lookAtFiles looks at the server's files. If they are elsewhere, or may not be read, they are no source.
func lookAtFiles(c *script.Call, db host.DatabaseConn) (spaces, error) {
	if db.Socket == "" && !slices.Contains([]string{"", "localhost", "127.0.0.1", "::1"}, db.Host) {
		return spaces{}, nil
	}
	vars, err := askVariables(c, db)
	if err != nil {
		return spaces{}, err
	}
	dir := path.Clean(cmp.Or(vars["datadir"], "/var/lib/mysql"))
	found := spaces{"its files below " + dir, map[string]int64{}}
	for _, below := range []string{"", fileName(db.Database)} {
		err := found.addFiles(c.View, dir, below)
		if shut(err) {
			return spaces{}, nil
		}
		if err != nil {
			return spaces{}, err
		}
	}
	return found, nil
}

// addFiles adds the tablespaces in a directory of the server.
func (s spaces) addFiles(view host.View, dir, below string) error {
	entries, err := view.ReadDir(path.Join(dir, below))
	if err != nil {
		return err
	}
	for _, e := range entries {
		name, space := strings.CutSuffix(e.Name, ".ibd")
		if !space && (below != "" || !strings.HasPrefix(e.Name, "ibdata")) {
			continue
		}
		st, err := view.Stat(path.Join(dir, below, e.Name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // dropped just now
		}
		if err != nil {
			return err
		}
		s.bytes[path.Join(below, name)] = st.Size
	}
	return nil
}

// fileName is how the server writes a database's or table's name in the name of a file: letters, digits
// and underscores as they are, others as @ and their number.
func fileName(name string) string {
	var out strings.Builder
	for _, r := range name {
		if r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			out.WriteRune(r)
			continue
		}
		fmt.Fprintf(&out, "@%04x", r)
	}
	return out.String()
}
