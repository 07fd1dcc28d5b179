// Package fork is about a site's copy of the stock runbooks: what it was copied from, how it differs from that, and how
// a newer stock comes into it. A fork remembers the stock's texts in its directory .stock, which is no part of the
// site's: a merge needs the text that both sides have begun with.
package fork

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
)

// Hidden is the directory of a fork that holds what it remembers.
const Hidden = ".stock"

// memoryFile is where the version and the digests stand.
const memoryFile = "memory.json"

const (
	newHidden = ".stock.new" // one that is being written
	oldHidden = ".stock.old" // one that was replaced
	// BeforeMerge is the directory where a merge keeps what it has replaced.
	BeforeMerge = ".before-merge"
)

// Texts are files by their names.
type Texts map[string]string

// Memory is which stock a fork came from.
type Memory struct {
	Version string            `json:"version"` // of the program
	Digests map[string]string `json:"digests"` // file to SHA-256
	Texts   Texts             `json:"-"`
}

// Stock are the texts of the runbooks that a file system holds.
func Stock(files fs.FS) (Texts, error) {
	texts := Texts{}
	err := fs.WalkDir(files, ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && strings.HasPrefix(e.Name(), ".") && name != ".":
			return fs.SkipDir
		case !e.Type().IsRegular() || path.Ext(name) != ".star":
			return nil
		}
		data, err := fs.ReadFile(files, name)
		texts[name] = string(data)
		return err
	})
	return texts, err
}

// Remember writes down what a fork in a directory came from. Whenever it is cut short, one of the two is whole: what the
// fork remembered before, or this.
func Remember(dir, version string, stock Texts) error {
	m := Memory{Version: version, Digests: map[string]string{}}
	next, old := filepath.Join(dir, newHidden), filepath.Join(dir, oldHidden)
	if err := errors.Join(os.RemoveAll(next), os.RemoveAll(old)); err != nil {
		return err
	}
	for name, text := range stock {
		m.Digests[name] = digest(text)
		if err := write(filepath.Join(next, name), text); err != nil {
			return err
		}
	}
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if err := write(filepath.Join(next, memoryFile), string(data)+"\n"); err != nil {
		return err
	}
	hidden := filepath.Join(dir, Hidden)
	if err := os.Rename(hidden, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return errors.Join(os.Rename(next, hidden), os.RemoveAll(old))
}

// hidden is the directory of what a fork remembers, or of what it was about to remember when it was cut short.
func hidden(dir string) string {
	now, next := filepath.Join(dir, Hidden), filepath.Join(dir, newHidden)
	if _, err := os.Lstat(now); err != nil {
		if _, err := os.Lstat(filepath.Join(next, memoryFile)); err == nil {
			return next
		}
	}
	return now
}

// Recall reads what a fork came from, and sees that it is whole.
func Recall(dir string) (*Memory, error) {
	hidden := hidden(dir)
	data, err := os.ReadFile(filepath.Join(hidden, memoryFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s does not remember the stock that it came from: it has no %s; make a new fork (zcp2kopano fork DIR), and put your changes there",
			dir, filepath.Join(Hidden, memoryFile))
	}
	if err != nil {
		return nil, err
	}
	m := &Memory{Texts: Texts{}}
	if err := json.Unmarshal(data, m); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(hidden, memoryFile), err)
	}
	for _, name := range slices.Sorted(maps.Keys(m.Digests)) {
		if !fs.ValidPath(name) {
			return nil, fmt.Errorf("%s: %q is no name of a file", filepath.Join(hidden, memoryFile), name)
		}
		text, err := os.ReadFile(filepath.Join(hidden, name))
		if err != nil {
			return nil, fmt.Errorf("what the fork remembers is not whole: %w", err)
		}
		if digest(string(text)) != m.Digests[name] {
			return nil, fmt.Errorf("%s is not as the stock of version %s was: somebody has changed it; it is what a merge goes by", filepath.Join(hidden, name), m.Version)
		}
		m.Texts[name] = string(text)
	}
	return m, nil
}

// Base is the directory of the stock's texts that a fork remembers.
func Base(dir string) fs.FS { return os.DirFS(hidden(dir)) }

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// Change is a file that differs.
type Change struct {
	File string `json:"file"`
	Kind string `json:"kind"` // "added", "left out", "changed"
	Diff string `json:"diff,omitempty"`
}

// Changes lists in what texts differ from others.
func Changes(from, to Texts, fromName, toName string) []Change {
	var all []Change
	for _, name := range names(from, to) {
		old, was := from[name]
		text, is := to[name]
		switch {
		case !was:
			all = append(all, Change{File: name, Kind: "added"})
		case !is:
			all = append(all, Change{File: name, Kind: "left out"})
		case old != text:
			shown := string(diff.Diff(fromName+"/"+name, []byte(old), toName+"/"+name, []byte(text)))
			_, shown, _ = strings.Cut(shown, "\n")
			all = append(all, Change{File: name, Kind: "changed", Diff: shown})
		}
	}
	return all
}

// names are those of all texts.
func names(all ...Texts) []string {
	seen := map[string]bool{}
	for _, texts := range all {
		for name := range texts {
			seen[name] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// write replaces a file as a whole, or makes it.
func write(name, text string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	if info, err := os.Lstat(name); err == nil {
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%s is no regular file", name)
		}
		mode = info.Mode().Perm()
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".merge-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
