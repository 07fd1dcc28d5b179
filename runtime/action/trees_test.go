package action

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/hosttest/chance"
	"zcp2kopano/runtime/host/live"
	"zcp2kopano/runtime/tree"
)

// otherDisk mounts another file system at a directory.
func otherDisk(t *testing.T, at string) {
	t.Helper()
	must(t, os.MkdirAll(at, 0o755))
	if err := unix.Mount("none", at, "tmpfs", 0, "size=256m"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	t.Cleanup(func() { must(t, unix.Unmount(at, unix.MNT_DETACH)) })
}

// plantTree makes a tree with all that a copy has to bring along: several owners, second names in other directories,
// symlinks, a FIFO, empty directories, extended attributes.
func plantTree(t *testing.T, root, top string, files int) {
	t.Helper()
	at := func(name ...string) string { return filepath.Join(append([]string{root, top}, name...)...) }
	var dirs []string
	for i := range files/7 + 3 {
		dir := at(fmt.Sprint("d", i%3), fmt.Sprint("e", i))
		must(t, os.MkdirAll(dir, 0o750))
		dirs = append(dirs, dir)
	}
	for i := range files {
		name := filepath.Join(dirs[i%len(dirs)], fmt.Sprintf("f%04d", i))
		must(t, os.WriteFile(name, bytes.Repeat([]byte{byte(i), 'x'}, i*37%9000), 0o640))
		must(t, os.Chown(name, 100+i%3, 100+i%2))
		must(t, os.Chtimes(name, long, long.Add(time.Duration(i)*time.Hour)))
		switch i % 11 {
		case 3:
			must(t, os.Link(name, filepath.Join(dirs[(i+1)%len(dirs)], fmt.Sprintf("l%04d", i))))
		case 5:
			must(t, os.Symlink("nowhere", name+"-link"))
		case 7:
			must(t, unix.Mkfifo(name+"-fifo", 0o604))
		}
	}
	for i, dir := range dirs {
		must(t, os.Chown(dir, 100+i%3, 100))
		must(t, os.Chtimes(dir, long, long.Add(time.Duration(i)*time.Minute)))
	}
	for _, dir := range []string{"d0", "d1", "d2", "."} {
		must(t, os.Chtimes(at(dir), long, long))
	}
}

// inManyBatches makes batches small, so that a small tree has many.
func inManyBatches(t *testing.T) {
	usual := fullBatch
	fullBatch = batchLimits{files: 40, folders: 9, bytes: 60_000}
	t.Cleanup(func() { fullBatch = usual })
}

// treeActions are the actions that work through a tree in several lanes; each takes some of what is at /tree.
var treeActions = map[string]func() Action{
	"copy":   func() Action { return &Copy{From: "/tree", To: "/disk/tree"} },
	"move":   func() Action { return &Move{From: "/tree", To: "/disk/tree"} },
	"merge":  func() Action { return &Move{From: "/tree", To: "/disk/there", Contents: true} },
	"remove": func() Action { return &Remove{Path: "/tree"} },
	"ahead":  func() Action { return &Presync{From: "/tree", To: "/disk/there"} },
	takesUp:  func() Action { return &Move{From: "/tree", To: "/disk/there", Contents: true} },
	"chown": func() Action {
		return &Chown{Path: "/tree", Recursive: true, Users: map[string]string{"100": "998", "101": "998"}, Group: "998", DirMode: ptr(os.FileMode(0o711))}
	},
}

// takesUp is what is done to a tree that was copied ahead, and has changed since.
const takesUp = "takeup"

func ahead(t *testing.T, env *Env, root string) {
	t.Helper()
	tag := env.Tag
	env.Tag = "r-before"
	defer func() { env.Tag = tag }()
	a := &Presync{From: "/tree", To: "/disk/there"}
	_, err := a.Prepare(env)
	must(t, err)
	_, err = a.Apply(env)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(root, "tree/d0/e0/f0000"), []byte("another"), 0o640))
	must(t, os.WriteFile(filepath.Join(root, "tree/d0/e0/new"), []byte("new"), 0o640))
	must(t, os.Remove(filepath.Join(root, "tree/d1/e1/f0001")))
}

// everything lists what an admin can see.
func everything(t *testing.T, env *Env, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, top := range []string{"/tree", "/disk/tree", "/disk/there"} {
		if _, err := os.Lstat(filepath.Join(root, top)); err != nil {
			continue
		}
		for rel, line := range listing(t, env, top) {
			all[filepath.Join(top, rel)] = line
		}
	}
	return all
}

// ended checks that an action has come to its end.
func ended(t *testing.T, env *Env, root, name string, begin map[string]string) {
	t.Helper()
	is := everything(t, env, root)
	switch name {
	case "copy", "move":
		sameState(t, name, moved(is, "/disk/tree"), moved(begin, "/tree"))
	case "ahead":
		sameState(t, name, moved(is, "/disk/there/"+presyncName+"/"+presyncTree), moved(begin, "/tree"))
	case "merge", takesUp:
		sameState(t, name, moved(is, "/disk/there"), moved(begin, "/tree"))
	case "chown":
		more, err := treeActions[name]().Prepare(env)
		must(t, err)
		if more || len(moved(is, "/tree")) != len(moved(begin, "/tree")) {
			t.Error("it has not changed all")
		}
	}
	if name == "copy" || name == "chown" || name == "ahead" {
		return
	}
	if left := moved(is, "/tree"); len(left) > 0 {
		t.Errorf("%s left %d entries", name, len(left))
	}
}

// moved is what is below a directory, by its name there.
func moved(state map[string]string, top string) map[string]string {
	some := map[string]string{}
	for at, line := range state {
		if rel, ok := strings.CutPrefix(at, top+"/"); ok {
			some[rel] = strings.Replace(line, "= "+presyncName+"/"+presyncTree+"/", "= ", 1) // another name
		}
	}
	return some
}

func treeBed(t *testing.T, files int) (*Env, string) {
	env, root := liveEnv(t)
	otherDisk(t, filepath.Join(root, "disk"))
	must(t, os.Mkdir(filepath.Join(root, "disk/there"), 0o755))
	plantTree(t, root, "tree", files)
	return env, root
}

// Trees that are worked through in lanes and batches end as they would one entry after the other, and come back.
func TestLiveTrees(t *testing.T) {
	inManyBatches(t)
	env, root := treeBed(t, 300)
	begin := everything(t, env, root)
	for _, name := range []string{"copy", "move", "merge", "chown", "remove"} {
		env.Tag = "r-" + name
		a := treeActions[name]()
		needed, err := a.Prepare(env)
		if err != nil || !needed {
			t.Fatalf("%s: %v, %v", name, needed, err)
		}
		_, err = a.Apply(env)
		must(t, err)
		ended(t, env, root, name, begin)
		must(t, a.Undo(env))
		sameState(t, "undo of "+name, everything(t, env, root), begin)
	}
}

// TestKilledTrees kills a process in the middle of what it does to a tree, at a change that chance picks, and has another
// one bring it to its end and take it back, or take it back at once.
func TestKilledTrees(t *testing.T) {
	if root := os.Getenv("ZCP2KOPANO_TREE_ROOT"); root != "" {
		actOnTree(t, root)
		return
	}
	dice := chance.Rand(t, 77)
	for _, name := range slices.Sorted(maps.Keys(treeActions)) {
		begun, trials := time.Now(), 3
		switch name {
		case "ahead", "merge", takesUp: // ways of a copy and of a move
			trials = 1
		}
		if chance.Nothing() {
			trials = 200
		}
		t.Run(name, func(t *testing.T) {
			killed := 0
			for range trials {
				if killedTree(t, dice, name, 1+dice.IntN(treeChanges[name])) {
					killed++
				}
			}
			if killed == 0 {
				t.Error("no kill has struck: it makes fewer changes than treeChanges says")
			}
			chance.Figures(t, begun, "%d kills in the middle of a tree, of %d tried", killed, trials)
		})
	}
}

// treeChanges is about how many changes an action makes to a tree of treeFiles files, and no more than it makes.
var treeChanges = map[string]int{"ahead": 520, "chown": 230, "copy": 520, "merge": 740, "move": 740, "remove": 740, takesUp: 280}

const treeFiles = 150

// killedTree kills a process before a change, if it makes so many, and reports whether it did.
func killedTree(t *testing.T, dice *rand.Rand, name string, at int) bool {
	inManyBatches(t)
	env, root := treeBed(t, treeFiles)
	if name == "remove" { // it is kept by a copy
		otherDisk(t, filepath.Join(root, env.Store.Dir))
	}
	if name == takesUp {
		ahead(t, env, root)
	}
	begin := everything(t, env, root)
	a := treeActions[name]()
	_, err := a.Prepare(env)
	must(t, err)
	data, err := json.Marshal(a)
	must(t, err)
	cmd := exec.Command(os.Args[0], "-test.run", "^TestKilledTrees$")
	cmd.Env = append(os.Environ(), "ZCP2KOPANO_TREE_ROOT="+root, "ZCP2KOPANO_TREE_KIND="+name, "ZCP2KOPANO_TREE_ACTION="+string(data),
		"ZCP2KOPANO_TREE_KILL="+strconv.Itoa(at))
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	killed := cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
	if err != nil && !killed {
		t.Fatalf("%v\n%s", err, out)
	}
	again := treeActions[name]()
	must(t, json.Unmarshal(data, again)) // another process knows what the journal holds
	if dice.IntN(2) == 0 {
		_, err := again.Apply(env)
		must(t, err)
		ended(t, env, root, name, begin)
	}
	must(t, again.Undo(env))
	end := everything(t, env, root)
	if name == takesUp { // what was copied ahead is taken back by who copied it
		for _, state := range []map[string]string{begin, end} {
			maps.DeleteFunc(state, func(at, _ string) bool { return strings.Contains(at, presyncName) })
		}
	}
	sameState(t, fmt.Sprintf("undo of %s, killed at change %d", name, at), end, begin)
	return killed
}

// actOnTree carries an action out in a process of its own.
func actOnTree(t *testing.T, root string) {
	inManyBatches(t)
	h, err := live.Open(root)
	must(t, err)
	a := treeActions[os.Getenv("ZCP2KOPANO_TREE_KIND")]()
	must(t, json.Unmarshal([]byte(os.Getenv("ZCP2KOPANO_TREE_ACTION")), a))
	at, err := strconv.Atoi(os.Getenv("ZCP2KOPANO_TREE_KILL"))
	must(t, err)
	_, err = a.Apply(newEnv(deadlyHost{h, &deadly{at: int64(at)}}))
	must(t, err)
}

// deadly kills this process before a change.
type deadly struct {
	at   int64
	made atomic.Int64
}

func (d *deadly) change() {
	if d.made.Add(1) == d.at {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

// deadlyHost is a host that somebody kills this process on.
type deadlyHost struct {
	host.Host
	d *deadly
}

type deadlyDir struct {
	host.Dir
	d *deadly
}

type deadlyHeld struct {
	host.HeldWrite
	d *deadly
}

func (h deadlyHost) OpenTreeWrite(name string) (host.Dir, error) {
	dir, err := h.Host.OpenTreeWrite(name)
	return deadlyDir{dir, h.d}, err
}

func (h deadlyHost) Mkdir(name string, mode fs.FileMode) error {
	h.d.change()
	return h.Host.Mkdir(name, mode)
}

func (h deadlyHost) Rmdir(name string) error {
	h.d.change()
	return h.Host.Rmdir(name)
}

func (d deadlyDir) Parallel() int { return tree.Lanes(d.Dir) }

func (d deadlyDir) OpenDirWrite(name string) (host.Dir, error) {
	sub, err := d.Dir.OpenDirWrite(name)
	return deadlyDir{sub, d.d}, err
}

func (d deadlyDir) HoldWrite(name string) (host.HeldWrite, error) {
	held, err := d.Dir.HoldWrite(name)
	return deadlyHeld{held, d.d}, err
}

func (d deadlyDir) Create(name string, mode fs.FileMode) (host.File, error) {
	d.d.change()
	return d.Dir.Create(name, mode)
}

func (d deadlyDir) Mkdir(name string, mode fs.FileMode) error {
	d.d.change()
	return d.Dir.Mkdir(name, mode)
}

func (d deadlyDir) Symlink(target, name string) error {
	d.d.change()
	return d.Dir.Symlink(target, name)
}

func (d deadlyDir) Mknod(name string, mode fs.FileMode, rdev uint64) error {
	d.d.change()
	return d.Dir.Mknod(name, mode, rdev)
}

func (d deadlyDir) Link(name string, to host.Dir, newname string) error {
	d.d.change()
	return d.Dir.Link(name, to.(deadlyDir).Dir, newname)
}

func (d deadlyDir) Rename(name string, to host.Dir, newname string) error {
	d.d.change()
	return d.Dir.Rename(name, to.(deadlyDir).Dir, newname)
}

func (d deadlyDir) Unlink(name string) error {
	d.d.change()
	return d.Dir.Unlink(name)
}

func (d deadlyDir) Rmdir(name string) error {
	d.d.change()
	return d.Dir.Rmdir(name)
}

func (d deadlyDir) ChownSelf(uid, gid int) error {
	d.d.change()
	return d.Dir.ChownSelf(uid, gid)
}

func (d deadlyDir) ChmodSelf(mode fs.FileMode) error {
	d.d.change()
	return d.Dir.ChmodSelf(mode)
}

func (d deadlyDir) SyncFileSystem() error {
	d.d.change()
	return d.Dir.SyncFileSystem()
}

func (h deadlyHeld) Chown(uid, gid int) error {
	h.d.change()
	return h.HeldWrite.Chown(uid, gid)
}

func (h deadlyHeld) Chmod(mode fs.FileMode) error {
	h.d.change()
	return h.HeldWrite.Chmod(mode)
}

func (h deadlyHeld) Chtimes(atime, mtime time.Time) error {
	h.d.change()
	return h.HeldWrite.Chtimes(atime, mtime)
}

func (h deadlyHeld) Setxattr(attr string, value []byte) error {
	h.d.change()
	return h.HeldWrite.Setxattr(attr, value)
}

// A walk that stays on its file system does not open what is mounted below, not even to look ahead: a share whose
// server is gone would hold it up.
func TestWalkOpensNoOtherDisk(t *testing.T) {
	env, root := liveEnv(t)
	must(t, os.MkdirAll(filepath.Join(root, "tree/sub"), 0o755))
	otherDisk(t, filepath.Join(root, "tree/share"))
	dir, err := env.Host.OpenTree("/tree")
	must(t, err)
	defer dir.Close()
	st, err := dir.Self()
	must(t, err)
	var visited, skipped []string
	w := tree.Reader(env.Ctx, func(e tree.Entry[host.DirReader]) error { visited = append(visited, e.Rel); return nil })
	w.Mount = func(rel string) error { skipped = append(skipped, rel); return nil }
	w.Open = func(dir host.DirReader, name string) (host.DirReader, error) {
		if name == "share" {
			t.Error("opened what is mounted there")
		}
		return dir.OpenDir(name)
	}
	must(t, w.Walk(dir, "", st.Dev))
	if !slices.Equal(visited, []string{"sub"}) || !slices.Equal(skipped, []string{"share"}) {
		t.Errorf("visited %q, skipped %q", visited, skipped)
	}
}
