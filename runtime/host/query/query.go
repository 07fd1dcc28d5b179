// Package query tells which questions to a database are nothing but questions. It reads them by the rules of the
// server's own lexer (MySQL 5.5 to 8.4, MariaDB to 11, sql_lex.cc; sql_mode is that of Mode), and knows what is
// allowed rather than what is not: two kinds of statement, and the functions of functions.go.
package query

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Mode is what a session's sql_mode must be for these rules: with others a backslash protects no quote, or a
// text in double quotes is a name.
const Mode = ""

// Check returns nil if a statement only asks.
func Check(statement string) error {
	tokens, err := split(statement)
	if err == nil {
		err = judge(tokens)
	}
	if err != nil {
		return fmt.Errorf("query refused: %w", err)
	}
	return nil
}

// kind is what a token is.
type kind int

const (
	word   kind = iota // a keyword or a name, in capitals
	name               // a name in backquotes
	text               // a string
	symbol             // one character, or :=
)

type token struct {
	kind kind
	text string
}

func (t token) is(s string) bool { return (t.kind == word || t.kind == symbol) && t.text == s }

// split parts a statement into its tokens, without comments.
func split(s string) ([]token, error) {
	var tokens []token
	for i := 0; i < len(s); {
		c := s[i]
		rest := s[i:]
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
		case c < ' ' || c == 0x7f:
			return nil, fmt.Errorf("it holds the control character %q", c)
		case strings.HasPrefix(rest, "/*"):
			n, err := comment(rest)
			if err != nil {
				return nil, err
			}
			i += n
		case c == '#' || strings.HasPrefix(rest, "--") && (len(rest) == 2 || rest[2] <= ' ' || rest[2] == 0x7f):
			n := strings.IndexByte(rest, '\n')
			if n < 0 {
				n = len(rest)
			}
			i += n
		case c == '\'' || c == '"' || c == '`':
			n, err := quotedLen(rest)
			if err != nil {
				return nil, err
			}
			k := text
			if c == '`' {
				k = name
			}
			tokens = append(tokens, token{k, rest[:n]})
			i += n
		case isWordByte(c):
			n := 1
			for n < len(rest) && isWordByte(rest[n]) {
				n++
			}
			tokens = append(tokens, token{word, strings.ToUpper(rest[:n])})
			i += n
		case strings.HasPrefix(rest, ":="):
			tokens = append(tokens, token{symbol, ":="})
			i += 2
		default:
			tokens = append(tokens, token{symbol, string(c)})
			i++
		}
	}
	return tokens, nil
}

// comment is the length of a comment /* */. The server carries out what stands in some, and takes hints from others.
func comment(s string) (int, error) {
	for _, sign := range []string{"/*!", "/*M!", "/*+"} {
		if strings.HasPrefix(s, sign) {
			return 0, fmt.Errorf("it has a comment that the server carries out (%s ... */)", sign)
		}
	}
	end := strings.Index(s[2:], "*/")
	if end < 0 {
		return 0, errors.New("a comment is not closed")
	}
	return 2 + end + 2, nil
}

func isWordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '$' || c >= 0x80
}

// quotedLen is the length of the quoted text at the start, where a doubled quote stands for one and, except in
// backquotes, a backslash protects the next character.
func quotedLen(s string) (int, error) {
	quote := s[0]
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && quote != '`':
			if s[i-1] >= 0x80 {
				return 0, errors.New("a backslash stands behind a character that is not ASCII: in some character sets they are one; write the text as x'...'")
			}
			i++
		case s[i] == quote && i+1 < len(s) && s[i+1] == quote:
			i++
		case s[i] == quote:
			return i + 1, nil
		}
	}
	return 0, errors.New("a quote is not closed")
}

// judge looks at what a statement would do.
func judge(tokens []token) error {
	for i, t := range tokens {
		if t.is(";") {
			if slices.ContainsFunc(tokens[i:], func(t token) bool { return !t.is(";") }) {
				return errors.New("only one statement is allowed")
			}
			tokens = tokens[:i]
			break
		}
	}
	first := slices.IndexFunc(tokens, func(t token) bool { return !t.is("(") })
	switch {
	case first >= 0 && tokens[first].is("SELECT"):
	case first == 0 && tokens[0].is("SHOW"):
		return judgeShow(tokens)
	default:
		return errors.New("only SELECT and SHOW are allowed")
	}
	for i, t := range tokens {
		if err := judgeToken(tokens, i, t); err != nil {
			return err
		}
	}
	return nil
}

func judgeShow(tokens []token) error {
	i := 1
	for i < len(tokens) && tokens[i].kind == word && slices.Contains(showModifiers, tokens[i].text) {
		i++
	}
	if i == len(tokens) || tokens[i].kind != word || !slices.Contains(shown, tokens[i].text) {
		return fmt.Errorf("SHOW is allowed with %s", strings.Join(shown, ", "))
	}
	for i, t := range tokens {
		if err := judgeToken(tokens, i, t); err != nil {
			return err
		}
	}
	return nil
}

func judgeToken(tokens []token, i int, t token) error {
	next, before := token{}, token{}
	if i+1 < len(tokens) {
		next = tokens[i+1]
	}
	if i > 0 {
		before = tokens[i-1]
	}
	column := before.is(".") || next.is(".") && !t.is(".")
	switch {
	case t.is(":="):
		return errors.New("it sets a variable")
	case next.is("(") && (t.kind == name || t.kind == word && before.is(".")):
		return fmt.Errorf("it calls %s, a function of the site's", t.text)
	case next.is("(") && t.kind == word && !functions[t.text] && !beforeParens[t.text]:
		return fmt.Errorf("it calls %s, which is none of the functions that a question may use", t.text)
	case t.kind != word || column:
	case t.text == "INTO":
		return errors.New("SELECT ... INTO writes")
	case t.text == "PROCEDURE":
		return errors.New("it calls a procedure")
	case t.text == "FOR" && (next.is("UPDATE") || next.is("SHARE")), t.text == "LOCK" && next.is("IN"):
		return errors.New("it locks rows")
	case t.text == "NEXT" && next.is("VALUE"), t.text == "PREVIOUS" && next.is("VALUE"):
		return errors.New("it takes a number from a sequence")
	}
	return nil
}
