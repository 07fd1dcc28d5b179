// Package story tells a run by its events: on a console, as JSON lines, and as an HTML page.
//
// Each of the three is a function that takes events one by one, so any number of them can listen to
// the same run. None of them fails: a lost terminal or a full disk must not stop a run. Who has to
// know whether a report reached its file looks at the writer that it was given.
package story

import (
	"encoding/json"
	"io"
)

// Tee passes each event to all listeners, in order. nil ones are left out.
func Tee(listeners ...func(Event)) func(Event) {
	return func(e Event) {
		for _, listen := range listeners {
			if listen != nil {
				listen(e)
			}
		}
	}
}

// JSONLines writes each event as one line of JSON (see Event).
func JSONLines(w io.Writer) func(Event) {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return func(e Event) { _ = enc.Encode(e) }
}
