package host

import "fmt"

// Secret is text that must not be shown: every way to print or encode it yields "***".
type Secret struct{ text string }

// NewSecret keeps text.
func NewSecret(text string) Secret { return Secret{text} }

// Reveal returns the text, for the one place that needs it.
func (s Secret) Reveal() string { return s.text }

// Empty reports whether there is no text.
func (s Secret) Empty() bool { return s.text == "" }

// String, GoString, Format and MarshalText hide the text.
func (s Secret) String() string               { return "***" }
func (s Secret) GoString() string             { return "***" }
func (s Secret) Format(f fmt.State, _ rune)   { fmt.Fprint(f, "***") }
func (s Secret) MarshalText() ([]byte, error) { return []byte("***"), nil }
