package engine_test

import (
	"strings"
	"testing"

	"zcp2kopano/runtime/engine"
	"zcp2kopano/runtime/exit"
)

// TestOverride: an inhibitor that the admin has overridden is a warning that says why; one that is final stays, and a key
// that no finding has is told.
func TestOverride(t *testing.T) {
	const soft = `inhibit("mail bounces", "it is so", "choose", key = "delivery/by-command")`
	const final = `inhibit("two stores", "mail is lost", "merge them", key = "attachments/twice", final = True)`
	for _, tc := range []struct {
		name, check string
		overrides   map[string]string
		code        int
		want        string
	}{
		{"not asked for", soft, nil, exit.Inhibited, "inhibitor|delivery/by-command||"},
		{"overridden", soft, map[string]string{"delivery/by-command": "a relay holds mail back"}, exit.Done, "warning|delivery/by-command|a relay holds mail back|"},
		{"final", final, map[string]string{"attachments/twice": "no matter"}, exit.Inhibited, "inhibitor|attachments/twice||merge them; it cannot be overridden: data would be lost"},
		{"a failed look", `look("a mistake", broken)`, map[string]string{"a-mistake-could-not-be-looked-at": "no matter"}, exit.Inhibited, "inhibitor|a-mistake-could-not-be-looked-at||"},
		{"misspelt", soft, map[string]string{"delivery/command": "x"}, exit.Inhibited, "warning|override/unmet||"},
		{"a key made of the title", `inhibit("The disk, /var, is small")`, map[string]string{"the-disk-var-is-small": "it is not"}, exit.Done, "warning|the-disk-var-is-small|it is not|"},
		{"a warning stays one", `warn("so", key = "a/b")`, map[string]string{"a/b": "x"}, exit.Done, "warning|a/b||"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newScene(t)
			v := s.run(strings.Replace(strings.Replace(looking, "CHECK", tc.check, 1), "STEP", "pass", 1), func(cfg *engine.Config) { cfg.Overrides = tc.overrides })
			var told []string
			for _, e := range s.events {
				if f := e.Finding; f != nil {
					told = append(told, strings.Join([]string{string(f.Severity), f.Key, f.Overridden, f.Remedy}, "|"))
				}
			}
			if all := strings.Join(told, "\n"); v.Code != tc.code || !strings.Contains(all, tc.want) {
				t.Errorf("code %d, want %d and %q:\n%s", v.Code, tc.code, tc.want, all)
			}
			if log := string(s.log.Bytes()); len(tc.overrides) > 0 && !strings.Contains(log, `"overrides"`) {
				t.Errorf("the journal does not have it: %s", log)
			}
		})
	}
}

func TestWrongKey(t *testing.T) {
	if v, _ := newScene(t).look(`inhibit("so", key = "A B")`, "pass"); v.Code != exit.Failed {
		t.Errorf("%+v", v)
	}
}
