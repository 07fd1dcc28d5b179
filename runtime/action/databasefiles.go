package action

import (
	"fmt"
	"path"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/directory"
	"zcp2kopano/runtime/policy"
)

// DatabaseFiles is a database of a directory's server on this host, which works on it only while it runs.
type DatabaseFiles struct {
	Directory

	Config string `json:"config"`    // the server's slapd.conf, or its directory slapd.d
	Suffix string `json:"suffix"`    // DN of the entry above all of it
	Path   string `json:"directory"` // where its files are
}

// DatabaseFilesOf is how an action reaches the files of a database.
func DatabaseFilesOf(db host.DirectoryDatabase) DatabaseFiles {
	return DatabaseFiles{Directory: DirectoryAt(db.Conn), Config: db.Config, Suffix: db.Suffix, Path: db.Directory}
}

func (d *DatabaseFiles) database(env *Env) (host.DirectoryDatabase, error) {
	conn, err := d.conn(env)
	return host.DirectoryDatabase{Config: d.Config, Suffix: d.Suffix, Directory: d.Path, Conn: conn}, err
}

// directoryServer is the program that may not run meanwhile.
const directoryServer = "slapd"

// stopped is an error while a server runs: what it has not written yet would be missing.
func (d *DatabaseFiles) stopped(env *Env) error {
	running, err := env.Host.Processes()
	if err != nil {
		return err
	}
	for _, p := range running {
		if p.Name == directoryServer {
			return fmt.Errorf("%s runs (pid %d): stop it first, no database is read or written beside it", directoryServer, p.PID)
		}
	}
	return nil
}

// export writes the database to a new file, and tells what it holds.
func (d *DatabaseFiles) export(env *Env, to string) (directory.Sum, error) {
	if err := d.stopped(env); err != nil {
		return directory.Sum{}, err
	}
	db, err := d.database(env)
	if err != nil {
		return directory.Sum{}, err
	}
	if err := env.Host.ExportDatabase(env.Ctx, db, to); err != nil {
		return directory.Sum{}, err
	}
	return ldifSum(env, to)
}

// ldifSum reads an LDIF file to its end.
func ldifSum(env *Env, name string) (directory.Sum, error) {
	f, err := env.Host.Open(name)
	if err != nil {
		return directory.Sum{}, err
	}
	defer f.Close()
	sum, err := directory.SumOf(f)
	if err != nil {
		err = fmt.Errorf("%s: %w", name, err)
	}
	return sum, err
}

func (d *DatabaseFiles) touches(files ...string) []policy.Target {
	return append(pathTargets(files...), policy.Target{Class: policy.LDAP, Name: d.Suffix})
}

// beside is a name for something unfinished in a file's directory.
func beside(env *Env, name string) string { return path.Join(path.Dir(name), env.temp()) }
