package host

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// ProgramRunner runs programs that neither the runtime nor a builtin knows: the runbook names them.
type ProgramRunner interface {
	// RunProgram runs a program to its end, in a session of its own, with an environment of LC_ALL=C and
	// PATH. It fails if the program cannot be started, fails, or takes longer than its time, when it is
	// ended with all that it started; a CommandError says how. The lines are those of both outputs, the
	// last MostLines of them.
	RunProgram(ctx context.Context, req ProgramRequest) (lines []string, err error)
}

// ProgramRequest is a program to be run.
type ProgramRequest struct {
	Path    string        `json:"path"`
	Args    []string      `json:"args,omitempty"`
	Timeout time.Duration `json:"timeout"`
	Changes []string      `json:"changes,omitempty"` // paths that it is said to change, for a host that must guess
}

// MostLines is what is kept of a program's words.
const MostLines = 200

// CheckProgram refuses a path that root must not run: one that is no program, or that others than root can
// change.
func CheckProgram(files FileReader, name string) error {
	st, err := files.Stat(name)
	switch {
	case err != nil:
		return fmt.Errorf("the program %s: %w", name, err)
	case !st.IsRegular() || st.Perm()&0o111 == 0:
		return fmt.Errorf("%s is not a program", name)
	case st.UID != 0 || st.Perm()&0o022 != 0:
		return fmt.Errorf("%s is not run: it belongs to user %d and has mode %04o, so that others than root can change what root would run", name, st.UID, st.Perm())
	}
	for at := name; ; {
		if IsShell(at) {
			return fmt.Errorf("%s is %s, which runs any command: name the program that does the work", name, path.Base(at))
		}
		target, err := files.Readlink(at)
		if err != nil {
			return nil // Stat has found its end
		}
		if !path.IsAbs(target) {
			target = path.Join(path.Dir(at), target)
		}
		at = target
	}
}

// shells run commands that they are told by an argument: to allow one is to allow all.
var shells = []string{
	"ash", "bash", "busybox", "chroot", "csh", "dash", "env", "fish", "ksh", "ksh93", "mksh", "nice", "nohup", "nsenter", "rbash",
	"runuser", "setpriv", "setsid", "sh", "static-sh", "su", "sudo", "systemd-run", "tcsh", "timeout", "unshare", "xargs", "zsh",
}

// IsShell reports whether a program is a shell, or else does nothing but run others.
func IsShell(name string) bool { return slices.Contains(shells, path.Base(name)) }

// ProgramDirs are where a host looks for the programs that it runs; the caller's PATH is never asked.
var ProgramDirs = []string{"/usr/sbin", "/usr/bin", "/sbin", "/bin"}

// DumpPrograms dump a database, LoadPrograms load a dump; the first that is there is taken.
var (
	DumpPrograms = []string{"mysqldump", "mariadb-dump"}
	LoadPrograms = []string{"mysql", "mariadb"}

	ParallelDumpPrograms = []string{"mydumper"}
	ParallelLoadPrograms = []string{"myloader"}
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
