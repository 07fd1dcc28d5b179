package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/bazelbuild/buildtools/build"
	"github.com/spf13/cobra"

	"zcp2kopano/runtime/exit"
)

func fmtCommand(a *app) *cobra.Command {
	var check bool
	cmd := &cobra.Command{
		Use:   "fmt [PATH...]",
		Short: "Format runbooks",
		Long: `Write runbooks (files, or all .star files below directories; the current directory by default) in
the usual layout. The names of the files that changed are printed. With --check nothing is written,
and the exit code is 1 if a file is not formatted.`,
		Example: `  zcp2kopano fmt site
  zcp2kopano fmt --check site/site.star`,
		RunE: func(_ *cobra.Command, args []string) error { return a.format(args, check) },
	}
	cmd.Flags().BoolVar(&check, "check", false, "only list what is not formatted")
	return cmd
}

func (a *app) format(paths []string, check bool) error {
	files, err := starFiles(paths)
	if err != nil {
		return err
	}
	changed := 0
	for _, name := range files {
		old, parsed, err := parseStar(name)
		if err != nil {
			return err
		}
		formatted := build.Format(parsed)
		if bytes.Equal(old, formatted) {
			continue
		}
		changed++
		if !check {
			if err := replaceFile(name, formatted); err != nil {
				return fmt.Errorf("fmt: %w", err)
			}
		}
		if err := a.list(name); err != nil {
			return err
		}
	}
	if check && changed > 0 {
		return ended{exit.Failed}
	}
	return nil
}

// list prints a file's name.
func (a *app) list(name string) error {
	if a.json {
		return json.NewEncoder(a.out).Encode(map[string]string{"file": name})
	}
	_, err := fmt.Fprintln(a.out, name)
	return err
}

// starFiles lists the runbook files that paths name, those below directories included.
func starFiles(paths []string) ([]string, error) {
	if len(paths) == 0 {
		paths = []string{"."}
	}
	var files []string
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			files = append(files, p)
			continue
		}
		err = filepath.WalkDir(p, func(name string, e fs.DirEntry, err error) error {
			if err == nil && e.IsDir() && name != p && strings.HasPrefix(e.Name(), ".") {
				return fs.SkipDir // what a fork remembers of its stock, and what version control does
			}
			if err == nil && e.Type().IsRegular() && strings.HasSuffix(name, ".star") {
				files = append(files, name)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no .star file in %s", strings.Join(paths, ", "))
	}
	return files, nil
}

// parseStar reads and parses a runbook with the formatter's own parser.
func parseStar(name string) ([]byte, *build.File, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, nil, err
	}
	parsed, err := build.ParseDefault(name, data)
	return data, parsed, err
}

// replaceFile writes a file again in one step, mode kept.
func replaceFile(name string, data []byte) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".fmt-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(info.Mode().Perm())
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
