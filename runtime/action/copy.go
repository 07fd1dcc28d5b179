package action

import (
	"bytes"
	"fmt"
	"io"
	"path"
	"slices"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/policy"
	"zcp2kopano/runtime/tree"
)

func init() { register(func() Action { return &Copy{} }) }

// Copy ("fs.copy") copies a file or a tree with owner, mode, times, ACLs and other extended
// attributes, symlinks, special files and the hard links inside it, as "cp -a" does, and reads every
// file back to compare it. From and To are the exact names of both.
//
// With Contents, what the directory From holds (hidden files too) is copied into the existing
// directory To, whose own owner and mode stay. What exists is an error, or is replaced with
// Overwrite; directories merge.
//
// Apply copies each new entry under a temporary name and renames it, so that one which has its name
// is complete; from half-way it goes on with the first that is missing. Undo removes what was new
// and puts back what was replaced.
type Copy struct {
	From      string `json:"from"`
	To        string `json:"to"`
	Contents  bool   `json:"contents,omitempty"`
	Overwrite bool   `json:"overwrite,omitempty"`

	Fresh    fileNames  `json:"fresh,omitempty"`    // relative names that did not exist in To
	Merged   []Preimage `json:"merged,omitempty"`   // directories that did, and get From's owner and mode
	Replaced []Preimage `json:"replaced,omitempty"` // the rest
	Size     size       `json:"size"`
}

func (a *Copy) Kind() string             { return "fs.copy" }
func (a *Copy) Touches() []policy.Target { return through(a.Contents, a.To) }
func (a *Copy) Stage(*Env) error         { return nil }
func (a *Copy) Irreversible() string     { return "" }
func (a *Copy) Source() string           { return a.From }

func (a *Copy) Summary() string {
	return fmt.Sprintf("copy %s to %s", source(a.From, a.Contents), a.To)
}

func (a *Copy) Prepare(env *Env) (bool, error) {
	if err := checkEnds(env.Host, "copy", a.From, a.To, a.Contents); err != nil {
		return false, err
	}
	o, err := layOver(env.Host, a.From, a.To)
	if err != nil {
		return false, err
	}
	if same, err := a.same(env, o); err != nil || same {
		return false, err
	}
	if !a.Overwrite {
		if at := firstTaken(o, a.Contents); at != "" {
			return false, fmt.Errorf("copy %s to %s: %s exists already; remove it first, or ask to overwrite",
				source(a.From, a.Contents), a.To, path.Join(a.To, at))
		}
	}
	if err := a.record(env, o); err != nil {
		return false, err
	}
	a.Size, err = measure(env.Ctx, env.Host, a.From)
	return len(a.Fresh)+len(a.Replaced)+len(a.Merged) > 0, err
}

// same reports whether the copy is there already, and looks the same throughout.
func (a *Copy) same(env *Env, o overlay) (bool, error) {
	if len(o.fresh) > 0 {
		return false, nil
	}
	same, err := partOf(env.Ctx, env.Host, a.From, a.To, env.temp())
	if err != nil || !same {
		return false, err
	}
	for _, rel := range o.merged {
		if rel == "." && a.Contents {
			continue
		}
		differences, err := a.dirDiffers(env, rel)
		if err != nil || differences {
			return false, err
		}
	}
	return true, nil
}

func (a *Copy) dirDiffers(env *Env, rel string) (bool, error) {
	p, err := saveMeta(env, path.Join(a.From, rel))
	if err != nil {
		return false, err
	}
	p.Path = path.Join(a.To, rel)
	lines, err := compareMeta(env, p)
	return len(lines) > 0, err
}

// firstTaken is the first name that the copy would replace or merge with.
func firstTaken(o overlay, contents bool) string {
	if len(o.clash) > 0 {
		return o.clash[0]
	}
	for _, rel := range o.merged {
		if rel != "." || !contents {
			return rel
		}
	}
	return ""
}

func (a *Copy) record(env *Env, o overlay) error {
	a.Fresh = o.fresh
	for _, rel := range o.merged {
		if rel == "." && a.Contents {
			continue
		}
		p, err := saveMeta(env, path.Join(a.To, rel))
		if err != nil {
			return err
		}
		a.Merged = append(a.Merged, p)
	}
	for _, rel := range o.clash {
		p, err := env.Store.Save(path.Join(a.To, rel))
		if err != nil {
			return err
		}
		st, err := env.Host.Lstat(path.Join(a.From, rel))
		if err != nil {
			return err
		}
		if st.IsDir() || p.Mode.IsDir() {
			return fmt.Errorf("copy %s to %s: %s is %s and %s is %s", source(a.From, a.Contents), a.To,
				path.Join(a.From, rel), typeName(st.Mode), p.Path, typeName(p.Mode))
		}
		if st, err = env.Host.Lstat(p.Path); err != nil {
			return err
		}
		if st.Nlink > 1 {
			return fmt.Errorf("copy %s to %s: %s has %d names (hard links), and the others would keep the old content; make it a file of its own first",
				source(a.From, a.Contents), a.To, p.Path, st.Nlink)
		}
		a.Replaced = append(a.Replaced, p)
	}
	return nil
}

// Detail says how much is copied, and what is replaced: of short texts, what changes in them.
func (a *Copy) Detail(env *Env) (Detail, error) {
	d := Detail{Files: a.Size.Files, Bytes: a.Size.Bytes, Existing: len(a.Replaced)+len(a.Merged) > 0}
	for _, p := range a.Replaced {
		d.Lines = append(d.Lines, "replaces "+p.Path)
		d.Diff += a.difference(env, p)
	}
	return d, nil
}

// shown is the size up to which a file's difference is shown.
const shown = 64 << 10

// difference is what changes in a text that is replaced; empty where that cannot be shown.
func (a *Copy) difference(env *Env, p Preimage) string {
	if p.Blob == nil || p.Blob.Size > shown {
		return ""
	}
	from := path.Join(a.From, a.rel(p.Path))
	st, err := env.Host.Lstat(from)
	if err != nil || !st.IsRegular() || st.Size > shown {
		return ""
	}
	old, err := env.Store.Bytes(*p.Blob)
	if err != nil {
		return ""
	}
	content, err := readSmall(env.Host, from)
	if err != nil || !isText(old) || !isText(content) || bytes.Equal(old, content) {
		return ""
	}
	return unified(p.Path, p.Path, old, content)
}

func readSmall(files host.FileReader, name string) ([]byte, error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, shown))
}

// rel is a path's name relative to To.
func (a *Copy) rel(name string) string {
	if name == a.To {
		return "."
	}
	return name[len(a.To)+1:]
}

// Cost implements Coster.
func (a *Copy) Cost() Span { return copied(a.Size) }

// LimitedBytes implements Limited.
func (a *Copy) LimitedBytes() int64 { return a.Size.Bytes }

func (a *Copy) Apply(env *Env) (Result, error) {
	result := Result{Summary: fmt.Sprintf("copied %s (%d bytes)", counted(a.Size.Files, "file", "files"), a.Size.Bytes)}
	c := newCopier(env, a.Summary(), a.Size)
	for _, rel := range a.Fresh {
		to := path.Join(a.To, rel)
		done, err := exists(env.Host, to)
		if err != nil {
			return result, err
		}
		bring := c.place
		if done {
			bring = c.remember
		}
		if err := bring(path.Join(a.From, rel), to); err != nil {
			return result, err
		}
	}
	for _, p := range a.Replaced {
		if err := a.replace(env, c, p); err != nil {
			return result, err
		}
	}
	for _, p := range slices.Backward(a.Merged) {
		if err := a.adopt(env, p); err != nil {
			return result, err
		}
	}
	if w, ok := env.Host.(host.CopyWatcher); ok {
		w.Copied(a.From, a.To)
	}
	return result, nil
}

// replace copies over an existing entry.
func (a *Copy) replace(env *Env, c *copier, p Preimage) error {
	fresh := a.replacement(env, p)
	if err := removePath(env.Host, fresh); err != nil {
		return err
	}
	root, err := c.copyTo(path.Join(a.From, a.rel(p.Path)), fresh)
	if err != nil {
		return err
	}
	root.path = p.Path
	if err := renamePath(env.Host, fresh, p.Path); err != nil {
		return err
	}
	return removePath(env.Host, fresh) // rename(2) leaves both names where they are one file already
}

// replacement is the name of what will replace an entry.
func (a *Copy) replacement(env *Env, p Preimage) string {
	return path.Join(path.Dir(p.Path), env.temp()+".new")
}

// adopt gives a merged directory the metadata of its source.
func (a *Copy) adopt(env *Env, p Preimage) error {
	src, err := env.Host.OpenTree(path.Dir(path.Join(a.From, a.rel(p.Path))))
	if err != nil {
		return err
	}
	defer src.Close()
	m, err := readMeta(src, path.Base(path.Join(a.From, a.rel(p.Path))))
	if err != nil {
		return err
	}
	dir, base, err := parent(env.Host, p.Path)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := setMeta(dir, base, m); err != nil {
		return err
	}
	return syncOwn(dir, base)
}

func (a *Copy) Undo(env *Env) error {
	s := &sources{a: a, from: lastDir{v: env.Host}, to: lastDir{v: env.Host}}
	defer s.close()
	for _, p := range a.Replaced {
		if err := removePath(env.Host, a.replacement(env, p)); err != nil {
			return err
		}
		if err := clearTemps(env, p.Path); err != nil {
			return err
		}
		if err := s.keepChanged(env, p.Path, p.known()); err != nil {
			return err
		}
		if err := env.Store.restore(p, env.temp()); err != nil {
			return err
		}
	}
	for _, rel := range slices.Backward(a.Fresh) {
		if err := s.remove(env, path.Join(a.To, rel)); err != nil {
			return err
		}
	}
	for _, p := range slices.Backward(a.Merged) {
		if err := env.Store.Restore(p); err != nil {
			return err
		}
	}
	return nil
}

// sources compares entries of a copy with what they were copied from.
type sources struct {
	a        *Copy
	from, to lastDir
}

func (s *sources) close() {
	s.from.close()
	s.to.close()
}

// remove removes a copied entry and what is unfinished beside it.
func (s *sources) remove(env *Env, to string) error {
	if err := clearTemps(env, to); err != nil {
		return err
	}
	st, err := env.Host.Lstat(to)
	if host.Absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := s.keepAllChanged(env, to, st); err != nil {
		return err
	}
	return env.remove(to, s.a.Size)
}

// keepAllChanged keeps what was changed or added since in a copy.
func (s *sources) keepAllChanged(env *Env, top string, st host.Stat) error {
	if !st.IsDir() {
		return s.keepChanged(env, top)
	}
	dir, err := env.Host.OpenTree(top)
	if err != nil {
		return err
	}
	defer dir.Close()
	return new(tree.Reader(env.Ctx, func(e tree.Entry[host.DirReader]) error {
		if e.Stat.IsDir() {
			return nil
		}
		return s.keepChanged(env, path.Join(top, e.Rel))
	})).Walk(dir, "", st.Dev)
}

// keepChanged keeps what is at a path of the copy and unlike its source, which is back by now.
func (s *sources) keepChanged(env *Env, name string, known ...string) error {
	same, err := s.like(name)
	if err != nil || same {
		return err
	}
	return keepSince(env, name, known...)
}

// like reports whether what is at a path of the copy looks the same as its source.
func (s *sources) like(name string) (bool, error) {
	from := path.Join(s.a.From, s.a.rel(name))
	src, err := s.from.open(path.Dir(from))
	if host.Absent(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if _, err := src.Lstat(path.Base(from)); host.Absent(err) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	dst, err := s.to.open(path.Dir(name))
	if err != nil {
		return false, err
	}
	_, same, err := alikeAt(src, path.Base(from), dst, path.Base(name))
	return same, err
}

// Differences lists what the copy left, and what it replaced and is not back.
func (a *Copy) Differences(env *Env) ([]string, error) {
	before := slices.Concat(a.Merged, a.Replaced)
	for _, rel := range a.Fresh {
		before = append(before, Preimage{Path: path.Join(a.To, rel)})
	}
	return compareAll(env, before)
}
