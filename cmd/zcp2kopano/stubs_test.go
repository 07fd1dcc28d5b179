package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"zcp2kopano/runtime/story"
)

// What type checkers complained of: an annotation that names a function of the same file, a default that is not of
// its type, a function that promises a result and has a body.
const readStubs = `
import ast, sys
functions = 0
for name in sys.argv[1:]:
    tree = ast.parse(open(name).read(), name)
    own = {d.name for d in tree.body}
    assert len(own) == len(tree.body), name + ": a name twice"
    for d in tree.body:
        functions += 1
        at = name + ": " + d.name
        args = d.args.posonlyargs + d.args.args + d.args.kwonlyargs
        types = [a.annotation for a in args] + [d.returns]
        used = {n.id for t in types if t for n in ast.walk(t) if isinstance(n, ast.Name)}
        assert not used & own, at + ": " + str(used & own)
        assert ast.get_docstring(d), at
        assert ast.unparse(d.body[1]) == "..." and len(d.body) == 2, at
        late = d.args.args[len(d.args.args) - len(d.args.defaults):]
        for a, v in list(zip(late, d.args.defaults)) + list(zip(d.args.kwonlyargs, d.args.kw_defaults)):
            if a.annotation and v is not None and ast.unparse(v) == "None":
                assert "None" in ast.unparse(a.annotation), at + ": " + a.arg
print(functions)
`

// TestStubsArePython: Python itself reads the stubs of all that a runbook can call, and finds nothing to complain of.
func TestStubsArePython(t *testing.T) {
	python, err := exec.LookPath("/usr/bin/python3")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("there is no Python here to read them")
	}
	dir := t.TempDir()
	args := []string{"-c", readStubs}
	for name, text := range story.Stubs(stubbed()) {
		args = append(args, filepath.Join(dir, name))
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.CommandContext(t.Context(), python, args...).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
