package action

import (
	"encoding/json"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"testing"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/sim/simfs"
	"zcp2kopano/runtime/tree"
)

// keepStory is the life of a tree whose files are named by numbers of a database: kept before the dump,
// noted when its old server has stopped, moved, and kept again before its new server starts.
type keepStory struct {
	*fakeHost
	from, to string
}

func newKeepStory(t tester, from, to string, mounts ...simfs.Mount) *keepStory {
	t.Helper()
	s := &keepStory{fakeHost: newFake(mounts...), from: from, to: to}
	must(t, s.PutDir("/var/lib/zcp2kopano", 0o700, 0, 0))
	must(t, s.PutDir(from, 0o750, 110, 110))
	must(t, s.PutDir(to, 0o750, 998, 998))
	for n := 1; n <= 6; n++ {
		s.put(t, from, n, fmt.Sprintf("mail %d", n), 110)
	}
	return s
}

func nameOf(n int) string { return fmt.Sprintf("%d/%d/%d.gz", n%10, n/10%20, n) }

func (s *keepStory) put(t tester, top string, n int, content string, uid uint32) {
	t.Helper()
	dir := top
	for _, part := range strings.Split(path.Dir(nameOf(n)), "/") {
		dir = path.Join(dir, part)
		if ok, err := exists(s, dir); err != nil || !ok {
			must(t, s.PutDir(dir, 0o750, uid, uid))
		}
	}
	must(t, s.PutFile(path.Join(top, nameOf(n)), []byte(content), 0o600, uid, uid, long.AddDate(0, 0, n)))
}

func (s *keepStory) env(tag string) *Env {
	env := newEnv(s)
	env.Tag = tag
	return env
}

// do carries an action out.
func (s *keepStory) do(t tester, tag string, a Action) Action {
	t.Helper()
	needed, err := a.Prepare(s.env(tag))
	must(t, err)
	if !needed {
		return nil
	}
	data := mustJSON(t, a)
	_, err = a.Apply(s.env(tag))
	must(t, err)
	again, err := Decode(a.Kind(), data)
	must(t, err)
	return again
}

// upgraded plays the story to the end, and returns the last two actions.
func (s *keepStory) upgraded(t tester) (noted, kept Action) {
	t.Helper()
	s.do(t, "r1-1-0", &Keep{Path: s.from, Of: s.from})
	must(t, s.Unlink(path.Join(s.from, nameOf(1))))
	s.put(t, s.from, 11, "mail 11, in the dump", 110)
	s.put(t, s.from, 12, "mail 12, after the dump", 110)
	noted = s.do(t, "r1-2-0", &GiveBack{Path: s.from, Numbers: "instances"})
	if s.from != s.to {
		s.do(t, "r1-3-0", &Move{From: s.from, To: s.to, Contents: true})
	}
	s.do(t, "r1-4-0", &Chown{Path: s.to, Recursive: true, Users: map[string]string{"zarafa": "kopano"}, Groups: map[string]string{"zarafa": "kopano"}})
	kept = s.do(t, "r1-5-0", &Keep{Path: s.to, Of: s.from})

	must(t, s.Unlink(path.Join(s.to, nameOf(2))))
	must(t, s.Rename(path.Join(s.to, nameOf(3)), path.Join(s.to, nameOf(3)+".deleted")))
	must(t, s.Unlink(path.Join(s.to, nameOf(4))))
	s.put(t, s.to, 4, "somebody else's", 998)
	s.put(t, s.to, 13, "new mail 13", 998)
	s.put(t, s.to, 28, "new mail 28", 998)
	must(t, s.Unlink(path.Join(s.to, nameOf(5))))
	must(t, s.Rmdir(path.Join(s.to, path.Dir(nameOf(5)))))
	return noted, kept
}

func restoredTo(n uint64) *Restored {
	return &Restored{Highest: map[string]uint64{"instances": n}}
}

// TestGivenBackToItsOwner: a file that has a second name by then is not given to the owner of the one that was listed.
func TestGivenBackToItsOwner(t *testing.T) {
	h := newFake()
	put(t, h, "/srv/one", "mail", 0o600, 0, 0)
	put(t, h, "/srv/two", "root's", 0o600, 0, 0)
	must(t, h.PutLink("/srv/two", "/srv/names"))
	dir, err := h.OpenTreeWrite("/srv")
	must(t, err)
	defer dir.Close()
	for name, want := range map[string]uint32{"one": 110, "two": 0} {
		must(t, (&giver{env: newEnv(h)}).own(dir, name, treeLine{UID: 110, GID: 110, Perm: 0o640}))
		if st, err := h.Lstat("/srv/" + name); err != nil || st.UID != want {
			t.Errorf("%s belongs to %d (%v)", name, st.UID, err)
		}
	}
}

// files are the contents below a directory, by name; second names must be gone.
func (s *keepStory) files(t tester, top string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := (keptTree{path: top}).each(s.env(""), func(e tree.Entry[host.DirReader]) error {
		if e.Stat.IsDir() {
			return nil
		}
		if e.Stat.Nlink != 1 {
			t.Errorf("%s has %d names", e.Rel, e.Stat.Nlink)
		}
		f, err := e.Dir.Open(e.Name)
		if err != nil {
			return err
		}
		defer f.Close()
		content, err := io.ReadAll(f)
		found[e.Rel] = string(content)
		return err
	})
	must(t, err)
	return found
}

var givenBack = map[string]string{
	"1/0/1.gz": "mail 1", "2/0/2.gz": "mail 2", "3/0/3.gz": "mail 3", "4/0/4.gz": "mail 4", "5/0/5.gz": "mail 5",
	"6/0/6.gz": "mail 6", "1/1/11.gz": "mail 11, in the dump",
}

var setAsideThen = map[string]string{
	"2/1/12.gz": "mail 12, after the dump", "3/0/3.gz.deleted": "mail 3", "4/0/4.gz": "somebody else's",
	"3/1/13.gz": "new mail 13", "8/2/28.gz": "new mail 28",
}

func (s *keepStory) wantGivenBack(t tester, what, top string) {
	t.Helper()
	sameState(t, what+": the tree", s.files(t, top), givenBack)
	sameState(t, what+": what came since", s.files(t, path.Join(storeDir, "since", top)), setAsideThen)
	for _, name := range []string{"8/2", "8"} {
		if there, err := exists(s, path.Join(top, name)); err != nil || there {
			t.Errorf("%s: the new directory %s is there: %v", what, name, err)
		}
	}
	rooms, err := (keptTree{path: s.to, of: s.from}).rooms(s.env(""))
	must(t, err)
	for _, room := range rooms {
		if there, _ := exists(s, room); there {
			t.Errorf("%s: second names are left in %s", what, room)
		}
	}
}

var keepPlaces = map[string]struct {
	from, to string
	mounts   []simfs.Mount
}{
	"beside the store":      {"/var/lib/zarafa/att", "/var/lib/kopano/att", nil},
	"stays":                 {"/var/lib/zarafa/att", "/var/lib/zarafa/att", nil},
	"on another disk":       {"/srv/zarafa/att", "/srv/kopano/att", twoDisks()},
	"a disk of its own":     {"/srv", "/srv", twoDisks()},
	"moved to another disk": {"/var/lib/zarafa/att", "/srv/kopano/att", twoDisks()},
}

// Once the dump is loaded, the tree holds what the dump knows, wherever it is killed on the way.
func TestGiveBack(t *testing.T) {
	for name, place := range keepPlaces {
		t.Run(name, func(t *testing.T) {
			fresh := func() (*keepStory, Action) {
				s := newKeepStory(t, place.from, place.to, place.mounts...)
				_, kept := s.upgraded(t)
				return s, kept
			}
			undo := func(s *keepStory, a Action) error {
				env := s.env("r1-5-0")
				env.Restored = restoredTo(11)
				return a.Undo(env)
			}
			s, kept := fresh()
			s.arm(0, 0)
			must(t, undo(s, kept))
			ops := s.ops
			s.wantGivenBack(t, "undisturbed", place.to)
			if lines, err := kept.(Restorer).Differences(s.env("r1-5-0")); err != nil || len(lines) > 0 {
				t.Errorf("differences %q, %v", lines, err)
			}
			told := strings.Join(kept.(Teller).Told(), "\n")
			for _, want := range []string{"5 files came to " + place.to + " since", "5 files were deleted from " + place.to} {
				if !strings.Contains(told, want) {
					t.Errorf("told %q, without %q", told, want)
				}
			}
			for mode := before; mode <= failure; mode++ {
				for k := 1; k <= ops; k++ {
					s, kept := fresh()
					s.arm(k, mode)
					err := undo(s, kept)
					s.arm(0, 0)
					what := fmt.Sprintf("crash %d of %d (mode %d, %v)", k, ops, mode, err)
					if err := undo(s, kept); err != nil {
						t.Fatalf("%s, then: %v", what, err)
					}
					s.wantGivenBack(t, what, place.to)
				}
			}
		})
	}
}

// TestGiveBackOfAPurgedTree: a purge by hand may take the tree along, and what lies above it. It is there again, as its old
// owner had it, wherever it is killed on the way.
func TestGiveBackOfAPurgedTree(t *testing.T) {
	for name, place := range keepPlaces {
		if path.Dir(place.to) == "/" {
			continue // a mount point stays
		}
		t.Run(name, func(t *testing.T) {
			var was host.Stat
			purged := func() (*keepStory, Action) {
				s := newKeepStory(t, place.from, place.to, place.mounts...)
				var err error
				was, err = s.Lstat(place.from)
				must(t, err)
				_, kept := s.upgraded(t)
				must(t, s.env("").remove(path.Dir(place.to), size{}))
				return s, kept
			}
			undo := func(s *keepStory, a Action) error {
				env := s.env("r1-5-0")
				env.Restored = restoredTo(11)
				return a.Undo(env)
			}
			s, kept := purged()
			s.arm(0, 0)
			must(t, undo(s, kept))
			for k := 0; k <= s.ops; k++ {
				s, kept := purged()
				s.arm(k, after)
				err := undo(s, kept)
				s.arm(0, 0)
				must(t, undo(s, kept))
				what := fmt.Sprintf("crash %d (%v)", k, err)
				sameState(t, what+": the tree", s.files(t, place.to), givenBack)
				if st, err := s.Lstat(path.Dir(place.to)); err != nil || st.Perm() != 0o755 {
					t.Fatalf("%s: what leads there has mode %v (%v)", what, st.Perm(), err)
				}
				for dir, uid := range map[string]uint32{"": was.UID, "1": 110, "1/1": 110} {
					st, err := s.Lstat(path.Join(place.to, dir))
					if err != nil || st.UID != uid || st.Perm() != 0o750 {
						t.Fatalf("%s: %q is %d's, mode %v (%v)", what, dir, st.UID, st.Perm(), err)
					}
				}
			}
		})
	}
}

// Restorer is what the runtime asks for differences.
type Restorer interface {
	Differences(*Env) ([]string, error)
}

// A rollback that leaves the database as the new server made it leaves the tree to it, and what it needs for
// a dump that is loaded later.
// TestGiveBackNamesWhatChanged tells what came to a tree, and what went from it, while its server still ran.
func TestGiveBackNamesWhatChanged(t *testing.T) {
	s := newKeepStory(t, "/var/lib/zarafa/att", "/var/lib/kopano/att")
	s.do(t, "r1-1-0", &Keep{Path: s.from, Of: s.from})
	must(t, s.Unlink(path.Join(s.from, nameOf(1))))
	for n := 11; n < 23; n++ {
		s.put(t, s.from, n, "mail", 110)
	}
	a := &GiveBack{Path: s.from, Numbers: "instances"}
	if _, err := a.Prepare(s.env("r1-2-0")); err != nil {
		t.Fatal(err)
	}
	d, err := a.Detail(s.env("r1-2-0"))
	must(t, err)
	want := []string{
		"since it was last kept 12 files were added: 0/2/20.gz, 1/1/11.gz, 1/2/21.gz, 2/1/12.gz, 2/2/22.gz, 3/1/13.gz, 4/1/14.gz, 5/1/15.gz, 6/1/16.gz, 7/1/17.gz, and 2 more",
		"since it was last kept 1 file was deleted: 1/0/1.gz",
	}
	if !slices.Equal(d.Lines, want) {
		t.Errorf("it tells %q, want %q", d.Lines, want)
	}
}

func TestGiveBackLater(t *testing.T) {
	s := newKeepStory(t, "/var/lib/zarafa/att", "/var/lib/kopano/att")
	noted, kept := s.upgraded(t)
	there := s.names(t, s.to)
	env := s.env("r1-5-0")
	env.Upgraded = true
	must(t, kept.Undo(env))
	must(t, noted.Undo(env))
	if st, err := s.Lstat(path.Join(s.to, nameOf(6))); err != nil || st.Nlink != 1 {
		t.Errorf("a file that is still there has %d names (%v)", st.Nlink, err)
	}
	if now := s.names(t, s.to); now != there {
		t.Fatalf("the tree is %s, was %s", now, there)
	}
	back := &Move{From: s.to, To: s.from, Contents: true}
	if s.do(t, "r1-9-0", back) == nil {
		t.Fatal("nothing was moved")
	}
	env = s.env("r1-2-0")
	env.Restored = restoredTo(11)
	must(t, noted.Undo(env))
	s.wantGivenBack(t, "later", s.from)
}

func (s *keepStory) names(t tester, top string) string {
	t.Helper()
	var names []string
	must(t, (keptTree{path: top}).each(s.env(""), func(e tree.Entry[host.DirReader]) error {
		names = append(names, e.Rel)
		return nil
	}))
	return strings.Join(names, " ")
}

// What cannot be brought back is named: a file that was overwritten in its place has no second name of
// what it was, and the wrong content is shown to nobody.
func TestGiveBackNamesWhatIsLost(t *testing.T) {
	s := newKeepStory(t, "/var/lib/zarafa/att", "/var/lib/kopano/att")
	_, kept := s.upgraded(t)
	f, err := s.OpenWrite(path.Join(s.to, nameOf(6)))
	must(t, err)
	must(t, f.Truncate(0))
	_, err = f.Write([]byte("overwritten"))
	must(t, err)
	must(t, f.Close())
	env := s.env("r1-5-0")
	env.Restored = restoredTo(11)
	must(t, kept.Undo(env))
	lines, err := kept.(Restorer).Differences(env)
	must(t, err)
	if len(lines) != 1 || !strings.Contains(lines[0], "/var/lib/kopano/att/6/0/6.gz: is lost") {
		t.Errorf("differences %q", lines)
	}
	if got := s.files(t, s.to)[nameOf(6)]; got != "" {
		t.Errorf("%s holds %q", nameOf(6), got)
	}
	if got := s.files(t, path.Join(storeDir, "since", s.to))[nameOf(6)]; got != "overwritten" {
		t.Errorf("aside it holds %q", got)
	}
}

// A file that came when the tree was listed already, and was gone before its old owner had stopped, is in no list. Where the
// dump knows of it, it is named as lost; where it does not, nothing is said.
func TestGiveBackNamesTheFleeting(t *testing.T) {
	s := newKeepStory(t, "/var/lib/zarafa/att", "/var/lib/kopano/att")
	_, kept := s.upgraded(t)
	env := s.env("r1-5-0")
	env.Restored = restoredTo(10)
	env.Restored.Highest["instances"] = 11
	env.Restored.Unlisted = map[string][]uint64{"instances": {8, 9, 11}, "other": {7}}
	must(t, kept.Undo(env))
	lines, err := kept.(Restorer).Differences(env)
	must(t, err)
	if text := strings.Join(lines, "\n"); len(lines) != 1 || !strings.Contains(text, "2 files are lost") || !strings.HasSuffix(text, "numbers 8, 9") {
		t.Errorf("differences:\n%s", text)
	}
}

// A restored database tells which of its numbers are higher than what was listed.
func TestRestoreFindsTheUnlisted(t *testing.T) {
	s := newKeepStory(t, "/var/lib/zarafa/att", "/var/lib/kopano/att")
	s.upgraded(t)
	must(t, s.PutDir("/srv/unlisted", 0o755, 0, 0))
	a := &Restore{Trees: []Numbered{{Path: "/srv/unlisted", Of: "/srv/unlisted", Table: "others"}, {Path: s.to, Of: s.from, Table: "instances"}}}
	env := s.env("r1-6-0")
	must(t, a.numbers(env))
	if a.Listed["instances"] != 6 || a.Next["instances"] != 29 {
		t.Fatalf("listed up to %v, next %v", a.Listed, a.Next)
	}
	s.answers = map[string]host.Rows{
		queryNumbered: {Rows: [][]string{{"instances", "id"}, {"users", "n"}}},
		"SELECT COALESCE(MAX(`id`), 0) AS highest FROM `instances`":                      {Rows: [][]string{{"11"}}},
		"SELECT COALESCE(MAX(`n`), 0) AS highest FROM `users`":                           {Rows: [][]string{{"3"}}},
		"SELECT DISTINCT `id` AS numbered FROM `instances` WHERE `id` > 6 ORDER BY `id`": {Rows: [][]string{{"8"}, {"11"}}},
	}
	highest, unlisted, err := a.highest(env)
	must(t, err)
	for from, values := range map[string]map[string]any{"made": {"highest": highest, "unlisted": unlisted}, "journaled": journaled(t, highest, unlisted)} {
		got := RestoredBy(&Result{Values: values})
		if got.Highest["instances"] != 11 || got.Highest["users"] != 3 || !slices.Equal(got.Unlisted["instances"], []uint64{8, 11}) || len(got.Unlisted) != 1 {
			t.Errorf("%s: %+v", from, got)
		}
	}
}

func journaled(t tester, highest, unlisted []string) (values map[string]any) {
	t.Helper()
	must(t, json.Unmarshal(mustJSON(t, map[string]any{"highest": highest, "unlisted": unlisted}), &values))
	return values
}

// Nothing is made of names that others have put in the place of the program's own.
func TestKeepRefusesForeignRoom(t *testing.T) {
	s := newKeepStory(t, "/srv", "/srv", twoDisks()...)
	room := (keptTree{path: "/srv", of: "/srv"}).away("/srv")
	must(t, s.PutDir(room, 0o777, 110, 110))
	a := &Keep{Path: "/srv", Of: "/srv"}
	_, err := a.Prepare(s.env("r1-1-0"))
	must(t, err)
	if _, err := a.Apply(s.env("r1-1-0")); err == nil || !strings.Contains(err.Error(), "not a directory of root's alone") {
		t.Errorf("error %v", err)
	}
}

// Packages that go do not take along what they were made to keep.
func TestPurgeSparesData(t *testing.T) {
	h := newFake()
	must(t, h.PutDir("/var/lib/zcp2kopano", 0o700, 0, 0))
	zarafaInstalled(t, h)
	tr := &trial{fakeHost: h, env: newEnv(h)}
	must(t, tr.prepare(t, &Commit{Tx: host.Transaction{Install: []string{"kopano-server"}}}))
	must(t, tr.apply(t))
	must(t, h.PutDir("/var/lib/kopano/att/1", 0o750, 998, 998))
	put(t, h, "/var/lib/kopano/att/1/7.gz", "new mail", 0o600, 998, 998)
	tr.env.Data = []string{"/var/lib/kopano/att", "/var/lib/kopano/none"}
	h.purged = func() {
		if there, _ := exists(h, "/var/lib/kopano/att/1/7.gz"); there {
			t.Error("the mail lies where the purge reaches it")
		}
	}
	must(t, tr.undo(t))
	s := &keepStory{fakeHost: h}
	sameState(t, "kept", s.files(t, storeDir+"/since/var/lib/kopano/att"), map[string]string{"1/7.gz": "new mail"})
}
