package action

import (
	"crypto/md5"
	"fmt"
	"io/fs"
	"testing"
	"time"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/hosttest"
	"zcp2kopano/runtime/host/sim/simfs"
)

func ptr[T any](v T) *T { return &v }

func put(t tester, h *fakeHost, name, content string, mode fs.FileMode, uid, gid uint32) {
	t.Helper()
	must(t, h.PutFile(name, []byte(content), mode, uid, gid, long))
}

// plant makes a small tree with one of everything.
func plant(t tester, h *fakeHost, top string) {
	t.Helper()
	must(t, h.PutDir(top, 0o750, 110, 110))
	must(t, h.PutDir(top+"/sub", 0o2770, 110, 8))
	must(t, h.PutDir(top+"/sub/empty", 0o700, 0, 0))
	put(t, h, top+"/a", "content of a", 0o640, 110, 110)
	put(t, h, top+"/sub/b", "content of b", 0o4755, 110, 0)
	put(t, h, top+"/gr\xfc\xdfe", "latin1", 0o6711, 110, 110)
	must(t, h.PutSymlink(top+"/sub/l\xe4nk", "\xe4", 110, 110))
	must(t, h.PutXattr(top+"/a", "user.note", []byte("kept")))
	must(t, h.PutLink(top+"/a", top+"/sub/a-too"))
	must(t, h.PutSymlink(top+"/link", "sub/b", 110, 110))
	must(t, h.PutNode(top+"/sub/pipe", fs.ModeNamedPipe|0o600, 0, 110, 110))
	must(t, h.PutTimes(top+"/sub/empty", long))
	must(t, h.PutTimes(top+"/sub", long))
	must(t, h.PutTimes(top, long))
}

// twoDisks mounts a file system of its own at /srv.
func twoDisks() []simfs.Mount {
	return []simfs.Mount{
		{Mount: host.Mount{Point: "/", Source: "/dev/sda1", Type: "ext4", Device: 1}},
		{Mount: host.Mount{Point: "/srv", Source: "/dev/sdb1", Type: "ext4", Device: 2}},
	}
}

var scenarios = []scenario{
	{
		name:  "convert a directory",
		setup: func(t tester, h *fakeHost) { h.directory = directoryHost(t, hosttest.DirectoryLDIF) },
		act:   func() Action { return oldToNew() },
	},
	{
		name:  "convert a directory's configuration",
		setup: func(t tester, h *fakeHost) { h.directory = configHost(t) },
		act:   func() Action { return configuration() },
	},
	{
		name:  "export a database of a directory",
		setup: func(t tester, h *fakeHost) { setDatabase(t, h, oldEntries) },
		act:   func() Action { return &Export{DatabaseFiles: filesOfDatabase(), File: "/var/backups/e.ldif"} },
	},
	{
		name:  "convert a database of a directory",
		setup: func(t tester, h *fakeHost) { setDatabase(t, h, oldEntries) },
		act:   func() Action { return transplant() },
	},
	{
		name:  "write new",
		setup: func(t tester, h *fakeHost) { must(t, h.PutDir("/etc", 0o755, 0, 0)) },
		act: func() Action {
			return &Write{Path: "/etc/new", Content: []byte("x\n"), Mode: ptr(fs.FileMode(0o640)), Group: "kopano"}
		},
	},
	{
		name: "write existing",
		setup: func(t tester, h *fakeHost) {
			put(t, h, "/etc/server.cfg", "a = 1\n", 0o640, 0, 110)
			must(t, h.PutXattr("/etc/server.cfg", "user.note", []byte("kept")))
		},
		act: func() Action { return &Write{Path: "/etc/server.cfg", Content: []byte("a = 2\n")} },
	},
	{
		name:  "mkdir with parents",
		setup: func(t tester, h *fakeHost) { must(t, h.PutDir("/var/lib", 0o755, 0, 0)) },
		act: func() Action {
			return &Mkdir{Path: "/var/lib/kopano/a/b", Parents: true, Mode: ptr(fs.ModeSetgid | 0o750), Owner: "kopano"}
		},
	},
	{
		name:  "mkdir existing",
		setup: func(t tester, h *fakeHost) { must(t, h.PutDir("/etc/kopano", 0o755, 0, 0)) },
		act: func() Action {
			return &Mkdir{Path: "/etc/kopano", Mode: ptr(fs.FileMode(0o750)), Group: "kopano"}
		},
	},
	{
		name:  "symlink new",
		setup: func(t tester, h *fakeHost) { must(t, h.PutDir("/etc", 0o755, 0, 0)) },
		act:   func() Action { return &Symlink{Path: "/etc/l", Target: "/usr/share/kopano-webapp"} },
	},
	{
		name:  "symlink replaced",
		setup: func(t tester, h *fakeHost) { must(t, h.PutSymlink("/etc/l", "old", 5, 5)) },
		act:   func() Action { return &Symlink{Path: "/etc/l", Target: "new"} },
	},
	{
		name:  "symlink for a file",
		setup: func(t tester, h *fakeHost) { put(t, h, "/etc/l", "text", 0o600, 3, 4) },
		act:   func() Action { return &Symlink{Path: "/etc/l", Target: "new", Replace: true} },
	},
	{
		name:  "remove file",
		setup: func(t tester, h *fakeHost) { put(t, h, "/etc/old", "text", 0o4711, 3, 4) },
		act:   func() Action { return &Remove{Path: "/etc/old"} },
	},
	{
		name:  "remove tree",
		setup: func(t tester, h *fakeHost) { plant(t, h, "/opt/zarafa") },
		act:   func() Action { return &Remove{Path: "/opt/zarafa"} },
	},
	{
		name:   "remove tree on another disk",
		mounts: twoDisks(),
		setup:  func(t tester, h *fakeHost) { plant(t, h, "/srv/zarafa") },
		act:    func() Action { return &Remove{Path: "/srv/zarafa"} },
	},
	{
		name:  "copy file",
		setup: func(t tester, h *fakeHost) { put(t, h, "/etc/a", "text", 0o600, 3, 4) },
		act:   func() Action { return &Copy{From: "/etc/a", To: "/etc/b"} },
	},
	{
		name:  "copy tree",
		setup: func(t tester, h *fakeHost) { plant(t, h, "/etc/zarafa") },
		act:   func() Action { return &Copy{From: "/etc/zarafa", To: "/etc/zarafa.bak"} },
	},
	{
		name: "copy contents over others",
		setup: func(t tester, h *fakeHost) {
			plant(t, h, "/etc/zarafa")
			must(t, h.PutDir("/etc/kopano", 0o755, 0, 0))
			must(t, h.PutDir("/etc/kopano/sub", 0o755, 0, 0))
			put(t, h, "/etc/kopano/a", "default", 0o644, 0, 0)
			put(t, h, "/etc/kopano/sub/other", "stays", 0o644, 0, 0)
		},
		act: func() Action {
			return &Copy{From: "/etc/zarafa", To: "/etc/kopano", Contents: true, Overwrite: true}
		},
	},
	{
		name: "move tree",
		setup: func(t tester, h *fakeHost) {
			plant(t, h, "/var/lib/zarafa")
			must(t, h.PutDir("/var/lib/k", 0o755, 0, 0))
		},
		act: func() Action { return &Move{From: "/var/lib/zarafa", To: "/var/lib/k/att"} },
	},
	{
		name: "move contents",
		setup: func(t tester, h *fakeHost) {
			plant(t, h, "/var/lib/zarafa")
			must(t, h.PutDir("/var/lib/kopano/sub", 0o711, 998, 998))
			put(t, h, "/var/lib/kopano/sub/new", "stays", 0o600, 998, 998)
		},
		act: func() Action { return &Move{From: "/var/lib/zarafa", To: "/var/lib/kopano", Contents: true} },
	},
	{
		name:   "move contents to another disk",
		mounts: twoDisks(),
		setup: func(t tester, h *fakeHost) {
			plant(t, h, "/var/lib/zarafa")
			must(t, h.PutDir("/srv/kopano/sub", 0o711, 998, 998))
			put(t, h, "/srv/kopano/sub/new", "stays", 0o600, 998, 998)
		},
		act: func() Action { return &Move{From: "/var/lib/zarafa", To: "/srv/kopano", Contents: true} },
	},
	{
		name:   "move file to another disk",
		mounts: twoDisks(),
		setup:  func(t tester, h *fakeHost) { put(t, h, "/etc/a", "text", 0o600, 3, 4) },
		act:    func() Action { return &Move{From: "/etc/a", To: "/srv/b"} },
	},
	{
		name:  "chown by inverse map",
		setup: func(t tester, h *fakeHost) { plant(t, h, "/var/lib/kopano") },
		act: func() Action {
			return &Chown{Path: "/var/lib/kopano", Recursive: true,
				Users: map[string]string{"zarafa": "kopano"}, Groups: map[string]string{"zarafa": "kopano"}}
		},
	},
	{
		name: "chown with exceptions",
		setup: func(t tester, h *fakeHost) {
			plant(t, h, "/var/lib/kopano")
			put(t, h, "/var/lib/kopano/new", "kopano's own", 0o600, 998, 998)
			put(t, h, "/var/lib/kopano/setid", "x", 0o6755, 5, 998)
			put(t, h, "/var/lib/kopano/capable", "x", 0o755, 5, 998)
			must(t, h.Setxattr("/var/lib/kopano/capable", capsAttr, bindService))
			put(t, h, "/var/lib/kopano/odd \n\xff name", "x", 0o600, 5, 998)
			must(t, h.PutSymlink("/var/lib/kopano/own", "new", 998, 5))
		},
		act: func() Action {
			return &Chown{Path: "/var/lib/kopano", Recursive: true, Owner: "kopano", Groups: map[string]string{"zarafa": "kopano"},
				FileMode: ptr(fs.FileMode(0o640)), DirMode: ptr(fs.ModeSetgid | 0o750)}
		},
	},
	{
		name: "chown of some names",
		setup: func(t tester, h *fakeHost) {
			must(t, h.PutDir("/etc/kopano", 0o755, 0, 0))
			put(t, h, "/etc/kopano/server.cfg", "x", 0o644, 0, 0)
			put(t, h, "/etc/kopano/own.cfg", "x", 0o600, 5, 998)
			put(t, h, "/etc/kopano/script", "x", 0o755, 5, 5)
		},
		act: func() Action {
			return &Chown{Path: "/etc/kopano", Recursive: true, Filter: "*.cfg", Owner: "root", Group: "kopano", FileMode: ptr(fs.FileMode(0o640))}
		},
	},
	{
		name: "chown of one file",
		setup: func(t tester, h *fakeHost) {
			put(t, h, "/etc/a", "x", 0o4755, 5, 5)
			must(t, h.Setxattr("/etc/a", capsAttr, bindService))
		},
		act: func() Action { return &Chown{Path: "/etc/a", Owner: "kopano"} },
	},
	{
		name:  "purge and install packages",
		setup: zarafaInstalled,
		act: func() Action {
			return &Commit{Tx: host.Transaction{Remove: []string{"zarafa-server", "zarafa-common"}, Purge: true, Install: []string{"kopano-server"}}}
		},
	},
	{
		name: "install packages over what an earlier installation left",
		setup: func(t tester, h *fakeHost) {
			zarafaInstalled(t, h)
			for _, dir := range []string{"/etc/kopano-server", "/etc/kopano/sub", "/var/log/kopano", "/etc/default"} {
				must(t, h.PutDir(dir, 0o750, 0, 8))
			}
			put(t, h, "/etc/kopano-server/main.cfg", "from the first try", 0o600, 5, 5)
			put(t, h, "/etc/kopano/sub/own.cfg", "mine", 0o600, 5, 5)
			put(t, h, "/etc/default/kopano", "lang", 0o600, 5, 5)
			put(t, h, "/etc/default/keyboard", "de", 0o600, 5, 5)
			put(t, h, "/var/log/kopano/server.log", "a line", 0o600, 5, 5)
		},
		act: func() Action { return &Commit{Tx: host.Transaction{Install: []string{"kopano-server"}}} },
	},
	{
		name: "purge a package whose configuration file has two names",
		setup: func(t tester, h *fakeHost) {
			zarafaInstalled(t, h)
			must(t, h.PutLink("/etc/zarafa-server/main.cfg", "/etc/zarafa-server/main.cfg.\xe4lt"))
		},
		act: func() Action { return &Commit{Tx: host.Transaction{Remove: []string{"zarafa-server"}, Purge: true}} },
	},
	{
		name:  "purge a package that owns its log",
		setup: ownsItsLog,
		act:   func() Action { return &Commit{Tx: host.Transaction{Remove: []string{"zarafa-server"}, Purge: true}} },
	},
	{
		name: "purge packages where the admin has a policy-rc.d",
		setup: func(t tester, h *fakeHost) {
			zarafaInstalled(t, h)
			must(t, h.PutSymlink(PolicyFile, "/etc/alternatives/policy-rc.d", 0, 0))
		},
		act: func() Action {
			return &Commit{Tx: host.Transaction{Remove: []string{"zarafa-server", "zarafa-common"}, Purge: true}}
		},
	},
	{
		name:  "replace a package by a file",
		setup: zarafaInstalled,
		act: func() Action {
			return &Commit{Tx: host.Transaction{Install: []string{"/root/zarafa-common_9.deb"}}}
		},
	},
	{
		name: "start and enable a service",
		setup: func(t tester, h *fakeHost) {
			must(t, h.PutDir("/etc", 0o755, 0, 0))
			h.services["kopano-server"] = host.Service{Name: "kopano-server", Kind: "systemd", Masked: true}
		},
		act: func() Action {
			return &Service{Name: "kopano-server", Active: ptr(true), Enabled: ptr(true), Masked: ptr(false)}
		},
	},
	{
		name: "stop and mask a service",
		setup: func(t tester, h *fakeHost) {
			must(t, h.PutDir("/etc", 0o755, 0, 0))
			h.services["zarafa-server"] = host.Service{Name: "zarafa-server", Kind: "systemd", Active: true, Enabled: true}
		},
		act: func() Action { return &Service{Name: "zarafa-server", Active: ptr(false), Masked: ptr(true)} },
	},
	{
		name: "stop a service that runs masked",
		setup: func(t tester, h *fakeHost) {
			must(t, h.PutDir("/etc", 0o755, 0, 0))
			h.services["zarafa-server"] = host.Service{Name: "zarafa-server", Kind: "systemd", Active: true, Masked: true}
		},
		act: func() Action { return &Service{Name: "zarafa-server", Active: ptr(false)} },
	},
	{
		name:  "keep a tree",
		setup: numberedTree,
		act:   func() Action { return &Keep{Path: "/var/lib/zarafa", Of: "/var/lib/zarafa"} },
	},
	{
		name:   "keep a tree on another disk",
		mounts: twoDisks(),
		setup: func(t tester, h *fakeHost) {
			must(t, h.PutDir("/srv/zarafa", 0o750, 110, 110))
			put(t, h, "/srv/zarafa/1.gz", "mail", 0o600, 110, 110)
		},
		act: func() Action { return &Keep{Path: "/srv/zarafa", Of: "/srv/zarafa"} },
	},
	{
		name: "note a kept tree",
		setup: func(t tester, h *fakeHost) {
			numberedTree(t, h)
			a := &Keep{Path: "/var/lib/zarafa", Of: "/var/lib/zarafa"}
			env := newEnv(h)
			_, err := a.Prepare(env)
			must(t, err)
			_, err = a.Apply(env)
			must(t, err)
			must(t, h.Unlink("/var/lib/zarafa/2/2.gz"))
		},
		act: func() Action { return &GiveBack{Path: "/var/lib/zarafa", Numbers: "instances"} },
	},
	{
		name: "dump a database",
		setup: func(t tester, h *fakeHost) {
			must(t, h.PutDir("/var/backups", 0o700, 0, 0))
			h.dump = host.DumpResult{RawBytes: 100, Bytes: 40, Tables: []string{"users"}, Closed: true}
		},
		act: func() Action {
			return &Dump{Connection: Connection{Database: "zarafa", Password: host.NewSecret("geheim")}, Path: "/var/backups/z.sql.gz", Compression: "gzip", Tables: []string{"users"}}
		},
	},
	{
		name: "dump a database to a directory",
		setup: func(t tester, h *fakeHost) {
			must(t, h.PutDir("/var/backups", 0o700, 0, 0))
			h.dump = host.DumpResult{RawBytes: 100, Bytes: 40, Tables: []string{"users"}, Closed: true}
		},
		act: func() Action {
			return &Dump{Connection: Connection{Database: "zarafa", Password: host.NewSecret("geheim")}, Path: "/var/backups/z", Compression: host.ParallelDump, Tables: []string{"users"}}
		},
	},
}

func numberedTree(t tester, h *fakeHost) {
	must(t, h.PutDir("/var/lib/zarafa/1", 0o750, 110, 110))
	must(t, h.PutDir("/var/lib/zarafa/2", 0o750, 110, 110))
	put(t, h, "/var/lib/zarafa/1/1.gz", "mail 1", 0o600, 110, 110)
	put(t, h, "/var/lib/zarafa/1/11", "mail 11", 0o600, 110, 110)
	put(t, h, "/var/lib/zarafa/2/2.gz", "mail 2", 0o600, 110, 110)
}

// shipped is the one configuration file of a package.
func shipped(p host.Package) []host.Conffile {
	return []host.Conffile{{Path: "/etc/" + p.Name + "/main.cfg", MD5: fmt.Sprintf("%x", md5.Sum([]byte("default of "+p.Version)))}}
}

func zarafaInstalled(t tester, h *fakeHost) {
	must(t, h.PutDir("/usr/sbin", 0o755, 0, 0))
	old := func(p host.Package) {
		p.Status = "installed"
		p.Conffiles = shipped(p)
		h.packages[p.Name] = p
		h.offers[p.Name+"="+p.Version] = p
		must(t, h.PutDir("/etc/"+p.Name, 0o750, 0, 110))
		put(t, h, "/etc/"+p.Name+"/main.cfg", "edited by the site", 0o640, 0, 110)
	}
	old(host.Package{Name: "zarafa-common", Version: "7.2.0"})
	old(host.Package{Name: "zarafa-server", Version: "7.2.0", Depends: "zarafa-common"})
	fresh := func(p host.Package) {
		p.Conffiles = shipped(p)
		h.offers[p.Name] = p
		h.offers[p.Name+"="+p.Version] = p
	}
	fresh(host.Package{Name: "kopano-server", Version: "8.7", Depends: "kopano-common"})
	fresh(host.Package{Name: "kopano-common", Version: "8.7"})
	fresh(host.Package{Name: "zarafa-common", Version: "9"})
	put(t, h, "/root/zarafa-common_9.deb", "", 0o600, 0, 0)
	put(t, h, "/etc/zarafa-common/main.cfg.dpkg-old", "from long ago", 0o640, 0, 110)
}

// TestCrashes kills every kind of action at every change of the host.
func TestCrashes(t *testing.T) {
	seen, trials := map[string]bool{}, 0
	begin := time.Now()
	for _, s := range scenarios {
		seen[s.act().Kind()] = true
		t.Run(s.name, func(t *testing.T) { trials += s.crashes(t) })
	}
	t.Logf("%d crashes in %v", trials, time.Since(begin).Round(time.Millisecond))
	for _, kind := range Kinds() {
		if !seen[kind] && kind != "pkg.refresh" && kind != "pkg.repair" && kind != "db.restore" && kind != "svc.reload" { // which have nothing to undo
			t.Errorf("no scenario crashes %s", kind)
		}
	}
}
