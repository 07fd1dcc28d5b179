package booktest

import (
	"slices"

	"zcp2kopano/runtime/script"
)

var (
	hostParam  = script.Param{Name: "host", Type: script.Any, Doc: "a test.host(), or a run, for the host that it has left"}
	bookParam  = script.Param{Name: "runbook", Type: script.Any, Doc: "a runbook: load(\"//site.star\", \"runbook\")"}
	aboutParam = script.Param{Name: "about", Type: script.String, Doc: "what a failure begins with: which of many it was", Optional: true, Keyword: true}
	dict       = func(name, doc string) script.Param {
		return script.Param{Name: name, Type: script.Dict, Doc: doc, Optional: true, Default: "{}", Keyword: true}
	}
	given = []script.Param{
		dict("params", "parameters, as on the command line: name to text"),
		dict("secrets", "secret parameters: name to text"),
		dict("overrides", "inhibitors that are overridden: key to reason"),
	}
	failAt = script.Param{Name: "fail_at", Type: script.Int, Doc: "the number of the change that fails, counted from 1", Optional: true, Keyword: true}
)

const runResult = `run: code, text (of the verdict), steps, skipped, changes ("step: change"), findings (of severity, key, title, reason, remedy, step, final, overridden), titles ("severity: title"), serious (titles of warnings and inhibitors), output, granted, not_simulated, no_return, results (of the steps, by name), story (as the console shows it), host (as it was left)`

// Builtins are what tests can call, beside what runbooks can.
func Builtins() []*script.Builtin {
	return []*script.Builtin{
		{
			Name: "test.host", Effect: script.Read, Value: makeHost,
			Doc: `A simulated host: a fixture, with edits.

No run changes it: each works on a copy.`,
			Params: []script.Param{
				{Name: "fixture", Type: script.Any, Doc: "a shipped one by its name, a file beside the test, the text of one, or another test.host()"},
				dict("files", "path to content; owner and mode of a file that was there stay"),
				dict("links", "path to what a symlink there names"),
				{Name: "remove", Type: script.Paths, Doc: "files that are not there", Optional: true, Default: "[]", Keyword: true},
				dict("packages", "name to the other lines of its paragraph, \"Version: 1\\nMaintainer: Example\"; empty for one that is not installed"),
				dict("available", "the same of packages that can be installed"),
				dict("services", "name to its words, like \"active enabled\"; empty for one that is not there"),
				dict("answers", "of the database: query to a line of columns and lines of rows"),
				dict("sections", "title to text: whole sections, as in testdata/hosts/README.md"),
				dict("replace", "text of the fixture, which must be there, to another"),
			},
			Result: "host",
			Example: `def test_disk():
    """A host with one more file."""
    h = test.host("debian8-zcp72", files = {"/etc/motd": "welcome\n"})
    test.equal(test.text(h, "/etc/motd"), "welcome\n")`,
		},
		{
			Name: "test.run", Effect: script.Read, Value: runBook("run"),
			Doc:    "Carry a runbook out on a copy of a host.",
			Params: slices.Concat([]script.Param{bookParam, hostParam}, given, []script.Param{{Name: "until", Type: script.String, Doc: "stop before this step, or before \"no-return\"", Optional: true, Keyword: true}, failAt}),
			Result: runResult,
			Example: `def test_greets():
    """The runbook says what it is told to."""
    def greet(words):
        """Greet."""
        info("hello", words)
    book = define(steps = [greet], params = [param("words", default = "", doc = "what is said")])
    run = test.run(book, test.host("debian8-zcp72"), params = {"words": "good morning"})
    test.equal(run.code, 0)
    test.finding(run, "info: hello", reason = "good morning")`,
		},
		{
			Name: "test.check", Effect: script.Read, Value: runBook("check"),
			Doc:    "Carry the preflight of a runbook out on a copy of a host, as `zcp2kopano check` does.",
			Params: slices.Concat([]script.Param{bookParam, hostParam}, given),
			Result: runResult,
		},
		{
			Name: "test.step", Effect: script.Read, Value: runStep,
			Doc: "Carry one step of a runbook out on a copy of a host.",
			Params: slices.Concat([]script.Param{
				bookParam, {Name: "step", Type: script.String, Doc: "its name"}, hostParam,
				dict("results", "of the earlier steps that it takes, by name"),
			}, given, []script.Param{failAt}),
			Result: runResult,
		},
		{
			Name: "test.call", Effect: script.Read, Value: callFunction,
			Doc: "Call any function in the place of a step, on a copy of a host.",
			Params: slices.Concat([]script.Param{
				{Name: "function", Type: script.Function, Doc: "the function"}, hostParam,
				{Name: "args", Type: script.Any, Doc: "list of its arguments by position", Optional: true, Default: "[]", Keyword: true},
				dict("named", "its arguments by name"),
				{Name: "allow", Type: script.Any, Doc: "policy() of what it may change; nearly everything if left out", Optional: true, Keyword: true},
				{Name: "looks", Type: script.Bool, Doc: "it is called in the place of the preflight, which changes nothing", Optional: true, Default: "False", Keyword: true},
			}, given, []script.Param{failAt}),
			Result: "run, with one field more: result",
		},
		{
			Name: "test.undone", Effect: script.Read, Value: undone,
			Doc:    "A run can be rolled back: the host is as it was before, with files, owners, modes, packages and services.",
			Params: []script.Param{{Name: "run", Type: script.Any, Doc: "a run, which may have failed or stopped"}, aboutParam},
			Result: "bool",
			Example: `def test_way_back():
    """Whatever change fails, the way back leads to where the run began."""
    def act():
        """Write two files."""
        fs.write("/etc/kopano/a", "a")
        fs.write("/etc/kopano/b", "b")
    book = define(steps = [act], allow = policy(write = ["/etc/kopano"]))
    for n in [1, 2]:
        run = test.run(book, test.host("debian8-zcp72", files = {"/etc/kopano/x": ""}), fail_at = n)
        test.equal(run.code, 1)
        test.undone(run)`,
		},
		{
			Name: "test.equal", Effect: script.Read, Value: equal,
			Doc:    "Two values are equal. The test goes on if not, and has failed.",
			Params: []script.Param{{Name: "got", Type: script.Any, Doc: "what there is"}, {Name: "want", Type: script.Any, Doc: "what is wanted"}, aboutParam},
			Result: "bool",
		},
		{
			Name: "test.true", Effect: script.Read, Value: isTrue,
			Doc:    "A value is true.",
			Params: []script.Param{{Name: "condition", Type: script.Any, Doc: "the value"}, aboutParam},
			Result: "bool",
		},
		{
			Name: "test.contains", Effect: script.Read, Value: holds(true),
			Doc:    "A text, or one of a list, or one of the keys of a dict, holds another.",
			Params: []script.Param{{Name: "got", Type: script.Any, Doc: "a text, list or dict"}, {Name: "part", Type: script.String, Doc: "what is wanted in it"}, aboutParam},
			Result: "bool",
		},
		{
			Name: "test.lacks", Effect: script.Read, Value: holds(false),
			Doc:    "A text, and each of a list, and each of the keys of a dict, does not hold another.",
			Params: []script.Param{{Name: "got", Type: script.Any, Doc: "a text, list or dict"}, {Name: "part", Type: script.String, Doc: "what must not be in it"}, aboutParam},
			Result: "bool",
		},
		{
			Name: "test.finding", Effect: script.Read, Value: finding,
			Doc: "A run has found something.",
			Params: []script.Param{
				{Name: "run", Type: script.Any, Doc: "a run"}, {Name: "title", Type: script.String, Doc: "part of \"severity: title\""},
				{Name: "reason", Type: script.String, Doc: "part of its reason", Optional: true, Keyword: true}, aboutParam,
			},
			Result: "the finding, or None",
		},
		{
			Name: "test.golden", Effect: script.Read, Value: golden,
			Doc:    "A text, or the story of a run, is what a file holds. With `zcp2kopano test --update` it is written there.",
			Params: []script.Param{{Name: "got", Type: script.Any, Doc: "a text or a run"}, {Name: "file", Type: script.String, Doc: "path from the directory of the test: \"golden/evening.txt\""}, aboutParam},
			Result: "bool",
		},
		{
			Name: "test.text", Effect: script.Read, Value: fileText,
			Doc:    "The content of a file of a host.",
			Params: []script.Param{hostParam, {Name: "path", Type: script.Path, Doc: "the file"}},
			Result: "text; None if it is not there",
		},
		{
			Name: "test.file", Effect: script.Read, Value: fileState,
			Doc:    "What a path of a host is. Symlinks are not followed.",
			Params: []script.Param{hostParam, {Name: "path", Type: script.Path, Doc: "the path"}},
			Result: "struct of type (file, dir, symlink, …), mode (\"0640\"), owner, group, size, target; None if it is not there",
		},
		{
			Name: "test.packages", Effect: script.Read, Value: packages,
			Doc:    "The packages of a host.",
			Params: []script.Param{hostParam},
			Result: "dict: name to version",
		},
		{
			Name: "test.services", Effect: script.Read, Value: services,
			Doc:    "The services of a host.",
			Params: []script.Param{hostParam},
			Result: "dict: name to \"active enabled\", \"enabled\", \"masked\", \"\"",
		},
		{
			Name: "test.entries", Effect: script.Read, Value: entries,
			Doc: "The entries of a host's directory.",
			Params: []script.Param{
				hostParam, {Name: "base", Type: script.String, Doc: "the DN below which they are"},
				{Name: "filter", Type: script.String, Doc: "which of them (RFC 4515)", Optional: true, Default: "\"(objectClass=*)\"", Keyword: true},
			},
			Result: "dict: DN to a dict of attributes, each a list",
		},
	}
}
