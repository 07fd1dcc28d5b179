package live

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"

	"zcp2kopano/runtime/host"
)

// dumpParallel has mydumper write a directory; all of its connections see one snapshot. It never judges the dump, but it
// refuses files that contradict each other.
func (h databaseWriter) dumpParallel(ctx context.Context, req host.DumpRequest, progress func(int64)) (host.DumpResult, error) {
	conn := h.database.locate(req.Conn)
	if _, err := h.dumpCharset(ctx, conn); err != nil { // what the server refuses is told better here
		return host.DumpResult{}, err
	}
	objects, err := h.objects(ctx, conn)
	if err != nil {
		return host.DumpResult{}, err
	}
	tool, err := h.m.program(host.ParallelDumpPrograms...)
	if err != nil {
		return host.DumpResult{}, err
	}
	if err := h.write.Mkdir(req.Path, 0o700); err != nil {
		return host.DumpResult{}, err
	}
	result, err := h.dumpInto(ctx, tool, conn, req.Path, objects, progress)
	if err != nil {
		return result, errors.Join(fmt.Errorf("dump of database %q to %s: %w", conn.Database, req.Path, err), h.discard(req.Path))
	}
	result.Tool, result.Standing, result.Held = h.toolVersion(tool), objects.Standing, objects.Held
	return result, nil
}

func (h databaseWriter) dumpInto(ctx context.Context, tool string, conn host.DatabaseConn, dir string, objects host.Objects, progress func(int64)) (host.DumpResult, error) {
	args := append([]string{"--outputdir=" + dir, "--database=" + conn.Database, "--compress", "--triggers", "--build-empty-files", "--trx-consistency-only"}, whatElse(objects)...)
	if views := standingViews(objects); len(views) > 0 {
		args = append(args, "--regex="+others(conn.Database, views))
	}
	told := h.watchSize(dir, progress)
	err := h.parallelTool(ctx, tool, conn, args...)
	told()
	if err != nil {
		return host.DumpResult{}, err
	}
	if err := h.settle(dir); err != nil {
		return host.DumpResult{}, err
	}
	_, result, err := h.readParallel(ctx, dir, nil)
	return result, err
}

// others is an expression, for mydumper, that all names DATABASE.TABLE match but these. It is compared byte by byte, and
// taken for an argument in plain ASCII only.
func others(database string, tables []string) string {
	var names []string
	for _, table := range tables {
		var name strings.Builder
		for _, b := range []byte(regexp.QuoteMeta(table)) {
			if b < 0x80 {
				name.WriteByte(b)
			} else {
				fmt.Fprintf(&name, `\x%02x`, b)
			}
		}
		names = append(names, name.String())
	}
	return "^(?!(?-i:" + regexp.QuoteMeta(database) + `\.(?:` + strings.Join(names, "|") + ")$))"
}

// parallelTool runs mydumper or myloader.
func (h databaseWriter) parallelTool(ctx context.Context, tool string, conn host.DatabaseConn, args ...string) error {
	options, remove, err := h.options(conn)
	if err != nil {
		return err
	}
	defer remove()
	threads := max(2, runtime.GOMAXPROCS(0))
	args = append([]string{"--defaults-file=" + options, "--threads=" + strconv.Itoa(threads)}, args...)
	// Nothing of this program's reads what it writes: alone it would go on, into the files of the next attempt.
	said, err := h.m.run(ctx, command{Path: tool, Args: args, Mortal: true, Secrets: []string{conn.Password.Reveal()}})
	if err == nil && strings.Contains(said.Stderr, "CRITICAL") { // it goes on without a table, or without its lock
		err = fmt.Errorf("%s: %s", tool, strings.TrimSpace(mask(said.Stderr, []string{conn.Password.Reveal()})))
	}
	return err
}

// watchSize tells how much lies in a directory, until it is called off.
func (h databaseWriter) watchSize(dir string, progress func(int64)) (stop func()) {
	if progress == nil {
		return func() {}
	}
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-end:
				return
			case <-time.After(250 * time.Millisecond):
			}
			var size int64
			entries, _ := h.m.files.ReadDir(dir)
			for _, e := range entries {
				if st, err := h.m.files.Lstat(path.Join(dir, e.Name)); err == nil {
					size += st.Size
				}
			}
			progress(size)
		}
	}()
	return func() { close(end); <-ended }
}

// settle makes what a tool wrote root's alone, and durable.
func (h databaseWriter) settle(dir string) error {
	entries, err := h.m.files.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name)
		if err := h.write.Chmod(name, 0o600); err != nil {
			return err
		}
		f, err := h.m.files.Open(name)
		if err != nil {
			return err
		}
		err = f.Sync()
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return err
		}
	}
	if err := h.write.SyncDir(dir); err != nil {
		return err
	}
	return h.write.SyncDir(parent(dir))
}

// discard removes a directory of files.
func (h databaseWriter) discard(dir string) error {
	entries, err := h.m.files.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if uerr := h.write.Unlink(path.Join(dir, e.Name)); err == nil {
			err = uerr
		}
	}
	if rerr := h.write.Rmdir(dir); err == nil {
		err = rerr
	}
	return err
}

// parallelFile is one file of a directory that mydumper wrote.
type parallelFile struct {
	name       string
	size, raw  int64
	digest     string
	table      string // that it makes, or has rows of
	makes      bool   // the table is made in it
	rows       int64
	finished   bool // of metadata
	rowsByName map[string]int64
	definers   definers
}

// readParallel reads all files of a dump to their ends, several at a time. The digest is that of a list of the files'
// names, sizes and digests.
func (h databaseWriter) readParallel(ctx context.Context, dir string, progress func(int64)) (map[string]int64, host.DumpResult, error) {
	entries, err := h.m.files.ReadDir(dir)
	if err != nil {
		return nil, host.DumpResult{}, err
	}
	files := make([]parallelFile, len(entries))
	errs := make([]error, len(entries))
	var all sync.WaitGroup
	var mutex sync.Mutex
	var read int64
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i, e := range entries {
		all.Add(1)
		go func() {
			defer all.Done()
			slots <- struct{}{}
			defer func() { <-slots }()
			files[i], errs[i] = h.readPart(ctx, dir, e.Name)
			if progress != nil {
				mutex.Lock()
				defer mutex.Unlock()
				read += files[i].raw
				progress(read)
			}
		}()
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, host.DumpResult{}, fmt.Errorf("dump %s: %w", dir, err)
	}
	slices.SortFunc(files, func(a, b parallelFile) int { return strings.Compare(a.name, b.name) })
	return judgeParallel(files)
}

func judgeParallel(files []parallelFile) (map[string]int64, host.DumpResult, error) {
	var result host.DumpResult
	list := sha256.New()
	rows, counted := map[string]int64{}, map[string]int64(nil)
	views := map[string]bool{} // mydumper makes a table for each, and then the view in its place
	for _, f := range files {
		if name, is := strings.CutSuffix(f.name, "-schema-view.sql.gz"); is {
			views[name+"-schema.sql.gz"] = true
		}
	}
	with := map[string]bool{} // of what there is a file with rows, be it an empty one
	for _, f := range files {
		if m := rowsFile.FindStringSubmatch(f.name); m != nil {
			with[m[1]], with[m[1]+m[2]] = true, true
		}
	}
	for _, f := range files {
		fmt.Fprintf(list, "%s %d %s\n", f.name, f.size, f.digest)
		result.Bytes += f.size
		result.RawBytes += f.raw
		for _, d := range f.definers {
			if !slices.Contains(result.Definers, d) {
				result.Definers = append(result.Definers, d)
			}
		}
		switch {
		case f.name == "metadata":
			result.Closed, counted = f.finished, f.rowsByName
		case views[f.name]:
			result.Views = append(result.Views, f.table)
		case f.makes:
			if name := strings.TrimSuffix(f.name, "-schema.sql.gz"); !with[name] {
				return nil, result, fmt.Errorf("there is no file with the rows of table %s (%s.sql.gz)", f.table, name)
			}
			result.Tables = append(result.Tables, f.table)
			rows[f.table] += 0
		case f.table != "":
			rows[f.table] += f.rows
		}
	}
	result.SHA256 = hex.EncodeToString(list.Sum(nil))
	for table, n := range counted {
		if rows[table] != n {
			return nil, result, fmt.Errorf("the files have %d rows of table %s, and metadata says %d", rows[table], table, n)
		}
	}
	for table := range rows {
		if !slices.Contains(result.Tables, table) {
			return nil, result, fmt.Errorf("there are rows of table %s, and nothing that makes it", table)
		}
	}
	return rows, result, nil
}

var (
	rowsFile     = regexp.MustCompile(`^(.*?)((?:\.[0-9]+)*)\.sql\.gz$`)
	insertInto   = regexp.MustCompile("^INSERT INTO `((?:[^`]|``)+)` VALUES")
	metadataRows = regexp.MustCompile("^\\[`?[^`.\\]]+`?\\.`?([^`\\]]+)`?\\]$")
)

// readPart reads one file, and what is packed in it.
func (h databaseWriter) readPart(ctx context.Context, dir, name string) (parallelFile, error) {
	part := parallelFile{name: name}
	fail := func(err error) (parallelFile, error) { return part, fmt.Errorf("%s: %w", name, err) }
	f, err := h.m.files.Open(path.Join(dir, name))
	if err != nil {
		return fail(err)
	}
	defer f.Close()
	hash := sha256.New()
	packed := &counted{Reader: io.TeeReader(stoppable{ctx, f}, hash)}
	var plain io.Reader = packed
	if strings.HasSuffix(name, ".gz") {
		if plain, err = gzip.NewReader(bufio.NewReaderSize(packed, 256<<10)); err != nil {
			return fail(err)
		}
	}
	lines := bufio.NewReaderSize(plain, 256<<10)
	if err := part.scan(lines); err != nil {
		return fail(err)
	}
	if _, err := io.Copy(io.Discard, packed); err != nil {
		return fail(err)
	}
	part.size, part.digest = packed.n, hex.EncodeToString(hash.Sum(nil))
	return part, nil
}

type counted struct {
	io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

// stoppable ends with the context.
type stoppable struct {
	ctx context.Context
	io.Reader
}

func (s stoppable) Read(p []byte) (int, error) {
	if err := context.Cause(s.ctx); err != nil {
		return 0, err
	}
	return s.Reader.Read(p)
}

// scan looks at the beginnings of lines. Each row has a line of its own: line breaks within values are written as \n.
func (p *parallelFile) scan(lines *bufio.Reader) error {
	var last []byte
	section, within := "", false
	for {
		line, err := lines.ReadSlice('\n')
		p.raw += int64(len(line))
		begins := !within
		within = errors.Is(err, bufio.ErrBufferFull)
		if begins && len(line) > 0 {
			section = p.line(bytes.TrimRight(line, "\n"), section)
		}
		if t := bytes.TrimRight(line, "\n"); len(t) > 0 {
			last = append(last[:0], t[max(0, len(t)-1):]...)
		}
		switch {
		case err == nil || within:
		case !errors.Is(err, io.EOF):
			return err
		case p.rows > 0 && string(last) != ";":
			return errors.New("it ends within a statement")
		default:
			return nil
		}
	}
}

func (p *parallelFile) line(line []byte, section string) string {
	p.definers.look(line)
	switch {
	case p.name == "metadata":
		return p.metadata(string(line), section)
	case bytes.HasPrefix(line, []byte("CREATE TABLE ")):
		if m := createTable.FindSubmatch(line); m != nil && !strings.Contains(p.name, "-schema-view") {
			p.table, p.makes = unquoted(m[1]), strings.Contains(p.name, "-schema.sql")
		}
	case bytes.HasPrefix(line, []byte("INSERT INTO ")):
		if m := insertInto.FindSubmatch(line); m != nil {
			p.table = unquoted(m[1])
		}
		if i := bytes.Index(line, []byte("VALUES")); i >= 0 && bytes.IndexByte(line[i:], '(') >= 0 {
			p.rows++
		}
	case len(line) > 0 && (line[0] == '(' || line[0] == ',') && p.table != "" && !p.makes:
		p.rows++
	}
	return section
}

// metadata has the time of the end, and, of mydumper 0.11 and newer, the rows of each table.
func (p *parallelFile) metadata(line, section string) string {
	switch {
	case strings.HasPrefix(line, "Finished dump at:") || strings.HasPrefix(line, "# Finished dump at:"):
		p.finished = true
	case strings.HasPrefix(line, "["):
		if m := metadataRows.FindStringSubmatch(line); m != nil {
			return m[1]
		}
		return ""
	case section != "":
		name, value, _ := strings.Cut(line, "=")
		if n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64); err == nil && strings.EqualFold(strings.TrimSpace(name), "rows") {
			if p.rowsByName == nil {
				p.rowsByName = map[string]int64{}
			}
			p.rowsByName[section] = n
		}
	}
	return section
}

func unquoted(name []byte) string { return strings.ReplaceAll(string(name), "``", "`") }

// loadParallel has myloader load such a directory, and counts afterwards what is there.
func (h databaseWriter) loadParallel(ctx context.Context, req host.LoadRequest, progress func(int64)) error {
	conn := h.database.locate(req.Conn)
	tool, err := h.m.program(host.ParallelLoadPrograms...)
	if err != nil {
		return err
	}
	rows, read, err := h.readParallel(ctx, req.Path, nil)
	switch {
	case err != nil:
		return fmt.Errorf("%w; nothing was changed", err)
	case req.SHA256 != "" && read.SHA256 != req.SHA256:
		return fmt.Errorf("the dump %s was changed since it was made; nothing was changed in the database", req.Path)
	case !read.Closed:
		return fmt.Errorf("the dump %s ends early: its metadata does not say that it was finished; nothing was changed", req.Path)
	}
	told := func() {
		if progress != nil {
			progress(0)
		}
	}
	if err := h.emptyDatabase(ctx, conn, req.Standing, told); err != nil {
		return databaseError(conn, err)
	}
	// Without --enable-binlog the replicas of the database would not hear of it.
	err = h.parallelTool(ctx, tool, conn, "--directory="+req.Path, "--database="+conn.Database, "--enable-binlog")
	if err == nil {
		err = h.loadedRows(ctx, conn, rows)
	}
	if err == nil {
		err = h.raiseNumbers(ctx, conn, req)
	}
	if err != nil {
		return fmt.Errorf("loading %s into database %q: %w; the database is now incomplete, and the dump is still there", req.Path, conn.Database, err)
	}
	if progress != nil {
		progress(read.RawBytes)
	}
	return nil
}

// loadedRows wants every row in its table.
func (h databaseWriter) loadedRows(ctx context.Context, conn host.DatabaseConn, want map[string]int64) error {
	for table, n := range want {
		rows, err := h.database.Query(ctx, conn, "SELECT COUNT(*) FROM "+host.QuoteName(table))
		if err != nil {
			return err
		}
		if got, err := rows.Number(); err != nil || got != n {
			return fmt.Errorf("table %s has %d rows, of %d in the dump (%v)", table, got, n, err)
		}
	}
	return nil
}
