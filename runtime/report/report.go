// Package report tells the events of a run: on a console, as JSON lines, and as an HTML page.
//
// Each of the three is a function that takes events one by one, so any number of them can listen to
// the same run. None of them fails: a lost terminal or a full disk must not stop a run. Who has to
// know whether a report reached its file looks at the writer that it was given.
package report

import (
	"encoding/json"
	"io"

	"zcp2kopano/runtime"
)

// Tee passes each event to all listeners, in order. nil ones are left out.
func Tee(listeners ...func(runtime.Event)) func(runtime.Event) {
	return func(e runtime.Event) {
		for _, listen := range listeners {
			if listen != nil {
				listen(e)
			}
		}
	}
}

// JSONLines writes each event as one line of JSON (see runtime.Event).
func JSONLines(w io.Writer) func(runtime.Event) {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return func(e runtime.Event) { _ = enc.Encode(e) }
}
