package host

import (
	"fmt"
	"strconv"
	"strings"
)

// Matches reports whether a host is of the kind that a spec names: "debian", "debian >= 8",
// "ubuntu == 14.04", "rhel < 8". The name is compared with ID of /etc/os-release, and where that
// differs with ID_LIKE ("rhel" fits CentOS); versions compare number by number.
func (f Facts) Matches(spec string) (bool, error) {
	fields := strings.Fields(spec)
	if len(fields) != 1 && len(fields) != 3 {
		return false, fmt.Errorf("system %q: want NAME, or NAME OPERATOR VERSION like \"debian >= 8\"", spec)
	}
	if !isSystem(f, fields[0]) {
		return false, checkOperator(spec, fields)
	}
	if len(fields) == 1 {
		return true, nil
	}
	if err := checkOperator(spec, fields); err != nil {
		return false, err
	}
	cmp := compareVersions(f.OSRelease["VERSION_ID"], fields[2])
	switch fields[1] {
	case ">=":
		return cmp >= 0, nil
	case ">":
		return cmp > 0, nil
	case "<=":
		return cmp <= 0, nil
	case "<":
		return cmp < 0, nil
	}
	return cmp == 0, nil
}

func isSystem(facts Facts, name string) bool {
	if facts.OSRelease["ID"] == name {
		return true
	}
	// A derivative counts its versions its own way: only families that number alike are followed.
	if name != "rhel" && name != "sles" {
		return false
	}
	for _, like := range strings.Fields(facts.OSRelease["ID_LIKE"]) {
		if like == name {
			return true
		}
	}
	return false
}

func checkOperator(spec string, fields []string) error {
	if len(fields) == 1 {
		return nil
	}
	switch fields[1] {
	case ">=", ">", "<=", "<", "==":
	default:
		return fmt.Errorf("system %q: unknown operator %s; use >=, >, <=, < or ==", spec, fields[1])
	}
	for _, part := range strings.Split(fields[2], ".") {
		if _, err := strconv.Atoi(part); err != nil {
			return fmt.Errorf("system %q: version %s is not numeric", spec, fields[2])
		}
	}
	return nil
}

// compareVersions compares dotted numbers; missing parts count as 0, what is no number as 0.
func compareVersions(a, b string) int {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(as), len(bs)) {
		var x, y int
		if i < len(as) {
			x, _ = strconv.Atoi(as[i])
		}
		if i < len(bs) {
			y, _ = strconv.Atoi(bs[i])
		}
		if x != y {
			return x - y
		}
	}
	return 0
}
