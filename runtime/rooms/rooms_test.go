// Package rooms tests how the house is divided: which room knows which, and who knows the kinds of action.
// ARCHITECTURE.md says why.
package rooms

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"zcp2kopano/runtime/action"
)

// A room is a folder, or with /... a folder and all below it.
type room struct {
	folder string
	knows  []string // the rooms that it may import
}

// rooms are all rooms. A folder belongs to the first that it fits.
var rooms = []room{
	{"runtime/host", nil},
	{"runtime/host/live", list("runtime/host runtime/host/...")},
	{"runtime/host/sim/...", list("runtime/host runtime/host/... runtime/host/sim/...")},
	{"runtime/host/...", list("runtime/host runtime/host/...")}, // what is true on both

	{"runtime/tree", list("runtime/host")},
	{"runtime/policy", list("runtime/host")},
	{"runtime/action", list("runtime/host runtime/host/... runtime/policy runtime/tree")},

	{"runtime/near", nil},
	{"runtime/exit", nil},
	{"runtime/script", list("runtime/action runtime/exit runtime/host runtime/host/... runtime/near")},
	{"runtime/runbook", list("runtime/action runtime/host runtime/host/... runtime/near runtime/policy runtime/script")},
	{"runtime/lint", list("runtime/near runtime/runbook runtime/script")},

	{"runtime/journal", nil},
	{"runtime/ways", list("runtime/near")},
	{"runtime/story", list("runtime/action runtime/exit runtime/host runtime/runbook runtime/script")},
	{"runtime/engine", list(`runtime/action runtime/exit runtime/host runtime/host/... runtime/journal runtime/near
		runtime/policy runtime/runbook runtime/script runtime/story runtime/ways`)},
	{"runtime/state", list("runtime/action runtime/engine runtime/host runtime/host/... runtime/journal runtime/story runtime/ways")},
	{"runtime/session", list("runtime/engine runtime/host runtime/host/... runtime/journal runtime/runbook runtime/script runtime/state runtime/story runtime/ways")},
	{"runtime/booktest", list(`runtime/engine runtime/exit runtime/host runtime/host/... runtime/host/sim/... runtime/journal runtime/near
		runtime/policy runtime/runbook runtime/script runtime/state runtime/story`)},
	{"runtime/fork", nil},
	{"runtime/confine/...", nil},

	{"builtins", list("builtins/* runtime/script")}, // the list of all
	{"builtins/internal/builtintest", list(`runtime/engine runtime/exit runtime/host runtime/host/sim/... runtime/journal
		runtime/runbook runtime/script runtime/state runtime/story`)},
	{"builtins/internal/...", list("runtime/host runtime/host/... runtime/script")},
	{"builtins/*", list("builtins/internal/... runtime/action runtime/host runtime/host/... runtime/policy runtime/script")}, // each a room, which knows no other

	{"runbooks", nil},
	{"testdata/...", nil},
	{"cmd/zcp2kopano", list(`builtins runbooks runtime/booktest runtime/confine/... runtime/engine runtime/exit runtime/fork runtime/host runtime/host/live
		runtime/host/sim/... runtime/host/... runtime/journal runtime/lint runtime/near runtime/runbook runtime/script runtime/session runtime/state
		runtime/story runtime/ways testdata/...`)},
}

// tests are folders of tests alone, which may know whatever they test.
var tests = list("cmd/e2e/...")

func list(names string) []string { return strings.Fields(names) }

func fits(folder, pattern string) bool {
	if above, ok := strings.CutSuffix(pattern, "/..."); ok {
		return folder == above || strings.HasPrefix(folder, above+"/")
	}
	fits, err := path.Match(pattern, folder)
	return fits && err == nil
}

// roomOf is the room that a folder belongs to; nil if it belongs to none.
func roomOf(folder string) *room {
	for i := range rooms {
		if fits(folder, rooms[i].folder) {
			return &rooms[i]
		}
	}
	return nil
}

const module = "zcp2kopano/"

func TestMain(m *testing.M) {
	if err := os.Chdir("../.."); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// What ARCHITECTURE.md says of files, functions and modules must be so.
func TestArchitectureIsTrue(t *testing.T) {
	data, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	for _, r := range rooms {
		folder := strings.TrimRight(strings.TrimSuffix(r.folder, "..."), "/*")
		if folder = strings.TrimPrefix(folder, "runtime/host/"); !strings.Contains(page, strings.TrimPrefix(folder, "runtime/")) {
			t.Errorf("it does not name the room %s", r.folder)
		}
	}
	paths := regexp.MustCompile("[`(]((?:cmd|builtins|runbooks|runtime|testdata)/[a-z0-9_./-]+)[`)]").FindAllStringSubmatch(page, -1)
	if len(paths) < 20 {
		t.Errorf("only %d paths are found in it", len(paths))
	}
	for _, m := range paths {
		if _, err := os.Stat(m[1]); err != nil {
			t.Errorf("it names %s, which is not there", m[1])
		}
	}
	requirements, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^\t(\S+) v\S+$`).FindAllStringSubmatch(string(requirements), -1) {
		if !strings.Contains(page, m[1]+" ") && !strings.Contains(page, m[1]+",") {
			t.Errorf("it does not say what module %s is for", m[1])
		}
	}
}

func TestImportsPointOneWay(t *testing.T) {
	for _, s := range sources(t) {
		from := roomOf(s.folder)
		if from == nil {
			t.Errorf("%s is in no room: list it, with the rooms that it may know", s.folder)
			continue
		}
		for _, i := range s.file.Imports {
			folder, ours := strings.CutPrefix(unquote(i.Path.Value), module)
			if !ours {
				continue
			}
			if to := roomOf(folder); to == nil || !slices.Contains(from.knows, to.folder) {
				t.Errorf("%s imports %s, and room %s knows only %s", s.name, folder, from.folder, strings.Join(from.knows, ", "))
			}
		}
	}
}

// A kind of action is known in its own room, and made by builtins. Whoever runs actions asks them, by the optional
// interfaces of package action, for what they can do.
func TestKindsAreNobodysBusiness(t *testing.T) {
	kinds, types := map[string]bool{}, map[string]bool{}
	for _, kind := range action.Kinds() {
		a, err := action.Decode(kind, []byte("{}"))
		if err != nil {
			t.Fatal(err)
		}
		kinds[kind], types[reflect.TypeOf(a).Elem().Name()] = true, true
	}
	if len(types) < 10 {
		t.Fatalf("only %d kinds of action are found", len(types))
	}
	for _, s := range sources(t) {
		if s.folder == "runtime/action" {
			continue
		}
		makes := fits(s.folder, "builtins/*")
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.TypeAssertExpr:
				if name := kindIn(n.Type, types); name != "" {
					s.fault(t, n, "tests whether an action is a %s", name)
				}
			case *ast.CaseClause:
				for _, e := range n.List {
					if name := kindIn(e, types); name != "" {
						s.fault(t, n, "tests whether an action is a %s", name)
					}
					if kind := kindText(e, kinds); kind != "" {
						s.fault(t, n, "tests whether an action's kind is %s", kind)
					}
				}
			case *ast.BinaryExpr:
				for _, e := range []ast.Expr{n.X, n.Y} {
					if kind := kindText(e, kinds); kind != "" && (n.Op == token.EQL || n.Op == token.NEQ) {
						s.fault(t, n, "tests whether an action's kind is %s", kind)
					}
				}
			case *ast.SelectorExpr:
				if name := kindIn(n, types); name != "" && !makes {
					s.fault(t, n, "names the kind %s; only builtins make actions", name)
				}
			}
			return true
		})
	}
}

// kindIn is the kind of action that an expression names: action.Write or *action.Write.
func kindIn(e ast.Expr, types map[string]bool) string {
	if star, ok := e.(*ast.StarExpr); ok {
		e = star.X
	}
	selector, ok := e.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	if x, ok := selector.X.(*ast.Ident); !ok || x.Name != "action" || !types[selector.Sel.Name] {
		return ""
	}
	return selector.Sel.Name
}

func kindText(e ast.Expr, kinds map[string]bool) string {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING || !kinds[unquote(lit.Value)] {
		return ""
	}
	return unquote(lit.Value)
}

func unquote(s string) string {
	text, err := strconv.Unquote(s)
	if err != nil {
		return ""
	}
	return text
}

// source is a file of the program, tests left out.
type source struct {
	name   string
	folder string
	file   *ast.File
	set    *token.FileSet
}

func (s source) fault(t *testing.T, n ast.Node, format string, args ...any) {
	t.Helper()
	t.Errorf("%s: %s", s.set.Position(n.Pos()), fmt.Sprintf(format, args...))
}

func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && name != "." || d.Name() == "testdata" && path.Dir(name) != ".") {
			return fs.SkipDir
		}
		folder := path.Dir(name)
		ofTests := slices.ContainsFunc(tests, func(p string) bool { return fits(folder, p) })
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || ofTests {
			return nil
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		all = append(all, source{name, folder, file, set})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 100 {
		t.Fatalf("only %d files found", len(all))
	}
	return all
}
