package live

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/rpm"
)

// rpmTransaction is a transaction without what is done already.
type rpmTransaction struct {
	remove    []string
	install   []rpmSpec
	options   host.Transaction // its two switches
	installed map[string]host.Package
	offline   bool // no repository is needed
}

// rpmSpec is a package to install.
type rpmSpec struct {
	name    string
	version string     // empty for the newest
	file    string     // of a package file
	header  rpm.Record // of the file
	older   bool       // than what is installed
}

func (p rpmTransaction) empty() bool { return len(p.remove)+len(p.install) == 0 }

// files counts the package files among what is to be installed.
func (p rpmTransaction) files() int {
	n := 0
	for _, s := range p.install {
		if s.file != "" {
			n++
		}
	}
	return n
}

// pending leaves out of a transaction what is done already: on names that are not installed the fronts
// disagree, zypper fails and yum succeeds. rpm has no purge; what it leaves of edited configuration
// files has another name (.rpmsave).
func (v rpms) pending(tx host.Transaction) (rpmTransaction, error) {
	p := rpmTransaction{options: host.Transaction{NoRecommends: tx.NoRecommends, Downgrade: tx.Downgrade}}
	if err := host.CheckPackageNames(tx.Remove); err != nil {
		return p, err
	}
	if err := host.CheckPackageNames(tx.Install); err != nil {
		return p, err
	}
	packages, err := v.packagesByName()
	if err != nil {
		return p, err
	}
	p.installed = packages
	for _, name := range tx.Remove {
		if _, known := packages[name]; known {
			p.remove = append(p.remove, name)
		}
	}
	for _, text := range tx.Install {
		spec, err := v.spec(text)
		if err != nil {
			return p, err
		}
		now, there := packages[spec.name]
		if there && spec.version == now.Version {
			continue
		}
		spec.older = there && spec.version != "" && rpm.Compare(spec.version, now.Version) < 0
		if spec.older && !tx.Downgrade {
			return p, &host.SolveError{Summary: "the transaction would install an older version", Lines: []string{
				fmt.Sprintf("%s %s is installed, %s is asked for", spec.name, now.Version, spec.version)}}
		}
		p.install = append(p.install, spec)
	}
	return p, nil
}

func (v rpms) spec(text string) (rpmSpec, error) {
	if !strings.HasPrefix(text, "/") {
		name, version, _ := strings.Cut(text, "=")
		return rpmSpec{name: name, version: version}, nil
	}
	header, err := v.rpmFile(text)
	if err != nil {
		return rpmSpec{}, err
	}
	return rpmSpec{name: header.Package.Name, version: header.Package.Version, file: text, header: header}, nil
}

// Solve has the front say what it would do.
func (v rpms) Solve(tx host.Transaction) (host.Solution, error) {
	p, err := v.pending(tx)
	if err != nil || p.empty() {
		return host.Solution{}, err
	}
	front, err := v.front()
	if err != nil {
		return host.Solution{}, err
	}
	_, solution, err := v.settle(front, p)
	return solution, err
}

// settle solves a transaction without repositories where package files and removals may do, as when a run is
// taken back: a repository that no longer answers then does no harm. Only if they do not suffice it
// turns to the repositories.
func (v rpms) settle(front rpmFront, p rpmTransaction) (rpmTransaction, host.Solution, error) {
	if p.offline = p.files() == len(p.install); p.offline {
		solution, err := v.solve(front, p)
		if err == nil || len(p.install) == 0 || !errors.As(err, new(*host.SolveError)) {
			return p, solution, err
		}
		p.offline = false
	}
	solution, err := v.solve(front, p)
	return p, solution, err
}

// String is the package, and the file that holds it.
func (s rpmSpec) String() string {
	text := strings.TrimSpace(s.name + " " + s.version)
	if s.file != "" {
		text += " from " + s.file
	}
	return text
}

// solve sees that the answer has all that was asked for: fronts pass over names that they do not know.
func (v rpms) solve(front rpmFront, p rpmTransaction) (host.Solution, error) {
	s, err := front.solve(p)
	if err != nil {
		return s, err
	}
	coming := map[string]string{}
	for _, c := range append(s.Install[:len(s.Install):len(s.Install)], s.Upgrade...) {
		coming[c.Name] = c.Version
	}
	going := map[string]bool{}
	for _, c := range s.Remove {
		going[c.Name] = true
	}
	var lacks []string
	for _, spec := range p.install {
		version, comes := coming[spec.name]
		_, there := p.installed[spec.name]
		switch {
		case comes && (spec.version == "" || rpm.SameVersion(version, spec.version)):
		case !comes && there && spec.version == "" && !going[spec.name]:
		default:
			lacks = append(lacks, "it would not install "+spec.String())
		}
	}
	for _, name := range p.remove {
		if !going[name] {
			lacks = append(lacks, "it would not remove "+name)
		}
	}
	if len(lacks) > 0 {
		return s, &host.SolveError{Summary: "the package manager finds the transaction impossible", Lines: lacks}
	}
	return s, nil
}

// CommitPackages solves the transaction once more, refuses one that would remove more than it lists,
// carries it out and looks at the result.
func (h rpmsWriter) CommitPackages(ctx context.Context, tx host.Transaction, w *host.PackageWatch) error {
	r := h.rpms
	p, err := r.pending(tx)
	if err != nil || p.empty() {
		return err
	}
	front, err := r.front()
	if err != nil {
		return err
	}
	var solution host.Solution
	err = h.turn.take(ctx, w, func() error {
		p, solution, err = r.settle(front, p)
		return err
	})
	if err != nil {
		return err
	}
	if err := tx.RefuseExtra(solution.Remove); err != nil {
		return err
	}
	var got answer
	err = h.turn.take(ctx, w, func() error {
		got, err = front.commit(ctx, p, w)
		return err
	})
	if err != nil {
		return h.m.files.withoutSpace(err)
	}
	return scriptletFailed(got.Stdout+"\n"+got.Stderr, tx, r.verify(tx, solution))
}

// withoutSpace puts before a failure that no space is left where packages lie, if that is so: of the fronts, some tell of it last
// and some not at all.
func (s *space) withoutSpace(err error) error {
	for _, dir := range []string{"/", "/usr", "/var", "/etc", "/opt"} {
		if fs, failed := s.Statfs(dir); failed == nil && fs.Total > 0 && fs.Free < leastSpace {
			return fmt.Errorf("no space is left on the file system of %s: %w", dir, err)
		}
	}
	return err
}

// leastSpace is what a package manager cannot do without.
const leastSpace = 1 << 20

// scriptletFailed puts the scriptlet that failed before what is wrong after a transaction. One that runs when its package is
// in place (%post) keeps no manager from calling that a success: then it is all that is wrong. On the way back nothing more
// comes of that; it was told.
func scriptletFailed(said string, tx host.Transaction, wrong error) error {
	cause := scriptletCause(said)
	switch {
	case cause == "", wrong == nil && (tx.Downgrade || !strings.HasPrefix(cause, "%post(")):
		return wrong
	case wrong == nil:
		wrong = errors.New("its package is installed all the same, and rpm runs no scriptlet a second time; do by hand what it was to do, then resume, or roll back")
	}
	return &host.ScriptError{Cause: cause, Err: wrong}
}

func (v rpms) verify(tx host.Transaction, s host.Solution) error {
	packages, err := v.Packages()
	if err != nil {
		return err
	}
	have := map[string][]string{}
	for _, p := range packages {
		have[p.Name] = append(have[p.Name], p.Version)
	}
	var wrong []string
	for _, name := range tx.Remove {
		if len(have[name]) > 0 {
			wrong = append(wrong, name+" is still installed")
		}
	}
	for _, c := range append(s.Install[:len(s.Install):len(s.Install)], s.Upgrade...) {
		if !contains(have[c.Name], c.Version) {
			wrong = append(wrong, fmt.Sprintf("%s %s is not installed", c.Name, c.Version))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("the package manager reports success, but %s; see its log in /var/log", strings.Join(wrong, ", "))
}

// RefreshPackages rereads the lists of the repositories that the files configure, or of all.
func (h rpmsWriter) RefreshPackages(ctx context.Context, only []string, w *host.PackageWatch) error {
	front, err := h.rpms.front()
	if err != nil {
		return err
	}
	if len(only) == 0 {
		return h.turn.take(ctx, w, func() error { return front.refresh(ctx, nil, w) })
	}
	for _, file := range only {
		sections, err := h.rpms.repoFile(file)
		if err != nil {
			return err
		}
		if err := h.trustKeys(ctx, sections); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		var ids []string
		for _, s := range sections {
			ids = append(ids, s.ID)
		}
		if err := h.turn.take(ctx, w, func() error { return front.refresh(ctx, ids, w) }); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return nil
}

// repoFile reads the enabled repositories of a .repo file.
func (v rpms) repoFile(file string) ([]rpm.Section, error) {
	data, err := v.m.files.readFile(file)
	if err != nil {
		return nil, fmt.Errorf("refresh the package lists of %s: %w", file, err)
	}
	var enabled []rpm.Section
	for _, s := range rpm.ParseSections(string(data)) {
		if s.Enabled() {
			enabled = append(enabled, s)
		}
	}
	if len(enabled) == 0 {
		return nil, fmt.Errorf("refresh the package lists of %s: it has no enabled repository", file)
	}
	return enabled, nil
}

// trustKeys has rpm know the keys that repositories name as theirs: yum and dnf would import them when
// they meet the first package, zypper would ask somebody.
func (h rpmsWriter) trustKeys(ctx context.Context, sections []rpm.Section) error {
	s, err := h.m.files.newScratch("/run", "/tmp")
	if err != nil {
		return err
	}
	defer s.remove()
	return h.rpms.importKeys(ctx, s, sections)
}
