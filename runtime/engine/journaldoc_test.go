package engine

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"zcp2kopano/runtime/action"
	"zcp2kopano/runtime/journal"
	"zcp2kopano/runtime/runbook"
)

// What is written is documented, and what is documented is read.
func TestRecordTypesAreDocumented(t *testing.T) {
	known := map[string]bool{}
	for _, rt := range recordTypes {
		known[rt.name] = true
		h := &history{steps: map[string]stepRecord{}, undone: map[string]bool{}, calls: map[string]int{}}
		var pending []runbook.Finding
		err := h.take(journal.Record{Type: rt.name, Data: []byte("{}")}, map[uint64]*callRecord{0: {}}, &pending)
		if errors.Is(err, action.ErrOtherVersion) {
			t.Errorf("%s: %v", rt.name, err)
		}
		if !strings.Contains(JournalDoc(), "\n  "+rt.name+" ") {
			t.Errorf("%s is not in the text", rt.name)
		}
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	appended := regexp.MustCompile(`\.Append(?:Lazy|WithNext)?\("([a-z-]+)"`)
	found := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range appended.FindAllStringSubmatch(string(data), -1) {
			found++
			if !known[m[1]] {
				t.Errorf("%s writes records of type %s, which is not documented", file, m[1])
			}
		}
	}
	if found < len(recordTypes) {
		t.Errorf("only %d writes found", found)
	}
}
