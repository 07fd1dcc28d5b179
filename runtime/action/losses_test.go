package action

import (
	"strings"
	"testing"
)

// TestMoveLosesNothingThatCame: what comes to a tree while its move to another disk is cut off is there when the move is
// brought to its end, or refused: the sources go only where all of them has arrived.
func TestMoveLosesNothingThatCame(t *testing.T) {
	s := scenario{
		mounts: twoDisks(),
		setup: func(t tester, h *fakeHost) {
			put(t, h, "/var/lib/zarafa/a", "content of a", 0o640, 110, 110)
			put(t, h, "/var/lib/zarafa/sub/b", "content of b", 0o640, 110, 110)
			must(t, h.PutDir("/srv/kopano", 0o711, 998, 998))
		},
		act: func() Action { return &Move{From: "/var/lib/zarafa", To: "/srv/kopano", Contents: true} },
	}
	refused := 0
	for k, done := 1, false; !done; k++ {
		tr := s.prepared(t)
		tr.arm(k, before)
		_ = tr.apply(t)
		done = tr.ops < k
		tr.arm(0, 0)
		if there, err := isDir(tr, "/var/lib/zarafa/sub"); err != nil || !there {
			continue
		}
		put(t, tr.fakeHost, "/var/lib/zarafa/sub/late", "it came late", 0o640, 110, 110)
		if err := tr.apply(t); err != nil {
			refused++
		}
		at, err := exists(tr, "/var/lib/zarafa/sub/late")
		must(t, err)
		arrived, err := exists(tr, "/srv/kopano/sub/late")
		must(t, err)
		if !at && !arrived {
			t.Errorf("cut off before change %d: what came then is lost", k)
		}
	}
	if refused == 0 {
		t.Error("nothing came between the copy and the removal")
	}
}

// TestOnlyWhatIsElsewhereIsRemoved: whichever of two trees is to go, it stays as long as it holds something that the
// other does not hold alike.
func TestOnlyWhatIsElsewhereIsRemoved(t *testing.T) {
	for name, remove := range map[string]func(env *Env, goes, stays string) error{
		"what is left of the sources": dropPart,
		"what was kept":               letGo,
		"what is back in part": func(env *Env, goes, stays string) error {
			return putBack(newCopier(env, "put back", size{}), stays, goes)
		},
	} {
		h := newFake()
		for _, top := range []string{"/srv/goes", "/srv/stays"} {
			put(t, h, top+"/a", "content", 0o600, 0, 0)
		}
		put(t, h, "/srv/goes/late", "it came late", 0o600, 0, 0)
		start := h.state(t)
		if err := remove(newEnv(h), "/srv/goes", "/srv/stays"); err == nil || !strings.Contains(err.Error(), "both exist and differ") {
			t.Errorf("%s: %v", name, err)
		}
		sameState(t, name, h.state(t), start)
	}
}
