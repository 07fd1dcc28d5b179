package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"zcp2kopano": hoardingMain, "hostile": hostileMain})
}

// TestScripts plays testdata/script/*.txtar. Those that really change files, below their own work
// directory, have "root" in their name: the program does that only as root.
func TestScripts(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Error("the scripts named root-* need root, and this is CI")
		} else {
			t.Log("left out: the scripts named root-*; run them as root")
		}
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "root":
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"code": code, "waitfor": waitFor, "lastline": lastLine, "nosecret": noSecret,
			"replace": replace, "killworker": killWorker, "unchanged": unchanged, "spoil": spoil, "mode": mode,
		},
		Setup: func(env *testscript.Env) error {
			env.Setenv("NO_COLOR", "1")
			env.Setenv("PATH", env.Getenv("PATH"))
			return nil
		},
	})
}

// code runs a command and wants this exit code: code 2 zcp2kopano check.
func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND...")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	if exit, ok := err.(*exec.ExitError); ok {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if fmt.Sprint(got) != args[0] {
		ts.Fatalf("exit code %d, want %s", got, args[0])
	}
}

// waitFor waits until a file exists. The limit is there to end a test that hangs, not to time one: a loaded
// machine may take a minute for what takes a second.
func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	for deadline := time.Now().Add(10 * time.Minute); time.Now().Before(deadline); {
		if found, _ := filepath.Glob(ts.MkAbs(args[0])); len(found) > 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("%s does not appear", args[0])
}

// lastLine wants the last line of the output to begin so.
func lastLine(ts *testscript.TestScript, neg bool, args []string) {
	lines := strings.Split(strings.TrimSpace(ts.ReadFile("stdout")), "\n")
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, args[0]) {
		ts.Fatalf("last line is %q, want %q...", last, args[0])
	}
}

// noSecret wants a text in no file below a directory, but for the secrets and the contents to be
// written, which have mode 0600.
func noSecret(ts *testscript.TestScript, neg bool, args []string) {
	err := filepath.Walk(ts.MkAbs(args[0]), func(path string, info os.FileInfo, err error) error {
		if err != nil || !info.Mode().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		kept := info.Name() == "secrets" || strings.Contains(path, "/backup/blobs/")
		private := kept && info.Mode().Perm() == 0o600
		if strings.Contains(string(data), args[1]) && !private {
			return fmt.Errorf("%s (mode %o) holds the secret", path, info.Mode().Perm())
		}
		return nil
	})
	ts.Check(err)
	if strings.Contains(ts.ReadFile("stdout")+ts.ReadFile("stderr"), args[1]) {
		ts.Fatalf("the output holds the secret")
	}
}

// replace puts the work directory in place of WORK in files: policies and paths are absolute.
func replace(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		text := strings.ReplaceAll(ts.ReadFile(name), "WORK", ts.Getenv("WORK"))
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o644))
	}
}

// mode wants these permissions of files and directories: mode 0600 FILE...
func mode(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args[1:] {
		info, err := os.Lstat(ts.MkAbs(name))
		ts.Check(err)
		if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[0] {
			ts.Fatalf("%s has mode %s, want %s", name, got, args[0])
		}
	}
}

// spoil changes a bit in the second line of a file.
func spoil(ts *testscript.TestScript, neg bool, args []string) {
	found, err := filepath.Glob(ts.MkAbs(args[0]))
	if err != nil || len(found) != 1 {
		ts.Fatalf("%s are %v, %v", args[0], found, err)
	}
	data, err := os.ReadFile(found[0])
	ts.Check(err)
	data[strings.Index(string(data), "\n")+30] ^= 1
	ts.Check(os.WriteFile(found[0], data, 0o600))
}

// killWorker kills the process that the lock names, as a power cut would.
func killWorker(ts *testscript.TestScript, neg bool, args []string) {
	var pid int
	if _, err := fmt.Sscanf(ts.ReadFile(args[0]), `{"pid":%d`, &pid); err != nil || pid == os.Getpid() {
		ts.Fatalf("no process in %s: %v", args[0], err)
	}
	p, err := os.FindProcess(pid)
	ts.Check(err)
	ts.Check(p.Kill())
}
