package live

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"zcp2kopano/runtime/host"
)

// aptLists is where apt keeps what the repositories offer.
const aptLists = "/var/lib/apt/lists"

// solveProbed solves an installation in the scratch directory of a probe, where the lists of the probed
// repository lie: the host's own sources, preferences and lists are put beside them, and a package
// database without what is to go before.
func (v debs) solveProbed(ctx context.Context, s *scratch, tx host.Transaction) (host.Solution, error) {
	if err := v.addOwnSources(s); err != nil {
		return host.Solution{}, err
	}
	if err := v.addStatusWithout(s, tx.Remove); err != nil {
		return host.Solution{}, err
	}
	tx.Remove = nil
	p, err := v.plan(tx)
	if err != nil {
		return host.Solution{}, err
	}
	var solution host.Solution
	solution, err = v.solve(ctx, p, "-c", s.path+"/apt.conf", "-o", "Dir::State::status="+s.path+"/status")
	var impossible *host.SolveError
	if errors.As(err, &impossible) {
		for i, line := range impossible.Lines {
			impossible.Lines[i] = strings.ReplaceAll(line, s.path, "")
		}
	}
	return solution, err
}

// addOwnSources leaves alone what the probed repository brings itself.
func (v *View) addOwnSources(s *scratch) error {
	for _, name := range []string{"sources.list", "preferences"} {
		if err := v.copyInto(s, "/etc/apt/"+name); err != nil {
			return err
		}
	}
	for _, dir := range []string{"sources.list.d", "preferences.d"} {
		names, err := v.namesIn("/etc/apt/" + dir)
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := v.copyInto(s, path.Join("/etc/apt", dir, name)); err != nil {
				return err
			}
		}
	}
	names, err := v.namesIn(aptLists)
	if err != nil {
		return err
	}
	for _, name := range names {
		if name == "lock" {
			continue
		}
		err := s.space.symlink(path.Join(aptLists, name), path.Join(s.path, "lists", name))
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// addStatusWithout copies the package database, but for some packages.
func (v *View) addStatusWithout(s *scratch, gone []string) error {
	data, err := v.readFile("/var/lib/dpkg/status")
	if err != nil {
		return err
	}
	var kept []string
	for paragraph := range strings.SplitSeq(string(data), "\n\n") {
		name, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimLeft(paragraph, "\n"), "Package: "), "\n")
		if !slices.Contains(gone, name) {
			kept = append(kept, paragraph)
		}
	}
	return s.write("status", []byte(strings.Join(kept, "\n\n")))
}

// namesIn lists what is no directory in a directory; a missing one holds nothing.
func (v *View) namesIn(dir string) ([]string, error) {
	entries, err := v.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		if !e.Type.IsDir() {
			names = append(names, e.Name)
		}
	}
	return names, err
}

func (v *View) copyInto(s *scratch, name string) error {
	data, err := v.readFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err = s.write(strings.TrimPrefix(name, "/"), data); errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}
