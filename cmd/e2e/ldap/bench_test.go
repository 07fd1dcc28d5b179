package ldap

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

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
		e.named("Account: 1", "Admin: 0", "QuotaHard: 1000", fmt.Sprintf("Aliases: a%d@example.org", i), fmt.Sprintf("Aliases: b%d@example.org", i))
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

// script does what the manual's does (4.4.1), so that it comes to its end: a search for each attribute, the classes,
// the values one attribute at a time, then a search for each entry for its classes, and these.
func script(b *testing.B, url, dir string) {
	b.Helper()
	apply := func(name, text string) {
		b.Helper()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
		client(b, url, "ldapmodify", "-f", file)
	}
	var classes, values, removed strings.Builder
	var dns []string
	seen := map[string]bool{}
	for name := range strings.FieldsSeq(numbers + " " + singles + " " + lists) {
		dn := ""
		for line := range strings.Lines(string(client(b, url, "ldapsearch", "-o", "ldif-wrap=no", "-LLL", "-b", "dc=example,dc=org", "(zarafa"+name+"=*)", "zarafa"+name))) {
			line = strings.TrimSpace(line)
			if rest, is := strings.CutPrefix(line, "dn: "); is {
				if dn = rest; !seen[dn] {
					seen[dn], dns = true, append(dns, dn)
					fmt.Fprintf(&classes, "dn: %s\nchangetype: modify\nadd: objectClass\nobjectClass: kopano-user\n\n", dn)
				}
			} else if _, value, is := strings.Cut(line, ": "); is {
				fmt.Fprintf(&values, "dn: %s\nchangetype: modify\nadd: kopano%[2]s\nkopano%[2]s: %[3]s\n-\ndelete: zarafa%[2]s\nzarafa%[2]s: %[3]s\n\n", dn, name, value)
			}
		}
	}
	apply("classes.ldif", classes.String())
	apply("values.ldif", values.String())
	for _, dn := range dns {
		for line := range strings.Lines(string(client(b, url, "ldapsearch", "-o", "ldif-wrap=no", "-LLL", "-s", "base", "-b", dn, "(objectClass=*)", "objectClass"))) {
			if class, is := strings.CutPrefix(strings.TrimSpace(line), "objectClass: zarafa"); is {
				fmt.Fprintf(&removed, "dn: %s\nchangetype: modify\ndelete: objectClass\nobjectClass: zarafa%s\n\n", dn, class)
			}
		}
	}
	apply("removed.ldif", removed.String())
}

// BenchmarkConvert converts the users of a real server, search and undo file included, beside ldapmodify that is fed with
// a ready LDIF, and the manual's script.
func BenchmarkConvert(b *testing.B) {
	for _, peer := range []struct {
		name string
		n    int // entries; the script takes long for each
		work func(b *testing.B, h *live.Host, conn host.DirectoryConn, dir string)
	}{
		{"ours", 10_000, func(b *testing.B, h *live.Host, conn host.DirectoryConn, _ string) { convertAll(b, h, conn) }},
		{"ldapmodify", 10_000, func(b *testing.B, _ *live.Host, _ host.DirectoryConn, dir string) {
			client(b, urlOf(dir), "ldapmodify", "-f", filepath.Join(dir, "ready.ldif"))
		}},
		{"script", 300, func(b *testing.B, _ *live.Host, _ host.DirectoryConn, dir string) { script(b, urlOf(dir), dir) }},
	} {
		b.Run(peer.name, func(b *testing.B) {
			entries := users(peer.n)
			ldif, ready := ldifOf(entries), readyLDIF(entries)
			for b.Loop() {
				b.StopTimer()
				h, conn, dir := slapdIn(b, ldif)
				if err := os.WriteFile(filepath.Join(dir, "ready.ldif"), []byte(ready), 0o600); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				peer.work(b, h, conn, dir)
				b.StopTimer()
				check(b, peer.name, contents(b, h, conn), entries, isNew)
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(peer.n), "us/entry")
		})
	}
}

func convertAll(b testing.TB, h host.Host, conn host.DirectoryConn) {
	b.Helper()
	env := environment(h)
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
		h, conn, dir := slapdIn(b, ldifOf(users(100_000)))
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
