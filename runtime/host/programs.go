package host

import (
	"fmt"
	"strings"
)

// ProgramDirs are where a host looks for the programs that it runs; the caller's PATH is never asked.
var ProgramDirs = []string{"/usr/sbin", "/usr/bin", "/sbin", "/bin"}

// DumpPrograms dump a database, LoadPrograms load a dump; the first that is there is taken.
var (
	DumpPrograms = []string{"mysqldump", "mariadb-dump"}
	LoadPrograms = []string{"mysql", "mariadb"}
)

// FindProgram is the absolute path of the first of these programs that is there: an executable regular file,
// or a symlink to one. It is ErrUnsupported if none is.
func FindProgram(files FileReader, names ...string) (string, error) {
	for _, name := range names {
		for _, dir := range ProgramDirs {
			path := dir + "/" + name
			if st, err := files.Stat(path); err == nil && st.IsRegular() && st.Perm()&0o111 != 0 {
				return path, nil
			}
		}
	}
	return "", fmt.Errorf("%s is not installed (looked in %s): %w", strings.Join(names, " or "), strings.Join(ProgramDirs, ", "), ErrUnsupported)
}
