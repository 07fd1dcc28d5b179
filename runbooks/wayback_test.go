package runbooks_test

import (
	"slices"
	"strings"
	"testing"

	"zcp2kopano/runtime/exit"
	"zcp2kopano/testdata/hosts"
)

// TestStockStorages migrates sites that keep their attachments elsewhere than in files: nothing of the
// file system is taken for them, and what a way back by the dump does not reach is said before.
func TestStockStorages(t *testing.T) {
	const (
		files  = "attachment_storage	= files"
		spread = "spread 10000 6G 10x20 f0644 zarafa:zarafa - /var/lib/zarafa/attachments .gz\n"
		path   = "attachment_path		= /var/lib/zarafa/attachments\n"
		s3     = "the way back does not reach into S3"
		forget = "the database server forgets numbers when it is restarted"
	)
	bucket := []string{files, "attachment_storage = s3\nattachment_s3_bucketname = mail", spread, ""}
	for _, tc := range []struct {
		name    string
		edits   []string
		serious []string // findings that must be there
		infos   []string
		absent  string   // a finding that must not be
		set     []string // lines of Kopano's server.cfg
		told    []string // what is told when the dump is loaded
		never   string   // part of no change
	}{
		{
			name: "in files, with a server that forgets", infos: []string{forget}, absent: "warning: " + s3,
			set:  []string{"attachment_path = /var/lib/kopano/attachments", "attachment_storage = files"},
			told: []string{"the search index still knows messages that are gone with the dump: if searches find what cannot be opened, stop zarafa-search, empty /var/lib/zarafa/search,"},
		},
		{
			name: "in S3", edits: bucket, serious: []string{"warning: " + s3, "warning: " + forget},
			set: []string{"attachment_path = /var/lib/zarafa/attachments", "attachment_storage = s3", "attachment_s3_bucketname = mail"},
			told: []string{
				"ZCP numbers its attachments from {singleinstances} on",
				"ALTER TABLE singleinstances AUTO_INCREMENT = {singleinstances}",
			},
			never: "attachments",
		},
		{
			name: "in S3, under a name that is no path", edits: append(slices.Clone(bucket), path, "attachment_path = mail/one\n"),
			set: []string{"attachment_path = mail/one"}, never: "mail/one",
		},
		{name: "in S3, and files of former times", edits: bucket[:2], serious: []string{"warning: attachments in files are not looked at"}, set: []string{"attachment_storage = s3"}, never: "attachments"},
		{
			name: "in S3, with MariaDB", edits: append(slices.Clone(bucket), "var version 5.5.59-0+deb8u1", "var version 10.2.4-MariaDB-0+deb9u1"),
			serious: []string{"warning: " + s3}, absent: "warning: " + forget,
		},
		{
			name: "in S3, with an older MariaDB", edits: append(slices.Clone(bucket), "var version 5.5.59-0+deb8u1", "var version 10.1.26-MariaDB-0+deb9u1"),
			serious: []string{"warning: " + forget},
		},
		{
			name: "in the database", edits: []string{files, "attachment_storage = database", spread, "", "FROM lob\nvalue\n0", "FROM lob\nvalue\n5000"},
			infos: []string{forget}, absent: "warning: " + s3, set: []string{"attachment_storage = database"}, never: "attachments",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := stockHost(t, hosts.Example, func(text string) string { return edited(t, text, tc.edits) })
			played := playStock(t, h, nil)
			if played.verdict.Code != exit.Done {
				t.Fatalf("%+v; %q", played.verdict, played.serious)
			}
			for _, want := range tc.serious {
				if !slices.Contains(played.serious, want) {
					t.Errorf("no finding %q; there are %q", want, played.serious)
				}
			}
			for _, want := range tc.infos {
				if !slices.Contains(played.infos, want) {
					t.Errorf("no info %q; there are %q", want, played.infos)
				}
			}
			if slices.Contains(played.serious, tc.absent) {
				t.Errorf("finding %q", tc.absent)
			}
			config := contentOf(t, h, "/etc/kopano/server.cfg")
			for _, line := range tc.set {
				if !strings.Contains(config, "\n"+line+"\n") {
					t.Errorf("no %q in:\n%s", line, config)
				}
			}
			if tc.never != "" && slices.ContainsFunc(played.changes, func(c string) bool { return strings.Contains(c, tc.never) }) {
				t.Errorf("%q is changed: %q", tc.never, played.changes)
			}
			for _, want := range tc.told {
				if !strings.Contains(strings.Join(played.afterwards, "\n"), want) {
					t.Errorf("a way back does not tell %q, but %q", want, played.afterwards)
				}
			}
			if s3 := strings.Contains(played.verdict.NoReturn, "S3"); s3 != strings.Contains(tc.name, "S3") {
				t.Errorf("point of no return: %s", played.verdict.NoReturn)
			}
		})
	}
}
