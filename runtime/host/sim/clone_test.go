package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"zcp2kopano/runtime/host"
)

// A host and its clone have in common what lies behind these fields, because nobody changes it.
var inCommon = map[string]bool{
	"Package.Effects": true, "Package.Scripts": true, "Package.texts": true, "Package.declared": true, "Package.rel": true,
	"PackedFile.Content": true,
	"dir.from":           true, "lowerRef.dir": true, "lower.files": true, // where something is below
}

// Of these they have the elements in common, and each a list or map of its own.
var elementsInCommon = map[string]bool{
	"repositories.lists": true, "repositories.catalog": true, "repositories.indexed": true, "repositories.packageFiles": true,
	"packageDB.halfway": true, "database.answers": true, "database.changed": true, "database.dumps": true,
	"directoryServer.entries": true, "directoryServer.changed": true, "downloads.known": true, "inode.xattrs": true,
}

// reach visits each pointer, map and list behind a value, but for what may be in common.
func reach(v reflect.Value, at string, seen map[uintptr]string) {
	visit := func() (first bool) {
		if first = seen[v.Pointer()] == ""; first {
			seen[v.Pointer()] = at
		}
		return first
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() && v.Type() != reflect.TypeFor[*time.Location]() && visit() {
			reach(v.Elem(), at, seen)
		}
	case reflect.Interface:
		reach(v.Elem(), at, seen)
	case reflect.Struct:
		for i := range v.NumField() {
			name := v.Type().Name() + "." + v.Type().Field(i).Name
			switch f := v.Field(i); {
			case inCommon[name] || v.Type().Field(i).Name == "below":
			case elementsInCommon[name]:
				if f.Len() > 0 {
					seen[f.Pointer()] = at + " " + name
				}
			default:
				reach(f, at+" "+name, seen)
			}
		}
	case reflect.Map:
		if v.Len() > 0 && visit() {
			for it := v.MapRange(); it.Next(); {
				reach(it.Key(), at, seen)
				reach(it.Value(), at, seen)
			}
		}
	case reflect.Slice:
		if v.Len() > 0 && visit() {
			for i := range v.Len() {
				reach(v.Index(i), at, seen)
			}
		}
	}
}

// madeAgain are fields that a clone finds out again, or has no use for.
var madeAgain = map[string]bool{
	"accountFiles.cache": true, "directoryServer.parsed": true, "accountFiles.former": true, "repositories.offers": true,
	"lower.open": true, "lower.turn": true, "inode.opens": true, "volume.orphans": true, "Package.rel": true,
}

// spell writes all that is behind a value, the same for equal ones.
func spell(out io.Writer, v reflect.Value, ids map[uintptr]int) {
	switch v.Kind() {
	case reflect.Func, reflect.Invalid:
	case reflect.Pointer:
		if v.IsNil() {
			fmt.Fprint(out, "nil ")
			return
		}
		id, known := ids[v.Pointer()]
		if !known {
			id = len(ids)
			ids[v.Pointer()] = id
		}
		fmt.Fprintf(out, "#%d ", id)
		if !known {
			spell(out, v.Elem(), ids)
		}
	case reflect.Interface:
		spell(out, v.Elem(), ids)
	case reflect.Struct:
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			full := v.Type().Name() + "." + name
			switch fmt.Fprintf(out, "\n%s ", full); {
			case name == "below":
				fmt.Fprint(out, v.Field(i).IsNil())
			case !madeAgain[full]:
				spell(out, v.Field(i), ids)
			}
		}
	case reflect.Map:
		entries := map[string]reflect.Value{}
		for it := v.MapRange(); it.Next(); {
			var key strings.Builder
			spell(&key, it.Key(), ids)
			entries[key.String()] = it.Value()
		}
		for _, key := range slices.Sorted(maps.Keys(entries)) {
			fmt.Fprintf(out, "[%s] ", key)
			spell(out, entries[key], ids)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			fmt.Fprintf(out, "[%d] ", i)
			spell(out, v.Index(i), ids)
		}
	default:
		fmt.Fprintf(out, "%v ", v)
	}
}

func spelled(h *Host) string {
	var out strings.Builder
	spell(&out, reflect.ValueOf(h), map[uintptr]int{})
	return out.String()
}

// busyHost is a host in which everything has been at work: no field of it is empty.
func busyHost(t *testing.T) *Host {
	t.Helper()
	f, err := ReadFixture([]byte(busyFixture))
	mustDo(t, err)
	catalog, err := ParseCatalog([]byte("-- available --\nPackage: other\nVersion: 1\nRepository: http://x.example*\n"))
	mustDo(t, err)
	h, err := f.Host(Options{Catalog: catalog})
	mustDo(t, err)
	h.db.audit = []string{"something is broken"}
	h.db.lost["other"] = "nothing of it can be kept"
	ctx := context.Background()
	mustDo(t, h.files.mkdirAll("/kept"))
	files, _, err := h.SavePackages(ctx, []string{"app"}, "/kept", nil)
	mustDo(t, err)
	mustDo(t, h.RefreshPackages(ctx, nil, nil))
	mustDo(t, h.CommitPackages(ctx, host.Transaction{Remove: []string{"app"}}, nil))
	mustDo(t, h.CommitPackages(ctx, host.Transaction{Install: []string{files["app"], "fresh"}}, nil))
	mustDo(t, h.StopService(ctx, "a", 0))
	mustDo(t, h.StartService(ctx, "a"))
	_, err = h.DumpDatabase(ctx, host.DumpRequest{Path: "/kept/dump", Compression: "none", MostBytes: 1 << 20}, nil)
	mustDo(t, err)
	_, err = h.Revision(ctx, host.RevisionQuery{Query: "SELECT revision FROM v", Service: "a", Target: 118})
	mustDo(t, err)
	mustDo(t, h.Setxattr("/srv/one", "user.x", []byte("y")))
	mustDo(t, h.Link("/srv/one", "/srv/two"))
	mustDo(t, h.Unmount(ctx, "/media"))
	return h
}

// busyHosts are one of a fixture, and one over it.
func busyHosts(t *testing.T) []*Host {
	t.Helper()
	h := busyHost(t)
	over, err := FromView(h, Options{})
	mustDo(t, err)
	_, err = over.Candidates([]string{"newer"})
	mustDo(t, err)
	_, err = over.PackageFiles("app")
	mustDo(t, err)
	tree(t, over)
	if len(over.repositories.asked) == 0 {
		t.Error("nobody was asked")
	}
	h.db.lock = &host.LockHolder{PID: 1}
	return []*Host{h, over}
}

const busyFixture = `-- host --
hostname: busy
manager: apt 1.8
init: systemd
os-release.ID: debian
-- mounts --
/ /dev/sda1 ext4 100G 60G
/srv /dev/sdb1 ext4 10G 9G
/media nas:/media nfs4 10G 9G
/mnt /dev/sdc1 ext4 10G 9G
-- /etc/fstab --
nas:/media /media nfs4 rw
UUID=1234 /mnt ext4 noatime 0 2
-- packages --
Package: app
Version: 1
Conffiles:
 /etc/app.cfg
Files:
 /usr/bin/app

Package: left
Version: 1
Status: deinstall ok config-files

Package: gone
Version: 1
Status: deinstall ok config-files
Conffiles:
 /etc/gone.cfg

-- available --
Package: fresh
Version: 2
Files:
 /usr/bin/fresh
Effects:
 postinst system-user fresh

-- processes --
77 root /usr/sbin/listens listen=127.0.0.1:143 listen=[::]:993
-- services --
a active enabled exe=/usr/bin/a
b
-- /lib/systemd/system/a.service --
[Service]
ExecStart=/usr/bin/a
[Install]
WantedBy=multi-user.target
-- /lib/systemd/system/b.service --
[Service]
ExecStart=/usr/bin/a
[Install]
WantedBy=multi-user.target
-- /usr/bin/a 0755 --
-- /usr/bin/mysqldump 0755 --
-- /usr/bin/mysql 0755 --
-- /etc/app.cfg --
as it was shipped
-- /etc/gone.cfg --
left
-- /srv/one --
text
-- /srv/repo/Packages --
Package: newer
Version: 3

-- /etc/apt/sources.list --
deb http://x.example ./
deb file:/srv/repo ./
-- tree --
l777 root:root - - /srv/link -> one
-- database --
var version 10.1
table users InnoDB 1 1K 1K utf8_general_ci
? SELECT revision FROM v
revision
63
-- directory --
dn: dc=x
objectClass: top
dc: x
-- download http://x/key --
key
-- dead --
http://dead/ no answer
`

// A clone has all that the original has: a field that is forgotten shows here.
func TestCloneHasEverything(t *testing.T) {
	for _, one := range busyHosts(t) {
		want := strings.Split(spelled(one), "\n")
		got := strings.Split(spelled(one.Clone()), "\n")
		for i := range want {
			if i >= len(got) || got[i] != want[i] {
				t.Fatalf("the clone differs, line %d of %d and %d: %.300q, want %.300q, behind %q", i, len(got), len(want), got[min(i, len(got)-1)], want[i], want[max(0, i-3):i])
			}
		}
	}
}

func TestCloneHasNothingInCommon(t *testing.T) {
	hosts := busyHosts(t)
	for _, one := range hosts {
		of, theirs := map[uintptr]string{}, map[uintptr]string{}
		reach(reflect.ValueOf(one), "", of)
		reach(reflect.ValueOf(one.Clone()), "", theirs)
		for p, at := range theirs {
			if of[p] != "" {
				t.Errorf("both have%s", at)
			}
		}
		if len(of) < 200 {
			t.Errorf("only %d things were looked at", len(of))
		}
	}
	h := hosts[0]
	for _, part := range []any{h.gaps, h.services, h.db, h.repositories, h.database.data} {
		v := reflect.ValueOf(part).Elem()
		for i := range v.NumField() {
			k := v.Field(i).Kind()
			if name := v.Type().Name() + "." + v.Type().Field(i).Name; (k == reflect.Map || k == reflect.Slice) && v.Field(i).Len() == 0 && !slices.Contains(mayBeEmpty, name) {
				t.Errorf("%s is empty: the test does not show whether it is cloned", name)
			}
		}
	}
}

// mayBeEmpty are fields that a host which is at rest has nothing in.
var mayBeEmpty = []string{"packageDB.halfway", "packageDB.surplus", "repositories.offers", "repositories.asked"}

// portrait is all that a host shows.
func portrait(t *testing.T, h *Host) string {
	t.Helper()
	ctx := context.Background()
	facts, err := h.Facts()
	mustDo(t, err)
	mounts, err := h.Mounts()
	mustDo(t, err)
	packages, err := h.Packages()
	mustDo(t, err)
	audit, err := h.PackageAudit()
	mustDo(t, err)
	lock, err := h.PackageLock()
	mustDo(t, err)
	services, err := h.Services("*")
	mustDo(t, err)
	processes, err := h.Processes()
	mustDo(t, err)
	candidates, err := h.Candidates([]string{"app", "fresh", "newer"})
	mustDo(t, err)
	rows, err := h.Query(ctx, host.DatabaseConn{}, "SELECT revision FROM v")
	mustDo(t, err)
	var budgets []host.Statfs
	for _, m := range mounts {
		st, err := h.Statfs(m.Point)
		mustDo(t, err)
		budgets = append(budgets, st)
	}
	_, user := h.User("fresh")
	_, unknown := h.CheckDump(ctx, "/kept/dump", "none", nil)
	data, err := json.Marshal([]any{facts, mounts, budgets, packages, audit, lock, services, processes, candidates, rows, h.Unpredicted(), user == nil, unknown == nil, tree(t, h)})
	mustDo(t, err)
	return string(data)
}

// tree is every file with all that there is to say of it.
func tree(t *testing.T, h *Host) map[string]any {
	t.Helper()
	all := map[string]any{}
	var visit func(name string)
	visit = func(name string) {
		name = path.Clean(name)
		st, err := h.Lstat(name)
		mustDo(t, err)
		content, _ := h.files.readFile(name)
		target, _ := h.Readlink(name)
		attrs, _ := h.Listxattr(name)
		st.Atime = time.Time{}
		all[name] = []any{st, content, target, attrs}
		if !st.IsDir() {
			return
		}
		entries, err := h.ReadDir(name)
		mustDo(t, err)
		for _, e := range entries {
			visit(name + "/" + e.Name)
		}
	}
	visit("/")
	return all
}

// changes are one of each kind, by the method that makes it.
var changes = map[string]func(ctx context.Context, h *Host) error{
	"Create": func(_ context.Context, h *Host) error {
		f, err := h.Create("/srv/new", 0o600)
		if err == nil {
			_, err = f.Write([]byte("new"))
		}
		return err
	},
	"OpenWrite": func(_ context.Context, h *Host) error {
		f, err := h.OpenWrite("/srv/one")
		if err == nil {
			_, err = f.Write([]byte("TEXT"))
		}
		return err
	},
	"OpenTreeWrite": func(_ context.Context, h *Host) error {
		d, err := h.OpenTreeWrite("/srv")
		if err == nil {
			err = d.ChmodSelf(0o700)
		}
		return err
	},
	"Mkdir":          func(_ context.Context, h *Host) error { return h.Mkdir("/srv/dir", 0o700) },
	"Unlink":         func(_ context.Context, h *Host) error { return h.Unlink("/srv/two") },
	"Rmdir":          func(_ context.Context, h *Host) error { return h.Rmdir("/opt") },
	"Rename":         func(_ context.Context, h *Host) error { return h.Rename("/srv/one", "/srv/three") },
	"Link":           func(_ context.Context, h *Host) error { return h.Link("/srv/one", "/srv/three") },
	"Symlink":        func(_ context.Context, h *Host) error { return h.Symlink("x", "/srv/three") },
	"Mknod":          func(_ context.Context, h *Host) error { return h.Mknod("/srv/three", fs.ModeNamedPipe|0o600, 0) },
	"Chmod":          func(_ context.Context, h *Host) error { return h.Chmod("/srv/one", 0o600) },
	"Lchown":         func(_ context.Context, h *Host) error { return h.Lchown("/srv/one", 7, 7) },
	"Chtimes":        func(_ context.Context, h *Host) error { return h.Chtimes("/srv/one", time.Unix(1, 0), time.Unix(1, 0)) },
	"Setxattr":       func(_ context.Context, h *Host) error { return h.Setxattr("/srv/one", "user.z", []byte("y")) },
	"Removexattr":    func(_ context.Context, h *Host) error { return h.Removexattr("/srv/one", "user.x") },
	"StopService":    func(ctx context.Context, h *Host) error { return h.StopService(ctx, "a", time.Second) },
	"StartService":   func(ctx context.Context, h *Host) error { return h.StartService(ctx, "b") },
	"KillService":    func(ctx context.Context, h *Host) error { return h.KillService(ctx, "a", nil) },
	"ReloadService":  func(ctx context.Context, h *Host) error { return h.ReloadService(ctx, "a") },
	"EnableService":  func(_ context.Context, h *Host) error { return h.EnableService("b") },
	"DisableService": func(_ context.Context, h *Host) error { return h.DisableService("a") },
	"MaskService":    func(_ context.Context, h *Host) error { return h.MaskService("none") },
	"UnmaskService":  func(_ context.Context, h *Host) error { return h.UnmaskService("masked") },
	"CommitPackages": func(ctx context.Context, h *Host) error {
		return h.CommitPackages(ctx, host.Transaction{Remove: []string{"fresh"}, Purge: true}, nil)
	},
	"ExpelPackages": func(ctx context.Context, h *Host) error {
		return h.ExpelPackages(ctx, []host.Change{{Name: "app"}}, "", nil)
	},
	"RepairPackages":  func(ctx context.Context, h *Host) error { return h.RepairPackages(ctx, nil, nil) },
	"RefreshPackages": func(ctx context.Context, h *Host) error { return h.RefreshPackages(ctx, nil, nil) },
	"MarkPackages": func(ctx context.Context, h *Host) error {
		return h.MarkPackages(ctx, []host.PackageMark{{Name: "app", Held: true, Auto: true}})
	},
	"SavePackages": func(ctx context.Context, h *Host) error {
		_, _, err := h.SavePackages(ctx, []string{"fresh"}, "/kept", nil)
		return err
	},
	"SaveRemains": func(ctx context.Context, h *Host) error {
		_, err := h.SaveRemains(ctx, []string{"left"}, "/kept")
		return err
	},
	"RestoreRemains": func(ctx context.Context, h *Host) error { return h.RestoreRemains(ctx, "/kept/gone_1_amd64.remains") },
	"DumpDatabase": func(ctx context.Context, h *Host) error {
		_, err := h.DumpDatabase(ctx, host.DumpRequest{Path: "/srv/dump", Compression: "none", MostBytes: 1 << 20}, nil)
		return err
	},
	"LoadDatabase": func(ctx context.Context, h *Host) error {
		return h.LoadDatabase(ctx, host.LoadRequest{Path: "/kept/dump", Compression: "none"}, nil)
	},
	"JoinGroup":  func(ctx context.Context, h *Host) error { return h.JoinGroup(ctx, "fresh", "root") },
	"LeaveGroup": func(ctx context.Context, h *Host) error { return h.LeaveGroup(ctx, "fresh", "fresh") },
	"Unmount":    func(ctx context.Context, h *Host) error { return h.Unmount(ctx, "/mnt") },
	"Mount":      func(ctx context.Context, h *Host) error { return h.Mount(ctx, "/media") },
	"RunProgram": func(ctx context.Context, h *Host) error {
		_, err := h.RunProgram(ctx, host.ProgramRequest{Path: "/usr/bin/a"})
		return err
	},
}

// changesNothing are methods that leave no trace in a simulation.
var changesNothing = []string{"SyncDir", "ReloadServices", "CheckDump"}

// Whatever is changed in one of two, the other stays as it was.
func TestCloneIsIndependent(t *testing.T) {
	h := busyHost(t)
	mustDo(t, h.Symlink(maskUnit, "/etc/systemd/system/masked.service"))
	_, err := h.SaveRemains(context.Background(), []string{"gone"}, "/kept")
	mustDo(t, err)
	mustDo(t, h.ExpelPackages(context.Background(), []host.Change{{Name: "gone"}}, "", nil))
	for _, writer := range []reflect.Type{
		reflect.TypeFor[host.FileWriter](), reflect.TypeFor[host.PackageWriter](), reflect.TypeFor[host.ServiceWriter](),
		reflect.TypeFor[host.DatabaseWriter](), reflect.TypeFor[host.ProgramRunner](),
		reflect.TypeFor[host.MountWriter](), reflect.TypeFor[host.AccountWriter](),
	} {
		for i := range writer.NumMethod() {
			name := writer.Method(i).Name
			change := changes[name]
			if change == nil {
				if !slices.Contains(changesNothing, name) {
					t.Errorf("the test does not know how %s changes a host", name)
				}
				continue
			}
			t.Run(name, func(t *testing.T) {
				for _, cloneChanges := range []bool{true, false} {
					changed, other := h.Clone(), (*Host)(nil)
					if other = changed.Clone(); cloneChanges {
						changed, other = other, changed
					}
					before := portrait(t, other)
					if same := portrait(t, changed); same != before {
						t.Fatalf("a clone shows\n%s\nand the original\n%s", same, before)
					}
					if err := change(t.Context(), changed); err != nil {
						t.Fatal(err)
					}
					if after := portrait(t, changed); after == before && name != "RefreshPackages" {
						t.Errorf("the change changed nothing")
					}
					if after := portrait(t, other); after != before {
						t.Errorf("the clone changes: %v; the other one was\n%s\nand is\n%s", cloneChanges, before, after)
					}
				}
			})
		}
	}
}

// What somebody had open when he was killed is closed in the clone: a file without a name is gone.
func TestCloneHasNothingOpen(t *testing.T) {
	h := busyHost(t)
	free := func(h *Host) uint64 {
		st, err := h.Statfs("/srv")
		mustDo(t, err)
		return st.Free
	}
	was := free(h)
	f, err := h.Create("/srv/open", 0o600)
	mustDo(t, err)
	_, err = f.Write(make([]byte, 1<<20))
	mustDo(t, err)
	mustDo(t, h.Unlink("/srv/open"))
	if free(h) == was {
		t.Error("an open file takes no room")
	}
	if c := h.Clone(); free(c) != was {
		t.Errorf("%d bytes are free in the clone, want %d", free(c), was)
	}
	mustDo(t, f.Close())
	if free(h) != was {
		t.Errorf("%d bytes are free at last, want %d", free(h), was)
	}
}
