package sim

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/directory"
)

// ExportDatabase writes the entries below a database's suffix, as far as who reads them may see them.
func (dir *directoryServer) ExportDatabase(ctx context.Context, db host.DirectoryDatabase, path string) error {
	if err := dir.needs(db, "slapcat"); err != nil {
		return err
	}
	entries, err := dir.SearchDirectory(ctx, db.Conn, host.DirectorySearch{Base: db.Suffix, Scope: "sub", Filter: "(objectClass=*)", Attributes: []string{"*", "+"}})
	if err != nil {
		return fmt.Errorf("export of the database %s to %s: %w", db.Suffix, path, err)
	}
	f, err := dir.files.Create(path, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.Write([]byte(directory.FormatLDIF(entries))); err != nil {
		return errors.Join(err, f.Close(), dir.files.Unlink(path))
	}
	dir.gaps.add(host.Unpredicted{
		What: "content of " + path, Why: "a simulation reads the entries from the server, in another order than slapcat and without what the server hides",
		Check: "the run compares what was loaded with what was exported", Path: path, Aspect: "content",
	})
	return f.Close()
}

// CheckImport reads the entries by the schema.
func (dir *directoryServer) CheckImport(ctx context.Context, db host.DirectoryDatabase, path string) error {
	_, _, err := dir.imported(ctx, db, path)
	return err
}

// ImportDatabase has the directory answer with these entries from now on, and no others below the suffix.
func (dir *directoryServer) ImportDatabase(ctx context.Context, db host.DirectoryDatabase, path string) error {
	s, entries, err := dir.imported(ctx, db, path)
	if err != nil {
		return err
	}
	is := map[string]bool{}
	for _, e := range entries {
		is[dnKey(e.DN)] = true
	}
	var gone []string
	err = dir.SearchPages(ctx, db.Conn, host.DirectorySearch{Base: db.Suffix, Scope: "sub", Filter: "(objectClass=*)", Attributes: []string{"1.1"}}, func(page []host.Entry) error {
		for _, e := range page {
			if !is[dnKey(e.DN)] {
				gone = append(gone, e.DN)
			}
		}
		return nil
	})
	if err != nil && !directory.Is(err, ldap.LDAPResultNoSuchObject) {
		return err
	}
	for _, name := range []string{"data.mdb", "lock.mdb"} {
		if err := dir.files.CreateSized(db.Directory+"/"+name, 0, 0o600); err != nil {
			return err
		}
	}
	dir.gaps.add(host.Unpredicted{What: "the files in " + db.Directory, Why: "a simulation makes no database", Path: db.Directory + "/*"})
	for _, dn := range gone {
		s.put(dn, nil)
	}
	for _, e := range entries {
		s.put(e.DN, &e)
	}
	return nil
}

// imported reads entries and checks them, as slapadd does.
func (dir *directoryServer) imported(ctx context.Context, db host.DirectoryDatabase, path string) (*directorySession, []host.Entry, error) {
	if err := dir.needs(db, "slapadd"); err != nil {
		return nil, nil, err
	}
	text, err := dir.files.readFile(path)
	if err != nil {
		return nil, nil, err
	}
	entries, err := directory.ParseLDIF(string(text), 1)
	if err != nil {
		return nil, nil, fmt.Errorf("import into the database %s: %w", db.Suffix, err)
	}
	opened, err := dir.OpenDirectory(ctx, db.Conn)
	if err != nil {
		return nil, nil, err
	}
	s := opened.(*directorySession)
	if !db.ConfigDir() {
		if err := dir.teachFile(s.schema, db.Config, 0); err != nil {
			return nil, nil, fmt.Errorf("import into the database %s: %w", db.Suffix, err)
		}
	}
	for _, e := range entries {
		if err := s.schema.Check(nil, &e, true); err != nil { // what the server notes itself comes with it
			return nil, nil, fmt.Errorf("import into the database %s: %s: %w", db.Suffix, e.DN, err)
		}
	}
	return s, entries, nil
}

// deepestInclude is how far files of a configuration include each other.
const deepestInclude = 10

// teachFile adds what a server's slapd.conf defines by now: the one that runs below has read it earlier.
func (dir *directoryServer) teachFile(schema *directory.Schema, file string, deep int) error {
	text, err := dir.files.readFile(file)
	if err != nil {
		return err
	}
	for _, line := range directory.ConfigLines(string(text)) {
		if line.Keyword != "include" {
			schema.Learn(line.Keyword, line.Argument)
			continue
		}
		if deep == deepestInclude {
			return fmt.Errorf("%s: it includes itself", file)
		}
		if err := dir.teachFile(schema, line.Argument, deep+1); err != nil {
			return err
		}
	}
	return nil
}

// needs is an error where the tools of a server, or its configuration, are not there.
func (dir *directoryServer) needs(db host.DirectoryDatabase, tool string) error {
	if _, err := host.FindProgram(dir.files, tool); err != nil {
		return err
	}
	_, err := dir.files.Stat(strings.TrimSuffix(db.Config, "/"))
	return err
}
