// Package shell reads the shell scripts that packages bring, and follows them on a machine that is not
// real. It evaluates what it understands, and reports the rest: a command that nobody knows, a
// condition whose answer is not known, words of the language that it does not speak. It never guesses:
// what depends on something unknown is unknown, and is not carried out.
//
// Nothing here touches the machine that the program runs on: files, commands and directories are all
// asked of a Machine.
package shell

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// Machine is what a script acts on.
type Machine interface {
	// Run carries out a command that is neither of the language nor a function of the script.
	Run(c Command) (Result, error)
	// LookPath finds a program as the shell does.
	LookPath(name string) (file string, found, known bool)
	// Test answers a test of one file: op is the letter of test(1).
	Test(op byte, name string) (is, known bool)
	// Same compares two files: op is "nt", "ot" or "ef".
	Same(op, a, b string) (is, known bool)
	ReadFile(name string) (Text, error)
	// WriteFile makes or extends a file, as a redirection does.
	WriteFile(name string, content Text, extend bool, umask fs.FileMode) error
	ReadDir(name string) ([]fs.DirEntry, error)
	// Source tells what a script reads in with ".".
	Source(name string) (Library, error)
	// Missed is called with what is not carried out.
	Missed(m Missed)
}

// Text is what a command writes or reads; its content can be unknown.
type Text struct {
	S       string
	Unknown bool
}

// Status is how a command ended.
type Status struct {
	Code    int
	Unknown bool
}

// Command is one that a Machine is to carry out.
type Command struct {
	Args  []string
	Stdin Text
	Vars  func(name string) string // of the script, as far as they are known
	Umask fs.FileMode
	Dir   string
	Line  uint
}

// Result is what came of it.
type Result struct {
	Status Status
	Out    Text
	Taint  []string // variables of the script that are not known any more
	// Unknown says that the command is not one that the machine knows, and why if it is one that it
	// knows otherwise. Leaves are the paths that it leaves open.
	Unknown bool
	Why     string
	Leaves  []Path
}

// Path is what stays open of a file.
type Path struct{ Name, Aspect string }

// Library is what is read in with ".".
type Library struct {
	Missing bool   // there is no such file
	Known   bool   // its commands are the machine's
	Text    string // else its text
	Opaque  string // why it is not read, if it is not
}

// Missed is something that a script does and that is not carried out.
type Missed struct {
	Script string // a file that was read in; empty for the script itself
	Line   uint
	Code   string
	Why    string
	Leaves []Path
}

// Limits of a script: what goes beyond them is not simulated.
const (
	maxScript = 256 << 10
	maxNest   = 100 // of functions, substitutions and files read in
	maxDepth  = 500 // of the language
	maxSteps  = 20000
	maxText   = 64 << 10
)

// Script is one to be followed.
type Script struct {
	Text string
	Name string // $0
	Args []string
	Env  map[string]string
}

// Follow follows a script to its end. A script that is not one of the shell, or that cannot be parsed,
// is missed as a whole. Complete reports whether all that it does was carried out.
func Follow(m Machine, s Script) (end Status, complete bool, err error) {
	in := &interp{shared: &shared{m: m}, env: newScope(s.Env), name: s.Name, args: s.Args, umask: 0o022, dir: "/"}
	file, why := parse(s.Text)
	if why != "" {
		in.missed = true
		m.Missed(Missed{Line: 1, Code: firstLine(s.Text), Why: why})
		return Status{Unknown: true}, false, nil
	}
	in.errexit = shebangOption(s.Text, 'e')
	err = in.file(file)
	var exit *exitError
	if errors.As(err, &exit) {
		in.status, err = exit.status, nil
	}
	if err == nil {
		err = in.runTrap()
	}
	return in.status, !in.missed, err
}

func parse(text string) (*syntax.File, string) {
	lang, ok := language(text)
	switch {
	case !ok:
		return nil, "it is not a script of the shell"
	case len(text) > maxScript:
		return nil, "it is too long to be followed"
	case nested(text) > maxDepth:
		return nil, "it is nested too deeply to be followed"
	}
	file, err := syntax.NewParser(syntax.Variant(lang)).Parse(strings.NewReader(text), "")
	if err != nil {
		return nil, "it is not understood: " + err.Error()
	}
	return file, ""
}

// language tells which shell a script is for. One without a first line of the kind is for sh.
func language(text string) (syntax.LangVariant, bool) {
	line, isScript := strings.CutPrefix(firstLine(text), "#!")
	if !isScript {
		return syntax.LangPOSIX, !strings.ContainsRune(text, 0) && text != ""
	}
	words := strings.Fields(line)
	if len(words) > 1 && strings.HasSuffix(words[0], "/env") {
		words = words[1:]
	}
	if len(words) == 0 {
		return 0, false
	}
	switch words[0][strings.LastIndexByte(words[0], '/')+1:] {
	case "sh", "dash", "ash":
		return syntax.LangPOSIX, true
	case "bash":
		return syntax.LangBash, true
	}
	return 0, false
}

func shebangOption(text string, option byte) bool {
	words := strings.Fields(firstLine(text))
	return len(words) > 1 && strings.HasPrefix(words[0], "#!") && strings.HasPrefix(words[1], "-") && strings.IndexByte(words[1], option) > 0
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return strings.TrimSpace(line)
}

// nested is a bound on how deeply a parser of this text calls itself.
func nested(text string) int {
	depth, deepest := 0, 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '(', '{', '`', '!':
			depth++
		case ')', '}', '\n':
			if text[i] != '\n' {
				depth = max(depth-1, 0)
			}
		}
		deepest = max(deepest, depth)
	}
	words := 0
	for _, w := range strings.Fields(text) {
		switch strings.Trim(w, ";") {
		case "if", "case", "while", "until", "for", "do":
			words++
		case "fi", "esac", "done":
			words = max(words-1, 0)
		}
		deepest = max(deepest, words)
	}
	return deepest
}

// exitError ends a script, returnError a function or a file that was read in, loopError a loop.
type (
	exitError   struct{ status Status }
	returnError struct{ status Status }
	loopError   struct {
		again bool // continue, not break
		n     int
	}
)

func (e *exitError) Error() string   { return fmt.Sprintf("exit %d", e.status.Code) }
func (e *returnError) Error() string { return fmt.Sprintf("return %d", e.status.Code) }
func (e *loopError) Error() string   { return "break or continue" }
