package e2e

import (
	"os/exec"
	"testing"
	"time"
)

// TestKillFamily kills a tree of processes to the last.
func TestKillFamily(t *testing.T) {
	cmd := exec.Command("/bin/sh", "-c", "sleep 1000 & sh -c 'sleep 1000 & wait' & wait")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait()
		close(ended)
	}()
	var pids []int
	for deadline := time.Now().Add(hung); len(pids) < 4 && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		pids = family(cmd.Process.Pid)
	}
	if len(pids) != 4 {
		t.Fatalf("family %v, want 4 processes", pids)
	}
	hit, err := killFamily(cmd.Process.Pid)
	if hit || err != nil {
		t.Errorf("a worker was killed: %v; %v", hit, err)
	}
	<-ended
	for _, p := range processTable() {
		for _, pid := range pids {
			if p.pid == pid && !p.zombie {
				t.Errorf("process %d lives", pid)
			}
		}
	}
}
