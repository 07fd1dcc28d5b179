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

// MarshalJSON and UnmarshalJSON keep names that are not UTF-8.
func (p Preimage) MarshalJSON() ([]byte, error) {
	type plain Preimage
	p.Path, p.Target, p.Twin = encodeName(p.Path), encodeName(p.Target), encodeName(p.Twin)
	return json.Marshal(plain(p))
}

func (p *Preimage) UnmarshalJSON(data []byte) error {
	type plain Preimage
	err := json.Unmarshal(data, (*plain)(p))
	if err == nil {
		p.Path, err = decodeName(p.Path)
	}
	if err == nil {
		p.Target, err = decodeName(p.Target)
	}
	if err == nil {
		p.Twin, err = decodeName(p.Twin)
	}
	return err
}

func (x exception) MarshalJSON() ([]byte, error) {
	type plain exception
	x.Rel = encodeName(x.Rel)
	return json.Marshal(plain(x))
}

func (x *exception) UnmarshalJSON(data []byte) error {
	type plain exception
	err := json.Unmarshal(data, (*plain)(x))
	if err == nil {
		x.Rel, err = decodeName(x.Rel)
	}
	return err
}

// counted is a number with its noun.
func counted(n int64, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}
