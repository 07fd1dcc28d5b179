package fork

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// What becomes of a file in a merge.
const (
	FromStock = "from the stock" // the site had not touched it
	Added     = "added"          // it is new in the stock
	Removed   = "removed"        // the stock has it no more, and the site had not touched it
	Both      = "merged"         // both had changed it
	Conflict  = "conflict"       // both had changed the same place
	Kept      = "kept"           // the site has changed, or left out, what the stock has changed or removed
)

// unfinishedFile stands in .before-merge while a merge is written.
const unfinishedFile = ".unfinished"

// Merged is what becomes of one file.
type Merged struct {
	File      string `json:"file"`
	Kind      string `json:"kind"`
	Why       string `json:"why,omitempty"`
	Conflicts int    `json:"conflicts,omitempty"`
}

// Merge is what a merge comes to: the files that it is about, and the texts of the fork afterwards.
type Merge struct {
	Dir      string
	Memory   *Memory
	Version  string // of the stock that comes in
	Files    []Merged
	Result   Texts
	stock    Texts
	original Texts
}

// Prepare works a merge out, and writes nothing.
func Prepare(dir, version string, stock Texts) (*Merge, error) {
	memory, err := Recall(dir)
	if err != nil {
		return nil, err
	}
	site, err := Stock(os.DirFS(dir))
	if err != nil {
		return nil, err
	}
	for _, name := range names(site) {
		if n := Marked(site[name]); n > 0 {
			return nil, fmt.Errorf("%s:%d: the mark of a conflict of an earlier merge; decide what is to stand there, and take the marks out", filepath.Join(dir, name), n)
		}
	}
	m := &Merge{Dir: dir, Memory: memory, Version: version, Result: Texts{}, stock: stock, original: site}
	called := Names{Site: "site", Base: "stock " + memory.Version, Stock: "stock " + version}
	for _, name := range names(memory.Texts, site, stock) {
		m.merge(name, called)
	}
	return m, nil
}

// merge decides what becomes of a file.
func (m *Merge) merge(name string, called Names) {
	base, known := m.Memory.Texts[name]
	site, have := m.original[name]
	stock, comes := m.stock[name]
	if have {
		m.Result[name] = site
	}
	note := func(kind, why string) { m.Files = append(m.Files, Merged{File: name, Kind: kind, Why: why}) }
	switch {
	case known == comes && base == stock, have == comes && site == stock: // the stock has not changed it, or the site has it already
	case !known && !have:
		m.Result[name] = stock
		note(Added, "")
	case known && !have && !comes: // both have left it out
	case known && !have:
		note(Kept, "the site has left it out; the stock has changed it")
	case !comes && site == base:
		delete(m.Result, name)
		note(Removed, "the stock has it no more")
	case !comes:
		note(Kept, "the site has changed it; the stock has it no more")
	case known && site == base:
		m.Result[name] = stock
		note(FromStock, "")
	default: // also a file that both have added
		text, conflicts := merge3(base, site, stock, called)
		m.Result[name] = text
		kind := Both
		if conflicts > 0 {
			kind = Conflict
		}
		m.Files = append(m.Files, Merged{File: name, Kind: kind, Conflicts: conflicts})
	}
}

// Conflicts is how many places both sides have changed.
func (m *Merge) Conflicts() int {
	n := 0
	for _, f := range m.Files {
		n += f.Conflicts
	}
	return n
}

// UpToDate reports whether the fork remembers the very stock that is to come in.
func (m *Merge) UpToDate() bool {
	return m.Memory.Version == m.Version && len(Changes(m.Memory.Texts, m.stock, "", "")) == 0
}

// Try writes the result into another directory, with all else that the fork holds beside runbooks.
func (m *Merge) Try(dir string) error {
	err := filepath.WalkDir(m.Dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(m.Dir, name)
		switch {
		case err != nil:
			return err
		case e.IsDir() && len(e.Name()) > 1 && e.Name()[0] == '.' && rel != ".":
			return fs.SkipDir
		case !e.Type().IsRegular() || filepath.Ext(name) == ".star":
			return nil
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return write(filepath.Join(dir, rel), string(data))
	})
	for name, text := range m.Result {
		err = errors.Join(err, write(filepath.Join(dir, name), text))
	}
	return err
}

// Write puts the result into the fork. What it replaces is kept in .before-merge first, and the fork remembers the
// new stock last: a merge that was cut short can be begun again.
func (m *Merge) Write() error {
	unfinished := filepath.Join(m.Dir, BeforeMerge, unfinishedFile)
	if err := m.keep(unfinished); err != nil {
		return err
	}
	if err := m.replace(); err != nil {
		return err
	}
	if err := Remember(m.Dir, m.Version, m.stock); err != nil {
		return err
	}
	return os.Remove(unfinished)
}

// keep puts into .before-merge what is to be replaced. What a merge that was cut short has kept stays: that is how the
// files were, and what stands in the fork now may be its work.
func (m *Merge) keep(unfinished string) error {
	before := filepath.Dir(unfinished)
	_, err := os.Lstat(unfinished)
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.Join(os.RemoveAll(before), write(unfinished, "a merge has begun, and has not ended; what is here is kept until it has\n"))
	}
	if err != nil {
		return err
	}
	for _, name := range names(m.original, m.Result) {
		old, was := m.original[name]
		text, is := m.Result[name]
		if !was || is && text == old {
			continue
		}
		kept := filepath.Join(before, name)
		if _, err := os.Lstat(kept); err == nil {
			continue
		}
		if err := write(kept, old); err != nil {
			return err
		}
	}
	return nil
}

func (m *Merge) replace() error {
	for _, name := range names(m.original, m.Result) {
		old, was := m.original[name]
		text, is := m.Result[name]
		var err error
		switch {
		case !is:
			err = os.Remove(filepath.Join(m.Dir, name))
		case !was || text != old:
			err = write(filepath.Join(m.Dir, name), text)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
