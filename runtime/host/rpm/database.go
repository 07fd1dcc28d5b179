package rpm

import (
	"fmt"
	"strconv"
	"strings"

	"zcp2kopano/runtime/host"
)

// databaseFields are asked of each package, in the order in which ParseRecord reads them. FILEMD5S is the
// name of file digests, of whatever kind, that every rpm since 4.4 knows.
var databaseFields = []string{
	"%{NAME}", "%{EPOCH}", "%{VERSION}-%{RELEASE}", "%{ARCH}", "%{VENDOR}", "%{SOURCERPM}", "%{SUMMARY}", "%{SIZE}",
	"[%{REQUIRENAME} %{REQUIREFLAGS:depflags} %{REQUIREVERSION}" + itemSeparator + "]",
	"[%{PROVIDENAME} %{PROVIDEFLAGS:depflags} %{PROVIDEVERSION}" + itemSeparator + "]",
	"[%{CONFLICTNAME} %{CONFLICTFLAGS:depflags} %{CONFLICTVERSION}" + itemSeparator + "]",
	"[%{FILEFLAGS} %{FILEMD5S} %{FILENAMES}" + itemSeparator + "]",
}

// Fields may hold any printable text, so records, fields and items are set apart by ASCII's own separators.
const (
	fieldSeparator  = "\x1f"
	RecordSeparator = "\x1e"
	itemSeparator   = "\x1d"
)

// QueryFormat makes rpm --qf say what ParseRecord reads; of several packages, RecordSeparator goes behind it.
var QueryFormat = strings.Join(databaseFields, fieldSeparator)

// Flags of files in a package (rpmfileAttrs).
const (
	fileIsConfig  = 1 << 0
	fileMissingOK = 1 << 3
	fileNoReplace = 1 << 4
	fileIsGhost   = 1 << 6
)

// Record is a package of the database with the paths that it owns.
type Record struct {
	Package host.Package
	Files   []string
}

// ParseRecord reads a package that rpm has written in QueryFormat.
func ParseRecord(text, machine string) (Record, error) {
	f := strings.Split(text, fieldSeparator)
	if len(f) != len(databaseFields) {
		return Record{}, fmt.Errorf("rpm -qa: record of %d fields instead of %d: %.80q", len(f), len(databaseFields), text)
	}
	for i := range f {
		if f[i] == "(none)" {
			f[i] = ""
		}
	}
	size, _ := strconv.ParseInt(f[7], 10, 64)
	r := Record{Package: host.Package{
		Name: Name(f[0], f[3], machine), Version: EVR(f[1], f[2]), Arch: f[3], Status: "installed",
		Origin: f[4], Source: SourceName(f[5], f[0]), Summary: f[6], SizeKiB: (size + 1023) >> 10,
		Depends:  JoinRelations(strings.Split(f[8], itemSeparator)),
		Provides: JoinRelations(strings.Split(f[9], itemSeparator)), Conflicts: JoinRelations(strings.Split(f[10], itemSeparator)),
	}}
	for item := range strings.SplitSeq(f[11], itemSeparator) {
		flags, rest, _ := strings.Cut(item, " ")
		digest, path, _ := strings.Cut(rest, " ")
		if !strings.HasPrefix(path, "/") {
			continue
		}
		r.Files = append(r.Files, path)
		bits, _ := strconv.ParseUint(flags, 10, 32)
		ghost := bits&fileIsGhost != 0
		switch {
		case bits&fileIsConfig != 0 && (digest != "" || ghost):
			r.Package.Conffiles = append(r.Package.Conffiles, host.Conffile{
				Path: path, MD5: digest, NoReplace: bits&fileNoReplace != 0, Ghost: ghost, MissingOK: bits&fileMissingOK != 0,
			})
		case ghost:
			r.Package.Ghosts = append(r.Package.Ghosts, path)
		}
	}
	return r, nil
}

// JoinRelations writes relations as "NAME OP VERSION", parted by commas. What a package demands of rpm
// itself (rpmlib(...)) is left out.
func JoinRelations(items []string) string {
	var list []string
	seen := map[string]bool{}
	for _, item := range items {
		relation := strings.Join(strings.Fields(item), " ")
		if relation == "" || seen[relation] || strings.HasPrefix(relation, "rpmlib(") || strings.HasPrefix(relation, "(none)") {
			continue
		}
		seen[relation] = true
		list = append(list, relation)
	}
	return strings.Join(list, ", ")
}
