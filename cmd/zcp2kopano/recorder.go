package main

import (
	"context"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"zcp2kopano/runtime/host"
)

// recorder is a view that remembers what was looked at: questions to the database and the directory
// that have an answer, and files. A simulation of what it remembers goes the same way.
type recorder struct {
	host.View
	mu     sync.Mutex
	seen   map[string]bool // names that were looked up, in directories that were not listed
	listed map[string]bool // directories
	read   map[string]bool // files whose content was asked for

	offered map[string][]host.Candidate
	lost    map[string]string // packages that cannot be kept

	// As they were found first, with the power of root.
	services  []host.Service
	processes []host.Process
	listeners []host.Listener
	audit     []string

	conn      host.DatabaseConn
	queries   []string
	directory host.DirectoryConn
	searches  []host.DirectorySearch
	ports     map[string]bool // of other hosts, and whether they answered
}

// Services keeps what it finds.
func (r *recorder) Services(pattern string) ([]host.Service, error) {
	list, err := r.View.Services(pattern)
	if pattern == "*" && err == nil {
		r.services = list
	}
	return list, err
}

// Processes keeps what it finds.
func (r *recorder) Processes() ([]host.Process, error) {
	list, err := r.View.Processes()
	if err == nil {
		r.processes = list
	}
	return list, err
}

// Listeners keeps what it finds.
func (r *recorder) Listeners() ([]host.Listener, error) {
	list, err := r.View.Listeners()
	if err == nil {
		r.listeners = list
	}
	return list, err
}

// PackageAudit keeps what it finds.
func (r *recorder) PackageAudit() ([]string, error) {
	lines, err := r.View.PackageAudit()
	if err == nil {
		r.audit = lines
	}
	return lines, err
}

// asFound is the machine as it was found first. A process that has given up the power of root does not
// see which programs those of other users run, and apt cannot look whether all is in order without a
// file in /tmp.
func (r *recorder) asFound() host.View { return foundView{r.View, r} }

type foundView struct {
	host.View
	found *recorder
}

func (v foundView) Services(pattern string) ([]host.Service, error) {
	if pattern != "*" {
		return v.View.Services(pattern)
	}
	return v.found.services, nil
}

func (v foundView) Processes() ([]host.Process, error)  { return v.found.processes, nil }
func (v foundView) Listeners() ([]host.Listener, error) { return v.found.listeners, nil }
func (v foundView) PackageAudit() ([]string, error)     { return v.found.audit, nil }

// Query asks, and remembers what has an answer.
func (r *recorder) Query(ctx context.Context, conn host.DatabaseConn, query string) (host.Rows, error) {
	rows, err := r.View.Query(ctx, conn, query)
	if err == nil {
		r.conn = conn
		if !slices.Contains(r.queries, query) {
			r.queries = append(r.queries, query)
		}
	}
	return rows, err
}

// SearchDirectory searches, and remembers what has an answer.
func (r *recorder) SearchDirectory(ctx context.Context, conn host.DirectoryConn, req host.DirectorySearch) ([]host.Entry, error) {
	entries, err := r.View.SearchDirectory(ctx, conn, req)
	if err == nil {
		r.directory = conn
		r.searches = append(r.searches, req)
	}
	return entries, err
}

// SearchPages is SearchDirectory, page by page.
func (r *recorder) SearchPages(ctx context.Context, conn host.DirectoryConn, req host.DirectorySearch, page func([]host.Entry) error) error {
	err := r.View.SearchPages(ctx, conn, req, page)
	if err == nil {
		r.directory = conn
		r.searches = append(r.searches, req)
	}
	return err
}

// Answers tries a port, and remembers what has an answer.
func (r *recorder) Answers(ctx context.Context, address string) (bool, error) {
	answers, err := r.View.Answers(ctx, address)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.ports[address] = answers
	}
	return answers, err
}

// Candidates asks the package index, and remembers what it offers.
func (r *recorder) Candidates(names []string) (map[string][]host.Candidate, error) {
	found, err := r.View.Candidates(names)
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.Copy(r.offered, found)
	return found, err
}

func newRecorder(view host.View) *recorder {
	return &recorder{View: view, seen: map[string]bool{}, listed: map[string]bool{}, read: map[string]bool{}, offered: map[string][]host.Candidate{}, lost: map[string]string{}, ports: map[string]bool{}}
}

// Losses asks what cannot be kept, and remembers that.
func (r *recorder) Losses(names []string) (map[string]string, error) {
	found, err := r.View.Losses(names)
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.Copy(r.lost, found)
	return found, err
}

// unrecorded are the package manager's own files, which a snapshot has in its own way, and this
// program's state.
var unrecorded = []string{"/var/lib/dpkg/", "/var/lib/apt/", "/var/cache/", "/var/lib/zcp2kopano/"}

func (r *recorder) note(where map[string]bool, name string, err error) {
	name = path.Clean(name)
	below := func(dir string) bool { return strings.HasPrefix(name, dir) && !isScript(name) }
	if err != nil || slices.ContainsFunc(unrecorded, below) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if where != nil {
		where[name] = true
	}
	if !r.listed[path.Dir(name)] {
		r.seen[name] = true // else the listing has it: of a store of a million files no name is kept
	}
}

// isScript tells a maintainer script that dpkg keeps.
func isScript(name string) bool {
	return path.Dir(name) == "/var/lib/dpkg/info" && slices.Contains([]string{".preinst", ".postinst", ".prerm", ".postrm"}, path.Ext(name))
}

func (r *recorder) Lstat(name string) (host.Stat, error) {
	st, err := r.View.Lstat(name)
	r.note(nil, name, err)
	return st, err
}

func (r *recorder) Stat(name string) (host.Stat, error) {
	st, err := r.View.Stat(name)
	r.note(nil, name, err)
	return st, err
}

func (r *recorder) Open(name string) (host.File, error) {
	f, err := r.View.Open(name)
	r.note(r.read, name, err)
	return f, err
}

func (r *recorder) ReadDir(name string) ([]host.DirEntry, error) {
	entries, err := r.View.ReadDir(name)
	r.note(r.listed, name, err)
	return entries, err
}

func (r *recorder) OpenTree(name string) (host.DirReader, error) {
	d, err := r.View.OpenTree(name)
	if err != nil {
		return nil, err
	}
	return &recordedDir{d, r, path.Clean(name)}, nil
}

// recordedDir is an open directory of a recorder.
type recordedDir struct {
	host.DirReader
	r    *recorder
	path string
}

func (d *recordedDir) Lstat(name string) (host.Stat, error) {
	st, err := d.DirReader.Lstat(name)
	d.r.note(nil, path.Join(d.path, name), err)
	return st, err
}

func (d *recordedDir) Open(name string) (host.File, error) {
	f, err := d.DirReader.Open(name)
	d.r.note(d.r.read, path.Join(d.path, name), err)
	return f, err
}

func (d *recordedDir) ReadDir() ([]host.DirEntry, error) {
	entries, err := d.DirReader.ReadDir()
	d.r.note(d.r.listed, d.path, err)
	return entries, err
}

func (d *recordedDir) OpenDir(name string) (host.DirReader, error) {
	sub, err := d.DirReader.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &recordedDir{sub, d.r, path.Join(d.path, name)}, nil
}
