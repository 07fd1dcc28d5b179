package action

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
	"testing"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/sim/simfs"
)

const inPlace = "/var/lib/kopano-server/att" // in a directory that kopano-server alone owns

// sheltered is a host on which kopano-server came, where a site has had its data already: its script removes that
// when it is purged.
func sheltered(t tester, mounts ...simfs.Mount) *trial {
	return shelteredBehind(t, path.Dir(inPlace), mounts...)
}

// shelteredBehind has the directory in another place, to which a symlink leads.
func shelteredBehind(t tester, real string, mounts ...simfs.Mount) *trial {
	h := newFake(mounts...)
	must(t, h.PutDir("/var/lib/zcp2kopano", 0o700, 0, 0))
	zarafaInstalled(t, h)
	h.owned = map[string][]string{"kopano-server": {"/var", "/var/lib", "/var/lib/kopano-server"}, "zarafa-server": {"/var", "/var/lib"}}
	must(t, h.PutDir(real, 0o750, 998, 998))
	must(t, h.PutDir(real+"/att", 0o700, 110, 110))
	must(t, h.PutDir(real+"/att/1", 0o750, 110, 110))
	put(t, h, real+"/att/1/7.gz", "old mail", 0o600, 110, 110)
	if real != path.Dir(inPlace) {
		must(t, h.Symlink(real, path.Dir(inPlace)))
	}
	tr := &trial{fakeHost: h, env: newEnv(h)}
	must(t, tr.prepare(t, &Commit{Tx: host.Transaction{Install: []string{"kopano-server"}}}))
	must(t, tr.apply(t))
	tr.env.InPlace = []string{inPlace, "/var/lib/none"}
	h.purged = func() {
		_ = removePath(h, inPlace)
		_ = h.Rmdir(path.Dir(inPlace)) // as dpkg does with an empty one
	}
	return tr
}

// TestPurgeSparesDataInPlace kills a rollback at every change: no script of a package takes data along that lay in
// its directory before it came.
func TestPurgeSparesDataInPlace(t *testing.T) {
	check := func(tr *trial, what string) {
		t.Helper()
		st, err := tr.Lstat(inPlace)
		if err != nil || st.Mode.Perm() != 0o700 || st.UID != 110 {
			t.Errorf("%s: %v (%v)", what, st.Mode, err)
		}
		if st, err := tr.Lstat(path.Dir(inPlace)); err != nil || st.UID != 998 {
			t.Errorf("%s: the directory above belongs to %d (%v)", what, st.UID, err)
		}
		s := &keepStory{fakeHost: tr.fakeHost}
		sameState(t, what, s.files(t, path.Dir(inPlace)), map[string]string{"att/1/7.gz": "old mail"})
	}
	tr := sheltered(t)
	tr.arm(0, 0)
	must(t, tr.undo(t))
	check(tr, "undisturbed")
	for k := 1; k <= tr.ops; k++ {
		for mode := before; mode <= failure; mode++ {
			tr := sheltered(t)
			tr.arm(k, mode)
			err := tr.undo(t)
			tr.arm(0, 0)
			if err := tr.undo(t); err != nil {
				t.Fatalf("crash %d (mode %d, %v), then Undo: %v", k, mode, err, err)
			}
			check(tr, fmt.Sprintf("crash %d (mode %d, %v)", k, mode, err))
		}
	}
}

// TestPurgeSparesDataBehindALink: on another disk, whether the site's configuration names the symlink or what it leads to,
// and also if the symlink goes with the package.
func TestPurgeSparesDataBehindALink(t *testing.T) {
	mounts := twoDisks()
	mounts[1].Point = "/srv"
	const real = "/srv/kopano"
	for _, name := range []string{inPlace, real + "/att"} {
		for _, linkGoes := range []bool{false, true} {
			tr := shelteredBehind(t, real, mounts...)
			tr.env.InPlace = []string{name}
			purged := tr.purged
			tr.purged = func() {
				purged()
				if linkGoes {
					must(t, removePath(tr, path.Dir(inPlace)))
				}
			}
			must(t, tr.undo(t))
			if there, _ := exists(tr, real+"/att/1/7.gz"); !there {
				t.Errorf("%s, the link goes %v: the data is gone", name, linkGoes)
			}
		}
	}
}

// TestPurgeSparesMountedData: what is a mount cannot be taken out of the way, and nothing is purged over it.
func TestPurgeSparesMountedData(t *testing.T) {
	mounts := twoDisks()
	mounts[1].Point = inPlace
	tr := sheltered(t, mounts...)
	err := tr.undo(t)
	if err == nil || !strings.Contains(err.Error(), inPlace+" is a mount, which cannot be moved: unmount it") {
		t.Errorf("error %v", err)
	}
	if there, _ := exists(tr, inPlace+"/1/7.gz"); !there {
		t.Error("the data is gone")
	}
}

// TestShelterLeavesOthersData: what lies where others have files, too, is no package's own.
func TestShelterLeavesOthersData(t *testing.T) {
	tr := sheltered(t)
	tr.env.InPlace = []string{"/etc/zarafa-server"}
	must(t, shelter(tr.env, []string{"kopano-server"}))
	if there, _ := exists(tr, "/etc/zarafa-server/main.cfg"); !there {
		t.Error("it was moved away")
	}
}

// TestShelterIsNotForgotten: a rollback that goes on without the file system of what it has sheltered does not end well.
func TestShelterIsNotForgotten(t *testing.T) {
	tr := sheltered(t)
	must(t, shelter(tr.env, []string{"kopano-server"}))
	hidden, err := shelterOf(tr.env, inPlace)
	must(t, err)
	must(t, renamePath(tr, hidden, hidden+".unmounted"))
	if err := unshelter(tr.env); err == nil || !strings.Contains(err.Error(), "mount the file system") {
		t.Errorf("error %v", err)
	}
	must(t, renamePath(tr, hidden+".unmounted", hidden))
	must(t, unshelter(tr.env))
	must(t, unshelter(tr.env))
	if there, _ := exists(tr, inPlace+"/1/7.gz"); !there {
		t.Error("the data is not back")
	}
}

// A directory of the system is no package's own, also where one package alone lists it.
func TestDirectoriesOfTheSystemAreNotSheltered(t *testing.T) {
	for name, want := range map[string]bool{"/var/lib/kopano/attachments": true, "/var/lib/zarafa/attachments": false} {
		h := &ownerHost{files: []string{"/", "/var", "/var/lib", "/var/lib/kopano"}}
		got, err := ownedAlone(h, name, []string{"kopano-server"})
		if err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", name, got, err, want)
		}
	}
}

type ownerHost struct {
	host.View
	files []string
}

func (h *ownerHost) Packages() ([]host.Package, error) {
	return []host.Package{{Name: "kopano-server", Status: "installed"}}, nil
}

func (h *ownerHost) Lstat(string) (host.Stat, error) { return host.Stat{}, fs.ErrNotExist }

func (h *ownerHost) PackageFiles(string) ([]string, error) { return h.files, nil }
