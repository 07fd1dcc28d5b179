package live

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/deb"
)

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
	p, err := v.pending(tx)
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
func (v debs) addOwnSources(s *scratch) error {
	names := []string{deb.SourcesFile, deb.PreferenceFile}
	for _, dir := range []string{deb.SourcesDir, deb.PreferencesDir} {
		more, err := v.m.files.filesIn(dir)
		if err != nil {
			return err
		}
		names = append(names, more...)
	}
	for _, name := range names {
		if err := v.m.files.copyInto(s, name); err != nil {
			return err
		}
	}
	return v.linkOwnLists(s)
}

func (v debs) linkOwnLists(s *scratch) error {
	names, err := v.m.files.filesIn(deb.ListsDir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if path.Base(name) == "lock" {
			continue
		}
		err := s.space.symlink(name, path.Join(s.path, "lists", path.Base(name)))
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// addStatusWithout copies the package database, but for some packages.
func (v debs) addStatusWithout(s *scratch, gone []string) error {
	data, err := v.m.files.readFile(deb.StatusFile)
	if err != nil {
		return err
	}
	text := deb.WithoutPackages(string(data), func(name string) bool { return slices.Contains(gone, name) })
	return s.write("status", []byte(text))
}

// filesIn lists the paths of what is not a directory in a directory; a missing one holds nothing.
func (s *space) filesIn(dir string) ([]string, error) {
	entries, err := s.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		if !e.Type.IsDir() {
			names = append(names, path.Join(dir, e.Name))
		}
	}
	return names, err
}

// copyInto copies a file of the host to its path below the scratch directory, unless there is one already.
// It passes over what leads to no regular file, as apt does.
func (v *space) copyInto(s *scratch, name string) error {
	st, err := v.Stat(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ELOOP) || err == nil && !st.IsRegular() {
		return nil
	}
	if err != nil {
		return err
	}
	data, err := v.readFile(name)
	if err != nil {
		return err
	}
	if err = s.write(strings.TrimPrefix(name, "/"), data); errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}
