package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"zcp2kopano/runtime/host/live"
	"zcp2kopano/runtime/host/manifest"
)

// Ignored is what the end-to-end tests leave out of manifests: what is volatile anywhere, and what
// belongs to the bed. The database's files are compared as tables where it matters; the logs of
// daemons are theirs.
var Ignored = append(slices.Clone(manifest.Volatile), ReposDir, "/var/lib/mysql", Program,
	"/var/log/zarafa/*.log", "/var/log/kopano/*.log")

// tool is where a root has the test binary, while it takes a manifest.
const tool = "/dev/e2e"

// Manifest writes down the root's state, as the live host sees it from inside.
func (r *Root) Manifest(opts manifest.Options) *manifest.Manifest {
	r.t.Helper()
	r.copyTool()
	question, err := json.Marshal(opts)
	if err != nil {
		r.t.Fatal(err)
	}
	cmd := r.Command(tool, string(question))
	cmd.Env = append(slices.Clone(environment), role+"=manifest")
	res := r.Finish(cmd)
	m := new(manifest.Manifest)
	if err := json.Unmarshal([]byte(res.Output), m); res.Code != 0 || err != nil {
		r.t.Fatalf("manifest: exit status %d, %v: %.2000s", res.Code, err, res.Output)
	}
	return m
}

// State is the manifest that most tests compare.
func (r *Root) State() *manifest.Manifest {
	r.t.Helper()
	return r.Manifest(manifest.Options{Ignore: Ignored})
}

func (r *Root) copyTool() {
	r.t.Helper()
	if _, err := os.Lstat(r.Path(tool)); err == nil {
		return
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		r.t.Fatal(err)
	}
	r.WriteFile(tool, string(self), 0o755)
}

func manifestMain() {
	if err := printManifest(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "e2e: manifest:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func printManifest(question string) error {
	var opts manifest.Options
	if err := json.Unmarshal([]byte(question), &opts); err != nil {
		return err
	}
	view, err := live.OpenView("/")
	if err != nil {
		return err
	}
	defer view.Close()
	m, err := manifest.Take(view, opts)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(m)
}
