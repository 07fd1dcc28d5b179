package engine

import (
	"fmt"
	"strings"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/journal"
)

// recordType is a kind of record in a run's journal.
type recordType struct{ name, data, doc string }

// recordTypes are all that a run or a rollback writes, in the order in which they can come.
var recordTypes = []recordType{
	{"run", "id, mode, runbook, host, system, steps, params, version, machine_id, overrides", "a run begins; secret parameters show as ***"},
	{"resume", "as run", "the run goes on; what it had not come to its end with is below, by replay"},
	{"step", "name", "a step begins"},
	{"read", "builtin, pos, args, value or blob, from", "a call that looked at the host, what it answered, and the files that it has read; a large answer, and one that holds a secret, is a blob: digest and size of a file in backup/blobs. Of such an argument the digest is enough"},
	{"call", "builtin, pos, args, value, actions, from", "a call that changes the host, and the actions that it decided"},
	{"intent", "call, index, kind, step, data", "an action is about to be carried out: all that it takes to finish and to undo it. On the disk before the host is touched"},
	{"mark", "call, index, data", "how far the action in hand is"},
	{"done", "call, index, kind, result", "the action was carried out"},
	{"skip", "call, index, kind", "the host was as the action wants it: nothing was done"},
	{"failed", "call, index, kind, error", "the action, or the look before it, failed"},
	{"finding", "severity, key, title, reason, remedy, step, pos, final, overridden", "a result of the preflight; overridden is why the admin goes on in spite of it"},
	{"grant", "path, why, class", "a path, or what else class says, was added to what the run may change; a server, to what it has connected to"},
	{"no-return", "text", "the next action cannot be undone"},
	{"step-done", "name, result or blob, finished", "a step has ended; finished, if it ended the run"},
	{"step-undo", "name", "what the unfinished step did is going to be undone"},
	{"restart", "name", "the step was undone, and begins again: its calls are others now"},
	{"rollback", "name, version", "a rollback begins; name is the step that it goes back to, empty for all"},
	{"restore", "builtin", "the rollback is about to load the database's dump; an intent, marks and a done with this record's number as call follow"},
	{"undone", "call, index, kind, differences", "an action was undone; differences are what is not as before"},
	{"step-undone", "name", "a step was undone as a whole"},
	{"verdict", "code, text, changes, ...", "how the run or the rollback ended; without it, it was cut short"},
	{"accept", "version", "the admin has accepted what the rollback left that is not as before"},
}

// JournalDoc documents the file and the records of a run's journal.
func JournalDoc() string {
	var b strings.Builder
	fmt.Fprintf(&b, `The journal of a run, format %d: /var/lib/zcp2kopano/runs/ID/journal

A text file that is only ever appended to, one record a line:

  line = CRC SP LENGTH SP JSON LF

  CRC     8 lower-case hexadecimal digits: CRC-32C (Castagnoli) of JSON
  LENGTH  bytes of JSON, decimal
  JSON    {"seq":N,"since":N,"time":T,"type":TYPE,"data":DATA}

seq counts from 0 without a gap. since is the first record that was not yet known to be on the disk
when this one was written; it is left out where that is the record itself. Record 0 has the type
"journal"; its data is {"format":%d,"program":VERSION}, the version that began the file. A version of
the program that does not know a format, a type, or a field says which version does, and changes
nothing.

A "read" is written together with the record behind it: what was read since the last one is lost to a
kill, and a resume asks it again.

A reader stops at the first line whose checksum, length or number is wrong. What is left of an
interrupted write at the end, on which nothing rests, is a torn tail: resume and rollback cut it off.
Damage before that is told and never gone over.

"zcp2kopano status --journal" shows the records, with --json one object a line, --verbose uncut.

Types, with the fields of their data:

`, journal.Format, journal.Format)
	for _, t := range recordTypes {
		fmt.Fprintf(&b, "  %-11s %s\n%s\n", t.name, t.data, indent(t.doc, 14, 100))
	}
	fmt.Fprintf(&b, "\nThe kinds of action, as kind names them:\n\n%s\n", indent(strings.Join(action.Kinds(), ", "), 2, 100))
	return b.String()
}

// indent wraps text into lines that begin with so many blanks.
func indent(text string, margin, width int) string {
	var lines []string
	line := strings.Repeat(" ", margin-1)
	for _, word := range strings.Fields(text) {
		if len(line)+1+len(word) > width && strings.TrimSpace(line) != "" {
			lines = append(lines, line)
			line = strings.Repeat(" ", margin-1)
		}
		line += " " + word
	}
	return strings.Join(append(lines, line), "\n")
}
