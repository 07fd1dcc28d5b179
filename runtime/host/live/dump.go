package live

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/host"
)

// DumpDatabase runs mysqldump and compresses what it writes in this process: both ends are watched,
// and no shell pipe hides which one failed. The file of a dump that fails is removed.
func (h databaseWriter) DumpDatabase(ctx context.Context, req host.DumpRequest, progress func(written int64)) (host.DumpResult, error) {
	if err := req.Conn.Check(); err != nil {
		return host.DumpResult{}, err
	}
	begun := time.Now()
	if req.Compression == host.ParallelDump {
		result, err := h.dumpParallel(ctx, req, progress)
		result.Took = time.Since(begun)
		return result, err
	}
	conn := h.database.locate(req.Conn)
	charset, err := h.dumpCharset(ctx, conn)
	if err != nil {
		return host.DumpResult{}, err
	}
	objects, err := h.objects(ctx, conn)
	if err != nil {
		return host.DumpResult{}, err
	}
	tool, err := h.m.program(host.DumpPrograms...)
	if err != nil {
		return host.DumpResult{}, err
	}
	options, remove, err := h.options(conn)
	if err != nil {
		return host.DumpResult{}, err
	}
	defer remove()
	f, err := h.write.Create(req.Path, 0o600)
	if err != nil {
		return host.DumpResult{}, err
	}
	scan := &dumpScanner{progress: progress}
	if req.Limit != nil {
		scan.limit = func(bytes int) error { return req.Limit(ctx, bytes) }
	}
	result, err := h.dumpTo(ctx, f, req.Compression, scan, command{
		Path:    tool,
		Args:    dumpArgs(options, charset, conn.Database, objects),
		Secrets: []string{conn.Password.Reveal()},
	})
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = h.write.SyncDir(parent(req.Path))
	}
	if err != nil {
		h.write.Unlink(req.Path)
		return host.DumpResult{}, fmt.Errorf("dump of database %q to %s: %w", conn.Database, req.Path, err)
	}
	result.Took = time.Since(begun)
	result.Tool, result.Standing, result.Held = h.toolVersion(tool), objects.Standing, objects.Held
	return result, nil
}

// objects are what a dump has to go about with care.
func (h databaseWriter) objects(ctx context.Context, conn host.DatabaseConn) (host.Objects, error) {
	return host.LookBeforeDump(conn.Database, func(query string) (host.Rows, error) { return h.database.Query(ctx, conn, query) })
}

// dumpCharset is the widest Unicode that the server knows: text columns pass through it unchanged. It is
// also the first contact with the server, whose refusals are told better here than by mysqldump.
func (h databaseWriter) dumpCharset(ctx context.Context, conn host.DatabaseConn) (string, error) {
	rows, err := h.database.Query(ctx, conn, "SHOW CHARACTER SET LIKE 'utf8mb4'")
	if err != nil {
		return "", err
	}
	if len(rows.Rows) == 0 {
		return "utf8", nil
	}
	return "utf8mb4", nil
}

// options writes the credentials for a client into a file that only root can read, until it is removed.
func (h databaseWriter) options(conn host.DatabaseConn) (file string, remove func() error, err error) {
	s, err := h.m.files.newScratch("/run", "/tmp")
	if err != nil {
		return "", nil, err
	}
	const name = "client.cnf"
	if err := s.write(name, optionFile(conn)); err != nil {
		return "", nil, errors.Join(err, s.remove())
	}
	return s.path + "/" + name, s.remove, nil
}

// optionFile is a my.cnf(5) with the credentials. Values are quoted; within the quotes the file format
// knows a backslash as escape.
func optionFile(conn host.DatabaseConn) []byte {
	var b bytes.Buffer
	b.WriteString("[client]\n")
	set := func(name, value string) {
		value = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(value)
		fmt.Fprintf(&b, "%s=\"%s\"\n", name, value)
	}
	set("user", conn.User)
	set("password", conn.Password.Reveal())
	if conn.Socket != "" {
		set("socket", conn.Socket)
		return b.Bytes()
	}
	set("host", conn.Host)
	set("port", fmt.Sprint(conn.Port))
	set("protocol", "tcp")
	return b.Bytes()
}

// dumpArgs ask for one consistent snapshot without locks, binary columns as hexadecimal text, and
// stored routines (ZCP 7.2 installs some), but for nothing that stands. The loose options are for MySQL 8 clients on old servers and
// for servers with GTIDs; clients that do not know them only warn.
func dumpArgs(optionFile, charset, database string, objects host.Objects) []string {
	args := []string{
		"--defaults-file=" + optionFile,
		"--single-transaction", "--quick", "--hex-blob", "--triggers", "--no-tablespaces",
		"--default-character-set=" + charset,
		"--max-allowed-packet=1G",
		"--loose-column-statistics=0", "--loose-set-gtid-purged=OFF",
	}
	args = append(args, whatElse(objects)...)
	for _, view := range standingViews(objects) {
		args = append(args, "--ignore-table="+database+"."+view)
	}
	return append(args, "--", database)
}

// whatElse are the options, of mysqldump and mydumper, for what is not in a table.
func whatElse(objects host.Objects) []string {
	var args []string
	if !host.Stands(objects.Standing, "ROUTINE") {
		args = append(args, "--routines")
	}
	if slices.ContainsFunc(objects.Held, func(o host.Object) bool { return o.Kind == "EVENT" }) {
		args = append(args, "--events")
	}
	return args
}

func standingViews(objects host.Objects) []string {
	var views []string
	for _, s := range objects.Standing {
		if view, is := strings.CutPrefix(s, "VIEW "); is {
			views = append(views, view)
		}
	}
	return views
}

// withoutLoose leaves out of a client's complaint that it does not know loose options. One that says nothing else has
// most often lost its server.
func withoutLoose(err error) error {
	var failed *host.CommandError
	if !errors.As(err, &failed) {
		return err
	}
	var said []string
	for line := range strings.Lines(failed.Output) {
		if !strings.Contains(line, "unknown variable 'loose-") {
			said = append(said, strings.TrimRight(line, "\n"))
		}
	}
	failed.Output = strings.TrimSpace(strings.Join(said, "\n"))
	if failed.Output == "" {
		return fmt.Errorf("%w, and it did not say why: see that the database server still runs, and what its log says", err)
	}
	return err
}

func (h databaseWriter) toolVersion(tool string) string {
	got, err := h.m.run(context.Background(), command{Path: tool, Args: []string{"--version"}, Timeout: queryTimeout})
	if err != nil {
		return tool
	}
	version, _, _ := strings.Cut(got.Stdout, "\n")
	return tool + ": " + strings.TrimSpace(version)
}

// dumpTo runs the tool and writes its compressed output to f, durably.
func (h databaseWriter) dumpTo(ctx context.Context, f host.File, compression string, scan *dumpScanner, c command) (host.DumpResult, error) {
	file := &hashedFile{file: f, hash: sha256.New()}
	packer, err := newPacker(compression, file)
	if err != nil {
		return host.DumpResult{}, err
	}
	scan.out = packer
	c.Stdout = scan
	_, err = h.m.run(ctx, c)
	err = withoutLoose(err)
	cerr := packer.Close()
	switch {
	case scan.failed != nil: // the tool's complaint about the broken pipe is only the echo
		err = scan.failed
	case err == nil:
		err = cerr
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return host.DumpResult{}, err
	}
	scan.finish()
	return host.DumpResult{
		RawBytes: scan.bytes,
		Bytes:    file.bytes,
		SHA256:   hex.EncodeToString(file.hash.Sum(nil)),
		Tables:   scan.tables,
		Views:    scan.views,
		Closed:   scan.closed,
		Definers: scan.definers,
	}, nil
}

// hashedFile counts and hashes what reaches the file.
type hashedFile struct {
	file  host.File
	hash  hash.Hash
	bytes int64
}

func (f *hashedFile) Write(p []byte) (int, error) {
	n, err := f.file.Write(p)
	f.hash.Write(p[:n])
	f.bytes += int64(n)
	return n, err
}

// dumpScanner passes a dump on and keeps what a judge of it needs. Lines of data are as long as the
// server's packets, so that only the start of each is kept.
type dumpScanner struct {
	out      *packer // nil if it only looks
	failed   error
	limit    func(bytes int) error // waits before more is read; nil does not
	progress func(int64)
	told     time.Time
	toldAt   int64
	bytes    int64
	line     []byte // start of the current line
	tables   []string
	views    []string
	definers definers
	closed   bool // the last line that is not empty is the closing one
}

const lineStart = 512

// definers are the accounts whose views, triggers, routines and events a dump makes, each once.
type definers []string

var definedBy = regexp.MustCompile("^(?:CREATE |/\\*!50[0-9]{3} ).*?\\bDEFINER=((?:`(?:[^`]|``)*`|[^`@ ]+)(?:@(?:`(?:[^`]|``)*`|[^` ]+))?)")

func (d *definers) look(line []byte) {
	if !bytes.HasPrefix(line, []byte("CREATE ")) && !bytes.HasPrefix(line, []byte("/*!50")) {
		return
	}
	if m := definedBy.FindSubmatch(line); m != nil && !slices.Contains(*d, string(m[1])) {
		*d = append(*d, string(m[1]))
	}
}

// tellBytes are told at once: who hears of them looks whether there is room for more.
const tellBytes = 8 << 20

var createTable = regexp.MustCompile("^CREATE TABLE (?:IF NOT EXISTS )?`((?:[^`]|``)+)`")

// makesView is the last of several statements by which mysqldump makes a view.
var makesView = regexp.MustCompile("^/\\*!50001 VIEW `((?:[^`]|``)+)` AS ")

func (s *dumpScanner) Write(p []byte) (int, error) {
	if s.failed != nil {
		return 0, s.failed
	}
	if s.out != nil {
		if _, err := s.out.Write(p); err != nil {
			s.failed = err
			return 0, err
		}
	}
	s.look(p)
	s.failed = s.wait(len(p))
	return len(p), s.failed
}

// ReadFrom takes what a tool writes straight to where it is compressed.
func (s *dumpScanner) ReadFrom(r io.Reader) (int64, error) {
	widen(r)
	begun := s.bytes
	for s.failed == nil {
		room := s.out.room()
		n, err := r.Read(room)
		s.look(room[:n])
		if s.failed = s.out.took(n); s.failed == nil {
			s.failed = s.wait(n)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return s.bytes - begun, err
		}
	}
	return s.bytes - begun, s.failed
}

func (s *dumpScanner) wait(bytes int) error {
	if s.limit == nil {
		return nil
	}
	return s.limit(bytes)
}

func (s *dumpScanner) look(p []byte) {
	s.bytes += int64(len(p))
	s.scan(p)
	if s.progress != nil && (s.bytes-s.toldAt >= tellBytes || time.Since(s.told) > 250*time.Millisecond) {
		s.told, s.toldAt = time.Now(), s.bytes
		s.progress(s.bytes)
	}
}

// pipeSize is what the pipe to or from a tool holds: with the usual 64 KiB, each side waits for the other more often
// than it works.
const pipeSize = 1 << 20

// widen makes a pipe hold more, where the system allows that.
func widen(pipe any) {
	c, ok := pipe.(syscall.Conn)
	if !ok {
		return
	}
	if raw, err := c.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			_, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, pipeSize)
		})
	}
}

func (s *dumpScanner) scan(p []byte) {
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n')
		part := p
		if end >= 0 {
			part = p[:end]
		}
		if room := lineStart - len(s.line); room > 0 {
			s.line = append(s.line, part[:min(room, len(part))]...)
		}
		if end < 0 {
			return
		}
		s.endLine()
		p = p[end+1:]
	}
}

func (s *dumpScanner) endLine() {
	if len(s.line) > 0 {
		s.closed = bytes.HasPrefix(s.line, []byte("-- Dump completed"))
		if m := createTable.FindSubmatch(s.line); m != nil {
			s.tables = append(s.tables, unquoted(m[1]))
		}
		if m := makesView.FindSubmatch(s.line); m != nil {
			s.views = append(s.views, unquoted(m[1]))
		}
		s.definers.look(s.line)
	}
	s.line = s.line[:0]
}

func (s *dumpScanner) finish() {
	s.endLine()
	if s.progress != nil {
		s.progress(s.bytes)
	}
}
