package action

import (
	"strings"
	"testing"
)

// What is asked of actions is asked by type assertion: a method whose name or arguments change would silently answer
// nothing any more.
func TestWhatKindsAnswer(t *testing.T) {
	for kind, want := range map[string]string{
		"db.dump":        "Breakable Comparer Coster Detailer Dumper",
		"db.restore":     "Breakable Coster Detailer",
		"chown":          "Comparer Coster Detailer Newcomer",
		"fs.copy":        "Comparer Coster Detailer",
		"fs.mkdir":       "Comparer Recorder",
		"fs.move":        "Comparer Coster Detailer",
		"fs.presync":     "Comparer Coster Detailer",
		"fs.remove":      "Comparer Detailer",
		"fs.symlink":     "Comparer Recorder",
		"fs.write":       "Comparer Detailer Recorder",
		"ldap.convert":   "Breakable Comparer Coster Detailer Newcomer",
		"pkg.commit":     "Breakable Comparer Coster Detailer PackageTransaction Recorder ServiceKeeper",
		"pkg.refresh":    "Breakable Coster",
		"pkg.repair":     "Breakable",
		"program.run":    "Breakable Comparer Coster DatabaseChanger Detailer Leaver Messenger Recorder",
		"svc.reload":     "Repeater",
		"svc.set":        "Breakable Comparer Coster DatabaseChanger ServiceKeeper ServiceSetter Teller",
		"tree.give-back": "Comparer DatabaseRester Detailer Teller",
		"tree.keep":      "Comparer DataKeeper Detailer Teller",
	} {
		if kinds[kind] == nil {
			t.Errorf("no kind %s", kind)
			continue
		}
		if got := answers(kinds[kind]()); got != want {
			t.Errorf("%s answers as %s, want %s", kind, got, want)
		}
	}
}

func answers(a Action) string {
	var all []string
	add := func(name string, ok bool) {
		if ok {
			all = append(all, name)
		}
	}
	add("Breakable", is[Breakable](a))
	add("Comparer", is[Comparer](a))
	add("Coster", is[Coster](a))
	add("DataKeeper", is[DataKeeper](a))
	add("DatabaseChanger", is[DatabaseChanger](a))
	add("DatabaseRester", is[DatabaseRester](a))
	add("Detailer", is[Detailer](a))
	add("Dumper", is[Dumper](a))
	add("Leaver", is[Leaver](a))
	add("Messenger", is[Messenger](a))
	add("Newcomer", is[Newcomer](a))
	add("PackageTransaction", is[PackageTransaction](a))
	add("Recorder", is[Recorder](a))
	add("Repeater", is[Repeater](a))
	add("ServiceKeeper", is[ServiceKeeper](a))
	add("ServiceSetter", is[ServiceSetter](a))
	add("Teller", is[Teller](a))
	return strings.Join(all, " ")
}

func is[I any](a Action) bool {
	_, ok := a.(I)
	return ok
}
