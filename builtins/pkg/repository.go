package pkg

import (
	"fmt"
	"net/url"
	"path"
	"regexp"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/packagesystem"
	"zcp2kopano/runtime/script"
)

// repo is a source of packages: a repository to configure, or a directory of package files to
// install from directly.
type repo struct {
	host.Repository
	kind string // kindRepository or kindFiles
}

// The kinds of repo.
const (
	kindRepository = "repository"
	kindFiles      = "files"
)

const repoDoc = "what pkg.repository or pkg.local_repository returned"

var repository = &script.Builtin{
	Name: "pkg.repository",
	Doc: "Describes a repository of packages. Nothing is written or asked yet.\n\n" +
		"User name and password are kept out of the list of sources, which everyone can read. The key is the " +
		"repository's public key: a URL (https; fetched with the same user and password), the path of a file, or the " +
		"ASCII-armoured text. With neither key nor trusted, the package manager must already know the signer.",
	Params: []script.Param{
		{Name: "name", Type: script.String, Doc: "name of its files: lower-case letters, digits and -"},
		{Name: "url", Type: script.String, Doc: "https://, http:// or file: URL, without user and password"},
		{Name: "suite", Type: script.String, Doc: "suite; one that ends in / names a directory of a flat repository", Optional: true, Default: `"./"`},
		{Name: "components", Type: script.Strings, Doc: "components; none for a flat repository", Optional: true, Default: "[]"},
		{Name: "user", Type: script.String, Doc: "user name", Optional: true, Default: `""`, Keyword: true},
		{Name: "password", Type: script.SecretT, Doc: "password", Optional: true, Keyword: true},
		{Name: "key", Type: script.String, Doc: "public key of the signer: URL, path or text", Optional: true, Default: `""`, Keyword: true},
		{Name: "trusted", Type: script.Bool, Doc: "take packages without a signature: for a directory on this machine", Optional: true, Default: "False", Keyword: true},
		{Name: "priority", Type: script.Int, Doc: "prefer it: apt_preferences(5) priority for all it offers, where 500 is usual; 0 leaves it alone", Optional: true, Default: "0", Keyword: true},
	},
	Result: "record(kind, name, url, suite, components, user, password, key, trusted, priority)",
	Effect: script.Pure,
	Example: `
base = "https://download.kopano.io/supported/core:/final/Debian_8.0/"
repo = pkg.repository("kopano", base, user = "serial", key = base + "Release.key")
print(repo.url)
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		r := repo{kind: kindRepository, Repository: host.Repository{
			Name: c.String("name"), URL: c.String("url"), Suite: c.StringOr("suite", "./"),
			Components: c.Strings("components"), User: c.String("user"), Password: c.Secret("password"),
			Key: c.String("key"), Trusted: c.Bool("trusted", false), Priority: c.Int("priority", 0),
		}}
		if err := r.check(); err != nil {
			return nil, c.Errorf("%w", err)
		}
		return r.value(), nil
	},
}

var (
	validName  = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)
	validField = regexp.MustCompile(`^[^\s\[\]#]+$`)
)

func (r repo) check() error {
	if !validName.MatchString(r.Name) {
		return fmt.Errorf("name %q: use lower-case letters, digits and -", r.Name)
	}
	if r.kind == kindFiles {
		return nil
	}
	u, err := url.Parse(r.URL)
	switch {
	case err != nil:
		return fmt.Errorf("url: %w", host.WithoutURL(err))
	case u.User != nil:
		return fmt.Errorf("url holds a user or password, which everyone could read: give them as user and password, apart from the URL")
	case u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "file":
		return fmt.Errorf("url %q: want https://, http:// or file: before it", r.URL)
	case u.Scheme != "file" && u.Host == "":
		return fmt.Errorf("url %q names no host", r.URL)
	case !validField.MatchString(r.URL):
		return fmt.Errorf("url %q holds a character that a list of sources cannot hold (blank, [, ] or #)", r.URL)
	case !validField.MatchString(r.Suite):
		return fmt.Errorf("suite %q: want one word", r.Suite)
	case strings.HasSuffix(r.Suite, "/") && len(r.Components) > 0:
		return fmt.Errorf("suite %q is that of a flat repository, which has no components", r.Suite)
	case !strings.HasSuffix(r.Suite, "/") && len(r.Components) == 0:
		return fmt.Errorf("suite %q needs components, like [\"main\"]; a flat repository has a suite that ends in /", r.Suite)
	case r.User == "" && !r.Password.Empty():
		return fmt.Errorf("a password needs a user")
	case r.Trusted && r.Key != "":
		return fmt.Errorf("give either key or trusted: a trusted repository's signature is not looked at")
	case r.Priority < -1 || r.Priority > 2000:
		return fmt.Errorf("priority %d is out of range (-1 to 2000)", r.Priority)
	}
	for _, component := range r.Components {
		if !validField.MatchString(component) {
			return fmt.Errorf("component %q: want one word", component)
		}
	}
	return r.Check()
}

func (r repo) value() *starlarkstruct.Struct {
	return script.NewRecord(map[string]any{
		"kind": r.kind, "name": r.Name, "url": r.URL, "suite": r.Suite, "components": r.Components,
		"user": r.User, "password": r.Password, "key": r.Key, "trusted": r.Trusted, "priority": r.Priority,
	})
}

// repoOf reads a parameter that takes a record of pkg.repository or pkg.local_repository.
func repoOf(c *script.Call, param string) (repo, error) {
	rec, ok := c.Value(param).(*starlarkstruct.Struct)
	if !ok {
		return repo{}, c.Errorf("argument %s: got %s; pass %s", param, c.Value(param).Type(), repoDoc)
	}
	f := fields{rec: rec}
	r := repo{kind: f.text("kind"), Repository: host.Repository{
		Name: f.text("name"), URL: f.text("url"), Suite: f.text("suite"),
		Components: f.texts("components"), User: f.text("user"), Password: f.secret("password"),
		Key: f.text("key"), Trusted: f.truth("trusted"), Priority: f.number("priority"),
	}}
	if f.missing != "" {
		return repo{}, c.Errorf("argument %s: it has no %s; pass %s", param, f.missing, repoDoc)
	}
	if err := r.check(); err != nil {
		return repo{}, c.Errorf("argument %s: %w", param, err)
	}
	return r, nil
}

// fields reads a record; missing is the first field that is not there or of another type.
type fields struct {
	rec     *starlarkstruct.Struct
	missing string
}

func field[T starlark.Value](f *fields, name string) (v T) {
	attr, err := f.rec.Attr(name)
	if err == nil {
		if typed, ok := attr.(T); ok {
			return typed
		}
	}
	if f.missing == "" {
		f.missing = name
	}
	return v
}

func (f *fields) text(name string) string { return string(field[starlark.String](f, name)) }
func (f *fields) truth(name string) bool  { return bool(field[starlark.Bool](f, name)) }

func (f *fields) number(name string) int64 {
	n, _ := field[starlark.Int](f, name).Int64()
	return n
}

func (f *fields) secret(name string) host.Secret {
	return field[script.SecretValue](f, name).Secret
}

func (f *fields) texts(name string) []string {
	list := field[*starlark.List](f, name)
	if list == nil {
		return nil
	}
	var texts []string
	for i := range list.Len() {
		s, _ := list.Index(i).(starlark.String)
		texts = append(texts, string(s))
	}
	return texts
}

// trustedSource judges what of a repository lies on this host and no signature covers: its key, and the directory of
// one that is taken without.
func trustedSource(c *script.Call, r host.Repository) error {
	if path.IsAbs(r.Key) {
		if err := c.Trust(r.Key); err != nil {
			return err
		}
	}
	dir := host.Source{URL: r.URL}.Dir()
	if dir == "" || !r.Trusted {
		return nil
	}
	entries, err := c.View.ReadDir(dir)
	if err != nil {
		return nil // who reads it says why
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name
	}
	return trusted(c, dir, names)
}

// prepare renders a repository for the host's package manager.
func prepare(c *script.Call, r repo) (host.RepositorySetup, error) {
	m, err := c.View.PackageManager()
	if err != nil {
		return host.RepositorySetup{}, c.Errorf("%w", err)
	}
	if err := trustedSource(c, r.Repository); err != nil {
		return host.RepositorySetup{}, c.Errorf("%w", err)
	}
	if !strings.HasPrefix(r.URL, "file:") {
		at, err := host.ServerAt(r.URL)
		if err == nil {
			err = c.Connect(at)
		}
		if err != nil {
			return host.RepositorySetup{}, c.Errorf("%w", err)
		}
	}
	s, err := packagesystem.Of(m.Name).Setup(c.Context(), c.View, m.Version, r.Repository)
	if err != nil {
		return host.RepositorySetup{}, c.Errorf("%s: %w", r.Name, err)
	}
	return s, nil
}

var probe = &script.Builtin{
	Name: "pkg.probe",
	Doc: "Checks a repository before it is configured: that it answers, is signed as it should be, and offers the packages named.\n\n" +
		"Do this before anything is removed. The host's own lists and sources are left alone.",
	Params: []script.Param{
		{Name: "repo", Type: script.Any, Doc: repoDoc},
		{Name: "packages", Type: script.Strings, Doc: "packages that it must offer"},
	},
	Result: "record(offers, missing, known, problem, keys): offers is a dict of names and newest versions; known is False where a simulated " +
		"host cannot ask, and then offers is what it assumes; problem is \"\", or why the repository cannot be used, and then all are missing; " +
		"keys are the fingerprints of the keys that it is to be signed by",
	Effect:   script.Read,
	Volatile: true,
	Example: `
repo = pkg.repository("kopano", "https://download.kopano.io/supported/core:/final/Debian_8.0/")
answer = pkg.probe(repo, ["kopano-server", "kopano-utils"])
if answer.problem or answer.missing:
    inhibit("the repository cannot be used", reason = answer.problem or "it lacks %s" % answer.missing, remedy = "see the parameters repo_user and repo_password")
`,
	Value: func(c *script.Call) (starlark.Value, error) {
		r, err := repoOf(c, "repo")
		if err != nil {
			return nil, err
		}
		answer, keys, err := ask(c, r, c.Strings("packages"))
		problem := ""
		if err != nil {
			if c.Context().Err() != nil {
				return nil, err
			}
			problem, answer.Missing = err.Error(), c.Strings("packages")
		}
		return script.NewRecord(map[string]any{
			"offers": answer.Offers, "missing": answer.Missing, "known": answer.Known, "problem": problem, "keys": keys,
		}), nil
	},
}

// ask asks a repository for packages; keys are the fingerprints of those that it is to be signed by.
func ask(c *script.Call, r repo, packages []string) (answer host.RepositoryAnswer, keys []string, err error) {
	if r.kind == kindFiles {
		answer, err = askFiles(c, r, packages)
		return answer, nil, err
	}
	s, err := prepare(c, r)
	if err != nil {
		return answer, nil, err
	}
	answer, err = c.View.ProbeRepository(c.Context(), host.RepositoryProbe{Files: s.Files, Packages: packages})
	if err != nil {
		return answer, s.Keys, c.Errorf("%s: %w", r.URL, err)
	}
	return answer, s.Keys, nil
}

var addRepository = &script.Builtin{
	Name: "pkg.add_repository",
	Doc: "Configures a repository and reads what it offers.\n\n" +
		"With apt it writes /etc/apt/sources.list.d/NAME.list, the key to /etc/apt/keyrings/NAME.gpg (apt before 1.1: " +
		"/etc/apt/trusted.gpg.d/NAME.gpg), user name and password to /etc/apt/auth.conf.d/NAME.conf (apt before 1.8: a line in " +
		"/etc/apt/auth.conf), mode 0600, and the priority to /etc/apt/preferences.d/NAME.pref. With yum and dnf it writes " +
		"/etc/yum.repos.d/NAME.repo, with zypper /etc/zypp/repos.d/NAME.repo, mode 0600 where it holds user name and password, " +
		"and the key to RPM-GPG-KEY-NAME in /etc/pki/rpm-gpg or /etc/zypp/keys. The policy must allow these. " +
		"For a directory of package files there is nothing to do: pkg.install takes it as source.",
	Params: []script.Param{{Name: "repo", Type: script.Any, Doc: repoDoc}},
	Result: "None",
	Effect: script.Change,
	Example: `
repo = pkg.repository("kopano", "file:/srv/kopano/", trusted = True)
pkg.add_repository(repo)
`,
	Decide: func(c *script.Call) (script.Decision, error) {
		none := script.Decision{Result: starlark.None}
		r, err := repoOf(c, "repo")
		if err != nil || r.kind == kindFiles {
			return none, err
		}
		s, err := prepare(c, r)
		if err != nil {
			return none, err
		}
		var actions []action.Action
		for _, dir := range s.Dirs {
			if a, err := mkdirIfAbsent(c, dir); err != nil {
				return none, c.Errorf("%w", err)
			} else if a != nil {
				actions = append(actions, a)
			}
		}
		for _, f := range s.Files {
			actions = append(actions, writeConfig(f))
		}
		actions = append(actions, refreshSource(s.Source))
		return script.Decision{Actions: actions, Result: starlark.None}, nil
	},
}
