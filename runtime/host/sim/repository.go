package sim

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"

	"zcp2kopano/runtime/host"
)

// repository is a line of the package manager's sources.
type repository struct {
	file string // where it is configured
	url  string // without user and password
	path string // below url: "./", or "dists/SUITE"
}

// dir is the directory of a repository on this host; empty if it is elsewhere.
func (r repository) dir() string {
	for _, scheme := range []string{"file:", "copy:", "dir:"} {
		if rest, ok := strings.CutPrefix(r.url, scheme); ok {
			return path.Join("/", strings.TrimPrefix(rest, "//"), r.path)
		}
	}
	return ""
}

// sourceFiles lists where the host's repositories are configured.
func (h *Host) sourceFiles() []string {
	if h.format() == RPM {
		return h.withSuffix(h.repoDir(), ".repo")
	}
	return append([]string{"/etc/apt/sources.list"}, h.withSuffix("/etc/apt/sources.list.d", ".list", ".sources")...)
}

func (h *Host) withSuffix(dir string, suffixes ...string) []string {
	var files []string
	for _, e := range h.entries(dir) {
		if slices.Contains(suffixes, path.Ext(e.Name)) {
			files = append(files, path.Join(dir, e.Name))
		}
	}
	return files
}

// repositories reads the sources of the package manager: .repo files, or both formats of
// sources.list(5).
func (h *Host) repositories() ([]repository, error) {
	var list []repository
	for _, file := range h.sourceFiles() {
		text, err := h.readFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, h.parseSources(file, string(text))...)
	}
	return list, nil
}

func (h *Host) parseSources(file, text string) []repository {
	switch path.Ext(file) {
	case ".sources":
		return parseDeb822Sources(file, text)
	case ".repo":
		return h.parseRepoFile(file, text)
	}
	var list []repository
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), "deb")
		if !ok || rest == "" || rest[0] != ' ' && rest[0] != '\t' && rest[0] != '[' {
			continue
		}
		if rest = strings.TrimSpace(rest); strings.HasPrefix(rest, "[") {
			_, rest, _ = strings.Cut(rest, "]")
		}
		if words := strings.Fields(rest); len(words) >= 2 {
			list = append(list, newRepository(file, words[0], words[1]))
		}
	}
	return list
}

func parseDeb822Sources(file, text string) []repository {
	stanzas, err := parseStanzas(text, 1)
	if err != nil {
		return nil
	}
	var list []repository
	for i := range stanzas {
		if strings.EqualFold(stanzas[i].get("Enabled"), "no") || !slices.Contains(strings.Fields(stanzas[i].get("Types")), "deb") {
			continue
		}
		for _, uri := range strings.Fields(stanzas[i].get("URIs")) {
			for _, suite := range strings.Fields(stanzas[i].get("Suites")) {
				list = append(list, newRepository(file, uri, suite))
			}
		}
	}
	return list
}

func newRepository(file, uri, suite string) repository {
	if u, err := url.Parse(uri); err == nil && u.User != nil {
		u.User = nil
		uri = u.String()
	}
	r := repository{file: file, url: strings.TrimSuffix(uri, "/"), path: "dists/" + suite}
	if strings.HasSuffix(suite, "/") {
		r.path = path.Clean(suite)
	}
	return r
}

// offers tells whether a package of a fixture or catalogue comes from a repository.
func (r repository) offers(p *Package) bool {
	return p.Repository != "" && globMatch(p.Repository, r.url)
}

// globMatch is path.Match in which "*" also matches slashes.
func globMatch(glob, name string) bool {
	parts := strings.Split(glob, "*")
	if len(parts) == 1 {
		return glob == name
	}
	if !strings.HasPrefix(name, parts[0]) {
		return false
	}
	name = name[len(parts[0]):]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(name, part)
		if i < 0 {
			return false
		}
		name = name[i+len(part):]
	}
	return strings.HasSuffix(name, parts[len(parts)-1])
}

// offered lists the packages that can be installed: those that the lists read last name, and those
// of the fixture that are on offer always. A package that one source knows hides what less exact
// ones say of the same version.
func (h *Host) offered() []*Package {
	if h.offers == nil {
		h.offers = h.collectOffers()
	}
	return h.offers
}

func (h *Host) collectOffers() []*Package {
	var all []*Package
	seen := map[string]bool{}
	take := func(p *Package) {
		if key := p.Name + "=" + p.Version; !seen[key] {
			seen[key] = true
			all = append(all, p)
		}
	}
	for _, p := range h.indexed {
		take(p)
	}
	for _, list := range [][]*Package{h.lists, h.catalog} {
		for _, p := range list {
			always := p.Repository == "" && !h.isCatalog(p)
			if always || slices.ContainsFunc(h.refreshed, func(r repository) bool { return r.offers(p) }) {
				take(p)
			}
		}
	}
	return all
}

func (h *Host) isCatalog(p *Package) bool { return slices.Contains(h.catalog, p) }

// RefreshPackages reads the configured repositories: those on this host in full, of the others what
// the fixture and the catalogue say. None is contacted.
func (h *Host) RefreshPackages(ctx context.Context, only []string, w *host.PackageWatch) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.awaitLock(ctx, w); err != nil {
		return err
	}
	repositories, err := h.repositories()
	if err != nil {
		return err
	}
	var errs []error
	for _, r := range repositories {
		if err := ctx.Err(); err != nil {
			return err
		}
		if len(only) > 0 && !slices.Contains(only, r.file) {
			continue
		}
		if err := h.refresh(r); err != nil {
			errs = append(errs, err)
		}
	}
	h.offers = nil
	h.unpredictPackageFiles()
	return errors.Join(errs...)
}

func (h *Host) refresh(r repository) error {
	if why, ok := h.deadRepositories[r.url]; ok {
		return h.managerError("Failed to fetch %s: %s", r.url, why)
	}
	if dir := r.dir(); dir != "" {
		list, err := h.readRepository(dir)
		if err != nil {
			return fmt.Errorf("repository %s (configured in %s): %w", r.url, r.file, err)
		}
		h.indexed = append(list, h.indexed...)
		return nil
	}
	if !slices.ContainsFunc(h.refreshed, func(have repository) bool { return have.url == r.url && have.path == r.path }) {
		h.refreshed = append(h.refreshed, r)
	}
	h.unpredict(host.Unpredicted{
		What:  "what the repository " + r.url + " offers",
		Why:   "a simulation contacts no repository; the fixture and the built-in catalogue stand in for it",
		Check: "the run asks the repository before anything is removed",
	})
	return nil
}

// readRepository reads the index of a repository and the package files that it names; of a flat one of
// Debian without an index, all package files in the directory.
func (h *Host) readRepository(dir string) ([]*Package, error) {
	if h.format() == RPM {
		return h.readRPMRepository(dir)
	}
	index, err := h.readIndex(dir)
	if err != nil {
		return nil, err
	}
	if index == nil {
		return h.readPackageDir(dir)
	}
	stanzas, err := parseStanzas(string(index), 1)
	if err != nil {
		return nil, fmt.Errorf("%s/Packages: %w", dir, err)
	}
	var list []*Package
	for i := range stanzas {
		file := stanzas[i].get("Filename")
		if p, err := h.packageFile(path.Join(dir, file)); file != "" && err == nil {
			list = append(list, p)
			continue
		}
		p, err := packageOf(&stanzas[i], Deb)
		if err != nil {
			return nil, fmt.Errorf("%s/Packages: %w", dir, err)
		}
		p.From = "package index " + dir + "/Packages"
		h.completePayload(p)
		list = append(list, p)
	}
	return list, nil
}

// completePayload takes the files of a package of which only the index entry is known from the
// fixture or the catalogue.
func (h *Host) completePayload(p *Package) {
	for _, list := range [][]*Package{h.lists, h.catalog} {
		for _, known := range list {
			if known.Name == p.Name && known != p && len(known.Files) > 0 {
				p.Files, p.Effects, p.Scripts, p.Conffiles, p.RunAs = known.Files, known.Effects, known.Scripts, known.Conffiles, known.RunAs
				p.From += "; files from " + known.From
				return
			}
		}
	}
}

func (h *Host) readIndex(dir string) ([]byte, error) {
	index, err := h.readFile(path.Join(dir, "Packages"))
	if err == nil {
		return index, nil
	}
	packed, err2 := h.readFile(path.Join(dir, "Packages.gz"))
	switch {
	case err2 == nil:
		z, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			return nil, fmt.Errorf("%s/Packages.gz: %w", dir, err)
		}
		return io.ReadAll(z)
	case errors.Is(err, fs.ErrNotExist) && errors.Is(err2, fs.ErrNotExist):
		return nil, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	return nil, err2
}

func (h *Host) readPackageDir(dir string) ([]*Package, error) {
	entries, err := h.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var list []*Package
	for _, e := range entries {
		if path.Ext(e.Name) != "."+string(h.format()) {
			continue
		}
		p, err := h.packageFile(path.Join(dir, e.Name))
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("neither an index nor a package file (.%s) is there", h.format())
	}
	return list, nil
}

// ProbeRepository answers for a repository on this host from its files. For any other the answer is
// what the fixture and the catalogue assume, and is marked so.
func (h *Host) ProbeRepository(ctx context.Context, probe host.RepositoryProbe) (host.RepositoryAnswer, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	answer := host.RepositoryAnswer{Offers: map[string]string{}, Known: true}
	var offered, indexed []*Package
	var remote []repository
	for _, file := range probe.Files {
		for _, r := range h.parseSources(file.Path, file.Content.Reveal()) {
			if err := ctx.Err(); err != nil {
				return answer, err
			}
			list, known, err := h.probe(r)
			if err != nil {
				return answer, err
			}
			offered = append(offered, list...)
			if r.dir() == "" {
				remote = append(remote, r)
			} else {
				indexed = append(indexed, list...)
			}
			answer.Known = answer.Known && known
		}
	}
	for _, name := range probe.Packages {
		var best *Package
		for _, p := range offered {
			if p.Name == name {
				best = newer(best, p)
			}
		}
		if best == nil {
			answer.Missing = append(answer.Missing, name)
			continue
		}
		answer.Offers[name] = best.Version
	}
	if probe.Tx == nil {
		return answer, nil
	}
	var err error
	answer.Solution, err = h.solveWith(remote, indexed, *probe.Tx)
	return answer, err
}

// solveWith solves an installation as if the lists of these repositories, and of these packages, had been
// read as well, and what the transaction removes were gone.
func (h *Host) solveWith(remote []repository, indexed []*Package, tx host.Transaction) (host.Solution, error) {
	defer func(refreshed []repository, packages map[string]*Package) {
		// What the machine's own index was asked meanwhile, it is not asked again.
		h.refreshed, h.indexed, h.offers, h.packages = refreshed, h.indexed[len(indexed):], nil, packages
	}(h.refreshed, h.packages)
	h.refreshed, h.indexed, h.offers = slices.Concat(h.refreshed, remote), slices.Concat(indexed, h.indexed), nil
	h.packages = maps.Clone(h.packages)
	for _, name := range tx.Remove {
		delete(h.packages, name)
	}
	tx.Remove = nil
	pl, err := h.solve(tx)
	if err != nil {
		return host.Solution{}, err
	}
	return h.solution(pl, tx), nil
}

func (h *Host) probe(r repository) (list []*Package, known bool, err error) {
	if why, ok := h.deadRepositories[r.url]; ok {
		return nil, true, fmt.Errorf("repository %s does not answer: %s", r.url, why)
	}
	if dir := r.dir(); dir != "" {
		list, err := h.readRepository(dir)
		if err != nil {
			return nil, true, fmt.Errorf("repository %s: %w", r.url, err)
		}
		return list, true, nil
	}
	for _, offers := range [][]*Package{h.lists, h.catalog} {
		for _, p := range offers {
			if r.offers(p) {
				list = append(list, p)
			}
		}
	}
	h.unpredict(host.Unpredicted{
		What:  "whether the repository " + r.url + " answers, and what it offers",
		Why:   "a simulation contacts no repository; the fixture and the built-in catalogue stand in for it",
		Check: "the run asks the repository before anything is removed",
	})
	return list, false, nil
}

// Download reads file URLs from this host, and others from the fixture. A file that the fixture does
// not have is not known.
func (h *Host) Download(ctx context.Context, address, _ string, _ host.Secret) ([]byte, error) {
	const limit = 1 << 20
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("download: the address cannot be parsed")
	}
	if u.Scheme == "file" {
		content, err := h.readFile(path.Clean(u.Path))
		if err == nil && len(content) > limit {
			return nil, fmt.Errorf("download %s: larger than 1 MiB", address)
		}
		return content, err
	}
	u.User = nil
	if content, ok := h.downloads[u.String()]; ok {
		return slices.Clone(content), nil
	}
	h.unpredict(host.Unpredicted{
		What:  "content of " + u.String(),
		Why:   "a simulation downloads nothing; an empty file of the kind stands in for it",
		Check: "the run downloads it before anything is removed",
	})
	switch path.Ext(u.Path) {
	case ".key", ".asc", ".gpg":
		for _, dir := range h.keyDirs() {
			h.unpredict(host.Unpredicted{What: "content of keys in " + dir, Why: "keys are not downloaded", Path: dir + "/*", Aspect: "content"})
		}
		return []byte(standInKey), nil
	}
	return nil, nil
}

// keyDirs are where the keys of repositories are kept.
func (h *Host) keyDirs() []string {
	if h.format() == RPM {
		return []string{"/etc/pki/rpm-gpg"}
	}
	return []string{"/etc/apt/keyrings", "/etc/apt/trusted.gpg.d"}
}

// standInKey has the form of a public key (RFC 4880), and is none.
const standInKey = `-----BEGIN PGP PUBLIC KEY BLOCK-----

mQAAbm90IGRvd25sb2FkZWQgaW4gYSBzaW11bGF0aW9u
-----END PGP PUBLIC KEY BLOCK-----
`
