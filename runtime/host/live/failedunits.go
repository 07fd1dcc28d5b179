package live

import "strings"

// lostUnits are the services that systemd remembers as failed although no package or file of theirs is left:
// "systemctl --failed" goes on to show them, and their state stands for nothing.
func (s systemd) lostUnits() (map[string]bool, error) {
	out, err := s.query("list-units", "--type=service", "--all", "--no-legend", "--full", "--state=failed")
	if err != nil {
		return nil, err
	}
	names := unitNames(out)
	if len(names) == 0 {
		return nil, nil
	}
	if err := s.reload(); err != nil { // not every package's script does: a unit without a file counts as loaded until then
		return nil, err
	}
	if out, err = s.query(append([]string{"show", "-p", "Id,LoadState,ActiveState", "--"}, names...)...); err != nil {
		return nil, err
	}
	return parseLost(out), nil
}

func parseLost(out string) map[string]bool {
	lost := map[string]bool{}
	for paragraph := range strings.SplitSeq(out, "\n\n") {
		if p := properties(paragraph); p["LoadState"] == "not-found" && p["ActiveState"] == "failed" {
			lost[p["Id"]] = true
		}
	}
	return lost
}

// withoutLost does something to packages, and lets systemd forget the failures of services that went with
// them. Whose state cannot be asked or reset is left: it is no reason for a transaction to have failed.
func (v services) withoutLost(do func() error) error {
	s, ok := v.init().(systemd)
	if !ok {
		return do()
	}
	before, unknown := s.lostUnits()
	err := do()
	if unknown != nil {
		return err
	}
	after, _ := s.lostUnits()
	for name := range after {
		if !before[name] {
			_ = s.tell("reset-failed", "--", name)
		}
	}
	return err
}
