package runbooks_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"strings"
	"syscall"
	"time"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/sim"
	"zcp2kopano/runtime/journal"
)

// A fault is what happens at one point of a run: a change of the host, a sync, a record, or a look at
// the host.
type fault struct {
	name  string
	look  bool  // the point is a look, else one of all others
	after bool  // the point's own work is done first
	half  bool  // half of it: of a record, or of what is written to a file
	power bool  // records that were not synced are lost too
	errno error // the point fails once, and the world goes on; nil if the process dies
}

var errDead = errors.New("the process is dead")

// trap counts the points that a process passes, and springs at one of them.
type trap struct {
	fault
	at    int // the point; 0 for none
	n     int // points passed that are no looks
	looks int
	point string // where it sprang
	dead  bool
	torn  bool // it sprang in the middle of a record

	deep    int            // within an operation that holds the host's lock
	writing bool           // bytes into a file
	watch   func(at place) // called at each point, before and after it
}

// place is a point as a watch sees it.
type place struct {
	point    string
	n        int
	look     bool // and no point
	after    bool
	deep     bool // within an operation: the host cannot be asked
	halfable bool // a record, or a write of bytes
}

// before is asked before the work of a point, and passed told behind it.
func (tr *trap) before(point string) error {
	if !tr.look && tr.after && tr.at > 0 && tr.n == tr.at { // whose own work failed
		tr.dead = true
	}
	if tr.dead {
		return errDead
	}
	tr.n++
	tr.tell(point, false)
	if tr.look || tr.n != tr.at {
		return nil
	}
	tr.point = point
	switch {
	case tr.errno == syscall.EPERM && strings.HasPrefix(point, "rmdir "):
		return syscall.EACCES // dpkg takes EPERM there for a mount point, warns, and goes on
	case tr.errno != nil:
		return tr.errno
	case tr.after:
		return nil
	}
	tr.dead = true
	return errDead
}

func (tr *trap) passed(point string) {
	if !tr.look && tr.n == tr.at && tr.after {
		tr.dead = true
	}
	tr.tell(point, true)
}

func (tr *trap) tell(point string, after bool) {
	if tr.watch != nil {
		tr.watch(place{point: point, n: tr.n, after: after, deep: tr.deep > 0, halfable: tr.writing || strings.HasPrefix(point, "append ")})
	}
}

// do does the work of a point. A dead process does not see that its work was done.
func (tr *trap) do(point string, work func() error) error {
	if err := tr.before(point); err != nil {
		return err
	}
	at := tr.n
	err := work()
	if err == nil && tr.n == at {
		tr.passed(point)
	}
	if tr.dead {
		return errDead
	}
	return err
}

// deepDo is do for an operation within which the host cannot be asked: it holds its lock.
func (tr *trap) deepDo(point string, work func() error) error {
	return tr.do(point, func() error {
		tr.deep++
		defer func() { tr.deep-- }()
		return work()
	})
}

// halves reports whether the next point is to be done by half.
func (tr *trap) halves() bool { return tr.half && !tr.dead && tr.n+1 == tr.at }

// see makes a point of a question to the host.
func (tr *trap) see(op, path string) error {
	if tr.dead {
		return errDead
	}
	tr.looks++
	if tr.watch != nil {
		tr.watch(place{point: op + " " + path, n: tr.looks, look: true})
	}
	if !tr.look || tr.looks != tr.at {
		return nil
	}
	tr.point = op + " " + path
	return &fs.PathError{Op: op, Path: path, Err: tr.errno}
}

// look asks the host something, as a point.
func look[T any](tr *trap, op, path string, ask func() (T, error)) (T, error) {
	if err := tr.see(op, path); err != nil {
		var none T
		return none, err
	}
	return ask()
}

// recorder is a journal whose writes are points.
type recorder struct {
	log     *journal.Log
	trap    *trap
	lines   int // of the journal: its header and its records
	durable int // lines that are synced
	pending int // records that are written with the next one
	size    int // of a torn write, whole
	now     func() time.Time
}

func (r *recorder) Append(typ string, data any) (uint64, error) {
	return r.append("append "+typ, true, func() (uint64, error) { return r.log.Append(typ, data) })
}

func (r *recorder) AppendLazy(typ string, data any) (uint64, error) {
	return r.append("append lazily "+typ, false, func() (uint64, error) { return r.log.AppendLazy(typ, data) })
}

func (r *recorder) append(point string, syncs bool, write func() (uint64, error)) (seq uint64, err error) {
	torn := r.trap.halves()
	err = r.trap.do(point, func() error {
		if torn {
			r.size = -len(r.log.Bytes())
		}
		if seq, err = write(); err != nil {
			return err
		}
		if torn {
			r.size += len(r.log.Bytes())
		}
		r.lines += r.pending + 1
		r.pending = 0
		r.trap.torn = torn
		if syncs && !torn {
			r.durable = r.lines
		}
		return nil
	})
	if err != nil && !r.trap.dead {
		err = errors.Join(err, r.lose())
	}
	return seq, err
}

// lose drops what waits for the next record, as a log does that could not write.
func (r *recorder) lose() (err error) {
	r.log, _, _, err = journal.OpenMemory(r.log.Bytes(), r.now)
	r.pending = 0
	return err
}

// AppendWithNext is no point: nothing leaves the process.
func (r *recorder) AppendWithNext(typ string, data any) error {
	if r.trap.dead {
		return errDead
	}
	if err := r.log.AppendWithNext(typ, data); err != nil {
		return err
	}
	r.pending++
	return nil
}

func (r *recorder) Sync() error {
	return r.trap.do("sync journal", func() error {
		r.lines += r.pending
		r.durable, r.pending = r.lines, 0
		return r.log.Sync()
	})
}

func (r *recorder) Close() error { return nil }

// left is what a process leaves of its journal.
func (r *recorder) left() []byte {
	data := r.log.Bytes()
	lines := bytes.SplitAfter(data, []byte("\n"))[:r.lines]
	switch {
	case r.trap.dead && r.trap.torn:
		return data[:len(data)-(r.size+1)/2]
	case r.trap.dead && r.trap.power:
		return bytes.Join(lines[:r.durable], nil)
	}
	return data
}

// crashHost makes a point of every operation of a host. Changes of files are points by sim.Options,
// so that those which the simulated package manager makes are points as well. It embeds no host: an
// operation that is forgotten here does not compile.
type crashHost struct {
	sim  *sim.Host
	trap *trap
}

var _ host.Host = (*crashHost)(nil)

func (h *crashHost) CommitPackages(ctx context.Context, tx host.Transaction, w *host.PackageWatch) error {
	return h.trap.deepDo("commit packages", func() error { return h.sim.CommitPackages(ctx, tx, h.trapped(w)) })
}

func (h *crashHost) ExpelPackages(ctx context.Context, list []host.Change, keep string, w *host.PackageWatch) error {
	return h.trap.deepDo("expel packages", func() error { return h.sim.ExpelPackages(ctx, list, keep, h.trapped(w)) })
}

// trapped makes a point of each line that the package manager says.
func (h *crashHost) trapped(w *host.PackageWatch) *host.PackageWatch {
	return &host.PackageWatch{Tell: func(work host.PackageWork) {
		_ = h.trap.before(work.Line)
		h.trap.passed(work.Line)
		w.Doing(work)
	}}
}

func (h *crashHost) RefreshPackages(ctx context.Context, only []string, w *host.PackageWatch) error {
	return h.trap.deepDo("refresh packages", func() error { return h.sim.RefreshPackages(ctx, only, w) })
}

func (h *crashHost) RepairPackages(ctx context.Context, stay []string, w *host.PackageWatch) error {
	return h.trap.deepDo("repair packages", func() error { return h.sim.RepairPackages(ctx, stay, w) })
}

func (h *crashHost) SavePackages(ctx context.Context, names []string, dir string, w *host.PackageWatch) (files, missing map[string]string, err error) {
	err = h.trap.deepDo("save packages", func() error {
		files, missing, err = h.sim.SavePackages(ctx, names, dir, w)
		return err
	})
	return files, missing, err
}

func (h *crashHost) DumpDatabase(ctx context.Context, req host.DumpRequest, progress func(int64)) (result host.DumpResult, err error) {
	err = h.trap.deepDo("dump", func() error {
		result, err = h.sim.DumpDatabase(ctx, req, progress)
		return err
	})
	return result, err
}

func (h *crashHost) SaveRemains(ctx context.Context, names []string, dir string) (files map[string]string, err error) {
	err = h.trap.deepDo("save remains", func() error {
		files, err = h.sim.SaveRemains(ctx, names, dir)
		return err
	})
	return files, err
}

func (h *crashHost) RestoreRemains(ctx context.Context, file string) error {
	return h.trap.deepDo("restore remains", func() error { return h.sim.RestoreRemains(ctx, file) })
}

func (h *crashHost) MarkPackages(ctx context.Context, marks []host.PackageMark) error {
	return h.trap.deepDo("mark packages", func() error { return h.sim.MarkPackages(ctx, marks) })
}

func (h *crashHost) CheckDump(ctx context.Context, path, compression string, progress func(int64)) (result host.DumpResult, err error) {
	err = h.trap.deepDo("check dump", func() error {
		result, err = h.sim.CheckDump(ctx, path, compression, progress)
		return err
	})
	return result, err
}

func (h *crashHost) LoadDatabase(ctx context.Context, req host.LoadRequest, progress func(int64)) error {
	return h.trap.deepDo("load database", func() error { return h.sim.LoadDatabase(ctx, req, progress) })
}

func (h *crashHost) RunProgram(ctx context.Context, req host.ProgramRequest) (lines []string, err error) {
	err = h.trap.deepDo("run "+req.Path, func() error {
		lines, err = h.sim.RunProgram(ctx, req)
		return err
	})
	return lines, err
}

func (h *crashHost) JoinGroup(ctx context.Context, user, group string) error {
	return h.sim.JoinGroup(ctx, user, group)
}

func (h *crashHost) LeaveGroup(ctx context.Context, user, group string) error {
	return h.sim.LeaveGroup(ctx, user, group)
}

// Mount and Unmount are points of the files.
func (h *crashHost) Mount(ctx context.Context, point string) error { return h.sim.Mount(ctx, point) }
func (h *crashHost) Unmount(ctx context.Context, point string) error {
	return h.sim.Unmount(ctx, point)
}

func (h *crashHost) StartService(ctx context.Context, name string) error {
	return h.trap.deepDo("start "+name, func() error { return h.sim.StartService(ctx, name) })
}

func (h *crashHost) StopService(ctx context.Context, name string, patience time.Duration) error {
	return h.trap.deepDo("stop "+name, func() error { return h.sim.StopService(ctx, name, patience) })
}

func (h *crashHost) EnableService(name string) error {
	return h.trap.deepDo("enable "+name, func() error { return h.sim.EnableService(name) })
}

func (h *crashHost) DisableService(name string) error {
	return h.trap.deepDo("disable "+name, func() error { return h.sim.DisableService(name) })
}

func (h *crashHost) MaskService(name string) error {
	return h.trap.deepDo("mask "+name, func() error { return h.sim.MaskService(name) })
}

func (h *crashHost) UnmaskService(name string) error {
	return h.trap.deepDo("unmask "+name, func() error { return h.sim.UnmaskService(name) })
}

func (h *crashHost) ReloadService(ctx context.Context, name string) error {
	return h.trap.deepDo("reload "+name, func() error { return h.sim.ReloadService(ctx, name) })
}

func (h *crashHost) KillService(ctx context.Context, name string, locks []string) error {
	return h.trap.deepDo("kill "+name, func() error { return h.sim.KillService(ctx, name, locks) })
}

func (h *crashHost) Ask(ctx context.Context, q host.Question) (string, error) {
	return look(h.trap, "ask", q.String(), func() (string, error) { return h.sim.Ask(ctx, q) })
}

func (h *crashHost) Answers(ctx context.Context, address string) (bool, error) {
	return look(h.trap, "try port", address, func() (bool, error) { return h.sim.Answers(ctx, address) })
}

func (h *crashHost) Listeners() ([]host.Listener, error) {
	return look(h.trap, "listeners", "", h.sim.Listeners)
}

func (h *crashHost) ServiceProcesses(name string) ([]host.Process, error) {
	return look(h.trap, "processes of", name, func() ([]host.Process, error) { return h.sim.ServiceProcesses(name) })
}

func (h *crashHost) ServiceLock(service string, paths []string) (*host.ServiceLock, error) {
	return look(h.trap, "lock of", service, func() (*host.ServiceLock, error) { return h.sim.ServiceLock(service, paths) })
}

func (h *crashHost) LogEnd(ctx context.Context, name, file string) host.LogMark {
	mark, _ := look(h.trap, "end of the log of", name, func() (host.LogMark, error) { return h.sim.LogEnd(ctx, name, file), nil })
	return mark
}

func (h *crashHost) LogSince(ctx context.Context, name, file string, from host.LogMark) host.LogPart {
	part, _ := look(h.trap, "log of", name, func() (host.LogPart, error) { return h.sim.LogSince(ctx, name, file, from), nil })
	return part
}

func (h *crashHost) ServiceTrace(ctx context.Context, name, file string) host.Trace {
	trace, _ := look(h.trap, "log of", name, func() (host.Trace, error) { return h.sim.ServiceTrace(ctx, name, file), nil })
	return trace
}

func (h *crashHost) Revision(ctx context.Context, q host.RevisionQuery) (int64, error) {
	return look(h.trap, "revision of", q.Conn.Database, func() (int64, error) { return h.sim.Revision(ctx, q) })
}

func (h *crashHost) ReloadServices() error {
	return h.trap.deepDo("reload services", h.sim.ReloadServices)
}

func (h *crashHost) Facts() (host.Facts, error)      { return look(h.trap, "facts", "", h.sim.Facts) }
func (h *crashHost) Mounts() ([]host.Mount, error)   { return look(h.trap, "mounts", "", h.sim.Mounts) }
func (h *crashHost) Unpredicted() []host.Unpredicted { return h.sim.Unpredicted() }
func (h *crashHost) Close() error                    { return nil }
func (h *crashHost) Now() time.Time                  { return h.sim.Now() }

func (h *crashHost) Sleep(ctx context.Context, d time.Duration) error { return h.sim.Sleep(ctx, d) }

func (h *crashHost) User(name string) (host.User, error) {
	return look(h.trap, "user", name, func() (host.User, error) { return h.sim.User(name) })
}

func (h *crashHost) Group(name string) (host.Group, error) {
	return look(h.trap, "group", name, func() (host.Group, error) { return h.sim.Group(name) })
}

func (h *crashHost) UserID(uid uint32) (host.User, error) {
	return look(h.trap, "user id", "", func() (host.User, error) { return h.sim.UserID(uid) })
}

func (h *crashHost) GroupID(gid uint32) (host.Group, error) {
	return look(h.trap, "group id", "", func() (host.Group, error) { return h.sim.GroupID(gid) })
}

func (h *crashHost) Download(ctx context.Context, url, user string, password host.Secret) ([]byte, error) {
	return look(h.trap, "download", url, func() ([]byte, error) { return h.sim.Download(ctx, url, user, password) })
}

func (h *crashHost) PackageManager() (host.PackageManager, error) {
	return look(h.trap, "package manager", "", h.sim.PackageManager)
}

func (h *crashHost) Packages() ([]host.Package, error) {
	return look(h.trap, "packages", "", h.sim.Packages)
}

func (h *crashHost) PackageFiles(name string) ([]string, error) {
	return look(h.trap, "package files", name, func() ([]string, error) { return h.sim.PackageFiles(name) })
}

func (h *crashHost) Candidates(names []string) (map[string][]host.Candidate, error) {
	return look(h.trap, "candidates", "", func() (map[string][]host.Candidate, error) { return h.sim.Candidates(names) })
}

func (h *crashHost) Solve(tx host.Transaction) (host.Solution, error) {
	return look(h.trap, "solve", "", func() (host.Solution, error) { return h.sim.Solve(tx) })
}

func (h *crashHost) PackageLock() (*host.LockHolder, error) {
	return look(h.trap, "package lock", "", h.sim.PackageLock)
}

func (h *crashHost) PackageAudit() ([]string, error) {
	return look(h.trap, "package audit", "", h.sim.PackageAudit)
}

func (h *crashHost) Losses(names []string) (map[string]string, error) {
	return look(h.trap, "losses", "", func() (map[string]string, error) { return h.sim.Losses(names) })
}

func (h *crashHost) ProbeRepository(ctx context.Context, probe host.RepositoryProbe) (host.RepositoryAnswer, error) {
	return look(h.trap, "probe repository", "", func() (host.RepositoryAnswer, error) { return h.sim.ProbeRepository(ctx, probe) })
}

func (h *crashHost) Services(pattern string) ([]host.Service, error) {
	return look(h.trap, "services", pattern, func() ([]host.Service, error) { return h.sim.Services(pattern) })
}

func (h *crashHost) Processes() ([]host.Process, error) {
	return look(h.trap, "processes", "", h.sim.Processes)
}

func (h *crashHost) Query(ctx context.Context, conn host.DatabaseConn, query string) (host.Rows, error) {
	return look(h.trap, "query", query, func() (host.Rows, error) { return h.sim.Query(ctx, conn, query) })
}

func (h *crashHost) SearchDirectory(ctx context.Context, conn host.DirectoryConn, req host.DirectorySearch) ([]host.Entry, error) {
	return look(h.trap, "search directory", req.Base, func() ([]host.Entry, error) { return h.sim.SearchDirectory(ctx, conn, req) })
}

func (h *crashHost) SearchPages(ctx context.Context, conn host.DirectoryConn, req host.DirectorySearch, page func([]host.Entry) error) error {
	_, err := look(h.trap, "search directory", req.Base, func() (bool, error) { return true, h.sim.SearchPages(ctx, conn, req, page) })
	return err
}

func (h *crashHost) OpenDirectory(ctx context.Context, conn host.DirectoryConn) (host.Directory, error) {
	session, err := look(h.trap, "open directory", "", func() (host.Directory, error) { return h.sim.OpenDirectory(ctx, conn) })
	return crashDirectory{session, h.trap}, err
}

func (h *crashHost) ExportDatabase(ctx context.Context, db host.DirectoryDatabase, path string) error {
	return h.trap.deepDo("export "+db.Suffix, func() error { return h.sim.ExportDatabase(ctx, db, path) })
}

func (h *crashHost) CheckImport(ctx context.Context, db host.DirectoryDatabase, path string) error {
	_, err := look(h.trap, "check import", path, func() (bool, error) { return true, h.sim.CheckImport(ctx, db, path) })
	return err
}

func (h *crashHost) ImportDatabase(ctx context.Context, db host.DirectoryDatabase, path string) error {
	return h.trap.deepDo("import "+db.Suffix, func() error { return h.sim.ImportDatabase(ctx, db, path) })
}

// crashDirectory is a session in which every change of an entry may be the last.
type crashDirectory struct {
	host.Directory
	trap *trap
}

func (d crashDirectory) Change(ctx context.Context, changes []host.EntryChange) []error {
	answers := make([]error, len(changes))
	for i, c := range changes {
		answers[i] = d.trap.deepDo("change "+c.DN, func() error { return d.Directory.Change(ctx, []host.EntryChange{c})[0] })
	}
	return answers
}

func (h *crashHost) Lstat(path string) (host.Stat, error) {
	return look(h.trap, "lstat", path, func() (host.Stat, error) { return h.sim.Lstat(path) })
}

func (h *crashHost) Stat(path string) (host.Stat, error) {
	return look(h.trap, "stat", path, func() (host.Stat, error) { return h.sim.Stat(path) })
}

func (h *crashHost) Readlink(path string) (string, error) {
	return look(h.trap, "readlink", path, func() (string, error) { return h.sim.Readlink(path) })
}

func (h *crashHost) ReadDir(path string) ([]host.DirEntry, error) {
	return look(h.trap, "readdir", path, func() ([]host.DirEntry, error) { return h.sim.ReadDir(path) })
}

func (h *crashHost) Statfs(path string) (host.Statfs, error) {
	return look(h.trap, "statfs", path, func() (host.Statfs, error) { return h.sim.Statfs(path) })
}

func (h *crashHost) Getxattr(path, name string) ([]byte, error) {
	return look(h.trap, "getxattr", path, func() ([]byte, error) { return h.sim.Getxattr(path, name) })
}

func (h *crashHost) Listxattr(path string) ([]string, error) {
	return look(h.trap, "listxattr", path, func() ([]string, error) { return h.sim.Listxattr(path) })
}

func (h *crashHost) Open(path string) (host.File, error) {
	return trapped(h.trap, path, func() (host.File, error) {
		return look(h.trap, "open", path, func() (host.File, error) { return h.sim.Open(path) })
	})
}

func (h *crashHost) OpenWrite(path string) (host.File, error) {
	return trapped(h.trap, path, func() (host.File, error) {
		return look(h.trap, "open", path, func() (host.File, error) { return h.sim.OpenWrite(path) })
	})
}

func (h *crashHost) Create(path string, mode fs.FileMode) (host.File, error) {
	return trapped(h.trap, path, func() (host.File, error) { return h.sim.Create(path, mode) })
}

func (h *crashHost) OpenTree(path string) (host.DirReader, error) {
	dir, err := look(h.trap, "open", path, func() (host.DirReader, error) { return h.sim.OpenTree(path) })
	if err != nil {
		return nil, err
	}
	return readDir{dir, h.trap, path}, nil
}

func (h *crashHost) OpenTreeWrite(path string) (host.Dir, error) {
	dir, err := look(h.trap, "open", path, func() (host.Dir, error) { return h.sim.OpenTreeWrite(path) })
	if err != nil {
		return nil, err
	}
	return writeDir{dir, readDir{dir, h.trap, path}}, nil
}

func (h *crashHost) Mkdir(path string, mode fs.FileMode) error     { return h.sim.Mkdir(path, mode) }
func (h *crashHost) Unlink(path string) error                      { return h.sim.Unlink(path) }
func (h *crashHost) Rmdir(path string) error                       { return h.sim.Rmdir(path) }
func (h *crashHost) Rename(from, to string) error                  { return h.sim.Rename(from, to) }
func (h *crashHost) Link(from, to string) error                    { return h.sim.Link(from, to) }
func (h *crashHost) Symlink(target, path string) error             { return h.sim.Symlink(target, path) }
func (h *crashHost) Chmod(path string, mode fs.FileMode) error     { return h.sim.Chmod(path, mode) }
func (h *crashHost) Lchown(path string, uid, gid int) error        { return h.sim.Lchown(path, uid, gid) }
func (h *crashHost) Chtimes(path string, a, m time.Time) error     { return h.sim.Chtimes(path, a, m) }
func (h *crashHost) Setxattr(path, name string, v []byte) error    { return h.sim.Setxattr(path, name, v) }
func (h *crashHost) Removexattr(path, name string) error           { return h.sim.Removexattr(path, name) }
func (h *crashHost) SyncDir(path string) error                     { return h.sim.SyncDir(path) }
func (h *crashHost) Mknod(p string, m fs.FileMode, d uint64) error { return h.sim.Mknod(p, m, d) }

// readDir is an open directory whose questions are points.
type readDir struct {
	host.DirReader
	trap *trap
	path string
}

func (d readDir) at(name string) string { return d.path + "/" + name }

func (d readDir) Self() (host.Stat, error) { return look(d.trap, "stat", d.path, d.DirReader.Self) }

func (d readDir) ReadDir() ([]host.DirEntry, error) {
	return look(d.trap, "readdir", d.path, d.DirReader.ReadDir)
}

func (d readDir) Lstat(name string) (host.Stat, error) {
	return look(d.trap, "lstat", d.at(name), func() (host.Stat, error) { return d.DirReader.Lstat(name) })
}

func (d readDir) Readlink(name string) (string, error) {
	return look(d.trap, "readlink", d.at(name), func() (string, error) { return d.DirReader.Readlink(name) })
}

func (d readDir) Getxattr(name, attr string) ([]byte, error) {
	return look(d.trap, "getxattr", d.at(name), func() ([]byte, error) { return d.DirReader.Getxattr(name, attr) })
}

func (d readDir) Listxattr(name string) ([]string, error) {
	return look(d.trap, "listxattr", d.at(name), func() ([]string, error) { return d.DirReader.Listxattr(name) })
}

func (d readDir) Open(name string) (host.File, error) {
	return trapped(d.trap, d.at(name), func() (host.File, error) {
		return look(d.trap, "open", d.at(name), func() (host.File, error) { return d.DirReader.Open(name) })
	})
}

func (d readDir) OpenDir(name string) (host.DirReader, error) {
	sub, err := look(d.trap, "open", d.at(name), func() (host.DirReader, error) { return d.DirReader.OpenDir(name) })
	if err != nil {
		return nil, err
	}
	return readDir{sub, d.trap, d.at(name)}, nil
}

// writeDir is an open directory whose questions are points here, and its changes by sim.Options.
type writeDir struct {
	host.Dir
	asked readDir
}

func (d writeDir) Self() (host.Stat, error)                    { return d.asked.Self() }
func (d writeDir) ReadDir() ([]host.DirEntry, error)           { return d.asked.ReadDir() }
func (d writeDir) Lstat(name string) (host.Stat, error)        { return d.asked.Lstat(name) }
func (d writeDir) Readlink(name string) (string, error)        { return d.asked.Readlink(name) }
func (d writeDir) Getxattr(name, attr string) ([]byte, error)  { return d.asked.Getxattr(name, attr) }
func (d writeDir) Listxattr(name string) ([]string, error)     { return d.asked.Listxattr(name) }
func (d writeDir) Open(name string) (host.File, error)         { return d.asked.Open(name) }
func (d writeDir) OpenDir(name string) (host.DirReader, error) { return d.asked.OpenDir(name) }

func (d writeDir) OpenDirWrite(name string) (host.Dir, error) {
	tr, path := d.asked.trap, d.asked.at(name)
	sub, err := look(tr, "open", path, func() (host.Dir, error) { return d.Dir.OpenDirWrite(name) })
	if err != nil {
		return nil, err
	}
	return writeDir{sub, readDir{sub, tr, path}}, nil
}

func (d writeDir) Create(name string, mode fs.FileMode) (host.File, error) {
	return trapped(d.asked.trap, d.asked.at(name), func() (host.File, error) { return d.Dir.Create(name, mode) })
}

func (d writeDir) Link(name string, to host.Dir, newname string) error {
	return d.Dir.Link(name, to.(writeDir).Dir, newname)
}

func (d writeDir) Rename(name string, to host.Dir, newname string) error {
	return d.Dir.Rename(name, to.(writeDir).Dir, newname)
}

// crashFile is an open file whose reads are points here, and its changes by sim.Options.
type crashFile struct {
	host.File
	trap *trap
	path string
}

var _ host.Cloner = crashFile{}

func trapped(tr *trap, path string, open func() (host.File, error)) (host.File, error) {
	f, err := open()
	if err != nil {
		return nil, err
	}
	return crashFile{f, tr, path}, nil
}

func (f crashFile) Stat() (host.Stat, error) { return look(f.trap, "stat", f.path, f.File.Stat) }

func (f crashFile) Read(p []byte) (int, error) {
	return look(f.trap, "read", f.path, func() (int, error) { return f.File.Read(p) })
}

func (f crashFile) ReadAt(p []byte, off int64) (int, error) {
	return look(f.trap, "read", f.path, func() (int, error) { return f.File.ReadAt(p, off) })
}

func (f crashFile) Write(p []byte) (int, error) {
	if len(p) > 1 {
		if f.trap.halves() {
			p = p[:len(p)/2]
		}
		f.trap.writing = true
		defer func() { f.trap.writing = false }()
	}
	return f.File.Write(p)
}

func (f crashFile) CloneFrom(src host.File) (bool, error) {
	if from, ok := src.(crashFile); ok {
		src = from.File
	}
	return f.File.(host.Cloner).CloneFrom(src)
}
