package main

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"zcp2kopano/runbooks"
	"zcp2kopano/runtime/fork"
)

// siteFiles are what a site begins with.
//
//go:embed site.star site_test.star
var siteFiles embed.FS

func forkCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "fork DIR",
		Short: "Eject the stock runbooks into a directory, to make them your own",
		Long: `Write the stock runbooks, and a small site.star that customises one of them, into a new or empty
directory. They run as they are. Change site.star for a step more or less; change the copies for more.
The directory remembers what it came from, in .stock: "diff" shows what you have changed, and "merge"
brings a newer stock in. The stock's tests come along; "test" runs them.`,
		Example: `  zcp2kopano fork /root/site
  zcp2kopano simulate /root/site/site.star
  zcp2kopano diff /root/site`,
		Args: exactArg("the directory"),
		RunE: func(_ *cobra.Command, args []string) error {
			files, err := eject(args[0])
			if err != nil {
				return err
			}
			if a.json {
				return json.NewEncoder(a.out).Encode(map[string]any{"dir": args[0], "files": files})
			}
			for _, f := range files {
				fmt.Fprintln(a.out, f)
			}
			_, err = fmt.Fprintf(a.out, "\nnext: zcp2kopano simulate %s\n", filepath.Join(args[0], "site.star"))
			return err
		},
	}
}

// eject writes the stock runbooks and what a site begins with, and returns the files written.
func eject(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("fork: %s is not empty; name a new directory, so that nothing of yours is overwritten", dir)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("fork: %w", err)
	}
	var written []string
	err = fs.WalkDir(runbooks.FS, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || filepath.Ext(name) != ".star" {
			return err
		}
		data, err := fs.ReadFile(runbooks.FS, name)
		if err != nil {
			return err
		}
		written = append(written, filepath.Join(dir, name))
		return writeNew(filepath.Join(dir, name), data)
	})
	if err != nil {
		return nil, fmt.Errorf("fork: %w", err)
	}
	stock, err := fork.Stock(runbooks.FS)
	if err == nil {
		err = fork.Remember(dir, version, stock)
	}
	if err != nil {
		return nil, fmt.Errorf("fork: %w", err)
	}
	for _, name := range []string{"site_test.star", "site.star"} {
		text, err := siteFiles.ReadFile(name)
		if err == nil {
			err = writeNew(filepath.Join(dir, name), text)
		}
		if err != nil {
			return nil, fmt.Errorf("fork: %w", err)
		}
		written = append(written, filepath.Join(dir, name))
	}
	return written, nil
}

func writeNew(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}
