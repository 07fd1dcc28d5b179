package action

import (
	"os"
	"path/filepath"
	"testing"
)

// A copy tells files and bytes, done and to be done, and does so within a large file too. What is copied is read twice, so
// the bytes are all done only when all have been read back.
func TestCopyTellsFilesAndBytes(t *testing.T) {
	env, root := liveEnv(t)
	const large = 3 * tellBytes
	otherDisk(t, filepath.Join(root, "other")) // to which no file system clones
	must(t, os.MkdirAll(filepath.Join(root, "tree"), 0o755))
	must(t, os.WriteFile(filepath.Join(root, "tree/large"), nil, 0o644))
	must(t, os.Truncate(filepath.Join(root, "tree/large"), large))
	must(t, os.WriteFile(filepath.Join(root, "tree/small"), []byte("x"), 0o644))
	must(t, os.Link(filepath.Join(root, "tree/small"), filepath.Join(root, "tree/too")))

	var told []Progress
	env.Progress = func(p Progress) { told = append(told, p) }
	a := &Copy{From: "/tree", To: "/other/new"}
	_, err := a.Prepare(env)
	must(t, err)
	_, err = a.Apply(env)
	must(t, err)

	before, within := Progress{}, 0
	for _, p := range told {
		if p.What != a.Summary() || p.Unit != "files" || p.Total != 3 || p.TotalBytes != large+2 {
			t.Errorf("told %+v", p)
		}
		if p.Done < before.Done || p.Bytes < before.Bytes || p.Bytes > p.TotalBytes {
			t.Errorf("told %+v after %+v", p, before)
		}
		if p.Bytes > 0 && p.Bytes < large {
			within++
		}
		before = p
	}
	if within < 2 {
		t.Errorf("within the large file it was told %d times: %+v", within, told)
	}
}

// What is there already when a copy goes on counts as done.
func TestWhatIsThereCounts(t *testing.T) {
	env, root := liveEnv(t)
	must(t, os.MkdirAll(filepath.Join(root, "tree"), 0o755))
	for _, name := range []string{"a", "b"} {
		must(t, os.WriteFile(filepath.Join(root, "tree", name), nil, 0o644))
		must(t, os.Truncate(filepath.Join(root, "tree", name), tellBytes))
	}
	a := &Copy{From: "/tree", To: "/new"}
	_, err := a.Prepare(env)
	must(t, err)
	_, err = a.Apply(env)
	must(t, err)
	var last Progress
	env.Progress = func(p Progress) { last = p }
	_, err = a.Apply(env)
	must(t, err)
	if last.Bytes != last.TotalBytes || last.Bytes != 2*tellBytes {
		t.Errorf("told %+v", last)
	}
}
