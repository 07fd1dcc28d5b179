package sim

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"zcp2kopano/runtime/host"
)

// splitWords parts a line at blanks; a word in double quotes is read as a Go string.
func splitWords(line string) ([]string, error) {
	var words []string
	for rest := strings.TrimSpace(line); rest != ""; rest = strings.TrimLeft(rest, " \t") {
		if rest[0] != '"' {
			end := strings.IndexAny(rest, " \t")
			if end < 0 {
				end = len(rest)
			}
			words, rest = append(words, rest[:end]), rest[end:]
			continue
		}
		quoted, err := strconv.QuotedPrefix(rest)
		if err != nil {
			return nil, fmt.Errorf("%q: a quote that does not end", rest)
		}
		word, err := strconv.Unquote(quoted)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", quoted, err)
		}
		words, rest = append(words, word), rest[len(quoted):]
	}
	if len(words) == 0 {
		return nil, fmt.Errorf("an empty line")
	}
	return words, nil
}

// quoteWord is the inverse of splitWords for one word.
func quoteWord(word string) string {
	plain := word != "" && word[0] != '"'
	for _, r := range word {
		plain = plain && r > ' ' && r != 0x7f && r != '�'
	}
	if plain {
		return word
	}
	return strconv.Quote(word)
}

// parsePerm reads octal permission bits with setuid, setgid and sticky.
func parsePerm(text string) (fs.FileMode, error) {
	n, err := strconv.ParseUint(text, 8, 12)
	if err != nil {
		return 0, fmt.Errorf("%q is not an octal mode", text)
	}
	return host.ModeOf(uint32(n)), nil
}

// formatPerm is the inverse of parsePerm.
func formatPerm(mode fs.FileMode) string {
	return fmt.Sprintf("%04o", host.PermBits(mode))
}

// parseSize reads a number of bytes, with K, M, G or T for powers of 1024.
func parseSize(text string) (int64, error) {
	number, shift := text, 0
	if unit := strings.TrimLeft(text, ".0123456789"); len(unit) == 1 && strings.Contains("KMGT", unit) {
		number, shift = strings.TrimSuffix(text, unit), 10*(strings.Index("KMGT", unit)+1)
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || f < 0 || f > float64(int64(1)<<(62-shift)) {
		return 0, fmt.Errorf("%q is not a size: give bytes, or a number with K, M, G or T", text)
	}
	if !strings.Contains(number, ".") {
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%q is not a size: give bytes, or a number with K, M, G or T", text)
		}
		return n << shift, nil
	}
	return int64(f * float64(int64(1)<<shift)), nil
}

// formatSize is the inverse of parseSize, exact.
func formatSize(n int64) string {
	for i := 4; i > 0; i-- {
		if unit := int64(1) << (10 * i); n >= unit && n%unit == 0 {
			return strconv.FormatInt(n/unit, 10) + "KMGT"[i-1:i]
		}
	}
	return strconv.FormatInt(n, 10)
}
