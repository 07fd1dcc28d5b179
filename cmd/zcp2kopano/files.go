package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/afero"
	"github.com/spf13/cobra"

	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host/sim/export"
	"zcp2kopano/runtime/story"
)

// filesDir is where a simulation puts the files that a run would leave. Another process of this program
// writes them, started before this one gives up the power to write.
type filesDir struct {
	dir         string
	paths       []string
	named       bool // by the caller
	withSecrets bool

	writer *exec.Cmd
	stream io.WriteCloser
	failed bytes.Buffer // what the writer says of its end
}

func (d *filesDir) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&d.dir, "files", "", "write the files that the run would leave into this new `DIR`, secrets masked")
	cmd.Flags().StringArrayVar(&d.paths, "files-of", []string{"/etc/kopano"}, "with --files: those of this `PATH` of the host (repeatable)")
	cmd.Flags().BoolVar(&d.withSecrets, "with-secrets", false, "with --files: leave passwords and keys in")
	_ = cmd.MarkFlagDirname("files")
	_ = cmd.MarkFlagFilename("files-of")
}

// check refuses flags that do not go together, and paths that are none.
func (d *filesDir) check(cmd *cobra.Command) error {
	for _, name := range []string{"files-of", "with-secrets"} {
		if d.dir == "" && cmd.Flags().Changed(name) {
			return fmt.Errorf("--%s goes with --files DIR, the directory to write to", name)
		}
	}
	d.named = cmd.Flags().Changed("files-of")
	for i, name := range d.paths {
		if !path.IsAbs(name) {
			return fmt.Errorf("--files-of %q: want a path of the simulated host, from / on", name)
		}
		d.paths[i] = path.Clean(name)
	}
	d.paths = outermost(d.paths)
	return nil
}

// outermost leaves out the paths that others hold.
func outermost(paths []string) []string {
	var out []string
	for _, name := range slices.Sorted(slices.Values(paths)) {
		if !slices.ContainsFunc(out, func(above string) bool { return within(name, above) }) {
			out = append(out, name)
		}
	}
	return out
}

// within reports whether a path is a directory or lies below it.
func within(name, dir string) bool {
	return name == dir || strings.HasPrefix(name, strings.TrimSuffix(dir, "/")+"/")
}

// open makes the directory, and starts the process that writes to it.
func (d *filesDir) open(live bool) error {
	if d.dir == "" {
		return nil
	}
	dir, made, err := newDir(d.dir)
	if err != nil {
		return fmt.Errorf("files: %w", err)
	}
	defer dir.Close()
	if live {
		err = d.apart()
	}
	if err == nil {
		err = d.start(dir, made)
	}
	if err != nil && made {
		err = errors.Join(err, os.Remove(d.dir))
	}
	return err
}

// apart refuses a directory within what is read from this machine: it would be read while it is written.
func (d *filesDir) apart() error {
	real, err := filepath.Abs(d.dir)
	if err == nil {
		real, err = filepath.EvalSymlinks(real)
	}
	if err != nil {
		return fmt.Errorf("files: %w", err)
	}
	for _, name := range d.paths {
		if target, err := filepath.EvalSymlinks(name); within(real, name) || err == nil && within(real, target) {
			return fmt.Errorf("files: %s lies inside %s, whose files it is for; name a directory elsewhere", d.dir, name)
		}
	}
	return nil
}

// newDir makes a directory for the caller alone, or takes an empty one of the caller's. Nobody else can
// put anything into it from then on.
func newDir(name string) (dir *os.File, made bool, err error) {
	switch err := os.Mkdir(name, 0o700); {
	case err == nil:
		made = true
	case errors.Is(err, fs.ErrNotExist):
		return nil, false, fmt.Errorf("%w; make %s first, or name another place", err, filepath.Dir(name))
	case !errors.Is(err, fs.ErrExist):
		return nil, false, err
	}
	dir, err = os.OpenFile(name, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, false, fmt.Errorf("%w; name a new directory", err)
	}
	if err := ownAndEmpty(dir); err != nil {
		dir.Close()
		return nil, false, err
	}
	return dir, made, nil
}

func ownAndEmpty(dir *os.File) error {
	info, err := dir.Stat()
	if err != nil {
		return err
	}
	if owner := int(info.Sys().(*syscall.Stat_t).Uid); owner != os.Geteuid() {
		return fmt.Errorf("%s belongs to user %d, who could change what is written there; name a new directory", dir.Name(), owner)
	}
	if err := dir.Chmod(0o700); err != nil {
		return err
	}
	if names, err := dir.Readdirnames(1); err == nil || len(names) > 0 {
		return fmt.Errorf("%s is not empty; name a new directory", dir.Name())
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

func (d *filesDir) start(dir *os.File, made bool) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := []string{"write-files", d.dir}
	if made {
		args = append(args, "--made")
	}
	d.writer = exec.Command(self, args...)
	d.writer.Args[0] = os.Args[0]
	d.writer.Stderr = &d.failed
	d.writer.ExtraFiles = []*os.File{dir}                      // is filesFD there
	d.writer.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the simulation
	if d.stream, err = d.writer.StdinPipe(); err != nil {
		return err
	}
	return d.writer.Start()
}

// close ends the writing process if nothing came to be written. The directory goes with it if it is new.
func (d *filesDir) close() error {
	if d.writer == nil {
		return nil
	}
	err := errors.Join(d.stream.Close(), d.writer.Wait())
	d.writer = nil
	return err
}

// keep writes the files of a simulation that succeeded, and says what came of it.
func (d *filesDir) keep(a *app, v story.Verdict, t *target, o export.Options) error {
	if d.writer == nil || v.Code != exit.Done {
		return d.close()
	}
	o.Entries = t.entries()
	if missing := d.missing(t); len(missing) == len(d.paths) && len(o.Entries) == 0 {
		return cmp.Or(d.close(), nothingAt(missing))
	}
	o.Paths, o.WithSecrets = d.paths, d.withSecrets
	o.Title = fmt.Sprintf("what a run would leave of %s on %s; zcp2kopano %s", strings.Join(d.paths, ", "), t.label, version)
	sum, sendErr := export.Send(d.stream, t.source(), o)
	if err := d.close(); err != nil {
		if d.failed.Len() > 0 {
			err = errors.New(d.failed.String())
		}
		return fmt.Errorf("files: %s is incomplete: %w", d.dir, err)
	}
	if sendErr != nil {
		return fmt.Errorf("files: %s is incomplete: %w", d.dir, sendErr)
	}
	return d.tell(a.err, sum, len(o.Entries))
}

// tell says what was written, and what was not.
func (d *filesDir) tell(w io.Writer, sum export.Summary, entries int) error {
	masked := ""
	if sum.Masked > 0 {
		masked = fmt.Sprintf(", %d of them with secrets masked", sum.Masked)
	}
	fmt.Fprintf(w, "files: %s holds %d files%s; %s has owners and modes, and lists what is not there (%d)\n",
		d.dir, sum.Files, masked, export.Manifest, sum.Listed)
	for _, left := range sum.Left {
		fmt.Fprintf(w, "files: left out: %s\n", left)
	}
	if entries > 0 {
		fmt.Fprintf(w, "files: %s has the %d changed entries of the directory\n", export.Entries, entries)
		if !d.named { // what is changed may be the directory alone
			return nil
		}
	}
	return nothingAt(sum.Missing)
}

// missing are the paths at which there is nothing.
func (d *filesDir) missing(t *target) (paths []string) {
	for _, name := range d.paths {
		if _, err := t.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			paths = append(paths, name)
		}
	}
	return paths
}

func nothingAt(paths []string) error {
	if len(paths) == 0 {
		return nil
	}
	return fmt.Errorf("files: the run would leave nothing at %s; name another path with --files-of", strings.Join(paths, ", "))
}

// source is a simulated host as its files are exported.
func (t *target) source() export.Source {
	return export.Source{
		Files: t.files,
		User: func(id uint32) string {
			u, _ := t.UserID(id) // without a name it is told by number
			return u.Name
		},
		Group: func(id uint32) string {
			g, _ := t.GroupID(id)
			return g.Name
		},
	}
}

// filesFD is the directory in the process that writes to it.
const filesFD = 3

// writeFilesCommand is the process that writes; see filesDir. The directory is the one that was opened,
// whatever its name leads to by now.
func writeFilesCommand(a *app) *cobra.Command {
	var made bool
	cmd := &cobra.Command{
		Use:    "write-files DIR",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			base := fmt.Sprintf("/proc/self/fd/%d", filesFD)
			came, err := export.Receive(a.in, afero.NewBasePathFs(afero.NewOsFs(), base))
			if err != nil {
				fmt.Fprint(a.err, strings.ReplaceAll(err.Error(), base, args[0])) // for filesDir.keep to tell
				return ended{exit.Failed}
			}
			if made && !came {
				return os.Remove(args[0])
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&made, "made", false, "the directory is new, and goes if there is nothing to write")
	return cmd
}
