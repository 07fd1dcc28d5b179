package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is one line of the process table, as the test sees it.
type process struct {
	pid, parent int
	zombie      bool
	threads     int // that have not ended, and the zombie itself
}

// processTable reads /proc. What ends meanwhile is left out.
func processTable() []process {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil
	}
	var table []process
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		pid, err1 := strconv.Atoi(strings.Split(file, "/")[2])
		// proc(5): the name in parentheses may hold anything; behind it stand state, parent, ...
		fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
		if len(fields) < 18 || err1 != nil {
			continue
		}
		parent, err1 := strconv.Atoi(fields[1])
		threads, err2 := strconv.Atoi(fields[17])
		if err1 != nil || err2 != nil {
			continue
		}
		table = append(table, process{pid: pid, parent: parent, zombie: fields[0] == "Z" || fields[0] == "X", threads: threads})
	}
	return table
}

// family lists a process and all that descends from it, as far as it lives.
func family(head int) []int {
	table := processTable()
	in := map[int]bool{head: true}
	for grown := true; grown; {
		grown = false
		for _, p := range table {
			if in[p.parent] && !in[p.pid] {
				in[p.pid], grown = true, true
			}
		}
	}
	var pids []int
	for _, p := range table {
		if in[p.pid] && !p.zombie {
			pids = append(pids, p.pid)
		}
	}
	return pids
}

// worker finds, in a family, the process that carries a run out; 0 if there is none.
func worker(pids []int) int {
	for _, pid := range pids {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if args := strings.Split(string(line), "\x00"); err == nil && len(args) > 1 && args[1] == "worker" {
			return pid
		}
	}
	return 0
}

// killFamily sends SIGKILL to a process and all that descends from it, as if at one instant: all are
// held first, so that none can do anything or start another while the others die. Daemons that
// have left their starter live on. It returns when all are gone, and reports whether a worker was
// at work.
func killFamily(head int) (hit bool, err error) {
	held := map[int]bool{}
	for grown := true; grown; {
		grown = false
		for _, pid := range family(head) {
			if !held[pid] && syscall.Kill(pid, syscall.SIGSTOP) == nil {
				held[pid], grown = true, true
			}
		}
	}
	pids := family(head)
	hit = worker(pids) != 0
	for _, pid := range pids {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	return hit, waitGone(pids)
}

// killWorker sends SIGKILL to the worker of a family alone, as the kernel does that is short of memory,
// or somebody who knows its number. What it had started goes on.
func killWorker(head int) (hit bool, err error) {
	pid := worker(family(head))
	if pid == 0 {
		return false, nil
	}
	syscall.Kill(pid, syscall.SIGKILL)
	return true, waitGone([]int{pid})
}

// haltPipe is where a halting program waits.
const haltPipe = "/run/zcp2kopano-halt"

// halter holds a halting program behind each write to its journal; see runtime/journal/halt.go.
type halter struct {
	pipe   string
	writes int // to the journal, that it was let go from
}

// newHalter begins to hold the programs of a root, to whose journal so many writes were made.
func newHalter(r *Root, writes int) (*halter, error) {
	h := &halter{pipe: r.Path(haltPipe), writes: writes}
	return h, unix.Mkfifo(h.pipe, 0o600)
}

// release lets the program go on from the last of so many writes to its journal. It may have to be
// called again: a program that has written need not wait yet.
func (h *halter) release(writes int) {
	if h.writes == writes {
		return
	}
	pipe, err := unix.Open(h.pipe, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(pipe)
	if n, _ := unix.Write(pipe, []byte{0}); n == 1 {
		h.writes++
	}
}

// end lets the program run from now on.
func (h *halter) end() error {
	pipe, err := unix.Open(h.pipe, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(pipe)
	// Who waits takes one of these, or finds that nobody writes any more.
	_, err = unix.Write(pipe, make([]byte, 4096))
	return errors.Join(err, os.Remove(h.pipe))
}

// waitGone waits until processes have ended. A zombie alone is not enough: its other threads may live
// still, and hold its files open.
func waitGone(pids []int) error {
	deadline := time.Now().Add(time.Minute)
	for {
		there := map[int]bool{}
		for _, p := range processTable() {
			there[p.pid] = !p.zombie || p.threads > 1
		}
		left := slices.DeleteFunc(slices.Clone(pids), func(pid int) bool { return !there[pid] })
		if len(left) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("processes %v outlive SIGKILL", left)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
