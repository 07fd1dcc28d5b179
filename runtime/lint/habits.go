package lint

import (
	"regexp"
	"strings"
)

// habit is what somebody writes who knows another language, and what a runbook has instead.
type habit struct {
	pattern *regexp.Regexp // of the line at fault, without what stands in strings
	hint    string
}

// lineHabits are those that do not parse. The first that fits the line is told.
var lineHabits = []habit{
	{re(`^\s*(try|except|finally)\b`), "there is no try: a failure ends the run, which can be resumed or rolled back; ask before instead, as with fs.exists, and look() lets a preflight go on"},
	{re(`^\s*raise\b`), "there is no raise: fail(\"why\") ends the run, inhibit(title, reason, remedy) refuses to begin"},
	{re(`^\s*(import|from)\b`), "there is no import: load(\"//lib/mine.star\", \"name\") takes names from another file, and `zcp2kopano doc` lists what is there without"},
	{re(`^\s*class\b`), "there are no classes: struct(name = value) makes a record, and functions work on it"},
	{re(`^\s*with\b`), "there is no with: fs.read and fs.write take a whole file at once"},
	{re(`^\s*(global|nonlocal)\b`), "there is no global: what a module defines cannot be changed later; return the value, and take it as a parameter"},
	{re(`^\s*del\b`), "there is no del: xs.remove(x), d.pop(key)"},
	{re(`^\s*assert\b`), "there is no assert: if not …: fail(\"why\")"},
	{re(`\byield\b`), "there are no generators: make a list and return it"},
	{re(`\b(async|await)\b`), "there is no async: builtins wait until what they do is done"},
	{re(`^\s*(while|until|loop)\b`), "there is no while: go through a list or range(n) with for; svc.start and others wait by themselves"},
	{re(`^\s*(switch|match|case)\b`), "there is no switch: if, elif and else, or a dict from value to function"},
	{re(`^\s*(else\s+if|elseif|elsif)\b`), "write elif"},
	{re(`^\s*(foreach|unless|function|func|fn|sub|var|let|const|my|local)\b`), "a function begins with def, a loop with for, and a variable is just assigned: x = 1"},
	{re(`^\s*@\w`), "there are no decorators: call the function by name"},
	{re(`\b[fF][rR]?("|')`), "there are no f-strings: \"%s is %d\" % (name, n), or \"{} is {}\".format(name, n)"},
	{re(`\b[uU]("|')`), "all text is Unicode: leave the u before the string out"},
	{re(`\bis\b`), "there is no is: write == and !=, also with None"},
	{re(`(<=?|>=?|==|!=)[^=<>()]*(<=?|>=?|==|!=)`), "comparisons are not chained: 1 < x and x < 3"},
	{re(`:=`), "there is no := within an expression: assign on a line of its own"},
	{re(`^\s*def\s+\w+\([^)]*\w\s*:\s*\w`), "there are no type annotations: def f(name, mode = None)"},
	{re(`\)\s*->`), "there are no type annotations: end the line of def with ):"},
	{re(`^\s*\w+\s*:\s*\w+(\[.*\])?\s*=[^=]`), "there are no type annotations: name = value"},
	{re(`\*\*\s*\w+\s*$|\w\s*\*\*\s*\w`), "there is no **: multiply, as in x * x; a power of two is 1 << n"},
	{re(`\+\+|--\s*$`), "there is no ++: x += 1"},
	{re(`&&|\|\|`), "write and, or"},
	{re(`!\s*[\w(]`), "write not"},
	{re(`<>`), "write !="},
	{re(`\b(except|catch)\b`), "there is no try: ask before, as with fs.exists"},
	{re(`^\s*print\s+\S`), "print is a function: print(x)"},
	{re(`\b0[0-7]+\b`), "a mode is text: mode = \"0640\"; an octal number is written 0o640"},
	{re(`^\s*(if|elif)\b[^=!<>]*[^=!<>]=[^=]`), "a comparison is written =="},
	{re(`^\s*\w+\s*=\s*\w+\s*=[^=]`), "one assignment a line: a = 1, then b = a"},
	{re(`\{[^:{}]*,[^:{}]*\}|\{\s*[^:{}\s]+\s*\}`), "braces make a dict, {key: value}; a set is set([1, 2])"},
	{re(`[“”„‘’«»]`), "these quotes come from a word processor: write \" instead"},
	{re(`\$\{?\w`), "variables have no $: name alone, and \"%s\" % name within text"},
	{re("`"), "there are no backquotes: run([\"/absolute/program\", \"argument\"]) runs a program that the policy lists"},
	{re(`\?.*:`), "write a if condition else b"},
	{re(`\{\s*$`), "blocks have no braces: end the line with a colon, and indent what belongs to it"},
	{re(`^\s*\}\s*$`), "blocks have no braces, they end where the indentation does; or a bracket is missing above"},
	{re(`^\s*(def|if|elif|else|for)\b.*[^:,(\[\s]\s*$`), "the line ends with a colon"},
	{re(`\blambda\b.*\bif\b|\bif\b[^:]*$`), "an if within an expression needs its else: a if condition else b"},
	{re(`^\s*else\b`), "else stands below its if, as far to the right; loops have none"},
}

// messageHabits go by what the parser or resolver says.
var messageHabits = []habit{
	{re(`conditional expression without else`), "write a if condition else b"},
	{re(`unexpected (newline|EOF) in string`), "a string ends on its line with the quotes that it began with; three double quotes hold several lines"},
	{re(`unindent does not match|got indent|got outdent, want indent`), "lines that belong together begin in the same column; four spaces a level"},
	{re(`got outdent|got end of file|unexpected EOF`), "a bracket is not closed, or a block is empty: pass stands where nothing is to be done"},
	{re(`want indent`), "what belongs to the line above is indented by four spaces; pass stands where nothing is to be done"},
	{re(`stray backslash|backslash`), "a path has /; within a string a backslash is written \\\\, and r\"…\" takes it as it stands"},
	{re(`for loop not within a function|if statement not within a function`), "only functions have for and if: put it into def, and call that; a list can be made by [f(x) for x in xs]"},
	{re(`does not support while`), "there is no while: go through a list or range(n) with for; svc.start and others wait by themselves"},
	{re(`cannot reassign (global|local|top-level)`), "a name at the top of a module is given once: choose another name, or make the value by a function"},
	{re(`load statement within`), "load stands at the top of the file"},
	{re(`names with leading underscores are not exported`), "what begins with an underscore is its module's own: take another function, or copy it"},
	{re(`positional argument may not follow`), "arguments without a name come first"},
	{re(`keyword argument .* is repeated`), "each argument is given once"},
	{re(`required parameter may not follow optional`), "parameters with a default come last"},
	{re(`return statement not within a function`), "return stands in a function; a module ends with runbook = define(…)"},
	{re(`not in a loop`), "break and continue stand within for; return ends a function"},
	{re(`keyword argument must have form`), "an argument is given as name = value"},
	{re(`can't assign to`), "at the left of = stands a name, x[key] or a tuple of names; == compares"},
	{re(`invalid syntax|got newline|want newline|want primary|got EOF`), "look for a missing bracket, comma or colon in this line or the one above"},
}

// nameHabits are names that other languages or programs have.
var nameHabits = map[string]string{
	"true": "write True", "false": "write False", "null": "write None", "nil": "write None", "none": "write None",
	"undefined": "write None", "NULL": "write None", "this": "there are no classes: a function gets what it needs as parameters", "self": "there are no classes: a function gets what it needs as parameters",
	"os": "there is no os: fs has files, host.facts() the system, svc the services, run() a program", "sys": "there is no sys: what a run has to know are its parameters; finish(reason) ends it early",
	"re":         "there are no regular expressions: startswith, endswith, split, partition and find of a string; fs.grep searches files",
	"subprocess": "run([\"/absolute/program\", \"argument\"]) runs a program that the policy lists", "shutil": "fs.copy, fs.move, fs.remove", "glob": "fs.find(dir, name = \"*.cfg\")",
	"time": "host.now() tells the time; builtins wait by themselves", "datetime": "host.now() tells the time", "logging": "info, warn and inhibit tell the admin", "sleep": "svc.start and others wait by themselves, until what they do is done",
	"open": "fs.read(path) and fs.write(path, content) take a whole file at once", "input": "a run asks nothing on its way: what it has to know is a param()",
	"exit": "finish(reason) ends a run in success, fail(reason) as failed", "quit": "finish(reason) ends a run in success, fail(reason) as failed",
	"isinstance": "type(x) == \"string\"", "issubclass": "there are no classes", "map": "[f(x) for x in xs]", "filter": "[x for x in xs if wanted(x)]", "reduce": "add up in a for loop", "sum": "add up in a for loop: total += x",
	"round": "int(x + 0.5)", "pow": "multiply, as in x * x", "divmod": "x // y and x % y", "format": "\"%s: %d\" % (name, n)", "next": "xs[0]", "iter": "go through it with for", "object": "struct(name = value) makes a record", "super": "there are no classes",
	"Exception": "there are no exceptions: fail(\"why\") ends the run", "ValueError": "there are no exceptions: fail(\"why\") ends the run", "frozenset": "set(xs)", "unicode": "str(x)", "basestring": "type(x) == \"string\"", "long": "int(x)", "xrange": "range(n)", "raw_input": "a run asks nothing on its way: what it has to know is a param()",
	"eval": "a runbook evaluates no text; json.decode reads data", "exec": "run([\"/absolute/program\", \"argument\"]) runs a program that the policy lists", "system": "run([\"/absolute/program\", \"argument\"]) runs a program that the policy lists", "shell": "run([\"/absolute/program\", \"argument\"]) runs a program that the policy lists",
	"globals": "a module's names are known: write the name", "locals": "a function's names are known: write the name", "vars": "dir(x) lists the fields of a record", "setattr": "a record cannot be changed: make a new one with struct()", "callable": "type(x) == \"function\"", "id": "compare values with ==", "echo": "print(x) writes a line, info() tells the admin", "puts": "print(x)", "printf": "print(\"%s\" % x)", "console": "print(x)",
	"requests": "web.reachable and pkg.probe look at a repository; a runbook contacts nothing else", "json5": "json", "math": "// divides whole numbers, % is the rest; there is no math", "random": "a run is the same each time: there is no random", "__name__": "a module ends with runbook = define(…); nothing else is called", "__file__": "load(\"//lib/mine.star\", \"name\") names modules from the runbook's own directory", "Path": "a path is a string that begins with /; text has dirname and basename",
	"yum": "pkg.install and pkg.remove, whichever package manager the host has", "apt": "pkg.install and pkg.remove, whichever package manager the host has", "systemctl": "svc.start, svc.stop, svc.enable, svc.disable", "mysql": "mysql.facts(conn), mysql.query(conn, …), mysql_dump(…)",
	"chmod": "chown(path, mode = \"0640\") sets owner and mode", "mkdir": "fs.mkdir(path)", "cp": "fs.copy(source, target)", "mv": "fs.move(source, target)", "rm": "fs.remove(path)",
}

// attributeHabits are methods and fields of other languages, by type and name, or name alone.
var attributeHabits = map[string]string{
	"list.sort": "xs = sorted(xs)", "list.reverse": "xs = reversed(xs)", "list.copy": "list(xs)", "list.count": "len([x for x in xs if x == y])", "list.push": "xs.append(x)", "list.add": "xs.append(x)", "list.length": "len(xs)", "list.size": "len(xs)", "list.join": "\", \".join(xs)", "list.map": "[f(x) for x in xs]", "list.filter": "[x for x in xs if wanted(x)]", "list.contains": "x in xs", "list.keys": "a list has no keys: range(len(xs))",
	"dict.has_key": "key in d", "dict.iteritems": "d.items()", "dict.iterkeys": "d.keys()", "dict.itervalues": "d.values()", "dict.copy": "dict(d)", "dict.add": "d[key] = value", "dict.append": "d[key] = value", "dict.remove": "d.pop(key)", "dict.fromkeys": "{k: None for k in keys}", "dict.length": "len(d)", "dict.sort": "sorted(d.items())", "dict.contains": "key in d",
	"string.format_map": "\"{a}\".format(**d)", "string.encode": "text is UTF-8 already", "string.decode": "text is UTF-8 already", "string.zfill": "\"0\" * (n - len(s)) + s", "string.ljust": "s + \" \" * (n - len(s))", "string.rjust": "\" \" * (n - len(s)) + s", "string.center": "\" \" * (n - len(s)) + s", "string.isnumeric": "s.isdigit()", "string.isdecimal": "s.isdigit()", "string.swapcase": "s.upper() or s.lower()", "string.casefold": "s.lower()", "string.trim": "s.strip()", "string.length": "len(s)", "string.size": "len(s)", "string.contains": "x in s", "string.substring": "s[1:3]", "string.substr": "s[1:3]", "string.append": "s + x", "string.expandtabs": "s.replace(\"\\t\", \"    \")", "string.translate": "s.replace(old, new)", "string.starts_with": "s.startswith(x)", "string.startsWith": "s.startswith(x)", "string.endsWith": "s.endswith(x)", "string.toLowerCase": "s.lower()", "string.toUpperCase": "s.upper()", "string.append_line": "s + x + \"\\n\"", "string.match": "startswith, endswith, split, partition and find; there are no regular expressions",
	"string.keys": "it is text: json.decode makes data of JSON", "string.get": "it is text: json.decode makes data of JSON", "string.name": "it is text, no record: use it as it is",
	"tuple.append": "a tuple cannot be changed: t + (x,), or a list",
	"set.append":   "s.add(x)", "set.len": "len(s)",
	"struct.get": "getattr(s, name, default)", "struct.keys": "dir(s)", "struct.items": "[(name, getattr(s, name)) for name in dir(s)]", "struct.values": "[getattr(s, name) for name in dir(s)]",
	"secret.upper": "nothing can be done with a secret but joining text: secret.text(\"login %s\", pw)",
}

func re(pattern string) *regexp.Regexp { return regexp.MustCompile(pattern) }

// hintFor finds what is meant by a line that does not parse.
func hintFor(line, message string) string {
	bare := withoutStrings(line)
	for _, h := range lineHabits {
		if h.pattern.MatchString(bare) {
			return h.hint
		}
	}
	return hintForMessage(message)
}

func hintForMessage(message string) string {
	for _, h := range messageHabits {
		if h.pattern.MatchString(message) {
			return h.hint
		}
	}
	return ""
}

var quoted = regexp.MustCompile(`"(\\.|[^"\\])*"|'(\\.|[^'\\])*'`)

// withoutStrings leaves of strings their quotes, and of comments nothing.
func withoutStrings(line string) string {
	line = quoted.ReplaceAllStringFunc(line, func(s string) string { return s[:1] + s[:1] })
	line, _, _ = strings.Cut(line, "#")
	return line
}
