package action

import (
	"reflect"
	"strings"
	"testing"

	"zcp2kopano/runtime/host"
)

// What is asked of actions is asked by type assertion: a method whose name or arguments change would silently answer
// nothing any more.
func TestWhatKindsAnswer(t *testing.T) {
	for kind, want := range map[string]string{
		"db.dump":        "Breakable Comparer Coster Detailer Dumper Unbounded",
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

// Every kind that keeps how a server is reached says which, so that it can be judged before.
func TestEveryConnectionIsJudged(t *testing.T) {
	found := 0
	for kind, make := range kinds {
		a := make()
		seen := map[reflect.Type]bool{}
		if kind == "pkg.commit" { // keeps how services were left, which connects to nothing
			seen[reflect.TypeFor[Service]()] = true
		}
		if !holdsConnection(reflect.TypeOf(a), seen) {
			continue
		}
		found++
		if _, ok := a.(Connector); !ok {
			t.Errorf("%s holds a connection, and is no Connector", kind)
		}
	}
	if found < 5 {
		t.Errorf("%d kinds hold a connection", found)
	}
	up := &Service{Works: &Works{Upgrade: &Upgrade{Database: Connection{Host: "db.example.org"}}}}
	restore := &Restore{Dump: Dump{Connection: Connection{Host: "db.example.org"}}}
	for _, a := range []Connector{up, restore} {
		if got, err := a.Servers(); err != nil || len(got) != 1 || got[0].String() != "db.example.org:3306" {
			t.Errorf("%T leads to %v, %v", a, got, err)
		}
	}
}

func holdsConnection(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return holdsConnection(t.Elem(), seen)
	case reflect.Struct:
		if t == reflect.TypeFor[Connection]() || t == reflect.TypeFor[Directory]() || t == reflect.TypeFor[host.DatabaseConn]() || t == reflect.TypeFor[host.DirectoryConn]() {
			return true
		}
		for i := range t.NumField() {
			if holdsConnection(t.Field(i).Type, seen) {
				return true
			}
		}
	}
	return false
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
	add("Unbounded", is[Unbounded](a))
	return strings.Join(all, " ")
}

func is[I any](a Action) bool {
	_, ok := a.(I)
	return ok
}
