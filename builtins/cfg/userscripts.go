package cfg

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"zcp2kopano/runtime/host"
)

// ownScripts are the user scripts that ZCP 7.0..7.2.6 and Kopano Core 8.0..11.0 ship, below the directory of
// user scripts. One of these names in /etc/kopano/userscripts takes the place of Kopano's own
// (ECtools/scriptrun.cpp of kopano-core 8.7: scripts by base name, the last directory wins).
var ownScripts = []string{
	"createuser", "creategroup", "createcompany", "deleteuser", "deletegroup", "deletecompany",
	"users_common.sh", "groups_common.sh", "companies_common.sh",
	"createuser.d/00createstore", "createcompany.d/00createpublic",
}

const scriptDir = "userscripts/"

// ownScript reports whether a path below the old directory has the name of a script that ZCP or Kopano ships.
func ownScript(rel string) bool {
	return strings.HasPrefix(rel, scriptDir) && slices.Contains(ownScripts, strings.TrimPrefix(rel, scriptDir))
}

// keepScript keeps a script that has the name of one that is shipped beside the new ones, where nothing runs
// it: ZCP's calls zarafa-admin, and a new user would get no mailbox.
func (w *work) keepScript(source string, st host.Stat) {
	target := w.out(source) + ".zcp"
	rel := strings.TrimPrefix(source, w.Source+"/"+scriptDir)
	if !st.IsRegular() {
		w.skip(source, "has the name of a script that Kopano brings, which is run instead")
		return
	}
	w.handled[source] = true
	w.result.Others = append(w.result.Others, Other{Kind: "file", Source: source, Target: target, Mode: "0640"})
	text := "is kept as " + target + ", which nothing runs: Kopano brings a script of this name"
	w.result.Skipped = append(w.result.Skipped, Problem{Path: source, Text: text + w.scriptDifference(source, rel)})
}

// scriptDifference tells how a script differs from the one that Kopano runs in its place.
func (w *work) scriptDifference(source, rel string) string {
	old, err := readFile(w.view, source)
	if err != nil {
		return "; it cannot be compared: " + err.Error()
	}
	for _, dir := range []string{"/usr/lib/kopano/userscripts", path.Join(w.Target, "userscripts")} {
		theirs := path.Join(dir, rel)
		kopanos, err := readFile(w.view, theirs)
		if err != nil {
			continue
		}
		if d := diff.Diff(source, old, theirs, kopanos); len(d) > 0 {
			return "; bring over what the site had changed:\n" + strings.TrimRight(string(d), "\n")
		}
		return ", and the same"
	}
	return "; bring over what the site had changed"
}

// zcpInScript is what of ZCP a script may use, and Kopano does not have.
var zcpInScript = regexp.MustCompile(`\bZARAFA_[A-Z_]+|\bzarafa-[a-z-]+`)

// checkScript finds what a script of the site's own uses of ZCP, with the lines.
func (w *work) checkScript(source, target string) {
	data, err := readFile(w.view, source)
	if err != nil {
		return
	}
	lines := map[string][]string{}
	for i, text := range strings.Split(string(data), "\n") {
		if strings.HasPrefix(strings.TrimSpace(text), "#") {
			continue
		}
		for _, name := range zcpInScript.FindAllString(text, -1) {
			if n := strconv.Itoa(i + 1); !slices.Contains(lines[name], n) {
				lines[name] = append(lines[name], n)
			}
		}
	}
	for _, name := range sortedNames(lines) {
		instead := strings.Replace(name, "zarafa-", "kopano-", 1)
		reason := "the program is %s in Kopano, and its options may differ"
		if strings.HasPrefix(name, "ZARAFA_") {
			instead, reason = strings.Replace(name, "ZARAFA_", "KOPANO_", 1), "Kopano sets %s instead"
		}
		line := "line "
		if len(lines[name]) > 1 {
			line = "lines "
		}
		w.result.Problems = append(w.result.Problems, Problem{Path: target,
			Text: fmt.Sprintf("uses %s in %s: "+reason+"; change the script", name, line+strings.Join(lines[name], ", "), instead)})
	}
}

// checkScriptsElsewhere looks at user scripts that the server is configured to run and that are not among the old files.
func (w *work) checkScriptsElsewhere(c *conversion) {
	for _, name := range sortedNames(c.old) {
		value := c.old[name]
		if isUserScript(c.daemon, name) && path.IsAbs(value) && !below(value, w.Original) && w.exists(value) {
			w.checkScript(value, value)
		}
	}
}
