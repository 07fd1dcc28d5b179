package query_test

import (
	"regexp"
	"strings"
	"testing"

	"zcp2kopano/runtime/host/query"
)

// FuzzCheck lets no question through in which, its texts taken out, a word stands that writes or waits. The words are
// looked for in another way than the check does it: by what the server takes for white space.
func FuzzCheck(f *testing.F) {
	for _, seed := range []string{"SELECT 1", "SELECT a FROM b WHERE c = 'd'", "SHOW TABLES", "SELECT 1 --\tINTO OUTFILE '/x'", "SELECT \"a\\\"\" , `b```", "/*!50000 SELECT */ 1"} {
		f.Add(seed)
	}
	calls := regexp.MustCompile(`(?i)\b(load_file|get_lock|release_lock|sleep|benchmark|master_pos_wait)[ \t\r\n]*\(`)
	f.Fuzz(func(t *testing.T, text string) {
		if query.Check(text) != nil {
			return
		}
		for _, quoted := range []string{"'", "\"", "`", "/*", "--", "#", ".", "@"} { // what hides a word, or makes a name of it
			if strings.Contains(text, quoted) {
				return
			}
		}
		for _, word := range strings.FieldsFunc(strings.ToUpper(text), func(r rune) bool {
			return !(r >= 'A' && r <= 'Z' || r == '_' || r >= '0' && r <= '9' || r == '$' || r > 0x7f)
		}) {
			switch word {
			case "INTO", "OUTFILE", "INSERT", "UPDATE", "DELETE", "DROP", "CALL", "LOAD", "REPLACE", "ALTER", "GRANT":
				t.Errorf("%q lets %s through", text, word)
			}
		}
		if called := calls.FindString(text); called != "" {
			t.Errorf("%q calls %s", text, called)
		}
	})
}
