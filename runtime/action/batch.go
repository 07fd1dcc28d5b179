package action

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/tree"
)

// treeCopy copies a tree in batches. The entries of a batch are copied under temporary names, in all lanes; a lane has
// the disk begin with each file at once, and waits for it at the end of a stretch of files, unless the host leaves that to
// the sync. Then the file system is synced once for all of the batch, each is read back, and gets its name. Meanwhile the
// next batch is copied.
// So a name stands for what is complete and durable, and a copy that was interrupted goes on with what has none.
type treeCopy struct {
	*copier
	root  *copyRoot
	disk  host.Dir // holds the copy, and is open since before it was begun: it is told of all that goes wrong since
	lanes int
	made  atomic.Int64 // drafts, for their names

	now   *batch
	full  chan *batch // nil where there is one lane
	work  chan func()
	large bool // a batch was synced by its file system

	mu  sync.Mutex
	err error // the first: after it nothing more is done
}

// batchLimits are what ends a batch. The directories of up to three are open at the same time.
type batchLimits struct {
	files, folders int
	bytes          int64
}

var fullBatch = batchLimits{files: 4096, folders: 100, bytes: 256 << 20}

const (
	fewFiles    = 16 // so few are synced one by one: that does not wait for what others wrote to the file system
	copyStretch = 64 // files that a lane takes at a time

	mostLanes = 16 // each holds a stretch of files open, and as many again of those with several names

	copyWait = 16 << 20 // bytes that a lane copies before it waits for the disk
)

// batch is what becomes durable together.
type batch struct {
	full    bool // more come after it
	filling sync.WaitGroup
	files   int
	bytes   atomic.Int64
	folders []*copiedDir

	mu     sync.Mutex
	drafts []*draft
	linked []leaf // files with several names
}

// copiedDir is a directory that is copied, and its copy. The copy gets the metadata when all that it holds has its name.
type copiedDir struct {
	src   host.DirReader
	dst   host.Dir
	above host.Dir
	name  string
	rel   string // of the directory from the root of the copy
	m     meta
	fresh bool // the copy was made empty just now
}

// leaf is a file in a directory that is copied.
type leaf struct {
	in   *copiedDir
	name string
}

func (l leaf) rel() string { return tree.Under(l.in.rel, l.name) }

func copyTree(c *copier, src host.DirReader, sname string, dst host.Dir, dname string, root *copyRoot) error {
	t := &treeCopy{copier: c, root: root, disk: dst, lanes: copyLanes(src, dst), now: &batch{}}
	end := t.begin()
	t.fail(t.folder(src, sname, dst, dname, ""))
	t.close()
	end()
	if t.err == nil && t.large {
		return t.disk.SyncFileSystem()
	}
	return t.err
}

func copyLanes(src, dst host.DirReader) int { return min(tree.Lanes(src), tree.Lanes(dst), mostLanes) }

// begin starts the lanes. The function that it returns waits for their end.
func (t *treeCopy) begin() func() {
	if t.lanes < 2 {
		return func() {}
	}
	t.full, t.work = make(chan *batch, 1), make(chan func())
	var all sync.WaitGroup
	all.Go(func() {
		for b := range t.full {
			t.commit(b)
		}
	})
	var lanes sync.WaitGroup
	for range t.lanes {
		lanes.Go(func() {
			for do := range t.work {
				do()
			}
		})
	}
	return func() {
		close(t.work)
		lanes.Wait()
		close(t.full)
		all.Wait()
	}
}

func (t *treeCopy) do(work func()) {
	if t.work == nil {
		work()
		return
	}
	t.work <- work
}

// closeFull ends a batch that is full. It is none of a few files, however few it holds: one sync of the file system costs
// less than a dozen of large files.
func (t *treeCopy) closeFull() {
	t.now.full = true
	t.close()
}

// close ends a batch, and begins the next.
func (t *treeCopy) close() {
	b := t.now
	t.now = &batch{}
	if t.full == nil {
		t.commit(b)
		return
	}
	t.full <- b
}

func (t *treeCopy) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		t.err = err
	}
}

// stopped reports whether nothing more is to be done.
func (t *treeCopy) stopped() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		t.err = t.env.Ctx.Err()
	}
	return t.err != nil
}

// folder copies a directory: its files first, then one directory after the other.
func (t *treeCopy) folder(src host.DirReader, sname string, dst host.Dir, dname, rel string) error {
	f, err := t.open(src, sname, dst, dname, rel)
	if err != nil || f == nil {
		return err
	}
	defer t.finish(f)
	list, err := f.src.ReadDir()
	if t.inUse && host.Absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	var files, folders []string
	for _, de := range list {
		if t.leave != nil && t.leave(tree.Under(rel, de.Name)) {
			continue
		}
		if de.Type.IsDir() {
			folders = append(folders, de.Name)
		} else {
			files = append(files, de.Name)
		}
	}
	t.files(f, files)
	for _, name := range folders {
		if t.stopped() {
			return nil
		}
		if err := t.folder(f.src, name, f.dst, name, tree.Under(rel, name)); err != nil {
			return fmt.Errorf("%s: %w", sname, err)
		}
	}
	return nil
}

// open opens a directory, and its copy; a copy that an interruption left may hold drafts. It returns nil for one that
// may be gone, and is.
func (t *treeCopy) open(src host.DirReader, sname string, dst host.Dir, dname, rel string) (*copiedDir, error) {
	held, err := src.Hold(sname)
	if t.inUse && host.Absent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer held.Close()
	f := &copiedDir{above: dst, name: dname, rel: rel}
	var st host.Stat
	if f.m, st, err = metaOf(held); err != nil {
		return nil, err
	}
	f.src, err = src.OpenDir(sname)
	if t.inUse && host.Absent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := t.openCopy(f, st); err != nil {
		f.src.Close()
		if t.inUse && errors.Is(err, host.ErrExchanged) {
			return nil, nil
		}
		return nil, err
	}
	return f, nil
}

func (t *treeCopy) openCopy(f *copiedDir, st host.Stat) error {
	self, err := f.src.Self()
	if err == nil {
		err = host.Same(st, self)
	}
	if err != nil {
		return err
	}
	err = f.above.Mkdir(f.name, 0o700)
	if f.fresh = err == nil; !f.fresh && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if f.dst, err = f.above.OpenDirWrite(f.name); err != nil || f.fresh {
		return err
	}
	if err := t.env.clearDrafts(f.dst); err != nil {
		f.dst.Close()
		return err
	}
	return nil
}

// finish leaves a directory to the batch: it is complete when that is.
func (t *treeCopy) finish(f *copiedDir) {
	t.now.folders = append(t.now.folders, f)
	if len(t.now.folders) >= fullBatch.folders {
		t.closeFull()
	}
}

func (t *treeCopy) files(f *copiedDir, names []string) {
	for len(names) > 0 && !t.stopped() {
		n, b := min(copyStretch, len(names)), t.now
		some := make([]leaf, n)
		for i, name := range names[:n] {
			some[i] = leaf{f, name}
		}
		names = names[n:]
		b.files += n
		b.filling.Add(1)
		t.do(func() {
			defer b.filling.Done()
			t.stretch(b, some, false)
		})
		if b.files >= fullBatch.files || b.bytes.Load() >= fullBatch.bytes {
			t.closeFull()
		}
	}
}

// stretch makes drafts of files; first are those of which no other name is copied.
func (t *treeCopy) stretch(b *batch, leaves []leaf, first bool) {
	var drafts []*draft
	var bytes int64
	for _, l := range leaves {
		if t.stopped() {
			break
		}
		d, err := t.file(b, l, first)
		if err != nil {
			t.fail(fmt.Errorf("%s: %w", l.rel(), err))
			break
		}
		if d == nil {
			continue
		}
		drafts = append(drafts, d)
		if bytes += d.st.Size; bytes >= copyWait {
			t.settle(b, drafts)
			drafts, bytes = nil, 0
		}
	}
	t.settle(b, drafts)
}

// settle hands drafts over to the batch, once the disk has taken what they hold.
func (t *treeCopy) settle(b *batch, drafts []*draft) {
	for _, d := range drafts {
		if err := d.settle(); err != nil {
			t.fail(fmt.Errorf("%s: %w", d.name, err))
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drafts = append(b.drafts, drafts...)
}

// file makes a draft of a file, if it has not its name yet. One with several names is left to the end of the batch,
// unless it is known to be the first of them.
func (t *treeCopy) file(b *batch, l leaf, first bool) (*draft, error) {
	from, err := l.in.src.Hold(l.name)
	if t.inUse && host.Absent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer from.Close()
	m, st, err := metaOf(from)
	if err != nil {
		return nil, err
	}
	if st.IsDir() {
		if t.inUse {
			return nil, nil
		}
		return nil, host.ErrExchanged
	}
	if st.Nlink > 1 && !first {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.linked = append(b.linked, l)
		return nil, nil
	}
	if !l.in.fresh {
		there, err := alike(from, st, l.in.dst, l.name)
		if err != nil {
			return nil, err
		}
		if there {
			t.whole(st)
			return nil, nil
		}
	}
	d := &draft{dst: l.in.dst, name: l.name, tmp: t.env.temp() + "." + strconv.FormatInt(t.made.Add(1), 10)}
	err = t.draw(d, from, st, m)
	if t.inUse && errors.Is(err, errChanged) {
		return nil, unlinkIfThere(d.dst, d.tmp)
	}
	if err != nil {
		return nil, err
	}
	b.bytes.Add(st.Size)
	return d, nil
}

// commit makes a batch durable, and gives all in it their names.
func (t *treeCopy) commit(b *batch) {
	b.filling.Wait()
	if !t.stopped() {
		t.fail(t.complete(b))
	}
	for _, f := range b.folders {
		f.src.Close()
		f.dst.Close()
	}
}

func (t *treeCopy) complete(b *batch) error {
	links, err := t.firsts(b)
	if err != nil {
		return err
	}
	few := len(b.drafts) <= fewFiles && !t.large && !b.full
	t.large = t.large || !few
	if !few && len(b.drafts) > 0 {
		if err := t.disk.SyncFileSystem(); err != nil {
			return err
		}
	}
	if err := t.name(b.drafts, few); err != nil {
		return err
	}
	for _, l := range links {
		err := t.link(l.first, l.in.dst, l.leaf.name)
		if t.inUse && host.Absent(err) { // its first was left out
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", l.rel(), err)
		}
		t.whole(l.st)
	}
	for _, f := range b.folders {
		if err := f.complete(few); err != nil {
			return fmt.Errorf("%s: %w", f.rel, err)
		}
	}
	return nil
}

// link is another name of a file that has its first.
type link struct {
	leaf
	first linked
	st    host.Stat
}

// firsts makes drafts of the files with several names that none is copied of yet, and returns the other names.
func (t *treeCopy) firsts(b *batch) ([]link, error) {
	slices.SortFunc(b.linked, func(x, y leaf) int { return strings.Compare(x.rel(), y.rel()) })
	var links []link
	var firsts []leaf
	for _, l := range b.linked {
		st, err := l.in.src.Lstat(l.name)
		if t.inUse && host.Absent(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if first, again := t.another(st, linked{root: t.root, rel: l.rel()}); again {
			links = append(links, link{l, first, st})
		} else {
			firsts = append(firsts, l)
		}
	}
	stretches := slices.Collect(slices.Chunk(firsts, copyStretch))
	return links, t.inLanes(len(stretches), func(i int) error {
		t.stretch(b, stretches[i], true)
		return nil
	})
}

// inLanes does so many things in all lanes, until one fails.
func (t *treeCopy) inLanes(count int, do func(i int) error) error {
	var lanes sync.WaitGroup
	var next atomic.Int64
	lane := func() {
		for !t.stopped() {
			i := int(next.Add(1) - 1)
			if i >= count {
				return
			}
			if err := do(i); err != nil {
				t.fail(err)
			}
		}
	}
	for range min(t.lanes, count) - 1 {
		lanes.Go(lane)
	}
	lane()
	lanes.Wait()
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

// name reads drafts back, and gives those that are right their names.
func (t *treeCopy) name(drafts []*draft, few bool) error {
	return t.inLanes(len(drafts), func(i int) error {
		d := drafts[i]
		err := t.verify(d, few)
		if err == nil {
			err = d.dst.Rename(d.tmp, d.dst, d.name)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", d.name, err)
		}
		t.told.add(size{Files: 1})
		return nil
	})
}

// complete gives a copied directory its metadata; with sync, durably.
func (f *copiedDir) complete(sync bool) error {
	self, err := f.dst.Self()
	if err != nil {
		return err
	}
	err = held(f.above, f.name, func(e host.HeldWrite, st host.Stat) error {
		if st.Dev != self.Dev || st.Ino != self.Ino {
			return host.ErrExchanged
		}
		return setMetaOf(e, st, f.m)
	})
	if err != nil || !sync {
		return err
	}
	return f.dst.SyncSelf()
}
