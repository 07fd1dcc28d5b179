package tree

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"zcp2kopano/runtime/host"
)

// Crew works through all that is below an open directory, in as many lanes as the host has. The order is nobody's, but a
// directory comes after all that it holds, and once it is worked on it is not entered again. What needs an order is for
// the Walker. D is host.Dir, or what else is opened for the work.
type Crew[D host.DirReader] struct {
	Ctx  context.Context
	Open func(dir D, name string) (D, error)
	// Leaves works on what is not a directory, by some of the names in one; Folder on an open directory; Closed on one
	// by its name, when it is closed. They are called in all lanes, and may be nil.
	Leaves func(dir D, rel string, names []string) error
	Folder func(self D, rel string) error
	Closed func(above D, name string) error
	// Mount gets a directory on another device; what lies below it is left alone. Nil works on it as well.
	Mount func(rel string) error
	// Leave reports what is left alone, with what lies below it; nil leaves nothing.
	Leave func(rel string) bool
	// Tick is told how many entries more are done; nil is not.
	Tick func(more int64)

	mu   sync.Mutex
	come *sync.Cond // a job has come, or the last is done
	jobs []job[D]   // the last is taken first, so that few directories are open
	left int        // jobs that are not done
	err  error      // the first: after it nothing more is done, and what is open is closed
}

// branch is a directory that the crew is in.
type branch[D host.DirReader] struct {
	above *branch[D]
	dir   D
	name  string
	rel   string
	dev   uint64
	left  int // jobs in it that are not done, and branches
}

// job is a directory to be entered, or a stretch of entries that are none.
type job[D host.DirReader] struct {
	in      *branch[D]
	enter   string
	entries []string
}

// stretch is how many entries are one job.
const stretch = 256

// Work works on what is below root. The root itself is left to the caller.
func (c *Crew[D]) Work(root D, dev uint64) error {
	c.come = sync.NewCond(&c.mu)
	if err := c.list(&branch[D]{dir: root, dev: dev, left: 1}); err != nil {
		return err
	}
	var others sync.WaitGroup
	for range c.lanes(root) - 1 {
		others.Go(c.lane)
	}
	c.lane()
	others.Wait()
	return c.err
}

// lanes are as many as the host has, but of a directory that holds no other no more than there are jobs.
func (c *Crew[D]) lanes(root D) int {
	if slices.ContainsFunc(c.jobs, func(j job[D]) bool { return j.entries == nil }) {
		return Lanes(root)
	}
	return min(Lanes(root), c.left)
}

func (c *Crew[D]) lane() {
	for j, ok := c.take(); ok; j, ok = c.take() {
		in, err := c.do(j)
		c.fail(err)
		c.settle(in)
		c.over(j)
	}
}

// take waits for a job. There is none when all are done.
func (c *Crew[D]) take() (j job[D], ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.jobs) == 0 && c.left > 0 {
		c.come.Wait()
	}
	if len(c.jobs) == 0 {
		return j, false
	}
	last := len(c.jobs) - 1
	j, c.jobs = c.jobs[last], c.jobs[:last]
	return j, true
}

func (c *Crew[D]) over(j job[D]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Tick != nil && len(j.entries) > 0 {
		c.Tick(int64(len(j.entries)))
	}
	if c.left--; c.left == 0 {
		c.come.Broadcast()
	}
}

func (c *Crew[D]) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
}

func (c *Crew[D]) failed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err != nil
}

// do returns the branch that the job was in: that of the directory which it has entered.
func (c *Crew[D]) do(j job[D]) (*branch[D], error) {
	if c.failed() {
		return j.in, nil
	}
	if err := c.Ctx.Err(); err != nil {
		return j.in, err
	}
	if j.entries == nil {
		return c.enter(j.in, j.enter)
	}
	return j.in, c.Leaves(j.in.dir, j.in.rel, j.entries)
}

// enter opens a directory.
func (c *Crew[D]) enter(in *branch[D], name string) (*branch[D], error) {
	dir, err := c.Open(in.dir, name)
	if host.Absent(err) {
		return in, nil
	}
	if err != nil {
		return in, err
	}
	rel := Under(in.rel, name)
	st, err := dir.Self()
	if err == nil && st.Dev != in.dev && c.Mount != nil {
		dir.Close()
		return in, c.Mount(rel)
	}
	if err != nil {
		dir.Close()
		return in, err
	}
	b := &branch[D]{above: in, dir: dir, name: name, rel: rel, dev: st.Dev, left: 1}
	return b, c.list(b)
}

// list makes jobs of what a directory holds.
func (c *Crew[D]) list(b *branch[D]) error {
	list, err := b.dir.ReadDir()
	if err != nil {
		return err
	}
	var jobs []job[D]
	files := make([]string, 0, len(list))
	for i := len(list) - 1; i >= 0; i-- {
		switch name := list[i].Name; {
		case c.Leave != nil && c.Leave(Under(b.rel, name)):
		case list[i].Type.IsDir():
			jobs = append(jobs, job[D]{in: b, enter: name})
		default:
			files = append(files, name)
		}
	}
	for len(files) > 0 {
		n := min(stretch, len(files))
		jobs = append(jobs, job[D]{in: b, entries: files[:n]})
		files = files[n:]
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	b.left += len(jobs)
	c.left += len(jobs)
	c.jobs = append(c.jobs, jobs...)
	c.come.Broadcast()
	return nil
}

// settle ends the work on a directory when the last job in it is done, and then perhaps on the one above.
func (c *Crew[D]) settle(b *branch[D]) {
	for ; b.above != nil && c.settled(b); b = b.above {
		c.fail(c.end(b))
	}
}

func (c *Crew[D]) end(b *branch[D]) error {
	if c.Folder != nil && !c.failed() {
		if err := c.Folder(b.dir, b.rel); err != nil && !host.Absent(err) {
			c.fail(fmt.Errorf("%s: %w", b.rel, err))
		}
	}
	b.dir.Close()
	if c.Closed == nil || c.failed() {
		return nil
	}
	return c.Closed(b.above.dir, b.name)
}

func (c *Crew[D]) settled(b *branch[D]) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	b.left--
	return b.left == 0
}

// EachLeaf works on entries one by one. What went away meanwhile needs no work.
func EachLeaf[D host.DirReader](do func(dir D, name string) error) func(dir D, rel string, names []string) error {
	return func(dir D, rel string, names []string) error {
		for _, name := range names {
			if err := do(dir, name); err != nil && !host.Absent(err) {
				return fmt.Errorf("%s: %w", Under(rel, name), err)
			}
		}
		return nil
	}
}
