package sim

import (
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"pault.ag/go/debian/dependency"
	"pgregory.net/rapid"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/rpm"
)

const rpmSolveFixture = `-- host --
manager: MANAGER
-- packages --
Package: lib
Version: 1.0-1
Provides: liba.so.1()(64bit), lib-api = 1.0
Files:
 /usr/bin/lib-tool 0755

Package: app
Version: 1.0-1
Requires: lib >= 1.0, /bin/sh, rpmlib(CompressedFileNames) <= 3.0.4-1, never-there
Provides: app-api

Package: by-soname
Version: 1-1
Requires: liba.so.1()(64bit)

Package: by-file
Version: 1-1
Requires: /usr/bin/lib-tool

Package: strict
Version: 1-1
Requires: pinned = 1.0

Package: pinned
Version: 1.0-1

Package: follows
Version: 1.0-1
Requires: leader = 1:1.0-1

Package: leader
Version: 1:1.0-1

Package: needs-held
Version: 1-1

Package: held
Version: 1-1
Status: hold ok installed
Requires: needs-held

Package: old-name
Version: 5-1

Package: user-of-old
Version: 1-1
Requires: old-name
-- available --
Package: new-lib
Version: 2.0-1
Conflicts: lib < 2.0

Package: pinned
Version: 2.0-1

Package: leader
Version: 1:2.0-1

Package: follows
Version: 2.0-1
Requires: leader = 1:2.0-1

Package: successor
Version: 6-1
Obsoletes: old-name < 6
Provides: old-name = 6

Package: taker
Version: 6-1
Obsoletes: old-name

Package: wants
Version: 1-1
Requires: virtual >= 2, (absent or extra), libc.so.6(GLIBC_2.4)(64bit)
Recommends: nice

Package: provider
Version: 1-1
Provides: virtual

Package: extra
Version: 1-1

Package: nice
Version: 1-1

Package: impossible
Version: 1-1
Requires: absent > 3

Package: app
Version: 1.0~rc1-1

Package: app
Version: 1.0^git5-1
Requires: lib
`

func TestSolveRPM(t *testing.T) {
	cases := []struct {
		name            string
		manager         string
		tx              host.Transaction
		remove, install string
		fails           string
	}{
		{name: "leaf", tx: host.Transaction{Remove: []string{"app"}}, remove: "app"},
		{name: "dependents by name, soname and file", tx: host.Transaction{Remove: []string{"lib"}}, remove: "app by-file by-soname lib"},
		{name: "dependents with zypper", manager: "zypper 1.13", tx: host.Transaction{Remove: []string{"lib"}}, remove: "app by-file by-soname lib"},
		{name: "nothing to remove", tx: host.Transaction{Remove: []string{"nonsense"}}},
		{name: "nothing to remove with zypper", manager: "zypper 1.13", tx: host.Transaction{Remove: []string{"nonsense"}, Purge: true}},
		{name: "held", tx: host.Transaction{Remove: []string{"needs-held"}}, fails: "package held is held"},
		{name: "a conflict is no removal", tx: host.Transaction{Install: []string{"new-lib"}}, fails: "new-lib-2.0-1 conflicts with lib-1.0-1"},
		{name: "a conflict with what goes", tx: host.Transaction{Remove: []string{"lib"}, Install: []string{"new-lib"}}, remove: "app by-file by-soname lib", install: "new-lib"},
		{name: "an update that breaks another", tx: host.Transaction{Install: []string{"pinned"}}, fails: "package strict-1-1 requires pinned (= 1.0), which would go"},
		{name: "an update takes others along", tx: host.Transaction{Install: []string{"leader"}}, install: "follows leader"},
		{name: "obsoletes and provides", tx: host.Transaction{Install: []string{"successor"}}, remove: "old-name", install: "successor"},
		{name: "obsoletes what another needs", tx: host.Transaction{Install: []string{"taker"}}, fails: "package user-of-old-1-1 requires old-name"},
		{name: "yum knows no recommendations", tx: host.Transaction{Install: []string{"wants"}}, install: "extra provider wants"},
		{name: "dnf does", manager: "dnf 4.2", tx: host.Transaction{Install: []string{"wants"}}, install: "extra nice provider wants"},
		{name: "unless not wanted", manager: "zypper 1.13", tx: host.Transaction{Install: []string{"wants"}, NoRecommends: true}, install: "extra provider wants"},
		{name: "missing dependency", tx: host.Transaction{Install: []string{"impossible"}}, fails: "impossible : Depends: absent (> 3) but it is not installable"},
		{name: "unknown", tx: host.Transaction{Install: []string{"nonsense"}}, fails: "Unable to locate package nonsense"},
		{name: "update", tx: host.Transaction{Install: []string{"app"}}, install: "app"},
		{name: "older", tx: host.Transaction{Install: []string{"app=1.0~rc1-1"}}, fails: "downgrades are not allowed"},
		{name: "older, allowed", tx: host.Transaction{Install: []string{"app=1.0~rc1-1"}, Downgrade: true}, install: "app"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			manager := c.manager
			if manager == "" {
				manager = "yum 3.4.3"
			}
			h := hostOf(t, strings.ReplaceAll(rpmSolveFixture, "MANAGER", manager))
			sol, err := h.Solve(c.tx)
			if c.fails != "" {
				var solve *host.SolveError
				if !errors.As(err, &solve) || !strings.Contains(err.Error(), c.fails) {
					t.Fatalf("got %v, want a SolveError with %q", err, c.fails)
				}
				return
			}
			mustDo(t, err)
			if got := strings.Join(names(sol.Remove), " "); got != c.remove {
				t.Errorf("removes %q, want %q", got, c.remove)
			}
			got := append(names(sol.Install), names(sol.Upgrade)...)
			slices.Sort(got)
			if got := strings.Join(got, " "); got != c.install {
				t.Errorf("installs %q, want %q", got, c.install)
			}
			if slices.ContainsFunc(sol.Remove, func(c host.Change) bool { return c.Purge }) {
				t.Errorf("rpm purges: %+v", sol.Remove)
			}
		})
	}
}

func TestOverlap(t *testing.T) {
	for _, c := range []struct {
		provides, requires string
		want               bool
	}{
		{"a = 1.0-1", "a", true}, {"a", "a >= 7", true}, {"a = 1.0-1", "a = 1.0", true}, {"a = 1.0-1", "a = 1.0-2", false},
		{"a = 1.0-1", "a >= 1.0-1", true}, {"a = 1.0-1", "a > 1.0-1", false}, {"a = 1.0-1", "a < 1.0-2", true}, {"a = 1.0-3", "a > 1.0", false},
		{"a = 1:1.0-1", "a >= 2.0", true}, {"a = 1.0", "a >= 1:0.5", false}, {"a >= 1.0", "a > 5", true}, {"a < 1.0", "a < 0.5", true},
		{"a < 1.0", "a > 1.0", false}, {"a <= 1.0", "a >= 1.0", true}, {"a = 1.0~rc1-1", "a >= 1.0", false}, {"a = 1.0^git1-1", "a > 1.0", true},
	} {
		p := &Package{Format: RPM, Package: host.Package{Name: "p", Version: "1-1", Provides: c.provides}}
		want := rpm.System{}.ParseRelations(c.requires)[0].Possibilities[0]
		if got := p.matches(want); got != c.want {
			t.Errorf("%s meets %s: %v", c.provides, c.requires, got)
		}
	}
	p := &Package{Format: RPM, Package: host.Package{Name: "p", Version: "1-1", Provides: "a = 1"}}
	if rpm.Is(p.Name, p.Version, dependency.Possibility{Name: "a"}) {
		t.Error("an Obsoletes asks for what is provided")
	}
}

// TestVersionsAgainstTheRealOne asks rpm's own comparison, through the Lua that it has built in.
func TestVersionsAgainstTheRealOne(t *testing.T) {
	needRPM(t)
	part := rapid.StringMatching(`[0-9a-z]([0-9]{1,3}|[a-z]{1,2}|[.+_~^]){0,6}`)
	evr := rapid.Custom(func(r *rapid.T) string {
		text := part.Draw(r, "version")
		if rapid.Bool().Draw(r, "has release") {
			text += "-" + part.Draw(r, "release")
		}
		if rapid.Bool().Draw(r, "has epoch") {
			text = fmt.Sprint(rapid.IntRange(0, 2).Draw(r, "epoch")) + ":" + text
		}
		return text
	})
	rapid.Check(t, func(r *rapid.T) {
		const pairs = 50
		var script strings.Builder
		var a, b [pairs]string
		for i := range pairs {
			a[i] = evr.Draw(r, "a")
			if b[i] = evr.Draw(r, "b"); rapid.Bool().Draw(r, "alike") {
				b[i] = a[i] + part.Draw(r, "more")
			}
			fmt.Fprintf(&script, "print(rpm.vercmp('%s', '%s') .. ' ')", a[i], b[i])
		}
		out, err := exec.Command("rpm", "--eval", "%{lua:"+script.String()+"}").Output()
		if err != nil {
			r.Fatal(err)
		}
		words := strings.Fields(string(out))
		if len(words) != pairs {
			r.Fatalf("%d answers of rpm: %s", len(words), out)
		}
		for i, want := range words {
			if got := fmt.Sprint(rpm.Compare(a[i], b[i])); got != want {
				r.Errorf("%s and %s: rpm says %s, the simulation %s", a[i], b[i], want, got)
			}
		}
	})
}
