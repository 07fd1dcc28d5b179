package hosttest

import (
	"strings"
	"testing"

	"zcp2kopano/runtime/host/sim"
)

// TestSimulatedServices carries the suite out on a fixture; it is the same on systemd (cmd/e2e), and with init scripts
// in a root (runtime/host/live).
func TestSimulatedServices(t *testing.T) {
	for init, cases := range map[string][]ServiceCase{"systemd": SystemdCases(), "sysv": SysvCases()} {
		h := hostOf(t, "-- host --\nhostname: mail\ninit: "+init+"\n")
		for _, c := range cases {
			c.put(t, h)
		}
		for _, c := range cases {
			t.Run(init+"/"+c.Name, func(t *testing.T) {
				var got []ServiceOutcome
				for _, op := range c.Ops() {
					got = append(got, op.On(h))
				}
				c.Check(t, "the simulation", got)
			})
		}
	}
}

// put gives a simulated host what a case wants.
func (c ServiceCase) put(t *testing.T, h *sim.Host) {
	t.Helper()
	files := map[string]string{}
	for path, text := range c.Files {
		files[path] = text
	}
	for _, name := range c.Programs {
		files[ServiceProgram(name)] = "\x7fELF"
	}
	for path, text := range files {
		if err := h.Files().PutFile(path, []byte(text), 0o755, 0, 0, h.Now()); err != nil {
			t.Fatal(err)
		}
	}
	for _, level := range strings.Split("0K01 1K01 2S01 3S01 4S01 5S01 6K01", " ") {
		if !strings.Contains(c.Links, level[:1]) {
			continue
		}
		link := "/etc/rc" + level[:1] + ".d/" + level[1:] + c.ServiceName()
		if err := h.Files().PutSymlink(link, "../init.d/"+c.ServiceName(), 0, 0); err != nil {
			t.Fatal(err)
		}
	}
}
