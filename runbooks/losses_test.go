package runbooks_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/host"
	"zcp2kopano/testdata/hosts"
)

// TestStockLosses: what could not come back is told before the run, on each family of systems, and by the very reason for which
// the removal would be refused; what the admin gives for it is kept, and what he agrees to lose is lost.
func TestStockLosses(t *testing.T) {
	const lost = "packages that could not come back"
	for _, tc := range []struct {
		name, fixture string
		version       string // of a package file of zarafa-server in zcp_packages_dir
		cut           bool
		params        map[string]string
		code          int
		want, reason  string
		kept          bool
	}{
		{name: "nothing is kept", fixture: hosts.Example, code: exit.Inhibited, want: "inhibitor: " + lost, reason: "zarafa-server: a disk gave out"},
		{name: "the same with yum", fixture: "rhel7-zcp72.txtar", code: exit.Inhibited, want: "inhibitor: " + lost, reason: "zarafa-server: a disk gave out"},
		{name: "the same with zypper", fixture: "sles12-zcp72.txtar", code: exit.Inhibited, want: "inhibitor: " + lost, reason: "zarafa-server: a disk gave out"},
		{name: "agreed", fixture: hosts.Example, params: map[string]string{"lose_packages": "yes"}, want: "warning: " + lost},
		{name: "given", fixture: hosts.Example, version: "7.2.6.52101-1", kept: true},
		{name: "given in another version", fixture: hosts.Example, version: "7.2.5.51103-1", code: exit.Inhibited, want: "inhibitor: " + lost},
		{name: "given, and cut short", fixture: hosts.Example, version: "7.2.6.52101-1", cut: true, code: exit.Inhibited, reason: "copy it again"},
		{
			name: "a directory that is not there", fixture: hosts.Example, params: map[string]string{"zcp_packages_dir": "/srv/none"},
			code: exit.Inhibited, want: "inhibitor: zcp_packages_dir cannot be used", reason: "/srv/none: it is not there",
		},
		{
			name: "a directory of something else", fixture: hosts.Example, params: map[string]string{"zcp_packages_dir": "/srv"},
			code: exit.Inhibited, want: "inhibitor: zcp_packages_dir cannot be used", reason: "/srv: it holds no package file",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := stockHost(t, tc.fixture, func(text string) string {
				text = strings.Replace(text, "-- host --\n", "-- host --\nlost: zarafa-server a disk gave out\n", 1)
				return strings.Replace(text, "-- tree --\n", "-- tree --\nd0755 root:root - - /srv/zcp\n", 1)
			})
			params := maps.Clone(tc.params)
			if tc.version != "" {
				putVersion(t, h, "/srv/zcp", "zarafa-server", tc.version, "amd64", "libc6")
				params = map[string]string{"zcp_packages_dir": "/srv/zcp"}
			}
			if tc.cut {
				cutShort(t, h, "/srv/zcp/zarafa-server.deb")
			}
			played := playStock(t, h, params)
			told := tc.want == "" || slices.Contains(played.serious, tc.want)
			if played.verdict.Code != tc.code || !told || !strings.Contains(strings.Join(played.reasons, "\n"), tc.reason) {
				t.Errorf("%+v\n%q\n%q", played.verdict, played.serious, played.reasons)
			}
			if tc.want == "" && tc.code == exit.Done && strings.Contains(strings.Join(played.serious, "\n"), lost) {
				t.Errorf("%q", played.serious)
			}
			if tc.kept {
				keepsOriginal(t, h)
			}
		})
	}
}

// cutShort takes away the end of a file.
func cutShort(t *testing.T, h host.Host, name string) {
	t.Helper()
	f, err := h.OpenWrite(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err == nil {
		err = f.Truncate(st.Size - 40)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// keepsOriginal wants the given file in the run's directory, under its usual name.
func keepsOriginal(t *testing.T, h host.View) {
	t.Helper()
	given, err1 := h.Stat("/srv/zcp/zarafa-server.deb")
	kept, err2 := h.Stat("/var/lib/zcp2kopano/runs/simulate/backup/packages/zarafa-server_7.2.6.52101-1_amd64.deb")
	if err1 != nil || err2 != nil || given.Size != kept.Size {
		t.Errorf("given %d bytes, %v; kept %d bytes, %v", given.Size, err1, kept.Size, err2)
	}
}
