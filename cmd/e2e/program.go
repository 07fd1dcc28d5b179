package e2e

import (
	"os/exec"
	"slices"

	"zcp2kopano/runtime/host"
)

// Migration is a run of a runbook.
type Migration struct {
	// Runbook is a runbook's path in the root; empty for the stock runbook.
	Runbook string
	// Site tells that the runbook is a site's form of the stock one, and takes its parameters.
	Site bool
	// Repository is the name of a local repository to install from; empty for ServeDownloads.
	Repository string
	// URL and Key are of a repository that is none of these.
	URL, Key string
	// Forecast has the run say how long it takes; most tests do without.
	Forecast bool
	// Params are parameters beside those of the repository, "name=value".
	Params []string
}

// Migrate carries a migration out, for real.
func (r *Root) Migrate(m Migration) Result {
	r.t.Helper()
	return r.Finish(r.MigrateCommand(m))
}

// MigrateCommand is the command of a real migration, for Start or Finish.
func (r *Root) MigrateCommand(m Migration) *exec.Cmd {
	r.t.Helper()
	assent := []string{"--yes", "--no-forecast"}
	if m.Forecast {
		assent = assent[:1]
	}
	return r.program("run", append(assent, m.args()...)...)
}

// Zcp2kopano runs any command of the program.
func (r *Root) Zcp2kopano(args ...string) Result {
	r.t.Helper()
	return r.Finish(r.program(args[0], args[1:]...))
}

func (r *Root) program(name string, args ...string) *exec.Cmd {
	r.t.Helper()
	r.BindRepositories()
	r.InstallProgram()
	cmd := r.Command(Program, append([]string{name}, args...)...)
	cmd.Env = append(slices.Clone(environment), "REPO_PASSWORD="+RepoPassword, "NO_PASSWORD=")
	return cmd
}

// stock reports whether the stock runbook's parameters are taken.
func (m Migration) stock() bool { return m.Runbook == "" || m.Site }

// params are all parameters; those of the migration come last and win. A runbook of its own takes only
// its own.
func (m Migration) params() []string {
	if !m.stock() {
		return m.Params
	}
	base := []string{"repo_url=" + RepoBase, "repo_user=" + RepoUser}
	if m.Repository != "" {
		base = []string{"repo_url=" + RepoURL(m.Repository), "repo_user=", "repo_key=" + KeyFile}
	}
	if m.URL != "" {
		base = []string{"repo_url=" + m.URL, "repo_user=", "repo_key=" + m.Key}
	}
	return append(base, m.Params...)
}

// password is the secret parameter repo_password; a local repository takes none.
func (m Migration) password() host.Secret {
	if m.Repository+m.URL != "" {
		return host.NewSecret("")
	}
	return host.NewSecret(RepoPassword)
}

func (m Migration) args() []string {
	var args []string
	if m.Runbook != "" {
		args = append(args, m.Runbook)
	}
	for _, p := range m.params() {
		args = append(args, "--param", p)
	}
	if !m.stock() {
		return args
	}
	variable := "REPO_PASSWORD"
	if m.password().Empty() {
		variable = "NO_PASSWORD"
	}
	return append(args, "--secret", "repo_password=env:"+variable)
}
