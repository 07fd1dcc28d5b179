package live

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/packagelock"
	"zcp2kopano/runtime/host/rpm"
)

// yum is yum 3 or dnf 4, whose command line and words are much the same.
type yum struct {
	m       *machine
	rpms    rpms
	program string
	extra   []string // options for a transaction
	scratch string   // the cache that they name; empty for the host's
}

// yumOptions keep both from doing more than they are told, and make the lists at hand good enough: what
// is solved and what is committed rest on the same ones.
var yumOptions = []string{
	"--setopt=metadata_expire=never",
	"--setopt=clean_requirements_on_remove=False", // dnf removes what it believes to be no longer needed
	"--setopt=exit_on_lock=True",
}

func (y yum) manager() (host.PackageManager, error) {
	version, err := y.rpms.frontVersion(y.program)
	if err != nil {
		return host.PackageManager{}, err
	}
	name := "yum"
	if y.isDNF() {
		name = "dnf"
	}
	return host.PackageManager{Name: name, Version: version}, nil
}

// isDNF follows the name: dnf is itself a link to dnf-3, and yum one to either where dnf has replaced it.
func (y yum) isDNF() bool {
	target, err := y.m.files.Readlink(y.program)
	return strings.HasPrefix(path.Base(y.program), "dnf") || err == nil && strings.HasPrefix(path.Base(target), "dnf")
}

func (y yum) pidFiles() []string {
	return []string{
		"/var/run/yum.pid",
		"/var/lib/dnf/rpmdb_lock.pid", "/var/cache/dnf/metadata_lock.pid", "/var/cache/dnf/download_lock.pid",
	}
}

func (y yum) repoDirs() []string { return rpm.YumRepoDirs }

func (y yum) cache() string {
	if y.isDNF() {
		return "/var/cache/dnf"
	}
	return "/var/cache/yum"
}

func (y yum) lists() ([]repositoryList, error) {
	sections, err := y.rpms.repositories(y.repoDirs())
	if err != nil {
		return nil, err
	}
	return y.listsBelow(y.cache(), sections), nil
}

// listsBelow finds the directory of each repository in a cache: ID-HASH (dnf, the newest one counts), or
// ARCH/RELEASE/ID (yum 3).
func (y yum) listsBelow(cache string, sections []rpm.Section) []repositoryList {
	var lists []repositoryList
	for _, s := range sections {
		var newest host.Stat
		dir := ""
		for _, candidate := range y.m.files.below(cache, 3) {
			name := path.Base(candidate)
			if name != s.ID && !hashedName(name, s.ID) {
				continue
			}
			for _, index := range []string{candidate + "/repodata/repomd.xml", candidate + "/repomd.xml"} {
				if st, err := y.m.files.Stat(index); err == nil && (dir == "" || st.Mtime.After(newest.Mtime)) {
					newest, dir = st, candidate
				}
			}
		}
		if dir != "" {
			lists = append(lists, repositoryList{s.ID, dir})
		}
	}
	return lists
}

// hashedName reports whether it is ID, a hyphen, and the digest by which dnf tells addresses apart.
func hashedName(name, id string) bool {
	digest, ok := strings.CutPrefix(name, id+"-")
	return ok && len(digest) == 16 && strings.Trim(digest, "0123456789abcdef") == ""
}

// below lists the directories down to a depth.
func (s *space) below(dir string, depth int) []string {
	if depth == 0 {
		return nil
	}
	entries, _ := s.ReadDir(dir)
	var dirs []string
	for _, e := range entries {
		if e.Type.IsDir() {
			dirs = append(append(dirs, dir+"/"+e.Name), s.below(dir+"/"+e.Name, depth-1)...)
		}
	}
	return dirs
}

func (y yum) run(ctx context.Context, w *host.PackageWatch, args ...string) (answer, error) {
	return y.m.managePackages(ctx, w, nil, command{Path: y.program, Args: args, Env: rpmEnv})
}

// words are the options and the command of a transaction. What asks for more than one command goes into a file
// of commands (yum-shell(8)) in the scratch directory.
func (y yum) words(p rpmTransaction, s *scratch) ([]string, error) {
	var install, older []string
	for _, spec := range p.install {
		word := spec.name
		switch {
		case spec.file != "":
			word = spec.file
		case spec.version != "":
			word += "-" + rpm.WithoutEpoch(spec.version)
		}
		if spec.older {
			older = append(older, word)
		} else {
			install = append(install, word)
		}
	}
	options := slices.Concat(yumOptions, y.extra)
	if y.isDNF() && p.options.NoRecommends {
		options = append(options, "--setopt=install_weak_deps=False")
	}
	if p.offline {
		options = append(options, "--disablerepo=*")
	}
	var commands [][]string
	for _, command := range [][]string{append([]string{"remove"}, p.remove...), append([]string{"install"}, install...), append([]string{"downgrade"}, older...)} {
		if len(command) > 1 {
			commands = append(commands, command)
		}
	}
	if len(commands) == 1 {
		return append(options, commands[0]...), nil
	}
	var script strings.Builder
	for _, command := range commands {
		if strings.ContainsAny(strings.Join(command[1:], ""), " \t\n'\"\\#") {
			return nil, fmt.Errorf("package files for %s may not have blanks or quotes in their path", path.Base(y.program))
		}
		script.WriteString(strings.Join(command, " ") + "\n")
	}
	script.WriteString("run\n")
	if err := s.write("commands", []byte(script.String())); err != nil {
		return nil, err
	}
	return append(options, "shell", s.path+"/commands"), nil
}

func (y yum) solve(p rpmTransaction) (host.Solution, error) {
	s, err := y.m.files.newScratch("/run", "/tmp")
	if err != nil {
		return host.Solution{}, err
	}
	defer s.remove()
	words, err := y.words(p, s)
	if err != nil {
		return host.Solution{}, err
	}
	// Asked to say no to everything, both exit with 1 when they have shown what they would do.
	got, err := y.run(context.Background(), nil, append([]string{"--assumeno"}, words...)...)
	var failed *host.CommandError
	if err != nil && (!errors.As(err, &failed) || got.Code <= 0 || packagelock.Lost(err)) {
		return host.Solution{}, err
	}
	solution, sizes, problem := parseYumTable(got.Stdout+"\n"+got.Stderr, y.m.rpmArch())
	if problem != nil {
		if err != nil && !errors.As(problem, new(*host.SolveError)) {
			return solution, fmt.Errorf("%w (%w)", err, problem)
		}
		return solution, problem
	}
	return solution, y.sizeUp(&solution, p, sizes)
}

// yumSections are the headings of the table of a transaction. A heading that is not here may mean
// anything, so that the table counts as not understood.
var yumSections = []struct{ prefix, meaning string }{
	{"Installing", "install"},
	{"Updating", "upgrade"}, {"Upgrading", "upgrade"}, {"Downgrading", "upgrade"}, {"Reinstalling", "upgrade"},
	{"Removing", "remove"},
	{"Skipped", "skip"}, {"Skipping", "skip"}, {"Not installed", "skip"}, {"Not available", "skip"},
}

// refusals are how both say that something cannot be; the lines after a colon explain it.
var refusals = regexp.MustCompile(`^(Error: |No package .* available|No match for argument|No Match for argument|All matches were filtered out|\(try to add|Transaction check error|ERROR |Package .* not available|GPG check FAILED|Public key for)`)

// endings look like refusals and are not: what follows the "no" to the last question.
var endings = []string{"Operation aborted", "Exiting on user", "Nothing to do"}

// unreachable is how both say that a repository's lists cannot be had, which says nothing of the packages.
var unreachable = []string{"Cannot retrieve", "Cannot find a valid baseurl", "Failed to download metadata", "Failed to synchronize cache", "One of the configured repositories failed", "Cache-only enabled but no cache"}

// parseYumTable reads what --assumeno shows. Sizes are those of the table, for downloads, by name.
func parseYumTable(out, machine string) (host.Solution, map[string]int64, error) {
	var s host.Solution
	lines := yumComplaints(out)
	if strings.Contains(out, "\nIgnoring repositories:") {
		// dnf says Error of a repository that it may do without, too.
		lines = slices.DeleteFunc(lines, func(line string) bool { return containsAny(line, unreachable) })
	}
	if len(lines) > 0 {
		if containsAny(strings.Join(lines, "\n"), unreachable) {
			return s, nil, fmt.Errorf("repositories: %s", strings.Join(lines, "; "))
		}
		return s, nil, &host.SolveError{Summary: "yum finds the transaction impossible", Lines: lines}
	}
	rows, err := yumRows(out)
	if err != nil {
		return s, nil, err
	}
	if rows == nil && !strings.Contains(out, "Nothing to do") {
		return s, nil, errors.New("yum shows neither a transaction nor a reason for none")
	}
	sizes := map[string]int64{}
	for _, row := range rows {
		change := host.Change{Name: rpm.Name(row.name, row.arch, machine), Version: row.version, Origin: row.repository}
		switch row.meaning {
		case "install":
			s.Install = append(s.Install, change)
			sizes[change.Name] = row.size
		case "upgrade":
			s.Upgrade = append(s.Upgrade, change)
			sizes[change.Name] = row.size
		case "remove":
			s.Remove = append(s.Remove, host.Change{Name: change.Name, Version: change.Version})
		default:
			return s, nil, &host.SolveError{Summary: "yum would leave packages out", Lines: []string{row.heading + " " + row.name + " " + row.version}}
		}
	}
	return s, sizes, nil
}

// yumComplaints are the refusals with the indented lines that belong to them.
func yumComplaints(out string) []string {
	var lines []string
	inside := false
	for line := range strings.Lines(out) {
		text := strings.Join(strings.Fields(line), " ")
		switch {
		case text == "":
			inside = false
		case refusals.MatchString(text) && !containsAny(text, endings):
			lines = append(lines, strings.TrimPrefix(text, "Error: "))
			inside = true
		case text == "Error:", strings.HasPrefix(text, "Problem"):
			inside = true
			if text != "Error:" {
				lines = append(lines, text)
			}
		case inside && (line[0] == ' ' || strings.HasPrefix(text, "- ") || strings.HasPrefix(text, "Requires: ")):
			lines = append(lines, text)
		default:
			inside = false
		}
	}
	return lines
}

// yumRow is a package in the table.
type yumRow struct {
	heading, meaning                string
	name, arch, version, repository string
	size                            int64
}

// yumRows reads the lines between the second rule ("=====") and the summary. In a narrow table yum ends
// the line behind a long field and goes on, indented, in the next.
func yumRows(out string) ([]yumRow, error) {
	var rows []yumRow
	var heading, meaning string
	var words []string
	rules := 0
	finish := func() error {
		if len(words) == 0 {
			return nil
		}
		if len(words) < 5 || len(words) > 6 {
			return fmt.Errorf("yum: a line of the transaction that is not understood: %q", strings.Join(words, " "))
		}
		rows = append(rows, yumRow{heading, meaning, words[0], words[1], words[2], words[3], byteSize(words[4:])})
		words = nil
		return nil
	}
	for line := range strings.Lines(out) {
		line = strings.TrimRight(line, " \r\n")
		switch {
		case strings.HasPrefix(line, "====="):
			rules++
		case rules < 2:
		case line == "" || strings.HasPrefix(line, "Transaction Summary"):
			if err := finish(); err != nil {
				return nil, err
			}
			if strings.HasPrefix(line, "Transaction Summary") {
				return rows, nil
			}
		case line[0] != ' ':
			if err := finish(); err != nil {
				return nil, err
			}
			if heading, meaning = line, meaningOf(line); meaning == "" {
				return nil, fmt.Errorf("yum: a heading of the transaction that is not understood: %q", line)
			}
		case strings.HasPrefix(strings.TrimSpace(line), "replacing "):
			if err := finish(); err != nil {
				return nil, err
			}
			f := strings.Fields(line) // replacing NAME.ARCH VERSION
			if len(f) != 3 {
				return nil, fmt.Errorf("yum: a line of the transaction that is not understood: %q", line)
			}
			dot := strings.LastIndexByte(f[1], '.')
			if dot < 0 {
				dot = len(f[1])
			}
			rows = append(rows, yumRow{heading: heading, meaning: "remove", name: f[1][:dot], arch: strings.TrimPrefix(f[1][dot:], "."), version: f[2]})
		default:
			if !strings.HasPrefix(line, "  ") {
				if err := finish(); err != nil {
					return nil, err
				}
			}
			words = append(words, strings.Fields(line)...)
		}
	}
	return rows, finish()
}

func meaningOf(heading string) string {
	for _, s := range yumSections {
		if strings.HasPrefix(heading, s.prefix) && strings.HasSuffix(heading, ":") {
			return s.meaning
		}
	}
	return ""
}

// byteSize reads "20", "6.3 k" or "12 M".
func byteSize(words []string) int64 {
	var n float64
	if _, err := fmt.Sscanf(words[0], "%g", &n); err != nil || len(words) == 1 {
		return int64(n)
	}
	shift := strings.Index("kMGT", words[1]) + 1
	return int64(n * float64(int64(1)<<(10*shift)))
}

// sizeUp adds what an upgrade replaces, and bytes: from the repositories' lists or the package files for
// what comes, and from the database for what goes. Where the list is not at hand, the table's size of
// the package file stands for both.
func (y yum) sizeUp(s *host.Solution, p rpmTransaction, sizes map[string]int64) error {
	var names []string
	coming := append(s.Install[:len(s.Install):len(s.Install)], s.Upgrade...)
	for _, c := range coming {
		names = append(names, c.Name)
	}
	local := map[string]rpmSpec{}
	for _, spec := range p.install {
		if spec.file != "" {
			local[spec.name+"="+spec.version] = spec
		}
	}
	known := map[string]offer{}
	if len(names) > len(local) {
		lists, err := y.lists()
		if err != nil {
			return err
		}
		offers, _, err := y.rpms.offers(lists, names)
		if err != nil {
			return err
		}
		for _, o := range offers {
			known[o.Name+"="+o.Version] = o
		}
	}
	for i, c := range s.Upgrade {
		s.Upgrade[i].Old = p.installed[c.Name].Version
	}
	for _, c := range coming {
		key := c.Name + "=" + c.Version
		if spec, isLocal := local[key]; isLocal {
			s.DiskDelta += spec.header.Package.SizeKiB << 10
		} else if o, listed := known[key]; listed {
			s.Download += o.Download
			s.DiskDelta += o.Installed
		} else {
			s.Download += sizes[c.Name]
			s.DiskDelta += sizes[c.Name]
		}
	}
	for _, c := range append(s.Upgrade[:len(s.Upgrade):len(s.Upgrade)], s.Remove...) {
		s.DiskDelta -= p.installed[c.Name].SizeKiB << 10
	}
	return nil
}

func (y yum) commit(ctx context.Context, p rpmTransaction, w *host.PackageWatch) (answer, error) {
	s, err := y.m.files.newScratch("/run", "/tmp")
	if err != nil {
		return answer{}, err
	}
	defer s.remove()
	words, err := y.words(p, s)
	if err != nil {
		return answer{}, err
	}
	return y.run(ctx, w, append([]string{"-y"}, words...)...)
}

// refresh fetches lists as XML, which is what is read here; yum 3 prefers SQLite if it may choose.
func (y yum) refresh(ctx context.Context, ids []string, w *host.PackageWatch) error {
	sections, err := y.rpms.repositories(y.repoDirs())
	if err != nil {
		return err
	}
	var choose []string
	if len(ids) > 0 {
		choose = append(choose, "--disablerepo=*")
		for _, id := range ids {
			choose = append(choose, "--enablerepo="+id)
		}
	}
	for _, s := range sections {
		if len(ids) == 0 || contains(ids, s.ID) {
			choose = append(choose, "--setopt="+s.ID+".skip_if_unavailable=0")
		}
	}
	choose = append(choose, "--setopt=exit_on_lock=True")
	if got, err := y.run(ctx, w, append(choose[:len(choose):len(choose)], "clean", "expire-cache")...); err != nil {
		return refreshError(got, err)
	}
	words := []string{"-y", "makecache"}
	if !y.isDNF() {
		words = []string{"-y", "--setopt=mddownloadpolicy=xml", "makecache", "fast"}
	}
	got, err := y.run(ctx, w, append(choose, words...)...)
	return refreshError(got, err)
}

// refreshTroubles mean that a repository was not read, or could not be trusted, also where the exit code
// is 0.
var refreshTroubles = []string{"Ignoring repositories:", "Failed to download metadata", "Errors during downloading metadata", "repomd.xml signature could not be verified", "Cannot retrieve", "Skipping unreadable repository", "skipping"}

func refreshError(got answer, err error) error {
	if packagelock.Lost(err) {
		return err
	}
	var troubles []string
	for line := range strings.Lines(got.Stdout + "\n" + got.Stderr) {
		line = strings.TrimSpace(line)
		if text, ok := strings.CutPrefix(line, "Error: "); ok {
			troubles = append(troubles, text)
		} else if containsAny(line, refreshTroubles) {
			troubles = append(troubles, line)
		}
	}
	var failed *host.CommandError
	if len(troubles) == 0 || err != nil && (!errors.As(err, &failed) || got.Code <= 0) {
		return err
	}
	return fmt.Errorf("package lists: %s", strings.Join(troubles, "; "))
}

// askYum has yum list what it knows only from lists in SQLite (yum 3). yum takes its lock for that, so
// that a process that may not write gets no answer, and says so.
func (v rpms) askYum(front rpmFront, names, unread []string) ([]offer, error) {
	y, ok := front.(yum)
	if !ok || y.isDNF() {
		return nil, nil
	}
	args := []string{"-C", "-q", "--setopt=exit_on_lock=True", "--showduplicates", "--disablerepo=*"}
	for _, id := range unread {
		args = append(args, "--enablerepo="+id)
	}
	got, err := y.run(context.Background(), nil, append(append(args, "list", "available"), names...)...)
	if err != nil && strings.Contains(got.Stderr+got.Stdout, "No matching Packages to list") {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parseYumList(got.Stdout, y.m.rpmArch()), nil
}

// parseYumList reads lines of NAME.ARCH, version and repository. A long field ends its line.
func parseYumList(out, machine string) []offer {
	var found []offer
	var words []string
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		if line[0] != ' ' {
			words = nil
		}
		words = append(words, f...)
		if len(words) != 3 || !strings.Contains(words[0], ".") {
			continue
		}
		dot := strings.LastIndexByte(words[0], '.')
		name, arch := words[0][:dot], words[0][dot+1:]
		found = append(found, offer{Name: rpm.Name(name, arch, machine), Arch: arch, Version: words[1], Repository: words[2]})
	}
	return found
}

// hostSettings are those of the host's main configuration that decide how repositories are reached and
// trusted; a probe takes them over.
var hostSettings = regexp.MustCompile(`(?i)^(proxy\w*|ssl\w*|gpgcheck|repo_gpgcheck|username|password|throttle|minrate|ip_resolve|http_caching|distroverpkg|bootloader)\s*=`)

// probe runs with a configuration of its own, that names its own places and no plugins.
func (y yum) probe(ctx context.Context, s *scratch, probe host.RepositoryProbe) ([]repositoryList, error) {
	sections, err := s.stageRepositories(probe, "")
	if err != nil {
		return nil, err
	}
	if err := s.write("main.conf", []byte(y.probeConfig(s.path))); err != nil {
		return nil, err
	}
	args := []string{"-c", s.path + "/main.conf", "-y", "--setopt=exit_on_lock=True", "makecache"}
	if !y.isDNF() {
		args = append(args, "fast")
	}
	got, err := y.m.run(ctx, command{Path: y.program, Args: args, Env: rpmEnv, Secrets: repositorySecrets(probe)})
	if err := refreshError(got, err); err != nil {
		return nil, err
	}
	lists := y.listsBelow(s.path+"/cache", sections)
	if len(lists) < len(sections) {
		return nil, fmt.Errorf("%s read %d of %d repositories", path.Base(y.program), len(lists), len(sections))
	}
	return lists, y.verifyPackages(ctx, s, sections, lists, probe.Packages)
}

func (y yum) probeConfig(dir string) string {
	settings := []string{
		"[main]", "cachedir=" + dir + "/cache", "reposdir=" + dir + "/etc/yum.repos.d", "persistdir=" + dir + "/persist",
		"logfile=" + dir + "/yum.log", "logdir=" + dir, "plugins=0", "keepcache=0", "skip_if_unavailable=0",
		"retries=1", "timeout=30", "mddownloadpolicy=xml", "mdpolicy=group:primary",
	}
	for _, file := range []string{"/etc/yum.conf", "/etc/dnf/dnf.conf"} {
		data, err := y.m.files.readFile(file)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(data)) {
			if hostSettings.MatchString(line) {
				settings = append(settings, strings.TrimSpace(line))
			}
		}
	}
	return strings.Join(settings, "\n") + "\n"
}

// verifyPackages looks at signatures in a database of its own.
func (y yum) verifyPackages(ctx context.Context, s *scratch, sections []rpm.Section, lists []repositoryList, names []string) error {
	db := "--dbpath=" + s.path + "/rpmdb"
	if err := y.rpms.keyDatabase(ctx, s, "rpmdb/", sections, db); err != nil {
		return err
	}
	var demanding []rpm.Section
	for _, section := range sections {
		if y.checksPackages(section) {
			demanding = append(demanding, section)
		}
	}
	return y.rpms.verifySamples(ctx, s, demanding, lists, names, db)
}

// checksPackages reports whether signatures of packages are demanded, by the repository's configuration or
// else by the host's.
func (y yum) checksPackages(section rpm.Section) bool {
	demanded := false
	for _, file := range []string{"/etc/yum.conf", "/etc/dnf/dnf.conf"} {
		data, _ := y.m.files.readFile(file)
		for _, main := range rpm.ParseSections(string(data)) {
			demanded = rpm.On(main.Values["gpgcheck"], demanded)
		}
	}
	return rpm.On(section.Values["gpgcheck"], demanded)
}

// download fetches a package in its installed version.
func (y yum) download(ctx context.Context, p host.Package, dir string) error {
	word := rpm.FullName(p)
	if downloader, err := y.m.program("yumdownloader"); err == nil && !y.isDNF() {
		_, err = y.m.run(ctx, command{Path: downloader, Args: []string{"--setopt=timeout=20", "--destdir", dir, word}, Env: rpmEnv})
		return err
	}
	_, err := y.run(ctx, nil, append(yumOptions[:len(yumOptions):len(yumOptions)], "-y", "--setopt=timeout=20", "--downloadonly", "--downloaddir="+dir, "reinstall", word)...)
	return err
}
