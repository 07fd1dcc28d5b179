package action

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// File names are bytes, and JSON is UTF-8: a name that is not is written quoted, behind a NUL, which
// no file name has.

func encodeName(name string) string {
	if utf8.ValidString(name) {
		return name
	}
	return "\x00" + strconv.QuoteToASCII(name)
}

func decodeName(text string) (string, error) {
	quoted, ok := strings.CutPrefix(text, "\x00")
	if !ok {
		return text, nil
	}
	return strconv.Unquote(quoted)
}

// fileNames are file names found on the host.
type fileNames []string

func (n fileNames) MarshalJSON() ([]byte, error) {
	texts := make([]string, len(n))
	for i, name := range n {
		texts[i] = encodeName(name)
	}
	return json.Marshal(texts)
}

func (n *fileNames) UnmarshalJSON(data []byte) error {
	var texts []string
	if err := json.Unmarshal(data, &texts); err != nil {
		return err
	}
	*n = make(fileNames, len(texts))
	for i, text := range texts {
		var err error
		if (*n)[i], err = decodeName(text); err != nil {
			return err
		}
	}
	return nil
}

// counted is a number with its noun.
func counted(n int64, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}
