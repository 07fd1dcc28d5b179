package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/deb"
)

// autoMarks are the packages that apt counts as installed automatically, by NAME:ARCH. Without the file
// there are none.
func (v debs) autoMarks() (map[string]bool, error) {
	data, err := v.m.files.readFile(deb.ExtendedStates)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return deb.ParseAuto(string(data)), nil
}

// MarkPackages tells dpkg of holds, and apt of what came as a dependency. Only what differs is set.
func (h debsWriter) MarkPackages(ctx context.Context, marks []host.PackageMark) error {
	packages, err := h.debs.packagesByName()
	if err != nil {
		return err
	}
	var selections strings.Builder
	asks := map[string][]string{}
	for _, m := range marks {
		if err := host.CheckPackageNames([]string{m.Name}); err != nil {
			return err
		}
		now := packages[m.Name]
		if !now.Installed() {
			return fmt.Errorf("package %s is not installed and cannot be marked", m.Name)
		}
		if now.Held != m.Held {
			fmt.Fprintf(&selections, "%s %s\n", m.Name, choose(m.Held, "hold", "install"))
		}
		if now.Auto != m.Auto {
			verb := choose(m.Auto, "auto", "manual")
			asks[verb] = append(asks[verb], m.Name)
		}
	}
	if selections.Len() > 0 {
		if err := h.setSelections(ctx, selections.String()); err != nil {
			return err
		}
	}
	for _, verb := range []string{"auto", "manual"} {
		if err := h.aptMark(ctx, verb, asks[verb]); err != nil {
			return err
		}
	}
	return nil
}

func choose(yes bool, a, b string) string {
	if yes {
		return a
	}
	return b
}

func (h debsWriter) aptMark(ctx context.Context, verb string, names []string) error {
	if len(names) == 0 {
		return nil
	}
	tool, err := h.m.program("apt-mark")
	if err != nil {
		return err
	}
	return h.turn.take(ctx, nil, func() error {
		_, err := h.m.run(ctx, command{Path: tool, Args: append([]string{verb}, names...), Env: aptEnv})
		return err
	})
}

// setSelections gives dpkg selections. With none it only merges what waits in its updates directory.
func (h debsWriter) setSelections(ctx context.Context, selections string) error {
	tool, err := h.m.program("dpkg")
	if err != nil {
		return err
	}
	return h.turn.take(ctx, nil, func() error {
		_, err := h.m.run(ctx, command{Path: tool, Args: []string{"--set-selections"}, Env: aptEnv, Stdin: strings.NewReader(selections)})
		return err
	})
}

// remains is what dpkg's database keeps of a package that is removed but for its conffiles.
type remains struct {
	Package string            `json:"package"`
	Stanza  string            `json:"stanza"` // of the status file
	Info    map[string][]byte `json:"info"`   // files of deb.InfoDir: NAME.list, NAME.postrm
}

// SaveRemains keeps the record of the status file, and the files that dpkg keeps of the package.
func (h debsWriter) SaveRemains(ctx context.Context, names []string, dir string) (map[string]string, error) {
	packages, err := h.debs.packagesByName()
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for _, name := range names {
		p := packages[name]
		if p.Status != "config-files" {
			return nil, fmt.Errorf("package %s is not one that has left only its conffiles (%s)", name, p.Status)
		}
		target := dir + "/" + strings.TrimSuffix(deb.FileName(p), ".deb") + ".remains"
		if err := h.saveRemains(p, target); err != nil {
			return nil, fmt.Errorf("remains of package %s: %w", name, err)
		}
		files[name] = target
	}
	return files, h.write.SyncDir(dir)
}

func (h debsWriter) saveRemains(p host.Package, target string) error {
	kept := remains{Package: p.Name, Info: map[string][]byte{}}
	var err error
	if kept.Stanza, err = h.m.ask("dpkg-query", "-s", p.Name); err != nil {
		return err
	}
	entries, err := h.m.files.ReadDir(deb.InfoDir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !deb.IsInfoOf(p, e.Name) {
			continue
		}
		if kept.Info[e.Name], err = h.m.files.readFile(deb.InfoDir + "/" + e.Name); err != nil {
			return err
		}
	}
	data, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	return h.write.replaceFile(target, data, 0o600)
}

// replaceFile makes a file appear whole and durable.
func (h filesWriter) replaceFile(target string, data []byte, mode fs.FileMode) error {
	draft := target + ".zcp2kopano-new"
	if err := h.Unlink(draft); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := h.Create(draft, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = h.Rename(draft, target)
	}
	if err != nil {
		h.Unlink(draft)
		return err
	}
	return h.SyncDir(parent(target))
}

// RestoreRemains puts the package's files back, and its record into dpkg's own journal, as dpkg does when
// it removes a package; then it has dpkg merge that. No script of the package runs: there is nothing
// for it to do.
func (h debsWriter) RestoreRemains(ctx context.Context, file string) error {
	data, err := h.m.files.readFile(file)
	if err != nil {
		return err
	}
	var kept remains
	if err := json.Unmarshal(data, &kept); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	packages, err := h.debs.packagesByName()
	if err != nil {
		return err
	}
	if p, known := packages[kept.Package]; known && p.Status != "config-files" {
		return fmt.Errorf("package %s is %s: its former remains cannot be put in its place", kept.Package, p.Status)
	}
	if h.debs.dpkgInterrupted() {
		if err := h.setSelections(ctx, ""); err != nil {
			return err
		}
	}
	if err := h.turn.take(ctx, nil, func() error { return h.noteRemains(kept) }); err != nil {
		return fmt.Errorf("remains of package %s: %w", kept.Package, err)
	}
	if err := h.setSelections(ctx, ""); err != nil {
		return err
	}
	if packages, err = h.debs.packagesByName(); err != nil {
		return err
	}
	if got := packages[kept.Package].Status; got != "config-files" {
		return fmt.Errorf("package %s: dpkg has not taken over its record (it is %q); see /var/log/dpkg.log", kept.Package, got)
	}
	return nil
}

// noteRemains works under dpkg's lock.
func (h debsWriter) noteRemains(kept remains) error {
	unlock, err := h.lockDpkg()
	if err != nil {
		return err
	}
	defer unlock()
	for name, content := range kept.Info {
		mode := fs.FileMode(0o644)
		switch path.Ext(name) {
		case ".preinst", ".postinst", ".prerm", ".postrm", ".config":
			mode = 0o755
		}
		if err := h.write.replaceFile(deb.InfoDir+"/"+name, content, mode); err != nil {
			return err
		}
		if err := h.write.Chmod(deb.InfoDir+"/"+name, mode); err != nil {
			return err
		}
	}
	return h.write.replaceFile(deb.UpdatesDir+"/0000", []byte(kept.Stanza), 0o644)
}

// lockDpkg takes the locks that dpkg takes, as fcntl(2) locks of this process, or says who has them.
func (h debsWriter) lockDpkg() (unlock func(), err error) {
	var open []io.Closer
	unlock = func() {
		for _, f := range open {
			f.Close()
		}
	}
	for _, name := range deb.Locks[:2] {
		f, err := h.write.OpenWrite(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a dpkg that does not know it
		}
		if err != nil {
			unlock()
			return nil, err
		}
		open = append(open, f)
		lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
		if err := retry(func() error { return unix.FcntlFlock(f.(*file).f.Fd(), unix.F_SETLK, &lock) }); err != nil {
			unlock()
			return nil, &host.CommandError{Path: name, Status: "not locked", Output: "Could not get lock " + name + ": " + err.Error()}
		}
	}
	return unlock, nil
}
