package live_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"zcp2kopano/cmd/e2e"
	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/live"
)

// known is all that dpkg and apt know of the packages that the test is about.
func known(t *testing.T, r *e2e.Root) string {
	t.Helper()
	var text strings.Builder
	for _, name := range []string{"zarafa-server", "zarafa-client", "zarafa-spooler", "zarafa-dagent", "zarafa-common"} {
		text.WriteString(r.Run("dpkg-query", "-s", name).Output)
		text.WriteString(r.Run("sh", "-c", "cd /var/lib/dpkg/info && ls -ln --time-style=+ "+name+".* && sha256sum "+name+".list "+name+".postrm").Output)
	}
	text.WriteString(r.Must("apt-mark", "showauto") + r.Must("apt-mark", "showhold"))
	return text.String()
}

// TestRollbackOfMarks wants a rollback to bring back holds, automatic installations, and packages of
// which only the conffiles were left, with what dpkg knows of them.
func TestRollbackOfMarks(t *testing.T) {
	t.Parallel()
	r, h := debian(t)
	r.AddRepository("zcp", "debian")
	install := host.Transaction{Install: []string{"zarafa-server", "zarafa-spooler", "zarafa-dagent"}, NoRecommends: true}
	must(t, h.CommitPackages(t.Context(), install, nil))
	// One is left with an edited conffile, and is then also edited further.
	r.WriteFile("/etc/zarafa/spooler.cfg", "edited by the site\n", 0o640)
	must(t, h.CommitPackages(t.Context(), host.Transaction{Remove: []string{"zarafa-spooler"}}, nil))
	must(t, h.MarkPackages(t.Context(), []host.PackageMark{{Name: "zarafa-dagent", Held: true}}))
	if got := r.Must("apt-mark", "showhold"); !strings.Contains(got, "zarafa-dagent") {
		t.Fatalf("on hold: %s", got)
	}
	must(t, h.MarkPackages(t.Context(), []host.PackageMark{{Name: "zarafa-dagent", Auto: true}}))
	if got := status(t, h, "zarafa-spooler"); got != "config-files" {
		t.Fatalf("zarafa-spooler is %s", got)
	}
	before := known(t, r)
	if !strings.Contains(before, "zarafa-dagent\n") || !strings.Contains(before, "deinstall ok config-files") {
		t.Fatalf("the packages are not as the test wants them:\n%s", before)
	}

	tx := host.Transaction{Remove: []string{"zarafa-server", "zarafa-spooler", "zarafa-dagent"}, Purge: true}
	var remove []string
	packages, err := h.Packages()
	must(t, err)
	for _, p := range packages {
		if strings.Contains(p.Name, "zarafa") || p.Name == "libmapi1" {
			remove = append(remove, p.Name)
		}
	}
	tx.Remove = remove
	env, commit := prepareCommit(t, r, h, tx)
	_, err = commit.Apply(env)
	must(t, err)
	if got := status(t, h, "zarafa-spooler"); got != "absent" {
		t.Fatalf("after the purge, zarafa-spooler is %s", got)
	}
	for range 2 {
		must(t, commit.Undo(env))
		if got := known(t, r); got != before {
			t.Errorf("the packages are\n%s\nwere\n%s", got, before)
		}
		differences, err := commit.Differences(env)
		must(t, err)
		if len(differences) > 0 {
			t.Errorf("differences: %q", differences)
		}
	}
	if got := r.ReadFile("/etc/zarafa/spooler.cfg"); got != "edited by the site\n" {
		t.Errorf("the conffile that was left holds %q", got)
	}
	if broken, err := h.PackageAudit(); err != nil || len(broken) > 0 {
		t.Errorf("audit: %q, %v", broken, err)
	}
	// dpkg still knows the conffile as edited: a new installation keeps it.
	must(t, h.CommitPackages(t.Context(), host.Transaction{Install: []string{"zarafa-spooler"}, NoRecommends: true}, nil))
	if got := r.ReadFile("/etc/zarafa/spooler.cfg"); got != "edited by the site\n" {
		t.Errorf("after a new installation it holds %q", got)
	}
}

// prepareCommit prepares a transaction, and takes it through its journal form as a rollback does.
func prepareCommit(t *testing.T, r *e2e.Root, h *live.Host, tx host.Transaction) (*action.Env, *action.Commit) {
	t.Helper()
	must(t, os.MkdirAll(r.Path("/var/lib/zcp2kopano/runs/1"), 0o700))
	env := &action.Env{
		Ctx: t.Context(), Host: h, Store: &action.Store{Host: h, Dir: "/var/lib/zcp2kopano/runs/1/backup"},
		Tag: "1-1-0", Progress: func(action.Progress) {}, Mark: func(any) error { return nil },
	}
	first := &action.Commit{Tx: tx}
	needed, err := first.Prepare(env)
	must(t, err)
	if !needed || len(first.Missing) > 0 {
		t.Fatalf("needed %v, missing %v", needed, first.Missing)
	}
	data, err := json.Marshal(first)
	must(t, err)
	a, err := action.Decode(first.Kind(), data)
	must(t, err)
	return env, a.(*action.Commit)
}

// What dpkg itself left unmerged is merged, and an installed package is never replaced by remains.
func TestRemainsBesideOthers(t *testing.T) {
	t.Parallel()
	r, h := debian(t)
	r.AddRepository("zcp", "debian")
	must(t, h.CommitPackages(t.Context(), host.Transaction{Install: []string{"zarafa-spooler"}, NoRecommends: true}, nil))
	must(t, h.CommitPackages(t.Context(), host.Transaction{Remove: []string{"zarafa-spooler"}}, nil))
	must(t, h.Mkdir("/root/kept", 0o700))
	files, err := h.SaveRemains(t.Context(), []string{"zarafa-spooler"}, "/root/kept")
	must(t, err)
	must(t, h.CommitPackages(t.Context(), host.Transaction{Remove: []string{"zarafa-spooler"}, Purge: true}, nil))
	// dpkg was killed while it removed the package: its own journal already holds something.
	r.WriteFile("/var/lib/dpkg/updates/0003", "Package: left-over\nStatus: deinstall ok config-files\nVersion: 1\nArchitecture: all\nMaintainer: x\nDescription: x\n", 0o644)
	must(t, h.RestoreRemains(t.Context(), files["zarafa-spooler"]))
	for _, name := range []string{"zarafa-spooler", "left-over"} {
		if got := status(t, h, name); got != "config-files" {
			t.Errorf("%s is %s", name, got)
		}
	}
	must(t, h.CommitPackages(t.Context(), host.Transaction{Install: []string{"zarafa-spooler"}, NoRecommends: true}, nil))
	if err := h.RestoreRemains(t.Context(), files["zarafa-spooler"]); err == nil || !strings.Contains(err.Error(), "is installed") {
		t.Errorf("over an installed package: %v", err)
	}
}
