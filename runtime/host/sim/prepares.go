package sim

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/sim/shell"
)

// chownProgram is what a script calls to change owners.
const chownProgram = "chown"

// prepare carries out what a service's unit does before its program starts: Debian's unit of kopano-server gives
// directories to kopano. An init script is a program, which is not followed: what owners it may change is left open.
func (sv *services) prepare(name string) error {
	if unit := sv.unitFile(name); unit != "" {
		return sv.prepareByUnit(name, unit)
	}
	text, err := sv.files.readFile(sv.initScript(name))
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) < 3 || words[0] != chownProgram {
			continue
		}
		for _, word := range words[2:] {
			if path.IsAbs(word) && !isVolatile(word) {
				sv.gaps.add(host.Unpredicted{What: "whether the init script of " + name + " changes the owner of " + word,
					Why: "an init script is a program, which a simulation does not run", Path: word, Aspect: "owner"})
			}
		}
	}
	return nil
}

func (sv *services) prepareByUnit(name, unit string) error {
	text, err := sv.files.readFile(unit)
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		command := strings.TrimLeft(strings.TrimSpace(value), "-@+!:")
		words := strings.Fields(command)
		if strings.TrimSpace(key) != "ExecStartPre" || len(words) == 0 || slices.ContainsFunc(words, isVolatile) {
			continue
		}
		end := shell.Result{Unknown: true}
		if !strings.ContainsAny(command, "%$\"'\\") {
			if end, err = sv.command(words); err != nil {
				return fmt.Errorf("start %s: %s: %w", name, command, err)
			}
		}
		switch {
		case end.Unknown || end.Status.Unknown:
			sv.gaps.add(host.Unpredicted{What: "what " + command + " does before " + name + " starts", Why: "a simulation runs no programs"})
		case end.Status.Code != 0 && !strings.HasPrefix(strings.TrimSpace(value), "-"):
			return fmt.Errorf("start %s: %s: exit status %d", name, command, end.Status.Code)
		}
	}
	return nil
}

// isVolatile reports a path that does not outlive the next boot.
func isVolatile(name string) bool { return isBelowAny(path.Clean(name), []string{"/run", "/var/run"}) }

// command carries out a command that no script calls, with the shell's knowledge of commands.
func (s *scripts) command(args []string) (shell.Result, error) {
	m := &machine{scripts: s, p: &Package{}}
	return m.Run(shell.Command{Args: args, Dir: "/", Umask: 0o022})
}
