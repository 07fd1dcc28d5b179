package main

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
	"go.starlark.net/starlark"

	"zcp2kopano/builtins"
	"zcp2kopano/runtime/confine/confinetest"
	"zcp2kopano/runtime/script"
)

// hoardingMain is the program, with a builtin that asks for more memory than there is if the environment has HOARD: no
// bound of the language is in its way.
func hoardingMain() {
	if os.Getenv("HOARD") != "" {
		allBuiltins = func() []*script.Builtin {
			return append(builtins.All(), &script.Builtin{
				Name: "hoard", Doc: "Asks for more memory than there is.", Result: "None", Effect: script.Pure,
				Value: func(*script.Call) (starlark.Value, error) {
					return starlark.MakeInt(len(make([]byte, goruntime.NumCPU()<<45))), nil
				},
			})
		}
		workBuiltins = allBuiltins
	}
	main()
}

// hostileMain is the program with a builtin that goes around the host: it asks the kernel itself to
// change files. KERNEL names what kernel the program meets.
func hostileMain() {
	allBuiltins = func() []*script.Builtin {
		around := script.Builtin{
			Name: "around", Doc: "Changes files behind the host's back.",
			Params: []script.Param{{Name: "dir", Type: script.Path, Doc: "directory with a file in it"}},
			Result: "what succeeded", Effect: script.Read,
			Value: func(c *script.Call) (starlark.Value, error) {
				return starlark.String(cmp.Or(strings.Join(confinetest.Writes(c.String("dir")), ", "), "nothing")), nil
			},
		}
		early := around // can be called while modules load
		early.Name, early.Effect = "around_early", script.Pure
		return append(builtins.All(), &around, &early)
	}
	if os.Getenv(guardedKey) == "" && !slices.Contains(os.Args, attemptName) && !slices.Contains(os.Args, asideName) { // else the parent did, and it holds here
		if err := confinetest.Pretend(confinetest.Kernels[os.Getenv("KERNEL")]); err != nil {
			fmt.Fprintln(os.Stderr, "cannot pretend to be another kernel:", err)
			os.Exit(1)
		}
	}
	main()
}

// unchanged wants a directory to be as it was when the script asked for the first time: names, modes,
// owners, sizes, all times but those of reading, and contents.
func unchanged(ts *testscript.TestScript, neg bool, args []string) {
	now := ""
	err := filepath.WalkDir(ts.MkAbs(args[0]), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		var content []byte
		if d.Type().IsRegular() {
			if content, err = os.ReadFile(path); err != nil {
				return err
			}
		}
		st := info.Sys().(*syscall.Stat_t)
		now += fmt.Sprintln(path, info.Mode(), st.Uid, st.Gid, st.Nlink, st.Size, st.Mtim, st.Ctim, string(content))
		return nil
	})
	ts.Check(err)
	kept := filepath.Join(ts.Getenv("WORK"), ".before-"+filepath.Base(args[0]))
	before, err := os.ReadFile(kept)
	if os.IsNotExist(err) {
		ts.Check(os.WriteFile(kept, []byte(now), 0o600))
		return
	}
	ts.Check(err)
	if now != string(before) {
		ts.Fatalf("%s was\n%sand is\n%s", args[0], before, now)
	}
}
