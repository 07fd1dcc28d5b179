package action

import (
	"context"
	"fmt"
	"sync"

	"zcp2kopano/runtime/host"
)

// crew changes all that is below an open directory, in as many lanes as the host has. The order is nobody's, but a
// directory comes after all that it holds, and once it is changed it is not entered again.
type crew struct {
	ctx context.Context
	// leaf changes what is not a directory, by its name; folder an open directory. Both are called in all lanes.
	leaf   func(dir host.Dir, name, rel string) error
	folder func(self host.Dir, rel string) error
	// tick is told now and then how many entries are done.
	tick func(done int64)

	mu   sync.Mutex
	come *sync.Cond // a job has come, or the last is done
	jobs []job      // the last is taken first, so that few directories are open
	left int        // jobs that are not done
	done int64      // entries
	err  error      // the first: after it nothing more is changed, and what is open is closed
}

// branch is a directory that the crew is in.
type branch struct {
	above *branch
	dir   host.Dir
	rel   string
	dev   uint64
	left  int // jobs in it that are not done, and branches
}

// job is a directory to be entered, or a stretch of entries that are none.
type job struct {
	in      *branch
	enter   string
	entries []string
}

// stretch is how many entries are one job.
const stretch = 256

// change goes through what is below root and on its device. The root itself is left to the caller.
func (c *crew) change(root host.Dir, dev uint64) error {
	c.come = sync.NewCond(&c.mu)
	if err := c.list(&branch{dir: root, dev: dev, left: 1}); err != nil {
		return err
	}
	var others sync.WaitGroup
	for range lanes(root) - 1 {
		others.Go(c.work)
	}
	c.work()
	others.Wait()
	return c.err
}

func (c *crew) work() {
	for j, ok := c.take(); ok; j, ok = c.take() {
		in, err := c.do(j)
		c.fail(err)
		c.settle(in)
		c.over(j)
	}
}

// take waits for a job. There is none when all are done.
func (c *crew) take() (j job, ok bool) {
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

func (c *crew) over(j job) {
	c.mu.Lock()
	defer c.mu.Unlock()
	const often = 10_000
	before := c.done
	if c.done += int64(len(j.entries)); c.done/often > before/often {
		c.tick(c.done)
	}
	if c.left--; c.left == 0 {
		c.come.Broadcast()
	}
}

func (c *crew) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
}

func (c *crew) failed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err != nil
}

// do returns the branch that the job was in: that of the directory which it has entered.
func (c *crew) do(j job) (*branch, error) {
	if c.failed() {
		return j.in, nil
	}
	if err := c.ctx.Err(); err != nil {
		return j.in, err
	}
	if j.entries == nil {
		return c.enter(j.in, j.enter)
	}
	for _, name := range j.entries {
		rel := under(j.in.rel, name)
		if err := c.leaf(j.in.dir, name, rel); err != nil && !absent(err) { // it went away meanwhile
			return j.in, fmt.Errorf("%s: %w", rel, err)
		}
	}
	return j.in, nil
}

// enter opens a directory, unless another file system is mounted there.
func (c *crew) enter(in *branch, name string) (*branch, error) {
	dir, err := in.dir.OpenDirWrite(name)
	if absent(err) {
		return in, nil
	}
	if err != nil {
		return in, err
	}
	st, err := dir.Self()
	if err != nil || st.Dev != in.dev {
		dir.Close()
		return in, err
	}
	b := &branch{above: in, dir: dir, rel: under(in.rel, name), dev: st.Dev, left: 1}
	return b, c.list(b)
}

// list makes jobs of what a directory holds.
func (c *crew) list(b *branch) error {
	list, err := b.dir.ReadDir()
	if err != nil {
		return err
	}
	var jobs []job
	var files []string
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].Type.IsDir() {
			jobs = append(jobs, job{in: b, enter: list[i].Name})
		} else {
			files = append(files, list[i].Name)
		}
	}
	for len(files) > 0 {
		n := min(stretch, len(files))
		jobs = append(jobs, job{in: b, entries: files[:n]})
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

// settle changes a directory when the last job in it is done, and then perhaps the one above.
func (c *crew) settle(b *branch) {
	for ; b.above != nil && c.settled(b); b = b.above {
		if !c.failed() {
			if err := c.folder(b.dir, b.rel); err != nil && !absent(err) {
				c.fail(fmt.Errorf("%s: %w", b.rel, err))
			}
		}
		b.dir.Close()
	}
}

func (c *crew) settled(b *branch) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	b.left--
	return b.left == 0
}
