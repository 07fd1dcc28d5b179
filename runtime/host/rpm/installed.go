package rpm

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Installed is all that the database holds of a package: the values of each tag, by the name that rpm -q --xml gives
// it.
type Installed map[string][]string

// ParseInstalled reads what rpm -q --xml says of one package. It is no reader of XML: scripts may hold bytes that XML does
// not know, and rpm writes them down all the same.
func ParseInstalled(text string) (Installed, error) {
	in := Installed{}
	for part := range strings.SplitSeq(text, "<rpmTag name=\"") {
		name, rest, ok := strings.Cut(part, "\">")
		if !ok || strings.Contains(name, "\n") {
			continue // what stands before the first
		}
		rest, _, _ = strings.Cut(rest, "</rpmTag>")
		for rest = strings.TrimSpace(rest); rest != ""; rest = strings.TrimSpace(rest) {
			value, after, err := xmlValue(rest)
			if err != nil {
				return nil, fmt.Errorf("rpm -q --xml: tag %s: %w", name, err)
			}
			in[name] = append(in[name], value)
			rest = after
		}
	}
	for _, name := range []string{"Name", "Version", "Release", "Arch"} {
		if len(in[name]) != 1 {
			return nil, fmt.Errorf("rpm -q --xml: no package, or several: %d values of %s", len(in[name]), name)
		}
	}
	return in, in.refuse()
}

// xmlValue reads "<string>...</string>", "<integer>...</integer>", "<base64>...</base64>" or "<string/>".
func xmlValue(text string) (value, rest string, err error) {
	if rest, ok := strings.CutPrefix(text, "<string/>"); ok {
		return "", rest, nil
	}
	for _, kind := range []string{"string", "integer", "base64"} {
		if body, ok := strings.CutPrefix(text, "<"+kind+">"); ok {
			value, rest, closed := strings.Cut(body, "</"+kind+">")
			if !closed {
				return "", "", fmt.Errorf("it is cut short")
			}
			return xmlText.Replace(value), rest, nil
		}
	}
	return "", "", fmt.Errorf("a value of an unknown kind: %.40q", text)
}

var xmlText = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&quot;", `"`, "&apos;", "'", "&amp;", "&")

// refuse names what a rebuilt package would lack, so that it would not be the same.
func (in Installed) refuse() error {
	for name := range in {
		if strings.HasPrefix(name, "Filetrigger") || strings.HasPrefix(name, "Transfiletrigger") {
			return fmt.Errorf("package %s has triggers on files, which are not carried over", in["Name"][0])
		}
		if strings.HasPrefix(name, "Long") && strings.Contains(name, "size") && name != "Longsigsize" && name != "Longsize" {
			return fmt.Errorf("package %s has files of 4 GiB or more", in["Name"][0])
		}
	}
	return nil
}

// InstalledFile is a path of a package as the database knows it.
type InstalledFile struct {
	Path        string
	Mode        uint32 // with the type, as in stat(2)
	Flags       int64
	VerifyFlags int64
	User, Group string
	Target      string
	Lang, Caps  string
	Device      int64
	Color       int64
	Size, Time  int64
	Digest      string
}

// Ghost reports whether the package owns the path without bringing it.
func (f InstalledFile) Ghost() bool { return f.Flags&fileIsGhost != 0 }

// Files are the paths of the package, in its order.
func (in Installed) Files() ([]InstalledFile, error) {
	names := in["Basenames"]
	files := make([]InstalledFile, len(names))
	digests := in["Filedigests"]
	if digests == nil {
		digests = in["Filemd5s"]
	}
	var wrong error
	text := func(list []string, i int) string {
		if i < len(list) {
			return list[i]
		}
		return ""
	}
	number := func(name string, i int) int64 {
		value := text(in[name], i)
		if value == "" {
			return 0
		}
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil && wrong == nil {
			wrong = fmt.Errorf("rpm -q --xml: %s of %s: %w", name, in["Name"][0], err)
		}
		return n
	}
	for _, name := range []string{"Filemodes", "Fileflags", "Fileusername", "Filegroupname", "Dirindexes"} {
		if len(in[name]) != len(names) {
			return nil, fmt.Errorf("rpm -q --xml: %d files of %s, and %d values of %s", len(names), in["Name"][0], len(in[name]), name)
		}
	}
	for i, base := range names {
		dir := number("Dirindexes", i)
		if dir < 0 || dir >= int64(len(in["Dirnames"])) {
			return nil, fmt.Errorf("rpm -q --xml: file %s of %s has no directory", base, in["Name"][0])
		}
		files[i] = InstalledFile{
			Path: in["Dirnames"][dir] + base, Mode: uint32(uint16(number("Filemodes", i))), Flags: number("Fileflags", i),
			VerifyFlags: number("Fileverifyflags", i), User: in["Fileusername"][i], Group: in["Filegroupname"][i],
			Target: text(in["Filelinktos"], i), Lang: text(in["Filelangs"], i), Caps: text(in["Filecaps"], i),
			Device: number("Filerdevs", i), Color: number("Filecolors", i), Size: number("Filesizes", i), Time: number("Filemtimes", i),
			Digest: text(digests, i),
		}
	}
	return files, wrong
}

// SHA256 reports whether the package's digests of files are of that kind; they are MD5 in older ones.
func (in Installed) SHA256() bool { return slices.Equal(in["Filedigestalgo"], []string{"8"}) }

// carry puts into a header what makes the package what it is, but for its files.
func (in Installed) carry(h *newHeader) error {
	h.strings(tag{100, kindTexts}, []string{"C"}) // the one language that rpm was asked for
	for name, t := range carried {
		values := in[name]
		if t.kind != kindInt32 {
			h.strings(t, values)
			continue
		}
		if t == size {
			continue
		}
		numbers := make([]int64, len(values))
		for i, v := range values {
			n, err := strconv.ParseInt(v, 10, 64)
			if err != nil {
				return fmt.Errorf("rpm -q --xml: %s of %s: %w", name, in["Name"][0], err)
			}
			numbers[i] = n
		}
		h.numbers(t, numbers)
	}
	return nil
}
