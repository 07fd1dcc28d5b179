package shell

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
)

// fake is a machine with a few files. Commands whose name begins with "known" succeed, those with "fails"
// fail, "asks" has an answer that nobody knows, and all others are not known.
type fake struct {
	files  map[string]string
	ran    []string
	missed []Missed
}

func (f *fake) Run(c Command) (Result, error) {
	line := strings.Join(c.Args, " ")
	switch {
	case strings.HasPrefix(line, "known"):
		f.ran = append(f.ran, line)
		return Result{Out: Text{S: "said " + line + "\n"}}, nil
	case strings.HasPrefix(line, "fails"):
		f.ran = append(f.ran, line)
		return Result{Status: Status{Code: 4}}, nil
	case strings.HasPrefix(line, "asks"):
		return Result{Status: Status{Unknown: true}, Out: Text{Unknown: true}, Taint: []string{"RET"}}, nil
	case line == "breaks":
		return Result{}, fmt.Errorf("the disk has gone")
	}
	return Result{Unknown: true, Why: "not known"}, nil
}

func (f *fake) LookPath(name string) (string, bool, bool) {
	return "/bin/" + name, strings.HasPrefix(name, "known"), !strings.HasPrefix(name, "asks")
}
func (f *fake) Test(op byte, name string) (bool, bool) {
	_, is := f.files[name]
	return is, !strings.HasPrefix(name, "/proc")
}
func (f *fake) Same(string, string, string) (bool, bool) { return false, false }
func (f *fake) ReadFile(name string) (Text, error) {
	text, ok := f.files[name]
	if !ok {
		return Text{}, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return Text{S: text}, nil
}
func (f *fake) WriteFile(name string, content Text, extend bool, _ fs.FileMode) error {
	if !extend {
		f.files[name] = ""
	}
	f.files[name] += content.S
	if content.Unknown {
		f.files[name] += "?"
	}
	return nil
}
func (f *fake) ReadDir(string) ([]fs.DirEntry, error) { return nil, fs.ErrNotExist }
func (f *fake) Source(name string) (Library, error) {
	text, ok := f.files[name]
	return Library{Missing: !ok, Text: text, Known: text == "library"}, nil
}
func (f *fake) Missed(m Missed) { f.missed = append(f.missed, m) }

func follow(t *testing.T, text string) (*fake, Status, bool) {
	t.Helper()
	f := &fake{files: map[string]string{"/lib.sh": "known in the library\nx=library\n", "/there": "", "/library": "library"}}
	end, complete, err := Follow(f, Script{Text: text, Name: "p.postinst", Args: []string{"configure", ""}, Env: map[string]string{"PATH": "/bin"}})
	if err != nil {
		t.Fatal(err)
	}
	return f, end, complete
}

// TestNothingIsGuessed: what depends on something unknown is neither carried out nor left unsaid.
func TestNothingIsGuessed(t *testing.T) {
	cases := []struct {
		name, script string
		ran          string // commands carried out
		missed       string // code of what was not
		end          string
	}{
		{"a command", "known 1\nfrobnicate --all\nknown 2", "known 1, known 2", "frobnicate --all", "0"},
		{"a condition", "if frobnicate; then known 1; else known 2; fi; known 3", "known 3", "frobnicate, known 1, known 2", "0"},
		{"a condition that only speaks", "if asks; then echo yes; else echo no; fi; known", "known", "", "0"},
		{"or true", "frobnicate || true\nknown", "known", "frobnicate", "0"},
		{"or a command", "asks || known 1\nknown 2", "known 2", "known 1", "0"},
		{"and a command", "asks && known 1\nknown 2", "known 2", "known 1", "0"},
		{"or fail", "set -e\nasks || exit 1\nknown", "known", "exit 1", "0"},
		{"or end well", "asks || exit 0\nknown", "", "exit 0, the rest of the script", "?"},
		{"a condition that may end it", "if asks; then exit 0; fi\nknown", "", "exit 0, the rest of the script", "?"},
		{"a condition that may end it by a function", "done_() { exit 0; }\nif asks; then done_; fi\nknown", "", "done_, the rest of the script", "?"},
		{"a variable", "x=$(asks)\nknown $x\nknown 2", "known 2", "known $x", "0"},
		{"a variable set in a branch", "x=1\nif asks; then x=2; fi\nknown $x\nif [ $x = 1 ]; then known 2; fi", "", "x=2, known $x, known 2", "?"},
		{"a variable set by a command", "asks; known $RET", "", "known $RET", "?"},
		{"a case", "case $(asks) in a) known 1;; *) known 2;; esac", "", "case $(asks) in a) known 1 ;; *) known 2 ;; esac", "?"},
		{"a loop", "for i in $(asks); do known $i; done; known 2", "known 2", "for i in $(asks); do known $i; done", "0"},
		{"a loop with a condition", "while asks; do known 1; done", "", "while asks; do known 1; done", "?"},
		{"a test of a file that is not looked at", "if [ -e /proc/1 ]; then known 1; fi", "", "known 1", "?"},
		{"or of two", "if [ -e /proc/1 ] || [ -e /there ]; then known 1; fi", "known 1", "", "0"},
		{"or of two, neither known", "if [ -e /proc/1 ] || [ -e /none ]; then known 1; fi", "", "known 1", "?"},
		{"and of two", "if [ -e /proc/1 ] && [ -e /none ]; then known 1; else known 2; fi", "known 2", "", "0"},
		{"a test with a known answer", "if [ -e /proc/1 -o -e /there ]; then known 1; fi; if [ -e /proc/1 -a -e /none ]; then known 2; fi", "known 1", "", "0"},
		{"output that is not known", "echo $(asks) > /f; cat_() { :; }; known", "known", "", "0"},
		{"a file of a redirection", "known > $(asks)", "", "known >$(asks)", "?"},
		{"beside the script", "known 1 & known 2", "known 2", "known 1 &", "0"},
		{"a function", "f() { frobnicate \"$1\"; known \"$1\"; }\nf a b", "known a", `frobnicate "$1"`, "0"},
		{"a function that a branch declares", "f() { known 1; }\nif asks; then f() { known 2; }; fi\nf", "", "f() { known 2; }, f", "?"},
		{"read from nobody", "read x; known $x", "", "known $x", "?"},
		{"the number of a process", "known $$", "", "known $$", "?"},
		{"the home of a user of this machine", "known ~root/x", "", "known ~root/x", "?"},
		{"a pipe", "asks | while read x; do known $x; done", "", "while read x; do known $x; done", "?"},
		{"exit with what is not known", "asks\nexit $?", "", "", "?"},
		{"no script of the shell", "#!/usr/bin/perl\nprint 1;", "", "#!/usr/bin/perl", "?"},
		{"no program of the kind", "\x7fELF\x00\x01", "", "\x7fELF\x00\x01", "?"},
		{"not understood", "if then", "", "if then", "?"},
		{"without end", "while true; do known; done", "", "the rest of the script", "?"},
		{"calls itself", "f() { f; }; f", "", "the rest of the script", "?"},
		{"grows", "x=aaaaaaaaaaaaaaaa; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do x=$x$x; done; known $x", "", "known $x", "?"},
		{"a library", ". /library; known 1", "known 1", "", "0"},
		{"a file that is read in", ". /lib.sh; known $x", "known in the library, known library", "", "0"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f, end, complete := follow(t, c.script)
			var missed []string
			for _, m := range f.missed {
				missed = append(missed, m.Code)
			}
			if c.name == "without end" {
				f.ran = nil
			}
			if got := strings.Join(f.ran, ", "); got != c.ran {
				t.Errorf("carried out %q, want %q", got, c.ran)
			}
			if got := strings.Join(missed, ", "); got != c.missed {
				t.Errorf("missed %q, want %q", got, c.missed)
			}
			status := fmt.Sprint(end.Code)
			if end.Unknown {
				status = "?"
			}
			if status != c.end {
				t.Errorf("ended with %s, want %s", status, c.end)
			}
			if complete != (len(missed) == 0) {
				t.Errorf("complete: %v, with %q missed", complete, missed)
			}
		})
	}
}

// TestMachineErrorsEndAScript: what the machine cannot do is no status of a command, however deep it is.
func TestMachineErrorsEndAScript(t *testing.T) {
	for _, script := range []string{"breaks", "breaks || true", "x=$(breaks)", "known $(breaks)", "if breaks; then :; fi", "f() { breaks; }; f | known", "(breaks)", "trap breaks EXIT"} {
		_, _, err := Follow(&fake{files: map[string]string{}}, Script{Text: script})
		if err == nil || err.Error() != "the disk has gone" {
			t.Errorf("%s: %v", script, err)
		}
	}
}

// TestLines: what is missed names its line, and the file if it was read in.
func TestLines(t *testing.T) {
	f := &fake{files: map[string]string{"/lib.sh": "\n\nfrobnicate in it\n"}}
	if _, _, err := Follow(f, Script{Text: "known\n. /lib.sh\nif true; then\n\tfrobnicate here\nfi\n"}); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range f.missed {
		got = append(got, fmt.Sprint(m.Script, ":", m.Line, " ", m.Code))
	}
	if want := []string{"/lib.sh:3 frobnicate in it", ":4 frobnicate here"}; !slices.Equal(got, want) {
		t.Errorf("missed %q, want %q", got, want)
	}
}

// FuzzFollow: no text makes the reader panic, hang, or forget that it has missed something.
func FuzzFollow(f *testing.F) {
	for _, s := range []string{
		"set -e\ncase \"$1\" in configure) known ${2:-x} ;; esac\nexit 0\n", "f() { f; }; f", "while :; do :; done", "x=$((1+1)); echo ${x%1*} | read y",
		"cat <<EOF\n$x `known`\nEOF\n", "#!/bin/bash\n[[ a == b ]] && local x=(1 2)\nfor ((i=0;i<3;i++)); do :; done", "trap 'exit 3' 0; exec known >&2", "eval \"$(known)\"; . /lib.sh; set -- a b; shift 3",
		strings.Repeat("(", 5000), strings.Repeat("$(", 5000), strings.Repeat("if ", 5000), strings.Repeat("{ ", 5000), strings.Repeat("! ", 5000), strings.Repeat("a|", 5000), strings.Repeat("${x:-", 5000), strings.Repeat("$((", 3000),
		"echo {1..99999999}", "echo $((9**99999)) ${x:1:2} ${!x}", "x=/*/*/*/*/*; echo $x", "printf '%99999999s'", "\x00", "case x in (", "x() x", "\\",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m := &fake{files: map[string]string{"/lib.sh": text}}
		end, complete, err := Follow(m, Script{Text: text, Args: []string{"configure"}})
		if err != nil && err.Error() != "the disk has gone" {
			t.Fatalf("%q: %v", text, err)
		}
		if err == nil && complete != (len(m.missed) == 0) {
			t.Fatalf("%q: complete: %v, missed %d", text, complete, len(m.missed))
		}
		if end.Code < 0 || end.Code > 255 {
			t.Fatalf("%q ends with %d", text, end.Code)
		}
	})
}
