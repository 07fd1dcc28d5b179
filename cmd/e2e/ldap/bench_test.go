package ldap

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	builtins "zcp2kopano/builtins/ldap"
	"zcp2kopano/runtime/host"
	"zcp2kopano/runtime/host/directory"
	"zcp2kopano/runtime/host/live"
)

// users are n entries of users, as a server loads them.
func users(n int) []entry {
	top := entry{dn: "dc=example,dc=org"}
	top.both("objectClass: domain", "dc: example")
	all := []entry{top}
	for i := range n {
		e := entry{dn: fmt.Sprintf("uid=u%d,dc=example,dc=org", i)}
		e.both("objectClass: inetOrgPerson")
		e.class("user")
		e.both(fmt.Sprintf("uid: u%d", i), fmt.Sprintf("cn: User %d", i), "sn: x", fmt.Sprintf("mail: u%d@example.org", i))
		e.named("Account: 1", "Admin: 0", "Hidden: 0", "SharedStoreOnly: 0", "QuotaOverride: 1", "QuotaWarn: 800", "QuotaSoft: 900", "QuotaHard: 1000")
		e.named(fmt.Sprintf("Aliases: a%d@example.org", i), fmt.Sprintf("Aliases: b%d@example.org", i))
		all = append(all, e)
	}
	return all
}

// client runs a program of ldap-utils as who may write.
func client(b *testing.B, url, program string, args ...string) []byte {
	b.Helper()
	args = append([]string{"-x", "-H", url, "-D", "cn=admin,dc=example,dc=org", "-w", "s3cr3t!"}, args...)
	cmd := exec.Command("/usr/bin/"+program, args...)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		b.Fatalf("%s: %v: %s", program, err, problems.Bytes())
	}
	return out.Bytes()
}

// urlOf is a server's socket as programs outside its host see it.
func urlOf(dir string) string {
	return "ldapi://" + strings.ReplaceAll(filepath.Join(dir, "ldapi"), "/", "%2F")
}

// readyLDIF is all of a conversion as ldapmodify takes it.
func readyLDIF(entries []entry) string {
	renaming := builtins.ToKopano("/var/run/kopano/server.sock")
	var text strings.Builder
	for _, e := range entries {
		old := host.Entry{DN: e.dn, Attributes: addition(e.dn, e.old...).Add}
		from := renaming.Touched(old)
		to, err := renaming.Convert(from)
		if err != nil || len(from) == 0 {
			continue
		}
		text.WriteString(directory.Line("dn", e.dn) + "\nchangetype: modify\n")
		for _, v := range renaming.Change(e.dn, from, to).Values {
			how := "add"
			if v.Delete {
				how = "delete"
			}
			text.WriteString(how + ": " + v.Attribute + "\n")
			for _, value := range v.Values {
				text.WriteString(directory.Line(v.Attribute, value) + "\n")
			}
			text.WriteString("-\n")
		}
		text.WriteString("\n")
	}
	return text.String()
}

// manualScript is the manual's script (4.4.1) as it does its work, mended so that it comes to its end: a search for each
// attribute of the schema, whose answers become changes of one value each; and twice for every entry a search of its own
// for its classes. $SCHEMA, $URL, $WORK and $PASSWORD are given.
const manualScript = `set -e
search() { ldapsearch -o ldif-wrap=no -LLL -x -H "$URL" -D cn=admin,dc=example,dc=org -w "$PASSWORD" "$@"; }
modify() { ldapmodify -x -H "$URL" -D cn=admin,dc=example,dc=org -w "$PASSWORD" -f "$1"; }
classes() {
	grep '^dn: ' "$WORK/values" | sort | uniq | sed 's#dn: ##' | while read -r dn; do
		search -s base -b "$dn" '(objectClass=*)' objectClass | grep -E '^dn|zarafa' | sed "$1" | sed "s#objectClass: \\(.*\\)#changetype: modify\\n$2: objectClass\\nobjectClass: \\1\\n#"
	done
}
sed -n "s#.*NAME '\\(zarafa[^']*\\)' EQUALITY.*#\\1#p" "$SCHEMA" | while read -r old; do
	new=$(echo "$old" | sed 's#zarafa#kopano#')
	search -b dc=example,dc=org "($old=*)" "$old" | awk -v old="$old" -v new="$new" '/^dn: / { dn = $0 }
		index($0, old ": ") == 1 { value = substr($0, length(old) + 3); print dn "\nchangetype: modify\nadd: " new "\n" new ": " value "\n-\ndelete: " old "\n" old ": " value "\n" }'
done > "$WORK/values"
classes '/^objectClass/ s#zarafa#kopano#' add > "$WORK/extend"
modify "$WORK/extend"
modify "$WORK/values"
classes '' delete > "$WORK/remove"
modify "$WORK/remove"
`

// runScript has the manual's script convert a directory.
func runScript(b *testing.B, dir string) {
	b.Helper()
	work := b.TempDir()
	cmd := exec.Command("/bin/bash", "-c", manualScript)
	cmd.Env = []string{"LC_ALL=C", "PATH=/usr/bin:/bin", "SCHEMA=" + filepath.Join(dir, "slapd.conf"), "URL=" + urlOf(dir), "WORK=" + work, "PASSWORD=s3cr3t!"}
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("the manual's script: %v: %s", err, out)
	}
}

// BenchmarkConvert converts the users of a real server, the search and the undo file included, beside ldapmodify that is
// fed with a ready LDIF, and the manual's script, in turn. What is reported are medians: of each the time for an entry,
// and of their proportions in each turn, which a busy machine leaves alone.
func BenchmarkConvert(b *testing.B) {
	peers := []struct {
		name string
		n    int // entries; the script takes long for each
		work func(b *testing.B, h *live.Host, conn host.DirectoryConn, dir string)
	}{
		{"ours", 10_000, func(b *testing.B, h *live.Host, conn host.DirectoryConn, _ string) { convertAll(b, h, conn) }},
		{"ldapmodify", 10_000, func(b *testing.B, _ *live.Host, _ host.DirectoryConn, dir string) {
			client(b, urlOf(dir), "ldapmodify", "-f", filepath.Join(dir, "ready.ldif"))
		}},
		{"script", 200, func(b *testing.B, _ *live.Host, _ host.DirectoryConn, dir string) { runScript(b, dir) }},
	}
	took := map[string][]float64{}
	for b.Loop() {
		for _, peer := range peers {
			entries := users(peer.n)
			h, conn, dir := slapdIn(b, ldifOf(entries), "") // which waits for its disk, as a site's does
			if err := os.WriteFile(filepath.Join(dir, "ready.ldif"), []byte(readyLDIF(entries)), 0o600); err != nil {
				b.Fatal(err)
			}
			begun := time.Now()
			peer.work(b, h, conn, dir)
			took[peer.name] = append(took[peer.name], float64(time.Since(begun).Microseconds())/float64(peer.n))
			check(b, peer.name, contents(b, h, conn), entries, isNew)
		}
	}
	for _, peer := range peers {
		b.ReportMetric(median(took[peer.name]), peer.name+"-us/entry")
	}
	b.ReportMetric(median(proportions(took["script"], took["ours"])), "script/ours")
	b.ReportMetric(median(proportions(took["ours"], took["ldapmodify"])), "ours/ldapmodify")
	b.ReportMetric(0, "ns/op") // of all three together says nothing
}

func proportions(a, b []float64) []float64 {
	of := make([]float64, len(a))
	for i := range a {
		of[i] = a[i] / b[i]
	}
	return of
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

func convertAll(b testing.TB, h host.Host, conn host.DirectoryConn) {
	b.Helper()
	env := environment(h)
	journal, err := os.Create(filepath.Join(b.TempDir(), "journal"))
	if err != nil {
		b.Fatal(err)
	}
	defer journal.Close()
	mark := env.Mark
	env.Mark = func(v any) error { // is durable, as in a run
		_, err := fmt.Fprintln(journal, v)
		return errors.Join(mark(v), err, journal.Sync())
	}
	if _, err := prepared(b, env, conn)().Apply(env); err != nil {
		b.Fatal(err)
	}
}

// mostResident is the most memory that this process has had; the kernel's count for a child that has ended has that of
// its parent in it.
func mostResident(b *testing.B) float64 {
	b.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); words[0] == "VmHWM:" {
			kilobytes, err := strconv.Atoi(words[1])
			if err != nil {
				b.Fatal(err)
			}
			return float64(kilobytes) / 1024
		}
	}
	b.Fatal("the kernel does not tell VmHWM")
	return 0
}

// aloneAt is set for the process that converts and does nothing else.
const aloneAt = "ZCP2KOPANO_CONVERT_AT"

// BenchmarkConvertMemory tells how much memory a process takes that converts 100,000 entries.
func BenchmarkConvertMemory(b *testing.B) {
	if dir := os.Getenv(aloneAt); dir != "" {
		h, err := live.Open(dir)
		if err != nil {
			b.Fatal(err)
		}
		defer h.Close()
		convertAll(b, h, ownConn)
		b.ReportMetric(mostResident(b), "MB-alone")
		return
	}
	for b.Loop() {
		b.StopTimer()
		h, conn, dir := slapdIn(b, ldifOf(users(100_000)), unsynced)
		b.StartTimer()
		cmd := exec.Command("/proc/self/exe", "-test.run=^$", "-test.bench=^BenchmarkConvertMemory$", "-test.benchtime=1x")
		cmd.Env = append(os.Environ(), aloneAt+"="+dir)
		out, err := cmd.CombinedOutput()
		if err != nil {
			b.Fatalf("%v: %s", err, out)
		}
		b.StopTimer()
		left, err := h.SearchDirectory(b.Context(), conn, host.DirectorySearch{Base: "dc=example,dc=org", Scope: "sub", Filter: "(zarafaAccount=*)", Attributes: []string{"1.1"}})
		if err != nil || len(left) > 0 {
			b.Fatalf("%d entries are not converted: %v", len(left), err)
		}
		before, _, _ := strings.Cut(string(out), " MB-alone")
		words := strings.Fields(before)
		megabytes, err := strconv.ParseFloat(words[len(words)-1], 64)
		if err != nil {
			b.Fatalf("%v: %s", err, out)
		}
		b.ReportMetric(megabytes, "MB-resident")
		b.StartTimer()
	}
}
