package action

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/directory"
	"zcp2kopano/runtime/policy"
)

func init() { register(func() Action { return &Transplant{} }) }

// Transplant ("ldap.transplant") makes a directory's database anew from its export, in which the names of one schema
// have become those of another. Its server is stopped. Entries keep what the server notes of them, their time among it.
//
// What is to be loaded is written and checked before anything of the database is touched. Then its files are moved into
// a directory beside them: until the journal says that all of them are there, a file is an old one; from then on, one
// that is not there is a new one, and may be made again. What was loaded is exported once more and compared. Undo moves
// the old files back; what the server has changed since is exported before.
type Transplant struct {
	DatabaseFiles

	From     string             `json:"from"` // the export
	Renaming directory.Renaming `json:"renaming"`

	Files   []string            `json:"files"` // of the database
	Aside   string              `json:"aside"` // where they go
	UID     uint32              `json:"uid"`   // whose they are
	GID     uint32              `json:"gid"`
	Rewrite directory.Rewritten `json:"rewrite"` // what Prepare found

	since string // an export of what was changed since, made by Undo
}

// transplantMark says how far it is.
type transplantMark struct {
	State string `json:"state"`
	Sum   string `json:"sum,omitempty"` // of what was loaded
}

const (
	filesMoved  = "moved"
	filesLoaded = "loaded"
	filesReturn = "return" // Undo found only some of them aside
)

// settingsFile is what a Berkeley database (back-bdb, back-hdb) reads beside its files: it is the admin's.
const settingsFile = "DB_CONFIG"

func (a *Transplant) Kind() string         { return "ldap.transplant" }
func (a *Transplant) Irreversible() string { return "" }
func (a *Transplant) Stage(env *Env) error { return a.stage(env) }
func (a *Transplant) Summary() string {
	return fmt.Sprintf("convert the database %s in %s, from %s", a.Suffix, a.Path, a.From)
}
func (a *Transplant) Touches() []policy.Target { return a.touches(a.Path, a.From, a.rewritten()) }
func (a *Transplant) Cost() Span               { return entryPace.of(a.Rewrite.Entries) }
func (a *Transplant) BrokenOff() string {
	return "the database may be empty; a resume loads it, and a rollback puts its files back; until then its server must not be started"
}

// Since implements Newcomer.
func (a *Transplant) Since() string {
	if a.since == "" {
		return ""
	}
	return "the directory was changed after its conversion: what it then held is in " + a.since
}

// rewritten is what is loaded; it is removed when it is.
func (a *Transplant) rewritten() string {
	return strings.TrimSuffix(a.From, ".ldif") + ".converted.ldif"
}

func (a *Transplant) sinceFile() string { return strings.TrimSuffix(a.From, ".ldif") + ".since.ldif" }

func (a *Transplant) Prepare(env *Env) (bool, error) {
	if err := a.stopped(env); err != nil {
		return false, fmt.Errorf("%s: %w", a.Summary(), err)
	}
	met, err := a.rewrite(env, io.Discard)
	if err != nil {
		return false, fmt.Errorf("%s: %w", a.Summary(), err)
	}
	if a.Rewrite = met; met.Changed == 0 {
		return false, nil
	}
	if err := a.list(env); err != nil {
		return false, fmt.Errorf("%s: %w", a.Summary(), err)
	}
	return true, a.room(env)
}

// list notes the files of the database, whose they are, and where they go.
func (a *Transplant) list(env *Env) error {
	st, err := env.Host.Lstat(a.Path)
	if err != nil {
		return err
	}
	if !st.IsDir() {
		return fmt.Errorf("%s is no directory", a.Path)
	}
	a.Files, a.UID, a.GID = nil, st.UID, st.GID
	list, err := env.Host.ReadDir(a.Path)
	if err != nil {
		return err
	}
	for _, e := range list {
		if !e.Type.IsRegular() {
			continue
		}
		st, err := env.Host.Lstat(path.Join(a.Path, e.Name))
		if err != nil {
			return err
		}
		if a.Files = append(a.Files, e.Name); e.Name != settingsFile {
			a.UID, a.GID = st.UID, st.GID
		}
	}
	if len(a.Files) == 0 {
		return fmt.Errorf("%s holds no files", a.Path)
	}
	for n := 1; ; n++ {
		if a.Aside = path.Join(a.Path, "before-conversion"); n > 1 {
			a.Aside += fmt.Sprintf("-%d", n)
		}
		if there, err := exists(env.Host, a.Aside); err != nil || !there {
			return err
		}
	}
}

// room is an error where a disk is too small: for the files anew, and for the export three times.
func (a *Transplant) room(env *Env) error {
	st, err := env.Host.Stat(a.From)
	if err != nil {
		return err
	}
	for _, dir := range []string{a.Path, path.Dir(a.From)} {
		left, err := env.Host.Statfs(dir)
		if err != nil {
			return err
		}
		if need := 3 * uint64(st.Size); left.Total > 0 && left.Available < need { // not every file system counts
			return fmt.Errorf("%s: the disk of %s has %d bytes left, and %d are needed: make room", a.Summary(), dir, left.Available, need)
		}
	}
	return nil
}

// rewrite copies the export with its new names.
func (a *Transplant) rewrite(env *Env, to io.Writer) (directory.Rewritten, error) {
	from, err := env.Host.Open(a.From)
	if err != nil {
		return directory.Rewritten{}, err
	}
	defer from.Close()
	met, err := a.Renaming.Rewrite(to, from)
	if err != nil {
		err = fmt.Errorf("%s: %w", a.From, err)
	}
	return met, err
}

// Detail shows the numbers.
func (a *Transplant) Detail(*Env) (Detail, error) {
	d := Detail{Existing: true}
	d.Lines = append(d.Lines, fmt.Sprintf("%d of %s", a.Rewrite.Changed, counted(a.Rewrite.Entries, "entry", "entries")))
	for _, class := range slices.Sorted(maps.Keys(a.Rewrite.Classes)) {
		d.Lines = append(d.Lines, fmt.Sprintf("%s: %s", class, counted(a.Rewrite.Classes[class], "entry", "entries")))
	}
	for _, text := range a.Rewrite.Unread {
		d.Lines = append(d.Lines, "left as it is, because it cannot be read: "+a.From+", "+text)
	}
	return d, nil
}

// marked tells how far an interrupted Apply came.
func (a *Transplant) marked(env *Env, state string) (transplantMark, bool) {
	for _, raw := range env.Marks {
		var m transplantMark
		if json.Unmarshal(raw, &m) == nil && m.State == state {
			return m, true
		}
	}
	return transplantMark{}, false
}

func (a *Transplant) Apply(env *Env) (Result, error) {
	result := Result{
		Summary: fmt.Sprintf("converted %d of %s of %s; the files it had are in %s", a.Rewrite.Changed, counted(a.Rewrite.Entries, "entry", "entries"), a.Suffix, a.Aside),
		Values:  map[string]any{"entries": a.Rewrite.Changed},
	}
	if _, done := a.marked(env, filesLoaded); done {
		return result, removePath(env.Host, a.rewritten())
	}
	if err := a.apply(env); err != nil {
		return Result{}, fmt.Errorf("%s: %w", a.Summary(), err)
	}
	return result, removePath(env.Host, a.rewritten())
}

func (a *Transplant) apply(env *Env) error {
	if err := a.stopped(env); err != nil {
		return err
	}
	if err := clearTemps(env, a.From); err != nil {
		return err
	}
	if err := a.write(env); err != nil {
		return err
	}
	db, err := a.database(env)
	if err != nil {
		return err
	}
	if _, moved := a.marked(env, filesMoved); !moved {
		if err := env.Host.CheckImport(env.Ctx, db, a.rewritten()); err != nil {
			return fmt.Errorf("nothing was changed: %w", err)
		}
		if err := a.moveAway(env); err != nil {
			return err
		}
		if err := env.Mark(transplantMark{State: filesMoved}); err != nil {
			return err
		}
	}
	sum, err := a.load(env, db)
	if err != nil {
		return err
	}
	return env.Mark(transplantMark{State: filesLoaded, Sum: sum.String()})
}

// write makes the file that is loaded.
func (a *Transplant) write(env *Env) error {
	if there, err := exists(env.Host, a.rewritten()); err != nil || there {
		return err
	}
	unfinished := beside(env, a.From)
	f, err := env.Host.Create(unfinished, 0o600)
	if err != nil {
		return err
	}
	_, err = a.rewrite(env, f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return renamePath(env.Host, unfinished, a.rewritten())
}

// moveAway brings the database's files aside. What bears the name of one that is there already came since, when a boot
// started the server between two files: it is no old one, and load removes it.
func (a *Transplant) moveAway(env *Env) error {
	if err := env.Host.Mkdir(a.Aside, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	for _, name := range a.Files {
		if there, err := exists(env.Host, path.Join(a.Aside, name)); err != nil {
			return err
		} else if there {
			continue
		}
		if err := renamePath(env.Host, path.Join(a.Path, name), path.Join(a.Aside, name)); err != nil && !host.Absent(err) {
			return err
		}
	}
	return syncFileSystems(env.Host, a.Path)
}

// load fills the database, gives its files their owner, and compares what it holds with what was to be loaded.
func (a *Transplant) load(env *Env, db host.DirectoryDatabase) (directory.Sum, error) {
	if err := a.clear(env); err != nil {
		return directory.Sum{}, err
	}
	if slices.Contains(a.Files, settingsFile) {
		if err := a.copySettings(env); err != nil {
			return directory.Sum{}, err
		}
	}
	if err := env.Host.ImportDatabase(env.Ctx, db, a.rewritten()); err != nil {
		return directory.Sum{}, err
	}
	want, err := ldifSum(env, a.rewritten())
	if err != nil {
		return want, err
	}
	unfinished := beside(env, a.From)
	got, err := a.export(env, unfinished)
	if err != nil {
		return want, err
	}
	if got != want {
		return want, fmt.Errorf("what was loaded is not what was to be loaded (%d entries, %d wanted): compare %s with %s; rollback puts the old files back", got.Entries, want.Entries, unfinished, a.rewritten())
	}
	if err := a.own(env); err != nil {
		return want, err
	}
	return want, removePath(env.Host, unfinished)
}

// present lists the files in the database's directory.
func (a *Transplant) present(env *Env) ([]string, error) {
	list, err := env.Host.ReadDir(a.Path)
	var names []string
	for _, e := range list {
		if e.Type.IsRegular() {
			names = append(names, e.Name)
		}
	}
	return names, err
}

// clear removes what was loaded.
func (a *Transplant) clear(env *Env) error {
	names, err := a.present(env)
	for _, name := range names {
		if err == nil {
			err = removePath(env.Host, path.Join(a.Path, name))
		}
	}
	return err
}

// copySettings puts the admin's settings beside the new files.
func (a *Transplant) copySettings(env *Env) error {
	from, err := env.Host.Open(path.Join(a.Aside, settingsFile))
	if err != nil {
		return err
	}
	defer from.Close()
	dir, name, err := parent(env.Host, path.Join(a.Path, settingsFile))
	if err != nil {
		return err
	}
	defer dir.Close()
	return writeFile(dir, name, from)
}

// own gives the new files to whom the old ones belonged.
func (a *Transplant) own(env *Env) error {
	names, err := a.present(env)
	for _, name := range names {
		if err == nil {
			err = env.Host.Lchown(path.Join(a.Path, name), int(a.UID), int(a.GID))
		}
	}
	if err != nil {
		return err
	}
	return syncFileSystems(env.Host, a.Path)
}

func (a *Transplant) Undo(env *Env) error {
	if err := a.undo(env); err != nil {
		return fmt.Errorf("undo: %s: %w", a.Summary(), err)
	}
	return nil
}

func (a *Transplant) undo(env *Env) error {
	if err := a.stopped(env); err != nil {
		return err
	}
	if err := a.keepSince(env); err != nil {
		return err
	}
	incomplete, err := a.wasIncomplete(env)
	if err != nil {
		return err
	}
	for _, name := range a.Files {
		if err := renamePath(env.Host, path.Join(a.Aside, name), path.Join(a.Path, name)); err != nil && !host.Absent(err) {
			return err
		}
	}
	if incomplete {
		if err := a.removeLater(env); err != nil {
			return err
		}
	}
	if err := env.Host.Rmdir(a.Aside); err != nil && !host.Absent(err) {
		return err
	}
	if err := env.Host.SyncDir(a.Path); err != nil {
		return err
	}
	if err := removePath(env.Host, a.rewritten()); err != nil {
		return err
	}
	return clearTemps(env, a.From)
}

// wasIncomplete reports whether the database lacks old files, or did before an Undo that was interrupted: what came
// since belongs to none of them. Once they are all back and the directory for them is gone, what comes is theirs.
func (a *Transplant) wasIncomplete(env *Env) (bool, error) {
	if there, err := exists(env.Host, a.Aside); err != nil || !there {
		return false, err
	}
	for _, state := range []string{filesMoved, filesReturn} {
		if _, is := a.marked(env, state); is {
			return true, nil
		}
	}
	for _, name := range a.Files {
		if there, err := exists(env.Host, path.Join(a.Aside, name)); err != nil {
			return false, err
		} else if there {
			return true, env.Mark(transplantMark{State: filesReturn})
		}
	}
	return false, nil
}

// removeLater removes the files that are no old ones.
func (a *Transplant) removeLater(env *Env) error {
	names, err := a.present(env)
	for _, name := range names {
		if err == nil && !slices.Contains(a.Files, name) {
			err = removePath(env.Host, path.Join(a.Path, name))
		}
	}
	return err
}

// keepSince exports the database before its old files come back, and keeps that where it holds something else than what
// was loaded.
func (a *Transplant) keepSince(env *Env) error {
	loaded, is := a.marked(env, filesLoaded)
	if there, err := exists(env.Host, a.sinceFile()); err != nil || there {
		if there {
			a.since = a.sinceFile()
		}
		return err
	}
	if !is {
		return nil
	}
	aside, err := exists(env.Host, path.Join(a.Aside, a.Files[0]))
	if err != nil || !aside {
		return err // the old files are on their way back
	}
	if err := clearTemps(env, a.From); err != nil {
		return err
	}
	unfinished := beside(env, a.From)
	sum, err := a.export(env, unfinished)
	if err != nil {
		return fmt.Errorf("what the directory holds now cannot be read, and would be lost: %w", err)
	}
	if sum.String() == loaded.Sum {
		return removePath(env.Host, unfinished)
	}
	a.since = a.sinceFile()
	return renamePath(env.Host, unfinished, a.since)
}

// Differences compares what the database holds with the export.
func (a *Transplant) Differences(env *Env) ([]string, error) {
	var gone few
	for _, name := range a.Files {
		if there, err := exists(env.Host, path.Join(a.Path, name)); err != nil {
			return nil, err
		} else if !there {
			gone.add(name)
		}
	}
	if gone.n > 0 {
		return []string{fmt.Sprintf("database %s: %s lacks %s", a.Suffix, a.Path, gone.String())}, nil
	}
	return nil, nil
}
