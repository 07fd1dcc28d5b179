package story

import (
	"encoding/json"
	"reflect"
	"strings"
	"time"
)

// SchemaVersion is the version of the events' form. Within a version, fields and kinds are added and none is taken away or
// given another meaning.
const SchemaVersion = 1

// KindDoc is what an event of a kind tells.
type KindDoc struct {
	Kind EventKind
	Doc  string
}

// Kinds lists the kinds of event in the order in which a run can show them.
func Kinds() []KindDoc {
	return []KindDoc{
		{RunBegin, "what runs where: run"},
		{StepBegin, "a step begins: step, doc, index of count"},
		{Output, "what print() of the runbook says: text"},
		{Recorded, "a record of the runbook's, by tell(): text is what it is a record of, record its fields"},
		{FindingFound, "an information, a warning or an inhibitor: finding"},
		{NoReturn, "the next action cannot be undone: text says why"},
		{ChangeBegin, "an action is about to be carried out: call, action, text, detail"},
		{ProgressMade, "how far the action in hand is, or that it is waited for: progress, elapsed_ns"},
		{ChangeEnd, "the action was carried out: text, detail, elapsed_ns"},
		{Unchanged, "the host is as wanted already: call, text"},
		{Replayed, "of a run that is resumed: the action was done before"},
		{Undone, "of a rollback: an action was undone: text"},
		{UnpredictedIs, "a simulation cannot know this: unpredicted"},
		{Connected, "the run connects to a server, for the first time: text says which, and what points to it"},
		{Granted, "the run may change one thing more: text"},
		{StepEnd, "the step ended: elapsed_ns"},
		{StepSkipped, "the step is not run: text says why"},
		{Failed, "what failed: error"},
		{VerdictGiven, "how it ended, always the last: verdict"},
	}
}

// Schema describes an event as JSON Schema.
func Schema() map[string]any {
	var kinds []any
	for _, k := range Kinds() {
		kinds = append(kinds, map[string]any{"const": string(k.Kind), "description": k.Doc})
	}
	s := schemaOf(reflect.TypeFor[Event]())
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "an event of zcp2kopano, a line of --json"
	s["version"] = SchemaVersion
	s["properties"].(map[string]any)["kind"] = map[string]any{"oneOf": kinds}
	return s
}

// schemaOf describes the JSON form of a type.
func schemaOf(t reflect.Type) map[string]any {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case t == reflect.TypeFor[json.RawMessage]():
		return map[string]any{}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schemaOf(t.Elem())
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return map[string]any{"type": "integer"}
	case reflect.Float32, reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Slice, reflect.Array:
		return map[string]any{"type": "array", "items": schemaOf(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": schemaOf(t.Elem())}
	case reflect.Struct:
		return schemaOfStruct(t)
	}
	return map[string]any{}
}

func schemaOfStruct(t reflect.Type) map[string]any {
	properties, required := map[string]any{}, []any{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || name == "-" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		properties[name] = schemaOf(f.Type)
		if !strings.Contains(options, "omit") {
			required = append(required, name)
		}
	}
	return map[string]any{"type": "object", "properties": properties, "required": required}
}
