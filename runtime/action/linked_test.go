package action

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/tree"
)

// TestLinkedDirectories carries every action on files out below, on, and through a directory that the
// site has put elsewhere and linked to its old place, on the live host and on the simulated one: both
// accept and refuse the same, leave the same, and come back to where they began.
func TestLinkedDirectories(t *testing.T) {
	private := fs.FileMode(0o700)
	for _, a := range []func() Action{
		func() Action { return &Mkdir{Path: "/var/lnk/n"} },
		func() Action { return &Mkdir{Path: "/var/lnk/n/o", Parents: true} },
		func() Action { return &Mkdir{Path: "/var/lnk/t", Mode: &private} },
		func() Action { return &Mkdir{Path: "/var/lnk", Mode: &private} },
		func() Action { return &Mkdir{Path: "/var/dangling/n", Parents: true} },
		func() Action { return &Write{Path: "/var/lnk/n", Content: []byte("x")} },
		func() Action { return &Write{Path: "/var/lnk/t/f", Content: []byte("x")} },
		func() Action { return &Write{Path: "/var/dangling/n", Content: []byte("x")} },
		func() Action { return &Symlink{Path: "/var/lnk/n", Target: "x"} },
		func() Action { return &Symlink{Path: "/var/lnk", Target: "/srv/m"} },
		func() Action { return &Remove{Path: "/var/lnk/t"} },
		func() Action { return &Remove{Path: "/var/lnk/t/f"} },
		func() Action { return &Remove{Path: "/var/lnk"} },
		func() Action { return &Copy{From: "/srv/m/s", To: "/var/lnk/s"} },
		func() Action { return &Copy{From: "/srv/m/s", To: "/var/lnk", Contents: true} },
		func() Action { return &Copy{From: "/var/lnk/t", To: "/srv/m/t"} },
		func() Action { return &Copy{From: "/var/lnk", To: "/srv/m/s", Contents: true} },
		func() Action { return &Copy{From: "/var/lnk/t", To: "/var/lnk/u", Contents: true} },
		func() Action { return &Move{From: "/srv/m/s", To: "/var/lnk/s"} },
		func() Action { return &Move{From: "/srv/m/s", To: "/var/lnk", Contents: true} },
		func() Action { return &Move{From: "/srv/m/g", To: "/var/lnk/t", Contents: true} },
		func() Action { return &Move{From: "/var/lnk/t", To: "/srv/m/t"} },
		func() Action { return &Move{From: "/var/lnk", To: "/srv/m/s", Contents: true} },
		func() Action { return &Move{From: "/var/lnk", To: "/srv/m/l"} },
		func() Action { return &Chown{Path: "/var/lnk", Owner: "110"} },
		func() Action { return &Chown{Path: "/var/lnk", Owner: "110", Recursive: true} },
		func() Action { return &Chown{Path: "/var/lnk/t", Owner: "110", Recursive: true} },
		func() Action { return &Chown{Path: "/var/lnk/t/f", Owner: "110"} },
	} {
		t.Run(strings.ReplaceAll(a().Summary(), "/", ":"), func(t *testing.T) {
			live, root := liveEnv(t)
			must(t, os.MkdirAll(filepath.Join(root, "var/lib/zcp2kopano"), 0o700))
			sim := newFake()
			must(t, sim.PutDir("/var/lib/zcp2kopano", 0o700, 0, 0))
			sameState(t, "live", linkedTrial(t, live, a()), linkedTrial(t, newEnv(sim), a()))
		})
	}
}

// linkedTrial tells what becomes of an action on a host, step by step.
func linkedTrial(t *testing.T, env *Env, a Action) map[string]string {
	t.Helper()
	h := env.Host
	for _, dir := range []string{"/srv", "/srv/big", "/srv/big/t", "/srv/big/t/u", "/srv/m", "/srv/m/s", "/srv/m/g"} {
		must(t, h.Mkdir(dir, 0o755))
	}
	for _, name := range []string{"/srv/big/t/f", "/srv/m/s/f"} {
		f, err := h.Create(name, 0o644)
		must(t, err)
		must(t, f.Close())
	}
	must(t, h.Symlink("/srv/big", "/var/lnk"))
	must(t, h.Symlink("/srv/none", "/var/dangling"))
	start := shape(t, env)
	told := map[string]string{"stage": fmt.Sprint(a.Stage(env))}
	needed, err := a.Prepare(env)
	told["prepare"] = fmt.Sprint(needed, err)
	if err != nil || !needed {
		return told
	}
	_, err = a.Apply(env)
	told["apply"] = fmt.Sprint(err)
	for name, what := range shape(t, env) {
		told["after apply: "+name] = what
	}
	must(t, a.Undo(env))
	sameState(t, "after undo", shape(t, env), start)
	return told
}

// shape describes what the actions could have reached, without times.
func shape(t *testing.T, env *Env) map[string]string {
	t.Helper()
	s := map[string]string{}
	for _, top := range []string{"/srv", "/var"} {
		dir, err := env.Host.OpenTree(top)
		must(t, err)
		w := tree.Reader(context.Background(), func(e tree.Entry[host.DirReader]) error {
			if strings.HasPrefix(e.Rel, "lib") {
				return nil
			}
			target := ""
			if e.Stat.IsSymlink() {
				target, _ = e.Dir.Readlink(e.Name)
			}
			s[top+"/"+e.Rel] = fmt.Sprint(e.Stat.Mode, e.Stat.UID, e.Stat.GID, " ", target)
			return nil
		})
		must(t, w.Walk(dir, "", 0))
		dir.Close()
	}
	return s
}
