package runbooks_test

import (
	"regexp"
	"slices"
	"testing"

	"zcp2kopano/runbooks"
)

// TestSurveyIsDocumented: what the survey hands to the steps is what the runbook says of it, no more and no less. That
// no field is missing, each simulation holds against the survey itself.
func TestSurveyIsDocumented(t *testing.T) {
	source, err := runbooks.FS.ReadFile("lib/known.star")
	if err != nil {
		t.Fatal(err)
	}
	var made []string
	for _, m := range regexp.MustCompile(`(?m)^        ([a-z_]+) = `).FindAllStringSubmatch(string(source), -1) {
		made = append(made, m[1])
	}
	slices.Sort(made)
	var documented []string
	for _, f := range loadStock(t, "debian").Results["survey"].Fields {
		documented = append(documented, f.Name)
	}
	if !slices.Equal(made, documented) {
		t.Errorf("lib/known.star makes\n%v\nand lib/results.star documents\n%v", made, documented)
	}
}
