package cfg

import (
	"regexp"
	"slices"
	"strings"
)

// What the options of Kopano's Python daemons take (config.py and utils.py of kopano-core 8.0..11.0). Anything else
// ends the daemon.
var (
	pythonBools  = []string{"yes", "no", "0", "1", "true", "false"}
	pythonSizes  = regexp.MustCompile(`^(?i)[0-9][0-9.]*\s*([bkmgtpezy]|[kmgtpezy]b|[kmgtpezy]ib|bib)$`)
	logLevels    = []string{"0", "1", "2", "3", "4", "5", "6", "info", "debug", "warning", "error", "critical"}
	optionWords  = regexp.MustCompile(`'([a-z]+)'`)
	optionDigits = regexp.MustCompile(`\[([0-9, ]+)\]`)
)

// pythonWants says what a Python daemon of a release takes in place of a value; "" if it takes the value.
func (d *Directive) pythonWants(v Version, value string) string {
	kind, _ := d.PythonType(v)
	cell := d.code[d.column(v.final())]
	if options := d.pythonOptions(v); len(options) > 0 {
		if slices.Contains(options, value) {
			return ""
		}
		return "one of " + strings.Join(options, ", ")
	}
	switch {
	case kind == "boolean" && !slices.Contains(pythonBools, value):
		return "one of " + strings.Join(pythonBools, ", ")
	case kind == "integer" && !strings.Contains(cell, "multiple") && !isNumber(value):
		return "a number"
	case kind == "size" && !pythonSizes.MatchString(value):
		return "a size with its unit, like 5M"
	}
	return ""
}

func isNumber(value string) bool {
	digits := strings.TrimPrefix(value, "-")
	return digits != "" && strings.Trim(digits, "0123456789") == ""
}

// pythonOptions are the values that an option may have; none if it may have any.
func (d *Directive) pythonOptions(v Version) []string {
	_, options, ok := strings.Cut(d.code[d.column(v.final())], "options=")
	if !ok {
		return nil
	}
	if d.Name == "log_level" {
		if strings.HasPrefix(options, "range(7)") {
			return logLevels[:7]
		}
		return logLevels
	}
	var list []string
	for _, m := range optionWords.FindAllStringSubmatch(options, -1) {
		list = append(list, m[1])
	}
	if m := optionDigits.FindStringSubmatch(options); m != nil {
		list = append(list, strings.Fields(strings.ReplaceAll(m[1], ",", " "))...)
	}
	return list
}

// pythonKind is the type of an option of a Python daemon in the new release; "" for the other daemons.
func (c *conversion) pythonKind(name string) string {
	d := Lookup(c.daemon, name)
	if d == nil {
		return ""
	}
	kind, _ := d.PythonType(c.to)
	return kind
}
