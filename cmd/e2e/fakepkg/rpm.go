package fakepkg

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// RPM is an rpm package to be built.
type RPM struct {
	Name    string
	Epoch   string
	Version string // "1" if empty
	Release string // "1" if empty
	Native  bool   // of this machine's architecture; "noarch" if not
	Vendor  string
	Summary string
	// Requires to Obsoletes are relations as a spec file has them, parted by commas.
	Requires, Provides, Conflicts, Obsoletes string
	Files                                    []RPMFile
	// Scripts are scriptlets by name: pre, post, preun, postun, "triggerpostun -- NAME".
	Scripts map[string]string
}

// RPMFile is a file with the directives before its path in the spec: "%config(noreplace)", "%ghost".
type RPMFile struct {
	File
	Directive string
	Owner     string // "kopano,kopano"; root's if empty
}

// RPMBuilder makes rpm packages and repositories in a directory. It needs rpmbuild and createrepo_c.
type RPMBuilder struct{ work string }

// NewRPMBuilder works in a temporary directory; close it.
func NewRPMBuilder() (*RPMBuilder, error) {
	work, err := os.MkdirTemp("", "rpmbuild")
	return &RPMBuilder{work}, err
}

// Close removes the temporary directory.
func (b *RPMBuilder) Close() error { return os.RemoveAll(b.work) }

// WriteRepository writes packages and the lists of a repository to dir. With a signer, the packages and
// the lists are signed.
func (b *RPMBuilder) WriteRepository(dir string, packages []RPM, signer *Signer) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, p := range packages {
		if err := b.Build(dir, p); err != nil {
			return err
		}
	}
	if signer != nil {
		if err := signer.signRPMs(dir); err != nil {
			return err
		}
	}
	return index(dir, signer)
}

// ExtendRepository writes a repository that has what the one in base has, in the place of which some packages come.
func (b *RPMBuilder) ExtendRepository(dir, base string, packages []RPM, signer *Signer) error {
	if err := b.WriteRepository(dir, packages, signer); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(base, "*.rpm"))
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := os.Link(file, filepath.Join(dir, filepath.Base(file))); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return index(dir, signer)
}

// index writes the lists of a repository, and with a signer their signature.
func index(dir string, signer *Signer) error {
	if err := run(nil, "createrepo_c", "--quiet", dir); err != nil {
		return err
	}
	if signer == nil {
		return nil
	}
	list := filepath.Join(dir, "repodata", "repomd.xml")
	data, err := os.ReadFile(list)
	if err != nil {
		return err
	}
	signature, err := signer.gpg(data, "--armor", "--detach-sign")
	if err != nil {
		return err
	}
	key, err := signer.Key()
	return errors.Join(err, os.WriteFile(list+".asc", signature, 0o644), os.WriteFile(list+".key", key, 0o644))
}

// Build writes one package file to dir, as NAME-VERSION-RELEASE.ARCH.rpm.
func (b *RPMBuilder) Build(dir string, p RPM) error {
	stage, err := os.MkdirTemp(b.work, "stage")
	if err != nil {
		return err
	}
	for _, f := range p.Files {
		if err := stageFile(stage, f.File); err != nil {
			return err
		}
	}
	spec := filepath.Join(stage, "package.spec")
	if err := os.WriteFile(spec, []byte(p.spec(stage)), 0o644); err != nil {
		return err
	}
	return run(nil, "rpmbuild", "--quiet", "-bb", "--define", "_topdir "+b.work, "--define", "_rpmdir "+dir,
		"--define", "_dbpath "+filepath.Join(b.work, "db"), "--define", "_buildhost build.example.org",
		"--define", "_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm", "--define", "_binary_payload w1.gzdio", spec)
}

func stageFile(stage string, f File) error {
	path := filepath.Join(stage, "root", f.Path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	switch {
	case f.Mode.IsDir():
		return os.MkdirAll(path, 0o755)
	case f.Mode&fs.ModeSymlink != 0:
		return os.Symlink(f.Target, path)
	}
	return os.WriteFile(path, f.Content, 0o644)
}

func (p RPM) spec(stage string) string {
	var s strings.Builder
	s.WriteString("%global debug_package %{nil}\n%global __os_install_post %{nil}\n") // what it packs stays as it is
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&s, "%s: %s\n", name, value)
		}
	}
	or := func(value, otherwise string) string {
		if value == "" {
			return otherwise
		}
		return value
	}
	field("Name", p.Name)
	field("Epoch", p.Epoch)
	field("Version", or(p.Version, "1"))
	field("Release", or(p.Release, "1"))
	field("Summary", or(p.Summary, p.Name))
	field("License", "AGPL-3.0")
	field("Vendor", p.Vendor)
	if !p.Native {
		field("BuildArch", "noarch")
	}
	field("AutoReqProv", "no")
	field("Requires", p.Requires)
	field("Provides", p.Provides)
	field("Conflicts", p.Conflicts)
	field("Obsoletes", p.Obsoletes)
	fmt.Fprintf(&s, "%%description\n%s\n%%install\nmkdir -p %%{buildroot}\n[ ! -d %[2]s/root ] || cp -a %[2]s/root/. %%{buildroot}/\n", or(p.Summary, p.Name), stage)
	for _, name := range []string{"pre", "post", "preun", "postun", "triggerpostun -- " + p.Name} {
		if script := p.Scripts[name]; script != "" {
			fmt.Fprintf(&s, "%%%s\n%s\n", name, script)
		}
	}
	s.WriteString("%files\n")
	for _, f := range p.Files {
		directive := f.Directive
		if f.Mode.IsDir() {
			directive += " %dir"
		}
		if f.Mode&fs.ModeSymlink == 0 {
			directive += fmt.Sprintf(" %%attr(%o,%s)", f.Mode.Perm(), or(f.Owner, "root,root"))
		}
		fmt.Fprintf(&s, "%s %s\n", strings.TrimSpace(directive), f.Path)
	}
	return s.String()
}

// signRPMs signs every package file in a directory.
func (s *Signer) signRPMs(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.rpm"))
	if err != nil || len(files) == 0 {
		return err
	}
	args := append([]string{"--addsign", "--define", "__gpg /usr/bin/gpg", "--define", "_gpg_name " + s.userID}, files...)
	return run(s.env(), "rpmsign", args...)
}

func run(env []string, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Env = append(env, "PATH=/usr/bin:/bin", "LC_ALL=C", "HOME=/nonexistent")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}
