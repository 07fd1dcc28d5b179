package runbooks_test

import (
	"strings"
	"testing"

	"zcp2kopano/runtime/exit"
	"zcp2kopano/runtime/story"
	"zcp2kopano/testdata/hosts"
)

// TestStockSignsOff has the list of directives told to programs, and the copied files as differences from the old ones.
func TestStockSignsOff(t *testing.T) {
	for _, approach := range []string{"merge", "copy"} {
		t.Run(approach, func(t *testing.T) {
			h := stockHost(t, hosts.Example, func(text string) string {
				return edited(t, text, []string{"server_name = Zarafa\n", "server_name = Zarafa\naudit_log_enabled = yes\n"})
			})
			records := map[string]map[string]any{} // by file and directive
			diffs := map[string]string{}
			played := playStockWatched(t, h, map[string]string{"config": approach}, func(e story.Event) {
				switch {
				case e.Kind == story.Recorded && e.Text == "sign-off":
					records[e.Record["file"].(string)+" "+e.Record["directive"].(string)] = e.Record
				case e.Kind == story.ChangeBegin && e.Detail != nil && diffs[e.Text] == "": // when it is made
					diffs[e.Text] = e.Detail.Diff
				}
			})
			if played.verdict.Code != exit.Done {
				t.Fatalf("%+v", played.verdict)
			}
			audit := records["/etc/kopano/server.cfg audit_log_enabled"]
			if audit == nil || audit["old"] != "yes" || audit["new"] != "yes" || audit["fate"] != "set by the site" || !strings.HasPrefix(audit["where"].(string), "/etc/zarafa/server.cfg:") {
				t.Errorf("audit_log_enabled: %v", audit)
			}
			if password := records["/etc/kopano/server.cfg mysql_password"]; password == nil || password["old"] != "***" || password["new"] != "***" {
				t.Errorf("mysql_password: %v", password)
			}
			if safe := records["/etc/kopano/server.cfg user_safe_mode"]; safe == nil || !strings.Contains(safe["reason"].(string), "set back") {
				t.Errorf("user_safe_mode: %v", safe)
			}
			if off := records["/etc/kopano/gateway.cfg pop3_enable"]; off == nil || off["new"] != "pop3_listen = (empty)" {
				t.Errorf("pop3_enable: %v", off)
			}
			if len(records) < 100 {
				t.Errorf("only %d records", len(records))
			}
			diff := diffs["write /etc/kopano/server.cfg"]
			fromOld := strings.HasPrefix(diff, "--- /etc/zarafa.bak/server.cfg\n+++ /etc/kopano/server.cfg\n")
			if fromOld != (approach == "copy") || strings.Contains(diff, "s3cret#of-alice") {
				t.Errorf("what is shown of server.cfg:\n%s", diff)
			}
			if kept := strings.Contains(diff, "\n+audit_log_enabled = yes"); kept != (approach == "merge") {
				t.Errorf("a line that stays is shown as new: %v\n%s", kept, diff)
			}
		})
	}
}
