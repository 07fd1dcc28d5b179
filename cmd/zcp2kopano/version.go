package main

import (
	"encoding/json"
	"fmt"
	goruntime "runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// version is set by the build: -ldflags "-X main.version=1.2.0".
var version = "1.0.0-dev"

func versionCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  zcp2kopano version\n  zcp2kopano version --json",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			if a.json {
				return json.NewEncoder(a.out).Encode(map[string]string{
					"version": version, "revision": revision(), "go": goruntime.Version(),
					"platform": goruntime.GOOS + "/" + goruntime.GOARCH,
				})
			}
			line := fmt.Sprintf("zcp2kopano %s %s/%s %s", version, goruntime.GOOS, goruntime.GOARCH, revision())
			_, err := fmt.Fprintln(a.out, strings.TrimSpace(line))
			return err
		},
	}
}

// revision is the commit that the program was built from, empty if the build did not record it.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}
