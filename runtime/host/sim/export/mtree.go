package export

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"zcp2kopano/runtime/host"
)

// line writes one entry of the manifest, in the format of mtree(5).
func (s *sender) line(name string, info os.FileInfo, more ...string) {
	words := []string{escape("." + name), "type=" + typeOf(info.Mode()), fmt.Sprintf("mode=%04o", host.PermBits(info.Mode()))}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		words = append(words, fmt.Sprintf("uid=%d gid=%d", st.Uid, st.Gid))
		if user := s.from.User(st.Uid); user != "" {
			words = append(words, "uname="+escape(user))
		}
		if group := s.from.Group(st.Gid); group != "" {
			words = append(words, "gname="+escape(group))
		}
	}
	fmt.Fprintln(&s.manifest, strings.Join(append(words, more...), " "))
}

func size(info os.FileInfo) string { return fmt.Sprintf("size=%d", info.Size()) }

func typeOf(mode fs.FileMode) string {
	switch mode.Type() {
	case fs.ModeDir:
		return "dir"
	case fs.ModeSymlink:
		return "link"
	case fs.ModeNamedPipe:
		return "fifo"
	case fs.ModeSocket:
		return "socket"
	case fs.ModeDevice:
		return "block"
	case fs.ModeDevice | fs.ModeCharDevice:
		return "char"
	}
	return "file"
}

// escape writes a name as vis(3) does for mtree: what would part the line as octal numbers.
func escape(name string) string {
	var b strings.Builder
	for _, c := range []byte(name) {
		if c <= ' ' || c >= 0x7f || c == '\\' || c == '#' || c == '=' {
			fmt.Fprintf(&b, `\%03o`, c)
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}
