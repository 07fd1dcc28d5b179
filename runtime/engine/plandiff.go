package engine

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// A plan may be shown to others, and the plain digest of a short content, a password in a file, can be
// guessed at: digests stand in it keyed.
var plainDigest = regexp.MustCompile(`"[0-9a-f]{64}"`)

const keyedMark = `"keyed:`

// cover makes JSON fit for a plan.
func cover(data json.RawMessage, salt string) json.RawMessage {
	return plainDigest.ReplaceAllFunc(data, func(quoted []byte) []byte {
		mac := hmac.New(sha256.New, []byte(salt))
		mac.Write(quoted[1 : len(quoted)-1])
		return []byte(keyedMark + hex.EncodeToString(mac.Sum(nil)[:16]) + `"`)
	})
}

func isNull(data json.RawMessage) bool {
	return len(data) == 0 || string(bytes.TrimSpace(data)) == "null"
}

// mostDepartures is how many fields of one call are told.
const mostDepartures = 8

// departures tells, field by field, how JSON departs from what the plan has: the old value, and the new
// one. It is empty if nothing does.
func departures(want, got json.RawMessage) string {
	var fields []string
	tellDepartures(parsed(want), parsed(got), "", &fields)
	if len(fields) > mostDepartures {
		fields = append(fields[:mostDepartures:mostDepartures], fmt.Sprintf("and %d more", len(fields)-mostDepartures))
	}
	return strings.Join(fields, "; ")
}

func parsed(data json.RawMessage) (v any) {
	if isNull(data) {
		return nil
	}
	in := json.NewDecoder(bytes.NewReader(data))
	in.UseNumber()
	if in.Decode(&v) != nil {
		return string(data)
	}
	return v
}

func tellDepartures(want, got any, at string, fields *[]string) {
	switch w := want.(type) {
	case map[string]any:
		if g, ok := got.(map[string]any); ok {
			for _, name := range slices.Sorted(maps.Keys(union(w, g))) {
				tellDepartures(w[name], g[name], fieldPath(at, name), fields)
			}
			return
		}
	case []any:
		if g, ok := got.([]any); ok && len(w) == len(g) {
			for i := range w {
				tellDepartures(w[i], g[i], fmt.Sprintf("%s[%d]", at, i), fields)
			}
			return
		}
	}
	old, now := string(mustJSON(want)), string(mustJSON(got))
	if old == now {
		return
	}
	if strings.HasPrefix(old, keyedMark) && strings.HasPrefix(now, keyedMark) {
		*fields = append(*fields, strings.TrimSpace(at+" is another"))
		return
	}
	*fields = append(*fields, strings.TrimSpace(fmt.Sprintf("%s was %s and is %s", at, shown(old, now), shown(now, old))))
}

// fieldPath is the path of a field. How encodeValue marks a record is nothing that a person asks for.
func fieldPath(at, name string) string {
	if name == "struct" || name == "dict" || name == "tuple" || name == "" {
		return at
	}
	return strings.TrimPrefix(at+"."+name, ".")
}

func union(a, b map[string]any) map[string]any {
	all := map[string]any{}
	for _, m := range []map[string]any{a, b} {
		for name := range m {
			all[name] = nil
		}
	}
	return all
}

// shown is a value as it is told: where it is long, from shortly before the place where it begins to
// differ from the other.
func shown(text, other string) string {
	const most, before = 80, 20
	switch {
	case text == "null":
		return "not there"
	case len(text) <= most:
		return text
	}
	from := 0
	for from < min(len(text), len(other)) && text[from] == other[from] {
		from++
	}
	from = max(0, min(from-before, len(text)-most))
	cut := text[from:min(len(text), from+most)]
	if from > 0 {
		cut = "…" + cut
	}
	return strings.ToValidUTF8(cut, "") + "…"
}
