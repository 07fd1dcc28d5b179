package action

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strings"
)

var kinds = map[string]func() Action{}

// register makes a kind known to Decode; called once per kind at start.
func register(make func() Action) {
	kind := make().Kind()
	if kinds[kind] != nil {
		panic("action kind registered twice: " + kind)
	}
	kinds[kind] = make
}

// Kinds lists the known kinds, sorted.
func Kinds() []string {
	names := make([]string, 0, len(kinds))
	for name := range kinds {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// ErrOtherVersion is what only another version of the program understands.
var ErrOtherVersion = errors.New("another version of the program wrote this")

// Decode is the inverse of encoding an action's fields as JSON. A field that it does not know is an
// error: it may be what is needed to undo the action.
func Decode(kind string, data json.RawMessage) (Action, error) {
	make := kinds[kind]
	if make == nil {
		return nil, fmt.Errorf("unknown action %q: %w", kind, ErrOtherVersion)
	}
	a := make()
	if err := Strict(data, a); err != nil {
		return nil, fmt.Errorf("action %s: %w", kind, err)
	}
	return a, nil
}

// Strict decodes JSON, and refuses fields that v does not have as ErrOtherVersion.
func Strict(data json.RawMessage, v any) error {
	in := json.NewDecoder(bytes.NewReader(data))
	in.DisallowUnknownFields()
	err := in.Decode(v)
	if err != nil && strings.Contains(err.Error(), "unknown field") {
		return fmt.Errorf("%w: %w", err, ErrOtherVersion)
	}
	return err
}
